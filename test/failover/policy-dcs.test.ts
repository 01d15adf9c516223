import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { TestContext } from 'node:test';
import { ClusterKeys } from '../support/cluster-keys.js';
import { FaultProxy } from '../support/fault-proxy.js';
import { PatroniCluster } from '../support/patroni-cluster.js';
import type { PatroniNode } from '../support/patroni-node.js';
import { PlacedWriters } from '../support/placed-writers.js';
import { sql } from '../support/postgres-server.js';
import { waitFor } from '../support/processes.js';
import { roles } from '../support/roles.js';
import type { SwitchyardProcess } from '../support/switchyard-process.js';
import { metric, startYard } from '../support/yard.js';

const TIMEOUT_MS = 60_000;
/** Stale soon, and asked often. */
const QUICK_ETCD = { request_timeout: '500ms', watchdog_interval: '500ms', stale_after: '2s' } as const;
/** What a client may be told of a unit or transaction that was under way when its server stopped. */
const HONEST = new Set(['08007', '57P01', '40001']);
/** While nothing happens to PostgreSQL, nobody waits much longer than for a write; with slack for a busy machine. */
const UNNOTICED_MS = 2_000;

let cluster: PatroniCluster;

before(async () => {
  cluster = await PatroniCluster.up({ nodes: 2, etcdMembers: 3 });
  await PlacedWriters.prepare((await cluster.waitForLeader()).port);
});

after(async () => {
  await cluster.down();
});

test('one of three etcd members gone, whichever: nobody notices', async (t) => {
  const { yard, writers } = await startWriting(t, { autocommit: 2, transactions: 2 });
  const beganAtMs = performance.now();
  for (const member of cluster.etcd) {
    await member.kill();
    const killedAtMs = performance.now();
    await waitFor(async () => performance.now() - killedAtMs > 1_500 && (await claimsAgeS(yard)) < 1, {
      timeoutMs: TIMEOUT_MS,
      what: `claims without ${member.name}`,
    });
    await member.start();
  }
  await writers.stop();
  assert.deepEqual(writers.errors, []);
  const gapMs = writers.longestGapMs(beganAtMs);
  t.diagnostic(`longest gap ${Math.round(gapMs)} ms`);
  assert.ok(gapMs < UNNOTICED_MS, `${gapMs} ms`);
  assert.deepEqual(holds(yard), []);
});

test('keys that name nobody who can be found, or nobody: units wait, and go on when they name the primary; in maintenance mode they go on at once', async (t) => {
  const { yard, writers, leader } = await startWriting(t, { autocommit: 3, transactions: 0 });
  const keys = new ClusterKeys(cluster);
  for (const node of cluster.nodes) node.freezePatroni();
  t.after(() => cluster.nodes.forEach((node) => node.thaw()));
  const [held, config] = await Promise.all([keys.get('leader'), keys.get('config')]);
  assert.ok(held !== null && config !== null);
  const name = (value: string) => keys.put('leader', value, held);

  await name('node9');
  await heldFor(yard, writers, /the leader key names node9, which is not a known member/);
  await name(leader.name);
  await writesOn(writers, leader);

  await keys.put('members/node9', JSON.stringify({ state: 'running', role: 'master' }));
  await name('node9');
  await heldFor(yard, writers, /the leader key names node9, which is not a known member/);
  await keys.put('config', JSON.stringify({ ...JSON.parse(config.value), pause: true }));
  await name(leader.name);
  await writesOn(writers, leader);
  await keys.delete('leader');
  await writesOn(writers, leader);

  await keys.put('config', config.value);
  await heldFor(yard, writers, /the leader key is gone/);
  await name(leader.name);
  await writesOn(writers, leader);
  await keys.delete('members/node9');
  await writers.stop();
  // A unit that is under way when the key goes to another is cut: it may have happened.
  for (const { sqlState, message } of writers.errors) assert.equal(sqlState, '08007', message);
  assert.deepEqual(await writers.missingOn(leader.port), []);
});

test('the keys of a standby cluster: nobody waits for a primary that will not come, and reads go on; when it is none any more it takes writes', async (t) => {
  const leader = await cluster.waitForLeader();
  const yard = await startYard(t, cluster, { etcd3: QUICK_ETCD });
  const through = (listener: string) => ({ host: '127.0.0.1', port: yard.port(listener) });
  const write = () => sql(through('primary'), `insert into placed(run, id) values ('standby', '0')`, roles.app);
  const keys = new ClusterKeys(cluster);
  for (const node of cluster.nodes) node.freezePatroni();
  t.after(() => cluster.nodes.forEach((node) => node.thaw()));
  const config = await keys.get('config');
  assert.ok(config !== null);
  await keys.put('config', JSON.stringify({ ...JSON.parse(config.value), standby_cluster: { host: '10.0.0.1' } }));
  await yard.waitForRecord(
    (record) => String(record['reason']).startsWith('this is a standby cluster'),
    'the standby cluster',
  );
  await assert.rejects(write(), { code: '57P03' });
  const [row] = await sql(through('standby'), 'select inet_server_port() as port', roles.app);
  assert.equal(row?.['port'], other(leader).port);
  await keys.put('config', config.value);
  await waitFor(() => write().then(() => true), { timeoutMs: TIMEOUT_MS, what: 'a write' });
});

test('a scheduled switchover that is taken back is never noticed; one that comes true is held from its time on, not before', async (t) => {
  const { yard, writers, leader } = await startWriting(t, { autocommit: 3, transactions: 0 });
  const next = other(leader);
  // Patroni sleeps on one that is nearer than its loop_wait (5 s here), and then does it even when it was taken back.
  const takenBackAt = Date.now() + 8_000;
  await cluster.scheduleSwitchover(next, new Date(takenBackAt));
  await waitFor(() => scheduled(yard).length === 1, { timeoutMs: TIMEOUT_MS, what: 'the schedule to be seen' });
  await cluster.cancelSwitchover();
  const at = takenBackAt + 4_000;
  await waitFor(() => Date.now() > at - 4_500, { timeoutMs: TIMEOUT_MS, what: 'the time to schedule the next' });
  await cluster.scheduleSwitchover(next, new Date(at));
  await waitFor(() => scheduled(yard).length === 2, { timeoutMs: TIMEOUT_MS, what: 'the schedule to be seen' });
  await writesOn(writers, next);
  await writers.stop();
  const [first] = holds(yard);
  const heldAt = Date.parse(String(first?.['time']));
  t.diagnostic(`held ${heldAt - at} ms after the time of the switchover`);
  assert.ok(heldAt >= at - 50 && heldAt < at + 1_000, `held ${heldAt - at} ms after it was due`);
  assert.deepEqual(await writers.missingOn(next.port), []);
  assertHonest(writers);
  await cluster.waitUntilHealthy();
});

test('a proxy that is cut off from etcd goes on alone; a switchover behind its back makes it wait, and believe in nobody until it can read again', async (t) => {
  const [etcd] = cluster.etcd;
  assert.ok(etcd !== undefined);
  const way = await FaultProxy.start(etcd.port);
  t.after(() => way.close());
  const hosts = [`127.0.0.1:${way.port}`];
  const { yard, writers, leader } = await startWriting(t, { autocommit: 3, transactions: 1 }, { hosts });
  const next = other(leader);
  way.freeze();
  const cutAtMs = performance.now();
  await waitFor(async () => (await claimsAgeS(yard)) > 4, { timeoutMs: TIMEOUT_MS, what: 'old claims' });
  await writesOn(writers, leader);
  assert.ok(writers.longestGapMs(cutAtMs) < UNNOTICED_MS, `${writers.longestGapMs(cutAtMs)} ms`);
  assert.deepEqual(writers.errors, []);

  await cluster.switchover(next);
  await cluster.waitForLeader({ not: leader });
  await waitUntilPrimary(next);
  const promotedAtMs = performance.now();
  await waitFor(() => performance.now() - promotedAtMs > 2_000, { timeoutMs: TIMEOUT_MS, what: 'a while' });
  assert.equal(writers.by(next.port).length, 0, 'nothing new is believed');
  await way.heal();
  await writesOn(writers, next);
  await writers.stop();
  assert.deepEqual(writers.by(leader.port, promotedAtMs), []);
  assert.deepEqual(await writers.missingOn(next.port), []);
  assertHonest(writers);
  await cluster.waitUntilHealthy();
});

test('etcd without a quorum, failsafe_mode off: Patroni takes the primary down, units wait, and go on when the quorum is back', async (t) => {
  const { yard, writers } = await startWriting(t, { autocommit: 3, transactions: 1 });
  await loseQuorum();
  const noPrimary = await yard.waitForRecord(
    (record) => record['change'] === 'primary' && record['to'] === null,
    'the loss of the primary',
    TIMEOUT_MS,
  );
  t.diagnostic(`no primary: ${String(noPrimary['reason'])}`);
  const before = writers.writes.length;
  await regainQuorum();
  await waitFor(() => writers.writes.length > before + 20, { timeoutMs: TIMEOUT_MS, what: 'writes' });
  const leader = await cluster.waitForLeader();
  await writers.stop();
  assert.deepEqual(await writers.missingOn(leader.port), []);
  assertHonest(writers);
  await cluster.waitUntilHealthy();
});

test('etcd without a quorum, failsafe_mode on: the primary goes on, and so do the units; with the quorum comes no change either', async (t) => {
  await cluster.patchConfig({ failsafe_mode: true });
  const leader = await cluster.waitForLeader();
  const keys = new ClusterKeys(cluster);
  await waitFor(async () => (await keys.get('failsafe')) !== null, { timeoutMs: TIMEOUT_MS, what: 'failsafe members' });
  const { yard, writers } = await startWriting(t, { autocommit: 2, transactions: 2 });
  const beganAtMs = performance.now();
  await loseQuorum();
  // Longer than Patroni without failsafe_mode would keep the primary.
  await waitFor(async () => (await claimsAgeS(yard)) > 14, { timeoutMs: TIMEOUT_MS, what: 'old claims' });
  assert.match(await (await fetch(`http://127.0.0.1:${yard.adminPort}/readyz`)).text(), /stale/);
  await regainQuorum();
  await waitFor(async () => (await claimsAgeS(yard)) < 1, { timeoutMs: TIMEOUT_MS, what: 'fresh claims' });
  await writesOn(writers, leader);
  await writers.stop();
  assert.deepEqual(writers.errors, []);
  assert.ok(writers.longestGapMs(beganAtMs) < UNNOTICED_MS, `${writers.longestGapMs(beganAtMs)} ms`);
  assert.deepEqual(await writers.missingOn(leader.port), []);
});

/** Whatever clients were told is what they had to be told. */
function assertHonest(writers: PlacedWriters): void {
  for (const { sqlState, message } of writers.errors) assert.ok(HONEST.has(sqlState), `${sqlState} ${message}`);
}

interface Writing {
  readonly yard: SwitchyardProcess;
  readonly writers: PlacedWriters;
  readonly leader: PatroniNode;
}

/** A proxy with writers that are under way. */
async function startWriting(
  t: TestContext,
  counts: { readonly autocommit: number; readonly transactions: number },
  etcd3: Readonly<Record<string, unknown>> = {},
): Promise<Writing> {
  const leader = await cluster.waitForLeader();
  const yard = await startYard(t, cluster, { etcd3: { ...QUICK_ETCD, ...etcd3 } });
  const writers = new PlacedWriters(t, yard.port('primary'), counts);
  await writesOn(writers, leader);
  return { yard, writers, leader };
}

/** Waits until some more writes were done by that node. */
async function writesOn(writers: PlacedWriters, node: PatroniNode): Promise<void> {
  const before = writers.by(node.port).length;
  await waitFor(() => writers.by(node.port).length > before + 20, {
    timeoutMs: TIMEOUT_MS,
    what: `writes on ${node.name}`,
  });
}

/** Waits until units are held for this reason, and a while longer, in which nobody may write. */
async function heldFor(yard: SwitchyardProcess, writers: PlacedWriters, reason: RegExp): Promise<void> {
  const isIt = (record: Readonly<Record<string, unknown>>): boolean =>
    record['change'] === 'primary' && record['to'] === null && reason.test(String(record['reason']));
  await waitFor(() => isIt(yard.records().findLast((record) => record['change'] === 'primary') ?? {}), {
    timeoutMs: TIMEOUT_MS,
    what: `no primary: ${String(reason)}`,
  });
  await waitFor(async () => ((await metric(yard, 'switchyard_held_sessions{route="primary"}')) ?? 0) === 3, {
    timeoutMs: TIMEOUT_MS,
    what: 'all to be held',
  });
  const { length } = writers.writes;
  const heldAtMs = performance.now();
  await waitFor(() => performance.now() - heldAtMs > 700, { timeoutMs: TIMEOUT_MS, what: 'a while' });
  assert.equal(writers.writes.length, length, 'nobody writes');
}

function holds(yard: SwitchyardProcess): readonly Readonly<Record<string, unknown>>[] {
  const ready = yard.records().findIndex((record) => record['msg'] === 'units for the primary go on');
  return yard
    .records()
    .slice(ready + 1)
    .filter((record) => record['msg'] === 'units for the primary are held');
}

/** Schedules that were seen. */
function scheduled(yard: SwitchyardProcess): readonly unknown[] {
  return yard
    .records()
    .filter((record) => record['change'] === 'switchover' && String(record['to']).startsWith('scheduled'));
}

function other(node: PatroniNode): PatroniNode {
  const found = cluster.nodes.find((each) => each !== node);
  if (found === undefined) throw new Error('there is no other node');
  return found;
}

async function waitUntilPrimary(node: PatroniNode): Promise<void> {
  await waitFor(async () => (await sql(node, 'select pg_is_in_recovery() as r'))[0]?.['r'] === false, {
    timeoutMs: TIMEOUT_MS,
    what: `the promotion of ${node.name}`,
  });
}

async function claimsAgeS(yard: SwitchyardProcess): Promise<number> {
  return (await metric(yard, 'switchyard_dcs_confirmed_age_seconds')) ?? Number.POSITIVE_INFINITY;
}

async function loseQuorum(): Promise<void> {
  await Promise.all(cluster.etcd.slice(1).map((member) => member.kill()));
}

async function regainQuorum(): Promise<void> {
  await Promise.all(cluster.etcd.slice(1).map((member) => member.start()));
}
