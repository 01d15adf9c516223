import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HoldQueue, REFUSAL_PAUSE_MAX_MS, REFUSAL_PAUSE_MS } from '../../../src/failover/hold-queue.js';
import type { HoldLimits } from '../../../src/failover/hold-queue.js';
import type { HoldRefusal, HoldTicket } from '../../../src/session/hold.js';
import { FakeClock } from '../../support/fake-clock.js';

const LIMITS: HoldLimits = { holdTimeoutMs: 60_000, maxHeld: 1000, releaseWave: 8 };
const FULL: HoldRefusal = { message: 'sorry, too many clients already', isFull: true, isOwn: false };
const ASLEEP: HoldRefusal = { message: 'the database system is starting up', isFull: false, isOwn: false };
const OWN: HoldRefusal = { message: 'too many connections for role "batch"', isFull: true, isOwn: true };

interface Sitter {
  readonly name: string;
  readonly sinceMs: number;
  refusals: number;
  ticket: HoldTicket | null;
}

/** A queue before a node with room for so many; whoever is let go asks for it, and has his answer when the test says so. */
class Bench {
  readonly clock = new FakeClock();
  readonly queue: HoldQueue;
  readonly tries: { readonly name: string; readonly atMs: number }[] = [];
  readonly expired: string[] = [];
  /** Let go, and not answered yet. */
  asking: Sitter[] = [];
  room: number | null = null;

  constructor(random = () => 1) {
    this.queue = new HoldQueue(LIMITS, this.clock, { room: () => this.room, random });
  }

  enter(name: string): void {
    this.#enter({ name, sinceMs: this.clock.nowMs(), refusals: 0, ticket: null }, null);
    this.clock.advance(1);
  }

  enterMany(count: number): void {
    for (let n = 0; n < count; n += 1) this.enter(`s${n}`);
  }

  /** The node lets in all who ask. */
  serveAll(): void {
    for (const sitter of this.asking.splice(0)) sitter.ticket?.leave(true);
  }

  /** The node turns all of them away. */
  refuseAll(refusal: HoldRefusal): void {
    for (const sitter of this.asking.splice(0)) {
      sitter.ticket?.refused(refusal);
      sitter.refusals += 1;
      this.#enter(sitter, refusal);
    }
  }

  take(): string[] {
    return this.tries.splice(0).map(({ name }) => name);
  }

  #enter(sitter: Sitter, refusal: HoldRefusal | null): void {
    sitter.ticket = this.queue.enter({
      sinceMs: sitter.sinceMs,
      ...(refusal === null ? {} : { refusal, refusals: sitter.refusals }),
      onRelease: () => {
        this.tries.push({ name: sitter.name, atMs: this.clock.nowMs() });
        this.asking.push(sitter);
      },
      onExpire: () => void this.expired.push(sitter.name),
    });
  }
}

test('no more are let go than the node has room for, but always one', () => {
  const bench = new Bench();
  bench.enterMany(10);
  bench.room = 3;
  const left = (): number => Math.max(0, 3 - bench.asking.length);
  Object.defineProperty(bench, 'room', { get: left });
  bench.queue.open();
  assert.deepEqual(bench.take(), ['s0', 's1', 's2']);
  const none = new Bench();
  none.enterMany(3);
  none.room = 0;
  none.queue.open();
  assert.deepEqual(none.take(), ['s0'], 'the count may be old');
  none.serveAll();
  assert.deepEqual(none.take(), ['s1']);
});

test('one that is turned away goes back to its place; after a pause it tries alone', () => {
  const bench = new Bench();
  bench.enterMany(20);
  bench.queue.open();
  assert.equal(bench.take().length, LIMITS.releaseWave);
  bench.refuseAll(FULL);
  assert.deepEqual(bench.take(), [], 'nobody takes the place of those at once');
  assert.equal(bench.queue.trouble, FULL);
  bench.clock.advance(REFUSAL_PAUSE_MS - 1);
  assert.deepEqual(bench.take(), []);
  bench.clock.advance(1);
  assert.deepEqual(bench.take(), ['s0'], 'the oldest, and nobody else');
});

test('the pause doubles up to its bound, however many were turned away together', () => {
  const bench = new Bench();
  bench.enterMany(20);
  bench.queue.open();
  const startedAtMs = bench.clock.nowMs();
  for (let round = 0; round < 7; round += 1) {
    bench.refuseAll(ASLEEP);
    while (bench.asking.length === 0) bench.clock.advance(1);
  }
  const times = bench.tries.slice(LIMITS.releaseWave).map(({ atMs }) => atMs - startedAtMs);
  const pauses = times.map((atMs, n) => atMs - (times[n - 1] ?? 0));
  assert.deepEqual(pauses, [100, 200, 400, 800, 1000, 1000, 1000]);
  assert.equal(REFUSAL_PAUSE_MAX_MS, 1000);
});

test('pauses are drawn at random, so that two proxies do not come in step', () => {
  const firstTryMs = (random: () => number): number => {
    const bench = new Bench(random);
    bench.enter('a');
    bench.queue.open();
    const startedAtMs = bench.clock.nowMs();
    bench.refuseAll(FULL);
    while (bench.asking.length === 0) bench.clock.advance(1);
    return bench.clock.nowMs() - startedAtMs;
  };
  assert.equal(
    firstTryMs(() => 0),
    REFUSAL_PAUSE_MS / 2,
  );
  assert.equal(
    firstTryMs(() => 0.5),
    (REFUSAL_PAUSE_MS * 3) / 4,
  );
});

test('with each that is served the wave doubles again, and the trouble is over with the last', () => {
  const bench = new Bench();
  bench.enterMany(40);
  bench.queue.open();
  bench.refuseAll(FULL);
  bench.clock.advance(REFUSAL_PAUSE_MS);
  bench.take();
  const waves: number[] = [];
  for (let round = 0; round < 4; round += 1) {
    bench.serveAll();
    waves.push(bench.asking.length);
  }
  assert.deepEqual(waves, [2, 8, 8, 8]);
  assert.equal(bench.queue.trouble, null);
});

test('whoever comes while others are turned away goes behind them', () => {
  const bench = new Bench();
  bench.enterMany(2);
  assert.equal(bench.queue.isBusy, false, 'nobody is let go yet');
  bench.queue.open();
  assert.equal(bench.queue.isBusy, false);
  bench.refuseAll(FULL);
  assert.equal(bench.queue.isBusy, true);
  bench.enter('late');
  bench.clock.advance(REFUSAL_PAUSE_MS);
  while (bench.asking.length > 0) bench.serveAll();
  assert.deepEqual(bench.take().slice(-3), ['s0', 's1', 'late']);
  assert.equal(bench.queue.isBusy, false);
});

test('room that is known to have come ends the pause', () => {
  const bench = new Bench();
  bench.enterMany(2);
  bench.queue.hurry();
  assert.deepEqual(bench.take(), [], 'not while nobody is to be let go');
  bench.queue.open();
  bench.refuseAll(FULL);
  bench.take();
  bench.clock.advance(1);
  bench.queue.hurry();
  assert.deepEqual(bench.take(), ['s0']);
  bench.refuseAll(FULL);
  bench.clock.advance(REFUSAL_PAUSE_MS);
  assert.deepEqual(bench.take(), ['s0'], 'and the next pause is the first one again');
});

test('what a node refuses to one role or database keeps nobody else back', () => {
  const bench = new Bench();
  bench.enter('batch');
  bench.queue.open();
  bench.refuseAll(OWN);
  assert.equal(bench.queue.isBusy, false);
  assert.equal(bench.queue.trouble, null);
  for (const name of ['a', 'b', 'c']) bench.enter(name);
  bench.queue.open();
  assert.deepEqual(bench.take(), ['batch', 'a', 'b', 'c']);
  bench.serveAll();
  bench.clock.advance(REFUSAL_PAUSE_MS);
  assert.deepEqual(bench.take(), ['batch'], 'it tries again by itself');
  bench.refuseAll(OWN);
  bench.clock.advance(2 * REFUSAL_PAUSE_MS - 1);
  assert.deepEqual(bench.take(), []);
  bench.clock.advance(1);
  assert.deepEqual(bench.take(), ['batch'], 'and less often each time');
});

test('another primary is tried at once', () => {
  const bench = new Bench();
  bench.enterMany(3);
  bench.queue.open();
  bench.refuseAll(ASLEEP);
  bench.take();
  bench.queue.shut();
  bench.clock.advance(REFUSAL_PAUSE_MS);
  assert.deepEqual(bench.take(), [], 'not while shut');
  bench.queue.open();
  assert.deepEqual(bench.take(), ['s0', 's1', 's2']);
});

test('the time limit runs on while they are turned away', () => {
  const bench = new Bench();
  bench.enterMany(3);
  bench.queue.open();
  for (let rounds = 0; bench.expired.length < 3 && rounds < 200; rounds += 1) {
    bench.refuseAll(FULL);
    bench.clock.advance(REFUSAL_PAUSE_MAX_MS);
  }
  assert.deepEqual(bench.expired, ['s0', 's1', 's2']);
  assert.ok(bench.tries.length < LIMITS.holdTimeoutMs / REFUSAL_PAUSE_MS, `${bench.tries.length} tries`);
  bench.queue.close();
  assert.equal(bench.clock.pendingTimers, 0);
});
