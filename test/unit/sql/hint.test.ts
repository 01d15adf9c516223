import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readHint } from '../../../src/sql/hint.js';
import type { RouteHint } from '../../../src/sql/hint.js';

/** The text stands in the middle of a buffer, among others. */
function hintOf(text: string, escapesInStrings = false): RouteHint | null {
  const before = '/* switchyard: primary */';
  const bytes = Buffer.from(`${before}${text}${before}`);
  return readHint(bytes, before.length, bytes.length - before.length, escapesInStrings);
}

const rows: readonly (readonly [text: string, hint: RouteHint | null, why: string])[] = [
  ['', null, 'nothing'],
  ['SELECT 1', null, 'no comment'],
  ['/* switchyard: primary */ SELECT 1', 'primary', 'in front'],
  ['SELECT 1 /* switchyard: primary */', 'primary', 'at the end'],
  ['SELECT /* switchyard: primary */ 1', 'primary', 'in the middle'],
  ['SELECT 1 -- switchyard: primary', 'primary', 'in a line, at the end'],
  ['SELECT 1 -- switchyard: primary\n, 2', 'primary', 'in a line'],
  ['SELECT 1 --switchyard:primary\r\n, 2', 'primary', 'in a line of Windows'],
  ['/*switchyard:primary*/SELECT 1', 'primary', 'without white space'],
  ['/*\n\tSwitchYard  :\n PRIMARY\t*/ SELECT 1', 'primary', 'with much of it, in any letters'],
  ['/* switchyard: standby */ SELECT 1', 'invalid', 'something else'],
  ['/* switchyard: */ SELECT 1', 'invalid', 'nothing'],
  ['/* switchyard: primary please */ SELECT 1', 'invalid', 'something more'],
  ['/* switchyard primary */ SELECT 1', null, 'no colon'],
  ['/* switchyards: primary */ SELECT 1', null, 'another word'],
  ['/* for switchyard: primary */ SELECT 1', null, 'not at the beginning'],
  ['/*+ switchyard: primary */ SELECT 1', null, 'another mark'],
  ["SELECT '/* switchyard: primary */'", null, 'in a string'],
  ["SELECT 'a''/* switchyard: primary */'", null, 'in a string behind a quote'],
  ["SELECT E'\\'/* switchyard: primary */'", null, 'in a string with escapes'],
  ['SELECT $a$/* switchyard: primary */$a$', null, 'in a dollar-quoted string'],
  ['SELECT "/* switchyard: primary */"', null, 'in a name'],
  ['SELECT 1 -- "\n/* switchyard: primary */', 'primary', 'behind a quote in a comment'],
  ['/* /* switchyard: primary */ */ SELECT 1', null, 'inside of another comment'],
  ['/* a /* b */ c *//* switchyard: primary */ SELECT 1', 'primary', 'behind a comment in a comment'],
  ['/* a */ -- b\n /* switchyard: primary */ SELECT 1', 'primary', 'behind others'],
  ['/* switchyard: x */ /* switchyard: primary */ SELECT 1', 'primary', 'two, of which one is understood'],
  ['/* switchyard: primary */ SELECT 1 -- switchyard: x', 'primary', 'the same the other way round'],
  ['SELECT switchyard FROM primary_', null, 'words'],
  ['SELECT 1 - - switchyard', null, 'signs'],
  ['/* switchyard: primary */', 'primary', 'alone'],
  ['/* switchyard: primary ', null, 'without an end'],
  ["/* switchyard: primary */ SELECT 'a", null, 'what PostgreSQL refuses'],
];

for (const [text, hint, why] of rows) {
  test(`${why}: ${JSON.stringify(text)} -> ${hint ?? 'none'}`, () => {
    assert.equal(hintOf(text), hint);
  });
}

test('strings are read as standard_conforming_strings says', () => {
  const text = "SELECT '\\'/* switchyard: primary */'";
  assert.equal(hintOf(text, true), null);
  assert.equal(hintOf(`${text}'`, false), 'primary');
});

test('the word is found wherever it stands', () => {
  for (let length = 0; length < 200; length += 1) {
    const blanks = ' '.repeat(length);
    assert.equal(hintOf(`${blanks}/*switchyard:primary*/`), 'primary', String(length));
    assert.equal(hintOf(`${'d'.repeat(length)} --switchyard:primary`), 'primary', String(length));
    assert.equal(hintOf(`${'switch'.repeat(length)} --swSwitchYard:primary\n--switchyard:primary`), 'primary');
    assert.equal(hintOf(`${'yard'.repeat(length)} /*switchyarD*/`), null);
  }
});
