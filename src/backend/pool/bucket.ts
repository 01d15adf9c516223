import { BackendType } from '../../protocol/codes.js';
import { Verdict } from '../../protocol/frame-scanner.js';
import type { NodeName } from '../../util/brand.js';
import type { ClockTimer } from '../../util/clock.js';
import { Chain } from '../../util/chain.js';
import type { ChainLink } from '../../util/chain.js';
import type { Backend, BackendSink } from '../backend.js';
import type { Bound } from './bound.js';
import type { BackendCallback, BackendKind, BackendRequest, Fits, PoolTicket } from './pool-request.js';

/** How many backends there are that share a bound: in whatever state, and of these the idle ones. Changed with every unit: one shape for all. */
export class Tally {
  count = 0;
  idle = 0;

  add(count: number, idle: number): void {
    this.count += count;
    this.idle += idle;
  }
}

/** What a node, user and database have in the pool, and who waits for it. */
export class Bucket {
  readonly node: NodeName;
  readonly database: string;
  readonly user: string;
  readonly tallies: BucketTallies;
  /** On their way. */
  readonly openings: Opening[] = [];
  /** Of backends that are one session's, by their startup key. */
  readonly ownKinds = new Map<string, Kind>();
  /** Of backends that sessions share. */
  readonly sharedKinds = new Map<string, Kind>();
  /** The one that was asked for last. */
  newestKind: Kind | null = null;
  /** Oldest first. */
  readonly waiters = new Chain<Waiter>();
  /** What the first of them cannot get past; null: nothing. */
  blockedBy: Bound | null = null;
  timer: ClockTimer | null = null;
  /** When the timer is to run. */
  timerAtMs = 0;
  /** It was asked for something since the last look at the clock. */
  wasAsked = true;
  askedAtMs = 0;
  /** There was a backend once. */
  hasOpened = false;

  constructor(node: NodeName, database: string, user: string, tallies: BucketTallies) {
    this.node = node;
    this.database = database;
    this.user = user;
    this.tallies = tallies;
  }

  /** Idle, in use, being cleaned, and on their way. */
  get count(): number {
    return this.tallies.own.count;
  }

  get idle(): number {
    return this.tallies.own.idle;
  }

  /** Those that have logged in. */
  get open(): number {
    return this.count - this.openings.length;
  }

  /** Those who wait and for whom no log-in is under way. */
  get queued(): number {
    let count = 0;
    for (const { opening } of this.waiters) if (opening?.isStarted !== true) count += 1;
    return count;
  }

  /** Null: there was never one. */
  kindOf(startupKey: string, isShared: boolean): Kind | null {
    return (isShared ? this.sharedKinds : this.ownKinds).get(startupKey) ?? null;
  }

  *kinds(): Generator<Kind, void, undefined> {
    yield* this.ownKinds.values();
    yield* this.sharedKinds.values();
  }
}

/** Of a bucket; of its node and database; of its node and user; of its node; of all. */
export interface BucketTallies {
  readonly own: Tally;
  readonly node: Tally;
  readonly database: Tally;
  readonly user: Tally;
  readonly total: Tally;
}

/** Backends that can stand in for one another. */
export class Kind implements BackendKind {
  readonly bucket: Bucket;
  readonly parameters: ReadonlyMap<string, string>;
  readonly startupKey: string;
  readonly isReplication: boolean;
  readonly isShared: boolean;
  /** Those that have logged in. */
  open = 0;
  /** The one that was used last is the last. */
  readonly idle = new Chain<PooledBackend>();
  /** Most that were in use at one time since the last look at the clock. */
  peak = 0;
  /** So many are in use at busy times; as of then. */
  usual = 0;
  usualAtMs = 0;

  constructor(bucket: Bucket, of: BackendKind) {
    this.bucket = bucket;
    this.parameters = of.parameters;
    this.startupKey = of.startupKey;
    this.isReplication = of.isReplication;
    this.isShared = of.isShared;
  }

  get inUse(): number {
    return this.open - this.idle.length;
  }
}

/** What becomes of a backend that has logged in. */
export const Use = {
  Idle: 'idle',
  /** It is about to be handed to a waiter. */
  Promised: 'promised',
  /** A session has it, or it is being cleaned. */
  InUse: 'in_use',
  Gone: 'gone',
} as const;
export type Use = (typeof Use)[keyof typeof Use];

/** A backend and what the pool knows of it. While nobody has it, it is its own sink: what the node says is dropped, and its end is told. */
export class PooledBackend implements BackendSink, ChainLink<PooledBackend> {
  readonly backend: Backend;
  readonly kind: Kind;
  /** From 0 to 1, even among backends: by how much its times differ from those of the others. */
  readonly spread: number;
  use: Use;
  /** Somebody has had it before. */
  isUsed: boolean;
  /** It is closed as soon as nobody has it. */
  isRetired: boolean;
  /** As of the last look at the clock. */
  idleSinceMs: number;
  previous: PooledBackend | null;
  next: PooledBackend | null;
  readonly #onGone: (pooled: PooledBackend) => void;

  constructor(backend: Backend, kind: Kind, spread: number, onGone: (pooled: PooledBackend) => void) {
    this.backend = backend;
    this.kind = kind;
    this.spread = spread;
    this.use = Use.InUse;
    this.isUsed = false;
    this.isRetired = false;
    this.idleSinceMs = 0;
    this.previous = null;
    this.next = null;
    this.#onGone = onGone;
  }

  /** Nothing is owed, nothing aims at it, and it has not had its time: somebody else can have it. */
  get isFit(): boolean {
    const { backend } = this;
    return !this.isRetired && !backend.closed && backend.isAtBoundary && backend.cancelsInFlight === 0;
  }

  onBackendFrame(): Verdict {
    return Verdict.Drop;
  }

  onBackendRun(): void {}

  onBackendFlushed(type: number): void {
    // An idle backend says nothing but notices, parameters and its farewell.
    if (type === BackendType.ErrorResponse) this.backend.destroy();
  }

  onBackendDrain(): void {}

  onBackendClose(): void {
    this.#onGone(this);
  }
}

/** A backend on its way, for somebody who waits, or ahead of time. */
export class Opening implements ChainLink<Opening> {
  readonly bucket: Bucket;
  readonly request: BackendRequest;
  /** Nobody has asked for it yet. */
  readonly isAhead: boolean;
  /** It is beyond `size`. */
  readonly isReserve: boolean;
  readonly abort = new AbortController();
  /** For whom it is; null: for whoever comes. */
  waiter: Waiter | null;
  /** The log-in has begun; before, it waits for its turn. */
  isStarted = false;
  /** What comes of it is closed at once. */
  isRetired = false;
  previous: Opening | null = null;
  next: Opening | null = null;

  constructor(bucket: Bucket, request: BackendRequest, waiter: Waiter | null, isReserve: boolean) {
    this.bucket = bucket;
    this.request = request;
    this.waiter = waiter;
    this.isAhead = waiter === null;
    this.isReserve = isReserve;
  }

  /** Whether what comes of it is good for this request too. */
  suits(request: BackendRequest): boolean {
    const own = this.request;
    return (
      !this.isRetired &&
      own.startupKey === request.startupKey &&
      own.isShared === request.isShared &&
      own.host === request.host &&
      own.port === request.port &&
      (own.proof !== null || request.proof === null)
    );
  }
}

/** One who waits for a backend: called back once, unless he goes away before. */
export class Waiter implements PoolTicket, ChainLink<Waiter> {
  readonly bucket: Bucket;
  readonly request: BackendRequest;
  readonly fits: Fits | null;
  readonly sinceMs: number;
  /** Who came before has a lower one. */
  readonly sequence: number;
  readonly done: BackendCallback;
  /** What is being opened for him. */
  opening: Opening | null = null;
  state: 'waiting' | 'ready' | 'gone' = 'waiting';
  /** What he is about to be given. */
  pooled: PooledBackend | null = null;
  error: Error | null = null;
  /** He got nothing at once. */
  hasWaited = false;
  previous: Waiter | null = null;
  next: Waiter | null = null;
  readonly #onCancel: (waiter: Waiter) => void;

  constructor(
    bucket: Bucket,
    request: BackendRequest,
    fits: Fits | null,
    done: BackendCallback,
    sinceMs: number,
    sequence: number,
    onCancel: (waiter: Waiter) => void,
  ) {
    this.bucket = bucket;
    this.request = request;
    this.fits = fits;
    this.done = done;
    this.sinceMs = sinceMs;
    this.sequence = sequence;
    this.#onCancel = onCancel;
  }

  get isQueued(): boolean {
    return this.state === 'waiting' && this.opening === null;
  }

  cancel(): void {
    if (this.state !== 'gone') this.#onCancel(this);
  }
}
