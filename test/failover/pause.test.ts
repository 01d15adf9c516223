import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { TestContext } from 'node:test';
import { PatroniCluster } from '../support/patroni-cluster.js';
import { waitFor } from '../support/processes.js';
import { RawClient } from '../support/raw-client.js';
import { roles } from '../support/roles.js';
import { SwitchyardProcess } from '../support/switchyard-process.js';
import { Workload } from '../support/workload.js';
import { metric, yardConfig } from '../support/yard.js';

const TIMEOUT_MS = 60_000;

let cluster: PatroniCluster;

before(async () => {
  cluster = await PatroniCluster.up();
  await Workload.prepare((await cluster.waitForLeader()).port);
});

after(async () => {
  await cluster.down();
});

async function startWithConsole(t: TestContext): Promise<{ yard: SwitchyardProcess; admin: RawClient }> {
  const yard = await SwitchyardProcess.start(t, {
    ...yardConfig(cluster),
    admin: { address: '127.0.0.1:0', users: [roles.app.user] },
  });
  await waitFor(async () => (await fetch(`http://127.0.0.1:${yard.adminPort}/readyz`)).ok, {
    timeoutMs: TIMEOUT_MS,
    what: 'the proxy to be ready',
  });
  const admin = await RawClient.login({
    port: yard.port('primary'),
    ...roles.app,
    database: 'switchyard',
    timeoutMs: TIMEOUT_MS,
  });
  t.after(() => admin.destroy());
  return { yard, admin };
}

async function under(
  t: TestContext,
  port: number,
  what: (workload: Workload) => Promise<void>,
): Promise<{ readonly errors: readonly unknown[]; readonly old: string; readonly leader: string }> {
  const workload = new Workload({ port, autocommitWriters: 8, transactionWriters: 8 });
  workload.start();
  await waitFor(() => workload.acknowledged > 200, { timeoutMs: TIMEOUT_MS, what: 'the writers to be under way' });
  const old = await cluster.waitForLeader();
  await what(workload);
  const leader = await cluster.waitForLeader({ not: old });
  const before = workload.acknowledged;
  await waitFor(() => workload.acknowledged > before + 200, { timeoutMs: TIMEOUT_MS, what: 'the writers to go on' });
  const report = await workload.stop();
  t.diagnostic(`gap ${Math.round(report.longestGapMs)} ms, ${report.acknowledged} acknowledged`);
  assert.deepEqual(await workload.audit(leader.port), { lost: 0, doubled: 0 });
  assert.equal(report.connectionsLost, 0);
  await cluster.waitUntilHealthy();
  return { errors: report.errors, old: old.name, leader: leader.name };
}

test('a switchover during a PAUSE is noticed by nobody: what waited goes to the new primary', async (t) => {
  const { yard, admin } = await startWithConsole(t);
  const { errors } = await under(t, yard.port('primary'), async (workload) => {
    assert.deepEqual((await admin.query('PAUSE')).tags, ['PAUSE']);
    await waitFor(async () => (await metric(yard, 'switchyard_paused_sessions')) === 16, {
      timeoutMs: TIMEOUT_MS,
      what: 'all writers to wait',
    });
    const before = workload.acknowledged;
    const old = await cluster.waitForLeader();
    await cluster.switchover();
    await cluster.waitForLeader({ not: old });
    assert.equal(workload.acknowledged, before, 'nothing went on before RESUME');
    assert.deepEqual((await admin.query('RESUME')).tags, ['RESUME']);
  });
  assert.deepEqual(errors, []);
});

test('a PAUSE in the middle of a switchover takes over those who wait for it', async (t) => {
  const { yard, admin } = await startWithConsole(t);
  const { errors } = await under(t, yard.port('primary'), async () => {
    const done = cluster.switchover();
    await waitFor(async () => ((await metric(yard, 'switchyard_held_sessions{route="primary"}')) ?? 0) > 0, {
      timeoutMs: TIMEOUT_MS,
      what: 'units to be held',
    });
    const paused = await admin.query('PAUSE');
    await done;
    assert.equal(paused.error, null);
    assert.equal(await metric(yard, 'switchyard_held_sessions{route="primary"}'), 0);
    assert.deepEqual((await admin.query('RESUME')).tags, ['RESUME']);
  });
  // Only a transaction that was open when PostgreSQL stopped may hear of it.
  for (const error of errors as readonly { sqlState: string }[]) {
    assert.ok(['40001', '08007'].includes(error.sqlState), JSON.stringify(error));
  }
});

test('SWITCHOVER TO a node hands over without an error, and tells what happened', async (t) => {
  const { yard, admin } = await startWithConsole(t);
  let target = '';
  const { errors, leader } = await under(t, yard.port('primary'), async () => {
    const { rows } = await admin.query('SHOW NODES');
    target = rows.find((row) => row.includes('standby'))?.[0] ?? '';
    const same = await admin.query(`SWITCHOVER TO ${rows.find((row) => row.includes('primary'))?.[0]}`);
    assert.equal(same.error?.code, '55000', 'the primary is no candidate');
    const { error, tags, notices } = await admin.query(`SWITCHOVER TO ${target}`);
    assert.equal(error, null);
    assert.deepEqual(tags, ['SWITCHOVER']);
    const told = notices.map(({ message }) => message).join('\n');
    assert.match(told, new RegExp(`has handed over to ${target}, which was \\d+ bytes behind`));
    assert.match(told, /Patroni: .*switched over/i);
    t.diagnostic(told);
  });
  assert.deepEqual(errors, []);
  assert.equal(leader, target);
});
