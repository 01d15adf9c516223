import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AdminServer } from '../../src/admin/server.js';
import { drain } from '../../src/cli/drain.js';
import type { DrainOptions } from '../../src/cli/drain.js';
import { nodeName } from '../../src/util/brand.js';
import { PostgresCluster } from '../support/postgres-cluster.js';
import { waitFor } from '../support/processes.js';
import { Workload } from '../support/workload.js';
import { terminalOf } from '../unit/cli/terminal-of.js';
import { CoreProxy, TIMEOUT_MS, nodeOf } from './core-lab.js';
import type { TestContext } from 'node:test';
import type { KeptTerminal } from '../unit/cli/terminal-of.js';

// In both pool modes.

const NODE1 = nodeName('node1');

async function start(t: TestContext): Promise<{
  readonly cluster: PostgresCluster;
  readonly proxy: CoreProxy;
  readonly ask: (over?: Partial<DrainOptions>) => Promise<{ readonly code: number; readonly terminal: KeptTerminal }>;
}> {
  const cluster = await PostgresCluster.start(t);
  const proxy = await CoreProxy.start(t, cluster.nodes);
  const admin = await AdminServer.open(proxy.app, { host: '127.0.0.1', port: 0 });
  t.after(() => admin.close());
  const options: DrainOptions = {
    configPath: '/nowhere/switchyard.yaml',
    json: false,
    admins: [`127.0.0.1:${admin.port}`],
    tokenFile: null,
    node: null,
    wait: true,
    cancel: false,
    timeoutMs: 5000,
  };
  return {
    cluster,
    proxy,
    ask: async (over = {}) => {
      const terminal = terminalOf();
      return { code: await drain({ ...options, ...over }, terminal), terminal };
    },
  };
}

test('behind a drain the primary can be stopped without an error, also to short transactions', async (t) => {
  const { cluster, proxy, ask } = await start(t);
  await Workload.prepare(proxy.port());
  const idle = await proxy.login();
  await idle.rows(`set work_mem = '7MB'`);
  const work = new Workload({ port: proxy.port(), autocommitWriters: 4, transactionWriters: 8 });
  work.start();
  for (const next of [cluster.node(2), cluster.node(1)]) {
    const before = work.acknowledged;
    await waitFor(() => work.acknowledged > before + 100, { timeoutMs: TIMEOUT_MS, what: 'the writers to write' });
    const { code, terminal } = await ask();
    assert.equal(code, 0, terminal.printed.join('\n'));
    const atRest = work.acknowledged;
    await cluster.switchover(next);
    await waitFor(() => work.acknowledged > atRest + 100, { timeoutMs: TIMEOUT_MS, what: 'the writers to go on' });
  }
  const report = await work.stop();
  assert.deepEqual(report.errors, []);
  assert.equal(report.connectionsLost, 0);
  assert.deepEqual(await work.audit(cluster.primary.port), { lost: 0, doubled: 0 });
  assert.deepEqual(await idle.rows('show work_mem'), [['7MB']]);
  const records = await waitFor(
    () => {
      const all = proxy.app.conductor.records.records;
      return all.length >= 2 && all;
    },
    { timeoutMs: TIMEOUT_MS, what: 'two records' },
  );
  for (const { outcome, phases, counts, pauseMs } of records) {
    assert.equal(outcome, 'promoted');
    assert.equal(phases[0]?.phase, 'draining');
    assert.ok(counts.held >= 8 && pauseMs > 0, JSON.stringify(counts));
    assert.deepEqual([counts.transactionsLost, counts.inDoubt, counts.unitsCut], [0, 0, {}]);
  }
});

test('an open transaction is waited for, and ends as its client wants', async (t) => {
  const { proxy, ask } = await start(t);
  const client = await proxy.login();
  await client.rows('begin');
  const late = await proxy.login();
  let isOver = false;
  const asked = ask().then((answer) => {
    isOver = true;
    return answer;
  });
  const order = await waitFor(() => proxy.app.conductor.drains.get(NODE1), {
    timeoutMs: TIMEOUT_MS,
    what: 'the drain',
  });
  const waiting = late.rows('select 1');
  await waitFor(() => proxy.app.primaryHold.length === 1, { timeoutMs: TIMEOUT_MS, what: 'a unit to be held' });
  assert.deepEqual(await client.rows('select 2'), [['2']], 'what runs goes on');
  assert.equal(isOver, false);
  await client.rows('commit');
  const { code, terminal } = await asked;
  assert.equal(code, 0, terminal.printed.join('\n'));
  assert.match(terminal.printed[0] ?? '', /waiting for 1 session \(1 open transaction\)/);
  await waitFor(() => (proxy.app.pool.counts.get(NODE1)?.total ?? 0) === 0, {
    timeoutMs: TIMEOUT_MS,
    what: 'no backend to be left there',
  });
  assert.equal(order.end, null);
  const cancelled = await ask({ cancel: true });
  assert.equal(cancelled.code, 0);
  assert.deepEqual(await waiting, [['1']], 'it is not stopped after all');
});

test('a transaction that does not end is told, and is not ended', async (t) => {
  const { proxy, ask } = await start(t);
  const client = await proxy.login();
  await client.rows('begin');
  const { code, terminal } = await ask({ timeoutMs: 300 });
  assert.equal(code, 3);
  assert.match(terminal.printed.at(-1) ?? '', /still has 1 session \(1 open transaction\)/);
  assert.deepEqual(await client.rows('select 1'), [['1']]);
});

test('a session with a temporary table is not waited for', async (t) => {
  const { proxy, ask } = await start(t);
  const client = await proxy.login();
  await client.rows('create temp table mine(a int)');
  const { code, terminal } = await ask();
  assert.equal(code, 3);
  assert.match(terminal.printed.at(-1) ?? '', /left that cannot move/);
});

test('a drained standby loses its sessions at their boundaries, gets no new ones, and gets some again afterwards', async (t) => {
  const { proxy, ask } = await start(t);
  const clients = [await proxy.login('standby'), await proxy.login('standby'), await proxy.login('standby')];
  await clients[0]?.rows('begin');
  const busyNode = await nodeOf(clients[0] ?? assert.fail());
  const node = nodeName(busyNode);
  const asked = ask({ node: busyNode });
  await waitFor(() => proxy.app.watch.store.view.nodes.get(node)?.drained, { timeoutMs: TIMEOUT_MS, what: 'the view' });
  assert.equal(await nodeOf(clients[0] ?? assert.fail()), busyNode, 'a transaction stays where it is');
  for (const client of clients.slice(1)) assert.notEqual(await nodeOf(client), busyNode);
  const newcomer = await proxy.login('standby');
  assert.notEqual(await nodeOf(newcomer), busyNode);
  await clients[0]?.rows('commit');
  const { code, terminal } = await asked;
  assert.equal(code, 0, terminal.printed.join('\n'));
  assert.notEqual(await nodeOf(clients[0] ?? assert.fail()), busyNode);
  await ask({ cancel: true });
  await waitFor(async () => (await nodeOf(await proxy.login('standby'))) === busyNode, {
    timeoutMs: TIMEOUT_MS,
    what: 'a new session to come to the standby again',
  });
  assert.equal(proxy.app.conductor.records.records[0]?.outcome, 'emptied');
});

test('a drain whose stop never comes costs a pause and nothing more', async (t) => {
  const cluster = await PostgresCluster.start(t);
  const proxy = await CoreProxy.start(t, cluster.nodes, { promotion: { announce_timeout: '500ms' } });
  const client = await proxy.login();
  proxy.app.conductor.drains.begin({ node: NODE1, isFirm: true, timeoutMs: 0 });
  assert.deepEqual(await client.rows('select 1'), [['1']]);
  await waitFor(() => proxy.app.conductor.records.records[0]?.outcome === 'called_off', {
    timeoutMs: TIMEOUT_MS,
    what: 'the record',
  });
});

test('a primary that is restarted behind its drain goes on as soon as it is back', async (t) => {
  const { cluster, proxy, ask } = await start(t);
  const client = await proxy.login();
  assert.equal((await ask()).code, 0);
  const waiting = client.rows('select 1');
  const beganAtMs = performance.now();
  await cluster.primary.stop();
  await cluster.primary.start();
  assert.deepEqual(await waiting, [['1']]);
  const { announceTimeoutMs } = proxy.app.config.promotion;
  assert.ok(performance.now() - beganAtMs < announceTimeoutMs / 2, 'it is not kept for a stop that has been');
  assert.equal(proxy.app.conductor.drains.get(NODE1), null);
});
