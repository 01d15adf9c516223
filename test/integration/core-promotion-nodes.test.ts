import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { PostgresCluster } from '../support/postgres-cluster.js';
import { sql } from '../support/postgres-server.js';
import { waitFor } from '../support/processes.js';
import type { RawClient } from '../support/raw-client.js';
import { frontend } from '../support/raw-messages.js';
import { roles } from '../support/roles.js';
import { Workload } from '../support/workload.js';
import { CoreProxy, TIMEOUT_MS, backendPid, nodeOf, sessionsOn, waitForBackend } from './core-lab.js';
import type { CoreChanges } from './core-lab.js';

const { query, parse, bind, execute, sync } = frontend;
const insert = 'insert into written values (1)';

/** A cluster of its own, because promotions leave it another one, and a proxy before it. */
async function start(
  t: TestContext,
  changes: CoreChanges = {},
): Promise<{ cluster: PostgresCluster; proxy: CoreProxy }> {
  const appStatements = ['create table written(a int)', 'alter table written owner to app'];
  const cluster = await PostgresCluster.start(t, { appStatements });
  return { cluster, proxy: await CoreProxy.start(t, cluster.nodes, changes) };
}

async function waitForPrimary(proxy: CoreProxy, name: string | null): Promise<void> {
  await waitFor(() => proxy.app.watch.store.view.primary === name, {
    timeoutMs: TIMEOUT_MS,
    what: `the primary to be ${name ?? 'nobody'}`,
  });
}

async function waitForHeld(proxy: CoreProxy, count: number): Promise<void> {
  await waitFor(() => proxy.app.primaryHold.length === count, { timeoutMs: TIMEOUT_MS, what: `${count} to be held` });
}

async function written(server: { readonly host: string; readonly port: number }): Promise<number> {
  const [row] = await sql(server, 'select count(*)::int as n from written', { ...roles.app });
  return Number(row?.['n']);
}

test('writers go on behind a promotion: nothing acknowledged is lost, nothing is done twice, nobody idle is dropped', async (t) => {
  const { cluster, proxy } = await start(t);
  const port = proxy.port();
  await Workload.prepare(port);
  const idle = [await proxy.login(), await proxy.login('standby'), await proxy.login('standby')];
  for (const client of idle) {
    await client.rows(`set work_mem = '7MB'`);
    await client.unit(parse('select 7', { name: 'kept' }), sync());
  }
  const work = new Workload({ port, autocommitWriters: 6, transactionWriters: 2 });
  work.start();
  for (const next of [cluster.node(2), cluster.node(1), cluster.node(3)]) {
    const before = work.acknowledged;
    await waitFor(() => work.acknowledged > before + 100, { timeoutMs: TIMEOUT_MS, what: 'the writers to write' });
    await cluster.switchover(next);
    const after = work.acknowledged;
    await waitFor(() => work.acknowledged > after + 100, { timeoutMs: TIMEOUT_MS, what: 'the writers to go on' });
  }
  const report = await work.stop();
  for (const error of report.errors) {
    const what = JSON.stringify(error);
    assert.notEqual(error.during, 'autocommit', what);
    assert.deepEqual([error.sqlState, error.connectionLost], ['40001', false], what);
  }
  // What was in flight at the stop, and no more: one transaction of each at each switchover.
  assert.ok(report.mostErrorsOfOne <= 3, JSON.stringify(report.errors));
  assert.deepEqual(await work.audit(cluster.primary.port), { lost: 0, doubled: 0 });
  for (const client of idle) {
    assert.deepEqual(await client.rows('show work_mem'), [['7MB']]);
    assert.deepEqual((await client.unit(bind({ statement: 'kept' }), execute(), sync())).rows, [['7']]);
  }
  assert.equal(proxy.app.counters.wrongRoleErrors, 0);
  assert.equal(proxy.app.counters.leaderChanges, 3);
});

test('what is sent while there is no primary waits, also of clients that come then, and is done on the new one', async (t) => {
  const { cluster, proxy } = await start(t);
  const [simple, extended, pipelined, reader] = [
    await proxy.login(),
    await proxy.login(),
    await proxy.login(),
    await proxy.login('standby'),
  ];
  for (const client of [simple, extended, pipelined]) await client.rows(insert);
  await cluster.primary.stop('fast');
  await waitForPrimary(proxy, null);
  simple.send(query(insert));
  extended.send(parse(insert), bind(), execute(), sync());
  pipelined.send(query(insert), query('begin'), query(insert), query('commit'));
  // Standbys know its verifier, and what the last one was told is what it is told.
  const late = await proxy.login();
  late.send(query(insert));
  await waitForHeld(proxy, 4);
  assert.deepEqual(await reader.rows('select count(*) from written'), [['3']]);
  assert.equal(await simple.isSilentFor(50), true);
  await cluster.promote(cluster.node(2));
  for (const client of [simple, extended, late]) {
    const reply = await client.reply();
    assert.deepEqual([reply.error, ...reply.tags], [null, 'INSERT 0 1']);
    assert.equal(await nodeOf(client), 'node2');
  }
  const tags: string[] = [];
  for (let n = 0; n < 4; n += 1) tags.push(...(await pipelined.reply()).tags);
  assert.deepEqual(tags, ['INSERT 0 1', 'BEGIN', 'INSERT 0 1', 'COMMIT']);
  assert.equal(await written(cluster.node(2)), 3 + 5);
  assert.equal(await nodeOf(reader), 'node3');
});

test('a session that waits in vain is told 57P03 after hold_timeout, and can be used when there is a primary', async (t) => {
  const { cluster, proxy } = await start(t, { promotion: { hold_timeout: '400ms' } });
  const [simple, extended] = [await proxy.login(), await proxy.login()];
  await cluster.primary.stop('fast');
  await waitForPrimary(proxy, null);
  for (let n = 0; n < 2; n += 1) {
    const startedAtMs = performance.now();
    extended.send(parse('select 1'), bind(), execute(), sync());
    const { error, status } = await simple.query(insert);
    const tookMs = performance.now() - startedAtMs;
    assert.equal(error?.code, '57P03');
    assert.equal(error.severity, 'ERROR');
    assert.match(error.hint ?? '', /stays open/);
    assert.equal(status, 'I');
    assert.ok(tookMs >= 395 && tookMs < 2_400, `${tookMs} ms`);
    const reply = await extended.reply();
    assert.equal(reply.types, 'EZ');
    assert.equal(reply.error?.code, '57P03');
  }
  const strange = proxy.login('primary', { parameters: { application_name: 'never greeted' } });
  await assert.rejects(strange, /57P03: /);
  await cluster.primary.start();
  for (const client of [simple, extended]) assert.deepEqual((await client.query(insert)).tags, ['INSERT 0 1']);
});

test('more than max_held sessions are not held: 53300 at once, and a held client that leaves makes room', async (t) => {
  const { cluster, proxy } = await start(t, { promotion: { max_held: 2 } });
  const clients = [await proxy.login(), await proxy.login(), await proxy.login()];
  const [leaver, stayer, surplus] = clients;
  assert.ok(leaver && stayer && surplus);
  await cluster.primary.stop('fast');
  await waitForPrimary(proxy, null);
  for (const client of [leaver, stayer]) client.send(query(insert));
  await waitForHeld(proxy, 2);
  const { error, status } = await surplus.query(insert);
  assert.equal(error?.code, '53300');
  assert.equal(status, 'I');
  leaver.reset();
  await waitForHeld(proxy, 1);
  surplus.send(query(insert));
  await waitForHeld(proxy, 2);
  surplus.halfClose();
  await waitForHeld(proxy, 1);
  await cluster.promote(cluster.node(2));
  assert.deepEqual((await stayer.reply()).tags, ['INSERT 0 1']);
  await proxy.waitForRest(1);
  assert.equal(await written(cluster.node(2)), 1, 'what those who left had sent was not done');
});

test('held sessions are released in waves, and all of them are served', async (t) => {
  const { cluster, proxy } = await start(t, { promotion: { release_wave: 3 }, pool: { size: 10 } });
  const clients: RawClient[] = [];
  for (let n = 0; n < 40; n += 1) clients.push(await proxy.login('primary'));
  await cluster.primary.stop('fast');
  await waitForPrimary(proxy, null);
  for (const client of clients) client.send(query(insert));
  await waitForHeld(proxy, 40);
  await cluster.promote(cluster.node(2));
  // A session keeps its backend, and there are ten: the oldest have them. The rest waits for the pool and keeps nobody of another one back.
  const { primaryHold, pool } = proxy.app;
  await waitFor(() => primaryHold.length === 0 && pool.waiting === 30, {
    timeoutMs: TIMEOUT_MS,
    what: 'ten to be served, and the rest to wait for the pool',
  });
  for (const client of clients) {
    assert.deepEqual((await client.reply()).tags, ['INSERT 0 1']);
    await client.end();
  }
  assert.equal(await written(cluster.node(2)), 40);
  await proxy.waitForRest();
});

test('an old primary that is started again on its old timeline gets nothing', async (t) => {
  const { cluster, proxy } = await start(t);
  const client = await proxy.login();
  await client.rows(insert);
  const old = cluster.primary;
  await old.stop('fast');
  await cluster.promote(cluster.node(2));
  await client.rows(insert);
  await old.start();
  await waitFor(() => proxy.health('node1') !== 'unreachable', {
    timeoutMs: TIMEOUT_MS,
    what: 'node1 to be seen again',
  });
  for (let n = 0; n < 20; n += 1) {
    const fresh = await proxy.login();
    await fresh.rows(insert);
    assert.equal(await nodeOf(fresh), 'node2');
    await fresh.end();
    await client.rows(insert);
  }
  assert.equal(await sessionsOn(old), 0);
  assert.equal(await written(old), 1);
  assert.equal(await written(cluster.node(2)), 42);
  for (let n = 0; n < 4; n += 1) assert.equal(await nodeOf(await proxy.login('standby')), 'node3');
});

test('two primaries on one timeline get no write at all, until one of them is gone', async (t) => {
  const { cluster, proxy } = await start(t, { promotion: { hold_timeout: '500ms' } });
  const client = await proxy.login();
  await client.rows(insert);
  await cluster.primary.stop('fast');
  await cluster.node(3).promote();
  await waitForPrimary(proxy, 'node3');
  await client.rows(insert);
  await cluster.node(2).promote();
  await waitForPrimary(proxy, null);
  const { error } = await client.query(insert);
  assert.equal(error?.code, '57P03');
  assert.match(error.message, /node2 and node3 both say they are the primary, on the same timeline 2/);
  await assert.rejects(proxy.login(), /57P03: /);
  assert.deepEqual([await written(cluster.node(2)), await written(cluster.node(3))], [1, 2]);
  await cluster.node(2).kill();
  await waitForPrimary(proxy, 'node3');
  await client.rows(insert);
  assert.equal(await written(cluster.node(3)), 3);
});

test('a frozen primary: writes are held within a bounded time and go on when it thaws', async (t) => {
  const { cluster, proxy } = await start(t, { monitor: { timeout: '300ms' } });
  const [busy, held] = [await proxy.login(), await proxy.login()];
  const pid = await backendPid(busy);
  await held.rows(insert);
  busy.send(query(`select pg_sleep(0.2); ${insert}`));
  await waitForBackend(cluster.primary, pid, 'PgSleep');
  const startedAtMs = performance.now();
  cluster.primary.freeze();
  await waitForPrimary(proxy, null);
  assert.ok(performance.now() - startedAtMs < 3_000);
  held.send(query(insert));
  await waitForHeld(proxy, 1);
  const sentBytes = proxy.app.counters.statements;
  assert.equal(await busy.isSilentFor(100), true);
  cluster.primary.thaw();
  for (const client of [busy, held]) assert.equal((await client.reply()).error, null);
  assert.equal(await written(cluster.primary), 3);
  assert.equal(proxy.app.counters.statements, sentBytes + 1);
  assert.equal(proxy.app.registry.size, 2);
});

test('a primary that freezes and is replaced: what was in flight has an unknown end, and nothing reaches it when it thaws', async (t) => {
  const { cluster, proxy } = await start(t, { monitor: { timeout: '300ms' } });
  const [busy, idle, begun] = [await proxy.login(), await proxy.login(), await proxy.login()];
  for (const client of [busy, idle]) await client.rows(insert);
  await begun.rows('begin');
  const pid = await backendPid(busy);
  busy.send(query(`select pg_sleep(60), pg_notify('a', 'b')`));
  await waitForBackend(cluster.primary, pid, 'PgSleep');
  const old = cluster.primary;
  await cluster.waitUntilReplayed();
  old.freeze();
  await waitForPrimary(proxy, null);
  const waiting = idle.query(insert);
  await cluster.promote(cluster.node(2));
  assert.equal((await busy.reply()).error?.code, '08007');
  assert.deepEqual((await waiting).tags, ['INSERT 0 1']);
  const lost = await begun.query(insert);
  assert.deepEqual([lost.error?.code, lost.status], ['40001', 'E']);
  await begun.rows('rollback');
  old.thaw();
  await waitFor(() => proxy.health('node1') !== 'unreachable', {
    timeoutMs: TIMEOUT_MS,
    what: 'node1 to be seen again',
  });
  for (const client of [busy, idle, await proxy.login()]) {
    await client.rows(insert);
    assert.equal(await nodeOf(client), 'node2');
  }
  assert.deepEqual([await written(old), await written(cluster.node(2))], [2, 6]);
});
