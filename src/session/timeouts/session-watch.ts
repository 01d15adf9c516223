import type { Backend } from '../../backend/backend.js';
import type { Wire } from '../../net/wire.js';
import { Phase, phaseOf, runOf } from './phase.js';
import type { PhaseView } from './phase.js';
import { Stretch } from './stretch.js';
import type { TimeLimits } from './time-limits.js';

/** Which limit a session has come to. */
export const Overrun = {
  ClientIdle: 'client_idle_timeout',
  IdleTransaction: 'idle_transaction_timeout',
  Transaction: 'transaction_timeout',
  Query: 'query_timeout',
  /** The same for what we ask ourselves. */
  OwnQuery: 'own_query',
  ClientStuck: 'client_stuck',
  NodeStuck: 'node_stuck',
} as const;
export type Overrun = (typeof Overrun)[keyof typeof Overrun];

/**
 * What was seen of one session at the looks at it. The session itself notes nothing: from one look to the next it is seen whether
 * something has happened, by how much was heard of its client and by which unit is the oldest.
 */
export class SessionWatch {
  readonly #idle = new Stretch();
  readonly #idleInTransaction = new Stretch();
  readonly #run = new Stretch();
  readonly #own = new Stretch();
  readonly #transaction = new Stretch();
  readonly #client = new Stretch();
  readonly #node = new Stretch();
  /** The one that was attached at the last look. */
  #backend: Backend | null = null;

  /** Looks at the session; null: it may go on. */
  look(session: PhaseView, limits: TimeLimits, nowMs: number): Overrun | null {
    const { backend, client } = session.relay;
    if (backend !== this.#backend) {
      this.#backend = backend;
      this.#run.end();
      this.#own.end();
      this.#transaction.end();
      this.#node.end();
    }
    if (limits.tcpUserMs > 0) {
      if (stuckMs(client, this.#client, nowMs) >= limits.tcpUserMs) return Overrun.ClientStuck;
      if (backend !== null && stuckMs(backend.wire, this.#node, nowMs) >= limits.tcpUserMs) return Overrun.NodeStuck;
    }
    const phase = phaseOf(session);
    if (this.#transactionMs(session, phase, nowMs) >= (limits.transactionMs || Infinity)) return Overrun.Transaction;
    switch (phase) {
      case Phase.Idle:
        return this.#idle.note(client.bytesRead, nowMs) >= (limits.clientIdleMs || Infinity)
          ? Overrun.ClientIdle
          : null;
      case Phase.IdleInTransaction:
        return this.#idleInTransaction.note(client.bytesRead, nowMs) >= (limits.idleTransactionMs || Infinity)
          ? Overrun.IdleTransaction
          : null;
      case Phase.Running:
        return this.#run.note(runOf(session), nowMs) >= (limits.queryMs || Infinity) ? Overrun.Query : null;
      case Phase.Own:
        // As long as the node says something it goes on.
        return this.#own.note(backend?.wire.bytesRead, nowMs) >= (limits.queryMs || Infinity) ? Overrun.OwnQuery : null;
      case Phase.Exempt:
      default:
        return null;
    }
  }

  /** How long the transaction is open already, a single statement being one too. */
  #transactionMs({ relay, isInTransaction }: PhaseView, phase: Phase, nowMs: number): number {
    const { backend } = relay;
    if (
      backend !== null &&
      (isInTransaction ? phase !== Phase.Exempt : phase === Phase.Running || phase === Phase.IdleInTransaction)
    ) {
      return this.#transaction.note(backend.transactionsEnded, nowMs);
    }
    if (phase === Phase.Idle) this.#transaction.end();
    return 0;
  }
}

/** How long none of the bytes that wait for a peer were taken. */
function stuckMs(wire: Pick<Wire, 'bytesWritten' | 'pendingBytes'>, stretch: Stretch, nowMs: number): number {
  const { pendingBytes } = wire;
  if (pendingBytes === 0) {
    stretch.end();
    return 0;
  }
  return stretch.note(wire.bytesWritten - pendingBytes, nowMs);
}
