import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NESTING_MAX } from '../../../src/sql/list-folding.js';
import { TEMPLATE_BYTES_MAX, TEMPLATE_TOKENS_MAX } from '../../../src/sql/template-buffer.js';
import { Reading, TemplateReader } from '../../../src/sql/template.js';

const reader = new TemplateReader();

function read(text: string | Buffer, escapesInStrings = false, keepsLiterals = false): string {
  const bytes = Buffer.concat([Buffer.from("'("), Buffer.from(text), Buffer.from("'")]);
  const reading = reader.read(bytes, 2, bytes.length - 1, escapesInStrings, keepsLiterals);
  return reading === Reading.Ok ? reader.out.toString() : reading;
}

const rows: Readonly<Record<string, readonly (readonly [text: string, template: string])[]>> = {
  'words are folded, names in quotes are not': [
    ['SELECT Abc, "Abc", "abc" FROM T', 'select abc,"Abc","abc" from t'],
    ['SELECT ÄÖ, ä', Buffer.from('select ÄÖ,ä').toString('latin1')],
    ['SELECT U&"\\0061b", U&"!0061" UESCAPE \'!\'', 'select U&"\\0061b",U&"!0061" uescape \'!\''],
  ],
  'comments and white space are gone': [
    ['  SELECT /* a /* b */ c */ 1 -- d\n , 2;', 'select 1,1;'],
    ['SELECT\t\n a\r\f b', 'select a b'],
    ['-- nothing', ''],
  ],
  'operators stay apart where they were apart': [
    ['a<-1', 'a<-1'],
    ['a < -1', 'a< -1'],
    ['a - -1', 'a- -1'],
    ['a -/**/- 1', 'a- -1'],
    ['a / * b', 'a/ *b'],
    ['a :: int', 'a::int'],
    ['a: :b', 'a: :b'],
    ['a ->> b @> c', 'a->>b@>c'],
  ],
  'strings, numbers and parameters are one each': [
    ["'a', E'\\'', $$it's$$, $x$ $$ $x$, B'101', x'ff', N'n'", "'?','?','?','?','?','?','?'"],
    ["'a'\n  'b'", "'?'"],
    ["'a' 'b'", "'?' '?'"],
    ['1, 1.5, .5, 1e10, 0xff, 1_000', '1,1,1,1,1,1'],
    ['$1, $22', '$1,$1'],
    ['1a', '1 a'],
    ["'a'b", "'?' b"],
    ["a'b'", "a '?'"],
  ],
  'what would become a prefix of a string does not': [
    ["e 'x'", "e '?'"],
    ["u & 'x'", "u & '?'"],
    ["u& 'x'", "u& '?'"],
    ["u &'x'", "u &'?'"],
    ['u & "x"', 'u & "x"'],
  ],
  'strings with Unicode escapes stay, with their escape character': [
    ["U&'\\0061'", "U&'\\0061'"],
    ["U&'!0061' UESCAPE '!'", "U&'!0061' uescape '!'"],
  ],
  'lists of constants behind IN and in ARRAY are folded': [
    ['a IN (1, 2, 3)', "a in('?')"],
    ["a NOT IN ('x', NULL, $1, -1, true)", "a not in('?')"],
    ['(a, b) IN ((1, 2), (3, 4))', "(a,b)in('?')"],
    ['a IN ($1::int, $2::int)', "a in('?')"],
    ['ARRAY[1, 2, 3]::int[]', "array['?']::int[]"],
    ['ARRAY[[1, 2], [3, 4]]', "array['?']"],
    ['a IN (1, b, 2, 3)', "a in('?',b,'?')"],
    ['a IN (b, b)', 'a in(b)'],
    // The commas of a subselect are taken for those of a list, which does no harm.
    ['a IN (SELECT b, 1, 1 FROM t)', "a in(select b,'?',1 from t)"],
    ['a IN ()', 'a in()'],
    ['ARRAY[]', 'array[]'],
    // Only a cast to a type of PostgreSQL is left out: any other may be a domain.
    ["a IN ('1'::mood, '2'::mood)", "a in('?'::mood)"],
    ["a IN ('1'::mood, '2')", "a in('?'::mood,'?')"],
    ['a IN ($1::"int", $2::"int")', 'a in($1::"int")'],
    ["ARRAY['1'::mood[], '2'::mood[]]", "array['?'::mood[]]"],
    // Signs of numbers are left out, operators are not.
    ['a IN (-1, - 2, 3)', "a in('?')"],
    ['a IN (1 - 2, 3 - 4)', 'a in(1-1)'],
    ['a IN (-$1, -$2)', 'a in(-$1)'],
    ["a IN (- '1', 2)", "a in(-'?','?')"],
    ['a IN (-(1), - -2)', 'a in(-(1),- -1)'],
    ['a IN (-1::int, -2::int)', 'a in(-1::int)'],
    ['a IN (+1, 2)', "a in(+1,'?')"],
    ["a IN ('1'::pg_temp.t)", "a in('?'::pg_temp.t)"],
    ['a IN (now())', 'a in(now())'],
    ['a IN ((b), (SELECT f(1)), (2))', "a in((b),(select f(1)),'?')"],
  ],
  'rows of VALUES are folded': [
    ['VALUES (1, 2), (3, 4)', "values('?')"],
    [
      "INSERT INTO t VALUES (1, 'a', DEFAULT), ($1, NULL, '2'::text) RETURNING a",
      "insert into t values('?')returning a",
    ],
    ["VALUES ('1'::mood, 1), ('2'::mood, 2)", "values('?'::mood,1)"],
    ['VALUES (1, now()), (2, now()), (3, f())', 'values(1,now()),(1,f())'],
    ['VALUES (ARRAY[1, 2]), (ARRAY[3])', "values('?')"],
    ['VALUES (1), (2) ORDER BY 1', "values('?')order by 1"],
    ['SELECT * FROM (VALUES (1), (2)) v, (VALUES (3)) w', "select*from(values('?'))v,(values('?'))w"],
    ['VALUES (1), (2); VALUES (3)', "values('?');values('?')"],
    ['VALUES (1) (2)', "values('?')(1)"],
    ['VALUES (1), 2', "values('?'),1"],
    ['VALUES ((1)), ((2))', "values('?')"],
    ['VALUES ((f(1)), 1), (ARRAY[b], 1)', 'values((f(1)),1),(array[b],1)'],
    ['SELECT values FROM t', 'select values from t'],
  ],
  'other lists are not': [
    ['SELECT 1, 1, 1', 'select 1,1,1'],
    ['f(1, 1, 1)', 'f(1,1,1)'],
    ['(1, 1)', '(1,1)'],
    ['numeric(10, 2)', 'numeric(1,1)'],
    ['a[1][1]', 'a[1][1]'],
  ],
  'rows that change settings stay': [
    [
      "VALUES (set_config('a', '1', true)), (set_config('b', '2', true))",
      "values(set_config('?','?',true)),(set_config('?','?',true))",
    ],
    [`VALUES ("set_config"('a')), ("set_config"('a'))`, `values("set_config"('?')),("set_config"('?'))`],
    [`VALUES (U&"x"(1)), (U&"x"(1))`, `values(U&"x"(1)),(U&"x"(1))`],
    ["x IN (f(set_config('a')), f(set_config('a')))", "x in(f(set_config('?')),f(set_config('?')))"],
  ],
};

for (const [claim, cases] of Object.entries(rows)) {
  test(claim, () => {
    for (const [text, template] of cases) assert.equal(read(text), template, text);
  });
}

test('backslashes are read as standard_conforming_strings says', () => {
  assert.equal(read("'\\', a, '"), Reading.Unfinished);
  assert.equal(read("'\\', a, '", true), "'?'");
  assert.equal(read("'\\' || a"), "'?'||a");
});

test('a text that does not end is no template', () => {
  for (const text of ["'a", '"a', '/* a', '$$a', '$a$ $$']) assert.equal(read(text), Reading.Unfinished, text);
});

test('with literals it is the text without comments', () => {
  assert.equal(
    read("SELECT /* x */ 'a' , E'b\\'', $$c$$, 1.5, $2 WHERE x IN (1, 2)", false, true),
    "select 'a',E'b\\'',$$c$$,1.5,$2 where x in(1,2)",
  );
});

test('with literals, strings with backslashes mean the same where standard_conforming_strings is on', () => {
  assert.equal(read("'a', 'b\\'', N'c\\'', E'd\\''", true, true), "'a',E'b\\'',E'c\\'',E'd\\''");
  assert.equal(read("'b\\', N'c'", false, true), "'b\\',N'c'");
});

test('what is larger than the parser may get is too large', () => {
  assert.equal(read('a'.repeat(TEMPLATE_BYTES_MAX - 2)), 'a'.repeat(TEMPLATE_BYTES_MAX - 2));
  assert.equal(read('a'.repeat(TEMPLATE_BYTES_MAX)), Reading.TooLarge);
  assert.notEqual(read('a,'.repeat(TEMPLATE_TOKENS_MAX / 2)), Reading.TooLarge);
  assert.equal(read(`${'a,'.repeat(TEMPLATE_TOKENS_MAX / 2)}a`), Reading.TooLarge);
  assert.notEqual(read(`${'('.repeat(NESTING_MAX)}${')'.repeat(NESTING_MAX)}`), Reading.TooLarge);
  assert.equal(read('('.repeat(NESTING_MAX + 1)), Reading.TooLarge);
});

test('literals and folded lists of any length fit', () => {
  const numbers = Array.from({ length: 100_000 }, (_, i) => i).join(', ');
  assert.equal(read(`SELECT 1 FROM t WHERE a IN (${numbers})`), "select 1 from t where a in('?')");
  assert.equal(
    read(`INSERT INTO t VALUES ${`('${'x'.repeat(50)}', 1),`.repeat(20_000)} (1)`),
    "insert into t values('?')",
  );
  assert.equal(read(`SELECT '${'x'.repeat(1_000_000)}'`), "select '?'");
});

test('brackets that do not match do no harm', () => {
  for (const text of [
    ')))',
    '(((',
    'VALUES (1',
    'IN (1, 2',
    'ARRAY[1)',
    'VALUES (1]),(2',
    ',),(',
    'IN (,)',
    'VALUES ), (1)',
  ]) {
    assert.equal(typeof read(text), 'string');
    assert.equal(read('SELECT 1'), 'select 1');
  }
});

test('every token can be found in the text again', () => {
  const text = "SELECT  'long' , a FROM t WHERE b IN (1, 2, 3) AND c = $22";
  const bytes = Buffer.from(text);
  reader.read(bytes, 0, bytes.length, false, false);
  const template = reader.out.toString();
  const sourceOf = (part: string): string => {
    const range = reader.out.sourceOf(template.indexOf(part));
    return range === null ? '' : text.slice(...range);
  };
  assert.equal(sourceOf("'?'"), "'long'");
  assert.equal(sourceOf('from'), 'FROM');
  assert.equal(sourceOf('$1'), '$22');
  const list = reader.out.sourceOf(template.lastIndexOf("'?'"));
  assert.equal(list === null ? '' : text.slice(...list), '1, 2, 3');
  assert.equal(reader.out.sourceOf(template.indexOf('rom')), null);
  const one = Buffer.from('a IN (21::int)');
  reader.read(one, 0, one.length, false, false);
  assert.deepEqual(reader.out.sourceOf(reader.out.toString().indexOf("'?'")), [6, 13]);
});

test('a range of the template is a range of the text, also when folded rows end it', () => {
  const text = ' VALUES (1), (2), ( 3 ) ; SELECT 1 ';
  const bytes = Buffer.from(text);
  reader.read(bytes, 0, bytes.length, false, false);
  const template = reader.out.toString();
  const range = reader.out.sourceOfRange(0, template.indexOf(';'));
  assert.equal(range === null ? '' : text.slice(...range), 'VALUES (1), (2), ( 3 )');
  assert.equal(reader.out.sourceOfRange(template.length, template.length + 1), null);
});
