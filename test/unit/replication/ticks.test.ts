import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ticks, tickCapacity } from '../../../src/replication/ticks.js';
import type { LagQuestion, TickSource } from '../../../src/replication/ticks.js';
import { A, B } from '../../support/cluster-fakes.js';

const SOURCE: TickSource = { node: A, timeline: 1 };

function newTicks(capacity = 100, beliefMs = 60_000): Ticks {
  return new Ticks({ capacity, beliefMs });
}

/** A tick every 250 ms from 1000 ms on, at the positions given. */
function filled(positions: readonly bigint[], capacity = 100): Ticks {
  const ticks = newTicks(capacity);
  positions.forEach((lsn, index) => ticks.record(ticks.send(), SOURCE, 1000 + index * 250, lsn));
  return ticks;
}

function ask(replayLsn: bigint | null, nowMs: number, over: Partial<LagQuestion> = {}): LagQuestion {
  return { replayLsn, timeline: 1, nowMs, caughtUpAtMs: null, ...over };
}

test('a standby is caught up to the newest tick whose position it has replayed', () => {
  const ticks = filled([100n, 200n, 200n, 300n]);
  assert.equal(ticks.caughtUpTo(99n), null);
  assert.equal(ticks.caughtUpTo(100n)?.number, 1);
  assert.equal(ticks.caughtUpTo(199n)?.number, 1);
  assert.equal(ticks.caughtUpTo(200n)?.number, 3, 'an idle primary gives several ticks at one position');
  assert.equal(ticks.caughtUpTo(1000n)?.number, 4);
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
    ticks.record(ticks.send(), SOURCE, nowMs, 500n);
    assert.equal(ticks.lag(ask(500n, nowMs + 3)).ms, 0);
  }
});

test('a standby behind the whole ring is at least as far behind as its oldest tick', () => {
  const ticks = filled([100n, 200n, 300n, 400n, 500n], 3);
  assert.equal(ticks.oldest?.number, 3);
  const lag = ticks.lag(ask(250n, 2500));
  assert.deepEqual(lag, { bytes: 250, ms: 2500 - 1500, exact: false, tick: null });
});

test('a standby behind the whole ring is as far behind as the time it was last caught up says', () => {
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
  ticks.record(ticks.send(), SOURCE, 1000, 100n);
  assert.equal(ticks.lag(ask(100n, 6000)).ms, 0);
  assert.equal(ticks.lag(ask(100n, 6001)).ms, null);
  assert.equal(ticks.lag(ask(50n, 6001)).bytes, null);
});

test('a new primary begins a new ring, and tick numbers go on', () => {
  const ticks = filled([100n, 900n]);
  const tick = ticks.record(ticks.send(), { node: B, timeline: 2 }, 2000, 300n);
  assert.equal(tick?.number, 3);
  assert.equal(ticks.oldest, tick);
  assert.deepEqual(ticks.source, { node: B, timeline: 2 });
});

test('a new timeline of the same node begins a new ring', () => {
  const ticks = filled([100n, 200n]);
  ticks.record(ticks.send(), { node: A, timeline: 2 }, 2000, 300n);
  assert.equal(ticks.oldest?.lsn, 300n);
});

test('a position that goes back (WAL lost in a crash) begins a new ring', () => {
  const ticks = filled([100n, 900n]);
  ticks.record(ticks.send(), SOURCE, 2000, 800n);
  assert.equal(ticks.oldest?.lsn, 800n);
  assert.equal(ticks.caughtUpTo(850n)?.number, 3);
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
  ticks.record(underWay, SOURCE, 1000, 100n);
  assert.ok((ticks.caughtUpTo(100n)?.number ?? 0) < fence, 'the sample under way may be older than the commit');
  ticks.record(ticks.send(), SOURCE, 1250, 100n);
  assert.ok((ticks.caughtUpTo(100n)?.number ?? 0) >= fence);
});

test('a fence is passed by any later tick when its own sample failed', () => {
  const ticks = newTicks();
  const { fence } = ticks;
  ticks.send();
  ticks.record(ticks.send(), SOURCE, 1250, 100n);
  assert.ok((ticks.caughtUpTo(100n)?.number ?? 0) >= fence);
});

test('an answer that is overtaken by a newer one, or was never asked for, is ignored', () => {
  const ticks = newTicks();
  const first = ticks.send();
  const second = ticks.send();
  ticks.record(second, SOURCE, 1250, 200n);
  assert.equal(ticks.record(first, SOURCE, 1000, 100n), null);
  assert.equal(ticks.record(99, SOURCE, 1500, 300n), null);
  assert.equal(ticks.newest?.lsn, 200n);
});

test('the ring covers four times the lag limit, within bounds', () => {
  assert.equal(tickCapacity(1_000_000, 250), 16_000);
  assert.equal(tickCapacity(10_000, 250), 1024);
  assert.equal(tickCapacity(86_400_000, 10), 65_536);
  assert.equal(tickCapacity(Number.POSITIVE_INFINITY, 0), 65_536);
});
