import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Fifo } from '../../../src/util/fifo.js';

test('gives what was put in, in the same order, however it is filled and emptied', () => {
  const fifo = new Fifo<number>();
  const expected: number[] = [];
  for (let i = 0; i < 5000; i += 1) {
    const wave = Math.sin(i / 300) + 0.1;
    if (wave > 0 || i % 3 === 0) {
      fifo.push(i);
      expected.push(i);
    }
    if (wave <= 0.3) assert.equal(fifo.take(), expected.shift());
    assert.equal(fifo.length, expected.length);
    assert.equal(fifo.first, expected[0]);
    assert.equal(fifo.last, expected.at(-1));
  }
  assert.deepEqual(fifo.toArray(), expected);
  fifo.clear();
  assert.deepEqual(
    [fifo.length, fifo.first, fifo.last, fifo.take(), fifo.toArray()],
    [0, undefined, undefined, undefined, []],
  );
});

test('taking from a long queue costs no more than from a short one', () => {
  const fifo = new Fifo<number>();
  for (let i = 0; i < 100_000; i += 1) fifo.push(i);
  const startedAtMs = performance.now();
  for (let i = 0; i < 200_000; i += 1) {
    fifo.take();
    fifo.push(i);
  }
  // Moving 100,000 items each time would take many seconds.
  assert.ok(performance.now() - startedAtMs < 1000);
});
