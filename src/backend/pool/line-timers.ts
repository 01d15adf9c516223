import type { Clock } from '../../util/clock.js';
import { Bound } from './bound.js';
import type { Bucket } from './bucket.js';
import type { LoginFailures } from './login-failures.js';
import type { PoolLimits } from './pool-request.js';

/** One timer for each line of waiters: for the end of the first one's time, for the reserve, and for the next try at a node that refuses. */
export class LineTimers {
  readonly #clock: Clock;
  readonly #limits: () => PoolLimits;
  readonly #failures: LoginFailures;
  readonly #onDue: (bucket: Bucket) => void;

  constructor(clock: Clock, limits: () => PoolLimits, failures: LoginFailures, onDue: (bucket: Bucket) => void) {
    this.#clock = clock;
    this.#limits = limits;
    this.#failures = failures;
    this.#onDue = onDue;
  }

  /** Sees to it that the line is looked at when something is due there. An earlier look does no harm. */
  arm(bucket: Bucket): void {
    // Whoever is the first now came after those for whom the timer was set, and his time limit ends after theirs.
    const isSet = bucket.timer !== null && this.#limits().reserveSize === 0 && bucket.blockedBy !== Bound.Failing;
    if (isSet) return;
    const nowMs = this.#clock.nowMs();
    const atMs = this.#nextLookMs(bucket, nowMs);
    if (atMs === null || (bucket.timer !== null && bucket.timerAtMs <= atMs)) return;
    this.stop(bucket);
    bucket.timerAtMs = atMs;
    bucket.timer = this.#clock.setTimer(atMs - nowMs, () => {
      bucket.timer = null;
      this.#onDue(bucket);
    });
  }

  stop(bucket: Bucket): void {
    if (bucket.timer !== null) this.#clock.clearTimer(bucket.timer);
    bucket.timer = null;
  }

  #nextLookMs(bucket: Bucket, nowMs: number): number | null {
    const { waitTimeoutMs, size, reserveSize, reserveTimeoutMs } = this.#limits();
    let atMs = Number.POSITIVE_INFINITY;
    for (const { sinceMs, opening } of bucket.waiters) {
      // Who is about to log in may be late.
      if (sinceMs + waitTimeoutMs <= nowMs && opening?.isStarted === true) continue;
      atMs = Math.max(nowMs, sinceMs + waitTimeoutMs);
      break;
    }
    // What is due already has become so since it was looked at: another look follows at once.
    if (bucket.blockedBy === Bound.Size && bucket.count < size + reserveSize) {
      atMs = Math.min(atMs, Math.max(nowMs, (bucket.waiters.first?.sinceMs ?? 0) + reserveTimeoutMs));
    }
    const tryAtMs = this.#failures.untilMs(bucket);
    if (bucket.blockedBy === Bound.Failing && tryAtMs !== null) atMs = Math.min(atMs, Math.max(nowMs, tryAtMs));
    return Number.isFinite(atMs) ? atMs : null;
  }
}
