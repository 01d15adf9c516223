import { SwitchyardError } from '../../errors.js';
import type { Counters } from '../../metrics/counters.js';
import type { NodeName } from '../../util/brand.js';
import { Chain } from '../../util/chain.js';
import type { Clock } from '../../util/clock.js';
import { soon } from '../../util/soon.js';
import { NodeError } from '../node-error.js';
import { Bound } from './bound.js';
import { tooLate } from './bounds.js';
import { Use, Waiter } from './bucket.js';
import type { Bucket, Opening, PooledBackend } from './bucket.js';
import type { Buckets } from './buckets.js';
import { Contenders } from './contenders.js';
import { LineTimers } from './line-timers.js';
import type { Opener } from './opener.js';
import type { BackendCallback, BackendRequest, Fits, PoolLimits } from './pool-request.js';
import type { Room } from './room.js';

export interface WaitLinesParts {
  readonly clock: Clock;
  readonly counters: Counters;
  readonly limits: () => PoolLimits;
  readonly buckets: Buckets;
  readonly opener: Opener;
  readonly room: Room;
  readonly findIdle: (bucket: Bucket, request: BackendRequest, fits: Fits | null) => PooledBackend | null;
  /** Whoever was to get it has gone away. */
  readonly onUnwanted: (pooled: PooledBackend) => void;
  /** It broke while it was handed over. */
  readonly onUnfit: (pooled: PooledBackend) => void;
  /** There may be room for one more backend on the node. */
  readonly onRoom: (node: NodeName) => void;
}

/** Those who wait for backends: one line for each bucket, first come, first served. */
export class WaitLines {
  readonly #parts: WaitLinesParts;
  readonly #contenders: Contenders;
  readonly #timers: LineTimers;
  /** Those who are about to be called back. */
  readonly #ready = new Chain<Waiter>();
  /** Buckets that have got smaller. */
  #freed = new Set<Bucket>();
  /** Nodes where a backend was closed. */
  readonly #roomy = new Set<NodeName>();
  readonly #cancelled = (waiter: Waiter): void => this.#onCancel(waiter);
  readonly #flushed = (): void => this.#flush();
  #isFlushDue = false;
  #sequence = 0;

  constructor(parts: WaitLinesParts) {
    this.#parts = parts;
    this.#contenders = new Contenders(parts.clock, parts.room);
    this.#timers = new LineTimers(parts.clock, parts.limits, parts.opener.failures, (bucket) => {
      this.#expire(bucket);
      this.serve(bucket);
    });
  }

  get waiting(): number {
    let count = 0;
    for (const bucket of this.#parts.buckets.values()) count += bucket.queued;
    return count;
  }

  enter(bucket: Bucket, request: BackendRequest, fits: Fits | null, done: BackendCallback): Waiter {
    // What has become free belongs to those who were here before.
    if (this.#freed.size > 0) this.settle();
    const waiter = this.#waiter(bucket, request, fits, done);
    bucket.waiters.push(waiter);
    this.serve(bucket);
    waiter.hasWaited = waiter.pooled === null;
    return waiter;
  }

  refuse(bucket: Bucket, request: BackendRequest, done: BackendCallback, error: Error): Waiter {
    const waiter = this.#waiter(bucket, request, null, done);
    bucket.waiters.push(waiter);
    this.#reject(waiter, error);
    return waiter;
  }

  /** A backend of the bucket is idle now. */
  backendRests(bucket: Bucket): void {
    if (bucket.waiters.length > 0) this.serve(bucket);
    if (bucket.idle > 0 && this.#contenders.size > 0) this.settle();
  }

  /**
   * A backend, or one on its way, counts no more in the bucket. Who waits for that is served in a moment. `isRoom`: the node has room for
   * another one, and nobody has taken it yet.
   */
  freed(bucket: Bucket, isRoom = false): void {
    this.#freed.add(bucket);
    if (isRoom) {
      this.#roomy.add(bucket.node);
      for (const full of this.#parts.opener.failures.roomOn(bucket.node)) this.#freed.add(full);
    }
    this.#flushSoon();
  }

  /** The bounds have changed. */
  lookAgain(): void {
    for (const bucket of this.#parts.buckets.values()) this.#timers.stop(bucket);
    this.serveAll([...this.#parts.buckets.values()]);
  }

  /** Something has changed for these. */
  serveAll(buckets: readonly Bucket[]): void {
    for (const bucket of buckets) this.#freed.add(bucket);
    if (this.#freed.size > 0) this.settle();
  }

  /** Who has waited longest is the first to have what became free. */
  settle(): void {
    const candidates = this.#freed;
    this.#freed = new Set();
    for (const bucket of this.#contenders.values()) candidates.add(bucket);
    const inOrder = [...candidates];
    if (inOrder.length > 1) inOrder.sort((a, b) => firstOf(a) - firstOf(b));
    for (const bucket of inOrder) this.serve(bucket);
  }

  /** Gives what there is to those who wait in this bucket, in their order. */
  serve(bucket: Bucket): void {
    bucket.blockedBy = null;
    let waiter = bucket.waiters.first;
    while (waiter !== null && bucket.blockedBy === null) {
      const { next } = waiter;
      bucket.blockedBy = this.#serveOne(bucket, waiter);
      waiter = next;
    }
    this.#contenders.note(bucket);
    if (bucket.openings.length > 0) this.#trim(bucket);
    if (bucket.waiters.length > 0) this.#timers.arm(bucket);
  }

  /** Whether a backend that its session gives back is to be closed in favour of somebody of another bucket. */
  givesWay(pooled: PooledBackend): boolean {
    return this.#contenders.takeFrom(pooled);
  }

  /** The log-in for somebody who waits, or for nobody, has failed; it counts no longer. */
  openingFailed(opening: Opening, error: Error): void {
    const { waiter, bucket, request, abort } = opening;
    const { opener, room } = this.#parts;
    const isNoted = opener.failures.of(bucket, request) !== null;
    opening.waiter = null;
    if (waiter !== null) {
      waiter.opening = null;
      if (!isNoted || !canWait(bucket, request)) this.#reject(waiter, error);
    }
    if (error instanceof NodeError && error.sqlState === '53300') room.closeOne(bucket.tallies.node);
    if (isNoted) this.#revokeDoomed(bucket);
    const isUnreachable = error instanceof SwitchyardError && error.code === 'backend_connect_failed';
    if (isUnreachable && !abort.signal.aborted) this.#revokeAll(bucket.node, error);
    this.freed(bucket);
  }

  close(): void {
    for (const bucket of this.#parts.buckets.values()) {
      this.#timers.stop(bucket);
      for (const opening of [...bucket.openings]) this.#parts.opener.giveUp(opening);
    }
  }

  /** Null: he is served, or will be; else what stands in the way. */
  #serveOne(bucket: Bucket, waiter: Waiter): Bound | null {
    const { request } = waiter;
    const { limits, opener, room, clock, findIdle } = this.#parts;
    const idle = bucket.idle === 0 ? null : findIdle(bucket, request, waiter.fits);
    if (idle !== null) {
      this.#promise(waiter, idle);
      return null;
    }
    if (waiter.opening !== null || this.#adopt(bucket, waiter)) return null;
    const { size, reserveSize, reserveTimeoutMs, waitTimeoutMs } = limits();
    const waitedMs = clock.nowMs() - waiter.sinceMs;
    const failure = opener.failures.of(bucket, request);
    if (failure !== null && !canWait(bucket, request)) {
      this.#parts.counters.poolRefused.add(Bound.Failing);
      this.#reject(waiter, failure);
      return null;
    }
    const isReserve = reserveSize > 0 && waitedMs >= reserveTimeoutMs;
    const bound = failure === null ? room.make(bucket, isReserve ? size + reserveSize : size) : Bound.Failing;
    if (bound === null) {
      opener.open(bucket, request, waiter, bucket.count >= size);
      return null;
    }
    if (waitedMs < waitTimeoutMs) return bound;
    this.#rejectLate(waiter, bound);
    return null;
  }

  /** Takes over the opening of somebody who needs it no more. */
  #adopt(bucket: Bucket, waiter: Waiter): boolean {
    for (const opening of bucket.openings) {
      if (opening.waiter !== null || opening.abort.signal.aborted || !opening.suits(waiter.request)) continue;
      opening.waiter = waiter;
      waiter.opening = opening;
      return true;
    }
    return false;
  }

  /** Ends openings that nobody needs, unless what comes of them can be kept for the next. */
  #trim(bucket: Bucket): void {
    const { opener, limits } = this.#parts;
    for (const opening of [...bucket.openings]) {
      const { request, isStarted, waiter, isAhead } = opening;
      if (waiter !== null || isAhead) continue;
      const isKeepable = isStarted && !request.isReplication && (request.isShared || limits().reuse);
      if (isKeepable) continue;
      opener.giveUp(opening);
      if (!isStarted) this.freed(bucket);
    }
  }

  /** Those whose turn to log in has not come, and who would be refused as the one before them was. */
  #revokeDoomed(bucket: Bucket): void {
    const { opener } = this.#parts;
    for (const opening of [...bucket.openings]) {
      if (opening.isStarted || opener.failures.of(bucket, opening.request) === null) continue;
      if (opening.waiter !== null) opening.waiter.opening = null;
      opening.waiter = null;
      opener.giveUp(opening);
    }
  }

  /** Nobody gets to the node: there is no use in standing in line for it. */
  #revokeAll(node: NodeName, error: Error): void {
    const { opener } = this.#parts;
    for (const opening of opener.waitingAt(node)) {
      const { waiter } = opening;
      opener.giveUp(opening);
      this.freed(opening.bucket);
      if (waiter !== null) this.#reject(waiter, error);
    }
  }

  #promise(waiter: Waiter, pooled: PooledBackend): void {
    this.#leaveLine(waiter);
    this.#parts.buckets.take(pooled, Use.Promised);
    waiter.pooled = pooled;
    this.#callSoon(waiter);
  }

  #rejectLate(waiter: Waiter, bound: Bound): void {
    const { counters, limits, opener } = this.#parts;
    counters.poolRefused.add(bound);
    const cause = bound === Bound.Failing ? opener.failures.errorOf(waiter.bucket) : null;
    this.#reject(waiter, tooLate(waiter.request, bound, limits(), cause));
  }

  #reject(waiter: Waiter, error: Error): void {
    this.#leaveLine(waiter);
    waiter.error = error;
    this.#callSoon(waiter);
  }

  #callSoon(waiter: Waiter): void {
    waiter.state = 'ready';
    this.#ready.push(waiter);
    this.#flushSoon();
  }

  #leaveLine(waiter: Waiter): void {
    waiter.bucket.waiters.remove(waiter);
    if (waiter.opening !== null) waiter.opening.waiter = null;
    waiter.opening = null;
  }

  #onCancel(waiter: Waiter): void {
    const isInLine = waiter.state === 'waiting';
    waiter.state = 'gone';
    if (!isInLine) return;
    this.#leaveLine(waiter);
    this.freed(waiter.bucket);
  }

  /** Nobody is called back from inside a call to the pool. */
  #flushSoon(): void {
    if (this.#isFlushDue) return;
    this.#isFlushDue = true;
    soon(this.#flushed);
  }

  #flush(): void {
    this.#isFlushDue = false;
    // Who is added meanwhile is for the next time.
    for (let left = this.#ready.length; left > 0; left -= 1) this.#callFirst();
    if (this.#freed.size > 0) this.settle();
    if (this.#roomy.size === 0) return;
    const nodes = [...this.#roomy];
    this.#roomy.clear();
    for (const node of nodes) this.#parts.onRoom(node);
  }

  #callFirst(): void {
    const waiter = this.#ready.first;
    if (waiter === null) return;
    this.#ready.remove(waiter);
    this.#call(waiter);
  }

  #call(waiter: Waiter): void {
    const { pooled, bucket, error } = waiter;
    const { counters, clock, onUnwanted, onUnfit } = this.#parts;
    const isThere = pooled?.use === Use.Promised;
    if (waiter.state === 'gone') {
      if (isThere) {
        pooled.use = Use.InUse;
        onUnwanted(pooled);
      }
      return;
    }
    if (error === null && (!isThere || !pooled.isFit)) {
      if (isThere) onUnfit(pooled);
      this.#standInLineAgain(waiter);
      this.serve(bucket);
      return;
    }
    waiter.state = 'gone';
    if (waiter.hasWaited) counters.poolWait.observeMs(clock.nowMs() - waiter.sinceMs);
    if (error !== null || pooled === null) {
      waiter.done(error, null);
      return;
    }
    pooled.use = Use.InUse;
    if (pooled.isUsed) counters.backendsReused += 1;
    pooled.isUsed = true;
    waiter.done(null, pooled.backend);
  }

  /** What he was promised is gone: he goes back to his place. */
  #standInLineAgain(waiter: Waiter): void {
    const { waiters } = waiter.bucket;
    waiter.pooled = null;
    waiter.state = 'waiting';
    waiter.hasWaited = true;
    let next = waiters.first;
    while (next !== null && next.sequence < waiter.sequence) next = next.next;
    waiters.insertBefore(next, waiter);
  }

  #waiter(bucket: Bucket, request: BackendRequest, fits: Fits | null, done: BackendCallback): Waiter {
    this.#sequence += 1;
    const nowMs = this.#parts.clock.nowMs();
    return new Waiter(bucket, request, fits, done, nowMs, this.#sequence, this.#cancelled);
  }

  /** Whoever has waited too long is told so; but not if he is about to get a backend. */
  #expire(bucket: Bucket): void {
    const { clock, limits } = this.#parts;
    const { waitTimeoutMs } = limits();
    const nowMs = clock.nowMs();
    for (const waiter of bucket.waiters) {
      if (nowMs - waiter.sinceMs < waitTimeoutMs) return;
      const { opening } = waiter;
      if (opening?.isStarted === true) continue;
      this.#rejectLate(waiter, opening === null ? (bucket.blockedBy ?? Bound.Size) : Bound.Logins);
    }
  }
}

/** As long as sessions take turns on backends that are open, one of those will do. */
function canWait(bucket: Bucket, request: BackendRequest): boolean {
  return request.isShared && (bucket.kindOf(request.startupKey, true)?.open ?? 0) > 0;
}

/** When the first who waits there came; nobody is later than all. */
function firstOf({ waiters }: Bucket): number {
  return waiters.first?.sequence ?? Number.POSITIVE_INFINITY;
}
