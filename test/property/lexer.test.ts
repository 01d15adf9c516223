import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { lex } from '../../src/sql/lexer.js';
import type { TokenKind } from '../../src/sql/lexer.js';

const RUNS = 5000;

interface Token {
  readonly kind: TokenKind;
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

function tokens(text: Uint8Array, escapes: boolean): { readonly isComplete: boolean; readonly tokens: Token[] } {
  const found: Token[] = [];
  const isComplete = lex(text, 0, text.length, escapes, (kind, start, end) => {
    found.push({ kind, start, end, text: Buffer.from(text.subarray(start, end)).toString('latin1') });
  });
  return { isComplete, tokens: found };
}

/** Bytes that mean something to the lexer, more often than others. */
const noise = fc
  .array(
    fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom(...Buffer.from(`'"$-/*\\;&.eEuUnbBxX01_ \n\ta`)) },
      { weight: 1, arbitrary: fc.nat({ max: 255 }) },
    ),
    { maxLength: 60 },
  )
  .map((bytes) => Uint8Array.from(bytes));

test('never throws, and gives tokens that lie one behind the other inside the text', () => {
  fc.assert(
    fc.property(noise, fc.boolean(), (text, escapes) => {
      let at = 0;
      for (const { start, end } of tokens(text, escapes).tokens) {
        assert.ok(start >= at && end > start && end <= text.length, `token [${start}, ${end}) behind ${at}`);
        at = end;
      }
    }),
    { numRuns: RUNS },
  );
});

test('between tokens there are only white space and comments', () => {
  fc.assert(
    fc.property(noise, fc.boolean(), (text, escapes) => {
      const result = tokens(text, escapes);
      if (!result.isComplete) return;
      let at = 0;
      for (const { start, end } of [...result.tokens, { start: text.length, end: text.length }]) {
        const between = Buffer.from(text.subarray(at, start)).toString('latin1');
        assert.match(between, /^(?:[ \t-\r]|--[^\n\r]*(?=[\n\r]|$)|\/\*[^]*\*\/)*$/);
        at = end;
      }
    }),
    { numRuns: RUNS },
  );
});

test('the bytes before and behind the given range do not matter', () => {
  fc.assert(
    fc.property(noise, noise, noise, fc.boolean(), (before, text, behind, escapes) => {
      const all = Buffer.concat([before, text, behind]);
      const found: [TokenKind, number, number][] = [];
      const isComplete = lex(all, before.length, before.length + text.length, escapes, (kind, start, end) => {
        found.push([kind, start - before.length, end - before.length]);
      });
      const alone = tokens(text, escapes);
      assert.equal(isComplete, alone.isComplete);
      assert.deepEqual(
        found,
        alone.tokens.map(({ kind, start, end }) => [kind, start, end]),
      );
    }),
    { numRuns: RUNS },
  );
});

const inner = fc.string({
  unit: fc.constantFrom('a', 'B', ';', ' ', '\n', '-', '/', '*', '$', '1', 'é'),
  maxLength: 8,
});
const atoms = fc.oneof(
  fc.constantFrom(
    'select',
    'e',
    'n',
    'u',
    'x$1',
    '1',
    '1.5e-3',
    '0x1F',
    '.5',
    '$1',
    ';',
    '(',
    ',',
    '::',
    '=',
    '<>',
    'größe',
  ),
  inner.map((text) => `"${text}"`),
  inner.map((text) => `$q$${text.replaceAll('$', '')}$q$`),
  fc.tuple(fc.constantFrom('', 'E', 'n', 'B', 'U&'), inner).map(([prefix, text]) => `${prefix}'${text}'`),
);
const comments = fc.oneof(
  inner.map((text) => `--${text.replaceAll('\n', '')}\n`),
  inner.map((text) => `/*${text.replaceAll(/[*/]/g, '')}*/`),
  inner.map((text) => `/*${text.replaceAll(/[*/]/g, '')}/*'"$$*/;*/`),
);

test('a comment is no more than a blank', () => {
  // Between two string constants a line break decides whether they are one; so a comma stands there.
  const pieces = fc.array(fc.tuple(atoms, comments, fc.boolean()), { maxLength: 12 });
  fc.assert(
    fc.property(pieces, fc.boolean(), (all, escapes) => {
      const commented = all.map(([atom, comment, isTight]) => `${atom}${isTight ? '' : ' '}${comment},`).join(' ');
      const blank = all.map(([atom]) => `${atom} ,`).join(' ');
      const texts = (text: string): string[] => tokens(Buffer.from(text), escapes).tokens.map((token) => token.text);
      assert.deepEqual(texts(commented), texts(blank));
    }),
    { numRuns: RUNS },
  );
});

test('what is put together from tokens is taken apart into the same tokens', () => {
  fc.assert(
    fc.property(fc.array(atoms, { maxLength: 15 }), (all) => {
      const text = Buffer.from(all.join(' '));
      const result = tokens(text, false);
      assert.ok(result.isComplete);
      const expected = all.flatMap((atom) => (atom === '::' || atom === '<>' ? atom.split('') : [atom]));
      assert.deepEqual(
        result.tokens.map((token) => Buffer.from(token.text, 'latin1').toString('utf8')),
        expected,
      );
    }),
    { numRuns: RUNS },
  );
});
