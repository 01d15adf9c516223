import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { PatroniCluster } from '../support/patroni-cluster.js';
import { waitFor } from '../support/processes.js';
import { Workload } from '../support/workload.js';
import { startYard } from '../support/yard.js';

/** What is unknown, and a transaction that was rolled back. */
const HONEST = new Set(['08007', '40001']);

let cluster: PatroniCluster;

before(async () => {
  cluster = await PatroniCluster.up({ synchronous: true });
  await Workload.prepare((await cluster.waitForLeader()).port);
});

after(async () => {
  await cluster.down();
});

test('a killed leader costs each session in flight one honest error, and nothing that was acknowledged', async (t) => {
  const yard = await startYard(t, cluster);
  const workload = new Workload({ port: yard.port('primary'), autocommitWriters: 12, transactionWriters: 4 });
  workload.start();
  await waitFor(() => workload.acknowledged > 300, { timeoutMs: 30_000, what: 'the writers to be under way' });
  const old = await cluster.waitForLeader();
  await old.crash();
  const leader = await cluster.waitForLeader({ not: old, timeoutMs: 90_000 });
  const before = workload.acknowledged;
  await waitFor(() => workload.acknowledged > before + 300, { timeoutMs: 60_000, what: 'the writers to go on' });

  // The old leader comes back, as a standby at last: nothing of ours may reach it as a primary meanwhile.
  await cluster.revive(old);
  await cluster.waitUntilHealthy(120_000);
  const report = await workload.stop();
  const audit = await workload.audit(leader.port);
  t.diagnostic(
    `gap ${Math.round(report.longestGapMs)} ms, ${report.acknowledged} acknowledged, errors ${report.errors.map((e) => e.sqlState).join(' ')}`,
  );
  assert.deepEqual(audit, { lost: 0, doubled: 0 });
  assert.ok(report.mostErrorsOfOne <= 1, 'one error a session at most');
  for (const error of report.errors) {
    assert.ok(HONEST.has(error.sqlState), `${error.sqlState} ${error.message}`);
    assert.equal(error.connectionLost, false, error.message);
  }
});
