import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ClusterFreshness } from '../../../src/cluster/freshness.js';
import type { NodeIdentity } from '../../../src/replication/probe-sql.js';
import { nodeName } from '../../../src/util/brand.js';
import type { NodeName } from '../../../src/util/brand.js';
import { A, B, C, claimsOf, failureOf, primarySample, standbySample } from '../../support/cluster-fakes.js';
import { FakeCluster } from '../../support/fake-cluster.js';

/** A cluster whose primary is node1, after a second. */
function settled(): FakeCluster {
  const cluster = new FakeCluster();
  cluster.actor(A).role = 'primary';
  cluster.run(1000);
  return cluster;
}

/** The freshness of a cluster whose probes' connections are given; by default those of the newest samples. */
function freshnessOf(cluster: FakeCluster, connections?: ReadonlyMap<NodeName, NodeIdentity>): ClusterFreshness {
  return new ClusterFreshness(cluster.store, cluster.ticks, {
    isConnectedTo: (node, identity) => (connections ?? new Map([[node, identity]])).get(node) === identity,
    earlyRound: () => {},
  });
}

/** A commit that was acknowledged now: its fence, and the WAL it has written. */
function commit(cluster: FakeCluster): number {
  cluster.actor(A).lsn += 100n;
  return cluster.ticks.fence;
}

test('a commit that is not flushed yet is not taken for replayed', () => {
  const cluster = settled();
  const fence = cluster.ticks.fence;
  const flushed = cluster.actor(A).lsn;
  cluster.actor(A).over = { insertedLsn: flushed + 100n };
  cluster.run(1000);
  assert.equal(cluster.view.nodes.get(B)?.lagMs, 0, 'no standby can have more');
  assert.ok((cluster.store.caughtUpTick(B) ?? 0) < fence);
  cluster.actor(A).lsn = flushed + 100n;
  cluster.actor(B).lsn = flushed + 100n;
  cluster.round();
  assert.ok((cluster.store.caughtUpTick(B) ?? 0) >= fence);
});

test('on an idle primary the next sample of it alone passes the fence', () => {
  const cluster = settled();
  const { fence } = cluster.ticks;
  assert.ok((cluster.store.caughtUpTick(B) ?? 0) < fence);
  cluster.probe(A);
  assert.equal(cluster.store.caughtUpTick(B), fence);
});

test('a standby that shows less than before is no longer caught up to what it was', () => {
  const cluster = settled();
  const fence = commit(cluster);
  cluster.actor(B).lsn += 100n;
  cluster.round();
  assert.ok((cluster.store.caughtUpTick(B) ?? 0) >= fence);
  cluster.actor(B).lsn -= 50n;
  cluster.probe(B);
  assert.ok((cluster.store.caughtUpTick(B) ?? 0) < fence);
  assert.equal(cluster.store.replayed(B), cluster.actor(B).lsn);
});

test('of a standby that did not answer nothing is known until it does', () => {
  const cluster = settled();
  const before = cluster.store.caughtUpTick(B);
  cluster.store.applySample(B, failureOf('timeout', cluster.clock.nowMs()), null);
  assert.equal(cluster.view.nodes.get(B)?.health, 'healthy', 'one failure proves nothing about its health');
  assert.equal(cluster.store.caughtUpTick(B), null);
  assert.equal(cluster.store.replayed(B), null);
  cluster.probe(B);
  assert.equal(cluster.store.caughtUpTick(B), before);
});

test('a sample does not count any more when the connection has ended that it came over', () => {
  const cluster = settled();
  const identity = cluster.store.identityOf(B);
  assert.ok(identity !== null);
  const connections = new Map([[B, identity]]);
  const freshness = freshnessOf(cluster, connections);
  assert.equal(freshness.caughtUpTick(B), cluster.store.caughtUpTick(B));
  assert.equal(freshness.replayed(B), 0x1000n);
  assert.equal(freshness.caughtUpTick(C), null, 'node3 has no connection');
  connections.delete(B);
  assert.equal(freshness.caughtUpTick(B), null);
  assert.equal(freshness.replayed(B), null);
  connections.set(B, { ...identity });
  assert.equal(freshness.caughtUpTick(B), null, 'over the new one nothing was said yet');
  assert.equal(freshness.caughtUpTick(nodeName('node9')), null);
});

test('positions of another timeline are not compared', () => {
  const cluster = settled();
  assert.equal(cluster.store.replayed(B), 0x1000n);
  cluster.actor(B).lsn = 0x9999_0000n;
  cluster.actor(B).over = { timeline: 2 };
  cluster.probe(B);
  assert.equal(cluster.store.caughtUpTick(B), null);
  assert.equal(cluster.store.replayed(B), null);
  cluster.actor(B).over = { timeline: null };
  cluster.store.applySample(B, standbySample(cluster.clock.nowMs(), 0x9999_0000n, { timeline: 1 }), null);
  assert.equal(cluster.store.replayed(B), 0x9999_0000n);
});

test('the primary itself is no standby that is caught up', () => {
  const cluster = settled();
  assert.equal(cluster.store.caughtUpTick(A), null);
  assert.equal(cluster.store.replayed(A), null);
});

test('a fence from before a promotion is passed by a tick of the new primary', () => {
  const cluster = settled();
  const fence = commit(cluster);
  cluster.actor(B).lsn = cluster.actor(A).lsn;
  cluster.actor(A).fails = 'refused';
  cluster.actor(B).role = 'primary';
  cluster.actor(B).over = { timeline: 2 };
  cluster.claim(claimsOf({ leader: B }));
  cluster.run(1000);
  assert.equal(cluster.view.primary, B);
  assert.equal(cluster.ticks.source?.timeline, 2);
  assert.equal(cluster.store.caughtUpTick(C), null, 'node3 is still on the old timeline');
  cluster.actor(C).over = { timeline: 2 };
  cluster.run(250);
  assert.ok((cluster.store.caughtUpTick(C) ?? 0) < fence, 'and does not have it yet');
  cluster.actor(C).lsn = cluster.actor(B).lsn;
  cluster.run(250);
  assert.ok((cluster.store.caughtUpTick(C) ?? 0) >= fence);
});

test('in a standby cluster a fence is what its leader has received, or has had before', () => {
  const cluster = new FakeCluster(claimsOf({ settings: { standbyCluster: true } }));
  cluster.run(1000);
  const { fence } = cluster.ticks;
  cluster.actor(A).over = { receiveLsn: 0x2000n };
  cluster.probe(A);
  assert.equal(cluster.ticks.lsnOf(fence), 0x2000n);
  cluster.actor(A).lsn = 0x3000n;
  cluster.probe(A);
  assert.equal(
    cluster.ticks.lsnOf(fence + 1),
    0x3000n,
    'right after a start it has received less than it has replayed',
  );
  cluster.actor(A).over = { receiveLsn: null };
  cluster.probe(A);
  assert.equal(cluster.ticks.lsnOf(fence + 2), 0x3000n);
});

test('the position of a fence is known from the next tick on', () => {
  const cluster = settled();
  const freshness = freshnessOf(cluster);
  cluster.actor(A).over = { insertedLsn: 0x1234n };
  const fence = freshness.fence();
  assert.equal(freshness.lsnOf(fence), null);
  cluster.round();
  assert.equal(freshness.lsnOf(fence), 0x1234n);
});

test('whoever is in a hurry asks for an early round', () => {
  const cluster = settled();
  let rounds = 0;
  const prober = { isConnectedTo: () => true, earlyRound: () => (rounds += 1) };
  new ClusterFreshness(cluster.store, cluster.ticks, prober).hurry();
  assert.equal(rounds, 1);
});

test('progress is told after each sample that a node gave, and the new state is there', () => {
  const cluster = settled();
  const freshness = freshnessOf(cluster);
  const seen: (number | null)[] = [];
  const stop = freshness.onProgress(() => seen.push(freshness.caughtUpTick(B)));
  const { fence } = cluster.ticks;
  cluster.probe(A);
  assert.deepEqual(seen, [fence]);
  cluster.store.applySample(C, failureOf('timeout', cluster.clock.nowMs()), null);
  assert.equal(seen.length, 1, 'a failure is no progress');
  cluster.probe(C);
  assert.equal(seen.length, 2);
  cluster.store.applySample(nodeName('node9'), primarySample(cluster.clock.nowMs(), 1n), null);
  assert.equal(seen.length, 2, 'nor is a node that nobody knows');
  stop();
  cluster.probe(A);
  assert.equal(seen.length, 2);
});

test('a node is healthy since it became so, and not when it is not', () => {
  const cluster = settled();
  const sinceMs = cluster.view.nodes.get(B)?.healthySinceMs;
  assert.ok(typeof sinceMs === 'number');
  cluster.run(5000);
  assert.equal(cluster.view.nodes.get(B)?.healthySinceMs, sinceMs, 'figures change nothing about it');
  cluster.actor(B).fails = 'refused';
  cluster.round();
  assert.equal(cluster.view.nodes.get(B)?.healthySinceMs, null);
  cluster.actor(B).fails = null;
  const beforeMs = cluster.clock.nowMs();
  cluster.run(30_000);
  const againMs = cluster.view.nodes.get(B)?.healthySinceMs;
  assert.equal(cluster.view.nodes.get(B)?.health, 'healthy');
  assert.ok(typeof againMs === 'number' && againMs > beforeMs);
});
