import type { Backend } from '../backend/backend.js';
import { NodeError } from '../backend/node-error.js';
import type { BackendRequest, PoolTicket } from '../backend/pool.js';
import { SwitchyardError } from '../errors.js';
import { Admission } from '../relay/relay.js';
import type { Relay } from '../relay/relay.js';
import { route } from '../routing/router.js';
import type { RouteDecision } from '../routing/router.js';
import { canRunAgain } from '../sql/analysis.js';
import type { NodeName } from '../util/brand.js';
import type { ClockTimer } from '../util/clock.js';
import { Admits } from './context.js';
import type { SessionContext, SessionIntent } from './context.js';
import type { HoldRefusal, HoldTicket } from './hold.js';
import type { SessionIdentity } from './identity.js';
import { noRoom, passingRefusal, retryDelayMs } from './refusal.js';
import type { SessionState } from './state/session-state.js';
import type { UnitGlance } from './state/unit-facts.js';
import { Wait } from './wait.js';

export type NodeDecision = RouteDecision & { readonly kind: 'node' };

/** What a seeker needs of its session. None of it is called from inside `admit`. */
export interface SeekerOwner {
  readonly id: number;
  readonly identity: SessionIdentity;
  readonly intent: SessionIntent;
  readonly state: SessionState;
  readonly relay: Relay;
  readonly isInTransaction: boolean;
  /** A backend for the waiting unit, or for the greeting. */
  onBackend(backend: Backend): void;
  /** The wait may be over: let the unit, or the greeting, ask again. */
  onRetry(): void;
  /** There is no node for the waiting unit. `isFinal`: nor will there be for any other of this session. */
  onRejected(error: Error, isFinal: boolean): void;
}

/**
 * Finds the node for each unit of a session: stays where it is, moves, waits for a backend, or is held until there is a node.
 * At most one unit (or the greeting) waits at a time.
 */
export class Seeker {
  readonly #owner: SeekerOwner;
  readonly #context: SessionContext;
  #wait: Wait | null = null;
  #waitReason = '';
  /** Since when the unit that waits has been held; kept until it is admitted, over all tries. */
  #heldSinceMs: number | null = null;
  #holdTicket: HoldTicket | null = null;
  #poolTicket: PoolTicket | null = null;
  #timer: ClockTimer | null = null;
  #countedAt: NodeName | null = null;
  /** Where the last attached backend was. */
  #lastNode: NodeName | null = null;
  #target: 'primary' | 'standby' = 'primary';
  #isClosed = false;
  /** The primary was this session's once: it may wait for room there to come back. */
  #hadPrimary = false;
  /** The newest refusal of the unit that waits, and how many there were in a row. */
  #refusal: HoldRefusal | null = null;
  #refusals = 0;
  /** The unit that waits could be sent again. */
  #isRepeatable = false;

  constructor(owner: SeekerOwner, context: SessionContext) {
    this.#owner = owner;
    this.#context = context;
  }

  get wait(): Wait | null {
    return this.#wait;
  }

  /** One sentence for people; empty when nothing waits. */
  get waitReason(): string {
    return this.#waitReason;
  }

  get heldSinceMs(): number | null {
    return this.#heldSinceMs;
  }

  /** As what the node of the attached backend was chosen. */
  get target(): 'primary' | 'standby' {
    return this.#target;
  }

  /** Asked at the first message of a unit; `glance` tells what can be seen of it. Null: for the greeting. */
  admit(glance: (() => UnitGlance) | null): Admission {
    if (this.#isClosed || this.#wait !== null) return Admission.Wait;
    this.#isRepeatable = glance === null || this.#canRepeat(glance);
    const { relay, isInTransaction } = this.#owner;
    const backend = relay.backend;
    if (backend !== null) {
      if (!relay.isQuiet) {
        this.waitFor(Wait.Boundary, 'earlier units have not ended');
        return Admission.Wait;
      }
      if (isInTransaction) return Admission.Go;
    }
    const decision = this.#decide(backend?.identity.node ?? null);
    switch (decision.kind) {
      case 'node':
        if (backend?.identity.node === decision.node) return this.#stay(decision.target);
        return backend === null ? this.#acquire(decision) : this.#move(decision);
      case 'hold':
        return this.#hold(decision.reason, decision.message);
      case 'error':
      default:
        this.later(() =>
          this.#reject(new SwitchyardError(decision.code, decision.message, { detail: decision.detail })),
        );
        return Admission.Wait;
    }
  }

  waitFor(what: Wait, reason: string): void {
    this.#wait = what;
    this.#waitReason = reason;
  }

  /** Ends the wait, whatever it is for; a backend under way is not taken. */
  stopWaiting(): void {
    if (this.#timer !== null) this.#context.clock.clearTimer(this.#timer);
    this.#timer = null;
    if (this.#poolTicket !== null) this.#countAt(null);
    this.#poolTicket?.cancel();
    this.#poolTicket = null;
    this.#wait = null;
    this.#waitReason = '';
  }

  /** The client wants the unit no more that waits for a node; false: none does. */
  cancelWait(): boolean {
    if (this.#wait !== Wait.Hold && this.#wait !== Wait.Retry && this.#wait !== Wait.Backend) return false;
    this.stopWaiting();
    this.#reject(new SwitchyardError('query_canceled', 'canceling statement due to user request'));
    return true;
  }

  /** Does something that must not happen inside a call of the relay; the unit waits meanwhile. */
  later(run: () => void): void {
    this.waitFor(Wait.Boundary, '');
    queueMicrotask(() => {
      if (this.#isClosed) return;
      this.stopWaiting();
      run();
    });
  }

  /** Forgets that the unit was held: it is answered, or there is none. */
  leaveHold(): void {
    this.#heldSinceMs = null;
    this.#refusal = null;
    this.#refusals = 0;
    this.#leaveTicket();
  }

  /** Gives the attached backend back to the pool. */
  giveBack(reason: string): void {
    const backend = this.#owner.relay.detach();
    if (backend === null) return;
    this.#countAt(null);
    this.#context.pool.release(backend, reason, this.#isCleanable());
  }

  /** The attached backend is gone. */
  lost(backend: Backend): void {
    this.#countAt(null);
    this.#context.pool.release(backend, 'lost');
  }

  close(): void {
    this.#isClosed = true;
    this.stopWaiting();
    this.leaveHold();
    this.giveBack('session_end');
  }

  /** `current`: the node that the session is on, or has got a backend of. */
  #decide(current: NodeName | null): RouteDecision {
    const { gate, registry, limits } = this.#context;
    const decision = route(this.#context.view(), this.#owner.intent, {
      current,
      load: (node) => registry.load(node),
      rebalance: limits.rebalance,
    });
    if (decision.kind !== 'node' || decision.target !== 'primary') return decision;
    const isAdmitted = gate.admits === Admits.All || (gate.admits === Admits.Repeatable && this.#isRepeatable);
    return isAdmitted ? decision : { kind: 'hold', reason: 'promotion', message: gate.reason };
  }

  /** The unit can be sent again when its node is stopped in the middle of it. Only of interest while that may be near. */
  #canRepeat(glance: () => UnitGlance): boolean {
    const { gate, limits } = this.#context;
    if (gate.admits !== Admits.Repeatable || limits.replayBytes === 0) return false;
    const { repeat, begins } = glance();
    return canRunAgain(repeat) && !begins;
  }

  #stay(target: 'primary' | 'standby'): Admission {
    this.#target = target;
    this.#owner.relay.askAtUnit = !this.#context.gate.isOpen;
    this.#admitted();
    return Admission.Go;
  }

  /** The router wants the session elsewhere, and it is at a boundary. */
  #move(decision: NodeDecision): Admission {
    const { state } = this.#owner;
    // A standby does not listen.
    if (state.pinReason !== null || (state.isListening && decision.target === 'standby')) {
      // What must be left at once was cut when the view changed; whatever is only not the best may stay.
      this.#owner.relay.askAtUnit = !this.#context.gate.isOpen;
      this.#admitted();
      return Admission.Go;
    }
    this.giveBack('move');
    return this.#acquire(decision);
  }

  #acquire(decision: NodeDecision): Admission {
    const request = this.#request(decision);
    if (request === null) return this.#hold('node_unknown', `node ${decision.node} has left the cluster`);
    const { primaryHold } = this.#context;
    const isNewcomer = this.#owner.intent.route === 'primary' && this.#holdTicket === null;
    if (isNewcomer && primaryHold.isBusy) return this.#hold('no_room', primaryHold.trouble?.message ?? '');
    this.waitFor(Wait.Backend, `a backend on ${decision.node}`);
    this.#countAt(decision.node);
    this.#poolTicket = this.#context.pool.acquire(request, (error, backend) => {
      this.#poolTicket = null;
      this.stopWaiting();
      if (backend === null) this.#onRefused(error ?? new Error('no backend'), decision.node);
      else this.#onBackend(backend, decision);
    });
    // It waits for others now and not for the node: the next of the held may have a try.
    if (this.#poolTicket.isQueued) this.#leaveTicket();
    return Admission.Wait;
  }

  #request(decision: NodeDecision): BackendRequest | null {
    const view = this.#context.view();
    const { identity } = this.#owner;
    const node = view.nodes.get(decision.node);
    if (node === undefined) return null;
    const isPrimary = decision.target === 'primary';
    return {
      node: node.name,
      host: node.host,
      port: node.port,
      user: identity.user,
      database: identity.database,
      parameters: identity.parameters,
      startupKey: identity.startupKey,
      isReplication: identity.isReplication,
      credentials: identity.credentials,
      proof: isPrimary ? { systemIdentifier: view.systemIdentifier, timelineMin: view.highestTimeline } : null,
    };
  }

  #onBackend(backend: Backend, decision: NodeDecision): void {
    // The world may have moved while the backend was made.
    const now = this.#decide(decision.node);
    if (now.kind !== 'node' || now.node !== decision.node || now.target !== decision.target) {
      this.#context.pool.release(backend, 'not_wanted');
      this.#countAt(null);
      this.#owner.onRetry();
      return;
    }
    this.#target = decision.target;
    this.#hadPrimary ||= decision.target === 'primary';
    this.#noteMove(decision);
    this.#owner.onBackend(backend);
    this.#admitted();
  }

  #noteMove({ node, reason }: NodeDecision): void {
    const { counters, logger } = this.#context;
    const from = this.#lastNode;
    this.#lastNode = node;
    if (from === null || from === node) return;
    counters.moves.add(reason);
    logger.debug({ session: this.#owner.id, from, to: node, reason }, 'session moved');
  }

  #onRefused(error: Error, node: NodeName): void {
    this.#countAt(null);
    const { clock, limits } = this.#context;
    const refusal = passingRefusal(error, node, this.#heldSinceMs !== null || this.#hadPrimary);
    if (refusal !== null) {
      this.#context.suspect(node);
      this.#refusal = refusal;
      this.#refusals += 1;
      if (this.#owner.intent.route === 'primary') {
        this.#hold(refusal.isFull ? 'no_room' : 'refused', refusal.message, refusal);
        return;
      }
      this.#heldSinceMs ??= clock.nowMs();
      if (clock.nowMs() - this.#heldSinceMs < limits.holdTimeoutMs) {
        this.#leaveTicket();
        this.waitFor(Wait.Retry, refusal.message);
        this.#timer = clock.setTimer(retryDelayMs(this.#refusals), () => {
          this.stopWaiting();
          this.#owner.onRetry();
        });
        return;
      }
    }
    // A log-in or database that the node does not know will not be known for the next unit either.
    this.#reject(error, error instanceof NodeError && /^(28|3D|0A)/.test(error.sqlState));
  }

  /** `refusal`: it comes back from a node that turned it away just now. */
  #hold(reason: string, message: string, refusal: HoldRefusal | null = null): Admission {
    const { clock, counters, logger, primaryHold, standbyHold } = this.#context;
    const isPrimary = this.#owner.intent.route === 'primary';
    const isNew = this.#heldSinceMs === null;
    this.#heldSinceMs ??= clock.nowMs();
    if (refusal !== null) this.#holdTicket?.refused(refusal);
    this.#leaveTicket();
    const hold = isPrimary ? primaryHold : standbyHold;
    this.#holdTicket = hold.enter({
      sinceMs: this.#heldSinceMs,
      ...(refusal === null ? {} : { refusal, refusals: this.#refusals }),
      onRelease: () => {
        this.stopWaiting();
        this.#owner.onRetry();
      },
      onExpire: () => {
        this.stopWaiting();
        counters.holdTimeouts.add(reason);
        this.#reject(this.#outOfTime(isPrimary, message, this.#refusal ?? hold.trouble));
      },
    });
    if (this.#holdTicket === null) {
      this.later(() =>
        this.#reject(new SwitchyardError('too_many_held', `too many sessions wait already: ${message}`)),
      );
      return Admission.Wait;
    }
    if (isNew) {
      counters.holds.add(reason);
      logger.debug({ user: this.#owner.identity.user, reason, why: message }, 'unit held');
    }
    this.waitFor(Wait.Hold, message);
    return Admission.Wait;
  }

  #outOfTime(isPrimary: boolean, message: string, trouble: HoldRefusal | null): SwitchyardError {
    if (trouble?.isFull === true) return noRoom(trouble, this.#context.limits.holdTimeoutMs);
    const hint = 'The session stays open; try again later.';
    return new SwitchyardError(isPrimary ? 'no_primary' : 'no_standby', trouble?.message ?? message, { hint });
  }

  #reject(error: Error, isFinal = false): void {
    this.leaveHold();
    this.#owner.onRejected(error, isFinal);
  }

  /** The unit has its node: it waits no more. */
  #admitted(): void {
    const { clock, counters } = this.#context;
    if (this.#heldSinceMs !== null) counters.holdDuration.observeMs(clock.nowMs() - this.#heldSinceMs);
    this.#holdTicket?.leave(true);
    this.#holdTicket = null;
    this.leaveHold();
  }

  #leaveTicket(): void {
    this.#holdTicket?.leave();
    this.#holdTicket = null;
  }

  /**
   * Whether DISCARD ALL takes everything away that the session has left on its backend. It leaves loaded libraries, connections to
   * elsewhere, the temporary slots of a replication connection, and the names of settings that were made up (documentation, "DISCARD").
   */
  #isCleanable(): boolean {
    const { identity, state } = this.#owner;
    return !identity.isReplication && state.isCleanable;
  }

  /** Counts the session where it is, or where it is on its way to. */
  #countAt(node: NodeName | null): void {
    const { registry } = this.#context;
    if (this.#countedAt !== null) registry.detached(this.#countedAt);
    if (node !== null) registry.attached(node);
    this.#countedAt = node;
  }
}
