import type { Backend } from '../../backend/backend.js';
import { SwitchyardError } from '../../errors.js';
import { errorResponse } from '../../protocol/backend-messages.js';
import type { ErrorFields } from '../../protocol/error-fields.js';
import type { Relay } from '../../relay/relay.js';
import type { SessionContext } from '../context.js';
import { CancelOutcome, requestCancel } from '../request-cancel.js';
import type { SessionState } from '../state/session-state.js';
import type { UnitFacts } from '../state/unit-facts.js';

const QUERY_CANCELED = '57014';
/** What the client is told of it, whether the node has obeyed or not. */
const OVERDUE = 'canceling statement due to query_timeout of the proxy';

/** What it needs of its session. */
export interface OverdueOwner {
  readonly id: number;
  readonly relay: Pick<Relay, 'backend' | 'askAtUnit' | 'cut'>;
  readonly state: Pick<SessionState, 'oldestUnit'>;
  /** What has waited for the end of the request may be sent; not called where the backend is gone. */
  onCancelOver(): void;
}

/**
 * The unit of a session that has run for longer than `limits.query_timeout`. Its node is asked to cancel it; where it does not obey in
 * time, its connection is cut. Nothing more of the client is sent there while the request is under way, so that it cannot hit a later unit.
 */
export class OverdueUnit {
  readonly #owner: OverdueOwner;
  readonly #context: SessionContext;
  /** Both null: none is overdue, and no request is under way. */
  #unit: UnitFacts | null = null;
  #backend: Backend | null = null;
  #sinceMs = 0;
  /** A request is on its way, or nobody knows what became of it. */
  #isAsking = false;
  #hasNodeTaken = false;
  /** The node has obeyed, and the client knows. */
  #isCanceled = false;

  constructor(owner: OverdueOwner, context: SessionContext) {
    this.#owner = owner;
    this.#context = context;
  }

  /** It is to be looked at. */
  get isPresent(): boolean {
    return this.#unit !== null;
  }

  /** A cancel request is under way that may hit whatever is sent to the attached backend. */
  get isAsking(): boolean {
    return this.#isAsking && this.#owner.relay.backend === this.#backend;
  }

  /** The oldest unit has run for too long; true: that is news. `nowMs`: of the same clock as at `look`. */
  begin(nowMs: number): boolean {
    const { relay, state } = this.#owner;
    const { oldestUnit } = state;
    if (relay.backend === null || oldestUnit === undefined || this.#unit === oldestUnit) return false;
    this.drop();
    this.#unit = oldestUnit;
    this.#backend = relay.backend;
    this.#sinceMs = nowMs;
    this.#ask(relay.backend);
    return true;
  }

  /** Asks again where the request was not taken, and cuts the connection where it was not obeyed in time; true: it was cut. */
  look(nowMs: number): boolean {
    const { relay, state } = this.#owner;
    const backend = this.#backend;
    if (backend === null || relay.backend !== backend) {
      this.drop();
      return false;
    }
    const hasEnded = state.oldestUnit !== this.#unit;
    if (hasEnded && !this.#isAsking) {
      if (!this.#isCanceled) this.#context.counters.queryTimeouts.add('ended');
      this.drop();
      return false;
    }
    if (nowMs - this.#sinceMs >= this.#context.limits.times.queryCancelMs) {
      if (!hasEnded) this.#context.counters.queryTimeouts.add('cut');
      this.#cut(backend);
      return true;
    }
    if (!this.#isAsking && !this.#hasNodeTaken) this.#ask(backend);
    return false;
  }

  /** What the client hears in place of an error of its oldest unit; null: the error itself. */
  inPlaceOf({ sqlState, message }: ErrorFields): Buffer | null {
    if (sqlState !== QUERY_CANCELED || this.#unit === null || this.#unit !== this.#owner.state.oldestUnit) return null;
    this.#isCanceled = true;
    this.#context.counters.queryTimeouts.add('canceled');
    return errorResponse({ severity: 'ERROR', sqlState, message: OVERDUE, detail: `The node said: ${message}.` });
  }

  /** The backend is gone, or the session. */
  drop(): void {
    this.#unit = null;
    this.#backend = null;
    this.#isAsking = false;
    this.#hasNodeTaken = false;
    this.#isCanceled = false;
  }

  #ask(backend: Backend): void {
    const unit = this.#unit;
    this.#isAsking = true;
    // Units that the client sends from now on wait.
    this.#owner.relay.askAtUnit = true;
    void requestCancel(backend, this.#owner.id, this.#context).then((outcome) => {
      if (this.#unit !== unit || this.#backend !== backend) return;
      // One that may still be carried out is under way until the connection is cut.
      if (outcome === CancelOutcome.Unknown) return;
      this.#isAsking = false;
      this.#hasNodeTaken = outcome === CancelOutcome.Forwarded;
      if (this.#owner.relay.backend === backend) this.#owner.onCancelOver();
    });
  }

  #cut(backend: Backend): void {
    this.drop();
    this.#owner.relay.cut(new SwitchyardError('query_timeout', OVERDUE));
    // Behind the cut: what the node answers to it is for nobody.
    void requestCancel(backend, this.#owner.id, this.#context);
  }
}
