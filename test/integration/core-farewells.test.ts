import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sendSignal } from '../../src/cli/demo/postgres/process-tree.js';
import { waitFor } from '../support/processes.js';
import { frontend } from '../support/raw-messages.js';
import { CoreProxy, TIMEOUT_MS, backendPid, nodeOf, sharedCluster, waitForBackend } from './core-lab.js';

// In both pool modes.
// With both engines.

const cluster = sharedCluster({
  standbys: 1,
  settings: { max_standby_streaming_delay: '100ms', hot_standby_feedback: false },
  appStatements: [
    'create table written(a int)',
    'alter table written owner to app',
    'create table vacuumed as select generate_series(1, 1000) as a',
    'alter table vacuumed owner to app',
  ],
});
const { query, parse, bind, execute, sync, copyData, copyDone } = frontend;

test('a transaction that a time limit of the node ends hears the node itself', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  const client = await proxy.login('primary', {
    parameters: { options: '-c idle_in_transaction_session_timeout=100' },
  });
  await client.rows('begin');
  const { error, closed } = await client.reply();
  assert.equal(`${error?.severity} ${error?.code}`, 'FATAL 25P03');
  assert.equal(error?.message, 'terminating connection due to idle-in-transaction timeout');
  assert.equal(closed, true);
  await proxy.checkAfterAbuse();
});

test('idle_session_timeout frees the backend and leaves the session, unless the session cannot move', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  const parameters = { options: '-c idle_session_timeout=1000' };
  const [movable, pinned] = [
    await proxy.login('primary', { parameters }),
    await proxy.login('primary', { parameters }),
  ];
  await pinned.rows('create temp table t(a int)');
  const { error, closed } = await pinned.reply();
  assert.equal(`${error?.severity} ${error?.code}`, 'FATAL 57P05');
  assert.equal(closed, true);
  const pid = await backendPid(movable);
  await waitForBackend(cluster().primary, pid, null);
  assert.notEqual(await backendPid(movable), pid);
});

test('a read that stands in the way of replay fails with 40001, and a transaction that does is lost', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  const [statement, transaction, idle] = [
    await proxy.login('standby'),
    await proxy.login('standby'),
    await proxy.login('standby'),
  ];
  await idle.rows('select 1');
  await transaction.rows('begin isolation level repeatable read; select count(*) from vacuumed');
  const inTransaction = await backendPid(transaction);
  const pid = await backendPid(statement);
  statement.send(query('select count(*), pg_sleep(60) from vacuumed'));
  await waitForBackend(cluster().node(2), pid, 'PgSleep');
  await cluster().sql('delete from vacuumed', { database: 'app' });
  await cluster().sql('vacuum vacuumed', { database: 'app' });
  const cut = await statement.reply();
  assert.equal(cut.error?.code, '40001');
  assert.equal(cut.status, 'I');
  await waitForBackend(cluster().node(2), inTransaction, null);
  const ended = await transaction.query('select 1');
  assert.deepEqual([ended.error?.severity, ended.error?.code, ended.status], ['ERROR', '40001', 'E']);
  await transaction.rows('rollback');
  for (const client of [statement, idle, transaction]) assert.equal(await nodeOf(client), 'node2');
});

test('a database that is dropped: its sessions hear so at their next statement, and others notice nothing', async (t) => {
  await cluster().sql('create database doomed owner app');
  const proxy = await CoreProxy.start(t, cluster().nodes);
  const [doomed, other] = [await proxy.login('primary', { database: 'doomed' }), await proxy.login()];
  await doomed.rows('select 1');
  await other.rows('select 1');
  await cluster().sql('drop database doomed with (force)');
  const { error, closed } = await doomed.query('select 1');
  assert.equal(error?.severity, 'FATAL');
  assert.match(error.code, /^(57P01|57P04|3D000)$/);
  assert.equal(closed || (await doomed.reply()).closed, true);
  assert.deepEqual(await other.rows('select 1'), [['1']]);
  await proxy.waitForRest(1);
});

test('a crash of another backend: idle sessions live through it, what was under way fails once', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  const [idle, busy, begun, victim] = [
    await proxy.login(),
    await proxy.login(),
    await proxy.login(),
    await proxy.login(),
  ];
  await idle.rows(`set work_mem = '7MB'`);
  await begun.rows('begin');
  const pids = [await backendPid(busy), await backendPid(victim)];
  for (const client of [busy, victim]) client.send(query(`select pg_sleep(60), pg_notify('a', 'b')`));
  for (const pid of pids) await waitForBackend(cluster().primary, pid, 'PgSleep');
  sendSignal(Number(pids[1]), 'SIGKILL');
  for (const client of [busy, victim]) {
    const { error, status } = await client.reply();
    assert.equal(error?.code, '08007');
    assert.equal(status, 'I');
  }
  const { counters } = proxy.app;
  await waitFor(() => counters.transactionsLost === 1, { timeoutMs: TIMEOUT_MS, what: 'the transaction to be lost' });
  const lost = await begun.query('commit');
  assert.deepEqual([lost.error?.severity, lost.error?.code, lost.status], ['ERROR', '40001', 'I']);
  // PostgreSQL recovers from the crash meanwhile: what is sent waits for it.
  assert.deepEqual(await idle.rows('show work_mem'), [['7MB']]);
  for (const client of [busy, victim]) assert.deepEqual(await client.rows('select 1'), [['1']]);
});

test('a COPY whose node stops fails like a statement, and what the client still sends for it does no harm', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  const [simple, extended] = [await proxy.login(), await proxy.login()];
  assert.equal((await simple.query('copy written from stdin')).types, 'G');
  const begun = await extended.unit(parse('copy written from stdin'), bind(), execute(), sync());
  assert.equal(begun.types, '12G');
  for (const client of [simple, extended]) client.send(copyData('1\n'));
  const { primary } = cluster();
  await primary.stop('fast');
  t.after(async () => {
    if (!primary.isRunning) await primary.start();
  });
  const { error } = await simple.reply();
  assert.equal(`${error?.severity} ${error?.code}`, 'ERROR 40001');
  const failed = await extended.read();
  assert.equal(failed?.type, 'E');
  for (const client of [simple, extended]) client.send(copyData('2\n'), copyDone());
  assert.equal((await extended.unit(sync())).types, 'Z');
  await primary.start();
  for (const client of [simple, extended]) {
    const count = await client.query('select count(*) from written');
    assert.deepEqual([count.types, count.rows], ['TDCZ', [['0']]]);
  }
  await waitFor(() => proxy.health('node2') === 'healthy', { timeoutMs: TIMEOUT_MS, what: 'node2 to be fresh' });
});
