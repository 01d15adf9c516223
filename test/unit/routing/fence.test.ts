import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClusterView, NodeView } from '../../../src/cluster/view.js';
import { RefusalReason, eligibleStandbys } from '../../../src/routing/eligibility.js';
import type { RefusalReason as Reason } from '../../../src/routing/eligibility.js';
import { route } from '../../../src/routing/router.js';
import type { RouteDecision, RouteFacts, RouteIntent } from '../../../src/routing/router.js';
import type { NodeName } from '../../../src/util/brand.js';
import { A, B, C, nodeViewOf, routeFactsOf, routeIntentOf, viewOf } from '../../support/cluster-fakes.js';

const FALLBACKS = ['primary', 'wait', 'error'] as const;
const REBALANCES = ['off', 'stale'] as const;
const PRIMARY = nodeViewOf(A, { role: 'primary' });
const STALE = { health: 'lagging', reason: 'replay is behind' } as const;
const NOW = { leader: A, candidate: B, scheduledAtEpochMs: null, revision: 1n };

const caughtUp =
  (...names: NodeName[]) =>
  (node: NodeName): boolean =>
    names.includes(node);

/** The node and why; `hold fence`; `error no_standby`. */
function told(decision: RouteDecision): string {
  switch (decision.kind) {
    case 'node':
      return `${decision.node} ${decision.target} ${decision.reason}`;
    case 'hold':
      return `hold ${decision.reason}`;
    default:
      return `error ${decision.code}`;
  }
}

/** node1 is the primary; node2 and node3 as given. */
function yard(b: Partial<NodeView>, c: Partial<NodeView>, over: Partial<ClusterView> = {}): ClusterView {
  const { leader: _leader, nodes: _nodes, ...rest } = over;
  return viewOf({ ...rest, nodes: [PRIMARY, nodeViewOf(B, b), nodeViewOf(C, c)] });
}

function decide(view: ClusterView, facts: Partial<RouteFacts>, intent: Partial<RouteIntent> = {}): string {
  return told(route(view, routeIntentOf(intent), routeFactsOf(facts)));
}

test('a standby that is not caught up is refused, behind all that speaks against it for everybody', () => {
  const { eligible, refused } = eligibleStandbys(yard({}, STALE), routeIntentOf(), caughtUp());
  assert.deepEqual(eligible, []);
  assert.deepEqual(refused, [
    { node: A, reason: 'not_a_standby' },
    { node: B, reason: 'behind_fence' },
    { node: C, reason: 'lagging' },
  ]);
});

test('the candidate of a due switchover serves the session that all others are behind', () => {
  const view = yard({}, {}, { switchover: NOW, switchoverDue: true });
  const { eligible, refused } = eligibleStandbys(view, routeIntentOf(), caughtUp(B));
  assert.deepEqual(eligible, [B]);
  assert.deepEqual(refused.at(-1), { node: C, reason: 'behind_fence' });
  assert.equal(decide(view, { isCaughtUp: caughtUp(B) }), 'node2 standby balanced');
  assert.equal(decide(view, { isCaughtUp: caughtUp(B), current: B }), 'node2 standby stays');
  assert.equal(decide(view, { isCaughtUp: caughtUp(C), current: B }), 'node3 standby moves_away');
  assert.equal(decide(view, { isCaughtUp: caughtUp(), current: B }), 'node1 primary fence');
});

test('a session goes only to standbys that are caught up with it, however loaded they are', () => {
  const load = (node: NodeName): number => (node === C ? 900 : 0);
  for (const fallback of FALLBACKS) {
    for (const rebalance of REBALANCES) {
      const facts = { isCaughtUp: caughtUp(C), load, rebalance };
      assert.equal(decide(yard({}, {}), facts, { fallback }), 'node3 standby balanced');
      assert.equal(decide(yard({}, {}), { ...facts, current: B }, { fallback }), 'node3 standby moves_away');
      assert.equal(decide(yard({}, {}), { ...facts, current: C }, { fallback }), 'node3 standby stays');
    }
  }
});

test('when only the fence is in the way the primary serves, whatever the fallback says', () => {
  for (const fallback of FALLBACKS) {
    for (const rebalance of REBALANCES) {
      for (const current of [null, B]) {
        const facts = { isCaughtUp: caughtUp(), rebalance, current };
        assert.equal(decide(yard({}, {}), facts, { fallback }), 'node1 primary fence');
        assert.equal(decide(yard({}, STALE), facts, { fallback }), 'node1 primary fence', 'one is enough');
      }
    }
  }
});

test('when standbys are refused for other reasons the fallback decides, fence or no fence', () => {
  for (const isCaughtUp of [caughtUp(), caughtUp(B, C)]) {
    const expected = { primary: 'node1 primary fallback_primary', wait: 'hold no_standby', error: 'error no_standby' };
    for (const fallback of FALLBACKS) {
      assert.equal(decide(yard(STALE, { noloadbalance: true }), { isCaughtUp }, { fallback }), expected[fallback]);
    }
  }
});

/** A view in which node2 is refused for a reason, and what the session asks for then. */
const REFUSED: Record<
  Exclude<Reason, 'behind_fence'>,
  { readonly node: Partial<NodeView>; readonly intent?: Partial<RouteIntent>; readonly view?: Partial<ClusterView> }
> = {
  not_a_standby: { node: { role: 'primary' } },
  role_unknown: { node: { role: 'unknown' } },
  health_unknown: { node: { health: 'unknown' } },
  lagging: { node: STALE },
  unreachable: { node: { role: 'unknown', health: 'unreachable' } },
  connections_hang: { node: { acceptsConnections: false } },
  holds_leader_key: { node: {}, view: { primary: A } },
  switchover_candidate: { node: {}, view: { switchover: NOW, switchoverDue: true } },
  drained: { node: { drained: true } },
  noloadbalance: { node: { noloadbalance: true } },
  weight_zero: { node: { weight: 0 } },
  tag_mismatch: { node: {}, intent: { tags: new Map([['use', 'reports']]) } },
  not_synchronous: { node: {}, intent: { prefer: 'sync' } },
  synchronous: { node: { synchronous: true }, intent: { prefer: 'async' } },
};

/** node3 as every one of the intents above wants it. */
const FIT = (intent: Partial<RouteIntent> = {}): Partial<NodeView> => ({
  tags: new Map([['use', 'reports']]),
  synchronous: intent.prefer === 'sync',
});

/** Where a session on a node goes that is refused for this reason, without a fence: it may stay with `off`, with `stale`. */
const MAY_STAY: Record<Exclude<Reason, 'behind_fence'>, readonly ('off' | 'stale')[]> = {
  not_a_standby: [],
  role_unknown: [],
  unreachable: [],
  drained: [],
  holds_leader_key: [],
  lagging: ['off'],
  health_unknown: ['off'],
  connections_hang: ['off', 'stale'],
  switchover_candidate: ['off', 'stale'],
  noloadbalance: ['off', 'stale'],
  weight_zero: ['off', 'stale'],
  tag_mismatch: ['off', 'stale'],
  not_synchronous: ['off', 'stale'],
  synchronous: ['off', 'stale'],
};

test('every reason for which a node is refused has its line in the table', () => {
  const reasons = Object.values(RefusalReason).filter((reason) => reason !== 'behind_fence');
  assert.deepEqual(Object.keys(REFUSED).sort(), reasons.sort());
  for (const reason of reasons) {
    const { node, intent = {}, view = {} } = REFUSED[reason];
    const leader = reason === 'holds_leader_key' ? B : A;
    const { leader: _leader, nodes: _nodes, ...rest } = view;
    const picture = viewOf({ ...rest, leader, nodes: [PRIMARY, nodeViewOf(B, node), nodeViewOf(C, FIT(intent))] });
    const refusal = eligibleStandbys(picture, routeIntentOf(intent)).refused.find((each) => each.node === B);
    assert.equal(refusal?.reason, reason);
  }
});

for (const [reason, { node, intent = {}, view = {} }] of Object.entries(REFUSED) as [
  Exclude<Reason, 'behind_fence'>,
  (typeof REFUSED)['lagging'],
][]) {
  const { leader: _leader, nodes: _nodes, ...rest } = view;
  const pictureWith = (c: Partial<NodeView>): ClusterView =>
    viewOf({
      ...rest,
      leader: reason === 'holds_leader_key' ? B : A,
      nodes: [PRIMARY, nodeViewOf(B, node), nodeViewOf(C, { ...FIT(intent), ...c })],
    });

  test(`from a node that is refused as ${reason} no fence is passed, and no standby is left out that has it behind it`, () => {
    for (const fallback of FALLBACKS) {
      for (const rebalance of REBALANCES) {
        const from = (c: Partial<NodeView>, isCaughtUp?: RouteFacts['isCaughtUp']): string =>
          decide(pictureWith(c), { current: B, rebalance, isCaughtUp }, { ...intent, fallback });
        const which = `fallback ${fallback}, rebalance ${rebalance}`;
        const mayStay = MAY_STAY[reason].includes(rebalance);
        const moves = /^node3 standby (moves_away|balanced)$/;
        // With everybody caught up it is as without a fence.
        assert.equal(from({}, caughtUp(B, C)), from({}), which);
        assert.equal(from(STALE, caughtUp(B, C)), from(STALE), which);
        assert.equal(from(STALE).startsWith('node2 standby stays'), mayStay, `${which}: ${from(STALE)}`);
        // The other one alone is caught up.
        assert.match(from({}, caughtUp(C)), moves, which);
        // Only the node it is on: that counts where it may stay.
        const onlyHere = from({}, caughtUp(B));
        if (mayStay) assert.match(onlyHere, /^node2 standby stays/, which);
        else assert.equal(onlyHere, 'node1 primary fence', which);
        // Nobody: the primary, for a session that may have stayed and for one that would have gone to the other.
        assert.equal(from({}, caughtUp()), 'node1 primary fence', which);
        // Nobody, and the other is not fit for anybody: the fallback is for those that may not stay.
        const bare = from(STALE, caughtUp());
        const expected = {
          primary: 'node1 primary fallback_primary',
          wait: 'hold no_standby',
          error: 'error no_standby',
        };
        assert.equal(bare, mayStay ? 'node1 primary fence' : expected[fallback], which);
      }
    }
  });
}

test('without a primary a session whose fence is in the way waits, whatever the fallback says', () => {
  const views = {
    lost: viewOf({ primary: null, leader: null, nodes: [nodeViewOf(B), nodeViewOf(C)] }),
    promoting: viewOf({ primary: null, leader: C, nodes: [nodeViewOf(B), nodeViewOf(C)] }),
    'standby cluster': viewOf({ primary: null, standbyCluster: true, nodes: [nodeViewOf(B), nodeViewOf(C)] }),
  };
  for (const [name, view] of Object.entries(views)) {
    for (const fallback of FALLBACKS) {
      for (const current of [null, B]) {
        const decision = route(view, routeIntentOf({ fallback }), routeFactsOf({ current, isCaughtUp: caughtUp() }));
        assert.equal(told(decision), 'hold fence', `${name}, ${fallback}`);
        assert.match(decision.kind === 'hold' ? decision.message : '', /no standby has what .*node2: behind_fence/);
      }
    }
  }
});

test('a session that has a backend on a primary whose new connections hang goes on there', () => {
  const hung = nodeViewOf(A, { role: 'primary', acceptsConnections: false, reason: 'new connections hang' });
  const view = viewOf({ nodes: [hung, nodeViewOf(B), nodeViewOf(C)] });
  assert.equal(decide(view, { current: B, isCaughtUp: caughtUp() }), 'hold fence');
  assert.equal(decide(view, { current: B, alsoOn: A, isCaughtUp: caughtUp() }), 'node1 primary fence');
  assert.equal(decide(view, { alsoOn: A }, { route: 'primary' }), 'node1 primary primary');
  const stale = viewOf({ nodes: [hung, nodeViewOf(B, STALE), nodeViewOf(C, STALE)] });
  assert.equal(decide(stale, { alsoOn: A }), 'node1 primary fallback_primary');
  assert.equal(decide(stale, {}), 'hold primary_hangs');
});

test('a session that the fence sent to the primary is content there until a standby has caught up', () => {
  assert.equal(decide(yard({}, {}), { current: A, isCaughtUp: caughtUp() }), 'node1 primary fence');
  assert.equal(decide(yard({}, {}), { current: A, isCaughtUp: caughtUp(C) }), 'node3 standby comes_home');
});

test('a primary route knows no fence', () => {
  assert.equal(decide(yard({}, {}), { isCaughtUp: caughtUp() }, { route: 'primary' }), 'node1 primary primary');
});
