import { messageOf, SwitchyardError } from '../errors.js';
import type { Logger } from '../log.js';
import type { Counters } from '../metrics/counters.js';
import type { NodeName } from '../util/brand.js';
import type { Clock } from '../util/clock.js';
import { AbandonedBackends } from './abandoned.js';
import { SinkMode } from './backend.js';
import type { Backend } from './backend.js';
import { deafSink } from './idle-sink.js';
import { Ahead } from './pool/ahead.js';
import type { Foresight } from './pool/ahead.js';
import { PooledBackend, Use } from './pool/bucket.js';
import type { Bucket, Kind, Opening } from './pool/bucket.js';
import { Buckets } from './pool/buckets.js';
import { figuresOf } from './pool/figures.js';
import type { PoolFigures } from './pool/figures.js';
import { Opener } from './pool/opener.js';
import type { BackendCallback, BackendRequest, Connector, Fits, PoolLimits, PoolTicket } from './pool/pool-request.js';
import { Room } from './pool/room.js';
import { Upkeep } from './pool/upkeep.js';
import { WaitLines } from './pool/wait-lines.js';

export interface PoolParts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly counters: Counters;
  readonly connector: Connector;
  /** For pauses; `Math.random` unless a test says otherwise. */
  readonly random?: () => number;
}

/** The golden ratio's fraction: multiples of it lie as evenly between 0 and 1 as can be. */
const SPREAD_STEP = 0.618_033_988_749_895;

/**
 * The backends of this process. Who asks for one gets an idle one, or a new one if no bound is in the way, or waits. Within a node, database
 * and user nobody overtakes anybody; at a bound that several of those have in common, who has waited longest goes first, and idle backends
 * of others make room.
 */
export class Pool {
  /** Hears that a backend on a node became idle, or is being closed: there is room for one more. */
  onRoom: ((node: NodeName) => void) | null = null;
  #limits: PoolLimits;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #counters: Counters;
  readonly #connector: Connector;
  readonly #buckets = new Buckets();
  /** All that have logged in and were not given up. */
  readonly #backends = new Map<Backend, PooledBackend>();
  readonly #abandoned: AbandonedBackends;
  readonly #opener: Opener;
  readonly #room: Room;
  readonly #lines: WaitLines;
  readonly #ahead: Ahead;
  readonly #upkeep: Upkeep;
  #spread = 0;
  #isClosed = false;

  constructor(limits: PoolLimits, { clock, logger, counters, connector, random = Math.random }: PoolParts) {
    this.#limits = limits;
    this.#clock = clock;
    this.#logger = logger;
    this.#counters = counters;
    this.#connector = connector;
    this.#abandoned = new AbandonedBackends(clock, logger, (backend) => connector.cancel(backend));
    const [buckets, backends] = [this.#buckets, this.#backends];
    const current = (): PoolLimits => this.#limits;
    this.#opener = new Opener({
      clock,
      logger,
      counters,
      connector,
      buckets,
      random,
      loginConcurrency: () => this.#limits.loginConcurrency,
      onOpen: (opening, backend) => this.#onOpen(opening, backend),
      onFailed: (opening, error) => this.#onFailed(opening, error),
    });
    this.#room = new Room(buckets, current, (pooled) => this.#close(pooled, 'room'));
    this.#lines = new WaitLines({
      clock,
      counters,
      limits: current,
      buckets,
      opener: this.#opener,
      room: this.#room,
      findIdle: (bucket, request, fits) => this.#findIdle(bucket, request, fits),
      onUnwanted: (pooled) => this.#offer(pooled, 'not_wanted'),
      onUnfit: (pooled) => this.#close(pooled, 'stale'),
      onRoom: (node) => this.onRoom?.(node),
    });
    this.#ahead = new Ahead({ clock, limits: current, buckets, opener: this.#opener });
    this.#upkeep = new Upkeep({
      clock,
      limits: current,
      buckets,
      failures: this.#opener.failures,
      ahead: this.#ahead,
      backends,
      close: (pooled, reason) => this.#close(pooled, reason),
    });
  }

  get limits(): PoolLimits {
    return this.#limits;
  }

  /** New bounds hold from now on; what is above them is closed when it is given back. */
  set limits(limits: PoolLimits) {
    this.#limits = limits;
    this.#lines.lookAgain();
  }

  /** Without it nothing is opened before somebody asks. */
  set foresight(foresight: Foresight) {
    this.#ahead.foresight = foresight;
  }

  /** Figures for metrics: backends by node. */
  get counts(): ReadonlyMap<NodeName, { readonly total: number; readonly idle: number }> {
    const counts = new Map<NodeName, { total: number; idle: number }>();
    for (const { node, tallies } of this.#buckets.values()) {
      if (tallies.node.count > 0) counts.set(node, { total: tallies.node.count, idle: tallies.node.idle });
    }
    return counts;
  }

  /** What there is for each node, database and user. */
  get figures(): readonly PoolFigures[] {
    return figuresOf(this.#buckets.values(), this.#clock.nowMs());
  }

  /** Backends on a node in whatever state, and how many of them are still on their way. */
  onNode(node: NodeName): { readonly total: number; readonly dialling: number } {
    return this.#buckets.onNode(node);
  }

  /** Those that nobody has. */
  *idle(): Generator<Backend, void, undefined> {
    for (const bucket of this.#buckets.values()) {
      for (const kind of bucket.kinds()) for (const { backend } of kind.idle) yield backend;
    }
  }

  /** Sessions for which there is no room, or that wait for a log-in to begin. */
  get waiting(): number {
    return this.#lines.waiting;
  }

  /** Asks for a backend. `done` is called once, never from inside this call, unless the ticket is cancelled. */
  acquire(request: BackendRequest, done: BackendCallback, fits: Fits | null = null): PoolTicket {
    const bucket = this.#buckets.of(request);
    bucket.wasAsked = true;
    bucket.newestKind = request.isReplication ? bucket.newestKind : this.#buckets.kindOf(bucket, request);
    this.#upkeep.start();
    if (!this.#isClosed) return this.#lines.enter(bucket, request, fits, done);
    return this.#lines.refuse(
      bucket,
      request,
      done,
      new SwitchyardError('shutting_down', 'the proxy is shutting down'),
    );
  }

  /**
   * The idle backend that was used last, if one can be had at once and `fits` says yes to it; to be given back by `putBack` or `release`.
   * Null: ask with `acquire`.
   */
  take(request: BackendRequest, fits: Fits | null = null): Backend | null {
    const bucket = this.#buckets.find(request);
    // Nobody goes before those who wait.
    if (bucket === null || bucket.idle === 0 || bucket.waiters.length > 0) return null;
    const pooled = this.#findIdle(bucket, request, fits);
    if (pooled === null) return null;
    bucket.wasAsked = true;
    pooled.isUsed = true;
    this.#buckets.take(pooled, Use.InUse);
    this.#counters.backendsReused += 1;
    return pooled.backend;
  }

  /** Takes a backend back that needs no cleaning, because whoever gets it next brings it into a state of his own. */
  putBack(backend: Backend): void {
    const pooled = this.#backends.get(backend);
    if (pooled !== undefined && pooled.isFit && !this.#isClosed) this.#offer(pooled, 'not_reusable');
    else this.release(backend, 'not_reusable', false);
  }

  /**
   * Takes a backend back. One that is at a boundary is cleaned and kept for the next; every other one is closed, and so is one of which
   * `isCleanable` says that cleaning would not do. What one is still doing is cancelled. `reason` is why it is given back, for the metrics.
   */
  release(backend: Backend, reason: string, isCleanable = true): void {
    const pooled = this.#backends.get(backend);
    if (pooled === undefined) {
      backend.destroy();
      return;
    }
    const isKept =
      isCleanable && this.#limits.reuse && !this.#isClosed && pooled.isFit && !this.#upkeep.isTooOld(pooled);
    if (isKept && this.#hasPlace(pooled.kind)) void this.#clean(pooled);
    else if (backend.closed || backend.tracker.isEmpty) this.#close(pooled, reason);
    else this.#abandon(pooled, reason);
  }

  /** Closes the idle backends of a node, because it changed its role or is gone. */
  closeIdle(node: NodeName, reason: string): void {
    for (const pooled of this.#backends.values()) {
      if (pooled.use === Use.Idle && pooled.kind.bucket.node === node) this.#close(pooled, reason);
    }
  }

  /**
   * Closes the backends of a database, or all (null): the idle ones now, the others when they are given back, and those that are logging in
   * when they have.
   */
  retire(database: string | null, reason: string): void {
    for (const pooled of this.#backends.values()) {
      if (database !== null && pooled.kind.bucket.database !== database) continue;
      pooled.isRetired = true;
      if (pooled.use === Use.Idle) this.#close(pooled, reason);
    }
    for (const bucket of this.#buckets.values()) {
      if (database !== null && bucket.database !== database) continue;
      for (const opening of bucket.openings) opening.isRetired ||= opening.isStarted;
    }
  }

  /** It is to be closed when it is given back. */
  isRetired(backend: Backend): boolean {
    return this.#backends.get(backend)?.isRetired === true;
  }

  /** How many are still to be closed because of `retire`. */
  retiring(database: string | null): number {
    let count = 0;
    for (const { isRetired, kind } of this.#backends.values()) {
      if (isRetired && (database === null || kind.bucket.database === database)) count += 1;
    }
    for (const bucket of this.#buckets.values()) {
      if (database !== null && bucket.database !== database) continue;
      for (const { isRetired } of bucket.openings) if (isRetired) count += 1;
    }
    return count;
  }

  /** What a node, or all nodes (null), refused before says nothing any more: it may be another one now, or let others in. */
  forgetFailures(node: NodeName | null): void {
    this.#lines.serveAll([...this.#opener.failures.forget(node)]);
  }

  /** The primary is lost or about to be: as many backends as are usually in use there will be opened with `warmUp`. */
  noteLoss(node: NodeName): void {
    this.#ahead.noteLoss(node);
  }

  /** There is a primary again. */
  warmUp(node: NodeName): void {
    this.#ahead.warmUp(node);
  }

  /** Closes the idle backends, and the abandoned ones when their statements are cancelled: after a second at most. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#upkeep.close();
    this.#ahead.close();
    this.#lines.close();
    for (const pooled of this.#backends.values()) if (pooled.use === Use.Idle) this.#close(pooled, 'shutdown');
    await this.#abandoned.close();
  }

  async #clean(pooled: PooledBackend): Promise<void> {
    const { backend, kind } = pooled;
    try {
      if (await this.#connector.clean(backend)) this.#offer(pooled, 'closed');
      else this.#close(pooled, 'not_clean');
    } catch (error) {
      this.#logger.debug({ node: kind.bucket.node, error: messageOf(error) }, 'backend could not be reset');
      this.#close(pooled, 'reset_failed');
    }
  }

  #onOpen(opening: Opening, backend: Backend): void {
    const { bucket, request, waiter } = opening;
    const kind = this.#buckets.kindOf(bucket, request);
    this.#spread = (this.#spread + SPREAD_STEP) % 1;
    const pooled = new PooledBackend(backend, kind, this.#spread, (gone) => this.#onGone(gone));
    pooled.isRetired = opening.isRetired;
    this.#backends.set(backend, pooled);
    this.#buckets.add(pooled);
    bucket.hasOpened = true;
    this.#upkeep.start();
    if (waiter !== null) waiter.opening = null;
    opening.waiter = null;
    this.#offer(pooled, 'not_wanted', opening.isAhead);
    this.#aheadEnded(opening, null);
  }

  #onFailed(opening: Opening, error: Error): void {
    this.#lines.openingFailed(opening, error);
    this.#aheadEnded(opening, error);
  }

  #aheadEnded(opening: Opening, error: Error | null): void {
    if (opening.isAhead) this.#ahead.ended(opening, error);
    // The log-in has still to leave its place to the next one.
    queueMicrotask(() => this.#ahead.pump(opening.bucket.node));
  }

  /** An idle backend may be given on when it is of the same kind and place, and for a primary request has its own proof. */
  #findIdle(bucket: Bucket, request: BackendRequest, fits: Fits | null): PooledBackend | null {
    let pooled = bucket.kindOf(request.startupKey, request.isShared)?.idle.last ?? null;
    while (pooled !== null) {
      const { previous, backend } = pooled;
      const { host, port } = backend.identity;
      if (!pooled.isFit || host !== request.host || port !== request.port) this.#close(pooled, 'stale');
      else if ((request.proof === null || backend.isProvenPrimary) && (fits === null || fits(backend))) return pooled;
      pooled = previous;
    }
    return null;
  }

  /** Gives a backend that is as it should be to whoever waits, or keeps it. `reason`: why it is closed if it is not to be kept. */
  #offer(pooled: PooledBackend, reason: string, isAhead = false): void {
    const { kind, backend } = pooled;
    const { bucket } = kind;
    if (this.#isClosed || !pooled.isFit || this.#isAboveSize(bucket)) {
      this.#close(pooled, reason);
      return;
    }
    if (this.#lines.givesWay(pooled)) {
      this.#close(pooled, 'room');
      this.#lines.settle();
      return;
    }
    backend.attach(pooled, SinkMode.Own);
    pooled.idleSinceMs = this.#upkeep.idleSinceMs;
    this.#buckets.rest(pooled);
    this.#lines.backendRests(bucket);
    if (pooled.use !== Use.Idle) return;
    if (!isAhead && !this.#mayStay(kind)) this.#close(pooled, 'max_idle');
    else this.onRoom?.(bucket.node);
  }

  /** Whether one more idle backend of its kind may be kept. */
  #hasPlace(kind: Kind): boolean {
    return kind.bucket.waiters.length > 0 || kind.isShared || kind.idle.length < this.#mostIdle;
  }

  #mayStay(kind: Kind): boolean {
    if (kind.isReplication) return false;
    return kind.isShared || (this.#limits.reuse && kind.idle.length <= this.#mostIdle);
  }

  get #mostIdle(): number {
    return Math.max(this.#limits.maxIdle, this.#limits.minSize);
  }

  #isAboveSize(bucket: Bucket): boolean {
    return bucket.count > this.#limits.size + this.#limits.reserveSize;
  }

  /** One that nobody has has ended by itself. */
  #onGone(pooled: PooledBackend): void {
    if (pooled.use === Use.Idle || pooled.use === Use.Promised) this.#close(pooled, 'ended_by_node');
  }

  /** Closes a backend that is in the middle of something. It counts until the node is done with it. */
  #abandon(pooled: PooledBackend, reason: string): void {
    const { backend, kind } = pooled;
    this.#counters.backendsClosed.add(reason);
    this.#backends.delete(backend);
    this.#abandoned.take(backend, () => {
      this.#buckets.remove(pooled);
      this.#lines.freed(kind.bucket, true);
    });
  }

  #close(pooled: PooledBackend, reason: string): void {
    if (!this.#buckets.remove(pooled)) return;
    const { backend, kind } = pooled;
    this.#counters.backendsClosed.add(reason);
    this.#backends.delete(backend);
    backend.attach(deafSink, SinkMode.Own);
    backend.terminate();
    // What was closed to make room is for whoever wanted it.
    this.#lines.freed(kind.bucket, reason !== 'room');
  }
}
