import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { Access, Repeat } from '../../../src/sql/analysis.js';
import type { Effect, StatementAnalysis } from '../../../src/sql/analysis.js';
import { StatementReader } from './read-statements.js';

let reader: StatementReader;

before(async () => {
  reader = await StatementReader.load();
});

function read(sql: string, escapesInStrings = false): StatementAnalysis {
  const [statement, another] = reader.analyze(sql, { escapesInStrings }).statements;
  assert.ok(statement !== undefined && another === undefined, sql);
  return statement;
}

function effectOf(sql: string, escapesInStrings = false): Effect | undefined {
  return read(sql, escapesInStrings).effects[0];
}

const accessRows: Readonly<Record<Access, readonly string[]>> = {
  [Access.Read]: [
    'SELECT 1',
    'TABLE t',
    'VALUES (1)',
    'EXPLAIN SELECT 1',
    'COPY t TO STDOUT',
    'COPY (TABLE t) TO STDOUT',
  ],
  [Access.RowLock]: [
    'SELECT 1 FROM t FOR KEY SHARE',
    'EXPLAIN SELECT 1 FROM t FOR UPDATE',
    'COPY (SELECT 1 FROM t FOR SHARE) TO STDOUT',
  ],
  [Access.Write]: [
    'INSERT INTO t VALUES (1)',
    'WITH w AS (DELETE FROM t) SELECT 1 FROM u FOR UPDATE',
    'COPY (DELETE FROM t RETURNING 1) TO STDOUT',
  ],
  [Access.Into]: [
    'SELECT 1 INTO t',
    'SELECT 1 UNION (SELECT 1 INTO t)',
    'EXPLAIN SELECT 1 INTO t',
    'SELECT 1 INTO t FROM u FOR UPDATE',
  ],
  [Access.Transaction]: ['BEGIN', 'COMMIT', 'SAVEPOINT a', "PREPARE TRANSACTION 'a'"],
  [Access.Session]: [
    'SET a.b = 1',
    'RESET ALL',
    'PREPARE p AS DELETE FROM t',
    'DECLARE c CURSOR FOR SELECT 1',
    'FETCH c',
    'DISCARD ALL',
    "LOAD 'x'",
    'SET CONSTRAINTS ALL DEFERRED',
  ],
  [Access.Show]: ['SHOW a.b'],
  [Access.ExplainAnalyze]: [
    'EXPLAIN ANALYZE SELECT 1',
    'EXPLAIN ANALYZE DELETE FROM t',
    'EXPLAIN (ANALYZE bogus) SELECT 1',
    'EXPLAIN (ANALYZE) EXECUTE p',
  ],
  [Access.Execute]: ['EXECUTE p', 'EXPLAIN EXECUTE p'],
  [Access.Definition]: [
    'CREATE TABLE t ()',
    'DROP TABLE t',
    'ALTER TABLE t ADD a int',
    'CREATE TABLE t AS EXECUTE p',
    'CREATE VIEW v AS SELECT 1',
    'GRANT a TO b',
    'CREATE INDEX ON t (a)',
    'IMPORT FOREIGN SCHEMA a FROM SERVER b INTO c',
    'REASSIGN OWNED BY a TO b',
    "SECURITY LABEL ON TABLE t IS 'x'",
    'CREATE AGGREGATE a (*) (sfunc = b, stype = int)',
    'CREATE TYPE t AS (a int)',
    'CREATE RULE r AS ON DELETE TO t DO NOTHING',
  ],
  [Access.Utility]: [
    'VACUUM',
    'LOCK t',
    'TRUNCATE t',
    'CALL p()',
    "DO 'x'",
    'NOTIFY a',
    'COPY t FROM STDIN',
    "COPY t TO 'x'",
    "COPY t TO PROGRAM 'x'",
    'REFRESH MATERIALIZED VIEW v',
    'REINDEX TABLE t',
    'CHECKPOINT',
    'CLUSTER',
  ],
  [Access.Unknown]: ['selec 1', "SELECT 'a", 'CREATE'],
};

for (const [access, statements] of Object.entries(accessRows)) {
  for (const sql of statements) {
    test(`${sql} is ${access}`, () => {
      assert.equal(read(sql).access, access);
    });
  }
}

test('a statement is one for each that is prepared or explained', () => {
  const [prepare] = read('PREPARE p AS SELECT f(1) FROM t FOR UPDATE').effects;
  assert.ok(prepare?.kind === 'prepare');
  assert.equal(prepare.prepared.access, Access.RowLock);
  assert.deepEqual(prepare.prepared.names.functions, [{ schema: null, name: 'f' }]);
});

test('COPY to the client is a query as the one in it is; any other COPY is its client to run again', () => {
  for (const sql of ['COPY t TO STDOUT', 'COPY (SELECT 1) TO STDOUT', 'COPY (SELECT now()) TO STDOUT (FORMAT csv)']) {
    const { isQuery, isRead, repeat } = read(sql);
    assert.deepEqual([isQuery, isRead, repeat], [true, true, Repeat.IfRolledBack], sql);
  }
  for (const sql of ['COPY (SELECT f(1)) TO STDOUT', 'COPY (SELECT 1 FROM t FOR UPDATE) TO STDOUT']) {
    const { isQuery, isRead, repeat } = read(sql);
    assert.deepEqual([isQuery, isRead, repeat], [true, false, Repeat.IfRolledBack], sql);
  }
  for (const sql of ['COPY (DELETE FROM t RETURNING 1) TO STDOUT', 'COPY t FROM STDIN']) {
    const { isQuery, isRead, repeat } = read(sql);
    assert.deepEqual([isQuery, isRead, repeat], [false, false, Repeat.ByClient], sql);
  }
  for (const sql of ["COPY t TO 'a'", "COPY t TO PROGRAM 'a'", "COPY t FROM 'a'", "COPY (SELECT 1) TO 'a'"]) {
    const { isQuery, isRead, repeat } = read(sql);
    assert.deepEqual([isQuery, isRead, repeat], [false, false, Repeat.Never], sql);
  }
});

test('a file is told from the client, whatever its name, also from the cache', () => {
  for (let i = 0; i < 2; i += 1) {
    assert.equal(read("COPY t TO 'stdout'").access, Access.Utility);
    assert.equal(read("COPY t TO ''").access, Access.Utility);
    assert.equal(read('COPY t TO STDOUT').access, Access.Read);
    assert.equal(read('COPY t TO $$/a/b$$').access, Access.Utility);
  }
});

const beginRows: readonly (readonly [sql: string, isReadOnly: boolean | null, isolation: string | null])[] = [
  ['BEGIN', null, null],
  ['START TRANSACTION', null, null],
  ['BEGIN READ ONLY', true, null],
  ['BEGIN WORK READ WRITE', false, null],
  ['BEGIN READ ONLY, READ WRITE', false, null],
  ['BEGIN READ WRITE, READ ONLY', false, null],
  ['BEGIN NOT DEFERRABLE', null, null],
  ['BEGIN ISOLATION LEVEL READ UNCOMMITTED', null, 'read uncommitted'],
  ['BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY', true, 'repeatable read'],
  ['START TRANSACTION ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE', true, 'serializable'],
  ['START TRANSACTION ISOLATION LEVEL SERIALIZABLE, ISOLATION LEVEL READ COMMITTED', null, 'serializable'],
];

for (const [sql, isReadOnly, isolation] of beginRows) {
  test(`${sql} says ${String(isReadOnly)} and ${String(isolation)}`, () => {
    assert.deepEqual(effectOf(sql), { kind: 'begin', isReadOnly, isolation });
  });
}

test('modes of the present transaction are told, in whatever way they are set', () => {
  const none = { kind: 'set_transaction', isReadOnly: null, isolation: null, hasSnapshot: false };
  for (const [sql, expected] of [
    ['SET TRANSACTION READ ONLY', { isReadOnly: true }],
    ['SET TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ WRITE', { isReadOnly: false, isolation: 'serializable' }],
    ["SET TRANSACTION SNAPSHOT 'x'", { hasSnapshot: true }],
    ["SET transaction_isolation = 'Serializable'", { isolation: 'serializable' }],
    ['SET LOCAL transaction_read_only TO off', { isReadOnly: false }],
    ['SET transaction_read_only = 1', { isReadOnly: true }],
    ['SET transaction_deferrable = on', {}],
    ["SELECT set_config('transaction_read_only', 'f', true)", { isReadOnly: false }],
  ] as const) {
    assert.deepEqual(effectOf(sql), { ...none, ...expected }, sql);
  }
});

const valueRows: readonly (readonly [sql: string, value: string | null])[] = [
  ["SET switchyard.route = 'primary'", 'primary'],
  ['SET switchyard.route = standby', 'standby'],
  ['SET Switchyard.Route TO Standby', 'standby'],
  ['SET switchyard.route = "Standby"', 'Standby'],
  ['SET SESSION switchyard.explain = on', 'on'],
  ['SET LOCAL switchyard.explain = true', 'true'],
  ["SET switchyard.fence = '16/B374D848'", '16/B374D848'],
  ["SET switchyard.fence = ''", ''],
  ['SET switchyard.fence = $$16/B374D848$$', '16/B374D848'],
  ["SET switchyard.fence = E'it''s'", "it's"],
  ['SET switchyard.x = 15', '15'],
  ['SET switchyard.x = 1.5', '1.5'],
  ['SET switchyard.x = -1', null],
  ["SET switchyard.x = 'a', 'b'", null],
  ["SET switchyard.x = E'\\x41'", null],
  ["SELECT set_config('switchyard.route', 'primary', false)", 'primary'],
  ["SELECT set_config('Switchyard.Route', E'\\x41', false)", null],
  ['SET default_transaction_read_only = on', 'on'],
  ["SET default_transaction_read_only TO 'TRUE'", 'TRUE'],
  ["SET default_transaction_isolation = 'serializable'", 'serializable'],
  ['SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY', 'true'],
  ['SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE', 'false'],
  ['SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ', 'repeatable read'],
  ["SET app.name = 'x'", null],
  ['SET work_mem = 64', null],
  ['SET switchyard = 1', null],
];

for (const [sql, value] of valueRows) {
  test(`the value in ${sql} is ${value === null ? 'not told' : JSON.stringify(value)}`, () => {
    for (let i = 0; i < 2; i += 1) {
      const effect = effectOf(sql);
      assert.ok(effect?.kind === 'set');
      assert.equal(effect.value, value);
    }
  });
}

test('texts of one template set each its own value', () => {
  for (const value of ['primary', 'standby', 'split']) {
    const effect = effectOf(`SET switchyard.route = '${value}'`);
    assert.ok(effect?.kind === 'set');
    assert.equal(effect.value, value);
  }
});

test('a backslash in a value counts as standard_conforming_strings says', () => {
  for (const [escapes, value] of [
    [false, 'a\\b'],
    [true, null],
  ] as const) {
    const effect = effectOf("SET switchyard.x = 'a\\b'", escapes);
    assert.ok(effect?.kind === 'set');
    assert.equal(effect.value, value);
  }
});

test('SHOW names its setting in lower case; nothing else does', () => {
  for (const [sql, name] of [
    ['SHOW switchyard.fence', 'switchyard.fence'],
    ['SHOW "Switchyard.Fence"', 'switchyard.fence'],
    ['SHOW Work_Mem', 'work_mem'],
    ['SHOW ALL', 'all'],
    ['SHOW TIME ZONE', 'timezone'],
    ['SHOW TRANSACTION ISOLATION LEVEL', 'transaction_isolation'],
    ['SHOW SESSION AUTHORIZATION', 'session_authorization'],
    ["SELECT current_setting('switchyard.fence')", null],
    ['SET switchyard.fence = 1', null],
    ['RESET switchyard.fence', null],
  ] as const) {
    assert.equal(read(sql).show, name, sql);
  }
});

const analyzeRows: readonly (readonly [options: string, runs: boolean])[] = [
  ['', false],
  ['ANALYZE', true],
  ['ANALYSE', true],
  ['analyze VERBOSE', true],
  ['VERBOSE', false],
  ['(ANALYZE)', true],
  ['(COSTS off, ANALYZE)', true],
  ['(ANALYZE on)', true],
  ['(ANALYZE off)', false],
  ['(ANALYZE TRUE)', true],
  ['(ANALYZE False)', false],
  ['(ANALYZE "off")', false],
  ["(ANALYZE 'off')", false],
  ["(ANALYZE E'off')", false],
  ['(ANALYZE $$False$$)', false],
  ["(ANALYZE 'on')", true],
  ["(ANALYZE 'no')", true],
  ['(ANALYZE 1)', true],
  ['(ANALYZE 0)', false],
  ['(ANALYZE 00)', false],
  ['(ANALYZE -0)', true],
  ['(ANALYZE 0.0)', true],
  ['(ANALYZE 2)', true],
  ['(ANALYZE, ANALYZE off)', false],
  ['(ANALYZE off, ANALYZE)', true],
  ["(ANALYZE 'off', ANALYZE 'on')", true],
  ["(ANALYZE 'on', ANALYZE 'off')", false],
];

for (const [options, runs] of analyzeRows) {
  test(`EXPLAIN ${options} ${runs ? 'runs its statement, or is refused' : 'runs nothing'}`, () => {
    for (let i = 0; i < 2; i += 1) {
      const { access, repeat } = read(`EXPLAIN ${options} DELETE FROM t`);
      assert.equal(access, runs ? Access.ExplainAnalyze : Access.Write);
      assert.equal(repeat, runs ? Repeat.IfRolledBack : Repeat.Always);
    }
  });
}

test('the template is that of the text; what is not read has none', () => {
  assert.equal(reader.analyze("SELECT  A, 'b' FROM T -- c").template, "select a,'?' from t");
  assert.equal(reader.analyze("SET a.b = 'c'").template, "set a.b='?'");
  assert.equal(
    reader.analyze('CREATE TABLE t (a int ARRAY[4])').template,
    reader.template('CREATE TABLE t (a int ARRAY[4])'),
  );
  for (const sql of ['selec 1', "SELECT 'a", `SELECT ${'('.repeat(600)}1${')'.repeat(600)}`]) {
    assert.equal(reader.analyze(sql).template, null);
  }
});
