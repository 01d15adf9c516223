import type { BackendCredentials } from '../auth/credentials.js';
import { messageOf, SwitchyardError } from '../errors.js';
import type { Logger } from '../log.js';
import type { Counters } from '../metrics/counters.js';
import type { NodeName } from '../util/brand.js';
import type { Clock, ClockTimer } from '../util/clock.js';
import type { Backend } from './backend.js';
import { AbandonedBackends } from './abandoned.js';
import { SinkMode } from './backend.js';
import { Buckets } from './buckets.js';
import type { Bucket } from './buckets.js';
import { connectBackend } from './connect.js';
import type { ConnectLimits } from './connect.js';
import { IdleSink } from './idle-sink.js';
import { NodeError } from './node-error.js';
import { ownQuery } from './own-query.js';
import { provePrimary } from './primary-proof.js';
import type { PrimaryProof } from './primary-proof.js';
import { WaitQueue } from './wait-queue.js';
import type { Waiter } from './wait-queue.js';

/** Bounds of the pool. Times in milliseconds, 0 for a count means no bound. */
export interface PoolLimits {
  /** Backends per node, user and database, in whatever state. */
  readonly size: number;
  readonly maxBackendsPerNode: number;
  readonly waitTimeoutMs: number;
  readonly idleTimeoutMs: number;
  /** Idle backends kept per node, user, database and startup parameters. */
  readonly maxIdle: number;
  readonly maxLifetimeMs: number;
  readonly reuse: boolean;
}

/** What a session asks the pool for. */
export interface BackendRequest {
  readonly node: NodeName;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
  /** Startup parameters but for user and database. */
  readonly parameters: ReadonlyMap<string, string>;
  /** The same parameters as one string: backends are shared among sessions that have it in common. */
  readonly startupKey: string;
  readonly isReplication: boolean;
  readonly credentials: BackendCredentials;
  /** Null: any role will do. */
  readonly proof: PrimaryProof | null;
}

/** A request that is under way. */
export interface PoolTicket {
  /** It waits because the pool has no room, and nothing is being done about it yet. */
  readonly isQueued: boolean;
  /** The session wants no backend any more; its callback is not called. */
  cancel(): void;
}

export type BackendCallback = (error: Error | null, backend: Backend | null) => void;

/** How long the clean-up of a returned backend may take. */
const RESET_TIMEOUT_MS = 5_000;
const SWEEP_INTERVAL_MS = 1_000;
/** SQLSTATE of a node without a free connection slot. */
const TOO_MANY_CONNECTIONS = '53300';
const RESET_SQL = 'DISCARD ALL';
/** DISCARD ALL empties the temporary schema of a backend and leaves the schema: the next session would be told from a fresh one. */
const TEMPORARY_SCHEMA_SQL = 'SELECT pg_catalog.pg_my_temp_schema()';

export class Pool {
  limits: PoolLimits;
  /** Hears that a backend on a node became idle, or is being closed: there is room for one more. */
  onRoom: ((node: NodeName) => void) | null = null;
  readonly #connectLimits: ConnectLimits;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #counters: Counters;
  readonly #buckets = new Buckets();
  readonly #abandoned: AbandonedBackends;
  readonly #startupKeys = new WeakMap<Backend, string>();
  readonly #waiting: WaitQueue<BackendRequest, BackendCallback>;
  #sweep: ClockTimer | null = null;
  #closed = false;

  constructor(limits: PoolLimits, connectLimits: ConnectLimits, clock: Clock, logger: Logger, counters: Counters) {
    this.limits = limits;
    this.#connectLimits = connectLimits;
    this.#clock = clock;
    this.#logger = logger;
    this.#counters = counters;
    this.#waiting = new WaitQueue(clock);
    this.#abandoned = new AbandonedBackends(clock, logger, connectLimits.connectTimeoutMs);
  }

  /** Figures for metrics: backends by node. */
  get counts(): ReadonlyMap<NodeName, { readonly total: number; readonly idle: number }> {
    const counts = new Map<NodeName, { total: number; idle: number }>();
    for (const bucket of this.#buckets.values()) {
      const entry = counts.get(bucket.node) ?? { total: 0, idle: 0 };
      entry.total += bucket.count;
      entry.idle += bucket.idle.length;
      counts.set(bucket.node, entry);
    }
    return counts;
  }

  /** Backends on a node in whatever state, and how many of them are still being dialled. */
  onNode(node: NodeName): { readonly total: number; readonly dialling: number } {
    return this.#buckets.onNode(node);
  }

  /** What there is of each node, user and database, to be looked at. */
  get buckets(): Iterable<Bucket> {
    return this.#buckets.values();
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Asks for a backend. `done` is called once, never from inside this call, unless the ticket is cancelled. */
  acquire(request: BackendRequest, done: BackendCallback): PoolTicket {
    const waiter = this.#waiting.make(
      request,
      done,
      this.limits.waitTimeoutMs,
      () =>
        new SwitchyardError(
          'too_many_backends',
          `no backend of ${request.node} became free for user "${request.user}" within ${this.limits.waitTimeoutMs} ms`,
          { hint: `pool.size is ${this.limits.size}, pool.max_backends_per_node is ${this.limits.maxBackendsPerNode}` },
        ),
    );
    const isQueued = !this.#serve(waiter);
    return { isQueued, cancel: () => waiter.cancel() };
  }

  /** An idle backend that can be had at once, to be given back by `putBack` or `release`; null: ask with `acquire`. */
  take(request: BackendRequest): Backend | null {
    // Nobody goes before those who wait.
    if (this.#waiting.length > 0) return null;
    const backend = this.#takeIdle(this.#buckets.of(request), request);
    if (backend !== null) this.#counters.backendsReused += 1;
    return backend;
  }

  /** Takes a backend back that needs no cleaning, because whoever gets it next brings it into a state of his own. */
  putBack(backend: Backend): void {
    const bucket = this.#buckets.find(backend.identity);
    const startupKey = this.#startupKeys.get(backend);
    const isKept =
      !this.#closed &&
      !backend.closed &&
      backend.isAtBoundary &&
      backend.cancelsInFlight === 0 &&
      !this.#isTooOld(backend);
    if (bucket === null || startupKey === undefined || !isKept) this.release(backend, 'not_reusable', false);
    else this.#rest(bucket, backend, startupKey);
  }

  /**
   * Takes a backend back. One that is at a boundary is cleaned and kept for the next; every other one is closed, and so is one of which
   * `isCleanable` says that cleaning would not do. What one is still doing is cancelled. `reason` is why it is given back, for the metrics.
   */
  release(backend: Backend, reason: string, isCleanable = true): void {
    const bucket = this.#buckets.find(backend.identity);
    const startupKey = this.#startupKeys.get(backend);
    if (bucket === null || startupKey === undefined) {
      backend.destroy();
      return;
    }
    const isKept =
      isCleanable &&
      this.limits.reuse &&
      !this.#closed &&
      !backend.closed &&
      backend.isAtBoundary &&
      backend.cancelsInFlight === 0 &&
      !this.#isTooOld(backend) &&
      this.#hasPlace(bucket, startupKey);
    if (!isKept) {
      if (backend.closed || backend.tracker.isEmpty) this.#discard(bucket, backend, reason);
      else this.#abandon(bucket, backend, reason);
      return;
    }
    void this.#clean(bucket, backend, startupKey);
  }

  /** Closes the idle backends of a node, because it changed its role or is gone. */
  closeIdle(node: NodeName, reason: string): void {
    for (const bucket of this.#buckets.values()) {
      if (bucket.node !== node) continue;
      for (const entry of bucket.idle.splice(0)) this.#discard(bucket, entry.backend, reason);
    }
  }

  /** Closes the idle backends, and the abandoned ones when their statements are cancelled: after a second at most. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#sweep !== null) this.#clock.clearTimer(this.#sweep);
    for (const bucket of this.#buckets.values()) {
      for (const entry of bucket.idle.splice(0)) this.#discard(bucket, entry.backend, 'shutdown');
    }
    await this.#abandoned.close();
  }

  async #clean(bucket: Bucket, backend: Backend, startupKey: string): Promise<void> {
    try {
      await ownQuery(backend, RESET_SQL, RESET_TIMEOUT_MS);
      const [row] = await ownQuery(backend, TEMPORARY_SCHEMA_SQL, RESET_TIMEOUT_MS);
      if (row?.[0] === '0') this.#putIdle(bucket, backend, startupKey);
      else this.#discard(bucket, backend, 'not_clean');
    } catch (error) {
      this.#logger.debug({ node: bucket.node, error: messageOf(error) }, 'backend could not be reset');
      this.#discard(bucket, backend, 'reset_failed');
    }
  }

  /** False: there is no room, and the waiter is in the queue. */
  #serve(waiter: Waiter<BackendRequest, BackendCallback>): boolean {
    const request = waiter.request;
    const bucket = this.#buckets.of(request);
    const idle = this.#takeIdle(bucket, request);
    if (idle !== null) {
      this.#counters.backendsReused += 1;
      // Not from inside `acquire`: the session is still on its way into the waiting state.
      queueMicrotask(() => this.#hand(bucket, waiter, idle));
      return true;
    }
    if (!this.#hasRoom(bucket)) {
      this.#waiting.push(waiter);
      return false;
    }
    this.#buckets.count(bucket, 1);
    this.#buckets.countDialling(bucket, 1);
    void this.#open(bucket, waiter);
    return true;
  }

  async #open(bucket: Bucket, waiter: Waiter<BackendRequest, BackendCallback>): Promise<void> {
    const request = waiter.request;
    const startedAtMs = this.#clock.nowMs();
    let backend: Backend | null = null;
    try {
      backend = await connectBackend(request, this.#connectLimits, this.#clock, waiter.signal);
      if (request.proof !== null) {
        await provePrimary(backend, request.proof, request.isReplication, this.#connectLimits.connectTimeoutMs);
      }
      this.#buckets.countDialling(bucket, -1);
      this.#startupKeys.set(backend, request.startupKey);
      this.#counters.backendsOpened += 1;
      this.#counters.backendConnectDuration.observeMs(this.#clock.nowMs() - startedAtMs);
    } catch (error) {
      backend?.destroy();
      this.#buckets.countDialling(bucket, -1);
      this.#buckets.count(bucket, -1);
      if (error instanceof NodeError && error.sqlState === TOO_MANY_CONNECTIONS) this.#closeOneIdle(bucket.node);
      if (!waiter.isCancelled) {
        const code =
          error instanceof NodeError ? error.sqlState : error instanceof SwitchyardError ? error.code : 'internal';
        this.#counters.backendConnectFailures.add(code);
      }
      waiter.settle((done) => done(error instanceof Error ? error : new Error(String(error)), null));
      this.#serveNext();
      return;
    }
    this.#hand(bucket, waiter, backend);
  }

  #hand(bucket: Bucket, waiter: Waiter<BackendRequest, BackendCallback>, backend: Backend): void {
    if (waiter.isCancelled || backend.closed) {
      if (backend.closed) {
        this.#buckets.count(bucket, -1);
        waiter.settle((done) => done(new SwitchyardError('backend_lost', 'connection to the node was lost'), null));
      } else this.#putIdle(bucket, backend, waiter.request.startupKey);
      this.#serveNext();
      return;
    }
    waiter.settle((done) => done(null, backend));
  }

  /** An idle backend may be given on when it has the same startup parameters, and for a primary request its own proof. */
  #takeIdle(bucket: Bucket, request: BackendRequest): Backend | null {
    for (let i = bucket.idle.length - 1; i >= 0; i -= 1) {
      const entry = bucket.idle[i];
      if (entry === undefined || entry.startupKey !== request.startupKey) continue;
      if (request.proof !== null && !entry.backend.isProvenPrimary) continue;
      bucket.idle.splice(i, 1);
      if (entry.backend.closed || !entry.backend.isAtBoundary || this.#isTooOld(entry.backend)) {
        this.#discard(bucket, entry.backend, 'stale');
        continue;
      }
      return entry.backend;
    }
    return null;
  }

  /** Whether one more backend may be opened; idle ones that nobody asked for make room. */
  #hasRoom(bucket: Bucket): boolean {
    if (this.limits.size > 0 && bucket.count >= this.limits.size) {
      const oldest = bucket.idle.shift();
      if (oldest === undefined) return false;
      this.#drop(bucket, oldest.backend, 'room');
    }
    const nodeMax = this.limits.maxBackendsPerNode;
    return nodeMax === 0 || this.#buckets.onNode(bucket.node).total < nodeMax || this.#closeOneIdle(bucket.node);
  }

  /** Makes room on a node for another user or database; false when nobody is idle there. */
  #closeOneIdle(node: NodeName): boolean {
    for (const bucket of this.#buckets.values()) {
      const oldest = bucket.node === node ? bucket.idle.shift() : undefined;
      if (oldest === undefined) continue;
      this.#drop(bucket, oldest.backend, 'room');
      return true;
    }
    return false;
  }

  #putIdle(bucket: Bucket, backend: Backend, startupKey: string): void {
    if (this.#closed || backend.closed) {
      this.#discard(bucket, backend, 'closed');
      return;
    }
    // Others may have taken the place while this one was reset; whoever waits may still have it.
    if (this.#waiting.length === 0 && !this.#hasPlace(bucket, startupKey)) {
      this.#discard(bucket, backend, 'max_idle');
      return;
    }
    this.#rest(bucket, backend, startupKey);
  }

  /** Keeps an idle backend, or gives it to whoever waits. */
  #rest(bucket: Bucket, backend: Backend, startupKey: string): void {
    backend.attach(
      new IdleSink(backend, () => {
        const at = bucket.idle.findIndex((entry) => entry.backend === backend);
        if (at < 0) return;
        bucket.idle.splice(at, 1);
        this.#discard(bucket, backend, 'ended_by_node');
      }),
      SinkMode.Own,
    );
    bucket.idle.push({ backend, startupKey, sinceMs: this.#clock.nowMs() });
    this.#sweep ??= this.#clock.setTimer(SWEEP_INTERVAL_MS, () => this.#sweepIdle());
    this.#serveNext();
    this.onRoom?.(bucket.node);
  }

  #discard(bucket: Bucket, backend: Backend, reason: string): void {
    this.#drop(bucket, backend, reason);
    this.#serveNext();
    this.onRoom?.(bucket.node);
  }

  /** Closes a backend that is in the middle of something. It counts until the node is done with it. */
  #abandon(bucket: Bucket, backend: Backend, reason: string): void {
    this.#counters.backendsClosed.add(reason);
    this.#abandoned.take(backend, () => {
      this.#buckets.count(bucket, -1);
      this.#serveNext();
      this.onRoom?.(bucket.node);
    });
  }

  #drop(bucket: Bucket, backend: Backend, reason: string): void {
    this.#counters.backendsClosed.add(reason);
    this.#buckets.count(bucket, -1);
    backend.attach(new IdleSink(backend, () => {}), SinkMode.Own);
    backend.terminate();
  }

  /** Lets the waiters have what became free, in their order; those that still find no room stay. */
  #serveNext(): void {
    this.#waiting.offer((waiter) => {
      const bucket = this.#buckets.of(waiter.request);
      const canServe =
        bucket.idle.some((entry) => entry.startupKey === waiter.request.startupKey) || this.#hasRoom(bucket);
      if (canServe) this.#serve(waiter);
      return canServe;
    });
  }

  /** Whether one more idle backend of its kind may be kept. */
  #hasPlace(bucket: Bucket, startupKey: string): boolean {
    let count = 0;
    for (const entry of bucket.idle) if (entry.startupKey === startupKey) count += 1;
    return count < this.limits.maxIdle;
  }

  #sweepIdle(): void {
    this.#sweep = null;
    const nowMs = this.#clock.nowMs();
    let left = 0;
    for (const bucket of this.#buckets.values()) {
      const kept: Bucket['idle'] = [];
      for (const entry of bucket.idle.splice(0)) {
        const isDue = nowMs - entry.sinceMs >= this.limits.idleTimeoutMs || this.#isTooOld(entry.backend);
        if (isDue) this.#discard(bucket, entry.backend, 'idle_timeout');
        else kept.push(entry);
      }
      bucket.idle = kept;
      left += kept.length;
    }
    if (left > 0 && !this.#closed) this.#sweep = this.#clock.setTimer(SWEEP_INTERVAL_MS, () => this.#sweepIdle());
  }

  #isTooOld(backend: Backend): boolean {
    return this.limits.maxLifetimeMs > 0 && this.#clock.nowMs() - backend.openedAtMs >= this.limits.maxLifetimeMs;
  }
}
