import { SwitchyardError } from '../../errors.js';
import type { ErrorCode } from '../../errors.js';
import { assertNever } from '../../util/assert-never.js';
import type { ClockTimer } from '../../util/clock.js';
import { formatDuration } from '../../util/units.js';
import { CloseReason } from '../close-reason.js';
import type { SessionContext } from '../context.js';
import { fatalOf } from '../loss/loss.js';
import type { Session } from '../session.js';
import { Overrun, SessionWatch } from './session-watch.js';
import { areAnySet, sweepIntervalMs } from './time-limits.js';

/** So many intervals count at most from one look to the next: a program that was stopped has not heard what its peers said meanwhile. */
const GAP_INTERVALS_MAX = 2;

/** Sessions that are looked at in one go: half a millisecond, so that nobody waits for it. */
const SLICE = 500;

/**
 * Looks at all sessions again and again, once a second or four times in the shortest limit, and ends what takes longer than it may. There
 * is no timer for each session, and nothing is noted when a unit comes: see SessionWatch.
 */
export class TimeoutSweep {
  readonly #context: SessionContext;
  #watches = new WeakMap<Session, SessionWatch>();
  /** Sessions with an overdue unit, which must be looked at whatever the limits are by now. */
  readonly #overdue = new Set<Session>();
  #timer: ClockTimer | null = null;
  /** Goes on with each look, but never by more than is right: see above. */
  #nowMs = 0;
  #lookedAtMs = 0;

  constructor(context: SessionContext) {
    this.#context = context;
  }

  start(): void {
    const { clock, limits } = this.#context;
    const intervalMs = sweepIntervalMs(limits.times);
    this.#lookedAtMs = clock.nowMs();
    this.#timer = clock.setTimer(intervalMs, () => {
      this.#nowMs += Math.min(clock.nowMs() - this.#lookedAtMs, intervalMs * GAP_INTERVALS_MAX);
      this.#sweep();
    });
  }

  close(): void {
    if (this.#timer !== null) this.#context.clock.clearTimer(this.#timer);
    this.#timer = null;
  }

  #sweep(): void {
    const { limits, registry } = this.#context;
    for (const session of this.#overdue) {
      if (session.overdue.look(this.#nowMs)) {
        this.#warn(session, 'a statement was not cancelled for query_timeout in time, its connection is cut');
      }
      if (!session.overdue.isPresent) this.#overdue.delete(session);
    }
    if (areAnySet(limits.times)) {
      this.#sweepSlice(registry.all());
      return;
    }
    // What was seen is old when a limit is set again.
    this.#watches = new WeakMap();
    this.start();
  }

  /** Sessions come and go while the registry is gone through, which the iterator of a Map allows for. */
  #sweepSlice(sessions: IterableIterator<Session>): void {
    for (let left = SLICE; left > 0; left -= 1) {
      const { done, value } = sessions.next();
      if (done === true) {
        this.start();
        return;
      }
      if (!value.isClosed) this.#look(value);
    }
    this.#timer = this.#context.clock.setTimer(0, () => this.#sweepSlice(sessions));
  }

  #look(session: Session): void {
    let watch = this.#watches.get(session);
    if (watch === undefined) {
      watch = new SessionWatch();
      this.#watches.set(session, watch);
    }
    const overrun = watch.look(session, this.#context.limits.times, this.#nowMs);
    if (overrun !== null) this.#act(session, overrun);
  }

  #act(session: Session, overrun: Overrun): void {
    const { counters, limits } = this.#context;
    const { clientIdleMs, idleTransactionMs, transactionMs, queryMs, tcpUserMs } = limits.times;
    switch (overrun) {
      case Overrun.ClientIdle:
        this.#end(session, CloseReason.ClientIdle, 'idle-session timeout', overrun, clientIdleMs);
        return;
      case Overrun.IdleTransaction:
        this.#end(session, CloseReason.IdleTransaction, 'idle-in-transaction timeout', overrun, idleTransactionMs);
        return;
      case Overrun.Transaction:
        this.#end(session, CloseReason.Transaction, 'transaction timeout', overrun, transactionMs);
        return;
      case Overrun.Query:
        if (session.overdue.begin(this.#nowMs)) {
          this.#overdue.add(session);
          this.#tell(session, 'a statement runs for too long and is cancelled', 'query_timeout', queryMs);
        }
        return;
      case Overrun.OwnQuery: {
        const message = `the node did not answer the proxy for ${formatDuration(queryMs)} (query_timeout of the proxy)`;
        this.#warn(session, 'a node does not answer what the proxy asks for a session, its connection is cut');
        session.relay.cut(new SwitchyardError('query_timeout', message));
        return;
      }
      case Overrun.ClientStuck:
        counters.stuckPeers.add('client');
        this.#tell(session, 'a client takes no bytes and is cut off', 'tcp_user_timeout', tcpUserMs);
        session.close(CloseReason.ClientStuck, null, true);
        return;
      case Overrun.NodeStuck: {
        counters.stuckPeers.add('node');
        const message = `the node took no bytes for ${formatDuration(tcpUserMs)} (tcp_user_timeout of the proxy)`;
        this.#warn(session, 'a node takes no bytes and is cut off');
        session.relay.cut(new Error(message));
        return;
      }
      default:
        assertNever(overrun);
    }
  }

  /** Ends the session; its backend is cleaned by the pool, or closed with what is open there. */
  #end(session: Session, reason: CloseReason, what: string, code: ErrorCode, limitMs: number): void {
    this.#tell(session, `session ended: ${what}`, code, limitMs);
    const message = `terminating connection due to ${what} (${code} of the proxy)`;
    // In the middle of a message nothing can be said.
    const isBroken = session.relay.backend?.isInsideForwardedFrame === true;
    session.close(reason, isBroken ? null : fatalOf(new SwitchyardError(code, message)), isBroken);
  }

  #tell(session: Session, message: string, limit: string, limitMs: number): void {
    this.#context.logger.info({ ...who(session), limit: `limits.${limit}`, after: formatDuration(limitMs) }, message);
  }

  #warn(session: Session, message: string): void {
    this.#context.logger.warn(who(session), message);
  }
}

function who({ id, identity, node }: Session): Record<string, unknown> {
  const { user, database, clientAddress, clientPort } = identity;
  return { session: id, user, database, client: `${clientAddress}:${clientPort}`, node };
}
