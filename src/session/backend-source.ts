import type { Backend } from '../backend/backend.js';
import type { BackendCallback, BackendRequest, PoolTicket } from '../backend/pool/pool-request.js';
import type { ClusterView } from '../cluster/view.js';
import type { ClockTimer } from '../util/clock.js';
import { backendRequest } from './backend-request.js';
import type { SessionContext } from './context.js';
import type { SessionIdentity } from './identity.js';
import type { NodeDecision } from './navigator.js';

/**
 * Nobody asks so often within one turn of the event loop who makes use of what he gets. Whoever does is made to wait: else nothing else
 * would ever have its turn, in the whole proxy.
 */
const ASKS_PER_TURN_MAX = 20;
const RESTLESS_PAUSE_MS = 50;

/** What a source needs of its session. */
export interface BackendSourceOwner {
  readonly id: number;
  readonly identity: SessionIdentity;
  /** It shares its backends with other sessions. */
  readonly isPooled: boolean;
  /** A backend that others have used can be brought into its state. */
  fits(backend: Backend): boolean;
}

/** Hears what has come of the request that was made because of `decision`. */
export type BackendAnswer = (error: Error | null, backend: Backend | null, decision: NodeDecision) => void;

/** Gets the backends of one session from the pool. */
export class BackendSource {
  readonly #owner: BackendSourceOwner;
  readonly #context: SessionContext;
  readonly #fits: (backend: Backend) => boolean;
  readonly #isFree: (backend: Backend) => boolean;
  readonly #isLast: (backend: Backend) => boolean;
  #ticket: PoolTicket | null = null;
  /** Who hears of what is on its way, and why it was asked for. */
  #asked: BackendAnswer | null = null;
  #decision: NodeDecision | null = null;
  readonly #onAnswer: BackendCallback = (error, backend) => this.#answer(error, backend);
  #asks = 0;
  #turnMs = 0;
  #pause: ClockTimer | null = null;
  /** What was asked for last, and in which picture of the cluster. */
  #request: BackendRequest | null = null;
  #view: ClusterView | null = null;
  /** The one that was had last at once. */
  #last: Backend | null = null;

  constructor(owner: BackendSourceOwner, context: SessionContext) {
    this.#owner = owner;
    this.#context = context;
    this.#fits = (backend) => owner.fits(backend);
    this.#isFree = (backend) => owner.fits(backend) && !context.shared.isMissed(backend, owner.id);
    this.#isLast = (backend) => backend === this.#last && owner.fits(backend);
  }

  /** One is on its way, or waited for. */
  get isBusy(): boolean {
    return this.#ticket !== null || this.#pause !== null;
  }

  /** What to ask the pool for; null: the node has left the cluster. */
  requestFor(decision: NodeDecision): BackendRequest | null {
    const view = this.#context.view();
    const isPrimary = decision.target === 'primary';
    const known = this.#request;
    if (this.#view === view && known?.node === decision.node && (known.proof !== null) === isPrimary) return known;
    this.#view = view;
    this.#request = backendRequest(this.#owner.identity, view, decision, this.#owner.isPooled);
    return this.#request;
  }

  /**
   * One that other sessions have used, if there is one; first the one that this session has used last, which has most of its state, and
   * last one that another session may want back.
   */
  takeShared(request: BackendRequest): Backend | null {
    const { pool } = this.#context;
    const last = this.#last === null || this.#last.closed ? null : pool.take(request, this.#isLast);
    this.#last = last ?? pool.take(request, this.#isFree) ?? pool.take(request, this.#fits);
    return this.#last;
  }

  /** Asks for one; `done` is called once, and not from inside this call. True: it must be waited for. */
  ask(request: BackendRequest, decision: NodeDecision, done: BackendAnswer): boolean {
    this.#asked = done;
    this.#decision = decision;
    if (!this.#isRestless()) return this.#acquire(request);
    this.#acquireLater(request);
    return false;
  }

  /** None is wanted any more: `done` is not called. */
  cancel(): void {
    this.#ticket?.cancel();
    this.#ticket = null;
    this.#asked = null;
    this.#decision = null;
    if (this.#pause !== null) this.#context.clock.clearTimer(this.#pause);
    this.#pause = null;
  }

  #isRestless(): boolean {
    const turnMs = this.#context.turnClock.nowMs();
    this.#asks = turnMs === this.#turnMs ? this.#asks + 1 : 1;
    this.#turnMs = turnMs;
    return this.#asks > ASKS_PER_TURN_MAX;
  }

  #acquire(request: BackendRequest): boolean {
    this.#ticket = this.#context.pool.acquire(request, this.#onAnswer, this.#owner.isPooled ? this.#fits : null);
    return this.#ticket.isQueued;
  }

  #acquireLater(request: BackendRequest): void {
    const { logger, clock } = this.#context;
    logger.error(
      { session: this.#owner.id, node: request.node },
      'the session does not use the backends that it asks for',
    );
    this.#pause = clock.setTimer(RESTLESS_PAUSE_MS, () => {
      this.#pause = null;
      this.#acquire(request);
    });
  }

  #answer(error: Error | null, backend: Backend | null): void {
    const [asked, decision] = [this.#asked, this.#decision];
    this.#ticket = null;
    this.#asked = null;
    this.#decision = null;
    if (asked !== null && decision !== null) asked(error, backend, decision);
  }
}
