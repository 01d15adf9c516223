import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { NodeHealth, NodeRole } from '../../src/cluster/view.js';
import type { ClusterView, NodeView } from '../../src/cluster/view.js';
import { eligibleStandbys } from '../../src/routing/eligibility.js';
import type { StandbyRequirement } from '../../src/routing/eligibility.js';
import { route } from '../../src/routing/router.js';
import { nodeName } from '../../src/util/brand.js';
import { A, B, C, claimsOf, nodeViewOf, routeFactsOf, routeIntentOf, viewOf } from '../support/cluster-fakes.js';
import { FRESHNESS, FakeCluster } from '../support/fake-cluster.js';

const tagsArbitrary = fc
  .dictionary(fc.constantFrom('zone', 'disk'), fc.constantFrom('a', 'b'), { maxKeys: 2 })
  .map((tags) => new Map(Object.entries(tags)));

function nodeArbitrary(name: string): fc.Arbitrary<NodeView> {
  return fc
    .record({
      role: fc.constantFrom(...Object.values(NodeRole)),
      health: fc.constantFrom(...Object.values(NodeHealth)),
      synchronous: fc.boolean(),
      noloadbalance: fc.boolean(),
      acceptsConnections: fc.boolean(),
      weight: fc.constantFrom(0, 1, 2.5),
      tags: tagsArbitrary,
    })
    .map((over) => nodeViewOf(nodeName(name), over));
}

const requirementArbitrary: fc.Arbitrary<StandbyRequirement> = fc.record({
  prefer: fc.constantFrom('any' as const, 'sync' as const, 'async' as const),
  tags: tagsArbitrary,
});

const nameArbitrary = fc.constantFrom(null, A, B, C);

const viewArbitrary: fc.Arbitrary<ClusterView> = fc
  .record({
    nodes: fc.tuple(nodeArbitrary('node1'), nodeArbitrary('node2'), nodeArbitrary('node3')),
    leader: nameArbitrary,
    candidate: nameArbitrary,
    switchoverDue: fc.boolean(),
    standbyCluster: fc.boolean(),
    primary: nameArbitrary,
  })
  .map(({ candidate, ...over }) =>
    viewOf({ ...over, switchover: { leader: A, candidate, scheduledAtEpochMs: null, revision: 1n } }),
  );

test('an eligible node is always a proven, fresh and wanted standby, and every other one is refused once', () => {
  fc.assert(
    fc.property(viewArbitrary, requirementArbitrary, (view, requirement) => {
      const { eligible, refused } = eligibleStandbys(view, requirement);
      const names = [...eligible, ...refused.map(({ node }) => node)].sort();
      assert.deepEqual(names, [...view.nodes.keys()].sort());
      for (const name of eligible) {
        const node = view.nodes.get(name);
        assert.ok(node !== undefined);
        assert.equal(node.role, 'standby');
        assert.equal(node.health, 'healthy');
        assert.ok(node.acceptsConnections && !node.noloadbalance && node.weight > 0);
        assert.notEqual(name, view.primary);
        assert.ok(view.standbyCluster || name !== view.leader?.name);
        assert.ok(requirement.prefer === 'any' || (requirement.prefer === 'sync') === node.synchronous);
        for (const [tag, value] of requirement.tags) {
          assert.equal(node.tags.get(tag), value);
        }
        const isCandidate = view.switchoverDue && name === view.switchover?.candidate;
        assert.ok(!isCandidate || eligible.length === 1);
      }
    }),
  );
});

test('the router sends a write to the primary of the view or nowhere, and a new read to an eligible standby or the primary', () => {
  const arbitrary = fc.record({
    view: viewArbitrary,
    requirement: requirementArbitrary,
    target: fc.constantFrom('primary' as const, 'standby' as const),
    fallback: fc.constantFrom('primary' as const, 'wait' as const, 'error' as const),
    current: nameArbitrary,
    rebalance: fc.constantFrom('off' as const, 'stale' as const),
    loads: fc.tuple(fc.nat(9), fc.nat(9), fc.nat(9)),
  });
  fc.assert(
    fc.property(arbitrary, ({ view, requirement, target, fallback, current, rebalance, loads }) => {
      const decision = route(
        view,
        routeIntentOf({ ...requirement, route: target, fallback }),
        routeFactsOf({ current, rebalance, load: (node) => loads[[A, B, C].indexOf(node)] ?? 0 }),
      );
      if (decision.kind !== 'node') {
        return;
      }
      if (decision.target === 'primary') {
        assert.equal(decision.node, view.primary);
        assert.ok(target === 'primary' || fallback === 'primary');
        return;
      }
      assert.equal(target, 'standby');
      assert.equal(view.nodes.get(decision.node)?.role, 'standby');
      assert.notEqual(decision.node, view.primary);
      if (decision.node !== current) {
        assert.ok(eligibleStandbys(view, requirement).eligible.includes(decision.node));
      }
    }),
    { numRuns: 1000 },
  );
});

/** What happens in one round of 250 ms: what is written, and how much of it each standby replays. */
const roundArbitrary = fc.record({
  written: fc.constantFrom(0, 1, 1000, 4_000_000),
  replayed: fc.tuple(fc.constantFrom('all', 'none', 'half'), fc.constantFrom('all', 'none', 'half')),
  fails: fc.tuple(fc.constantFrom(null, null, null, 'timeout' as const, 'refused' as const), fc.constant(null)),
});

test('no standby is eligible for longer than its samples take to show that it is over the limit', () => {
  const { lagSamples, maxLagBytes, maxLagMs } = FRESHNESS;
  const phaseArbitrary = fc.record({ round: roundArbitrary, times: fc.integer({ min: 1, max: 60 }) });
  fc.assert(
    fc.property(fc.array(phaseArbitrary, { minLength: 1, maxLength: 12 }), (phases) => {
      const cluster = new FakeCluster(claimsOf());
      cluster.actor(A).role = 'primary';
      cluster.run(1000);
      const over = new Map([
        [B, 0],
        [C, 0],
      ]);
      for (const { round, times } of phases) {
        for (let count = 0; count < times; count += 1) {
          const primary = cluster.actor(A);
          primary.lsn += BigInt(round.written);
          for (const [index, name] of [B, C].entries()) {
            const standby = cluster.actor(name);
            const missing = primary.lsn - standby.lsn;
            const part = round.replayed[index] ?? 'all';
            standby.lsn += part === 'all' ? missing : part === 'half' ? missing / 2n : 0n;
            standby.fails = round.fails[index] ?? null;
          }
          cluster.round();
          for (const name of [B, C]) {
            const figures = cluster.store.figures().get(name);
            const isOver = (figures?.lagMs ?? 0) > maxLagMs || (figures?.lagBytes ?? 0) > maxLagBytes;
            const answered = cluster.actor(name).fails === null;
            over.set(name, isOver ? (over.get(name) ?? 0) + (answered ? 1 : 0) : 0);
            const { eligible } = eligibleStandbys(cluster.view, { prefer: 'any', tags: new Map() });
            assert.ok(!eligible.includes(name) || (over.get(name) ?? 0) < lagSamples, `${name} is over the limit`);
          }
        }
      }
    }),
    { numRuns: 60 },
  );
});

test('random lag makes no node flap: changes of health stay far apart', () => {
  const lagsArbitrary = fc.array(fc.constantFrom(0, 1, 40_000_000), { minLength: 240, maxLength: 240 });
  fc.assert(
    fc.property(lagsArbitrary, (lags) => {
      const cluster = new FakeCluster(claimsOf());
      cluster.actor(A).role = 'primary';
      cluster.actor(A).lsn = 0x1000_0000n;
      cluster.actor(B).lsn = 0x1000_0000n;
      cluster.run(1000);
      cluster.views.length = 0;
      cluster.run(60_000, (elapsedMs) => {
        cluster.actor(A).lsn += 1n;
        cluster.actor(B).lsn = cluster.actor(A).lsn - BigInt(lags[elapsedMs / 250] ?? 0);
      });
      assert.ok(cluster.path(B).length <= 8, cluster.path(B).join(' '));
    }),
    { numRuns: 40 },
  );
});
