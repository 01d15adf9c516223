import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { IntervalHistogram } from 'node:perf_hooks';
import type { Clock, ClockTimer } from '../util/clock.js';

/** How often the loop is measured. What the histogram holds is the time between two measurements, so this much is no delay. */
const RESOLUTION_MS = 20;
/** What is shown covers the last one to two of these. */
const WINDOW_MS = 30_000;
const NS_PER_S = 1e9;

/** How late the event loop was, in seconds. */
export interface LoopDelays {
  readonly p50S: number;
  readonly p99S: number;
  readonly maxS: number;
}

/**
 * How late the event loop runs. Two histograms run side by side and are emptied in turn; the one that runs for longer is shown. So what
 * is seen does not depend on who else looks, and nothing falls between two windows.
 */
export class EventLoopDelay {
  readonly #clock: Clock;
  #older: IntervalHistogram;
  #younger: IntervalHistogram;
  #timer: ClockTimer | null;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#older = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
    this.#younger = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
    this.#older.enable();
    this.#younger.enable();
    this.#timer = null;
    this.#turn();
  }

  /** Null before the first measurement. */
  get delays(): LoopDelays | null {
    const histogram = this.#older;
    if (histogram.count === 0) return null;
    return {
      p50S: delayOf(histogram.percentile(50)),
      p99S: delayOf(histogram.percentile(99)),
      maxS: delayOf(histogram.max),
    };
  }

  close(): void {
    if (this.#timer !== null) this.#clock.clearTimer(this.#timer);
    this.#timer = null;
    this.#older.disable();
    this.#younger.disable();
  }

  #turn(): void {
    this.#timer = this.#clock.setTimer(WINDOW_MS, () => {
      const emptied = this.#older;
      emptied.reset();
      this.#older = this.#younger;
      this.#younger = emptied;
      this.#turn();
    });
  }
}

function delayOf(intervalNs: number): number {
  return Math.max(0, intervalNs / NS_PER_S - RESOLUTION_MS / 1000);
}
