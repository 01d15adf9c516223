import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { PatroniCluster } from '../support/patroni-cluster.js';
import { waitFor } from '../support/processes.js';
import { roles } from '../support/roles.js';
import { Workload } from '../support/workload.js';
import { metric, startYard } from '../support/yard.js';

/** Far longer than etcd may be silent before the claims are stale. */
const OUTAGE_MS = 60_000;

let cluster: PatroniCluster;

before(async () => {
  cluster = await PatroniCluster.up();
  // Without it Patroni itself takes the primary down when etcd is gone.
  await cluster.patchConfig({ failsafe_mode: true });
  await Workload.prepare((await cluster.waitForLeader()).port);
});

after(async () => {
  await cluster.down();
});

test('etcd may be gone for a minute: clients notice nothing, and the age of the claims shows', async (t) => {
  const yard = await startYard(t, cluster, { etcd3: { stale_after: '5s' } });
  const workload = new Workload({
    port: yard.port('primary'),
    autocommitWriters: 4,
    transactionWriters: 4,
    pauseMs: 20,
  });
  workload.start();
  await waitFor(() => workload.acknowledged > 100, { timeoutMs: 30_000, what: 'the writers to be under way' });
  const beganAt = performance.now();
  for (const member of cluster.etcd) await member.kill();
  await waitFor(async () => ((await metric(yard, 'switchyard_dcs_confirmed_age_seconds')) ?? 0) > 10, {
    timeoutMs: 40_000,
    what: 'the age of the claims to show in the metrics',
  });
  const ready = await fetch(`http://127.0.0.1:${yard.adminPort}/readyz`);
  const detail = await ready.text();
  assert.equal(ready.status, 200, detail);
  assert.match(detail, /stale/);
  await delay(Math.max(0, OUTAGE_MS - (performance.now() - beganAt)));
  for (const member of cluster.etcd) await member.start();
  await waitFor(async () => ((await metric(yard, 'switchyard_dcs_confirmed_age_seconds')) ?? 99) < 5, {
    timeoutMs: 40_000,
    what: 'the claims to be fresh again',
  });
  const report = await workload.stop();
  t.diagnostic(`${report.acknowledged} acknowledged, longest gap ${Math.round(report.longestGapMs)} ms`);
  assert.deepEqual(report.errors, []);
  assert.deepEqual(await workload.audit((await cluster.waitForLeader()).port), { lost: 0, doubled: 0 });
  await cluster.waitUntilHealthy();
});

test('a leader key that names a node in recovery gets no write: units wait until a proven primary is named', async (t) => {
  const yard = await startYard(t, cluster);
  const leader = await cluster.waitForLeader();
  const [standby] = await cluster.standbys();
  const [etcd] = cluster.etcd;
  assert.ok(standby !== undefined && etcd !== undefined);
  const key = `/service/${cluster.scope}/leader`;
  const client = new pg.Client({ ...roles.app, host: '127.0.0.1', port: yard.port('primary') });
  await client.connect();
  for (const node of cluster.nodes) node.freezePatroni();
  t.after(() => {
    for (const node of cluster.nodes) node.thaw();
  });
  await etcd.put(key, standby.name);
  await waitFor(
    () => yard.records('units for the primary are held').some((each) => each['candidate'] === standby.name),
    {
      timeoutMs: 10_000,
      what: 'the proxy to see the key',
    },
  );
  let isAnswered = false;
  const write = client.query(`insert into workload values ('recovery', 0, 0)`).then(() => {
    isAnswered = true;
  });
  await delay(1_500);
  assert.equal(isAnswered, false, 'the write waits');
  assert.equal(await metric(yard, 'switchyard_held_sessions{route="primary"}'), 1);
  await etcd.put(key, leader.name);
  await write;
  await client.end();
  assert.equal(await metric(yard, 'switchyard_wrong_role_errors_total'), 0);
});
