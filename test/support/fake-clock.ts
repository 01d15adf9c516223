import type { Clock, ClockTimer } from '../../src/util/clock.js';

interface FakeTimer extends ClockTimer {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

/** Most timers run by one `advance`: more is a loop that never ends. */
const RUNS_MAX = 1_000_000;

/** A clock whose hands only tests turn. */
export class FakeClock implements Clock {
  #nowMs: number;
  #epochOffsetMs: number;
  #order: number;
  readonly #timers: Set<FakeTimer>;

  /** `startMs` is the monotonic time, `epochMs` the wall-clock time at that moment. */
  constructor(startMs = 1000, epochMs = Date.UTC(2026, 0, 1)) {
    this.#nowMs = startMs;
    this.#epochOffsetMs = epochMs - startMs;
    this.#order = 0;
    this.#timers = new Set();
  }

  nowMs(): number {
    return this.#nowMs;
  }

  epochMs(): number {
    return this.#nowMs + this.#epochOffsetMs;
  }

  setTimer(delayMs: number, run: () => void): ClockTimer {
    this.#order += 1;
    const timer: FakeTimer = { handle: null, atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order, run };
    this.#timers.add(timer);
    return timer;
  }

  clearTimer(timer: ClockTimer): void {
    this.#timers.delete(timer as FakeTimer);
  }

  /** Timers that wait to run. */
  get pendingTimers(): number {
    return this.#timers.size;
  }

  /** Turns the hands by `ms`. Timers that fall due run in their order, each at its own time, those set meanwhile included. */
  advance(ms: number): void {
    const untilMs = this.#nowMs + ms;
    for (let runs = 0; ; runs += 1) {
      const next = this.#nextDue(untilMs);
      if (next === null) {
        break;
      }
      if (runs >= RUNS_MAX) {
        throw new Error('timers set timers without end');
      }
      this.#timers.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.run();
    }
    this.#nowMs = untilMs;
  }

  /** Lets the wall clock jump; the monotonic clock does not notice. */
  jumpWallClock(ms: number): void {
    this.#epochOffsetMs += ms;
  }

  #nextDue(untilMs: number): FakeTimer | null {
    let next: FakeTimer | null = null;
    for (const timer of this.#timers) {
      const isDue = timer.atMs <= untilMs;
      if (
        isDue &&
        (next === null || timer.atMs < next.atMs || (timer.atMs === next.atMs && timer.order < next.order))
      ) {
        next = timer;
      }
    }
    return next;
  }
}
