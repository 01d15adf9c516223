import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { Backoff } from '../../../src/util/backoff.js';

const almostOne = 1 - Number.EPSILON;

test('doubles from the first delay up to the ceiling', () => {
  const backoff = new Backoff({ firstMs: 100, ceilingMs: 1000, random: () => almostOne });
  const delays = Array.from({ length: 6 }, () => Math.round(backoff.next()));
  assert.deepEqual(delays, [100, 200, 400, 800, 1000, 1000]);
});

test('begins again after a success', () => {
  const backoff = new Backoff({ firstMs: 100, ceilingMs: 1000, random: () => 0 });
  assert.deepEqual([backoff.next(), backoff.next(), backoff.next()], [50, 100, 200]);
  backoff.reset();
  assert.equal(backoff.next(), 50);
});

test('no delay is above the ceiling or below half of the first one, whatever the dice say', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5000 }),
      fc.integer({ min: 1, max: 5000 }),
      fc.array(fc.double({ min: 0, max: almostOne, noNaN: true }), { minLength: 1, maxLength: 40 }),
      (firstMs, ceilingMs, dice) => {
        let turn = 0;
        const backoff = new Backoff({ firstMs, ceilingMs, random: () => dice[turn++ % dice.length] ?? 0 });
        for (const _ of dice) {
          const delayMs = backoff.next();
          assert.ok(delayMs <= ceilingMs, `${delayMs} > ${ceilingMs}`);
          assert.ok(delayMs >= Math.min(firstMs, ceilingMs) / 2, `${delayMs} is too short`);
        }
      },
    ),
  );
});
