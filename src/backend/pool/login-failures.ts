import { credentialsEqual } from '../../auth/credentials.js';
import type { BackendCredentials } from '../../auth/credentials.js';
import { SwitchyardError } from '../../errors.js';
import type { NodeName } from '../../util/brand.js';
import { Backoff } from '../../util/backoff.js';
import type { Clock } from '../../util/clock.js';
import { NodeError } from '../node-error.js';
import type { Bucket, Opening } from './bucket.js';
import type { BackendRequest } from './pool-request.js';

/** First and longest pause between two log-ins of one kind that a node refuses. */
const PAUSE_MS = 500;
const PAUSE_MAX_MS = 5_000;
/**
 * Pause after a node was full. Not longer, and not growing: a place may become free at any time, and what waits for one after a promotion
 * tries again no sooner than this.
 */
const FULL_PAUSE_MS = 50;

/** `login`: with these credentials. `database`: whoever it is. `full`: nobody now, but soon. */
type FailureScope = 'login' | 'database' | 'full';

interface Failure {
  readonly error: Error;
  readonly scope: FailureScope;
  /** Not kept longer than whoever brought them: they could be used. */
  readonly credentials: WeakRef<BackendCredentials>;
  readonly isReplication: boolean;
  readonly pause: Backoff;
  untilMs: number;
  /** The one try that is under way to see whether it is still so. */
  trial: Opening | null;
}

/**
 * Log-ins that a node has just refused, so that a storm of clients does not become a storm of failing log-ins. Who would be refused for the
 * same reason is told so at once; after a pause, which grows, one alone tries. Everything here is forgotten with the first sign that
 * something has changed.
 */
export class LoginFailures {
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #failures = new Map<Bucket, Failure>();

  constructor(clock: Clock, random: () => number) {
    this.#clock = clock;
    this.#random = random;
  }

  /** Takes note of a log-in that failed; false: nothing follows from it for others. */
  note(opening: Opening, error: Error): boolean {
    const scope = scopeOf(error);
    const { bucket, request } = opening;
    const before = this.#failures.get(bucket);
    if (scope === null) {
      if (before?.trial === opening) before.trial = null;
      return false;
    }
    const nowMs = this.#clock.nowMs();
    const known = before !== undefined && before.scope === scope && this.#concerns(before, request) ? before : null;
    const pause = known?.pause ?? new Backoff({ firstMs: PAUSE_MS, ceilingMs: PAUSE_MAX_MS, random: this.#random });
    // Of many that fail together only the first lengthens the pause.
    const isWithinPause = known !== null && nowMs < known.untilMs;
    const pauseMs = (): number => (scope === 'full' ? FULL_PAUSE_MS : pause.next());
    this.#failures.set(bucket, {
      error,
      scope,
      credentials: new WeakRef(request.credentials),
      isReplication: request.isReplication,
      pause,
      untilMs: isWithinPause ? known.untilMs : nowMs + pauseMs(),
      trial: known === null || known.trial === opening ? null : known.trial,
    });
    return true;
  }

  /** Why a log-in for this request would fail; null: it may be tried. */
  of(bucket: Bucket, request: BackendRequest): Error | null {
    const failure = this.#failures.get(bucket);
    if (failure === undefined || !this.#concerns(failure, request)) return null;
    return failure.trial !== null || this.#clock.nowMs() < failure.untilMs ? failure.error : null;
  }

  /** When the next try is due; null: it is under way, or nothing keeps anybody from trying. */
  untilMs(bucket: Bucket): number | null {
    const failure = this.#failures.get(bucket);
    return failure === undefined || failure.trial !== null ? null : failure.untilMs;
  }

  /** What the node said last in this bucket. */
  errorOf(bucket: Bucket): Error | null {
    return this.#failures.get(bucket)?.error ?? null;
  }

  /** A log-in begins. */
  began(opening: Opening): void {
    const failure = this.#failures.get(opening.bucket);
    if (failure !== undefined && this.#concerns(failure, opening.request)) failure.trial ??= opening;
  }

  /** A log-in has ended well, or was given up (`isOpen` false). */
  ended(opening: Opening, isOpen: boolean): void {
    const failure = this.#failures.get(opening.bucket);
    if (failure === undefined || !this.#concerns(failure, opening.request)) return;
    if (isOpen) this.#failures.delete(opening.bucket);
    else if (failure.trial === opening) failure.trial = null;
  }

  /** There is room on a node that may have been full; gives those for whom that is news. */
  *roomOn(node: NodeName): Generator<Bucket, void, undefined> {
    for (const [bucket, failure] of this.#failures) {
      if (bucket.node !== node || failure.scope !== 'full') continue;
      this.#failures.delete(bucket);
      yield bucket;
    }
  }

  /** Forgets what a node has refused, or all nodes (null); gives those for whom that is news. */
  *forget(node: NodeName | null): Generator<Bucket, void, undefined> {
    for (const bucket of this.#failures.keys()) {
      if (node !== null && bucket.node !== node) continue;
      this.#failures.delete(bucket);
      yield bucket;
    }
  }

  /** Forgets what nobody has asked about for long. */
  prune(): void {
    const nowMs = this.#clock.nowMs();
    for (const [bucket, { untilMs, trial }] of this.#failures) {
      if (trial === null && nowMs - untilMs > PAUSE_MAX_MS) this.#failures.delete(bucket);
    }
  }

  has(bucket: Bucket): boolean {
    return this.#failures.has(bucket);
  }

  #concerns(failure: Failure, request: BackendRequest): boolean {
    if (failure.isReplication !== request.isReplication) return false;
    if (failure.scope !== 'login') return true;
    const credentials = failure.credentials.deref();
    return credentials !== undefined && credentialsEqual(credentials, request.credentials);
  }
}

/** Of whom the same would be said; null: of this one alone, or it will pass by itself (SQLSTATEs: PostgreSQL's appendix A). */
function scopeOf(error: Error): FailureScope | null {
  if (error instanceof SwitchyardError) return error.code === 'backend_login_failed' ? 'login' : null;
  if (!(error instanceof NodeError)) return null;
  const { sqlState } = error;
  if (sqlState === '53300') return 'full';
  // A wrong password, a role that does not exist or may not log in, no entry in pg_hba.conf.
  if (sqlState.startsWith('28')) return 'login';
  // The database does not exist, or the role may not connect to it.
  return sqlState === '3D000' || sqlState === '42501' ? 'database' : null;
}
