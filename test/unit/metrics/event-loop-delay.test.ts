import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { EventLoopDelay } from '../../../src/metrics/event-loop-delay.js';
import { FakeClock } from '../../support/fake-clock.js';
import { waitFor } from '../../support/processes.js';

const BLOCK_MS = 500;
/** Above what a busy machine does by itself, below the block. */
const SEEN_S = 0.4;
const WINDOW_MS = 30_000;
const TIMEOUT_MS = 10_000;

function start(t: TestContext, clock: FakeClock): EventLoopDelay {
  const delay = new EventLoopDelay(clock);
  t.after(() => delay.close());
  return delay;
}

function measured(delay: EventLoopDelay) {
  return waitFor(() => delay.delays, { timeoutMs: TIMEOUT_MS, what: 'a first measurement' });
}

function blockTheLoop(): void {
  const untilMs = performance.now() + BLOCK_MS;
  while (performance.now() < untilMs);
}

async function blockAndSee(delay: EventLoopDelay): Promise<void> {
  blockTheLoop();
  const isSeen = (): boolean => (delay.delays?.maxS ?? 0) > SEEN_S;
  await waitFor(isSeen, { timeoutMs: TIMEOUT_MS, what: 'the block to be seen' });
}

test('an idle loop is hardly late, though the histogram holds intervals', async (t) => {
  const delay = start(t, new FakeClock());
  // One interval is 20 ms and never much less.
  const isOnTime = (): boolean => (delay.delays?.p50S ?? 1) < 0.015;
  await waitFor(isOnTime, { timeoutMs: TIMEOUT_MS, what: 'the loop to be on time' });
});

test('a block of the loop is seen, by everybody who looks, for one to two windows', async (t) => {
  const clock = new FakeClock();
  const delay = start(t, clock);
  await measured(delay);
  await blockAndSee(delay);
  assert.ok((delay.delays?.maxS ?? 0) > SEEN_S, 'to look does not empty it');
  assert.ok((delay.delays?.p99S ?? 0) <= (delay.delays?.maxS ?? 0));
  clock.advance(WINDOW_MS);
  assert.ok((delay.delays?.maxS ?? 0) > SEEN_S, 'the younger histogram has it too');
  clock.advance(WINDOW_MS);
  const { maxS } = await measured(delay);
  assert.ok(maxS < SEEN_S, `forgotten, but ${maxS}`);
});

test('after its end nothing runs any more', () => {
  const clock = new FakeClock();
  const delay = new EventLoopDelay(clock);
  assert.equal(clock.pendingTimers, 1);
  delay.close();
  assert.equal(clock.pendingTimers, 0);
});
