import type { Backend } from '../backend/backend.js';
import { NodeError } from '../backend/node-error.js';
import type { BackendRequest, PoolTicket } from '../backend/pool.js';
import { SwitchyardError } from '../errors.js';
import type { Wire } from '../net/wire.js';
import { authenticationOk, backendKeyData, readyForQuery } from '../protocol/backend-messages.js';
import { TransactionStatus } from '../protocol/codes.js';
import type { ErrorFields } from '../protocol/error-fields.js';
import { Admission } from '../relay/relay.js';
import type { Loss, Relay, RelayOwner } from '../relay/relay.js';
import { StreamRelay } from '../relay/stream-relay.js';
import type { CollectTable } from '../protocol/frame-scanner.js';
import { route } from '../routing/router.js';
import type { RouteDecision } from '../routing/router.js';
import { PinReason } from '../sql/pin-reason.js';
import type { NodeName } from '../util/brand.js';
import type { ClockTimer } from '../util/clock.js';
import { ClientParameters } from './client-parameters.js';
import { CloseReason } from './close-reason.js';
import type { SessionContext, SessionIntent } from './context.js';
import { forwardCancel } from './forward-cancel.js';
import type { HoldTicket } from './hold.js';
import type { SessionIdentity } from './identity.js';
import { errorOf, fatalOf, judgeLoss } from './loss.js';
import { SessionState } from './session-state.js';
import type { TextFacts } from './session-state.js';

/** What a session waits for. */
export const Wait = {
  /** For a node that can take the unit. */
  Hold: 'hold',
  /** For a backend of the pool. */
  Backend: 'backend',
  /** For the end of the units before this one. */
  Boundary: 'boundary',
  /** To see whether a backend was ended by an administrator or by a change of the cluster. */
  Judgement: 'judgement',
  /** For the next try at a node that refused. */
  Retry: 'retry',
} as const;
export type Wait = (typeof Wait)[keyof typeof Wait];

/** How long a lost backend is looked at before its end is taken for an administrator's will. */
const JUDGEMENT_MS = 1_000;
/** Between two tries at a node that refuses though the view says that it is fit. */
const RETRY_MS = 100;

type Target = 'primary' | 'standby';

/** One client from log-in to close. */
export class Session implements RelayOwner {
  readonly id: number;
  readonly identity: SessionIdentity;
  readonly intent: SessionIntent;
  readonly startedAtMs: number;
  readonly state: SessionState;
  readonly #context: SessionContext;
  readonly #relay: Relay;
  readonly #parameters: ClientParameters;
  readonly #facts: () => TextFacts;
  /** Where the attached backend is, and as what it was chosen; of the last one while detached. */
  #node: NodeName | null = null;
  #target: Target | null = null;
  #countedAt: NodeName | null = null;
  #wait: Wait | null = null;
  #waitReason = '';
  /** Since when the unit that waits has been held; kept until it is admitted, over all tries. */
  #heldSinceMs: number | null = null;
  #holdTicket: HoldTicket | null = null;
  #poolTicket: PoolTicket | null = null;
  #timer: ClockTimer | null = null;
  #isGreeted = false;
  #isClosed = false;
  /** The client has ended its sending side. */
  #isClientEnding = false;
  #undecidedLoss: Loss | null = null;
  /** Set while a shutdown or a drain waits for the next boundary. */
  #endAtBoundary: { readonly error: SwitchyardError; readonly reason: CloseReason } | null = null;

  constructor(
    id: number,
    identity: SessionIdentity,
    intent: SessionIntent,
    wire: Wire,
    rest: Buffer,
    collect: CollectTable,
    context: SessionContext,
  ) {
    this.id = id;
    this.identity = identity;
    this.intent = intent;
    this.startedAtMs = context.clock.nowMs();
    this.state = new SessionState(context.limits.preparedStatements);
    if (identity.isReplication) this.state.pin(PinReason.Replication);
    this.#context = context;
    this.#parameters = new ClientParameters(intent.route === 'standby');
    this.#facts = () => ({
      clientEncoding: this.#parameters.get('client_encoding') ?? '',
      escapesInStrings: this.#parameters.get('standard_conforming_strings') === 'off',
      isInTransaction: this.isInTransaction,
    });
    this.#relay = new StreamRelay(wire, rest, this, collect, context.limits.messageBytes, context.counters);
  }

  // ---- what others see

  get node(): NodeName | null {
    return this.#relay.backend === null ? null : this.#node;
  }

  get target(): Target | null {
    return this.#relay.backend === null ? null : this.#target;
  }

  get backend(): Backend | null {
    return this.#relay.backend;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  get isInTransaction(): boolean {
    const backend = this.#relay.backend;
    return backend !== null && backend.transactionStatus !== TransactionStatus.Idle;
  }

  get isAtBoundary(): boolean {
    return this.#relay.isAtBoundary;
  }

  get wait(): Wait | null {
    return this.#wait;
  }

  get waitReason(): string {
    return this.#waitReason;
  }

  /** Why it cannot change its backend now; null when it can, or could at its next boundary. */
  get pinReason(): PinReason | null {
    return this.state.pinReason ?? (this.isInTransaction ? PinReason.OpenTransaction : null);
  }

  // ---- life

  /** Greets the client, with a backend when nothing is known yet of what a node would say. */
  open(): void {
    const greeting = this.identity.isReplication ? null : this.#context.greetings.get(this.#greetingKey());
    if (greeting === null) {
      if (this.#admit() === Admission.Go) this.#greet(new Map());
    } else this.#greet(greeting);
  }

  /** Tells the client why, if there is a reason to, and ends. */
  end(reason: CloseReason, error: SwitchyardError | null): void {
    this.#close(reason, error === null ? null : fatalOf(error));
  }

  /** Ends the session at its next boundary, or now if it is at one. */
  endAtBoundary(reason: CloseReason, error: SwitchyardError): void {
    if (this.#relay.isAtBoundary && !this.state.mayBeginTransaction) this.end(reason, error);
    else this.#endAtBoundary = { reason, error };
  }

  /** The picture of the cluster has changed: think again at the next unit, and leave at once what must be left. */
  reconsider(): void {
    if (this.#isClosed) return;
    this.#relay.askAtUnit = true;
    if (this.#undecidedLoss !== null) this.#judge(false);
    const backend = this.#relay.backend;
    if (backend === null) return;
    const why = this.#mustLeave(backend.identity.node);
    if (why !== null) this.#relay.cut(new SwitchyardError('session_cannot_move', why));
  }

  /** Gives an idle backend on `node` back, so that nothing there waits for this session. */
  leaveIfIdle(node: NodeName): void {
    if (this.#relay.backend?.identity.node !== node || !this.#relay.isAtBoundary) return;
    if (this.state.pinReason === null) this.#giveBack('drain');
  }

  /** The client of this session asked to cancel what it is doing. */
  cancel(): void {
    const { counters, logger, limits } = this.#context;
    const backend = this.#relay.backend;
    if (this.#wait === Wait.Hold || this.#wait === Wait.Retry || (this.#wait === Wait.Backend && this.#isGreeted)) {
      counters.cancels.add('held');
      this.#stopWaiting();
      this.#reject(new SwitchyardError('query_canceled', 'canceling statement due to user request'));
    } else if (backend !== null && !this.#relay.isQuiet) {
      forwardCancel(backend, limits.connectTimeoutMs).then(
        () => counters.cancels.add('forwarded'),
        (error: unknown) => {
          counters.cancels.add('failed');
          logger.warn({ session: this.id, node: backend.identity.node, error: String(error) }, 'cancel request failed');
        },
      );
    } else counters.cancels.add('idle');
  }

  // ---- RelayOwner: the client

  onUnitStart(): Admission {
    return this.#admit();
  }

  onClientFrame(type: number, buffer: Buffer, start: number, end: number): void {
    this.state.sent(type, buffer, start, end, this.#facts);
  }

  onTerminate(): void {
    this.#close(CloseReason.Terminated, null);
  }

  onClientViolation(message: string): void {
    this.#close(CloseReason.ClientViolation, fatalOf(new SwitchyardError('protocol_violation', message)));
  }

  onClientEnd(): void {
    this.#isClientEnding = true;
    if (this.#relay.isQuiet || this.#relay.isWaiting) this.#close(CloseReason.ClientGone, null);
  }

  onClientClose(): void {
    this.#close(CloseReason.ClientGone, null);
  }

  // ---- RelayOwner: the backend

  onParameter(buffer: Buffer, start: number, end: number): boolean {
    const nameEnd = buffer.indexOf(0, start);
    if (nameEnd < 0) return true;
    return this.#parameters.note(
      buffer.toString('utf8', start, nameEnd),
      buffer.toString('utf8', nameEnd + 1, end - 1),
    );
  }

  onAcknowledged(type: number): void {
    this.state.prepared.acknowledged(type);
  }

  onBackendError(fields: ErrorFields): void {
    this.state.failed();
    if (fields.sqlState !== '25006' || this.#target !== 'primary') return;
    // A user may have asked for a read-only transaction; a primary that became read-only is told by its recovery.
    if (fields.message.includes('during recovery')) this.#context.counters.wrongRoleErrors += 1;
  }

  onUnitEnd(): void {
    this.#context.counters.units.add(this.#target ?? 'primary');
    this.state.ended(this.#relay.backend?.transactionStatus ?? TransactionStatus.Idle);
  }

  onQuiet(): void {
    this.state.settle();
    if (this.#isClientEnding) this.#close(CloseReason.ClientGone, null);
    else if (this.#endAtBoundary !== null && this.#relay.isAtBoundary) {
      this.end(this.#endAtBoundary.reason, this.#endAtBoundary.error);
    } else if (this.#wait === Wait.Boundary) {
      this.#stopWaiting();
      this.#relay.resume();
    }
  }

  onReplayError(fields: ErrorFields): void {
    // A statement that cannot be prepared here will be missed by the client when it uses it, as after any DDL.
    this.#context.logger.info(
      { session: this.id, node: this.#node, sqlState: fields.sqlState },
      'a replayed message failed',
    );
  }

  onReplayDone(): void {
    this.#tellParameters();
  }

  onBackendLost(loss: Loss): void {
    const { pool, clock, logger } = this.#context;
    const node = loss.backend.identity.node;
    this.#countAt(null);
    pool.release(loss.backend, 'lost');
    if (this.#isClosed) return;
    this.#context.suspect(node);
    logger.debug(
      { session: this.id, node, farewell: loss.farewell?.sqlState, error: loss.error?.message },
      'backend lost',
    );
    this.#undecidedLoss = loss;
    const isOwnCut = loss.error instanceof SwitchyardError;
    if (isOwnCut || !this.#judge(false)) {
      if (isOwnCut) this.#settleLoss(loss, true);
      else {
        this.#waitFor(Wait.Judgement, 'the node ended the connection');
        this.#timer = clock.setTimer(JUDGEMENT_MS, () => this.#judge(true));
      }
    }
  }

  // ---- admission

  #admit(): Admission {
    if (this.#isClosed || this.#wait !== null) return Admission.Wait;
    const backend = this.#relay.backend;
    if (backend !== null) {
      if (!this.#relay.isQuiet) {
        this.#waitFor(Wait.Boundary, 'earlier units have not ended');
        return Admission.Wait;
      }
      if (this.isInTransaction) return Admission.Go;
    }
    if (this.#endAtBoundary !== null) {
      const { reason, error } = this.#endAtBoundary;
      // Not from inside the relay: it is in the middle of the client's input.
      queueMicrotask(() => this.end(reason, error));
      return Admission.Wait;
    }
    const decision = this.#decide(backend?.identity.node ?? null);
    switch (decision.kind) {
      case 'node':
        if (backend?.identity.node === decision.node) return this.#stay(decision.target);
        return backend === null ? this.#acquire(decision) : this.#move(decision);
      case 'hold':
        return this.#holdFor(decision.reason, decision.message);
      case 'error':
      default:
        this.#later(() =>
          this.#reject(new SwitchyardError(decision.code, decision.message, { detail: decision.detail })),
        );
        return Admission.Wait;
    }
  }

  /** `current`: the node that the session is on, or has got a backend of. */
  #decide(current: NodeName | null): RouteDecision {
    const { gate, registry, limits } = this.#context;
    const decision = route(this.#context.view(), this.intent, {
      current,
      load: (node) => registry.load(node),
      rebalance: limits.rebalance,
    });
    if (decision.kind === 'node' && decision.target === 'primary' && !gate.isOpen) {
      return { kind: 'hold', reason: 'promotion', message: gate.reason };
    }
    return decision;
  }

  #stay(target: Target): Admission {
    this.#target = target;
    this.#relay.askAtUnit = false;
    this.#admitted();
    return Admission.Go;
  }

  /** The router wants the session elsewhere, and it is at a boundary. */
  #move(decision: RouteDecision & { kind: 'node' }): Admission {
    const pin = this.state.pinReason;
    if (pin !== null) {
      // Whatever is not wrong here may stay: what must be left at once was cut when the view changed.
      this.#context.logger.debug({ session: this.id, node: this.#node, pin }, 'session stays because it is pinned');
      this.#relay.askAtUnit = false;
      this.#admitted();
      return Admission.Go;
    }
    this.#giveBack('move');
    return this.#acquire(decision);
  }

  #acquire(decision: RouteDecision & { kind: 'node' }): Admission {
    const request = this.#request(decision);
    if (request === null) return this.#holdFor('node_unknown', `node ${decision.node} has left the cluster`);
    this.#waitFor(Wait.Backend, `a backend on ${decision.node}`);
    this.#countAt(decision.node);
    this.#poolTicket = this.#context.pool.acquire(request, (error, backend) => {
      this.#poolTicket = null;
      this.#stopWaiting();
      if (backend === null) this.#onRefused(error ?? new Error('no backend'), decision.node);
      else this.#onBackend(backend, decision);
    });
    return Admission.Wait;
  }

  #request(decision: RouteDecision & { kind: 'node' }): BackendRequest | null {
    const view = this.#context.view();
    const node = view.nodes.get(decision.node);
    if (node === undefined) return null;
    const isPrimary = decision.target === 'primary';
    return {
      node: node.name,
      host: node.host,
      port: node.port,
      user: this.identity.user,
      database: this.identity.database,
      parameters: this.identity.parameters,
      startupKey: this.identity.startupKey,
      isReplication: this.identity.isReplication,
      credentials: this.identity.credentials,
      proof: isPrimary ? { systemIdentifier: view.systemIdentifier, timelineMin: view.highestTimeline } : null,
    };
  }

  #onBackend(backend: Backend, decision: RouteDecision & { kind: 'node' }): void {
    const { pool, counters, logger } = this.#context;
    // The world may have moved while the backend was made.
    const now = this.#decide(decision.node);
    if (this.#isClosed || now.kind !== 'node' || now.node !== backend.identity.node || now.target !== decision.target) {
      pool.release(backend, 'not_wanted');
      this.#countAt(null);
      if (!this.#isClosed) this.#retry();
      return;
    }
    const before = this.#node;
    this.#node = backend.identity.node;
    this.#target = decision.target;
    const replay = this.state.replay();
    this.#relay.attach(backend, replay);
    this.#relay.askAtUnit = false;
    if (before !== null && before !== this.#node) {
      counters.moves.add(decision.reason);
      logger.debug({ session: this.id, from: before, to: this.#node, reason: decision.reason }, 'session moved');
    }
    this.#admitted();
    if (this.#isGreeted) {
      if (replay === null) this.#tellParameters();
      this.#relay.resume();
    } else this.#greet(backend.parameters);
  }

  #onRefused(error: Error, node: NodeName): void {
    this.#countAt(null);
    if (this.#isClosed) return;
    const { clock, limits, suspect } = this.#context;
    const isWakingUp = isPassing(error, this.#heldSinceMs !== null);
    if (isWakingUp) {
      suspect(node);
      this.#heldSinceMs ??= clock.nowMs();
      if (clock.nowMs() - this.#heldSinceMs < limits.holdTimeoutMs) {
        this.#leaveTicket();
        this.#waitFor(Wait.Retry, `node ${node} refused: ${error.message}`);
        this.#timer = clock.setTimer(RETRY_MS, () => {
          this.#stopWaiting();
          this.#retry();
        });
        return;
      }
    }
    this.#leaveHold();
    const endsSession = error instanceof NodeError && /^(28|3D|0A)/.test(error.sqlState);
    if (endsSession || !this.#isGreeted) this.#close(CloseReason.BackendRefused, fatalOf(error));
    else this.#reject(error);
  }

  // ---- holding

  #holdFor(reason: string, message: string): Admission {
    const { clock, counters, logger } = this.#context;
    const nowMs = clock.nowMs();
    const isNew = this.#heldSinceMs === null;
    this.#heldSinceMs ??= nowMs;
    this.#leaveTicket();
    const hold = this.intent.route === 'primary' ? this.#context.primaryHold : this.#context.standbyHold;
    this.#holdTicket = hold.enter({
      sinceMs: this.#heldSinceMs,
      onRelease: () => {
        this.#wait = null;
        this.#retry();
      },
      onExpire: () => {
        this.#stopWaiting();
        counters.holdTimeouts.add(reason);
        const code = this.intent.route === 'primary' ? 'no_primary' : 'no_standby';
        this.#reject(new SwitchyardError(code, message, { hint: 'The session stays open; try again later.' }));
      },
    });
    if (this.#holdTicket === null) {
      this.#later(() =>
        this.#reject(new SwitchyardError('too_many_held', `too many sessions wait already: ${message}`)),
      );
      return Admission.Wait;
    }
    if (isNew) {
      counters.holds.add(reason);
      logger.debug({ session: this.id, reason, why: message }, 'unit held');
    }
    this.#waitFor(Wait.Hold, message);
    return Admission.Wait;
  }

  /** Tries to admit the waiting unit, or the greeting, again. */
  #retry(): void {
    if (this.#isClosed) return;
    if (this.#isGreeted) {
      this.#relay.resume();
      // Nothing waits any more: the client's input had only been stopped for an earlier unit.
      if (!this.#relay.isWaiting) this.#leaveHold();
    } else if (this.#admit() === Admission.Go) this.#greet(new Map());
  }

  /** The unit has its node: it waits no more. */
  #admitted(): void {
    const { clock, counters } = this.#context;
    if (this.#heldSinceMs !== null) counters.holdDuration.observeMs(clock.nowMs() - this.#heldSinceMs);
    this.#leaveHold();
  }

  #leaveHold(): void {
    this.#heldSinceMs = null;
    this.#leaveTicket();
  }

  #leaveTicket(): void {
    this.#holdTicket?.leave();
    this.#holdTicket = null;
  }

  #waitFor(what: Wait, reason: string): void {
    this.#wait = what;
    this.#waitReason = reason;
  }

  #stopWaiting(): void {
    if (this.#timer !== null) this.#context.clock.clearTimer(this.#timer);
    this.#timer = null;
    if (this.#poolTicket !== null) this.#countAt(null);
    this.#poolTicket?.cancel();
    this.#poolTicket = null;
    this.#wait = null;
    this.#waitReason = '';
  }

  /** Does something that must not happen inside a call of the relay; the unit waits meanwhile. */
  #later(run: () => void): void {
    this.#waitFor(Wait.Boundary, '');
    queueMicrotask(() => {
      if (this.#isClosed) return;
      this.#stopWaiting();
      run();
    });
  }

  // ---- losing a backend

  #mustLeave(node: NodeName): string | null {
    const view = this.#context.view();
    const seen = view.nodes.get(node);
    if (seen === undefined) return `node ${node} has left the cluster`;
    if (this.#target === 'primary') {
      if (view.primary === node) return null;
      if (view.primary !== null) return `node ${view.primary} is the primary now`;
      if (view.leader !== null && view.leader.name !== node) return `the leader key names ${view.leader.name}`;
      return seen.role === 'standby' ? `node ${node} is a standby now` : null;
    }
    return seen.health === 'unreachable' ? `node ${node} is unreachable: ${seen.reason ?? 'no answer'}` : null;
  }

  /**
   * Decides whether a lost backend was ended by a change of the cluster or by an administrator's will. Gives false while that cannot be
   * told; `isLastCall` ends the doubt.
   */
  #judge(isLastCall: boolean): boolean {
    const loss = this.#undecidedLoss;
    if (loss === null) return true;
    const { gate, clock } = this.#context;
    const sinceMs = clock.nowMs() - JUDGEMENT_MS;
    const isAdministrative = loss.farewell?.sqlState === '57P01';
    const isChanging =
      gate.hasChangedSince(sinceMs) || this.#context.wasInTroubleSince(loss.backend.identity.node, sinceMs);
    if (isAdministrative && !isChanging && !isLastCall) return false;
    this.#settleLoss(loss, isChanging || !isAdministrative);
    return true;
  }

  #settleLoss(loss: Loss, isClusterChanging: boolean): void {
    this.#undecidedLoss = null;
    this.#stopWaiting();
    const verdict = judgeLoss(loss, this.state.pinReason, this.state.mayBeginTransaction, isClusterChanging);
    this.state.abandon();
    const { counters } = this.#context;
    switch (verdict.kind) {
      case 'destroy':
        this.#close(CloseReason.BackendLost, null, true);
        return;
      case 'close':
        if (verdict.pin !== null) counters.unmovable.add(verdict.pin);
        this.#close(verdict.reason, verdict.error);
        return;
      case 'fail':
        counters.unitsCut.add(verdict.sqlState);
        this.#relay.failUnits(verdict.error, loss.owed);
        break;
      case 'keep':
      default:
    }
    if (this.#isClientEnding) this.#close(CloseReason.ClientGone, null);
    else if (this.#relay.isWaiting) this.#later(() => this.#relay.resume());
  }

  // ---- small things

  #greet(reported: ReadonlyMap<string, string>): void {
    this.#isGreeted = true;
    const { processId, key } = this.identity.cancelKey;
    if (!this.identity.isReplication) this.#context.greetings.set(this.#greetingKey(), reported);
    this.#relay.say(
      Buffer.concat([
        authenticationOk(),
        this.#parameters.greet(reported),
        backendKeyData(processId, key),
        readyForQuery(TransactionStatus.Idle),
      ]),
    );
    this.#relay.resume();
  }

  #greetingKey(): string {
    return `${this.intent.route}\0${this.identity.user}\0${this.identity.database}\0${this.identity.startupKey}`;
  }

  #tellParameters(): void {
    const backend = this.#relay.backend;
    if (backend === null) return;
    const changed = this.#parameters.update(backend.parameters);
    if (changed.length > 0) this.#relay.say(changed);
  }

  #reject(error: Error): void {
    this.#leaveHold();
    if (!this.#isGreeted) {
      this.#close(this.intent.route === 'primary' ? CloseReason.NoPrimary : CloseReason.NoStandby, fatalOf(error));
      return;
    }
    this.#relay.rejectUnit(errorOf(error));
  }

  #giveBack(reason: string): void {
    const backend = this.#relay.detach();
    if (backend === null) return;
    this.#countAt(null);
    this.#context.pool.release(backend, reason);
  }

  /** Counts this session where it is, or where it is on its way to. */
  #countAt(node: NodeName | null): void {
    const { registry } = this.#context;
    if (this.#countedAt !== null) registry.detached(this.#countedAt);
    if (node !== null) registry.attached(node);
    this.#countedAt = node;
  }

  #close(reason: CloseReason, last: Buffer | null, isBroken = false): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#stopWaiting();
    this.#leaveHold();
    this.#undecidedLoss = null;
    this.#giveBack('session_end');
    if (isBroken) this.#relay.destroy();
    else this.#relay.close(last);
    this.#context.counters.sessionsClosed.add(reason);
    this.#context.registry.remove(this, reason);
  }
}

/** Whether a node's refusal will pass: it starts, stops, changes its role, or is out of reach for a moment. */
function isPassing(error: Error, wasHeld: boolean): boolean {
  if (error instanceof NodeError) {
    return ['57P01', '57P02', '57P03'].includes(error.sqlState) || (wasHeld && error.sqlState === '53300');
  }
  return (
    error instanceof SwitchyardError &&
    (error.code === 'backend_connect_failed' || error.code === 'backend_lost' || error.code === 'not_the_primary')
  );
}
