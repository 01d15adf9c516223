import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import * as fc from 'fast-check';
import { lex, TokenKind } from '../../src/sql/lexer.js';
import { Reading } from '../../src/sql/template.js';
import { comparable } from '../unit/sql/comparable-analysis.js';
import { inWords } from '../unit/sql/effect-words.js';
import { StatementReader } from '../unit/sql/read-statements.js';
import { statementRows } from '../unit/sql/statement-rows.js';

const RUNS = 2000;

let reader: StatementReader;

before(async () => {
  reader = await StatementReader.load();
});

const known = Object.values(statementRows)
  .flat()
  .filter(([sql, words]) => sql.length < 500 && !words.startsWith('pin unknown_statement'));

const inner = fc.string({
  unit: fc.constantFrom('a', 'B', ';', ' ', '-', '/*', '*/', '(', ',', '1', 'é', '日'),
  maxLength: 8,
});
const strings = fc.oneof(
  inner.map((text) => `'${text}'`),
  inner.map((text) => `'${text}''s'`),
  inner.map((text) => `E'\\'${text}'`),
  inner.map((text) => `$q$${text}'$q$`),
  inner.map((text) => `'a'\n '${text}'`),
);
const numbers = fc.oneof(fc.nat().map(String), fc.constantFrom('1.5', '.5', '1e10', '99999999999', '2.', '1.5E-3'));
const constants = fc.oneof(
  strings,
  numbers,
  fc.constantFrom('NULL', 'true', '$3', '-1', "'1'::int", '+ 2', '- $1', "'1'::a.d", 'DEFAULT'),
);
const expressions = fc.oneof(
  { weight: 4, arbitrary: constants },
  {
    weight: 1,
    arbitrary: fc.constantFrom('now()', 'a', '"B"', '(SELECT 1)', 'f(1, 2)', "set_config('a.b', 'x', true)"),
  },
);
const lists = fc.array(expressions, { minLength: 1, maxLength: 6 }).map((items) => items.join(', '));
const rows = fc.array(lists, { minLength: 1, maxLength: 4 }).map((all) => all.map((row) => `(${row})`).join(', '));

/** Statements with holes: S a string, N a number, L a list, R rows. */
const skeletons = [
  'SELECT * FROM t WHERE a = «S» AND b > «N» AND c IN («L»)',
  'INSERT INTO t (a, b) VALUES «R» RETURNING a',
  'INSERT INTO t VALUES «R» ON CONFLICT (a) DO UPDATE SET b = «S», c = «N»',
  'UPDATE t SET a = «S», b = b - «N» WHERE (a, b) IN («L») OR d = ANY (ARRAY[«L»])',
  'WITH v (a) AS (VALUES «R») DELETE FROM t USING v WHERE t.a = v.a',
  'SELECT a FROM t ORDER BY 1 LIMIT «N» OFFSET «N»',
  'SELECT a::numeric(10, 2), «S» || «S», date «S», interval «S» day FROM t FETCH FIRST 10 ROWS ONLY',
  'PREPARE p AS INSERT INTO t VALUES «R»',
  'CREATE TEMP TABLE x (a varchar(10) DEFAULT «S», b int CHECK (b IN («L»)))',
  'SET app.name = «S»',
  'SET work_mem = «N»',
  'SELECT set_config(«S», «S», false)',
  "SELECT set_config('search_path', «S», true), set_config(«S», NULL, false)",
  'SELECT pg_advisory_lock(«N»), f(«S», «S», «S»)',
  'DECLARE c CURSOR WITH HOLD FOR VALUES «R»',
  'EXPLAIN (ANALYZE «N», COSTS off) SELECT 1 WHERE a IN («L»)',
  'SELECT «S»; SELECT «N»; SET a.b = «S»; LISTEN x',
];
const filled = fc.constantFrom(...skeletons).chain((skeleton) => {
  const parts = skeleton.split(/«(\w)»/);
  const holes: Readonly<Record<string, fc.Arbitrary<string>>> = { S: strings, N: numbers, L: lists, R: rows };
  return fc
    .tuple(...parts.map((part, index) => (index % 2 === 0 ? fc.constant(part) : (holes[part] ?? fc.constant('')))))
    .map((all) => all.join(''));
});

test('what is told from the template is what the text with all its literals tells', () => {
  let accepted = 0;
  fc.assert(
    fc.property(filled, (sql) => {
      const literally = reader.analyzeLiterally(sql);
      if (literally === null) return;
      accepted += 1;
      assert.deepEqual(comparable(reader.analyze(sql)), comparable(literally));
      assert.deepEqual(comparable(reader.analyze(sql)), comparable(literally), 'from the cache');
    }),
    { numRuns: RUNS },
  );
  assert.ok(accepted > RUNS / 2, `only ${accepted} texts were SQL`);
});

const blanks = fc.constantFrom(' ', '\n', '\t ', ' /* x */ ', ' /* /* \' */ " */', ' -- "y\n', '/**/');

/** The text with other blanks between its tokens, and its words in other letters. */
function disguise(sql: string, blank: string, isUpper: boolean): string {
  const bytes = Buffer.from(sql);
  let text = '';
  let last = 0;
  lex(bytes, 0, bytes.length, false, (kind, start, end) => {
    if (start > last) text += blank;
    const token = bytes.toString('utf8', start, end);
    text +=
      kind === TokenKind.Word && isUpper ? token.toUpperCase() : kind === TokenKind.Word ? token.toLowerCase() : token;
    last = end;
  });
  return `${text}${blank}`;
}

test('comments, white space and the case of words change neither the template nor what is told', () => {
  fc.assert(
    fc.property(fc.constantFrom(...known), blanks, fc.boolean(), ([sql, words], blank, isUpper) => {
      // A line break behind a string makes the next one a part of it.
      const text = disguise(sql, blank, isUpper);
      assert.equal(reader.template(text), reader.template(sql));
      assert.equal(inWords(reader.analyze(text)), words);
    }),
    { numRuns: RUNS },
  );
});

test('a template is its own template', () => {
  fc.assert(
    fc.property(fc.oneof(filled, fc.constantFrom(...known.map(([sql]) => sql))), (sql) => {
      const template = reader.template(sql);
      assert.equal(reader.template(Buffer.from(template, 'latin1')), template);
    }),
    { numRuns: RUNS },
  );
});

test('statements in one string are told as each of them alone', () => {
  const statements = fc.array(fc.constantFrom(...known.filter(([sql]) => !sql.includes('--') && !sql.includes(';'))), {
    minLength: 1,
    maxLength: 5,
  });
  fc.assert(
    fc.property(statements, (all) => {
      const words = all.map(([, each]) => each).filter((each) => each !== '');
      assert.equal(inWords(reader.analyze(all.map(([sql]) => sql).join('; '))), words.join(' | '));
    }),
    { numRuns: RUNS / 2 },
  );
});

const noise = fc
  .array(
    fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom(...Buffer.from(`'"$-/*\\;&.,()[]:eEuUnbBxX01_ \n\ta`)) },
      { weight: 1, arbitrary: fc.nat({ max: 255 }) },
    ),
    { maxLength: 60 },
  )
  .map((bytes) => Buffer.from(bytes));
const words = fc
  .array(
    fc.constantFrom(
      ...'select values in array ( ) [ ] , ; 1 $1 a "b" :: int \'x\' null set_config uescape U&"x" U&\'x\' set prepare as begin explain analyze'.split(
        ' ',
      ),
    ),
    { maxLength: 25 },
  )
  .map((all) => Buffer.from(all.join(' ')));

test('never throws, whatever the bytes are, and reads the next statement as ever', () => {
  fc.assert(
    fc.property(fc.oneof(noise, words), fc.boolean(), (text, escapesInStrings) => {
      reader.analyze(text, { escapesInStrings });
      assert.equal(inWords(reader.analyze('LISTEN x')), 'listen "x"; always');
    }),
    { numRuns: RUNS * 2 },
  );
  assert.equal(reader.parser.faults, 0);
});

test('a template is no longer than its text, but for a blank at each word', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        noise,
        words,
        filled.map((sql) => Buffer.from(sql)),
      ),
      (text) => {
        const template = reader.template(text);
        if (template !== Reading.Unfinished) assert.ok(template.length <= 2 * text.length + 2);
      },
    ),
    { numRuns: RUNS },
  );
});
