import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClusterView, NodeView } from '../../../src/cluster/view.js';
import { route } from '../../../src/routing/router.js';
import type { RouteFacts, RouteIntent } from '../../../src/routing/router.js';
import type { NodeName } from '../../../src/util/brand.js';
import { A, B, C, nodeViewOf, routeFactsOf, routeIntentOf, viewOf } from '../../support/cluster-fakes.js';

const EAST = { tags: new Map([['zone', 'east']]) };
const WEST = { tags: new Map([['zone', 'west']]) };
const STALE = { health: 'lagging' } as const;
const SWITCHOVER = { leader: A, candidate: B, scheduledAtEpochMs: null, revision: 1n };

function yard(b: Partial<NodeView>, c: Partial<NodeView>): ClusterView {
  return viewOf({ nodes: [nodeViewOf(A, { role: 'primary', ...EAST }), nodeViewOf(B, b), nodeViewOf(C, c)] });
}

function decide(view: ClusterView, facts: Partial<RouteFacts> = {}, intent: Partial<RouteIntent> = {}): string {
  const decision = route(view, routeIntentOf({ zone: 'west', ...intent }), routeFactsOf(facts));
  return decision.kind === 'node' ? `${decision.node} ${decision.reason}` : decision.kind;
}

const crowded = (node: NodeName): number => (node === C ? 900 : 0);

test('a standby of the own zone comes first, however loaded it is', () => {
  assert.equal(decide(yard(EAST, WEST), { load: crowded }), 'node3 balanced');
  assert.equal(decide(yard(EAST, WEST), { load: crowded }, { zone: null }), 'node2 balanced');
  assert.equal(decide(yard({}, WEST), { load: crowded }), 'node3 balanced', 'a node that says nothing is elsewhere');
});

test('without an eligible standby in the own zone any other will do, before the primary', () => {
  assert.equal(decide(yard(EAST, { ...WEST, ...STALE })), 'node2 balanced');
  assert.equal(decide(yard(EAST, EAST)), 'node2 balanced');
  assert.equal(decide(yard(EAST, WEST), { isCaughtUp: (node) => node === B }), 'node2 balanced');
  assert.equal(decide(yard({ ...EAST, ...STALE }, { ...WEST, ...STALE })), 'node1 fallback_primary');
});

test('a session comes home to its zone, unless nothing is rebalanced', () => {
  assert.equal(decide(yard(EAST, WEST), { current: B }), 'node3 comes_home');
  assert.equal(decide(yard(EAST, WEST), { current: B, rebalance: 'off' }), 'node2 stays');
  assert.equal(decide(yard(EAST, { ...WEST, ...STALE }), { current: B }), 'node2 stays');
  assert.equal(decide(yard(EAST, WEST), { current: B, isCaughtUp: (node) => node === B }), 'node2 stays');
  assert.equal(decide(yard(EAST, WEST), { current: C, load: crowded }), 'node3 stays');
});

test('the candidate of a due switchover is no home, not even in the own zone', () => {
  const view = { ...yard(WEST, EAST), switchover: SWITCHOVER, switchoverDue: true };
  assert.equal(decide(view), 'node3 balanced');
  assert.equal(decide(view, { current: C }), 'node3 stays');
  assert.equal(decide(view, { current: B }), 'node3 moves_away');
});

test('unit by unit a session goes where the fewest units are under way, within its zone', () => {
  const outstanding = (node: NodeName): number => (node === C ? 3 : 1);
  const anew = { stickiness: 'none', zone: null } as const;
  assert.equal(decide(yard({}, {}), { current: C, outstanding }, anew), 'node2 balanced');
  assert.equal(
    decide(yard({}, {}), { current: C, outstanding: () => 2 }, anew),
    'node3 stays',
    'among equals it stays',
  );
  assert.equal(decide(yard(STALE, {}), { current: C, outstanding }, anew), 'node3 stays');
  assert.equal(decide(yard(EAST, WEST), { current: C, outstanding }, { stickiness: 'none' }), 'node3 stays');
  assert.equal(decide(yard({}, {}), { current: C, outstanding }, { zone: null }), 'node3 stays', 'sticky');
});

test('unit by unit a standby that is behind the fence gets nothing, however idle it is', () => {
  const outstanding = (node: NodeName): number => (node === B ? 0 : 50);
  const isCaughtUp = (node: NodeName): boolean => node === C;
  const anew = { stickiness: 'none', zone: null } as const;
  assert.equal(decide(yard({}, {}), { current: C, outstanding, isCaughtUp }, anew), 'node3 stays');
  assert.equal(decide(yard({}, {}), { current: B, outstanding, isCaughtUp }, anew), 'node3 moves_away');
  assert.equal(decide(yard({}, {}), { current: C, outstanding, isCaughtUp: () => false }, anew), 'node1 fence');
});
