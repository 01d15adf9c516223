import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { PatroniCluster } from '../support/patroni-cluster.js';
import { waitFor } from '../support/processes.js';
import type { WorkloadReport } from '../support/workload.js';
import { Floor, Workload } from '../support/workload.js';
import { startYard } from '../support/yard.js';

const SWITCHOVERS = 3;

let cluster: PatroniCluster;

before(async () => {
  cluster = await PatroniCluster.up();
  await Workload.prepare((await cluster.waitForLeader()).port);
});

after(async () => {
  await cluster.down();
});

test('a planned switchover under 32 writers costs a pause near the floor, and errors only to open transactions', async (t) => {
  const yard = await startYard(t, cluster);
  for (let round = 1; round <= SWITCHOVERS; round += 1) {
    const workload = new Workload({ port: yard.port('primary'), autocommitWriters: 16, transactionWriters: 16 });
    const floor = new Floor(cluster.nodes.map((node) => node.port));
    workload.start();
    floor.start();
    await waitFor(() => workload.acknowledged > 500, { timeoutMs: 30_000, what: 'the writers to be under way' });
    const old = await cluster.waitForLeader();
    await cluster.switchover();
    const leader = await cluster.waitForLeader({ not: old });
    const before = workload.acknowledged;
    await waitFor(() => workload.acknowledged > before + 500, { timeoutMs: 60_000, what: 'the writers to go on' });
    const [report, floorMs] = [await workload.stop(), await floor.stop()];
    const audit = await workload.audit(leader.port);
    t.diagnostic(
      `round ${round}: gap ${Math.round(report.longestGapMs)} ms, floor ${Math.round(floorMs)} ms, ` +
        `${report.acknowledged} acknowledged, errors ${describe(report)}`,
    );
    assert.deepEqual(audit, { lost: 0, doubled: 0 });
    for (const error of report.errors) {
      // Only a transaction that was open when PostgreSQL stopped may be told so, and its client stays connected.
      assert.ok(['begin', 'insert', 'commit'].includes(error.during), `${error.during}: ${error.message}`);
      const honest = error.during === 'commit' ? ['40001', '08007'] : ['40001'];
      assert.ok(honest.includes(error.sqlState), `${error.during}: ${error.sqlState} ${error.message}`);
      assert.equal(error.connectionLost, false, error.message);
    }
    await cluster.waitUntilHealthy();
  }
});

function describe(report: WorkloadReport): string {
  const kinds = new Map<string, number>();
  for (const error of report.errors) {
    const kind = `${error.sqlState} during ${error.during}`;
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  return kinds.size === 0 ? 'none' : [...kinds].map(([kind, count]) => `${count} x ${kind}`).join(', ');
}
