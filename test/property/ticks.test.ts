import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { formatLsn, lsnBytesBehind, parseLsn } from '../../src/replication/lsn.js';
import { Ticks } from '../../src/replication/ticks.js';
import { DENSE_TICKS_MAX, TickHistory } from '../../src/replication/tick-history.js';
import type { Tick } from '../../src/replication/tick-history.js';
import { Ring } from '../../src/util/ring.js';
import { A } from '../support/cluster-fakes.js';

const SOURCE = { node: A, timeline: 1 };
const lsnArbitrary = fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn });
/** How much is written between two ticks, and how long that takes. */
const stepsArbitrary = fc.array(
  fc.record({ written: fc.bigInt({ min: 0n, max: 50n }), tookMs: fc.integer({ min: 1, max: 5000 }) }),
  { minLength: 1, maxLength: 60 },
);

interface Story {
  readonly ticks: Ticks;
  /** All ticks, also those that the ring has forgotten. */
  readonly all: readonly Tick[];
  readonly nowMs: number;
}

function tell(steps: readonly { readonly written: bigint; readonly tookMs: number }[], capacity: number): Story {
  const ticks = new Ticks({ capacity, beliefMs: Number.POSITIVE_INFINITY });
  const all: Tick[] = [];
  let lsn = 100n;
  let nowMs = 1000;
  for (const { written, tookMs } of steps) {
    lsn += written;
    nowMs += tookMs;
    const number = ticks.send();
    assert.ok(ticks.record({ number, source: SOURCE, sentAtMs: nowMs, lsn, mayBeCut: false, fenceLsn: lsn }));
    all.push({ number, sentAtMs: nowMs, lsn });
  }
  return { ticks, all, nowMs };
}

test('writing and reading a position are inverse', () => {
  fc.assert(fc.property(lsnArbitrary, (lsn) => parseLsn(formatLsn(lsn)) === lsn));
});

test('bytes behind are the difference, never below 0', () => {
  fc.assert(
    fc.property(lsnArbitrary, lsnArbitrary, (a, b) => {
      assert.equal(lsnBytesBehind(a, b), a > b ? Number(a - b) : 0);
    }),
  );
});

test('the ring gives the same as a list that drops its head', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 9 }), fc.array(fc.integer(), { maxLength: 40 }), (capacity, items) => {
      const ring = new Ring<number>(capacity);
      items.forEach((item, index) => {
        ring.push(item);
        assert.deepEqual([...ring], items.slice(Math.max(0, index + 1 - capacity), index + 1));
        assert.equal(ring.newest, item);
      });
    }),
  );
});

test('the search finds the tick that a look at every tick finds', () => {
  fc.assert(
    fc.property(
      stepsArbitrary,
      fc.integer({ min: 1, max: 70 }),
      fc.bigInt({ min: 0n, max: 3500n }),
      (steps, capacity, lsn) => {
        const { ticks, all, nowMs } = tell(steps, capacity);
        const expected =
          all
            .slice(-capacity)
            .filter((tick) => tick.lsn <= lsn)
            .at(-1) ?? null;
        assert.equal(ticks.caughtUpTick(lsn), expected?.number ?? null);
        assert.deepEqual(ticks.lag({ replayLsn: lsn, timeline: 1, nowMs, caughtUpAtMs: null }).tick, expected);
      },
    ),
  );
});

test('lag is never negative, and more replay never means more lag', () => {
  const positions = fc.bigInt({ min: 0n, max: 3500n });
  fc.assert(
    fc.property(stepsArbitrary, positions, positions, fc.integer({ min: 0, max: 9000 }), (steps, a, b, laterMs) => {
      const { ticks, nowMs } = tell(steps, 100);
      const [less, more] = a < b ? [a, b] : [b, a];
      const ask = (replayLsn: bigint) => ticks.lag({ replayLsn, timeline: 1, nowMs: nowMs + laterMs, caughtUpAtMs: 0 });
      const behind = ask(less);
      const ahead = ask(more);
      assert.ok((ahead.ms ?? -1) >= 0 && (ahead.bytes ?? -1) >= 0);
      assert.ok((ahead.ms ?? 0) <= (behind.ms ?? 0));
      assert.ok((ahead.bytes ?? 0) <= (behind.bytes ?? 0));
      assert.ok((ahead.tick?.number ?? 0) >= (behind.tick?.number ?? 0));
    }),
  );
});

test('lag in time is never below the truth: the age of the oldest write that is not replayed', () => {
  fc.assert(
    fc.property(stepsArbitrary, fc.bigInt({ min: 100n, max: 3500n }), fc.nat(9000), (steps, replayLsn, laterMs) => {
      const { ticks, all, nowMs } = tell(steps, 100);
      const askedAtMs = nowMs + laterMs;
      const lag = ticks.lag({ replayLsn, timeline: 1, nowMs: askedAtMs, caughtUpAtMs: null });
      // A write that is first seen in a tick happened after the tick before it was sent.
      const missing = all.find((tick) => tick.lsn > replayLsn);
      assert.ok(lag.ms !== null);
      assert.ok(missing === undefined ? lag.ms === 0 : lag.ms >= askedAtMs - missing.sentAtMs);
    }),
  );
});

test('a fence is passed only by replaying a tick that was sent after it', () => {
  fc.assert(
    fc.property(stepsArbitrary, fc.nat(59), fc.bigInt({ min: 0n, max: 3500n }), (steps, at, replayLsn) => {
      const { ticks, all } = tell(steps, 100);
      const fence = all[Math.min(at, all.length - 1)];
      assert.ok(fence !== undefined);
      const caughtUp = ticks.caughtUpTick(replayLsn) ?? 0;
      assert.equal(caughtUp >= fence.number, replayLsn >= fence.lsn);
    }),
  );
});

test('behind its newest ticks the history keeps what a list keeps that drops what is too close', () => {
  const stepsArbitrary = fc.array(fc.record({ written: fc.nat(9), tookMs: fc.nat(400) }), { maxLength: 700 });
  fc.assert(
    fc.property(
      stepsArbitrary,
      fc.integer({ min: 1, max: 400 }),
      fc.integer({ min: 0, max: 500 }),
      (steps, capacity, spacingMs) => {
        const history = new TickHistory(capacity, spacingMs);
        const dense: Tick[] = [];
        let sparse: Tick[] = [];
        let sentAtMs = 0;
        let lsn = 0n;
        for (const [index, { written, tookMs }] of steps.entries()) {
          sentAtMs += tookMs;
          lsn += BigInt(written);
          const tick = { number: 2 * index + 1, sentAtMs, lsn };
          history.push(tick);
          dense.push(tick);
          const over = dense.length > Math.min(capacity, DENSE_TICKS_MAX) ? dense.shift() : undefined;
          if (
            over !== undefined &&
            over.sentAtMs - (sparse.at(-1)?.sentAtMs ?? Number.NEGATIVE_INFINITY) >= spacingMs
          ) {
            sparse.push(over);
          }
          sparse = sparse.slice(Math.max(0, sparse.length - Math.max(0, capacity - DENSE_TICKS_MAX)));
        }
        const kept = [...sparse, ...dense];
        assert.equal(history.newest, kept.at(-1) ?? null);
        assert.equal(history.oldest, kept[0] ?? null);
        for (const at of [0n, lsn / 3n, lsn - 1n, lsn]) {
          assert.equal(history.reachedBy(at), kept.findLast((tick) => tick.lsn <= at) ?? null);
        }
        for (const number of [0, steps.length, 2 * steps.length - 1, 2 * steps.length]) {
          assert.equal(history.firstFrom(number), kept.find((tick) => tick.number >= number) ?? null);
        }
      },
    ),
    { numRuns: 200 },
  );
});
