import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { PinReason } from '../../../src/sql/pin-reason.js';
import { TreeAnalyzer } from '../../../src/sql/sql-analyzer.js';
import { SqlParser } from '../../../src/sql/sql-parser.js';
import { VerdictCache } from '../../../src/sql/verdict-cache.js';
import { inWords } from './effect-words.js';
import { plainFacts, StatementReader } from './read-statements.js';

let parser: SqlParser;

before(async () => {
  parser = await SqlParser.load();
});

interface Reader {
  readonly cache: VerdictCache;
  readonly read: (text: string | Buffer, clientEncoding?: string, escapesInStrings?: boolean) => string;
}

function open(): Reader {
  const cache = new VerdictCache();
  const analyzer = new TreeAnalyzer(parser, cache);
  return {
    cache,
    read: (text, clientEncoding = 'UTF8', escapesInStrings = false) => {
      const bytes = Buffer.from(text);
      return inWords(analyzer.analyze(bytes, 0, bytes.length, { clientEncoding, escapesInStrings }));
    },
  };
}

const unknown = `pin ${PinReason.UnknownStatement}; never`;

test('texts that differ in literals, lists, case, white space and comments are parsed once', () => {
  const { cache, read } = open();
  for (const text of [
    'SELECT a FROM t WHERE b IN (1, 2) AND c = 5',
    'select a from t where b in ($1) and c=-- x\n7',
    "Select A\nFrom T Where B In ('x', NULL, 'z') And C = 1.5e3",
  ]) {
    assert.equal(read(text), 'query; if_rolled_back');
  }
  assert.deepEqual([cache.hits, cache.misses, cache.size], [2, 1, 1]);
});

test('statements of one analysis are shared, not made again', async () => {
  const { analyzer } = await StatementReader.load();
  const read = (text: string): unknown => analyzer.analyze(Buffer.from(text), 0, text.length, plainFacts);
  assert.equal(read('SELECT 1'), read('SELECT 2'));
});

test('where a literal matters the template is kept, and each text is read', () => {
  const { cache, read } = open();
  assert.equal(read("SELECT set_config('a.b', 'x', false)"), 'set "a.b"; query; if_rolled_back');
  assert.equal(read("SELECT set_config('c.d', 'x', false)"), 'set "c.d"; query; if_rolled_back');
  assert.equal(
    read("SELECT set_config('transaction_isolation', 'serializable', false)"),
    'set transaction serializable; query; if_rolled_back',
  );
  assert.deepEqual([cache.hits, cache.misses], [2, 1]);
});

test('a template that is no SQL though its text is one is read from the text', () => {
  const { cache, read } = open();
  assert.equal(read('CREATE TEMP TABLE t (a int ARRAY[4])'), 'pin temporary_object "t"; by_client');
  assert.equal(cache.size, 1);
  assert.equal(read('CREATE TEMP TABLE t (a int ARRAY[5])'), 'pin temporary_object "t"; by_client');
  assert.equal(cache.hits, 1);
});

test('where a literal matters too, such a text is read anew each time', async () => {
  const { analyzer } = await StatementReader.load();
  for (const value of ["'one'", "'two'"]) {
    const text = Buffer.from(`CREATE TABLE t (a int ARRAY[4]); SET app.name = ${value}`);
    const { statements } = analyzer.analyze(text, 0, text.length, plainFacts);
    assert.deepEqual(statements[1]?.effects, [
      { kind: 'set', name: 'app.name', sql: `SET app.name = ${value}`, isLocal: false, value: null },
    ]);
  }
});

test('what the grammar refuses is one statement of unknown effect, and says nothing about others of its template', () => {
  const { cache, read } = open();
  for (const text of [
    'selec 1',
    'SELECT 1; selec 1',
    "SELECT 'a",
    'SELECT (',
    'CREATE TEMP TABLE t (a int ARRAY[x])',
  ]) {
    assert.equal(read(text), unknown, text);
  }
  assert.equal(cache.size, 0);
});

test('what is too large for the parser is not repeated, and pins', () => {
  const { cache, read } = open();
  const columns = Array.from({ length: 20_000 }, (_, i) => `c${i}`).join(', ');
  assert.equal(read(`SELECT ${columns} FROM t`), `pin ${PinReason.StatementTooLarge}; never`);
  assert.equal(read(`SELECT ${'('.repeat(600)}1${')'.repeat(600)}`), `pin ${PinReason.StatementTooLarge}; never`);
  assert.equal(cache.size, 0);
});

test('a list of any length is not too large', () => {
  const { read } = open();
  const list = Array.from({ length: 50_000 }, (_, i) => i).join(',');
  assert.equal(read(`SELECT a FROM t WHERE b IN (${list})`), 'query; if_rolled_back');
});

test('in an encoding whose bytes may look like ASCII only ASCII is read', () => {
  const { read } = open();
  for (const encoding of ['SJIS', 'BIG5', 'GBK', 'UHC', 'GB18030', 'JOHAB', 'SHIFT_JIS_2004']) {
    assert.equal(read("SELECT 'a'", encoding), 'query; if_rolled_back');
    assert.equal(read(Buffer.from("SELECT '\x83\x5c'", 'latin1'), encoding), `pin ${PinReason.ClientEncoding}; never`);
    assert.equal(read('LISTEN é', encoding), `pin ${PinReason.ClientEncoding}; never`);
  }
});

test('in other encodings every byte beyond ASCII is a letter', () => {
  const { read } = open();
  for (const encoding of ['UTF8', 'LATIN1', 'EUC_JP', 'SQL_ASCII', 'WIN1251']) {
    assert.equal(read(Buffer.from('LISTEN \xe4\xff', 'latin1'), encoding), 'listen "\xe4\xff"; always');
  }
});

test('backslashes in strings are read as standard_conforming_strings says, also from the cache', () => {
  const { read } = open();
  for (let i = 0; i < 2; i += 1) {
    assert.equal(read("SELECT '\\'; LISTEN x; --'"), 'query; if_rolled_back | listen "x"; always');
    assert.equal(read("SELECT '\\'; LISTEN x; --'", 'UTF8', true), 'query; if_rolled_back');
    assert.equal(read("SELECT set_config('a', '\\'', false)", 'UTF8', true), 'set "a"; query; if_rolled_back');
    assert.equal(
      read("CREATE TEMP TABLE t (a int ARRAY[4] DEFAULT '\\'')", 'UTF8', true),
      'pin temporary_object "t"; by_client',
    );
  }
});

test('without a parser every statement that is not known yet is of unknown effect, and nothing is kept', async () => {
  const broken = await SqlParser.load();
  const cache = new VerdictCache();
  const analyzer = new TreeAnalyzer(broken, cache);
  const read = (text: string): string => inWords(analyzer.analyze(Buffer.from(text), 0, text.length, plainFacts));
  assert.equal(read('SELECT 1'), 'query; if_rolled_back');
  const chain = Buffer.from(`SELECT 1${'+1'.repeat(30_000)}`);
  assert.equal(broken.parse(chain, 0, chain.length).kind, 'not_read');
  assert.equal(read('SELECT 2'), 'query; if_rolled_back');
  assert.equal(read('SELECT a'), unknown);
  assert.equal(cache.size, 1);
});

test('no template that is let through breaks the parser', () => {
  const { read } = open();
  const before = parser.faults;
  const repeat = (part: string, tokens: number): string => part.repeat(Math.floor(5800 / tokens));
  for (const text of [
    `SELECT 1${repeat('+1', 2)}`,
    `SELECT 1${repeat(' AT LOCAL', 2)}`,
    `SELECT 1${repeat(' COLLATE a', 2)}`,
    `SELECT 1${repeat(' UNION SELECT 1', 3)}`,
    `SELECT 1${repeat('::a', 3)}`,
    `SELECT 1 FROM a${repeat(' CROSS JOIN b', 3)}`,
    `SELECT ${repeat('NOT ', 1)}a`,
    `SELECT ${repeat('- ', 1)}a`,
    `SELECT ${repeat('CASE WHEN a THEN ', 5)}1${repeat(' END', 5)}`,
    `SELECT ${'(SELECT '.repeat(490)}1${')'.repeat(490)}`,
    `SELECT ${'EXISTS(SELECT '.repeat(490)}1${')'.repeat(490)}`,
    `SELECT ${'f('.repeat(490)}1${')'.repeat(490)}`,
  ]) {
    assert.notEqual(read(text), '', text.slice(0, 30));
  }
  assert.equal(parser.faults, before);
});
