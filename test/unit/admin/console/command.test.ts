import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { CommandReader, HELP, SHOWN } from '../../../../src/admin/console/command.js';
import type { Command } from '../../../../src/admin/console/command.js';
import { SwitchyardError } from '../../../../src/errors.js';

function readAll(text: string): Command[] {
  const reader = new CommandReader(text);
  const commands: Command[] = [];
  for (let command = reader.next(); command !== null; command = reader.next()) commands.push(command);
  return commands;
}

function codeOf(text: string): string {
  try {
    readAll(text);
    return 'none';
  } catch (error) {
    return error instanceof SwitchyardError ? error.sqlState : String(error);
  }
}

const action = (name: string, about: string | null = null) => ({ kind: 'action', action: name, name: about });

test('SHOW is read in every case, with and without what SQL allows around it', () => {
  const stats = { kind: 'show', what: 'STATS' };
  for (const text of ['SHOW STATS', 'show stats;', ' sHoW\n\tStats ; ;', '/* a */ show -- b\n stats', 'show "stats"']) {
    assert.deepEqual(readAll(text), [stats], text);
  }
  for (const what of SHOWN) assert.deepEqual(readAll(`show ${what.toLowerCase()}`), [{ kind: 'show', what }]);
  for (const text of ['SHOW HELP', 'help', 'Help;']) assert.deepEqual(readAll(text), [{ kind: 'help' }]);
});

test('commands are read with what they are about', () => {
  for (const verb of ['PAUSE', 'RESUME', 'RECONNECT', 'KILL', 'WAIT_CLOSE']) {
    assert.deepEqual(readAll(verb.toLowerCase()), [action(verb)]);
    assert.deepEqual(readAll(`${verb} my_db`), [action(verb, 'my_db')]);
    assert.deepEqual(readAll(`${verb} "My ""DB"""`), [action(verb, 'My "DB"')]);
  }
  assert.deepEqual(readAll('reload'), [action('RELOAD')]);
  assert.deepEqual(readAll('KILL_CLIENT 17'), [action('KILL_CLIENT', '17')]);
  assert.deepEqual(readAll('disable a-b; enable a-b'), [action('DISABLE', 'a-b'), action('ENABLE', 'a-b')]);
  assert.deepEqual(readAll('drain node1; undrain node1'), [action('DRAIN', 'node1'), action('UNDRAIN', 'node1')]);
  assert.deepEqual(readAll('switchover node2; switchover to node2'), [
    action('SWITCHOVER', 'node2'),
    action('SWITCHOVER', 'node2'),
  ]);
  assert.deepEqual(
    readAll('shutdown; shutdown wait_for_servers; SHUTDOWN WAIT_FOR_CLIENTS').map((each) => Object(each).mode),
    ['now', 'wait_for_servers', 'wait_for_clients'],
  );
});

test('SET takes a value in every form', () => {
  for (const text of ["set pool.size = '5'", 'SET pool.size=5', 'set "pool.size" to 5', 'set session pool.size = 5']) {
    assert.deepEqual(readAll(text), [{ kind: 'set', key: 'pool.size', value: '5' }], text);
  }
  assert.deepEqual(readAll("set auth.query = 'select ''x'''"), [
    { kind: 'set', key: 'auth.query', value: "select 'x'" },
  ]);
  for (const text of ['set a', 'set a =', 'set = 5', 'set a = b c', 'set', "set 'a' = b"]) {
    assert.equal(codeOf(text), '42601', text);
  }
});

test('what drivers set, show and begin by themselves is taken', () => {
  const ignored = [
    "SET client_encoding TO 'UTF8'",
    'set extra_float_digits = 3',
    'SET application_name = x',
    'set local timezone to utc',
  ];
  for (const text of [...ignored, 'SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY']) {
    assert.deepEqual(readAll(text), [{ kind: 'ignored', tag: 'SET' }], text);
  }
  assert.deepEqual(
    readAll('begin; start transaction; commit; end; rollback; abort').map((each) => Object(each).tag),
    ['BEGIN', 'START TRANSACTION', 'COMMIT', 'COMMIT', 'ROLLBACK', 'ROLLBACK'],
  );
  assert.deepEqual(readAll('show transaction isolation level; show TimeZone'), [
    { kind: 'setting', name: 'transaction_isolation', value: 'read committed' },
    { kind: 'setting', name: 'timezone', value: 'GMT' },
  ]);
});

test('EXPLAIN ROUTE takes all that follows', () => {
  assert.deepEqual(readAll("show state; explain route select 1; select ';'"), [
    { kind: 'show', what: 'STATE' },
    { kind: 'explain', database: null, sql: "select 1; select ';'" },
  ]);
  assert.deepEqual(readAll('EXPLAIN ROUTE IN "My DB" select 1'), [
    { kind: 'explain', database: 'My DB', sql: 'select 1' },
  ]);
  for (const text of [
    'explain',
    'explain select 1',
    'explain route',
    'explain route in app',
    "explain route in 'app' x",
  ]) {
    assert.equal(codeOf(text), '42601', text);
  }
});

test('a text without a command has none', () => {
  for (const text of ['', ' ', ';', ' ;; ', '-- ping', '/* ping */;']) assert.deepEqual(readAll(text), [], text);
});

test('what is not understood is answered with all that is', () => {
  for (const text of [
    'x',
    'show',
    'show x',
    'show stats x',
    'pause a b',
    'reload x',
    'kill_client',
    'drain',
    "show 'stats",
    'select 1',
    '§',
  ]) {
    assert.equal(codeOf(text), '42601', text);
  }
  assert.throws(
    () => readAll('frobnicate'),
    (error: SwitchyardError) =>
      HELP.every((line) => error.detail?.includes(line)) && /'frobnicate'/.test(error.message),
  );
});

test('what PgBouncer has and this proxy has not is refused with what to use instead', () => {
  for (const text of ['show peers', 'show peer_pools', 'show dns_hosts', 'show dns_zones', 'show fds', 'suspend']) {
    assert.throws(
      () => readAll(text),
      (error: SwitchyardError) => error.sqlState === '0A000' && error.hint !== null,
      text,
    );
  }
});

test('no text whatever breaks the reader', () => {
  const word = fc.constantFrom(
    'show',
    'set',
    'pause',
    'explain',
    'route',
    'in',
    '"',
    "'",
    ';',
    '=',
    '--',
    '/*',
    '*/',
    'x',
    '\n',
    ' ',
  );
  fc.assert(
    fc.property(fc.array(fc.oneof(word, fc.string()), { maxLength: 12 }), (parts) => {
      assert.match(codeOf(parts.join(' ')), /^(none|42601|0A000)$/);
    }),
  );
});
