import type { Freshness } from '../../cluster/freshness.js';
import type { Clock, ClockTimer } from '../../util/clock.js';

/** Longest wait for the position that a session shows as its fence. */
export const TOKEN_WAIT_MS = 5_000;

/** `hasArrived`: what was waited for is there; else the time is over. */
export type ProgressDone = (hasArrived: boolean) => void;

/** Waits for something that only the next samples of the nodes can bring, and has them taken soon. */
export class ProgressWait {
  readonly #freshness: Freshness;
  readonly #clock: Clock;
  readonly #onWaited: (durationMs: number) => void;
  #timer: ClockTimer | null = null;
  #unsubscribe: (() => void) | null = null;

  /** `onWaited` hears how long each wait was, also those in vain. */
  constructor(freshness: Freshness, clock: Clock, onWaited: (durationMs: number) => void) {
    this.#freshness = freshness;
    this.#clock = clock;
    this.#onWaited = onWaited;
  }

  /** Calls `done` once: behind a sample after which `isThere` holds, or when `limitMs` are over; not at all when it is cancelled. */
  begin(isThere: () => boolean, limitMs: number, done: ProgressDone): void {
    this.cancel();
    const sinceMs = this.#clock.nowMs();
    const end = (hasArrived: boolean): void => {
      this.cancel();
      this.#onWaited(this.#clock.nowMs() - sinceMs);
      done(hasArrived);
    };
    this.#unsubscribe = this.#freshness.onProgress(() => {
      if (isThere()) end(true);
      else this.#freshness.hurry();
    });
    this.#timer = this.#clock.setTimer(limitMs, () => end(false));
    this.#freshness.hurry();
  }

  cancel(): void {
    this.#unsubscribe?.();
    this.#unsubscribe = null;
    if (this.#timer !== null) this.#clock.clearTimer(this.#timer);
    this.#timer = null;
  }
}
