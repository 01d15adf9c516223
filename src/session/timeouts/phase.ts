import type { Backend } from '../../backend/backend.js';
import type { Relay } from '../../relay/relay.js';
import type { SessionIdentity } from '../identity.js';
import type { SessionState } from '../state/session-state.js';
import type { Wait } from '../wait.js';

/** Who keeps a session busy, as far as time limits go. */
export const Phase = {
  /** Nobody, and no transaction is open. */
  Idle: 'idle',
  /** The node waits for the client in the middle of something that the client has begun. */
  IdleInTransaction: 'idle_in_transaction',
  /** A node works for the client. */
  Running: 'running',
  /** A node works for us: it is asked what the session has there, or brought into its state. */
  Own: 'own',
  /** Nobody that it could be held against: the session waits for us, or it has a right to be silent. */
  Exempt: 'exempt',
} as const;
export type Phase = (typeof Phase)[keyof typeof Phase];

/** What can be seen of a session. */
export interface PhaseView {
  readonly identity: Pick<SessionIdentity, 'isReplication'>;
  readonly relay: Pick<Relay, 'backend' | 'isQuiet' | 'isWaiting' | 'isTransactionLost' | 'client'>;
  readonly state: Pick<SessionState, 'oldestUnit' | 'isListening'>;
  readonly wait: Wait | null;
  readonly isInTransaction: boolean;
}

/**
 * Pure. A client that listens is not idle outside of transactions: to wait for notifications is what it does. A replication connection is
 * never anything but exempt.
 */
export function phaseOf({ identity, relay, state, wait, isInTransaction }: PhaseView): Phase {
  const { backend } = relay;
  if (identity.isReplication) return Phase.Exempt;
  if (backend !== null && !relay.isQuiet) {
    if (state.oldestUnit === undefined) return Phase.Own;
    return isLeftToClient(backend) ? Phase.IdleInTransaction : Phase.Running;
  }
  if (wait !== null || relay.isWaiting) return Phase.Exempt;
  if (isInTransaction || relay.isTransactionLost) return Phase.IdleInTransaction;
  return state.isListening ? Phase.Exempt : Phase.Idle;
}

/** The unit is open, and its node has done all that it was told so far: it lacks COPY data, or what follows a Flush. */
function isLeftToClient({ tracker, wire }: Backend): boolean {
  return tracker.isEmpty || (tracker.lacksCopyData && wire.pendingBytes === 0);
}

/**
 * Something that stays the same as long as the node works on the same thing. While the client has not said all of a unit, each byte of it
 * begins anew: how slowly it comes is not the node's fault. Null: nothing runs.
 */
export function runOf({ relay, state }: PhaseView): unknown {
  const { backend } = relay;
  if (backend === null) return null;
  const { tracker, wire } = backend;
  // Below 0, so that it is never taken for the count of the other bytes.
  if (tracker.lacksCopyData) return wire.pendingBytes - wire.bytesWritten - 1;
  return tracker.needsClient ? relay.client.bytesRead : (state.oldestUnit ?? null);
}
