import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RawClient } from '../support/raw-client.js';
import { frontend } from '../support/raw-messages.js';
import { roles } from '../support/roles.js';
import { CoreProxy, sharedCluster } from './core-lab.js';

const cluster = sharedCluster({
  standbys: 0,
  appStatements: [
    'create sequence counter',
    'grant all on sequence counter to app',
    'create procedure nothing() language sql begin atomic select 1; end',
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
  'a session advisory lock': [['select pg_advisory_lock(1)'], /advisory lock/],
  'a tried advisory lock': [['SELECT 1, pg_catalog.Pg_Try_Advisory_Lock(2)'], /advisory lock/],
  'a cursor WITH HOLD': [['begin', 'declare c cursor with hold for select 1', 'commit'], /cursor WITH HOLD/],
  LISTEN: [['listen news'], /it listens for notifications/],
  'SET in a transaction': [['begin', 'set work_mem = 123', 'commit'], /changed a setting/],
  'SET in a string of several': [['set work_mem = 123; select 1'], /changed a setting/],
  set_config: [[`select set_config('work_mem', '123', false)`], /changed a setting/],
  'SET ROLE': [['set role pg_signal_backend'], /changed its role/],
  PREPARE: [['prepare p as select 1'], /prepared with PREPARE/],
  currval: [[`select nextval('counter')`, `select currval('counter')`], /currval or lastval/],
  DO: [['do $$ begin end $$'], /DO.* CALL/],
  CALL: [['call nothing()'], /DO.* CALL/],
  'a statement above limits.inspect': [[large], /too large to be inspected/],
  'an encoding that cannot be read': [[`set client_encoding = 'SJIS'`, `select 'é'`], /client encoding/],
  'a transaction': [['begin', 'select 1'], /it is in a transaction/],
  'a failed transaction': [['begin', 'select 1/0'], /it is in a transaction/],
};

/** What looks like it, or is taken back before the node stops. */
const harmless: Readonly<Record<string, readonly string[]>> = {
  'an encoding that cannot be read, but nothing beyond ASCII': [`set client_encoding = 'SJIS'`, 'select 1'],
  nothing: [],
  'a transaction that is over': ['begin', 'create table if not exists tt(a int)', 'rollback'],
  'SET LOCAL': ['begin', 'set local work_mem = 123', 'commit'],
  'a transaction-level advisory lock': ['select pg_advisory_xact_lock(4)'],
  'words in strings, comments and names': [
    `select 'create temp table', 'listen x' as "pg_advisory_lock" /* set role x; */ -- prepare p as`,
  ],
  'a temporary table and DISCARD ALL': ['create temp table t(a int)', 'discard all'],
  'LISTEN and UNLISTEN *': ['listen news', 'unlisten *'],
  'an advisory lock and its end': ['select pg_advisory_lock(3)', 'select pg_advisory_unlock_all()'],
  'a cursor WITH HOLD and CLOSE ALL': ['begin', 'declare c cursor with hold for select 1', 'commit', 'close all'],
  'PREPARE and DEALLOCATE ALL': ['prepare p as select 1', 'deallocate all'],
  'set_config and RESET ALL': [`select set_config('work_mem', '123', false)`, 'reset all'],
  'SET ROLE and DISCARD ALL': ['set role pg_signal_backend', 'discard all'],
  'currval and DISCARD SEQUENCES': [`select nextval('counter')`, `select currval('counter')`, 'discard sequences'],
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

  const survivors: [string, RawClient][] = [];
  for (const [what, statements] of Object.entries(harmless)) survivors.push([what, await run(statements)]);
  const justEnough = await run([]);
  await prepare(justEnough, 5);
  survivors.push(['as many prepared statements as are allowed', justEnough]);

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
  for (const [, client] of survivors) client.send(query('select 1'));
  await primary.start();
  for (const [what, client] of survivors) assert.deepEqual((await client.reply()).rows, [['1']], what);
});
