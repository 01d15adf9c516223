import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { NodeHealth, NodeRole } from '../../src/cluster/view.js';
import type { ClusterView, NodeView } from '../../src/cluster/view.js';
import { SLOW_START_PART, chooseLeast, weightNow } from '../../src/routing/balance.js';
import type { BalanceRules } from '../../src/routing/balance.js';
import { dueCandidate, refusalOf } from '../../src/routing/eligibility.js';
import { route } from '../../src/routing/router.js';
import type { RouteFacts, RouteIntent } from '../../src/routing/router.js';
import { nodeName } from '../../src/util/brand.js';
import type { NodeName } from '../../src/util/brand.js';
import { A, B, C, nodeViewOf, routeFactsOf, routeIntentOf, viewOf } from '../support/cluster-fakes.js';

const D = nodeName('node4');
const NAMES = [A, B, C, D];
const weightArbitrary = fc.constantFrom(0, 0.5, 1, 2.5, 10);

function nodeArbitrary(name: NodeName): fc.Arbitrary<NodeView> {
  return fc
    .record({
      role: fc.constantFrom(NodeRole.Standby, NodeRole.Standby, ...Object.values(NodeRole)),
      health: fc.constantFrom(NodeHealth.Healthy, NodeHealth.Healthy, ...Object.values(NodeHealth)),
      healthySinceMs: fc.integer({ min: 0, max: 30_000 }),
      acceptsConnections: fc.boolean(),
      drained: fc.constantFrom(false, false, true),
      weight: weightArbitrary,
      zone: fc.constantFrom('a', 'b', null),
    })
    .map(({ zone, healthySinceMs, ...over }) =>
      nodeViewOf(name, {
        ...over,
        healthySinceMs: over.health === NodeHealth.Healthy ? healthySinceMs : null,
        tags: new Map(zone === null ? [] : [['zone', zone]]),
      }),
    );
}

interface Case {
  readonly view: ClusterView;
  readonly intent: RouteIntent;
  readonly facts: RouteFacts;
}

const countsArbitrary = fc.tuple(fc.nat(5), fc.nat(5), fc.nat(5), fc.nat(5));

const caseArbitrary: fc.Arbitrary<Case> = fc
  .record({
    nodes: fc.tuple(...NAMES.map(nodeArbitrary)),
    candidate: fc.constantFrom(null, B, C),
    switchoverDue: fc.boolean(),
    primary: fc.constantFrom(A, A, null),
    zone: fc.constantFrom('a', 'b', null),
    fallback: fc.constantFrom('primary' as const, 'wait' as const, 'error' as const),
    stickiness: fc.constantFrom('session' as const, 'none' as const),
    slowStartMs: fc.constantFrom(0, 10_000),
    current: fc.constantFrom(null, ...NAMES),
    rebalance: fc.constantFrom('off' as const, 'stale' as const),
    caughtUp: fc.constantFrom<readonly NodeName[] | null>(null, [], [A, B, C, D], [B], [C, D]),
    loads: countsArbitrary,
    outstandings: countsArbitrary,
    nowMs: fc.integer({ min: 0, max: 50_000 }),
    tie: fc.nat(3),
  })
  .map(({ nodes, candidate, switchoverDue, primary, caughtUp, loads, outstandings, tie, ...rest }) => ({
    view: viewOf({
      nodes,
      primary,
      switchoverDue,
      switchover: { leader: A, candidate, scheduledAtEpochMs: null, revision: 1n },
    }),
    intent: routeIntentOf(rest),
    facts: routeFactsOf({
      current: rest.current,
      rebalance: rest.rebalance,
      nowMs: rest.nowMs,
      load: (node) => loads[NAMES.indexOf(node)] ?? 0,
      outstanding: (node) => outstandings[NAMES.indexOf(node)] ?? 0,
      breakTie: () => tie,
      isCaughtUp: caughtUp === null ? undefined : (node) => caughtUp.includes(node),
    }),
  }));

/** The standbys that the session may be placed on, by the rules as they are written down for people. */
function placesOf({ view, intent, facts }: Case): readonly NodeView[] {
  const fit = [...view.nodes.values()].filter(
    (node) => refusalOf(view, node, intent) === null && facts.isCaughtUp?.(node.name) !== false,
  );
  const others = fit.filter(({ name }) => name !== dueCandidate(view));
  const near = others.filter(({ tags }) => intent.zone === null || tags.get('zone') === intent.zone);
  return near.length > 0 ? near : others.length > 0 ? others : fit;
}

test('nothing is placed on a standby that is over a limit, behind the fence, or further away than another that would do', () => {
  fc.assert(
    fc.property(caseArbitrary, (each) => {
      const { view, intent, facts } = each;
      const decision = route(view, intent, facts);
      const places = placesOf(each).map(({ name }) => name);
      if (decision.kind !== 'node' || decision.target === 'primary') {
        // Whoever sits on the primary may be content there; everybody else has had every standby tried before.
        assert.ok(places.length === 0 || facts.current === view.primary, places.join());
        return;
      }
      assert.notEqual(facts.isCaughtUp?.(decision.node), false, `${decision.node} is behind`);
      if (decision.node !== facts.current) {
        assert.ok(places.includes(decision.node), `${decision.node} is none of ${places.join()}`);
      }
    }),
    { numRuns: 3000 },
  );
});

test('a sticky session stays on its standby while that is eligible, unless another zone or a switchover calls', () => {
  fc.assert(
    fc.property(caseArbitrary, (each) => {
      const { view, facts } = each;
      const intent: RouteIntent = { ...each.intent, stickiness: 'session', zone: null };
      const node = facts.current === null ? undefined : view.nodes.get(facts.current);
      fc.pre(node !== undefined && node.name !== dueCandidate(view) && node.name !== view.primary);
      fc.pre(refusalOf(view, node, intent) === null && facts.isCaughtUp?.(node.name) !== false);
      assert.deepEqual(route(view, intent, facts), {
        kind: 'node',
        node: node.name,
        target: 'standby',
        reason: 'stays',
      });
    }),
    { numRuns: 2000 },
  );
});

test('unit by unit nobody has fewer units under way for its weight than the one that is chosen', () => {
  fc.assert(
    fc.property(caseArbitrary, (each) => {
      const { view, facts } = each;
      const intent: RouteIntent = { ...each.intent, stickiness: 'none' };
      const decision = route(view, intent, facts);
      const places = placesOf(each);
      fc.pre(decision.kind === 'node' && decision.target === 'standby');
      fc.pre(places.some(({ name }) => name === decision.node));
      const share = (node: NodeView): number =>
        ((facts.outstanding?.(node.name) ?? 0) + 1) / weightNow(node, intent, facts.nowMs);
      const chosen = view.nodes.get(decision.node);
      assert.ok(chosen !== undefined);
      fc.pre(decision.reason !== 'stays_refused');
      const least = Math.min(...places.map(share));
      assert.equal(share(chosen), least);
      const home = places.find(({ name }) => name === facts.current);
      assert.ok(home === undefined || share(home) > least || decision.node === facts.current, 'it wins among equals');
    }),
    { numRuns: 2000 },
  );
});

test('sessions that are placed one by one end up in proportion to the weights', () => {
  const arbitrary = fc.tuple(fc.array(weightArbitrary, { minLength: 1, maxLength: 4 }), fc.nat(200), fc.nat(3));
  fc.assert(
    fc.property(arbitrary, ([weights, sessions, tie]) => {
      const nodes = weights.map((weight, index) => nodeViewOf(NAMES[index] ?? A, { weight }));
      const counts = new Map<NodeName, number>();
      const load = (name: NodeName): number => counts.get(name) ?? 0;
      const rules: BalanceRules = { stickiness: 'session', slowStartMs: 0 };
      for (let index = 0; index < sessions; index += 1) {
        const name = chooseLeast(nodes, rules, { current: null, load, nowMs: 0, breakTie: () => tie });
        if (name !== null) counts.set(name, load(name) + 1);
      }
      for (const node of nodes) {
        if (node.weight === 0) assert.equal(load(node.name), 0);
        for (const other of nodes.filter(({ weight }) => weight > 0)) {
          if (load(node.name) === 0) continue;
          // When it got its last one, no other had less to bear with one more.
          assert.ok(load(node.name) / node.weight <= (load(other.name) + 1) / other.weight + 1e-9);
        }
      }
    }),
  );
});

test('in its slow start the weight of a node only rises, from a tenth to the whole', () => {
  const times = fc.integer({ min: -5000, max: 50_000 });
  fc.assert(
    fc.property(weightArbitrary, fc.integer({ min: 1, max: 20_000 }), times, times, (weight, slowStartMs, a, b) => {
      const node = nodeViewOf(A, { weight, healthySinceMs: 10_000 });
      const rules: BalanceRules = { stickiness: 'session', slowStartMs };
      const [early, late] = [Math.min(a, b), Math.max(a, b)].map((nowMs) => weightNow(node, rules, nowMs));
      assert.ok(early !== undefined && late !== undefined);
      assert.ok(early >= weight * SLOW_START_PART - 1e-9 && early <= late && late <= weight + 1e-9);
      assert.equal(weightNow(node, rules, 10_000 + slowStartMs), weight);
    }),
  );
});
