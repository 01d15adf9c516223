import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eligibleStandbys } from '../../../src/routing/eligibility.js';
import { route } from '../../../src/routing/router.js';
import type { RouteDecision, RouteIntent } from '../../../src/routing/router.js';
import type { NodeName } from '../../../src/util/brand.js';
import { A, B, C, nodeViewOf, routeFactsOf, routeIntentOf, viewOf } from '../../support/cluster-fakes.js';

const view = (drained: readonly NodeName[]) =>
  viewOf({
    nodes: [A, B, C].map((name) =>
      nodeViewOf(name, { role: name === A ? 'primary' : 'standby', drained: drained.includes(name) }),
    ),
  });

function decide(
  drained: readonly NodeName[],
  current: NodeName | null,
  over: Partial<RouteIntent> = {},
): RouteDecision {
  return route(view(drained), routeIntentOf(over), routeFactsOf({ current, rebalance: 'off' }));
}

test('a drained standby gets no new sessions, and says why', () => {
  const { eligible, refused } = eligibleStandbys(view([B]), { prefer: 'any', tags: new Map() });
  assert.deepEqual(eligible, [C]);
  assert.deepEqual(refused.find(({ node }) => node === B)?.reason, 'drained');
});

test('a session leaves a drained standby for another one, also where nothing else would move it', () => {
  assert.deepEqual(decide([B], B), { kind: 'node', node: C, target: 'standby', reason: 'moves_away' });
});

test('when every standby is drained, what the listener says for having none is done', () => {
  assert.deepEqual(decide([B, C], B), { kind: 'node', node: A, target: 'primary', reason: 'fallback_primary' });
  assert.equal(decide([B, C], B, { fallback: 'wait' }).kind, 'hold');
  assert.equal(decide([B, C], null, { fallback: 'error' }).kind, 'error');
});

test('a drained primary is still the primary: what may start there is decided by the gate', () => {
  const decision = decide([A], A, { route: 'primary' });
  assert.deepEqual(decision.kind === 'node' && decision.node, A);
});
