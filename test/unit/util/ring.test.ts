import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ring } from '../../../src/util/ring.js';

test('a ring keeps the newest items in their order', () => {
  const ring = new Ring<number>(3);
  for (const item of [1, 2, 3, 4, 5]) {
    ring.push(item);
  }
  assert.deepEqual([...ring], [3, 4, 5]);
  assert.equal(ring.length, 3);
  assert.equal(ring.oldest, 3);
  assert.equal(ring.newest, 5);
  assert.deepEqual([ring.at(0), ring.at(1), ring.at(2)], [3, 4, 5]);
});

test('a ring has nothing outside of what was pushed', () => {
  const ring = new Ring<string>(2);
  assert.equal(ring.oldest, undefined);
  assert.equal(ring.newest, undefined);
  ring.push('a');
  assert.equal(ring.at(-1), undefined);
  assert.equal(ring.at(1), undefined);
  assert.equal(ring.newest, 'a');
});

test('a ring that was cleared begins anew', () => {
  const ring = new Ring<number>(2);
  ring.push(1);
  ring.push(2);
  ring.push(3);
  ring.clear();
  assert.equal(ring.length, 0);
  assert.deepEqual([...ring], []);
  ring.push(4);
  assert.deepEqual([...ring], [4]);
});

test('a ring without room is refused', () => {
  assert.throws(() => new Ring(0), RangeError);
  assert.throws(() => new Ring(1.5), RangeError);
  assert.throws(() => new Ring(Number.NaN), RangeError);
});

test('a ring of one holds the last item', () => {
  const ring = new Ring<number>(1);
  ring.push(1);
  ring.push(2);
  assert.deepEqual([...ring], [2]);
});
