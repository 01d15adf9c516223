import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClusterView, NodeView } from '../../../src/cluster/view.js';
import { route } from '../../../src/routing/router.js';
import type { RouteDecision, RouteIntent } from '../../../src/routing/router.js';
import { A, B, C, nodeViewOf, routeFactsOf, routeIntentOf, viewOf } from '../../support/cluster-fakes.js';

const PRIMARY = routeIntentOf({ route: 'primary' });
const STANDBY = routeIntentOf();
const WAIT: RouteIntent = { ...STANDBY, fallback: 'wait' };
const ERROR: RouteIntent = { ...STANDBY, fallback: 'error' };
const SWITCHOVER = { leader: A, candidate: B, scheduledAtEpochMs: null, revision: 1n };

/** node1 is the primary; node2 and node3 as given. */
function yard(b: Partial<NodeView> = {}, c: Partial<NodeView> = {}, over: Partial<ClusterView> = {}): ClusterView {
  const { leader: _leader, nodes: _nodes, ...rest } = over;
  return viewOf({ ...rest, nodes: [nodeViewOf(A, { role: 'primary' }), nodeViewOf(B, b), nodeViewOf(C, c)] });
}

const STALE = { health: 'lagging', reason: 'replay is behind' } as const;

function node(decision: RouteDecision): string {
  assert.equal(decision.kind, 'node');
  return decision.kind === 'node' ? `${decision.node} ${decision.target} ${decision.reason}` : '';
}

test('a primary route leads to the primary', () => {
  assert.equal(node(route(viewOf(), PRIMARY, routeFactsOf())), 'node1 primary primary');
  assert.equal(node(route(viewOf(), PRIMARY, routeFactsOf({ current: A }))), 'node1 primary stays');
  assert.equal(node(route(viewOf(), PRIMARY, routeFactsOf({ current: B }))), 'node1 primary primary');
});

test('without a primary a primary route waits, and says why', () => {
  const view = viewOf({ primary: null, leader: null, noPrimaryReason: 'the leader key is gone' });
  assert.deepEqual(route(view, PRIMARY, routeFactsOf({ current: A })), {
    kind: 'hold',
    reason: 'no_primary',
    message: 'the leader key is gone',
  });
});

test('a promotion under way is a hold of its own', () => {
  const view = viewOf({ primary: null, leader: B, noPrimaryReason: 'node2 holds the leader key' });
  const decision = route(view, PRIMARY, routeFactsOf());
  assert.equal(decision.kind === 'hold' && decision.reason, 'promotion');
});

test('a primary whose new connections hang keeps its sessions and gets no new ones', () => {
  const hung = nodeViewOf(A, { role: 'primary', acceptsConnections: false, reason: 'new connections hang: no answer' });
  const view = viewOf({ nodes: [hung, nodeViewOf(B)] });
  assert.equal(node(route(view, PRIMARY, routeFactsOf({ current: A }))), 'node1 primary stays');
  const decision = route(view, PRIMARY, routeFactsOf());
  assert.equal(decision.kind === 'hold' && decision.reason, 'primary_hangs');
  assert.match(decision.kind === 'hold' ? decision.message : '', /node1 is the primary, but new connections hang/);
});

test('a standby cluster refuses a primary route at once: no waiting will help', () => {
  const view = viewOf({ primary: null, standbyCluster: true, noPrimaryReason: 'this is a standby cluster' });
  assert.deepEqual(route(view, PRIMARY, routeFactsOf()), {
    kind: 'error',
    code: 'no_primary',
    message: 'there is no primary to be had here',
    detail: 'this is a standby cluster',
  });
});

test('a primary that has left the view is no primary', () => {
  const decision = route(viewOf({ nodes: [nodeViewOf(B)] }), PRIMARY, routeFactsOf());
  assert.equal(decision.kind, 'hold');
});

test('a new session goes to the standby with the fewest sessions for its weight', () => {
  const load = (name: string): number => (name === B ? 5 : 4);
  assert.equal(node(route(viewOf(), STANDBY, routeFactsOf({ load }))), 'node3 standby balanced');
  assert.equal(node(route(yard({ weight: 10 }), STANDBY, routeFactsOf({ load }))), 'node2 standby balanced');
  assert.equal(node(route(viewOf(), STANDBY, routeFactsOf({ breakTie: () => 1 }))), 'node3 standby balanced');
  assert.equal(node(route(viewOf(), STANDBY, routeFactsOf())), 'node2 standby balanced');
});

test('a session stays on its standby while that is healthy, however loaded it is', () => {
  const load = (name: string): number => (name === C ? 900 : 0);
  assert.equal(node(route(viewOf(), STANDBY, routeFactsOf({ current: C, load }))), 'node3 standby stays');
});

test('from a standby that grew stale a session moves to a fresh one', () => {
  assert.equal(node(route(yard(STALE), STANDBY, routeFactsOf({ current: B }))), 'node3 standby moves_away');
  assert.equal(
    node(route(yard({ health: 'unknown' }), WAIT, routeFactsOf({ current: B }))),
    'node3 standby moves_away',
  );
});

test('from a standby that grew stale a session moves to the fallback primary when no other is fresh', () => {
  assert.equal(
    node(route(yard(STALE, STALE), STANDBY, routeFactsOf({ current: B }))),
    'node1 primary fallback_primary',
  );
});

test('with rebalance off a session stays on a standby that grew stale', () => {
  const off = routeFactsOf({ current: B, rebalance: 'off' });
  assert.equal(node(route(yard(STALE), STANDBY, off)), 'node2 standby stays_refused');
  assert.equal(node(route(yard({ health: 'unknown' }, STALE), ERROR, off)), 'node2 standby stays_refused');
});

test('no new statement goes to a stale standby when the listener says to wait or to refuse', () => {
  const view = yard(STALE, STALE);
  const held = route(view, WAIT, routeFactsOf({ current: B }));
  assert.equal(held.kind === 'hold' && held.reason, 'no_standby');
  assert.equal(route(view, ERROR, routeFactsOf({ current: B })).kind, 'error');
});

test('a change of role and death end a session even with rebalance off', () => {
  const promoted = viewOf({
    primary: B,
    leader: B,
    nodes: [nodeViewOf(A), nodeViewOf(B, { role: 'primary' }), nodeViewOf(C)],
  });
  const off = routeFactsOf({ current: B, rebalance: 'off' });
  assert.equal(node(route(promoted, WAIT, off)), 'node1 standby comes_home');
  assert.equal(node(route(yard({ health: 'unreachable', role: 'unknown' }), WAIT, off)), 'node3 standby balanced');
  assert.equal(node(route(yard({ role: 'unknown' }), WAIT, off)), 'node3 standby balanced');
});

test('a session whose standby was promoted goes on there when it may fall back and nothing is rebalanced', () => {
  const view = viewOf({
    primary: B,
    leader: B,
    nodes: [nodeViewOf(A), nodeViewOf(B, { role: 'primary' }), nodeViewOf(C)],
  });
  assert.equal(node(route(view, STANDBY, routeFactsOf({ current: B, rebalance: 'off' }))), 'node2 primary stays');
  assert.equal(node(route(view, STANDBY, routeFactsOf({ current: B }))), 'node1 standby comes_home');
});

test('a node that left the cluster is left', () => {
  assert.equal(node(route(yard(), STANDBY, routeFactsOf({ current: 'node9' as typeof A }))), 'node2 standby balanced');
});

test('a session comes home from the fallback primary, unless nothing is rebalanced', () => {
  assert.equal(node(route(viewOf(), STANDBY, routeFactsOf({ current: A }))), 'node2 standby comes_home');
  assert.equal(node(route(viewOf(), STANDBY, routeFactsOf({ current: A, rebalance: 'off' }))), 'node1 primary stays');
  assert.equal(node(route(viewOf(), WAIT, routeFactsOf({ current: A, rebalance: 'off' }))), 'node2 standby comes_home');
  assert.equal(node(route(yard(STALE, STALE), STANDBY, routeFactsOf({ current: A }))), 'node1 primary stays');
});

test('without a standby the fallback decides', () => {
  const view = yard(STALE, { noloadbalance: true });
  assert.equal(node(route(view, STANDBY, routeFactsOf())), 'node1 primary fallback_primary');
  assert.deepEqual(route(view, WAIT, routeFactsOf()), {
    kind: 'hold',
    reason: 'no_standby',
    message: 'no standby is fresh enough: node2: lagging (replay is behind), node3: noloadbalance',
  });
  assert.deepEqual(route(view, ERROR, routeFactsOf()), {
    kind: 'error',
    code: 'no_standby',
    message: 'no standby is fresh enough',
    detail: 'node2: lagging (replay is behind), node3: noloadbalance',
  });
});

test('a cluster without standbys has nothing to explain', () => {
  const view = viewOf({ nodes: [nodeViewOf(A, { role: 'primary' })] });
  const decision = route(view, ERROR, routeFactsOf());
  assert.equal(decision.kind === 'error' && decision.detail, null);
});

test('without a standby and without a primary a session waits for either', () => {
  const { nodes } = yard(STALE, STALE);
  const view = { ...viewOf({ primary: null, leader: null, noPrimaryReason: 'the leader key is gone' }), nodes };
  const decision = route(view, STANDBY, routeFactsOf());
  assert.equal(decision.kind === 'hold' && decision.reason, 'no_primary');
  assert.match(decision.kind === 'hold' ? decision.message : '', /the leader key is gone; no standby is fresh enough/);
});

test('in a standby cluster a standby route never ends in an error about a primary', () => {
  const nodes = [nodeViewOf(A, STALE), nodeViewOf(B, STALE)];
  const view = viewOf({ primary: null, standbyCluster: true, nodes });
  const decision = route(view, STANDBY, routeFactsOf());
  assert.equal(decision.kind === 'hold' && decision.reason, 'no_standby');
});

test('reads go on while there is no primary', () => {
  const view = viewOf({ primary: null, leader: null });
  const nodes = new Map([...view.nodes].filter(([name]) => name !== A));
  assert.equal(node(route({ ...view, nodes }, STANDBY, routeFactsOf({ current: B }))), 'node2 standby stays');
});

test('the candidate of a switchover is left for another standby, also with rebalance off', () => {
  const view = viewOf({ switchover: SWITCHOVER, switchoverDue: true });
  for (const rebalance of ['off', 'stale'] as const) {
    assert.equal(node(route(view, STANDBY, routeFactsOf({ current: B, rebalance }))), 'node3 standby moves_away');
  }
  const alone = yard({}, STALE, { switchover: SWITCHOVER, switchoverDue: true });
  assert.equal(node(route(alone, WAIT, routeFactsOf({ current: B }))), 'node2 standby stays');
});

test('not one more read goes to a node that is being promoted, whatever there is instead', () => {
  const promoting = (c: Partial<NodeView>): ClusterView =>
    viewOf({
      primary: null,
      leader: B,
      nodes: [nodeViewOf(A, { role: 'unknown', health: 'unreachable' }), nodeViewOf(B), nodeViewOf(C, c)],
    });
  for (const rebalance of ['off', 'stale'] as const) {
    assert.equal(
      node(route(promoting({}), STANDBY, routeFactsOf({ current: B, rebalance }))),
      'node3 standby moves_away',
    );
  }
  for (const rebalance of ['off', 'stale'] as const) {
    for (const current of [B, null]) {
      const held = route(promoting(STALE), STANDBY, routeFactsOf({ current, rebalance }));
      assert.equal(held.kind === 'hold' && held.reason, 'promotion');
      const waiting = route(promoting(STALE), WAIT, routeFactsOf({ current, rebalance }));
      assert.equal(waiting.kind === 'hold' && waiting.reason, 'no_standby');
      assert.equal(
        route(promoting(STALE), { ...STANDBY, fallback: 'error' }, routeFactsOf({ current, rebalance })).kind,
        'error',
      );
    }
  }
});

test('a standby whose new connections hang keeps the sessions it has', () => {
  const view = yard({ acceptsConnections: false });
  assert.equal(node(route(view, STANDBY, routeFactsOf({ current: B }))), 'node2 standby stays_refused');
  assert.equal(node(route(view, STANDBY, routeFactsOf())), 'node3 standby balanced');
});

test('a fresh standby that is not wanted any more is left only for a wanted one', () => {
  for (const over of [{ noloadbalance: true }, { weight: 0 }]) {
    assert.equal(node(route(yard(over), STANDBY, routeFactsOf({ current: B }))), 'node3 standby moves_away');
    assert.equal(node(route(yard(over, over), STANDBY, routeFactsOf({ current: B }))), 'node2 standby stays_refused');
    const off = routeFactsOf({ current: B, rebalance: 'off' });
    assert.equal(node(route(yard(over), STANDBY, off)), 'node2 standby stays_refused');
  }
  const sync: RouteIntent = { ...STANDBY, prefer: 'sync' };
  assert.equal(
    node(route(yard({}, { synchronous: true }), sync, routeFactsOf({ current: B }))),
    'node3 standby moves_away',
  );
});
