import assert from 'node:assert/strict';
import { test } from 'node:test';
import { waitFor } from '../support/processes.js';
import type { RawClient } from '../support/raw-client.js';
import { frontend } from '../support/raw-messages.js';
import { roles } from '../support/roles.js';
import { CoreProxy, sharedCluster, TIMEOUT_MS } from './core-lab.js';

// In both pool modes.

const cluster = sharedCluster({
  standbys: 0,
  appStatements: [
    'create sequence counter',
    'grant all on sequence counter to app',
    'create procedure nothing() language sql begin atomic select 1; end',
    `create procedure hide() language plpgsql as $$ begin perform set_config('app.hidden', 'x', false); end $$`,
  ],
});
const { parse, sync, query } = frontend;

/** A statement of many bytes. */
const large = `select length('${'x'.repeat(2000)}')`;

/** What leaves something behind that cannot be taken along, and how the client hears of it. */
const pinning: Readonly<Record<string, readonly [statements: readonly string[], reason: RegExp]>> = {
  'a temporary table': [['create temp table t(a int)'], /it has a temporary object/],
  'a temporary view': [['create or replace temporary view v as select 1'], /it has a temporary object/],
  'SELECT INTO TEMP': [['select 1 as a into temp t'], /it has a temporary object/],
  'a temporary table made out of sight': [
    ['do $$ begin create temp table t(a int); end $$'],
    /it has a temporary object/,
  ],
  'a temporary function': [[`create function pg_temp.f() returns int language sql as 'select 1'`], /temporary object/],
  'a session advisory lock': [['select pg_advisory_lock(1)'], /advisory lock/],
  'a tried advisory lock': [['SELECT 1, pg_catalog.Pg_Try_Advisory_Lock(2)'], /advisory lock/],
  'a lock of a statement that failed': [['select pg_advisory_lock(5), 1 / (select 0)'], /advisory lock/],
  'one of two locks': [
    ['select pg_advisory_lock(6), pg_advisory_lock(7)', 'select pg_advisory_unlock(6)'],
    /advisory lock/,
  ],
  'a cursor WITH HOLD': [['begin', 'declare c cursor with hold for select 1', 'commit'], /cursor WITH HOLD/],
  'a setting of a name that nobody can know': [
    [`do $$ begin perform set_config('app.' || 'x', 'y', false); end $$`],
    /DO, CALL .* unknown/,
  ],
  'the state of random()': [['select setseed(0.5)'], /changed a setting/],
  currval: [[`select nextval('counter')`, `select currval('counter')`], /currval or lastval/],
};

/** What can be taken along, looks like it, or is taken back before the node stops; with what is asked then, and the answer. */
const movable: Readonly<Record<string, readonly [statements: readonly string[], question?: string, answer?: string]>> =
  {
    'an encoding that cannot be read, but nothing beyond ASCII': [[`set client_encoding = 'SJIS'`, 'select 1']],
    'a text that cannot be read': [[`set client_encoding = 'SJIS'`, `select 'é'`]],
    'a statement above limits.inspect': [[large]],
    nothing: [[]],
    'a transaction that is over': [['begin', 'create table if not exists tt(a int)', 'rollback']],
    'SET LOCAL': [['begin', 'set local work_mem = 123', 'commit'], 'show work_mem', '4MB'],
    'SET in a transaction': [['begin', 'set work_mem = 123', 'commit'], 'show work_mem', '123kB'],
    'SET in a string of several': [['set work_mem = 123; select 1'], 'show work_mem', '123kB'],
    set_config: [[`select set_config('work_mem', '123', false)`], 'show work_mem', '123kB'],
    'a setting made out of sight': [[`do $$ begin set work_mem = 123; set app.x = 'y'; end $$`], 'show app.x', 'y'],
    'a setting of a procedure': [['call hide()'], `select current_setting('app.hidden')`, 'x'],
    'SET ROLE': [['set role pg_signal_backend'], 'select current_user', 'pg_signal_backend'],
    LISTEN: [['listen news'], 'select pg_listening_channels()', 'news'],
    PREPARE: [['prepare p as select 42'], 'execute p', '42'],
    'a transaction-level advisory lock': [['select pg_advisory_xact_lock(4)']],
    'words in strings, comments and names': [
      [`select 'create temp table', 'listen x' as "pg_advisory_lock" /* set role x; */ -- prepare p as`],
    ],
    'a statement that failed': [['selec 1', 'create temp table t(a no_such_type)']],
    'a temporary table and DROP': [['create temp table t(a int)', 'drop table t']],
    'a temporary table and DISCARD ALL': [['create temp table t(a int)', 'discard all']],
    'an advisory lock and its end': [['select pg_advisory_lock(3)', 'select pg_advisory_unlock(3)']],
    'an advisory lock and the end of all': [['select pg_advisory_lock(3)', 'select pg_advisory_unlock_all()']],
    'a cursor WITH HOLD and CLOSE': [['begin', 'declare c cursor with hold for select 1', 'commit', 'close c']],
    'currval and DISCARD SEQUENCES': [[`select nextval('counter')`, `select currval('counter')`, 'discard sequences']],
    DO: [['do $$ begin end $$']],
    CALL: [['call nothing()']],
  };

test('when a node goes, sessions that cannot be moved are closed with 57P01 and why, and every other one goes on', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes, { limits: { inspect: '1kB', prepared_statements: 5 } });
  const run = async (statements: readonly string[]): Promise<RawClient> => {
    const client = await proxy.login();
    for (const statement of statements) await client.query(statement);
    return client;
  };
  const doomed: [string, RawClient, RegExp][] = [];
  for (const [what, [statements, reason]] of Object.entries(pinning))
    doomed.push([what, await run(statements), reason]);
  const prepare = (client: RawClient, count: number) =>
    client.unit(...Array.from({ length: count }, (_, n) => parse('select 1', { name: `s${n}` })), sync());
  const tooMany = await run([]);
  await prepare(tooMany, 6);
  doomed.push(['more prepared statements than limits.prepared_statements', tooMany, /too many or too large prepared/]);
  const tooLarge = await run([]);
  await tooLarge.unit(parse(large, { name: 'large' }), sync());
  doomed.push(['a prepared statement above limits.inspect', tooLarge, /too large/]);
  const loader = await proxy.login('primary', { ...roles.superuser });
  await loader.rows(`load 'plpgsql'`);
  doomed.push(['LOAD', loader, /loaded a library/]);
  const { primary } = cluster();
  const replicator = await proxy.login('primary', {
    user: 'replicator',
    password: primary.replicationPassword,
    parameters: { replication: 'true' },
  });
  doomed.push(['a replication connection', replicator, /replication connection/]);

  const survivors: [string, RawClient, string, string][] = [];
  for (const [what, [statements, question = 'select 1', answer = '1']] of Object.entries(movable))
    survivors.push([what, await run(statements), question, answer]);
  const justEnough = await run([]);
  await prepare(justEnough, 5);
  survivors.push(['as many prepared statements as are allowed', justEnough, 'select 1', '1']);
  // Of some only the node can tell, and is asked when they are idle.
  const pinned = (): number => [...proxy.app.registry.all()].filter(({ pinReason }) => pinReason !== null).length;
  await waitFor(() => pinned() === doomed.length, {
    timeoutMs: TIMEOUT_MS,
    what: `${doomed.length} sessions to be pinned, and no other`,
  }).catch((error: unknown) => assert.fail(`${String(error)}: they are ${pinned()}`));

  await primary.stop('fast');
  t.after(async () => {
    if (!primary.isRunning) await primary.start();
  });
  for (const [what, client, reason] of doomed) {
    const reply = await client.reply().catch((error: unknown) => assert.fail(`${what}: ${String(error)}`));
    assert.equal(reply.closed, true, what);
    assert.equal(reply.error?.severity, 'FATAL', what);
    assert.equal(reply.error.code, '57P01', what);
    assert.match(reply.error.detail ?? '', reason, what);
    assert.match(reply.error.detail ?? '', /could not be moved to another node/, what);
  }
  assert.equal(proxy.app.registry.size, survivors.length);
  for (const [, client, question] of survivors) client.send(query(question));
  await primary.start();
  for (const [what, client, , answer] of survivors) assert.deepEqual((await client.reply()).rows, [[answer]], what);
});
