import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { silentLogger } from '../../../src/log.js';
import { Counters } from '../../../src/metrics/counters.js';
import type { SessionContext } from '../../../src/session/context.js';
import type { Hold, HoldEntry, HoldRefusal, HoldTicket } from '../../../src/session/hold.js';
import { Holding } from '../../../src/session/holding.js';
import type { HoldOrder } from '../../../src/session/holding.js';
import type { SessionIdentity } from '../../../src/session/identity.js';
import { FakeClock } from '../../support/fake-clock.js';

/** A queue that notes what is said to it. */
class FakeQueue implements Hold {
  readonly isBusy = false;
  trouble: HoldRefusal | null = null;
  isFull = false;
  readonly entries: HoldEntry[] = [];
  readonly said: string[] = [];

  enter(entry: HoldEntry): HoldTicket | null {
    if (this.isFull) return null;
    this.entries.push(entry);
    const number = this.entries.length;
    return {
      leave: (isServed = false) => void this.said.push(`${number} ${isServed ? 'served' : 'leaves'}`),
      refused: () => void this.said.push(`${number} refused`),
    };
  }
}

let clock: FakeClock;
let counters: Counters;
let primaryHold: FakeQueue;
let standbyHold: FakeQueue;
let holding: Holding;
let ends: string[];

beforeEach(() => {
  clock = new FakeClock();
  counters = new Counters();
  primaryHold = new FakeQueue();
  standbyHold = new FakeQueue();
  ends = [];
  const context = { clock, counters, logger: silentLogger, primaryHold, standbyHold } as unknown as SessionContext;
  holding = new Holding({ user: 'app' } as SessionIdentity, context);
});

const full: HoldRefusal = { message: 'it is full', isFull: true, isOwn: false };

function order(over: Partial<HoldOrder> = {}): HoldOrder {
  return {
    isForPrimary: true,
    reason: 'promotion',
    message: 'there is none',
    refusal: null,
    onRelease: () => void ends.push('released'),
    onExpire: (trouble) => void ends.push(`expired ${trouble?.message ?? ''}`.trim()),
    ...over,
  };
}

test('a unit waits in the queue of what it is for', () => {
  holding.enter(order());
  assert.deepEqual([primaryHold.entries.length, standbyHold.entries.length, holding.isQueued], [1, 0, true]);
  holding.enter(order({ isForPrimary: false }));
  assert.deepEqual([primaryHold.entries.length, standbyHold.entries.length], [1, 1]);
  assert.deepEqual(primaryHold.said, ['1 leaves']);
});

test('the time counts from the first wait on, over all tries, and is observed at the end', () => {
  holding.enter(order());
  clock.advance(100);
  holding.enter(order({ refusal: full }));
  clock.advance(100);
  holding.enter(order({ isForPrimary: false }));
  assert.deepEqual(
    [...primaryHold.entries, ...standbyHold.entries].map(({ sinceMs }) => sinceMs),
    [1000, 1000, 1000],
  );
  holding.admitted();
  assert.deepEqual(standbyHold.said, ['1 served']);
  assert.equal(counters.holdDuration.sumS, 0.2);
  assert.deepEqual([holding.sinceMs, holding.isQueued], [null, false]);
  assert.equal(counters.holds.get('promotion'), 1, 'it was held once');
});

test('a unit that was turned away says so, and how often', () => {
  holding.enter(order());
  holding.refused(full);
  holding.enter(order({ refusal: full }));
  assert.deepEqual(primaryHold.said, ['1 refused', '1 leaves']);
  assert.deepEqual([primaryHold.entries[1]?.refusal, primaryHold.entries[1]?.refusals], [full, 1]);
  assert.equal(primaryHold.entries[0]?.refusal, undefined);
  holding.leave();
  assert.equal(holding.refusals, 0);
});

test('a unit whose time is over hears what nodes have said last, to it or to others', () => {
  holding.enter(order());
  primaryHold.entries[0]?.onExpire();
  primaryHold.trouble = { ...full, message: 'others were turned away' };
  primaryHold.entries[0]?.onExpire();
  holding.refused(full);
  primaryHold.entries[0]?.onExpire();
  primaryHold.entries[0]?.onRelease();
  assert.deepEqual(ends, ['expired', 'expired others were turned away', 'expired it is full', 'released']);
  assert.equal(counters.holdTimeouts.get('promotion'), 3);
});

test('where the queue is full the unit is not held', () => {
  primaryHold.isFull = true;
  assert.equal(holding.enter(order()), false);
  assert.equal(holding.isQueued, false);
  assert.equal(counters.holds.get('promotion'), 0);
});

test('a unit that was never held leaves nothing to observe', () => {
  holding.admitted();
  assert.equal(counters.holdDuration.count, 0);
});
