import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseLeast } from '../../../src/routing/balance.js';
import { nodeName } from '../../../src/util/brand.js';
import type { NodeName } from '../../../src/util/brand.js';
import { A, B, C } from '../../support/cluster-fakes.js';

const first = (): number => 0;
const even = (): number => 1;

function loads(...entries: [NodeName, number][]): (node: NodeName) => number {
  const map = new Map(entries);
  return (node) => map.get(node) ?? 0;
}

test('the node with the fewest sessions is chosen', () => {
  assert.equal(chooseLeast([A, B, C], loads([A, 3], [B, 1], [C, 2]), even, first), B);
});

test('nobody is chosen from nothing', () => {
  assert.equal(chooseLeast([], loads(), even, first), null);
});

test('sessions spread by weight', () => {
  const weights = new Map([
    [A, 1],
    [B, 3],
    [C, 0.5],
  ]);
  const counts = new Map<NodeName, number>();
  for (let index = 0; index < 90; index += 1) {
    const node = chooseLeast(
      [A, B, C],
      (name) => counts.get(name) ?? 0,
      (name) => weights.get(name) ?? 0,
      first,
    );
    assert.ok(node !== null);
    counts.set(node, (counts.get(node) ?? 0) + 1);
  }
  assert.deepEqual([counts.get(A), counts.get(B), counts.get(C)], [20, 60, 10]);
});

test('the first session goes to the heaviest node', () => {
  assert.equal(
    chooseLeast([A, B], loads(), (name) => (name === B ? 2 : 1), first),
    B,
  );
});

test('weights of 0 and less, and what is no number, get nothing', () => {
  for (const weight of [0, -1, Number.NaN]) {
    const weightOf = (name: NodeName): number => (name === A ? weight : 1);
    assert.equal(chooseLeast([A, B], loads([B, 1000]), weightOf, first), B);
    assert.equal(chooseLeast([A], loads(), weightOf, first), null);
  }
});

test('among equals the tie breaker decides, and is asked for nothing else', () => {
  assert.equal(
    chooseLeast([A, B, C], loads([B, 1]), even, (count) => count - 1),
    C,
  );
  const refuse = (): number => {
    throw new Error('asked');
  };
  assert.equal(chooseLeast([A, B], loads([A, 1]), even, refuse), B);
});

test('a tie breaker that is out of range counts as the first', () => {
  for (const index of [-1, 7, 0.5, Number.NaN]) {
    assert.equal(
      chooseLeast([A, B], loads(), even, () => index),
      A,
    );
  }
});

test('names are taken as they are', () => {
  const odd = nodeName('__proto__');
  assert.equal(chooseLeast([odd], loads(), even, first), odd);
});
