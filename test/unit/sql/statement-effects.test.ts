import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import type { Effect } from '../../../src/sql/analysis.js';
import { inWords } from './effect-words.js';
import { StatementReader } from './read-statements.js';
import { statementRows } from './statement-rows.js';

let reader: StatementReader;

before(async () => {
  reader = await StatementReader.load();
});

function effectsOf(sql: string | Buffer, escapesInStrings = false): readonly Effect[] {
  return reader.analyze(sql, { escapesInStrings }).statements.flatMap(({ effects }) => effects);
}

/** The SQL of the settings that a statement changes. */
function settingsOf(sql: string, escapesInStrings = false): readonly string[] {
  return effectsOf(sql, escapesInStrings).flatMap((effect) => (effect.kind === 'set' ? [effect.sql] : []));
}

function shorten(sql: string): string {
  return sql === '' ? 'an empty string' : sql.length > 90 ? `${sql.slice(0, 90)}...` : sql;
}

for (const [group, rows] of Object.entries(statementRows)) {
  for (const [sql, words] of rows) {
    test(`${group}: ${shorten(sql)} -> ${words === '' ? 'nothing' : words}`, () => {
      assert.equal(inWords(reader.analyze(sql)), words);
      // From the cache it is the same.
      assert.equal(inWords(reader.analyze(sql)), words);
    });
  }
}

test('every statement stands once in its group', () => {
  for (const group of Object.values(statementRows)) assert.equal(new Set(group.map(([sql]) => sql)).size, group.length);
  assert.ok(Object.values(statementRows).flat().length > 300);
});

test('a setting is brought back by the statement as it was written, without what stands around it', () => {
  assert.deepEqual(settingsOf("SELECT 1;  /* a */ SET /* b */ app.name = 'A;b' -- c\n ; SELECT 2"), [
    "SET /* b */ app.name = 'A;b'",
  ]);
});

test('statements of one template bring back each its own value', () => {
  assert.deepEqual(settingsOf("SET app.name = 'one'"), ["SET app.name = 'one'"]);
  assert.deepEqual(settingsOf("SET app.name = 'two, and more'"), ["SET app.name = 'two, and more'"]);
  assert.deepEqual(settingsOf("select set_config('a.b','1',false)"), [
    "SELECT pg_catalog.set_config('a.b', '1', false)",
  ]);
  assert.deepEqual(settingsOf("select set_config('c.d','2',false)"), [
    "SELECT pg_catalog.set_config('c.d', '2', false)",
  ]);
});

test('the modes of SET SESSION CHARACTERISTICS become settings with their values', () => {
  assert.deepEqual(
    settingsOf('SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ WRITE, DEFERRABLE'),
    [
      "SET default_transaction_isolation = 'repeatable read'",
      'SET default_transaction_read_only = false',
      'SET default_transaction_deferrable = true',
    ],
  );
});

test('a setting longer than what is kept pins, unless it is gone with the transaction', () => {
  const value = 'x'.repeat(5000);
  assert.deepEqual(effectsOf(`SET app.long = '${value}'`), [{ kind: 'pin', reason: 'setting', name: null }]);
  assert.deepEqual(effectsOf(`SET LOCAL app.long = '${value}'`), []);
});

test('set_config keeps the literals in the form in which they were written', () => {
  assert.deepEqual(settingsOf("SELECT set_config(E'a.b', $q$it's$q$, true), set_config('it''s', E'\\n', false)"), [
    "SELECT pg_catalog.set_config(E'a.b', $q$it's$q$, true)",
    "SELECT pg_catalog.set_config('it''s', E'\\n', false)",
  ]);
});

test('a name of a setting that depends on escapes is not known', () => {
  assert.deepEqual(settingsOf("SELECT set_config('a\\b', 'x', false)"), [
    "SELECT pg_catalog.set_config('a\\b', 'x', false)",
  ]);
  assert.deepEqual(effectsOf("SELECT set_config('a\\b', 'x', false)", true), [
    { kind: 'pin', reason: 'setting', name: null },
  ]);
});

test('PREPARE is kept as it was written, with lists that its template folds', () => {
  const sql = 'PREPARE p AS INSERT INTO t VALUES (1), (2), /* three */ (3)';
  assert.deepEqual(
    effectsOf(`${sql} ; SELECT 1`).map((effect) => (effect.kind === 'prepare' ? effect.sql : effect)),
    [sql],
  );
});

test('names keep their bytes in every encoding', () => {
  const latin = Buffer.from('PREPARE "\xfcber" AS SELECT 1', 'latin1');
  const [prepare] = effectsOf(latin);
  assert.ok(prepare?.kind === 'prepare');
  assert.equal(prepare.name, '\xfcber');
  assert.deepEqual(Buffer.from(prepare.sql, 'latin1'), latin);
  const names = effectsOf('DEALLOCATE "Ünïcode"; DEALLOCATE ÜNI; LISTEN "日本"').map((effect) => {
    if (effect.kind === 'listen') return effect.channel;
    return effect.kind === 'deallocate' ? effect.name : null;
  });
  assert.deepEqual(
    names.map((name) => Buffer.from(name ?? '', 'latin1').toString('utf8')),
    ['Ünïcode', 'Üni', '日本'],
  );
});

test('what stands behind text beyond ASCII is cut at the right place', () => {
  assert.deepEqual(settingsOf("SELECT 'größe', \"日本\" FROM ünï; SET app.name = 'ñ'; SET app.b = 'é'").length, 2);
  const [first, second] = settingsOf("SELECT 'größe', \"日本\" FROM ünï; SET app.name = 'ñ'; SET app.b = 'é'");
  assert.equal(Buffer.from(first ?? '', 'latin1').toString(), "SET app.name = 'ñ'");
  assert.equal(Buffer.from(second ?? '', 'latin1').toString(), "SET app.b = 'é'");
});

test('a name that is too long is cut where PostgreSQL cuts it, also in the middle of text beyond ASCII', () => {
  const [deallocate] = effectsOf(`DEALLOCATE "${'ü'.repeat(40)}"`);
  assert.ok(deallocate?.kind === 'deallocate');
  assert.equal(Buffer.from(deallocate.name ?? '', 'latin1').toString(), 'ü'.repeat(31));
});

test('functions are named once each, by the last part of their names', () => {
  const { statements } = reader.analyze(
    'SELECT a.f(1), "F"(2), f(g(3)), count(*) OVER (), extract(year FROM now()) FROM h(4) WHERE EXISTS (SELECT i(5))',
  );
  assert.deepEqual(new Set(statements[0]?.functions), new Set(['f', 'F', 'g', 'count', 'extract', 'now', 'h', 'i']));
  assert.equal(statements[0]?.functions.length, 8);
});

test('a procedure is named with the functions that make its arguments', () => {
  assert.deepEqual(reader.analyze('CALL s.quiet(f(1))').statements[0]?.functions, ['quiet', 'f']);
});

test('of what does not run now, the functions are not named', () => {
  for (const sql of [
    'CREATE VIEW v AS SELECT f(1)',
    'PREPARE p AS SELECT f(1)',
    'CREATE RULE r AS ON DELETE TO t DO SELECT f(1)',
  ]) {
    assert.deepEqual(reader.analyze(sql).statements[0]?.functions, [], sql);
  }
});

test('one pin is told once, however often its function is called', () => {
  assert.equal(effectsOf('SELECT pg_advisory_lock(1), pg_advisory_lock(2), pg_try_advisory_lock(3)').length, 1);
});

test('backslashes are read as standard_conforming_strings says', () => {
  const sql = "SELECT '\\'; LISTEN x; --'";
  assert.deepEqual(effectsOf(sql), [{ kind: 'listen', channel: 'x' }]);
  assert.deepEqual(effectsOf(sql, true), []);
});

test('a string continued in another line hides what looks like a statement', () => {
  assert.deepEqual(effectsOf("SELECT E'a'\n'\\'; LISTEN x; --'"), []);
});

test('a chain of thousands of operators is read to its end', () => {
  assert.deepEqual(effectsOf(`SELECT 1${' + a'.repeat(2900)} + pg_advisory_lock(1)`), [
    { kind: 'pin', reason: 'advisory_lock', name: null },
  ]);
});

test('a read calls nothing that might change something, locks nothing, and writes nothing within', () => {
  const isRead = (sql: string): boolean | undefined => reader.analyze(sql).statements[0]?.isRead;
  for (const sql of [
    'SELECT a, count(*) FROM t JOIN u USING (id) WHERE b = 1 GROUP BY 1',
    'SELECT pg_catalog.lower(a), now(), gen_random_uuid() FROM t',
    'VALUES (1), (2)',
    'TABLE t',
    'SELECT * FROM t TABLESAMPLE system (1)',
    'COPY t TO STDOUT',
    'SHOW work_mem',
    'EXPLAIN ANALYZE SELECT 1',
    'WITH w AS (SELECT 1) SELECT * FROM w',
  ]) {
    assert.equal(isRead(sql), true, sql);
  }
  for (const sql of [
    'SELECT of_mine(a) FROM t',
    'SELECT * FROM t WHERE nextval($$s$$) > 0',
    'SELECT * FROM t FOR UPDATE',
    'SELECT * FROM (SELECT * FROM t FOR NO KEY UPDATE) AS s',
    'WITH w AS (INSERT INTO t VALUES (1) RETURNING a) SELECT * FROM w',
    'WITH w AS (DELETE FROM t RETURNING a) SELECT 1',
    'SELECT 1 AS a INTO t5',
    'SELECT 1 UNION (SELECT 2 INTO t5)',
    'COPY (SELECT * FROM t FOR SHARE) TO STDOUT',
    'INSERT INTO t VALUES (1)',
    'EXPLAIN ANALYZE DELETE FROM t',
    'SELECT set_config($$a.b$$, $$c$$, false)',
  ]) {
    assert.equal(isRead(sql), false, sql);
  }
});
