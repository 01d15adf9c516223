import type { Clock } from '../../util/clock.js';
import { isSharedBound } from './bounds.js';
import type { Bucket, PooledBackend } from './bucket.js';
import type { Room } from './room.js';

/**
 * At a bound that is shared, a backend that sessions share changes hands only if it is so old: each change costs a log-in, and two crowds
 * must not take a backend from each other for each statement.
 */
const TURN_MS = 100;
/** Who has waited so long for a part of a shared bound gets it even if others have no more than their share. */
const STARVING_MS = 1_000;

/** Buckets whose first waiter stands before a bound that others share. */
export class Contenders {
  readonly #clock: Clock;
  readonly #room: Room;
  readonly #buckets = new Set<Bucket>();

  constructor(clock: Clock, room: Room) {
    this.#clock = clock;
    this.#room = room;
  }

  get size(): number {
    return this.#buckets.size;
  }

  values(): IterableIterator<Bucket> {
    return this.#buckets.values();
  }

  /** What stands in the way of the bucket's waiters may have changed. */
  note(bucket: Bucket): void {
    if (isSharedBound(bucket.blockedBy)) this.#buckets.add(bucket);
    else this.#buckets.delete(bucket);
  }

  /** Whether a backend that its session gives back is to be closed in favour of somebody of another bucket who has waited longer. */
  takeFrom({ kind, backend }: PooledBackend): boolean {
    const { bucket, isShared } = kind;
    const own = bucket.waiters.first;
    // Without anybody who waits for it, it becomes idle, and as such makes room.
    if (this.#buckets.size === 0 || own === null) return false;
    const nowMs = this.#clock.nowMs();
    for (const other of this.#buckets) {
      const first = other.waiters.first;
      if (other === bucket || first === null || first.sequence > own.sequence) continue;
      if (!this.#room.wouldHelp(bucket, other)) continue;
      if (!isShared) return true;
      if (nowMs - backend.openedAtMs < TURN_MS) continue;
      if (other.count === 0 || other.count + 1 < bucket.count || nowMs - first.sinceMs >= STARVING_MS) return true;
    }
    return false;
  }
}
