import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NodeView } from '../../../src/cluster/view.js';
import { SLOW_START_PART, chooseLeast, weightNow } from '../../../src/routing/balance.js';
import type { BalanceFacts, BalanceRules } from '../../../src/routing/balance.js';
import { nodeName } from '../../../src/util/brand.js';
import type { NodeName } from '../../../src/util/brand.js';
import { A, B, C, nodeViewOf } from '../../support/cluster-fakes.js';

const BY_SESSION: BalanceRules = { stickiness: 'session', slowStartMs: 0 };
const BY_UNIT: BalanceRules = { ...BY_SESSION, stickiness: 'none' };
const SLOW: BalanceRules = { ...BY_SESSION, slowStartMs: 10_000 };

function nodes(...weights: readonly [NodeName, number][]): NodeView[] {
  return weights.map(([name, weight]) => nodeViewOf(name, { weight }));
}

const ALL = nodes([A, 1], [B, 1], [C, 1]);

function counts(...entries: [NodeName, number][]): (node: NodeName) => number {
  const map = new Map(entries);
  return (node) => map.get(node) ?? 0;
}

function facts(over: Partial<BalanceFacts> = {}): BalanceFacts {
  return { current: null, load: () => 0, nowMs: 0, ...over };
}

/** Places so many sessions one by one; the numbers on A, B and C. */
function place(among: readonly NodeView[], sessions: number): number[] {
  const placed = new Map<NodeName, number>();
  for (let index = 0; index < sessions; index += 1) {
    const node = chooseLeast(among, BY_SESSION, facts({ load: (name) => placed.get(name) ?? 0 }));
    assert.ok(node !== null);
    placed.set(node, (placed.get(node) ?? 0) + 1);
  }
  return [A, B, C].map((name) => placed.get(name) ?? 0);
}

test('the node with the fewest sessions is chosen', () => {
  assert.equal(chooseLeast(ALL, BY_SESSION, facts({ load: counts([A, 3], [B, 1], [C, 2]) })), B);
});

test('nobody is chosen from nothing', () => {
  assert.equal(chooseLeast([], BY_SESSION, facts()), null);
});

test('sessions spread by weight', () => {
  assert.deepEqual(place(nodes([A, 1], [B, 3], [C, 0.5]), 90), [20, 60, 10]);
});

test('the first session goes to the heaviest node', () => {
  assert.equal(chooseLeast(nodes([A, 1], [B, 2]), BY_SESSION, facts()), B);
});

test('weights of 0 and less, and what is no number, get nothing', () => {
  for (const weight of [0, -1, Number.NaN]) {
    for (const rules of [BY_SESSION, BY_UNIT, SLOW]) {
      const busy = facts({ load: counts([B, 1000]), outstanding: counts([B, 1000]), current: A });
      assert.equal(chooseLeast(nodes([A, weight], [B, 1]), rules, busy), B);
      assert.equal(chooseLeast(nodes([A, weight]), rules, facts()), null);
    }
  }
});

test('among equals the tie breaker decides, and is asked for nothing else', () => {
  const last = (count: number): number => count - 1;
  assert.equal(chooseLeast(ALL, BY_SESSION, facts({ load: counts([B, 1]), breakTie: last })), C);
  const refuse = (): number => {
    throw new Error('asked');
  };
  assert.equal(chooseLeast(nodes([A, 1], [B, 1]), BY_SESSION, facts({ load: counts([A, 1]), breakTie: refuse })), B);
  assert.equal(chooseLeast(ALL, BY_SESSION, facts()), A, 'without one it is the first');
});

test('a tie breaker that is out of range counts as the first', () => {
  for (const index of [-1, 7, 0.5, Number.NaN]) {
    assert.equal(chooseLeast(ALL, BY_SESSION, facts({ breakTie: () => index })), A);
  }
});

test('names are taken as they are', () => {
  const odd = nodeName('__proto__');
  assert.equal(chooseLeast([nodeViewOf(odd)], BY_SESSION, facts()), odd);
});

test('among nodes with equally many sessions the one with the fewest units under way is chosen', () => {
  const busy = facts({ load: () => 5, outstanding: counts([A, 2], [B, 1], [C, 3]) });
  assert.equal(chooseLeast(ALL, BY_SESSION, busy), B);
  const fewer = facts({ load: counts([A, 4], [B, 5], [C, 5]), outstanding: counts([A, 9]) });
  assert.equal(chooseLeast(ALL, BY_SESSION, fewer), A, 'sessions count first');
});

test('unit by unit, the node with the fewest units under way for its weight is chosen', () => {
  const outstanding = counts([A, 2], [B, 1], [C, 3]);
  assert.equal(chooseLeast(ALL, BY_UNIT, facts({ outstanding, load: counts([B, 100]) })), B);
  assert.equal(chooseLeast(nodes([A, 4], [B, 1], [C, 1]), BY_UNIT, facts({ outstanding })), A);
});

test('unit by unit, among equals the node where the session is wins, then the one with the fewest sessions', () => {
  assert.equal(chooseLeast(ALL, BY_UNIT, facts({ current: C, load: counts([C, 50]) })), C);
  assert.equal(chooseLeast(ALL, BY_UNIT, facts({ load: counts([A, 2], [B, 1], [C, 2]) })), B);
  assert.equal(chooseLeast(ALL, BY_UNIT, facts({ current: C, outstanding: counts([C, 1]) })), A, 'it is no equal');
});

test('the weight of a node that became healthy rises from a tenth to the whole', () => {
  const node = nodeViewOf(A, { weight: 4, healthySinceMs: 1000 });
  const at = (nowMs: number): number => Math.round(weightNow(node, SLOW, nowMs) * 1000) / 1000;
  assert.equal(at(1000), 4 * SLOW_START_PART);
  assert.equal(at(6000), 2.2);
  assert.equal(at(11_000), 4);
  assert.equal(at(99_000), 4);
  assert.equal(at(0), 4 * SLOW_START_PART, 'a time before that is as good as the beginning');
  assert.equal(weightNow(node, BY_SESSION, 1000), 4, 'without a slow start it has all of it at once');
});

test('a node that became healthy just now gets a tenth of what the others have', () => {
  const young = [nodeViewOf(A, { healthySinceMs: -60_000 }), nodeViewOf(B, { healthySinceMs: 0 })];
  assert.equal(chooseLeast(young, SLOW, facts({ load: counts([A, 8]) })), A);
  assert.equal(chooseLeast(young, SLOW, facts({ load: counts([A, 10]) })), B);
  assert.equal(chooseLeast(young, SLOW, facts({ load: counts([A, 10], [B, 1]) })), A);
  assert.equal(chooseLeast(young, SLOW, facts({ load: counts([A, 10], [B, 1]), nowMs: 10_000 })), B);
  assert.equal(chooseLeast([nodeViewOf(B, { healthySinceMs: 0 })], SLOW, facts({ load: counts([B, 1000]) })), B);
});
