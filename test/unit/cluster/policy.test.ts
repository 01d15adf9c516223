import assert from 'node:assert/strict';
import { test } from 'node:test';
import { choosePrimary } from '../../../src/cluster/policy.js';
import type { NodeProof, PolicyInput } from '../../../src/cluster/policy.js';
import type { Witness } from '../../../src/cluster/witnesses.js';
import { nodeName } from '../../../src/util/brand.js';
import type { NodeName } from '../../../src/util/brand.js';
import { A, B, C, OTHER_SYSTEM, SYSTEM } from '../../support/cluster-fakes.js';

const primaryOn = (timeline: number | null, systemIdentifier: string | null = SYSTEM): NodeProof => ({
  status: 'primary',
  timeline,
  systemIdentifier,
});
const standbyOn = (timeline: number, systemIdentifier: string | null = SYSTEM): NodeProof => ({
  status: 'standby',
  timeline,
  systemIdentifier,
});
const gone: NodeProof = { status: 'none', reason: 'connect ECONNREFUSED' };
const pending: NodeProof = { status: 'pending' };

function proofs(a: NodeProof, b: NodeProof, c: NodeProof = standbyOn(1)): Map<NodeName, NodeProof> {
  return new Map([
    [A, a],
    [B, b],
    [C, c],
  ]);
}

function input(over: Partial<PolicyInput> = {}): PolicyInput {
  return {
    provider: 'etcd3',
    dcsState: 'live',
    leader: A,
    paused: false,
    standbyCluster: false,
    systemIdentifier: SYSTEM,
    highestTimeline: 1,
    lastPrimary: A,
    proofs: proofs(primaryOn(1), standbyOn(1)),
    news: [],
    ...over,
  };
}

/** Seen since the leader key was read. */
function news(node: NodeName, timeline: number, isPrimary: boolean, systemIdentifier = SYSTEM): readonly Witness[] {
  return [{ node, systemIdentifier, timeline, isPrimary, sinceMs: 0 }];
}

function chooses(over: Partial<PolicyInput>, primary: NodeName): void {
  assert.deepEqual(choosePrimary(input(over)), { primary, reason: null });
}

function refuses(over: Partial<PolicyInput>, reason: RegExp): void {
  const choice = choosePrimary(input(over));
  assert.equal(choice.primary, null);
  assert.match(choice.reason ?? '', reason);
}

test('leader key names N, N is out of recovery on a timeline not lower than the highest seen: N', () => {
  chooses({}, A);
  chooses({ leader: B, proofs: proofs(gone, primaryOn(2)) }, B);
});

test('leader key names N, N is still in recovery: nobody', () => {
  refuses({ leader: B, proofs: proofs(gone, standbyOn(1)) }, /^node2 holds the leader key and is still in recovery$/);
});

test('leader key names N, the old primary P still accepts writes: never P', () => {
  refuses({ leader: B, proofs: proofs(primaryOn(1), standbyOn(1)) }, /node2 holds the leader key/);
  chooses({ leader: B, proofs: proofs(primaryOn(1), primaryOn(2)) }, B);
});

test('leader key names N, another node was promoted by mistake, which whoever wrote the key could see: N', () => {
  chooses({ proofs: proofs(primaryOn(1), primaryOn(2)) }, A);
  chooses({ dcsState: 'stale', proofs: proofs(primaryOn(1), primaryOn(2)) }, A);
});

test('leader key names N, and since it was read a node was seen on a later timeline: nobody, until it is read again', () => {
  for (const dcsState of ['live', 'stale'] as const) {
    refuses(
      { dcsState, news: news(B, 2, true) },
      /^node1 says it is the primary, but node2 is a primary on timeline 2, and no leader key was read since/,
    );
    refuses({ dcsState, news: news(C, 2, false) }, /but node3 follows a primary on timeline 2,/);
    refuses({ dcsState, news: [...news(C, 2, false), ...news(B, 3, true)] }, /but node2 is a primary on timeline 3,/);
  }
});

test('leader key names N, and since it was read another node left recovery on the same timeline: nobody', () => {
  refuses({ news: news(B, 1, true) }, /node1 says .* but node2 is a primary on timeline 1/);
});

test('what speaks for N, is older, or comes from another cluster is no news against it', () => {
  const b = { leader: B, proofs: proofs(primaryOn(1), primaryOn(2)) };
  chooses({ ...b, news: [...news(B, 2, true), ...news(C, 2, false), ...news(A, 1, true)] }, B);
  chooses({ ...b, news: news(C, 9, true, OTHER_SYSTEM) }, B);
});

test('leader key absent, read just now, not paused, P says primary: nobody', () => {
  refuses({ leader: null }, /^the leader key is gone$/);
});

test('leader key absent, paused, P alive: P', () => {
  chooses({ leader: null, paused: true }, A);
});

test('leader key absent, paused, P not alive or in recovery: nobody', () => {
  refuses({ leader: null, paused: true, proofs: proofs(gone, standbyOn(1)) }, /node1 does not prove/);
  refuses({ leader: null, paused: true, proofs: proofs(standbyOn(1), standbyOn(1)) }, /node1 was the primary/);
});

test('leader key absent, paused, somebody else promoted by hand: nobody', () => {
  const both = proofs(primaryOn(1), primaryOn(2));
  refuses({ leader: null, paused: true, proofs: both, news: news(B, 2, true) }, /node1 says .* node2 is a primary/);
});

test('leader key absent, paused, somebody else was a primary already when the key named P: P', () => {
  chooses({ leader: null, paused: true, proofs: proofs(primaryOn(1), primaryOn(2)) }, A);
});

test('leader key absent, paused, nobody was the primary before: the one that proves itself', () => {
  chooses({ leader: null, paused: true, lastPrimary: null }, A);
  refuses(
    { leader: null, paused: true, lastPrimary: null, proofs: proofs(primaryOn(1), pending) },
    /node2 has not answered yet/,
  );
});

test('etcd unreachable, P still proves itself: P', () => {
  chooses({ dcsState: 'stale' }, A);
});

test('etcd unreachable, P not verified: nobody', () => {
  refuses({ dcsState: 'stale', proofs: proofs(gone, standbyOn(1)) }, /node1 does not prove .* ECONNREFUSED/);
  refuses({ dcsState: 'stale', proofs: proofs(pending, standbyOn(1)) }, /node1 has not answered yet/);
});

test('etcd unreachable, somebody else was promoted: nobody, for nothing new is believed', () => {
  refuses({ dcsState: 'stale', proofs: proofs(standbyOn(1), primaryOn(2)) }, /node1/);
  const both = proofs(primaryOn(1), primaryOn(2));
  refuses({ dcsState: 'stale', proofs: both, news: news(B, 2, true) }, /node1 says .* node2 is a primary/);
});

test('etcd unreachable since the key named N: N when it proves itself, never the one before', () => {
  chooses({ dcsState: 'stale', leader: B, proofs: proofs(primaryOn(1), primaryOn(2)), highestTimeline: 1 }, B);
  refuses({ dcsState: 'stale', leader: B, proofs: proofs(primaryOn(1), standbyOn(1)) }, /node2/);
});

test('etcd unreachable after the key was seen to be gone: nobody', () => {
  refuses({ dcsState: 'stale', leader: null }, /the leader key is gone/);
  chooses({ dcsState: 'stale', leader: null, paused: true }, A);
});

test('nothing has been read yet: nobody', () => {
  refuses({ dcsState: 'unknown', leader: null, lastPrimary: null }, /nothing has been read from the DCS yet/);
});

test('leader key names an unknown member: nobody', () => {
  refuses({ leader: nodeName('node9') }, /names node9, which is not a known member/);
});

test('a standby cluster has no primary, and says so', () => {
  refuses({ standbyCluster: true, proofs: proofs(standbyOn(1), standbyOn(1)) }, /standby cluster: its leader node1/);
  refuses({ standbyCluster: true }, /standby cluster/);
  refuses({ standbyCluster: true, leader: null }, /standby cluster/);
});

test('a wrong system identifier is never the primary', () => {
  refuses({ proofs: proofs(primaryOn(1, OTHER_SYSTEM), standbyOn(1)) }, /system identifier 7000/);
  refuses({ dcsState: 'stale', proofs: proofs(primaryOn(1, OTHER_SYSTEM), standbyOn(1)) }, /system identifier/);
  refuses({ leader: null, paused: true, proofs: proofs(primaryOn(1, OTHER_SYSTEM), standbyOn(1)) }, /system/);
});

test('a hidden system identifier is no proof', () => {
  refuses({ proofs: proofs(primaryOn(1, null), standbyOn(1)) }, /does not show its system identifier/);
  refuses(
    { systemIdentifier: null, proofs: proofs(primaryOn(1, null), standbyOn(1)) },
    /does not show its system identifier/,
  );
});

test('without an expected system identifier the one that the leader has is taken', () => {
  chooses({ systemIdentifier: null, lastPrimary: null }, A);
});

test('a timeline lower than the highest seen is never the primary', () => {
  refuses({ highestTimeline: 2 }, /timeline 1, the cluster was on 2/);
  refuses({ highestTimeline: 2, dcsState: 'stale' }, /timeline 1/);
  refuses({ highestTimeline: 2, leader: null, paused: true }, /timeline 1/);
});

test('a timeline that is not shown is no proof', () => {
  refuses({ proofs: proofs(primaryOn(null), standbyOn(1)) }, /does not show its timeline/);
});

test('a member that has not answered, or surely failed, is not the primary', () => {
  refuses({ proofs: proofs(pending, standbyOn(1)) }, /node1 has not answered yet/);
  refuses({ proofs: proofs(gone, standbyOn(1)) }, /ECONNREFUSED/);
});

const nodes = {
  provider: 'nodes',
  leader: null,
  systemIdentifier: null,
  highestTimeline: 0,
  lastPrimary: null,
} as const;

test('fixed nodes: the one node out of recovery', () => {
  chooses({ ...nodes }, A);
  refuses({ ...nodes, proofs: proofs(standbyOn(1), standbyOn(1)) }, /no node is out of recovery/);
});

test('fixed nodes: the highest timeline wins', () => {
  chooses({ ...nodes, proofs: proofs(primaryOn(1), primaryOn(3), primaryOn(2)) }, B);
});

test('fixed nodes: two on the highest timeline are a split brain, whoever was the primary before', () => {
  const both = proofs(primaryOn(2), primaryOn(2), primaryOn(1));
  refuses({ ...nodes, proofs: both }, /node1 and node2 both say .* timeline 2/);
  refuses({ ...nodes, proofs: both, lastPrimary: A, highestTimeline: 2 }, /node1 and node2 both say/);
});

test('fixed nodes: nobody is chosen before all have been heard, for the first to answer may be a forgotten primary', () => {
  refuses({ ...nodes, proofs: proofs(primaryOn(1), pending) }, /node2 has not answered yet/);
  chooses({ ...nodes, proofs: proofs(primaryOn(1), gone) }, A);
  chooses({ ...nodes, lastPrimary: A, highestTimeline: 1, proofs: proofs(primaryOn(1), pending) }, A);
});

test('fixed nodes: a primary is refused while somebody follows a later one, even one that cannot be reached', () => {
  refuses(
    { ...nodes, proofs: proofs(primaryOn(1), gone, standbyOn(2)), news: news(C, 2, false) },
    /^node1 says it is the primary, on timeline 1, but node3 was seen on 2$/,
  );
  chooses({ ...nodes, proofs: proofs(primaryOn(2), gone, standbyOn(1)), news: news(C, 1, false) }, A);
});

test('fixed nodes: of two primaries on one timeline the one that is left is chosen', () => {
  chooses({ ...nodes, proofs: proofs(primaryOn(2), gone), news: [...news(A, 2, true), ...news(B, 2, true)] }, A);
});

test('fixed nodes: nodes of two clusters are refused until one of them is known to be ours', () => {
  const mixed = proofs(primaryOn(1), standbyOn(1, OTHER_SYSTEM));
  refuses({ ...nodes, proofs: mixed }, /different clusters.*node1 has 7711.*node2 has 7000/);
  chooses({ ...nodes, proofs: mixed, systemIdentifier: SYSTEM }, A);
  refuses(
    { ...nodes, proofs: proofs(primaryOn(9, OTHER_SYSTEM), standbyOn(1)), systemIdentifier: SYSTEM },
    /node1 has/,
  );
});

test('fixed nodes: an old primary on a lower timeline stays out after the new one is lost', () => {
  refuses(
    { ...nodes, systemIdentifier: SYSTEM, highestTimeline: 2, lastPrimary: B, proofs: proofs(primaryOn(1), gone) },
    /node1 is on timeline 1, the cluster was on 2/,
  );
});

test('every refusal has a reason, and every choice has none', () => {
  const everyProof: readonly NodeProof[] = [primaryOn(1), primaryOn(null), standbyOn(1), gone, pending];
  for (const provider of ['etcd3', 'nodes'] as const) {
    for (const dcsState of ['unknown', 'live', 'stale'] as const) {
      for (const leader of [null, A, B]) {
        for (const paused of [false, true]) {
          for (const first of everyProof) {
            const choice = choosePrimary(
              input({ provider, dcsState, leader, paused, proofs: proofs(first, standbyOn(1)) }),
            );
            assert.equal(choice.primary === null, choice.reason !== null);
            if (choice.primary !== null) {
              assert.equal(choice.primary, A);
              assert.deepEqual(first, primaryOn(1));
            }
          }
        }
      }
    }
  }
});
