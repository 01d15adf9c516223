import type { Relay } from '../relay/relay.js';
import type { SessionContext } from './context.js';
import type { Seeker } from './seeker.js';
import type { SessionState } from './state/session-state.js';

/** Between two tries to listen again, while no node will have the session. */
const RETRY_MS = 1_000;

/** What it needs of its session. */
export interface ListeningOwner {
  readonly state: SessionState;
  readonly relay: Relay;
}

/**
 * Keeps a session that listens on a node. Any other session without a backend gets one with its next unit; one that only waits for
 * notifications may never send any, and would be deaf.
 */
export class Listening {
  readonly #owner: ListeningOwner;
  readonly #seeker: Seeker;
  readonly #context: SessionContext;

  constructor(owner: ListeningOwner, seeker: Seeker, context: SessionContext) {
    this.#owner = owner;
    this.#seeker = seeker;
    this.#context = context;
  }

  /** Looks for a backend if the session listens, has none, and has no unit that does so anyway. */
  keep(): void {
    const { state, relay } = this.#owner;
    if (!state.isListening || relay.backend !== null || relay.isWaiting || relay.isTransactionLost) return;
    this.#seeker.admit(true);
  }

  /** There is no node now. */
  refused(): void {
    this.#context.clock.setTimer(RETRY_MS, () => this.keep());
  }
}
