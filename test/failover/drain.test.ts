import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, test } from 'node:test';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { promotionsSchema } from '../../src/admin/promotion-document.js';
import type { PromotionDocument } from '../../src/admin/promotion-document.js';
import { PatroniCluster } from '../support/patroni-cluster.js';
import { waitFor } from '../support/processes.js';
import type { SwitchyardProcess } from '../support/switchyard-process.js';
import { runSwitchyard } from '../support/switchyard-process.js';
import { Workload } from '../support/workload.js';
import { metric, startYard } from '../support/yard.js';

// Run from dist/test/failover: the project's folder is three levels up.
const SCRIPT = fileURLToPath(new URL('../../../config/patroni/before_stop.sh', import.meta.url));
const TIMEOUT_MS = 60_000;

let cluster: PatroniCluster;

before(async () => {
  cluster = await PatroniCluster.up();
  await Workload.prepare((await cluster.waitForLeader()).port);
});

after(async () => {
  await cluster.down();
});

async function lastPromotion(yard: SwitchyardProcess): Promise<PromotionDocument> {
  return waitFor(
    async () => {
      const answer = await fetch(`http://127.0.0.1:${yard.adminPort}/api/v1/promotions`);
      const { current, promotions } = promotionsSchema.parse(await answer.json());
      return current === null && promotions[0];
    },
    { timeoutMs: TIMEOUT_MS, what: 'the record of the promotion' },
  );
}

/** The cluster hands over under writers, most of them in short transactions; nobody may hear of it. */
async function handOver(
  t: TestContext,
  yard: SwitchyardProcess,
  how: (leader: string) => Promise<void>,
): Promise<PromotionDocument> {
  const workload = new Workload({ port: yard.port('primary'), autocommitWriters: 8, transactionWriters: 16 });
  workload.start();
  await waitFor(() => workload.acknowledged > 300, { timeoutMs: TIMEOUT_MS, what: 'the writers to be under way' });
  const old = await cluster.waitForLeader();
  await how(old.name);
  const leader = await cluster.waitForLeader({ not: old });
  const before = workload.acknowledged;
  await waitFor(() => workload.acknowledged > before + 300, { timeoutMs: TIMEOUT_MS, what: 'the writers to go on' });
  const report = await workload.stop();
  const record = await lastPromotion(yard);
  t.diagnostic(
    `gap ${Math.round(report.longestGapMs)} ms, ${report.acknowledged} acknowledged, ${report.errors.length} errors, ` +
      `pause ${record.pauseSeconds} s: ${record.phases.map(({ phase, durationSeconds }) => `${phase} ${durationSeconds} s`).join(', ')}`,
  );
  assert.deepEqual(report.errors, []);
  assert.equal(report.connectionsLost, 0);
  assert.deepEqual(await workload.audit(leader.port), { lost: 0, doubled: 0 });
  assert.deepEqual([record.outcome, record.from, record.to], ['promoted', old.name, leader.name]);
  assert.deepEqual([record.counts.transactionsLost, record.counts.inDoubt], [0, 0]);
  await cluster.waitUntilHealthy();
  return record;
}

test('behind "switchyard drain --wait" a switchover costs no error, not even to transactions', async (t) => {
  const yard = await startYard(t, cluster);
  const admin = `127.0.0.1:${yard.adminPort}`;
  const record = await handOver(t, yard, async (leader) => {
    const args = ['drain', '--node', leader, '--wait', '--timeout', '10s', '--admin', admin];
    const { code, output } = await runSwitchyard(args);
    assert.equal(code, 0, output);
    assert.match(output, /is empty after/);
    await cluster.switchover();
  });
  assert.equal(record.phases[0]?.phase, 'draining');
  assert.ok(record.counts.held >= 16);
  assert.equal(await metric(yard, 'switchyard_promotions_total{outcome="promoted"}'), 1);
});

test('behind the before_stop script, called as Patroni calls it, the same', async (t) => {
  const yard = await startYard(t, cluster);
  const record = await handOver(t, yard, async (leader) => {
    await promisify(execFile)(SCRIPT, [leader, `127.0.0.1:${yard.adminPort}`], { env: { PATH: '/usr/bin:/bin' } });
    await cluster.switchover();
  });
  assert.equal(record.phases[0]?.phase, 'draining');
});

test('"switchyard switchover" hands over without an error, and tells each phase and the pause', async (t) => {
  const yard = await startYard(t, cluster);
  const record = await handOver(t, yard, async () => {
    const args = ['switchover', '--yes', '--json', '--admin', `127.0.0.1:${yard.adminPort}`];
    const { code, output } = await runSwitchyard(args);
    assert.equal(code, 0, output);
    const events = output
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    const told = events.map(({ event, phase }) => (event === 'phase' ? phase : event));
    for (const each of ['begin', 'announced', 'drained', 'asked', 'confirming', 'releasing', 'patroni', 'done']) {
      assert.ok(told.includes(each), `${each} is not in ${told.join(', ')}`);
    }
    assert.ok(Number(events.at(-1)?.['pauseSeconds']) > 0);
  });
  assert.equal(record.phases[0]?.phase, 'announced');
});

test('a candidate that is unfit is refused by name, and nothing happens', async (t) => {
  const yard = await startYard(t, cluster);
  const leader = await cluster.waitForLeader();
  const admin = ['--yes', '--admin', `127.0.0.1:${yard.adminPort}`];
  for (const [to, reason] of [
    [leader.name, /is the primary already/],
    ['node9', /there is no node "node9"/],
  ] as const) {
    const { code, output } = await runSwitchyard(['switchover', '--to', to, ...admin]);
    assert.equal(code, 1);
    assert.match(output, reason);
  }
  assert.equal(await cluster.leader(), leader);
});
