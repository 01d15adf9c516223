import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ticks, tickCapacity } from '../../../src/replication/ticks.js';
import type { LagQuestion, TickSample, TickSource } from '../../../src/replication/ticks.js';
import { A, B } from '../../support/cluster-fakes.js';

const SOURCE: TickSource = { node: A, timeline: 1 };

function newTicks(capacity = 100, beliefMs = 60_000): Ticks {
  return new Ticks({ capacity, beliefMs });
}

/** Records a tick whose positions are the same. */
function record(ticks: Ticks, number: number, sentAtMs: number, lsn: bigint, over: Partial<TickSample> = {}): boolean {
  return ticks.record({ number, source: SOURCE, sentAtMs, lsn, mayBeCut: false, fenceLsn: lsn, ...over });
}

/** A tick every 250 ms from 1000 ms on, at the positions given. */
function filled(positions: readonly bigint[], capacity = 100): Ticks {
  const ticks = newTicks(capacity);
  positions.forEach((lsn, index) => record(ticks, ticks.send(), 1000 + index * 250, lsn));
  return ticks;
}

function ask(replayLsn: bigint | null, nowMs: number, over: Partial<LagQuestion> = {}): LagQuestion {
  return { replayLsn, timeline: 1, nowMs, caughtUpAtMs: null, ...over };
}

test('a standby is caught up to the newest tick whose position it has replayed', () => {
  const ticks = filled([100n, 200n, 200n, 300n]);
  assert.equal(ticks.caughtUpTick(99n), null);
  assert.equal(ticks.caughtUpTick(100n), 1);
  assert.equal(ticks.caughtUpTick(199n), 1);
  assert.equal(ticks.caughtUpTick(200n), 3, 'an idle primary gives several ticks at one position');
  assert.equal(ticks.caughtUpTick(1000n), 4);
});

test('a standby that has replayed the newest tick is not behind at all, however old the tick is', () => {
  const ticks = filled([100n, 200n]);
  assert.deepEqual(ticks.lag(ask(200n, 9000)), { bytes: 0, ms: 0, exact: true, tick: ticks.newest });
});

test('lag in time is the age of the newest tick that was replayed, lag in bytes a subtraction', () => {
  const ticks = filled([100n, 200n, 300n]);
  const lag = ticks.lag(ask(150n, 1600));
  assert.equal(lag.ms, 600);
  assert.equal(lag.bytes, 150);
  assert.equal(lag.tick?.number, 1);
  assert.equal(lag.exact, true);
});

test('lag does not grow on an idle primary', () => {
  const ticks = newTicks();
  for (let index = 0; index < 400; index += 1) {
    const nowMs = 1000 + index * 250;
    record(ticks, ticks.send(), nowMs, 500n);
    assert.equal(ticks.lag(ask(500n, nowMs + 3)).ms, 0);
  }
});

test('a standby behind all that is kept is at least as far behind as its oldest tick', () => {
  const ticks = filled([100n, 200n, 300n, 400n, 500n], 3);
  assert.equal(ticks.oldest?.number, 3);
  const lag = ticks.lag(ask(250n, 2500));
  assert.deepEqual(lag, { bytes: 250, ms: 2500 - 1500, exact: false, tick: null });
});

test('a standby behind all that is kept is as far behind as the time it was last caught up says', () => {
  const ticks = filled([100n, 200n, 300n, 400n, 500n], 3);
  const lag = ticks.lag(ask(250n, 2500, { caughtUpAtMs: 1250 }));
  assert.deepEqual(lag, { bytes: 250, ms: 1250, exact: true, tick: null });
});

test('without a tick, and without a replayed position, lag is unknown', () => {
  const unknown = { bytes: null, ms: null, exact: false, tick: null };
  assert.deepEqual(newTicks().lag(ask(100n, 1000)), unknown);
  assert.deepEqual(filled([100n]).lag(ask(null, 1000)), unknown);
});

test('the last position of a lost primary is believed for a while, and not longer', () => {
  const ticks = newTicks(10, 5000);
  record(ticks, ticks.send(), 1000, 100n);
  assert.equal(ticks.lag(ask(100n, 6000)).ms, 0);
  assert.equal(ticks.lag(ask(100n, 6001)).ms, null);
  assert.equal(ticks.lag(ask(50n, 6001)).bytes, null);
});

test('a new primary begins anew, and tick numbers go on', () => {
  const ticks = filled([100n, 900n]);
  record(ticks, ticks.send(), 2000, 300n, { source: { node: B, timeline: 2 } });
  assert.equal(ticks.oldest?.number, 3);
  assert.equal(ticks.caughtUpTick(299n), null);
  assert.equal(ticks.caughtUpTick(300n), 3);
  assert.deepEqual(ticks.source, { node: B, timeline: 2 });
});

test('a new timeline of the same node begins anew', () => {
  const ticks = filled([100n, 200n]);
  record(ticks, ticks.send(), 2000, 300n, { source: { node: A, timeline: 2 } });
  assert.equal(ticks.oldest?.lsn, 300n);
});

test('a position that goes back (WAL lost in a crash) begins anew', () => {
  const ticks = filled([100n, 900n]);
  record(ticks, ticks.send(), 2000, 800n);
  assert.equal(ticks.oldest?.lsn, 800n);
  assert.equal(ticks.caughtUpTick(850n), 3);
});

test('positions of another timeline are not compared: the standby is as old as its last agreement', () => {
  const ticks = filled([100n, 200n]);
  for (const timeline of [0, 2, null]) {
    const lag = ticks.lag(ask(10_000n, 3000, { timeline, caughtUpAtMs: 1250 }));
    assert.deepEqual(lag, { bytes: null, ms: 1750, exact: true, tick: null });
  }
});

test('the fence is the first tick whose sample is sent later, not one that is under way', () => {
  const ticks = newTicks();
  assert.equal(ticks.fence, 1);
  const underWay = ticks.send();
  const { fence } = ticks;
  assert.equal(fence, underWay + 1);
  record(ticks, underWay, 1000, 100n);
  assert.ok((ticks.caughtUpTick(100n) ?? 0) < fence, 'the sample under way may be older than the commit');
  record(ticks, ticks.send(), 1250, 100n);
  assert.ok((ticks.caughtUpTick(100n) ?? 0) >= fence);
});

test('a fence is passed by any later tick when its own sample failed', () => {
  const ticks = newTicks();
  const { fence } = ticks;
  ticks.send();
  record(ticks, ticks.send(), 1250, 100n);
  assert.ok((ticks.caughtUpTick(100n) ?? 0) >= fence);
});

test('an answer that is overtaken by a newer one, or was never asked for, is ignored', () => {
  const ticks = newTicks();
  const first = ticks.send();
  const second = ticks.send();
  record(ticks, second, 1250, 200n);
  assert.equal(record(ticks, first, 1000, 100n), false);
  assert.equal(record(ticks, 99, 1500, 300n), false);
  assert.equal(ticks.newest?.lsn, 200n);
});

test('what is kept covers four times the lag limit, within bounds', () => {
  assert.equal(tickCapacity(1_000_000, 250), 16_000);
  assert.equal(tickCapacity(10_000, 250), 1024);
  assert.equal(tickCapacity(86_400_000, 10), 65_536);
  assert.equal(tickCapacity(Number.POSITIVE_INFINITY, 0), 65_536);
});

test('a fence needs what was inserted, lag what was flushed', () => {
  const ticks = newTicks();
  record(ticks, ticks.send(), 1000, 100n, { fenceLsn: 100n });
  record(ticks, ticks.send(), 1250, 150n, { fenceLsn: 400n });
  assert.equal(ticks.lag(ask(150n, 1300)).ms, 0, 'no standby can have more than was flushed');
  assert.equal(ticks.caughtUpTick(150n), 1, 'an asynchronous commit may be behind that');
  assert.equal(ticks.caughtUpTick(399n), 1);
  assert.equal(ticks.caughtUpTick(400n), 2);
});

test('an inserted position that goes back begins anew, although the flushed one did not', () => {
  const ticks = newTicks();
  record(ticks, ticks.send(), 1000, 100n, { fenceLsn: 900n });
  record(ticks, ticks.send(), 1250, 100n, { fenceLsn: 200n });
  assert.equal(ticks.caughtUpTick(200n), 2);
  assert.equal(ticks.oldest?.number, 2);
});

test('a tick that may end in the middle of a record counts when more was flushed', () => {
  const ticks = newTicks();
  const cut = { mayBeCut: true, fenceLsn: 9000n };
  record(ticks, ticks.send(), 1000, 100n);
  record(ticks, ticks.send(), 1250, 200n, cut);
  assert.equal(ticks.newest?.number, 1);
  record(ticks, ticks.send(), 1500, 200n, cut);
  assert.equal(ticks.newest?.number, 1, 'an idle primary may stand there for seconds');
  assert.equal(ticks.lag(ask(190n, 60_000)).ms, 0);
  record(ticks, ticks.send(), 1750, 300n, cut);
  assert.deepEqual(ticks.newest, { number: 3, sentAtMs: 1500, lsn: 200n });
  record(ticks, ticks.send(), 2000, 310n, { fenceLsn: 9000n });
  assert.equal(ticks.newest?.number, 5);
  assert.deepEqual(ticks.lag(ask(300n, 2100)), {
    bytes: 10,
    ms: 350,
    exact: true,
    tick: { number: 4, sentAtMs: 1750, lsn: 300n },
  });
});

test('a primary that flushes whole pages and nothing else gives ticks all the same', () => {
  const ticks = newTicks();
  for (let index = 0; index < 400; index += 1) {
    const nowMs = 1000 + index * 250;
    record(ticks, ticks.send(), nowMs, BigInt(index) * 8192n, {
      mayBeCut: true,
      fenceLsn: BigInt(index) * 8192n + 5000n,
    });
  }
  assert.equal(ticks.newest?.sentAtMs, 1000 + 398 * 250);
  assert.equal(ticks.lag(ask(398n * 8192n, 1000 + 400 * 250)).ms, 0);
  assert.equal(ticks.lag(ask(390n * 8192n, 1000 + 400 * 250)).ms, 10 * 250);
});

test('a flushed position that goes back from one in the middle of a record begins anew', () => {
  const ticks = newTicks();
  record(ticks, ticks.send(), 1000, 8192n, { mayBeCut: true });
  record(ticks, ticks.send(), 1250, 8000n);
  assert.deepEqual(ticks.oldest, { number: 2, sentAtMs: 1250, lsn: 8000n });
});

test('the position of a fence is known as soon as its sample, or a later one, has been answered', () => {
  const ticks = newTicks();
  record(ticks, ticks.send(), 1000, 100n);
  const { fence } = ticks;
  assert.equal(ticks.lsnOf(fence), null);
  ticks.send();
  assert.equal(ticks.lsnOf(fence), null, 'it is under way');
  record(ticks, ticks.send(), 1250, 200n, { fenceLsn: 250n });
  assert.equal(ticks.lsnOf(fence), 250n);
  record(ticks, ticks.send(), 1500, 300n);
  assert.equal(ticks.lsnOf(fence), 250n);
  assert.equal(ticks.lsnOf(1), 100n);
  assert.equal(ticks.lsnOf(0), 100n);
});

test('hurried ticks do not shorten how far the history reaches back', () => {
  const ticks = new Ticks({ capacity: 1024, beliefMs: 60_000, spacingMs: 250 });
  for (let index = 0; index < 7000; index += 1) {
    record(ticks, ticks.send(), index * 25, BigInt(index));
  }
  const nowMs = 7000 * 25;
  assert.ok((ticks.oldest?.sentAtMs ?? nowMs) < nowMs - 150_000);
  const late = ticks.lag(ask(7000n - 4800n, nowMs));
  assert.ok(late.exact && (late.ms ?? 0) >= 120_000 && (late.ms ?? 0) <= 120_250, String(late.ms));
  assert.equal(ticks.caughtUpTick(6900n), 6901, 'the newest ones are all there');
});
