import type { Loss } from '../../relay/relay.js';
import type { ClockTimer } from '../../util/clock.js';
import type { SessionContext } from '../context.js';

/** How long a lost backend is looked at before its end is taken for an administrator's will. */
const JUDGEMENT_MS = 1_000;
/** What a node says to a backend that pg_terminate_backend ends, and just the same to all of them when it is stopped. */
const ADMIN_SHUTDOWN = '57P01';

/**
 * Decides whether a lost backend was ended by a change of the cluster or by an administrator. PostgreSQL says the same to both, so the
 * judgement waits for a sign of change for a second.
 */
export class LossJudge {
  readonly #context: SessionContext;
  readonly #settle: (loss: Loss, isClusterChanging: boolean) => void;
  #undecided: Loss | null = null;
  #timer: ClockTimer | null = null;

  constructor(context: SessionContext, settle: (loss: Loss, isClusterChanging: boolean) => void) {
    this.#context = context;
    this.#settle = settle;
  }

  get isUndecided(): boolean {
    return this.#undecided !== null;
  }

  /** Takes a loss; settles it now, or leaves it undecided until `look`, or for a second. */
  take(loss: Loss): void {
    this.#undecided = loss;
    if (loss.farewell?.sqlState !== ADMIN_SHUTDOWN) {
      this.#decide(true);
      return;
    }
    this.look();
    if (this.#undecided === null) return;
    this.#timer = this.#context.clock.setTimer(JUDGEMENT_MS, () => {
      this.#timer = null;
      this.#decide(this.#isClusterChanging(loss));
    });
  }

  /** The picture of the cluster has changed. */
  look(): void {
    if (this.#undecided !== null && this.#isClusterChanging(this.#undecided)) this.#decide(true);
  }

  /** The session is closed: nothing is to be settled. */
  drop(): void {
    this.#undecided = null;
    if (this.#timer !== null) this.#context.clock.clearTimer(this.#timer);
    this.#timer = null;
  }

  #decide(isClusterChanging: boolean): void {
    const loss = this.#undecided;
    this.drop();
    if (loss !== null) this.#settle(loss, isClusterChanging);
  }

  #isClusterChanging(loss: Loss): boolean {
    const { gate, clock } = this.#context;
    const sinceMs = clock.nowMs() - JUDGEMENT_MS;
    return gate.hasChangedSince(sinceMs) || this.#context.wasInTroubleSince(loss.backend.identity.node, sinceMs);
  }
}
