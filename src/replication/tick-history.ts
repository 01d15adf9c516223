import type { Lsn } from '../dcs/claims.js';
import { Ring } from '../util/ring.js';

/** One sample of a WAL position of the primary: the clock of freshness. */
export interface Tick {
  /** Grows with every sample that is sent; never starts again, so that a fence stays an integer comparison. */
  readonly number: number;
  /** Monotonic time at which the sample was *sent*: the position is at least as new as this moment. */
  readonly sentAtMs: number;
  readonly lsn: Lsn;
}

/** So many of the newest ticks are all kept, however close they are to each other. */
export const DENSE_TICKS_MAX = 256;

/**
 * The ticks of one position, oldest first; numbers, times and positions never go back. When somebody is in a hurry ticks come ten times
 * as often as usual, so behind the newest ones only one every `spacingMs` is kept: the history must reach back as far as standbys may lag.
 */
export class TickHistory {
  readonly #dense: Ring<Tick>;
  /** What the dense ones had no room for; null when they are all that there is room for. */
  readonly #sparse: Ring<Tick> | null;
  readonly #spacingMs: number;

  /** `capacity` is a whole number of at least 1, a RangeError otherwise; with 0 for `spacingMs` every tick is kept. */
  constructor(capacity: number, spacingMs: number) {
    const dense = Math.min(capacity, DENSE_TICKS_MAX);
    this.#dense = new Ring(dense);
    this.#sparse = capacity > dense ? new Ring(capacity - dense) : null;
    this.#spacingMs = spacingMs;
  }

  get newest(): Tick | null {
    return this.#dense.newest ?? null;
  }

  get oldest(): Tick | null {
    return this.#sparse?.oldest ?? this.#dense.oldest ?? null;
  }

  push(tick: Tick): void {
    const { oldest } = this.#dense;
    if (this.#sparse !== null && oldest !== undefined && this.#dense.length === this.#dense.capacity) {
      const before = this.#sparse.newest;
      if (before === undefined || oldest.sentAtMs - before.sentAtMs >= this.#spacingMs) {
        this.#sparse.push(oldest);
      }
    }
    this.#dense.push(tick);
  }

  clear(): void {
    this.#dense.clear();
    this.#sparse?.clear();
  }

  /** The newest tick whose position is not above `lsn`; null when even the oldest is. Takes log2(capacity) steps. */
  reachedBy(lsn: Lsn): Tick | null {
    return this.#at(this.#firstWhere((tick) => tick.lsn > lsn) - 1);
  }

  /** The first tick that is kept with this number or a higher one; null when it is still to come. */
  firstFrom(number: number): Tick | null {
    return this.#at(this.#firstWhere((tick) => tick.number >= number));
  }

  get #length(): number {
    return (this.#sparse?.length ?? 0) + this.#dense.length;
  }

  #at(index: number): Tick | null {
    const before = this.#sparse?.length ?? 0;
    const tick = index < before ? this.#sparse?.at(index) : this.#dense.at(index - before);
    return tick ?? null;
  }

  /** Index of the first tick for which `isThere` holds, and with it for all behind it; the length when there is none. */
  #firstWhere(isThere: (tick: Tick) => boolean): number {
    let low = 0;
    let high = this.#length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const tick = this.#at(middle);
      if (tick !== null && !isThere(tick)) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }
}
