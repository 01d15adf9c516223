import type { Clock } from '../../util/clock.js';

/** So long after its last write a session that goes on reading may be made to wait for a standby. */
const QUIET_MS = 100;
/** Longest time between two waits, when they are in vain. */
const PAUSE_MAX_MS = 10_000;

/**
 * When a session that reads without a pause is brought back to the standbys. Each of its reads on the primary shows it something newer than
 * what a standby is known to have, so it would stay there for ever; a short wait for the next tick ends that.
 */
export class Homecoming {
  readonly #clock: Clock;
  readonly #waitMs: () => number;
  #lastWriteAtMs = Number.NEGATIVE_INFINITY;
  #nextAtMs = Number.NEGATIVE_INFINITY;
  #pauseMs = QUIET_MS;

  /** `waitMs`: longest wait of one read; 0: none waits. */
  constructor(clock: Clock, waitMs: () => number) {
    this.#clock = clock;
    this.#waitMs = waitMs;
  }

  get waitMs(): number {
    return this.#waitMs();
  }

  /** A read that no standby may have yet is worth a wait. */
  get isDue(): boolean {
    const nowMs = this.#clock.nowMs();
    return this.#waitMs() > 0 && nowMs >= this.#lastWriteAtMs + QUIET_MS && nowMs >= this.#nextAtMs;
  }

  wrote(): void {
    this.#lastWriteAtMs = this.#clock.nowMs();
  }

  /** A wait is over; those in vain become rare. */
  waited(hasArrived: boolean): void {
    this.#pauseMs = hasArrived ? QUIET_MS : Math.min(PAUSE_MAX_MS, this.#pauseMs * 2);
    this.#nextAtMs = this.#clock.nowMs() + this.#pauseMs;
  }
}
