import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import * as fc from 'fast-check';
import type { StatementAnalysis } from '../../src/sql/analysis.js';
import { TokenKind } from '../../src/sql/lexer.js';
import { comparableStatement } from '../unit/sql/comparable-analysis.js';
import { corpusRows } from '../unit/sql/corpus/corpus.js';
import { isReplaceable, joinTokens, tokensOf, withEscapeStrings } from '../unit/sql/oracle/mutations.js';
import type { Token } from '../unit/sql/oracle/mutations.js';
import { parseItself } from '../unit/sql/oracle/own-parse.js';
import { sqlFiles, statementsIn } from '../unit/sql/oracle/sql-files.js';
import { StatementReader } from '../unit/sql/read-statements.js';
import { statementRows } from '../unit/sql/statement-rows.js';

const RUNS = 3000;
/** How many statements of a file are also read as one text. */
const AT_ONCE = 7;

let reader: StatementReader;

before(async () => {
  reader = await StatementReader.load();
});

/** Texts of which the program tells more than the parser, or less than is true. */
const exceptions: ReadonlySet<string> = new Set([
  // The value of a string with escapes is never reckoned out.
  "EXPLAIN (ANALYZE E'of\\x66') SELECT 1",
  // In the parser's tree an empty name of a file is none, as if it said STDOUT.
  "COPY orders TO ''",
]);

const texts: readonly string[] = [
  ...corpusRows.map(([sql]) => sql),
  ...Object.values(statementRows)
    .flat()
    .map(([sql]) => sql),
].filter((sql) => sql.length < 1000 && !exceptions.has(sql));

/** The statements as the program tells them; null: it has not read the text. */
function told(text: Buffer, escapesInStrings = false): readonly StatementAnalysis[] | null {
  const { statements, template } = reader.analyze(text, { escapesInStrings });
  return template === null ? null : statements.map(comparableStatement);
}

/** Whether the text is SQL; if so, the program must tell of it what the parser tells of the text itself. */
function agrees(text: Buffer): boolean {
  const own = parseItself(reader.parser, text);
  if (own === null) return false;
  assert.deepEqual(told(text), own.map(comparableStatement), text.toString('latin1'));
  return true;
}

test('what is told of the statements of the corpus is what the parser tells of each text itself', (t) => {
  // Twice: the second time it is told from the cache.
  const accepted = [...texts, ...texts].filter((sql) => agrees(Buffer.from(sql)));
  t.diagnostic(`${accepted.length / 2} of ${texts.length} texts are SQL`);
  assert.ok(accepted.length > texts.length);
});

test('so it is of every statement in the files of SQL on this machine', (t) => {
  const files = sqlFiles();
  let [read, refused, tooLarge] = [0, 0, 0];
  for (const file of files) {
    const statements = statementsIn(file);
    for (const statement of statements) {
      const own = parseItself(reader.parser, statement);
      const found = told(statement);
      if (own === null) refused += 1;
      else if (found === null) tooLarge += 1;
      else {
        read += 1;
        assert.deepEqual(found, own.map(comparableStatement), `${file}: ${statement.toString('latin1')}`);
      }
    }
    for (let at = 0; at < statements.length; at += AT_ONCE) agrees(Buffer.concat(statements.slice(at, at + AT_ONCE)));
  }
  t.diagnostic(
    `${files.length} files: ${read} statements read, ${refused} refused by the parser, ${tooLarge} too large`,
  );
  assert.ok(tooLarge <= read / 1000, 'what is too large is rare');
  assert.ok(refused <= read / 10, 'so is what is no SQL');
});

/** Not empty: the parser's tree does not tell an empty name of a file from none. */
const inside = fc.string({
  unit: fc.constantFrom('a', 'Z', ' ', ';', '--', '/*', '*/', ',', '(', '1', '"', '$'),
  minLength: 1,
  maxLength: 6,
});
const strings = fc.oneof(
  inside.map((text) => `'${text}'`),
  inside.map((text) => `'${text}''s'`),
  inside.map((text) => `E'\\'${text}\\\\'`),
  inside.map((text) => `$q$${text}'$q$`),
  inside.map((text) => `'${text}'\n  '${text}'`),
);
const numbers = fc.oneof(fc.nat({ max: 99 }).map(String), fc.constantFrom('1.5', '.5', '1e3', '99999999999', '0'));
const parameters = fc.integer({ min: 1, max: 9 }).map((number) => `$${number}`);
const blanks = fc.constantFrom(
  ' ',
  '\n',
  '\t ',
  ' /* x */ ',
  '/* /* \' */ " */',
  ' -- "y\n',
  '/*switchyard: primary*/',
);

const replacements: Readonly<Partial<Record<TokenKind, fc.Arbitrary<string>>>> = {
  [TokenKind.String]: strings,
  [TokenKind.Number]: numbers,
  [TokenKind.Parameter]: parameters,
};

/** The same token in other letters, or another literal of its kind. */
function otherToken(token: Token): fc.Arbitrary<string> {
  const other = isReplaceable(token) ? replacements[token.kind] : undefined;
  if (other !== undefined) return other;
  return token.kind === TokenKind.Word
    ? fc.constantFrom(token.text, token.text.toUpperCase(), token.text.toLowerCase())
    : fc.constant(token.text);
}

/** Texts that do not end inside of a token, in one character for each byte, with their tokens. */
const whole = texts.flatMap((text) => {
  const sql = Buffer.from(text).toString('latin1');
  const tokens = tokensOf(sql);
  return tokens === null ? [] : [{ sql, tokens }];
});

/** A text of the corpus, and another one with the same template. */
const twins: fc.Arbitrary<readonly [sql: string, twin: string]> = fc.constantFrom(...whole).chain(({ sql, tokens }) => {
  return fc.tuple(fc.tuple(...tokens.map(otherToken)), fc.infiniteStream(blanks)).map(([others, between]) => [
    sql,
    joinTokens(
      tokens.map((token, at) => ({ ...token, text: others[at] ?? token.text })),
      () => between.next().value ?? ' ',
    ),
  ]);
});

test('texts that differ in literals, letters, comments and white space are told the same, and what the parser tells of each', () => {
  let accepted = 0;
  fc.assert(
    fc.property(twins, ([sql, twin]) => {
      const template = reader.template(Buffer.from(sql, 'latin1'));
      assert.equal(reader.template(Buffer.from(twin, 'latin1')), template);
      // What is kept is of the first text, and must be true of the second.
      reader.analyze(Buffer.from(sql, 'latin1'));
      if (!exceptions.has(twin) && agrees(Buffer.from(twin, 'latin1'))) accepted += 1;
      const kept = reader.cache.get(template);
      if (kept?.kind !== 'analysis') return;
      assert.equal(reader.analyze(Buffer.from(twin, 'latin1')), kept.analysis);
    }),
    { numRuns: RUNS },
  );
  assert.ok(accepted > RUNS / 2, `only ${accepted} texts were SQL`);
});

const items = fc.array(
  fc.oneof(strings, numbers, parameters, fc.constantFrom('NULL', '-1', "'1'::mood", "date 'now'", 'a + 1', 'f(1)')),
  {
    minLength: 1,
    maxLength: 6,
  },
);

test('lists of any length are told as the parser tells them, and lists of constants have one template', () => {
  const skeletons = [
    'SELECT * FROM t WHERE a IN («»)',
    'SELECT * FROM t WHERE (a, b) NOT IN ((«»), («»)) OR c = ANY (ARRAY[«»])',
    'SELECT * FROM (VALUES («»), («»)) v (a, b) WHERE a IN («»)',
    'COPY (SELECT 1 WHERE a IN («»)) TO STDOUT',
    'WITH w AS (VALUES («»)) SELECT * FROM w, ROWS FROM (f(«»)) g',
  ];
  fc.assert(
    fc.property(fc.constantFrom(...skeletons), fc.array(items, { minLength: 3, maxLength: 3 }), (skeleton, lists) => {
      const all = [...lists];
      agrees(Buffer.from(skeleton.replaceAll('«»', () => (all.shift() ?? ['1']).join(', '))));
    }),
    { numRuns: RUNS },
  );
  const constants = fc.array(fc.oneof(strings, numbers, parameters, fc.constantFrom('NULL', '-1', "'1'::int")), {
    minLength: 1,
  });
  fc.assert(
    fc.property(constants, (list) => {
      assert.equal(reader.template(`SELECT a IN (${list.join(', ')})`), "select a in('?')");
    }),
    { numRuns: RUNS / 10 },
  );
});

const backslashed = fc.constantFrom(
  "'\\'",
  "'\\\\'",
  "'a\\'b'",
  "N'\\''",
  "E'\\''",
  "'\\''",
  "'it''s'",
  "'x\\'\n'y\\''",
  "$q$\\'$q$",
);

test('with standard_conforming_strings off strings end where their escapes say', () => {
  const skeletons = [
    'SELECT «»',
    'SELECT «» ; DELETE FROM t',
    "SELECT 'a' || «» FROM f(1) -- '",
    'COPY (SELECT «») TO STDOUT',
  ];
  let accepted = 0;
  fc.assert(
    fc.property(fc.constantFrom(...skeletons), backslashed, backslashed, (skeleton, first, second) => {
      const sql = skeleton.replace('«»', () => `${first}, ${second}`);
      const standard = withEscapeStrings(sql);
      if (standard === null) assert.equal(told(Buffer.from(sql), true), null, sql);
      const own = standard === null ? null : parseItself(reader.parser, Buffer.from(standard));
      if (own === null) return;
      accepted += 1;
      assert.deepEqual(told(Buffer.from(sql), true), own.map(comparableStatement), sql);
    }),
    { numRuns: RUNS / 3 },
  );
  assert.ok(accepted > RUNS / 10, `only ${accepted} texts were SQL`);
});

const vocabulary =
  `select from with recursive as ( ) [ ] , ; . : :: * + - 1 $1 'a' $$a$$ E'\\'' "b" t f(1) insert into update set delete values in ` +
  'array union all for share copy to stdout explain analyze true 0 over window limit order by using prepare execute begin read only ' +
  'declare cursor do call null default case when end cast exists lateral tablesample join on natural';
const words = fc.constantFrom(...vocabulary.split(' '));

/** Texts of the corpus with tokens left out, put in, doubled and changed for others. */
const broken = fc.constantFrom(...whole).chain(({ tokens }) => {
  const change = fc.record({
    at: fc.nat({ max: tokens.length }),
    length: fc.nat({ max: 2 }),
    words: fc.array(words, { maxLength: 2 }),
  });
  return fc.array(change, { minLength: 1, maxLength: 3 }).map((changes) => {
    const all = tokens.map((token) => token.text);
    for (const { at, length, words: others } of changes) all.splice(at, length, ...others);
    return Buffer.from(all.join(' '), 'latin1');
  });
});
const noise = fc
  .array(fc.oneof(words, fc.constantFrom(...`'"$-/*\\;&.,()[]:eEuUnbBxX01_ \n\té`)), { maxLength: 40 })
  .chain((parts) => fc.constantFrom('', ' ').map((blank) => Buffer.from(parts.join(blank))));
const bytes = fc.uint8Array({ min: 1, maxLength: 60 }).map((all) => Buffer.from(all));

test('whatever the text is, nothing throws, and nothing is a read that the parser does not tell to be one', (t) => {
  let accepted = 0;
  let runs = 0;
  fc.assert(
    fc.property(fc.oneof({ weight: 4, arbitrary: broken }, noise, bytes), fc.boolean(), (text, escapesInStrings) => {
      runs += 1;
      reader.analyze(text, { escapesInStrings });
      if (agrees(text)) accepted += 1;
    }),
    { numRuns: RUNS * 4 },
  );
  t.diagnostic(`${accepted} of ${runs} texts were SQL`);
  assert.ok(accepted > runs / 20, 'some of it is SQL');
  assert.equal(reader.parser.faults, 0);
});
