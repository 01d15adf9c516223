import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { TurnClock } from '../../../src/util/turn-clock.js';

test('the clock is read once in a turn of the event loop, and again in the next', async () => {
  let readings = 0;
  const clock = new TurnClock({ nowMs: () => (readings += 1) });
  assert.deepEqual([clock.nowMs(), clock.nowMs(), clock.nowMs()], [1, 1, 1]);
  await Promise.resolve();
  assert.equal(clock.nowMs(), 1, 'promises belong to the turn');
  await turn();
  assert.deepEqual([clock.nowMs(), clock.nowMs()], [2, 2]);
  await turn();
  assert.equal(readings, 2, 'nobody asks, nobody reads');
});
