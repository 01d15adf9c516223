import type { Clock, ClockTimer } from '../../util/clock.js';
import type { Ahead } from './ahead.js';
import { Use } from './bucket.js';
import type { Bucket, Kind, PooledBackend } from './bucket.js';
import type { Buckets } from './buckets.js';
import type { LoginFailures } from './login-failures.js';
import type { PoolLimits } from './pool-request.js';

const SWEEP_INTERVAL_MS = 1_000;
/** Backends opened together are not closed together: each lives shorter than `max_lifetime` by up to this part of it. */
const LIFETIME_SPREAD = 0.2;
/** In the same way each may be idle longer than `idle_timeout`. */
const IDLE_SPREAD = 0.1;
/** Of the backends of a bucket no more than this part comes to the end of its time in one sweep. */
const RETIRED_PART = 1 / 8;
/** What is in use at busy times is what was in use in this time at most. */
const USUAL_MS = 30_000;
/** A bucket without backends that nobody asks for is forgotten; not while a promotion may last. */
const REMEMBER_MS = 120_000;

export interface UpkeepParts {
  readonly clock: Clock;
  readonly limits: () => PoolLimits;
  readonly buckets: Buckets;
  readonly failures: LoginFailures;
  readonly ahead: Ahead;
  /** All that have logged in. */
  readonly backends: ReadonlyMap<unknown, PooledBackend>;
  readonly close: (pooled: PooledBackend, reason: string) => void;
}

/** Looks at the clock for the pool, so that giving and taking backends need not: closes what is old or idle, and keeps up what is to be open. */
export class Upkeep {
  readonly #parts: UpkeepParts;
  #timer: ClockTimer | null = null;
  #sweptAtMs = 0;
  #isClosed = false;

  constructor(parts: UpkeepParts) {
    this.#parts = parts;
  }

  /** What becomes idle now is idle since then, a little too late rather than too early. */
  get idleSinceMs(): number {
    return this.#sweptAtMs + SWEEP_INTERVAL_MS;
  }

  /** There is something to look after. */
  start(): void {
    if (this.#timer !== null || this.#isClosed) return;
    this.#sweptAtMs = this.#parts.clock.nowMs();
    this.#arm();
  }

  close(): void {
    this.#isClosed = true;
    if (this.#timer !== null) this.#parts.clock.clearTimer(this.#timer);
    this.#timer = null;
  }

  isTooOld({ backend, spread }: PooledBackend): boolean {
    const { clock, limits } = this.#parts;
    const { maxLifetimeMs } = limits();
    return maxLifetimeMs > 0 && clock.nowMs() - backend.openedAtMs >= maxLifetimeMs * (1 - spread * LIFETIME_SPREAD);
  }

  #arm(): void {
    this.#timer = this.#parts.clock.setTimer(SWEEP_INTERVAL_MS, () => {
      this.#timer = null;
      this.#sweep();
    });
  }

  #sweep(): void {
    const { clock, buckets, failures, backends, ahead } = this.#parts;
    const nowMs = clock.nowMs();
    this.#sweptAtMs = nowMs;
    failures.prune();
    this.#retireOld();
    for (const bucket of buckets.values()) this.#lookAt(bucket, nowMs);
    ahead.pumpAll();
    if (backends.size > 0 || !buckets.values().next().done) this.#arm();
  }

  #lookAt(bucket: Bucket, nowMs: number): void {
    const { limits, ahead, buckets, failures } = this.#parts;
    const { minSize, size } = limits();
    if (bucket.wasAsked) bucket.askedAtMs = nowMs;
    bucket.wasAsked = false;
    const least = minSize > 0 && ahead.canOpen(bucket) ? Math.min(minSize, size) : 0;
    for (const kind of bucket.kinds()) {
      this.#closeIdle(kind, least, nowMs);
      noteUse(kind, nowMs);
      const isForgotten = kind.open === 0 && nowMs - kind.usualAtMs > REMEMBER_MS;
      if (isForgotten && kind !== bucket.newestKind)
        (kind.isShared ? bucket.sharedKinds : bucket.ownKinds).delete(kind.startupKey);
    }
    if (bucket.count < least && bucket.newestKind !== null) ahead.keep(bucket, bucket.newestKind, least);
    const isUnused = bucket.count === 0 && bucket.waiters.length === 0 && !failures.has(bucket);
    if (!isUnused || (bucket.hasOpened && nowMs - bucket.askedAtMs <= REMEMBER_MS)) return;
    if (bucket.timer !== null) this.#parts.clock.clearTimer(bucket.timer);
    bucket.timer = null;
    buckets.forget(bucket);
  }

  #closeIdle(kind: Kind, least: number, nowMs: number): void {
    const { limits, close } = this.#parts;
    const { idleTimeoutMs } = limits();
    for (const pooled of kind.idle) {
      const idleMs = nowMs - pooled.idleSinceMs;
      if (idleMs < idleTimeoutMs || kind.bucket.open <= least) return;
      if (idleMs >= idleTimeoutMs * (1 + pooled.spread * IDLE_SPREAD)) close(pooled, 'idle_timeout');
    }
  }

  /** Those that are idle are closed, and followed by another where they are needed; the others are closed when they are given back. */
  #retireOld(): void {
    const { backends, close, limits, ahead } = this.#parts;
    const retired = new Map<Bucket, number>();
    for (const pooled of backends.values()) {
      if (pooled.isRetired || !this.isTooOld(pooled)) continue;
      const { kind } = pooled;
      const count = retired.get(kind.bucket) ?? 0;
      if (count >= Math.max(1, Math.ceil(kind.bucket.open * RETIRED_PART))) continue;
      retired.set(kind.bucket, count + 1);
      pooled.isRetired = true;
      if (pooled.use !== Use.Idle) continue;
      close(pooled, 'max_lifetime');
      const wanted = Math.min(kind.usual, limits().size);
      if (kind.isShared && kind.open < wanted) ahead.replace(kind, wanted);
    }
  }
}

function noteUse(kind: Kind, nowMs: number): void {
  const peak = Math.max(kind.peak, kind.inUse);
  kind.peak = kind.inUse;
  if (peak < kind.usual && nowMs - kind.usualAtMs <= USUAL_MS) return;
  if (peak > 0 || kind.usual > 0) kind.usualAtMs = nowMs;
  kind.usual = peak;
}
