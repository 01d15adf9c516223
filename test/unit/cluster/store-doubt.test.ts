import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '../../../src/log.js';
import { mustLeave } from '../../../src/session/must-leave.js';
import { A, B, C, claimsOf, memberOf } from '../../support/cluster-fakes.js';
import { FRESHNESS, FakeCluster } from '../../support/fake-cluster.js';

type Claiming = Parameters<typeof claimsOf>[0];

/** A cluster whose primary is node1, after a second; its key was read just now. */
function settled(logger = silentLogger): FakeCluster {
  const cluster = new FakeCluster(claimsOf({ confirmedAtMs: 100_000 }), {}, new Map(), logger);
  cluster.actor(A).role = 'primary';
  cluster.run(1000);
  read(cluster, {});
  return cluster;
}

/** The keys are read now. */
function read(cluster: FakeCluster, over: Claiming): void {
  cluster.claim(claimsOf({ confirmedAtMs: cluster.clock.nowMs(), ...over }));
}

/** From now on the keys are not read any more; what they held stays. */
function loseDcs(cluster: FakeCluster): void {
  cluster.claim({ ...cluster.claims, state: 'stale', trouble: 'no answer' });
}

function promote(cluster: FakeCluster, name: typeof A, timeline: number): void {
  cluster.actor(name).role = 'primary';
  cluster.actor(name).over = { timeline };
}

test('a failover behind a silent DCS: the old primary gets nothing more from the first sample of the new one on', () => {
  for (const state of ['live', 'stale'] as const) {
    const cluster = settled();
    if (state === 'stale') loseDcs(cluster);
    cluster.clock.advance(10);
    promote(cluster, B, 2);
    cluster.probe(A);
    assert.equal(cluster.view.primary, A, 'nobody knows yet');
    cluster.probe(B);
    assert.equal(cluster.view.primary, null, state);
    assert.equal(cluster.store.isContested, true);
    assert.match(
      cluster.view.noPrimaryReason ?? '',
      /^node1 says it is the primary, but node2 is a primary on timeline 2/,
    );
    cluster.run(3_600_000 / 10);
    assert.equal(cluster.view.primary, null, 'and nothing new is believed either');
    read(cluster, { leader: B });
    assert.equal(cluster.view.primary, B);
    assert.equal(cluster.store.isContested, false);
  }
});

test('a failover behind a silent DCS to a node out of reach shows in those who follow it', () => {
  const cluster = settled();
  cluster.actor(B).fails = 'timeout';
  loseDcs(cluster);
  cluster.run(2000);
  assert.equal(cluster.view.primary, A);
  cluster.actor(C).over = { timeline: 2 };
  cluster.round();
  assert.equal(cluster.view.primary, null);
  assert.match(
    cluster.view.noPrimaryReason ?? '',
    /but node3 follows a primary on timeline 2, and no leader key was read/,
  );
});

test('sessions on a primary that was overtaken leave at once, in the middle of what they do', () => {
  const cluster = settled();
  assert.equal(mustLeave(cluster.view, A, 'primary'), null);
  promote(cluster, B, 2);
  cluster.round();
  const leave = mustLeave(cluster.view, A, 'primary');
  assert.deepEqual(leave, { why: 'node node1 is on timeline 1, the cluster is on 2', mayHearFarewell: false });
});

test('a new primary that was seen once and then lost is not forgotten', () => {
  const cluster = settled();
  loseDcs(cluster);
  promote(cluster, B, 2);
  cluster.round();
  cluster.actor(B).fails = 'refused';
  cluster.run(120_000);
  assert.equal(cluster.view.primary, null);
  cluster.actor(B).fails = null;
  cluster.actor(B).role = 'standby';
  cluster.actor(B).over = { timeline: 1, streaming: false };
  cluster.run(10_000);
  assert.equal(cluster.view.primary, null, 'a standby that streams from nobody takes nothing back');
  read(cluster, {});
  assert.equal(cluster.view.primary, A, 'the key, read after all of it, still names node1');
  assert.equal(cluster.view.highestTimeline, 1);
});

test('a node that was promoted by mistake costs a pause until the key was read again, and none when the DCS is lost later', () => {
  const cluster = settled();
  promote(cluster, C, 2);
  cluster.round();
  assert.equal(cluster.view.primary, null);
  read(cluster, {});
  assert.equal(cluster.view.primary, A);
  cluster.views.length = 0;
  loseDcs(cluster);
  cluster.run(600_000);
  assert.equal(cluster.view.primary, A);
  assert.ok(cluster.views.every(({ primary }) => primary === A));
  cluster.actor(B).over = { timeline: 2 };
  cluster.round();
  assert.equal(cluster.view.primary, null, 'that somebody follows it is news');
});

test('an answer to a question that was asked before the promotion was seen settles nothing', () => {
  const cluster = settled();
  const askedAtMs = cluster.clock.nowMs();
  promote(cluster, B, 2);
  cluster.round();
  cluster.claim(claimsOf({ confirmedAtMs: askedAtMs }));
  assert.equal(cluster.view.primary, null);
});

test('a planned switchover is no doubt at any time: the key is written before the promotion', () => {
  const cluster = settled();
  const contested: boolean[] = [];
  cluster.store.subscribe(() => contested.push(cluster.store.isContested));
  cluster.actor(A).fails = 'shutting_down';
  cluster.round();
  // Events, which move no time of confirmation.
  const { confirmedAtMs } = cluster.claims;
  cluster.claim(claimsOf({ leader: null, confirmedAtMs }));
  cluster.claim(claimsOf({ leader: B, confirmedAtMs }));
  cluster.round();
  promote(cluster, B, 2);
  cluster.round();
  assert.equal(cluster.view.primary, B);
  cluster.actor(A).fails = null;
  cluster.actor(A).role = 'standby';
  for (const name of [A, C]) cluster.actor(name).over = { timeline: 2 };
  cluster.run(5000);
  assert.equal(cluster.view.primary, B);
  assert.ok(!contested.includes(true));
});

test('in maintenance mode without a key a promotion by hand is not followed, and the old primary gets nothing either', () => {
  const cluster = settled();
  read(cluster, { settings: { paused: true } });
  read(cluster, { leader: null, settings: { paused: true } });
  cluster.run(1000);
  assert.equal(cluster.view.primary, A);
  promote(cluster, B, 2);
  cluster.round();
  assert.equal(cluster.view.primary, null);
  cluster.actor(B).fails = 'refused';
  cluster.run(60_000);
  read(cluster, { leader: null, settings: { paused: true } });
  assert.equal(cluster.view.primary, null, 'a reading that finds no key decides nothing');
  read(cluster, { settings: { paused: true } });
  assert.equal(cluster.view.primary, A);
});

/** node2 led on timeline 2, and then the key names node1 again, which is still a primary on timeline 1. */
function wentBack(logger = silentLogger): FakeCluster {
  const cluster = settled(logger);
  cluster.claim(claimsOf({ leader: B, confirmedAtMs: cluster.clock.nowMs() }));
  promote(cluster, B, 2);
  cluster.actor(C).over = { timeline: 2 };
  cluster.run(1000);
  assert.equal(cluster.view.primary, B);
  read(cluster, {});
  cluster.run(1000);
  assert.equal(cluster.view.primary, null);
  return cluster;
}

/** Patroni rewinds a node and starts it as a standby of node1. */
function rewind(cluster: FakeCluster, name: typeof A, streaming: boolean): void {
  cluster.actor(name).role = 'standby';
  cluster.actor(name).fails = null;
  cluster.actor(name).over = { timeline: 1, streaming, startedAtMs: cluster.clock.nowMs() };
}

test('a cluster that went back to an older timeline is followed when nobody is left on the newer one, and that is an error in the log', () => {
  const errors: string[] = [];
  const cluster = wentBack({ ...silentLogger, error: (_, message) => errors.push(message) });
  rewind(cluster, C, true);
  rewind(cluster, B, true);
  cluster.run(1000);
  assert.equal(cluster.view.primary, null, 'the key was read before everybody was heard');
  assert.deepEqual(errors, []);
  read(cluster, {});
  assert.equal(cluster.view.primary, A);
  assert.equal(cluster.view.highestTimeline, 1);
  assert.deepEqual(errors, ['the cluster went back to an older timeline: what was written on the newer one is lost']);
});

test('a cluster that went back is not followed while one that was on the newer timeline has not come over', () => {
  const stagings: Readonly<Record<string, (cluster: FakeCluster) => void>> = {
    'still the primary there': () => {},
    'out of reach': (cluster) => {
      cluster.actor(B).fails = 'timeout';
    },
    'a standby that streams from nobody': (cluster) => rewind(cluster, B, false),
    'no member any more': (cluster) => {
      cluster.actor(B).fails = 'refused';
      cluster.round();
      read(cluster, { members: [memberOf(A), memberOf(C)] });
    },
  };
  for (const [where, stage] of Object.entries(stagings)) {
    const cluster = wentBack();
    rewind(cluster, C, true);
    stage(cluster);
    cluster.run(1000);
    const { members } = cluster.claims;
    for (let i = 0; i < 3; i += 1) {
      read(cluster, { members: [...members.values()] });
      cluster.run(60_000);
    }
    assert.equal(cluster.view.primary, null, where);
    assert.match(cluster.view.noPrimaryReason ?? '', /timeline 1, the cluster was on 2 already/);
    cluster.store.forgetPast();
    read(cluster, { members: [...members.values()] });
    cluster.run(1000);
    read(cluster, { members: [...members.values()] });
    assert.equal(cluster.view.primary, A, `${where}, and the operator has decided`);
  }
});

test('a cluster that went back is not followed by its old key alone, nor against its history', () => {
  const stale = wentBack();
  for (const name of [B, C]) rewind(stale, name, true);
  stale.run(1000);
  read(stale, { state: 'stale' });
  stale.run(10_000);
  assert.equal(stale.view.primary, null);

  const historic = wentBack();
  for (const name of [B, C]) rewind(historic, name, true);
  historic.run(1000);
  read(historic, { history: [{ timeline: 1, lsn: 1n, reason: '', atEpochMs: null, newLeader: B }] });
  historic.run(10_000);
  assert.equal(historic.view.primary, null);
});

test('after a standstill of this process nothing that was true before is believed, and the first round sets it right', () => {
  for (const gapMs of [FRESHNESS.sampleMaxAgeMs + 1, 20_000, 3_600_000]) {
    const cluster = settled();
    cluster.clock.advance(gapMs);
    cluster.store.sweep();
    assert.equal(cluster.view.primary, null, `${gapMs} ms`);
    assert.equal(cluster.view.noPrimaryReason, 'node1 does not prove that it is the primary: no answer lately');
    cluster.round();
    assert.equal(cluster.view.primary, A);
    assert.equal(cluster.view.highestTimeline, 1);
  }
});

test('a probe that ran out of time during a standstill neither keeps the old proof nor costs the node its health', () => {
  const cluster = settled();
  cluster.clock.advance(20_000);
  cluster.actor(A).fails = 'timeout';
  cluster.probe(A);
  assert.equal(cluster.view.primary, null);
  cluster.actor(A).fails = null;
  cluster.round();
  assert.equal(cluster.view.primary, A);
  assert.notEqual(cluster.view.nodes.get(A)?.health, 'unreachable');
});

test('a failover during a standstill: the old primary gets nothing when the key still names it', () => {
  const cluster = settled();
  promote(cluster, B, 2);
  cluster.actor(C).over = { timeline: 2 };
  cluster.views.length = 0;
  cluster.clock.advance(120_000);
  cluster.store.sweep();
  cluster.probe(C);
  cluster.probe(A);
  cluster.probe(B);
  assert.ok(cluster.views.every(({ primary }) => primary !== A));
  read(cluster, { leader: B });
  assert.equal(cluster.view.primary, B);
});

test('the wall clock may jump while a switchover is scheduled: it falls due by the clock, and nobody loses the primary', () => {
  const cluster = settled();
  const scheduledAtEpochMs = cluster.clock.epochMs() + 3_600_000;
  read(cluster, { switchover: { leader: A, candidate: B, scheduledAtEpochMs, revision: 7n } });
  cluster.views.length = 0;
  cluster.run(1000);
  assert.equal(cluster.view.switchoverDue, false);
  cluster.clock.jumpWallClock(7_200_000);
  cluster.round();
  assert.equal(cluster.view.switchoverDue, true);
  cluster.clock.jumpWallClock(-7_200_000);
  cluster.round();
  assert.equal(cluster.view.switchoverDue, false);
  assert.ok(cluster.views.every(({ primary }) => primary === A));
});

test('a leader whose member key says nowhere to be found gets nothing, and gets it as soon as it can be found', () => {
  const cluster = settled();
  read(cluster, { leader: B, members: [memberOf(A), memberOf(C)] });
  cluster.actor(B).fails = 'refused';
  cluster.run(1000);
  read(cluster, { leader: B, members: [memberOf(A), memberOf(C)] });
  assert.match(cluster.view.noPrimaryReason ?? '', /node2/);
  assert.equal(cluster.view.primary, null);
  read(cluster, { leader: B });
  promote(cluster, B, 2);
  cluster.actor(B).fails = null;
  cluster.round();
  assert.equal(cluster.view.primary, B);
});

test('fixed nodes: a node that was struck off the list is no witness any more', () => {
  const fixed = (...names: readonly (typeof A)[]): ReturnType<typeof claimsOf> =>
    claimsOf({ provider: 'nodes', leader: null, systemIdentifier: null, members: names.map((name) => memberOf(name)) });
  const cluster = new FakeCluster(fixed(A, B, C));
  cluster.actor(A).role = 'primary';
  cluster.actor(C).over = { timeline: 2, streaming: false };
  cluster.run(1000);
  assert.equal(cluster.view.primary, null);
  assert.match(cluster.view.noPrimaryReason ?? '', /on timeline 1, but node3 was seen on 2/);
  cluster.claim(fixed(A, B));
  cluster.run(500);
  assert.equal(cluster.view.primary, A);
});
