import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FaultProxy } from '../support/fault-proxy.js';
import { waitFor } from '../support/processes.js';
import type { RawClient } from '../support/raw-client.js';
import { frontend, message } from '../support/raw-messages.js';
import { TIMEOUT_MS } from './core-lab.js';
import { explained, run, splitCluster, startSplit, went } from './split-lab.js';

const cluster = splitCluster([
  `create function setting(name text) returns text stable language sql as $$ select current_setting(name, true) $$`,
  'create role reader',
  'grant reader to app',
  'grant select on items to reader',
  'create schema hidden',
  'create schema other',
  `create table hidden.here_too(what text)`,
  `create table other.here_too(what text)`,
  `insert into hidden.here_too values ('hidden')`,
  `insert into other.here_too values ('other')`,
  'grant usage on schema hidden, other to app, reader',
  'grant select on all tables in schema hidden, other to app, reader',
  `create function who() returns text stable language sql as $$ select current_user::text $$`,
]);

const { parse, bind, execute, sync } = frontend;

/** What a read on a standby says. */
async function onStandby(client: RawClient, expression: string): Promise<string | null | undefined> {
  const [[node, value] = []] = await client.rows(`select here(), ${expression}`);
  assert.notEqual(node, 'node1', expression);
  return value;
}

const setting = (name: string): string => `setting('${name}')`;

/** What is set, and what a read is to see of it. */
const settings: readonly (readonly [name: string, value: string, seen: string])[] = [
  ['timezone', "'Asia/Kathmandu'", 'Asia/Kathmandu'],
  ['application_name', "'reports ''nightly'''", "reports 'nightly'"],
  ['work_mem', "'7MB'", '7MB'],
  ['datestyle', "'SQL, DMY'", 'SQL, DMY'],
  ['statement_timeout', '30000', '30s'],
  ['app.tenant', "'4711'", '4711'],
  ['extra_float_digits', '0', '0'],
  ['bytea_output', "'escape'", 'escape'],
  ['search_path', 'other, public', 'other, public'],
  ['default_transaction_read_only', 'off', 'off'],
];

test('what is set on the primary is there on the standby, and gone when it is reset', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await proxy.login('eventual');
  for (const [name, value, seen] of settings) {
    const before = await onStandby(client, setting(name));
    await run(client, `set ${name} to ${value}`);
    assert.equal(await onStandby(client, setting(name)), seen, name);
    await run(client, `reset ${name}`);
    // A setting of an unknown name stays, empty.
    const after = await onStandby(client, setting(name));
    assert.equal(after, name === 'app.tenant' ? '' : before, name);
  }
  const rows = `select here(), ${settings.map(([name]) => setting(name)).join(', ')}`;
  for (const end of ['reset all', 'discard all']) {
    const before = (await client.rows(rows))[0];
    for (const [name, value] of settings) await run(client, `set ${name} to ${value}`);
    const [[node, ...seen] = []] = await client.rows(rows);
    assert.notEqual(node, 'node1');
    assert.deepEqual(
      seen,
      settings.map(([, , each]) => each),
    );
    await run(client, end);
    const [after] = await client.rows(rows);
    assert.deepEqual(after, before, end);
  }
});

test('set_config and the extended protocol set as SET does', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await explained(proxy, 'eventual');
  assert.deepEqual(went(await client.query(`select set_config('app.a', 'one', false)`)), [
    'primary (volatile_function)',
  ]);
  assert.equal(await onStandby(client, setting('app.a')), 'one');
  await client.unit(parse('select set_config($1, $2, false)'), bind({ values: ['app.a', 'two'] }), execute(), sync());
  assert.equal((await client.query(`select here(), ${setting('app.a')}`)).rows[0]?.[1], 'two');
  await client.extended(`set app.a to 'three'`);
  assert.equal((await client.extended(`select here(), ${setting('app.a')}`)).rows[0]?.[1], 'three');
  await run(client, `select set_config('app.a', 'four', true)`);
  assert.equal((await client.query(`select here(), ${setting('app.a')}`)).rows[0]?.[1], 'three');
});

test('a SET holds as long as its transaction lets it', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await proxy.login('eventual');
  const work = setting('work_mem');
  await run(client, "set work_mem to '5MB'");
  assert.equal(await onStandby(client, work), '5MB');
  await run(client, 'begin', "set work_mem to '6MB'", 'rollback');
  assert.equal(await onStandby(client, work), '5MB');
  await run(client, 'begin', "set local work_mem to '7MB'", 'commit');
  assert.equal(await onStandby(client, work), '5MB');
  await run(client, 'begin', 'savepoint a', "set work_mem to '8MB'", 'rollback to a', 'commit');
  assert.equal(await onStandby(client, work), '5MB');
  await run(client, 'begin', "set work_mem to '9MB'", 'commit');
  assert.equal(await onStandby(client, work), '9MB');
  assert.equal((await client.query("set work_mem to '1MB'; select 1/0")).error?.code, '22012');
  assert.equal(await onStandby(client, work), '9MB');
  await run(client, 'begin', 'reset work_mem', 'rollback');
  assert.equal(await onStandby(client, work), '9MB');
  // In a read only transaction, which a SET LOCAL takes to the primary.
  await run(client, 'begin read only', "set local work_mem to '3MB'");
  assert.deepEqual(await client.rows(`select here(), ${work}`), [['node1', '3MB']]);
  await run(client, 'commit');
  assert.equal(await onStandby(client, work), '9MB');
  // In one that is on a standby already.
  await run(client, 'begin read only', 'select 1', "set work_mem to '2MB'");
  assert.equal(await onStandby(client, work), '2MB');
  await run(client, 'commit');
  assert.equal(await onStandby(client, work), '2MB');
  assert.deepEqual(await client.rows(`/* switchyard: primary */ select here(), ${work}`), [['node1', '2MB']]);
  await run(client, 'begin read only', 'select 1', "set work_mem to '4MB'", 'rollback');
  assert.equal(await onStandby(client, work), '2MB');
});

test('roles, search paths and encodings are the same wherever a statement runs', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await proxy.login('eventual');
  assert.equal(await onStandby(client, 'who()'), 'app');
  await run(client, 'set role reader');
  assert.equal(await onStandby(client, 'who()'), 'reader');
  assert.equal((await client.query('select * from notes')).error?.code, '42501');
  assert.equal((await client.query("insert into notes(note) values ('x')")).error?.code, '42501');
  await run(client, 'reset role');
  assert.equal(await onStandby(client, 'who()'), 'app');
  for (const path of ['hidden', 'other']) {
    await run(client, `set search_path to ${path}, public`);
    assert.equal(await onStandby(client, 'what from here_too'), path);
    // Prepared there, it is bound to what it meant then only in the plan: PostgreSQL reads the name anew.
    await client.unit(parse('select here(), what from here_too', { name: path }), sync());
  }
  await run(client, 'set search_path to hidden, public');
  for (const name of ['hidden', 'other']) {
    const reply = await client.unit(bind({ statement: name }), execute(), sync());
    assert.deepEqual([reply.rows[0]?.[0] === 'node1', reply.rows[0]?.[1]], [false, 'hidden'], name);
  }
  await run(client, 'reset search_path');
  assert.equal((await client.query('select what from here_too')).error?.code, '42P01');
  await run(client, "set client_encoding to 'LATIN1'");
  const reply = await client.unit(message('Q', Buffer.from("select here(), length('\xe4\xf6'), '\xe4'\0", 'latin1')));
  const [row] = reply.messages.filter(({ type }) => type === 'D');
  assert.deepEqual([reply.rows[0]?.[1], row?.body.subarray(-1).toString('latin1')], ['2', '\xe4']);
  assert.notEqual(reply.rows[0]?.[0], 'node1');
  assert.equal(client.parameters.get('client_encoding'), 'LATIN1');
  await run(client, "set client_encoding to 'UTF8'");
  assert.equal(await onStandby(client, `'ä'`), 'ä');
});

test('the client hears of a changed parameter once, and of nothing that only a change of node would change', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await proxy.login('eventual');
  const heard: string[] = [];
  const ask = async (text: string): Promise<void> => {
    const { messages, error } = await client.query(text);
    assert.equal(error, null);
    for (const { type, body } of messages)
      if (type === 'S') heard.push(body.toString('utf8').replaceAll('\0', ' ').trim());
  };
  const greeted = [...client.parameters];
  for (const text of [
    'select 1',
    'delete from notes where false',
    'select 2',
    'begin',
    'select 1',
    'commit',
    'select 3',
  ])
    await ask(text);
  assert.deepEqual(heard, []);
  assert.deepEqual([...client.parameters], greeted);
  assert.equal(client.parameters.get('in_hot_standby'), 'off');
  await ask(`set timezone to 'Asia/Tokyo'`);
  for (let n = 0; n < 3; n += 1) {
    await ask('select 1');
    await ask('delete from notes where false');
  }
  assert.deepEqual(heard, ['TimeZone Asia/Tokyo']);
  await ask('reset timezone');
  await ask('select 1');
  assert.equal(heard.length, 2);
});

test('what a client asks for at its log-in holds on both nodes', async (t) => {
  const proxy = await startSplit(t, cluster());
  const parameters = {
    application_name: 'starter',
    options: '-c work_mem=3MB -c app.b=five -c TimeZone=Asia/Tokyo',
    DateStyle: 'German',
  };
  const client = await proxy.login('eventual', { parameters });
  const wanted = ['starter', '3MB', 'five', 'Asia/Tokyo', 'German, DMY'];
  const text = ['application_name', 'work_mem', 'app.b', 'timezone', 'datestyle'].map(setting).join(', ');
  const both = async (): Promise<void> => {
    assert.deepEqual((await client.rows(`select ${text}, here()`))[0]?.slice(0, 5), wanted);
    assert.deepEqual(await client.rows(`/* switchyard: primary */ select ${text}, here()`), [[...wanted, 'node1']]);
  };
  await both();
  await run(
    client,
    "set work_mem to '9MB'",
    'set app.b to six',
    "set application_name to 'x'",
    'select 1',
    'reset all',
  );
  await both();
  await run(client, "set work_mem to '9MB'", 'select 1', 'discard all');
  await both();
});

test('a standby that comes while the primary is asked what the session has left there is not in the way', async (t) => {
  const ways = new Map<string, FaultProxy>();
  for (const node of cluster().nodes) {
    const way = await FaultProxy.start(node.port);
    t.after(async () => way.close());
    ways.set(node.name, way);
  }
  const [primary, ...standbys] = [...ways.values()];
  const nodes = [...ways].map(([name, { port }]) => ({ name, port }));
  const proxy = await startSplit(t, { nodes });
  const client = await proxy.login('eventual');
  await run(client, 'select pg_advisory_lock(1)');
  primary?.freeze('to-client');
  for (const way of standbys) way.freeze();
  client.send(frontend.query('select here()'));
  const [session] = proxy.app.registry.all();
  const until = async (isSo: () => boolean, what: string): Promise<void> => {
    await waitFor(isSo, { timeoutMs: TIMEOUT_MS, what });
  };
  await until(() => session?.wait === 'backend', 'the read to wait for a backend');
  await until(() => session?.relay.isAtBoundary === false, 'the primary to be asked');
  for (const way of standbys) way.thaw();
  await until(() => session?.wait !== 'backend', 'a standby');
  primary?.thaw();
  assert.notEqual((await client.reply()).rows[0]?.[0], 'node1');
  await run(client, 'select pg_advisory_unlock(1)');
});
