import type { Bound } from './bound.js';
import { boundReached, COUNT_BOUNDS, isReached, tallyUnder } from './bounds.js';
import type { Bucket, PooledBackend, Tally } from './bucket.js';
import type { Buckets } from './buckets.js';
import type { PoolLimits } from './pool-request.js';

/** Sees to it that no bound is exceeded, at the cost of idle backends that nobody waits for. */
export class Room {
  readonly #buckets: Buckets;
  readonly #limits: () => PoolLimits;
  readonly #close: (pooled: PooledBackend) => void;

  constructor(buckets: Buckets, limits: () => PoolLimits, close: (pooled: PooledBackend) => void) {
    this.#buckets = buckets;
    this.#limits = limits;
    this.#close = close;
  }

  /** Makes room for one more backend; `size`: most of this bucket. Gives the bound that stands in the way; null: there is room now. */
  make(bucket: Bucket, size: number): Bound | null {
    // Nothing is closed before it is certain that this will do.
    for (const bound of COUNT_BOUNDS) {
      if (isReached(bound, bucket, this.#limits(), size) && tallyUnder(bound, bucket).idle === 0) return bound;
    }
    for (;;) {
      const narrowest = boundReached(bucket, this.#limits(), size);
      if (narrowest === null) return null;
      if (!this.closeOne(tallyUnder(narrowest, bucket))) return narrowest;
    }
  }

  /** Closes one of the idle backends that count here; false: there is none. */
  closeOne(tally: Tally): boolean {
    const victim = tally.idle === 0 ? null : this.#victimIn(tally);
    if (victim !== null) this.#close(victim);
    return victim !== null;
  }

  /** Whether all bounds that stand in the way of `other` would be further away with one backend less in `bucket`. */
  wouldHelp(bucket: Bucket, other: Bucket): boolean {
    const { size } = this.#limits();
    for (const bound of COUNT_BOUNDS) {
      if (!isReached(bound, other, this.#limits(), size)) continue;
      if (tallyUnder(bound, bucket) !== tallyUnder(bound, other)) return false;
    }
    return true;
  }

  /** The one that is idle for the longest time; one that is to be kept open only if there is no other. */
  #victimIn(tally: Tally): PooledBackend | null {
    const { minSize } = this.#limits();
    let best: PooledBackend | null = null;
    let isBestSpare = false;
    for (const bucket of this.#buckets.values()) {
      if (bucket.idle === 0 || !countsIn(tally, bucket)) continue;
      const isSpare = bucket.count > minSize;
      if (isBestSpare && !isSpare) continue;
      for (const kind of bucket.kinds()) {
        const oldest = kind.idle.first;
        if (oldest === null) continue;
        const isOlder = best === null || oldest.idleSinceMs < best.idleSinceMs;
        if (!isOlder && isSpare === isBestSpare) continue;
        best = oldest;
        isBestSpare = isSpare;
      }
    }
    return best;
  }
}

function countsIn(tally: Tally, bucket: Bucket): boolean {
  const { own, node, database, user, total } = bucket.tallies;
  return tally === own || tally === node || tally === database || tally === user || tally === total;
}
