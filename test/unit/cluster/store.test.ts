import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEPARTED_KEEP_MS } from '../../../src/cluster/roster.js';
import { FIGURES_INTERVAL_MS } from '../../../src/cluster/store.js';
import { silentLogger } from '../../../src/log.js';
import type { LogFields } from '../../../src/log.js';
import { nodeName } from '../../../src/util/brand.js';
import { A, B, C, OTHER_SYSTEM, SYSTEM, claimsOf, memberOf, primarySample } from '../../support/cluster-fakes.js';
import { FakeCluster } from '../../support/fake-cluster.js';

/** A cluster whose primary is node1, after a second. */
function settled(...args: ConstructorParameters<typeof FakeCluster>): FakeCluster {
  const cluster = new FakeCluster(...args);
  cluster.actor(A).role = 'primary';
  cluster.run(1000);
  return cluster;
}

test('nothing is a fact before a node has answered', () => {
  const { view } = new FakeCluster().store;
  assert.equal(view.epoch, 0);
  assert.equal(view.primary, null);
  assert.deepEqual(
    [...view.nodes.values()].map(({ role, health, lagBytes }) => [role, health, lagBytes]),
    [
      ['unknown', 'unknown', null],
      ['unknown', 'unknown', null],
      ['unknown', 'unknown', null],
    ],
  );
});

test('claims and samples make a primary and healthy standbys', () => {
  const { view } = settled();
  assert.equal(view.primary, A);
  assert.equal(view.noPrimaryReason, null);
  assert.equal(view.highestTimeline, 1);
  assert.equal(view.systemIdentifier, SYSTEM);
  assert.deepEqual(
    [...view.nodes.values()].map(({ name, role, health, lagMs, streaming }) => [name, role, health, lagMs, streaming]),
    [
      [A, 'primary', 'healthy', 0, false],
      [B, 'standby', 'healthy', 0, true],
      [C, 'standby', 'healthy', 0, true],
    ],
  );
  assert.ok(Object.isFrozen(view) && Object.isFrozen(view.nodes.get(A)));
});

test('the epoch grows by one with every view, and nothing is published when nothing happens', () => {
  const cluster = settled();
  const published = cluster.views.length;
  cluster.run(60_000);
  assert.equal(cluster.views.length, published);
  cluster.views.forEach((view, index) => assert.equal(view.epoch, index + 1));
});

test('figures are published now and then, and can be read at any time', () => {
  const cluster = settled();
  const published = cluster.views.length;
  cluster.run(10_000, (elapsedMs) => {
    cluster.actor(A).lsn = 0x2000n + BigInt(elapsedMs);
    cluster.actor(B).lsn = 0x1500n + BigInt(elapsedMs);
  });
  const more = cluster.views.length - published;
  assert.ok(more >= 9 && more <= 10_000 / FIGURES_INTERVAL_MS, `${more} views`);
  const figures = cluster.store.figures().get(B);
  assert.equal(figures?.lagBytes, 0xb00);
  assert.equal(figures?.roundTripMs, 0);
  assert.equal(cluster.store.figures().size, 3);
});

test('lag spikes: one odd sample is no transition', () => {
  const cluster = settled();
  cluster.views.length = 0;
  cluster.actor(A).lsn = 0x9000_0000n;
  cluster.actor(C).lsn = 0x9000_0000n;
  cluster.round();
  cluster.actor(B).lsn = 0x9000_0000n;
  cluster.run(5000);
  assert.deepEqual(cluster.path(B), ['healthy']);
});

test('lag spikes: a standby whose replay stands still goes within a second beyond max_lag, and comes back once', () => {
  const cluster = settled();
  const writes = (): void => {
    cluster.actor(A).lsn += 100n;
    cluster.actor(C).lsn = cluster.actor(A).lsn;
  };
  cluster.run(2000, () => {
    writes();
    cluster.actor(B).lsn = cluster.actor(A).lsn;
  });
  cluster.views.length = 0;
  const stoodStillAtMs = cluster.clock.nowMs();
  let goneAtMs = 0;
  cluster.run(60_000, () => {
    writes();
    if (goneAtMs === 0 && cluster.view.nodes.get(B)?.health === 'lagging') {
      goneAtMs = cluster.clock.nowMs();
    }
  });
  assert.ok(goneAtMs - stoodStillAtMs > 10_000 && goneAtMs - stoodStillAtMs <= 11_000, `${goneAtMs - stoodStillAtMs}`);
  cluster.run(30_000, () => {
    writes();
    cluster.actor(B).lsn = cluster.actor(A).lsn;
  });
  assert.deepEqual(cluster.path(B), ['healthy', 'lagging', 'healthy']);
  assert.deepEqual(cluster.path(C), ['healthy']);
});

test('lag spikes: an idle primary makes nobody lag', () => {
  const cluster = settled();
  cluster.views.length = 0;
  cluster.run(600_000);
  assert.equal(cluster.views.length, 0);
  assert.equal(cluster.view.nodes.get(B)?.lagMs, 0);
});

test('lag spikes: a primary that was idle for long and then writes makes nobody lag', () => {
  const cluster = settled();
  cluster.run(600_000);
  cluster.views.length = 0;
  cluster.actor(A).lsn += 1000n;
  cluster.round();
  cluster.actor(B).lsn += 1000n;
  cluster.actor(C).lsn += 1000n;
  cluster.run(5000);
  assert.deepEqual(cluster.path(B), ['healthy']);
});

test('lag spikes: archive recovery in pieces is one transition', () => {
  const cluster = settled(claimsOf(), { requireStreaming: false });
  cluster.actor(B).over = { streaming: false, receiveLsn: null };
  cluster.views.length = 0;
  cluster.run(22 * 60_000, (elapsedMs) => {
    cluster.actor(A).lsn += 1000n;
    cluster.actor(C).lsn = cluster.actor(A).lsn;
    if (elapsedMs % 60_000 === 0) {
      cluster.actor(B).lsn = cluster.actor(A).lsn;
    }
  });
  assert.deepEqual(cluster.path(B), ['healthy', 'lagging']);
});

test('lag spikes: fresh archive recovery is served where no stream is required', () => {
  const cluster = settled(claimsOf(), { requireStreaming: false });
  cluster.actor(B).over = { streaming: false, receiveLsn: null };
  cluster.views.length = 0;
  cluster.run(120_000, () => {
    cluster.actor(A).lsn += 1000n;
    cluster.actor(B).lsn = cluster.actor(A).lsn - 1000n;
    cluster.actor(C).lsn = cluster.actor(A).lsn;
  });
  assert.deepEqual(cluster.path(B), ['healthy']);
});

test('one slow probe of the primary changes nothing, a second one takes it away', () => {
  const cluster = settled();
  cluster.actor(A).fails = 'timeout';
  cluster.probe(A);
  assert.equal(cluster.view.primary, A);
  cluster.actor(A).fails = null;
  cluster.probe(A);
  cluster.actor(A).fails = 'timeout';
  cluster.probe(A);
  assert.equal(cluster.view.primary, A);
  cluster.probe(A);
  assert.equal(cluster.view.primary, null);
  assert.match(cluster.view.noPrimaryReason ?? '', /node1 does not prove that it is the primary: it is timeout/);
});

test('a primary that refuses, shuts down, starts up or breaks new connections is none at once', () => {
  for (const kind of ['refused', 'shutting_down', 'starting_up', 'not_accepting', 'lost'] as const) {
    const cluster = settled();
    cluster.actor(A).fails = kind;
    cluster.probe(A);
    assert.equal(cluster.view.primary, null, kind);
    assert.equal(cluster.view.nodes.get(A)?.role, 'unknown');
    assert.equal(cluster.view.nodes.get(A)?.lagMs, null);
  }
});

test('a primary without a slot for the monitor role is believed for a while', () => {
  const cluster = settled();
  cluster.actor(A).fails = 'no_slot';
  cluster.run(29_000);
  assert.equal(cluster.view.primary, A);
  cluster.run(2000);
  assert.equal(cluster.view.primary, null);
});

test('the leader key decides at once: gone means nobody, another name means nobody until that one proves itself', () => {
  const cluster = settled();
  cluster.claim(claimsOf({ leader: null }));
  assert.equal(cluster.view.primary, null);
  cluster.claim(claimsOf({ leader: B }));
  assert.equal(cluster.view.primary, null);
  cluster.run(1000);
  assert.match(cluster.view.noPrimaryReason ?? '', /node2 holds the leader key and is still in recovery/);
  const actor = cluster.actor(B);
  actor.role = 'primary';
  actor.over = { timeline: 2 };
  cluster.probe(B);
  assert.equal(cluster.view.primary, B);
  assert.equal(cluster.view.highestTimeline, 2);
  assert.match(cluster.view.nodes.get(A)?.reason ?? '', /out of recovery, but the primary is node2/);
});

test('an old primary that comes back on its old timeline is never the primary again', () => {
  const cluster = settled();
  cluster.claim(claimsOf({ leader: B }));
  cluster.actor(B).role = 'primary';
  cluster.actor(B).over = { timeline: 2 };
  cluster.probe(B);
  cluster.claim(claimsOf({ leader: A }));
  cluster.run(1000);
  assert.equal(cluster.view.primary, null);
  assert.match(cluster.view.noPrimaryReason ?? '', /timeline 1, the cluster was on 2/);
});

test('a leader on an older timeline than was seen is refused until the operator says that the past does not count', () => {
  const cluster = settled();
  cluster.actor(A).over = { timeline: 8 };
  cluster.round();
  cluster.claim(claimsOf({ leader: B }));
  cluster.actor(B).role = 'primary';
  cluster.actor(B).over = { timeline: 7 };
  cluster.run(60_000);
  assert.equal(cluster.view.primary, null);
  assert.match(cluster.view.noPrimaryReason ?? '', /node2 is on timeline 7, the cluster was on 8 already/);
  cluster.store.forgetPast();
  assert.equal(cluster.view.primary, B);
  assert.equal(cluster.view.highestTimeline, 7);
});

test('the history key guards the timeline before any primary was seen', () => {
  const history = [{ timeline: 4, lsn: 1n, reason: '', atEpochMs: null, newLeader: A }];
  const cluster = settled(claimsOf({ history }));
  assert.equal(cluster.view.highestTimeline, 5);
  assert.equal(cluster.view.primary, null);
  cluster.actor(A).over = { timeline: 5 };
  cluster.round();
  assert.equal(cluster.view.primary, A);
});

test('the loss of the DCS alone changes nothing that is still true', () => {
  const cluster = settled();
  cluster.claim(claimsOf({ state: 'stale', trouble: 'no answer for 15 s' }));
  cluster.views.length = 0;
  cluster.run(600_000);
  assert.equal(cluster.views.length, 0);
  assert.equal(cluster.view.primary, A);
  assert.equal(cluster.view.dcs.state, 'stale');
  assert.equal(cluster.view.dcs.trouble, 'no answer for 15 s');
  assert.equal(cluster.view.nodes.get(B)?.health, 'healthy');
});

test('nothing new is believed while the DCS is away', () => {
  const cluster = settled();
  cluster.claim(claimsOf({ state: 'stale' }));
  cluster.actor(A).fails = 'refused';
  cluster.actor(B).role = 'primary';
  cluster.actor(B).over = { timeline: 2 };
  cluster.run(5000);
  assert.equal(cluster.view.primary, null);
  cluster.claim(claimsOf({ leader: B }));
  assert.equal(cluster.view.primary, B);
});

test('reads on standbys go on through a failover of half a minute, and the new primary changes nothing for them', () => {
  const cluster = settled();
  cluster.views.length = 0;
  cluster.actor(A).fails = 'refused';
  for (const name of [B, C]) {
    cluster.actor(name).over = { streaming: false };
  }
  cluster.run(29_000);
  cluster.claim(claimsOf({ leader: null, members: [memberOf(B), memberOf(C)] }));
  cluster.run(2000);
  cluster.claim(claimsOf({ leader: B, members: [memberOf(B), memberOf(C)] }));
  cluster.actor(B).role = 'primary';
  cluster.actor(B).over = { timeline: 2 };
  cluster.run(2000, () => {
    cluster.actor(B).lsn += 50n;
  });
  cluster.actor(C).over = { timeline: 2 };
  cluster.run(10_000, () => {
    cluster.actor(B).lsn += 50n;
    cluster.actor(C).lsn = cluster.actor(B).lsn;
  });
  assert.equal(cluster.view.primary, B);
  assert.deepEqual(cluster.path(C), ['healthy']);
});

test('without a primary for longer than the last position is believed, freshness is unknown', () => {
  const cluster = settled();
  cluster.actor(A).fails = 'refused';
  cluster.run(62_000);
  assert.equal(cluster.view.nodes.get(B)?.health, 'unknown');
  assert.equal(cluster.view.nodes.get(B)?.lagMs, null);
  assert.match(cluster.view.nodes.get(B)?.reason ?? '', /lag unknown/);
});

test('a standby that stays on the old timeline is out, whatever its position', () => {
  const cluster = settled();
  cluster.claim(claimsOf({ leader: B }));
  cluster.actor(A).fails = 'refused';
  cluster.actor(B).role = 'primary';
  cluster.actor(B).over = { timeline: 2 };
  cluster.actor(C).lsn = 0xffff_ffffn;
  cluster.views.length = 0;
  cluster.run(12_000);
  assert.equal(cluster.view.nodes.get(C)?.health, 'lagging');
  assert.match(cluster.view.nodes.get(C)?.reason ?? '', /on timeline 1, node2 is on 2/);
  assert.equal(cluster.view.nodes.get(C)?.lagBytes, null);
  assert.equal(cluster.store.caughtUpTick(C), null);
});

test('a standby that loses its WAL receiver is still on the timeline it was seen on, whatever its control file says', () => {
  const cluster = settled();
  cluster.actor(A).over = { timeline: 2 };
  const startedAtMs = 50_000;
  cluster.actor(B).over = { timeline: 2, startedAtMs };
  cluster.run(1000);
  cluster.actor(A).fails = 'refused';
  cluster.actor(B).over = { timeline: 1, streaming: false, startedAtMs };
  cluster.views.length = 0;
  cluster.run(20_000);
  assert.equal(cluster.view.nodes.get(B)?.timeline, 2);
  assert.deepEqual(cluster.path(B), ['healthy']);
  cluster.actor(B).over = { timeline: 1, streaming: false, startedAtMs: startedAtMs + 40 };
  cluster.round();
  assert.equal(cluster.view.nodes.get(B)?.timeline, 2, 'over a new connection too');
  cluster.actor(B).over = { timeline: 1, streaming: false, startedAtMs: cluster.clock.nowMs() };
  cluster.round();
  assert.equal(cluster.view.nodes.get(B)?.timeline, 1, 'a restarted server may have been rewound');
});

test('a demoted primary is a standby again after its own proof and warm-up', () => {
  const cluster = settled();
  cluster.claim(claimsOf({ leader: B }));
  cluster.actor(A).fails = 'shutting_down';
  cluster.run(1000);
  cluster.actor(A).fails = 'refused';
  cluster.actor(B).role = 'primary';
  cluster.actor(B).over = { timeline: 2 };
  cluster.run(2000);
  cluster.actor(A).fails = null;
  cluster.actor(A).role = 'standby';
  cluster.actor(A).over = { timeline: 2, startedAtMs: cluster.clock.nowMs() };
  cluster.views.length = 0;
  cluster.run(10_000);
  assert.deepEqual(cluster.path(A), ['unreachable', 'unknown', 'healthy']);
  assert.equal(cluster.view.nodes.get(A)?.role, 'standby');
});

test('a primary that is demoted between two probes starts from nothing', () => {
  const cluster = settled();
  cluster.actor(A).role = 'standby';
  cluster.actor(A).over = { startedAtMs: cluster.clock.nowMs() };
  cluster.probe(A);
  assert.equal(cluster.view.nodes.get(A)?.health, 'unknown');
});

test('a node of another cluster is neither primary nor standby, and says why', () => {
  const cluster = settled();
  cluster.actor(B).over = { systemIdentifier: OTHER_SYSTEM };
  cluster.round();
  const node = cluster.view.nodes.get(B);
  assert.equal(node?.role, 'unknown');
  assert.equal(node?.health, 'unknown');
  assert.match(node?.reason ?? '', /system identifier 7000/);
  cluster.actor(A).over = { systemIdentifier: OTHER_SYSTEM };
  cluster.round();
  assert.equal(cluster.view.primary, null);
});

test('without an initialize key the first primary settles which system it is', () => {
  const cluster = settled(claimsOf({ systemIdentifier: null }));
  assert.equal(cluster.view.systemIdentifier, SYSTEM);
  cluster.actor(A).over = { systemIdentifier: OTHER_SYSTEM };
  cluster.round();
  assert.equal(cluster.view.primary, null);
});

test('a cluster that was made anew begins anew', () => {
  const cluster = settled();
  cluster.actor(A).over = { timeline: 7 };
  cluster.round();
  assert.equal(cluster.view.highestTimeline, 7);
  cluster.claim(claimsOf({ systemIdentifier: OTHER_SYSTEM }));
  assert.equal(cluster.view.primary, null);
  cluster.actor(A).over = { systemIdentifier: OTHER_SYSTEM };
  cluster.round();
  assert.equal(cluster.view.primary, A);
  assert.equal(cluster.view.highestTimeline, 1);
});

test('fixed nodes: the probes alone find the primary, and follow the higher timeline', () => {
  const claims = claimsOf({ provider: 'nodes', leader: null, systemIdentifier: null });
  const cluster = settled(claims);
  assert.equal(cluster.view.primary, A);
  cluster.actor(B).role = 'primary';
  cluster.actor(B).over = { timeline: 2 };
  cluster.round();
  assert.equal(cluster.view.primary, B);
  cluster.actor(B).fails = 'refused';
  cluster.round();
  assert.equal(cluster.view.primary, null, 'the old one is on an older timeline');
});

test('fixed nodes: nobody is chosen before everybody was heard', () => {
  const claims = claimsOf({ provider: 'nodes', leader: null, systemIdentifier: null });
  const cluster = new FakeCluster(claims);
  cluster.actor(A).role = 'primary';
  cluster.actor(B).role = 'primary';
  cluster.actor(B).over = { timeline: 2 };
  cluster.probe(A);
  cluster.probe(C);
  assert.equal(cluster.view.primary, null);
  cluster.probe(B);
  assert.equal(cluster.view.primary, B);
});

test('fixed nodes: a frozen node is waited for only until it has surely failed', () => {
  const claims = claimsOf({ provider: 'nodes', leader: null, systemIdentifier: null });
  const cluster = new FakeCluster(claims);
  cluster.actor(A).role = 'primary';
  cluster.actor(B).fails = 'timeout';
  cluster.probe(A);
  cluster.probe(C);
  cluster.probe(B);
  assert.equal(cluster.view.primary, null);
  cluster.probe(B);
  assert.equal(cluster.view.primary, A);
});

test('new connections that hang are shown beside a node that answers, and go away with the first that is had', () => {
  const cluster = settled();
  const failure = {
    ok: false,
    kind: 'timeout',
    message: 'a new connection took too long',
    atMs: 0,
    phase: 'connect',
  } as const;
  cluster.store.applyConnect(B, failure);
  assert.equal(cluster.view.nodes.get(B)?.acceptsConnections, true, 'one slow connection proves nothing');
  cluster.store.applyConnect(B, failure);
  assert.equal(cluster.view.nodes.get(B)?.acceptsConnections, false);
  assert.match(cluster.view.nodes.get(B)?.reason ?? '', /^new connections hang/);
  assert.equal(cluster.view.nodes.get(B)?.health, 'healthy');
  cluster.run(5000);
  assert.equal(cluster.view.nodes.get(B)?.acceptsConnections, false);
  cluster.store.applyConnect(B, { ok: true, tookMs: 3, atMs: 0 });
  assert.equal(cluster.view.nodes.get(B)?.acceptsConnections, true);
});

test('new connections that are refused count at once, a refused log-in of the monitor role does not', () => {
  const cluster = settled();
  const failure = { ok: false, message: 'no', atMs: 0, phase: 'connect' } as const;
  cluster.store.applyConnect(A, { ...failure, kind: 'shutting_down' });
  assert.equal(cluster.view.nodes.get(A)?.acceptsConnections, false);
  cluster.store.applyConnect(A, { ...failure, kind: 'login_failed' });
  assert.equal(cluster.view.nodes.get(A)?.acceptsConnections, true);
});

test('a sample over a new connection shows that one can be had', () => {
  const cluster = settled();
  const failure = { ok: false, kind: 'refused', message: 'no', atMs: 0, phase: 'connect' } as const;
  cluster.store.applyConnect(A, failure);
  const sample = primarySample(cluster.clock.nowMs(), 0x1000n);
  cluster.store.applySample(A, { ...sample, identity: { ...sample.identity } }, null);
  assert.equal(cluster.view.nodes.get(A)?.acceptsConnections, true);
});

test('a node without a member key stays while it answers, for a while', () => {
  const cluster = settled();
  cluster.claim(claimsOf({ members: [memberOf(A), memberOf(C)] }));
  cluster.run(DEPARTED_KEEP_MS - 1000);
  assert.equal(cluster.view.nodes.get(B)?.health, 'healthy');
  assert.match(cluster.view.nodes.get(B)?.reason ?? '', /member key is gone/);
  cluster.run(2000);
  assert.equal(cluster.view.nodes.has(B), false);
  assert.equal(cluster.store.targets().has(B), false);
});

test('a node without a member key that does not answer goes at once', () => {
  const cluster = settled();
  cluster.actor(B).fails = 'refused';
  cluster.round();
  cluster.claim(claimsOf({ members: [memberOf(A), memberOf(C)] }));
  assert.equal(cluster.view.nodes.has(B), false);
});

test('in maintenance mode PostgreSQL goes on without its keys', () => {
  const cluster = settled(claimsOf({ settings: { paused: true } }));
  cluster.claim(claimsOf({ leader: null, settings: { paused: true }, members: [memberOf(B), memberOf(C)] }));
  cluster.run(3_600_000);
  assert.equal(cluster.view.primary, A);
  cluster.actor(A).fails = 'refused';
  cluster.run(1000);
  assert.equal(cluster.view.primary, null);
  cluster.actor(A).fails = null;
  cluster.run(1000);
  assert.equal(cluster.view.primary, A, 'an administrator has restarted it');
});

test('nodes go at once when the fixed list drops them', () => {
  const cluster = settled(claimsOf({ provider: 'nodes', leader: null }));
  cluster.claim(claimsOf({ provider: 'nodes', leader: null, members: [memberOf(A), memberOf(B)] }));
  assert.deepEqual([...cluster.store.targets().keys()], [A, B]);
});

test('a member that moves to another address is another node', () => {
  const cluster = settled();
  cluster.claim(claimsOf({ members: [memberOf(A, { port: 6000 }), memberOf(B), memberOf(C)] }));
  assert.equal(cluster.view.primary, null);
  assert.deepEqual(cluster.store.targets().get(A), { host: '127.0.0.1', port: 6000 });
});

test('weights come from the configuration, else from the tag, else they are 1', () => {
  const tagged = (name: typeof A, weight: string): ReturnType<typeof memberOf> =>
    memberOf(name, { tags: new Map([['weight', weight]]) });
  const D = nodeName('node4');
  const E = nodeName('node5');
  const members = [memberOf(A), tagged(B, '3'), tagged(C, '5'), tagged(D, 'heavy'), tagged(E, '-1')];
  const { view } = settled(claimsOf({ members }), {}, new Map([[C, 0]]));
  const weights = [...view.nodes.values()].map(({ weight }) => weight);
  assert.deepEqual(weights, [1, 3, 0, 1, 1]);
});

test('tags, noloadbalance and the sync key show in the view, names without regard to case', () => {
  const tags = new Map([['zone', 'a']]);
  const sync = { leader: A, standbys: [nodeName('NODE3')], quorum: 0 };
  const members = [memberOf(A), memberOf(B, { tags, noloadbalance: true }), memberOf(C)];
  const { view } = settled(claimsOf({ members, sync }));
  assert.equal(view.nodes.get(B)?.noloadbalance, true);
  assert.equal(view.nodes.get(B)?.tags.get('zone'), 'a');
  assert.deepEqual(
    [A, B, C].map((name) => view.nodes.get(name)?.synchronous),
    [false, false, true],
  );
});

test('a switchover is due when it is asked for now, or when its time has come', () => {
  const cluster = settled();
  const switchover = { leader: A, candidate: B, scheduledAtEpochMs: null, revision: 7n };
  cluster.claim(claimsOf({ switchover }));
  assert.equal(cluster.view.switchoverDue, true);
  const scheduledAtEpochMs = cluster.clock.epochMs() + 10_000;
  cluster.claim(claimsOf({ switchover: { ...switchover, scheduledAtEpochMs, revision: 8n } }));
  assert.equal(cluster.view.switchoverDue, false);
  cluster.run(9500);
  assert.equal(cluster.view.switchoverDue, false);
  cluster.run(1000);
  assert.equal(cluster.view.switchoverDue, true);
  cluster.claim(claimsOf());
  assert.equal(cluster.view.switchoverDue, false);
});

test('a standby cluster has no primary, and measures its standbys against its leader', () => {
  const cluster = new FakeCluster(claimsOf({ settings: { standbyCluster: true } }));
  assert.equal(cluster.store.tickSource, A);
  cluster.run(1000);
  assert.equal(cluster.view.primary, null);
  assert.match(cluster.view.noPrimaryReason ?? '', /standby cluster/);
  assert.equal(cluster.view.nodes.get(B)?.health, 'healthy');
  cluster.run(15_000, () => {
    cluster.actor(A).lsn += 100n;
    cluster.actor(C).lsn = cluster.actor(A).lsn;
  });
  assert.equal(cluster.view.nodes.get(B)?.health, 'lagging');
  assert.equal(cluster.view.nodes.get(C)?.health, 'healthy');
});

test('a fence is passed when the standby has replayed the first tick sent after it', () => {
  const cluster = settled();
  const { fence } = cluster.ticks;
  cluster.actor(A).lsn += 100n;
  cluster.round();
  assert.ok((cluster.store.caughtUpTick(B) ?? 0) < fence);
  cluster.actor(B).lsn += 100n;
  cluster.round();
  assert.ok((cluster.store.caughtUpTick(B) ?? 0) >= fence);
  assert.equal(cluster.store.caughtUpTick(nodeName('node9')), null);
});

test('only the samples of the primary are ticks', () => {
  const cluster = settled();
  const newest = cluster.ticks.newest?.number;
  cluster.store.applySample(B, primarySample(cluster.clock.nowMs(), 0x99n), cluster.ticks.send());
  assert.equal(cluster.ticks.newest?.number, newest);
});

test('samples of unknown nodes are ignored', () => {
  const cluster = settled();
  const { epoch } = cluster.view;
  cluster.store.applySample(nodeName('node9'), primarySample(cluster.clock.nowMs(), 1n), null);
  cluster.store.applyConnect(nodeName('node9'), { ok: true, tookMs: 1, atMs: 0 });
  assert.equal(cluster.view.epoch, epoch);
});

test('a jump of the wall clock changes nothing', () => {
  const cluster = settled();
  const published = cluster.views.length;
  cluster.clock.jumpWallClock(-86_400_000);
  cluster.run(2000);
  cluster.clock.jumpWallClock(2 * 86_400_000);
  cluster.run(2000);
  assert.equal(cluster.views.length, published);
});

test('when this process stood still, old samples are not believed, and nobody lags because of it', () => {
  const cluster = settled();
  cluster.views.length = 0;
  cluster.clock.advance(60_000);
  cluster.store.sweep();
  assert.equal(cluster.view.nodes.get(B)?.health, 'unknown');
  cluster.actor(A).lsn += 1000n;
  cluster.round();
  cluster.actor(B).lsn += 1000n;
  cluster.actor(C).lsn += 1000n;
  cluster.run(1000);
  assert.deepEqual(cluster.path(B), ['unknown', 'healthy']);
});

test('a listener that fails does not keep the view from the others', () => {
  const cluster = settled();
  const seen: number[] = [];
  cluster.store.subscribe(() => {
    throw new Error('a mistake');
  });
  const stop = cluster.store.subscribe((view, previous) => seen.push(view.epoch - previous.epoch));
  cluster.claim(claimsOf({ leader: null }));
  stop();
  cluster.claim(claimsOf());
  assert.deepEqual(seen, [1]);
});

test('what a listener changes is published after everybody was told of the view before', () => {
  const cluster = settled();
  const epochs: number[] = [];
  let isFirst = true;
  cluster.store.subscribe(() => {
    if (isFirst) {
      isFirst = false;
      cluster.store.applyClaims(claimsOf({ leader: B }));
    }
  });
  cluster.store.subscribe((view) => epochs.push(view.epoch));
  const { epoch } = cluster.view;
  cluster.claim(claimsOf({ leader: null }));
  assert.deepEqual(epochs, [epoch + 1, epoch + 2]);
  assert.equal(cluster.view.leader?.name, B);
});

test('changes are logged once each, losses as warnings', () => {
  const lines: [string, LogFields][] = [];
  const logger = {
    ...silentLogger,
    info: (fields: LogFields) => lines.push(['info', fields]),
    warn: (fields: LogFields) => lines.push(['warn', fields]),
  };
  const cluster = settled(claimsOf(), {}, new Map(), logger);
  lines.length = 0;
  cluster.actor(A).fails = 'refused';
  cluster.run(5000);
  assert.deepEqual(
    lines.map(([level, fields]) => [level, fields['change'], fields['node'], fields['to']]),
    [
      ['warn', 'primary', null, null],
      ['info', 'node_role', A, 'unknown'],
      ['warn', 'node_health', A, 'unreachable'],
    ],
  );
});
