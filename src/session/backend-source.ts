import type { Backend } from '../backend/backend.js';
import type { BackendCallback, BackendRequest, PoolTicket } from '../backend/pool/pool-request.js';
import type { ClusterView } from '../cluster/view.js';
import { backendRequest } from './backend-request.js';
import type { SessionContext } from './context.js';
import type { SessionIdentity } from './identity.js';
import type { NodeDecision } from './navigator.js';

/** What a source needs of its session. */
export interface BackendSourceOwner {
  readonly id: number;
  readonly identity: SessionIdentity;
  /** It shares its backends with other sessions. */
  readonly isPooled: boolean;
  /** A backend that others have used can be brought into its state. */
  fits(backend: Backend): boolean;
}

/** Gets the backends of one session from the pool. */
export class BackendSource {
  readonly #owner: BackendSourceOwner;
  readonly #context: SessionContext;
  readonly #fits: (backend: Backend) => boolean;
  readonly #isFree: (backend: Backend) => boolean;
  readonly #isLast: (backend: Backend) => boolean;
  #ticket: PoolTicket | null = null;
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
    return this.#ticket !== null;
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
  ask(request: BackendRequest, done: BackendCallback): boolean {
    this.#ticket = this.#context.pool.acquire(
      request,
      (error, backend) => {
        this.#ticket = null;
        done(error, backend);
      },
      this.#owner.isPooled ? this.#fits : null,
    );
    return this.#ticket.isQueued;
  }

  /** None is wanted any more: `done` is not called. */
  cancel(): void {
    this.#ticket?.cancel();
    this.#ticket = null;
  }
}
