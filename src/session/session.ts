import type { Backend } from '../backend/backend.js';
import { messageOf, SwitchyardError } from '../errors.js';
import type { Wire } from '../net/wire.js';
import { authenticationOk, backendKeyData, readyForQuery } from '../protocol/backend-messages.js';
import { TransactionStatus } from '../protocol/codes.js';
import type { ErrorFields } from '../protocol/error-fields.js';
import type { CollectTable } from '../protocol/frame-scanner.js';
import { Admission } from '../relay/relay.js';
import type { Loss, Relay, RelayOwner } from '../relay/relay.js';
import { StreamRelay } from '../relay/stream-relay.js';
import { PinReason } from '../sql/pin-reason.js';
import type { NodeName } from '../util/brand.js';
import { ClientParameters } from './client-parameters.js';
import { CloseReason } from './close-reason.js';
import type { SessionContext, SessionIntent } from './context.js';
import { forwardCancel } from './forward-cancel.js';
import type { SessionIdentity } from './identity.js';
import { LossJudge } from './loss-judge.js';
import { errorOf, fatalOf, judgeLoss } from './loss.js';
import { mustLeave } from './must-leave.js';
import { Seeker } from './seeker.js';
import type { NodeDecision, SeekerOwner } from './seeker.js';
import { SessionState } from './session-state.js';
import type { TextFacts } from './session-state.js';
import { Wait } from './wait.js';

/** How long a node that stops may take to say so on each of its connections, before they are cut. */
const FAREWELL_MS = 500;

/** One client from log-in to close: it answers what its relay asks, and lets its seeker find the nodes. */
export class Session implements RelayOwner, SeekerOwner {
  readonly id: number;
  readonly identity: SessionIdentity;
  readonly intent: SessionIntent;
  readonly startedAtMs: number;
  readonly state: SessionState;
  readonly relay: Relay;
  readonly #context: SessionContext;
  readonly #seeker: Seeker;
  readonly #judge: LossJudge;
  readonly #parameters: ClientParameters;
  readonly #facts: () => TextFacts;
  /** Where the last attached backend was. */
  #lastNode: NodeName | null = null;
  #isGreeted = false;
  #isClosed = false;
  /** The client has ended its sending side. */
  #isClientEnding = false;
  /** Since when the node of the attached backend is to be left. */
  #leavingSinceMs: number | null = null;
  /** Set while a shutdown or a drain waits for the next boundary. */
  #ending: { readonly reason: CloseReason; readonly error: SwitchyardError } | null = null;

  /** `rest`: bytes of the client that were read behind its log-in. */
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
    this.relay = new StreamRelay(wire, rest, this, collect, context.limits.messageBytes, context.counters);
    this.#seeker = new Seeker(this, context);
    this.#judge = new LossJudge(context, (loss, isClusterChanging) => this.#settleLoss(loss, isClusterChanging));
  }

  // ---- what others see

  get backend(): Backend | null {
    return this.relay.backend;
  }

  /** Where it is attached now. */
  get node(): NodeName | null {
    return this.relay.backend?.identity.node ?? null;
  }

  /** As what that node was chosen. */
  get target(): 'primary' | 'standby' | null {
    return this.relay.backend === null ? null : this.#seeker.target;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  get isInTransaction(): boolean {
    const backend = this.relay.backend;
    return backend !== null && backend.transactionStatus !== TransactionStatus.Idle;
  }

  get isAtBoundary(): boolean {
    return this.relay.isAtBoundary;
  }

  get wait(): Wait | null {
    return this.#seeker.wait;
  }

  get waitReason(): string {
    return this.#seeker.waitReason;
  }

  /** Why it cannot change its backend now; null when it can, or could at its next boundary. */
  get pinReason(): PinReason | null {
    return this.state.pinReason ?? (this.isInTransaction ? PinReason.OpenTransaction : null);
  }

  // ---- life

  /** Greets the client, with a backend when nothing is known yet of what a node would say. */
  open(): void {
    const greeting = this.identity.isReplication ? null : this.#context.greetings.get(this.#greetingKey());
    if (greeting === null) this.#seeker.admit();
    else this.#greet(greeting);
  }

  /** Tells the client why, if there is a reason to, and ends. */
  end(reason: CloseReason, error: SwitchyardError | null): void {
    this.#close(reason, error === null ? null : fatalOf(error));
  }

  /** Ends the session at its next boundary, or now if it is at one. */
  endAtBoundary(reason: CloseReason, error: SwitchyardError): void {
    if (this.relay.isAtBoundary) this.end(reason, error);
    else {
      this.#ending = { reason, error };
      this.relay.askAtUnit = true;
    }
  }

  /** The picture of the cluster has changed: think again at the next unit, and leave at once what must be left. */
  reconsider(): void {
    if (this.#isClosed) return;
    this.relay.askAtUnit = true;
    this.#judge.look();
    const backend = this.relay.backend;
    if (backend === null) return;
    const leave = mustLeave(this.#context.view(), backend.identity.node, this.#seeker.target);
    if (leave === null || !leave.mayHearFarewell) this.#leavingSinceMs = null;
    if (leave === null) return;
    const { clock } = this.#context;
    this.#leavingSinceMs ??= clock.nowMs();
    const leftMs = this.#leavingSinceMs + FAREWELL_MS - clock.nowMs();
    if (leave.mayHearFarewell && leftMs > 0) clock.setTimer(leftMs, () => this.reconsider());
    else this.relay.cut(new SwitchyardError('session_cannot_move', leave.why));
  }

  /** Gives an idle backend on `node` back, so that nothing there waits for this session. */
  leaveIfIdle(node: NodeName): void {
    if (this.node === node && this.relay.isAtBoundary && this.state.pinReason === null) this.#seeker.giveBack('drain');
  }

  /** The client of this session asked to cancel what it is doing. Resolves when a node has taken the request, if it was for one. */
  async cancel(): Promise<void> {
    const { counters, logger, limits } = this.#context;
    const backend = this.relay.backend;
    const { wait } = this.#seeker;
    if (this.#isGreeted && (wait === Wait.Hold || wait === Wait.Retry || wait === Wait.Backend)) {
      counters.cancels.add('held');
      this.#seeker.stopWaiting();
      this.#seeker.leaveHold();
      this.onRejected(new SwitchyardError('query_canceled', 'canceling statement due to user request'), false);
      return;
    }
    if (backend === null || this.relay.isQuiet) {
      counters.cancels.add('idle');
      return;
    }
    try {
      await forwardCancel(backend, limits.connectTimeoutMs);
      counters.cancels.add('forwarded');
    } catch (error) {
      counters.cancels.add('failed');
      logger.warn({ session: this.id, node: backend.identity.node, error: messageOf(error) }, 'cancel request failed');
    }
  }

  // ---- RelayOwner: the client

  onUnitStart(): Admission {
    const ending = this.#ending;
    if (ending === null || !this.relay.isAtBoundary) return this.#seeker.admit();
    this.#seeker.later(() => this.end(ending.reason, ending.error));
    return Admission.Wait;
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
    if (this.relay.isQuiet || this.relay.isWaiting) this.#close(CloseReason.ClientGone, null);
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

  onCommandEnd(): void {}

  onBackendError(fields: ErrorFields): void {
    this.state.failed();
    // A user may have asked for a read-only transaction; a primary that went read-only would speak of recovery.
    const isWrongRole =
      fields.sqlState === '25006' && this.#seeker.target === 'primary' && fields.message.includes('recovery');
    if (isWrongRole) this.#context.counters.wrongRoleErrors += 1;
  }

  onUnitEnd(): void {
    this.#context.counters.units.add(this.#seeker.target);
    this.state.ended(this.relay.backend?.transactionStatus ?? TransactionStatus.Idle);
  }

  onQuiet(): void {
    this.state.settle();
    if (this.#isClientEnding) this.#close(CloseReason.ClientGone, null);
    else if (this.#ending !== null && this.relay.isAtBoundary) this.end(this.#ending.reason, this.#ending.error);
    else if (this.#seeker.wait === Wait.Boundary) {
      this.#seeker.stopWaiting();
      this.relay.resume();
    }
  }

  onReplayError(fields: ErrorFields): void {
    // A statement that cannot be prepared here will be missed by the client when it uses it, as after any DDL.
    const { logger } = this.#context;
    logger.info({ session: this.id, node: this.node, sqlState: fields.sqlState }, 'a replayed message failed');
  }

  onReplayDone(): void {
    this.#tellParameters();
  }

  onBackendLost(loss: Loss): void {
    const node = loss.backend.identity.node;
    this.#seeker.lost(loss.backend);
    if (this.#isClosed) return;
    this.#context.logger.debug(
      { session: this.id, node, farewell: loss.farewell?.sqlState, error: loss.error?.message },
      'backend lost',
    );
    if (loss.error instanceof SwitchyardError) {
      // We cut it ourselves, because the cluster changed.
      this.#settleLoss(loss, true);
      return;
    }
    this.#context.suspect(node);
    this.#judge.take(loss);
    if (this.#judge.isUndecided) this.#seeker.waitFor(Wait.Judgement, 'the node ended the connection');
  }

  // ---- SeekerOwner

  onBackend(backend: Backend, decision: NodeDecision): void {
    const { counters, logger } = this.#context;
    const from = this.#lastNode;
    this.#lastNode = decision.node;
    const replay = this.#isGreeted ? this.state.replay() : null;
    this.relay.attach(backend, replay);
    this.#leavingSinceMs = null;
    this.relay.askAtUnit = this.#ending !== null;
    if (from !== null && from !== decision.node) {
      counters.moves.add(decision.reason);
      logger.debug({ session: this.id, from, to: decision.node, reason: decision.reason }, 'session moved');
    }
    if (!this.#isGreeted) {
      this.#greet(backend.parameters);
      return;
    }
    if (replay === null) this.#tellParameters();
    this.relay.resume();
  }

  onRetry(): void {
    if (this.#isClosed) return;
    if (!this.#isGreeted) {
      this.#seeker.admit();
      return;
    }
    this.relay.resume();
    // No unit asked: the client's input had only been stopped for an earlier one.
    if (!this.relay.isWaiting) this.#seeker.leaveHold();
  }

  onRejected(error: Error, isFinal: boolean): void {
    if (this.#isClosed) return;
    if (this.#isGreeted && !isFinal) {
      this.relay.rejectUnit(errorOf(error));
      return;
    }
    const isNoNode = error instanceof SwitchyardError && (error.code === 'no_primary' || error.code === 'no_standby');
    this.#close(isNoNode ? CloseReason.NoNode : CloseReason.BackendRefused, fatalOf(error));
  }

  // ----

  #settleLoss(loss: Loss, isClusterChanging: boolean): void {
    if (this.#isClosed) return;
    this.#seeker.stopWaiting();
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
        this.relay.failUnits(verdict.error, loss.owed);
        break;
      case 'keep':
      default:
    }
    if (this.#isClientEnding) this.#close(CloseReason.ClientGone, null);
    else if (this.#ending !== null) this.end(this.#ending.reason, this.#ending.error);
    else if (this.relay.isWaiting) this.#seeker.later(() => this.relay.resume());
  }

  #greet(reported: ReadonlyMap<string, string>): void {
    this.#isGreeted = true;
    const { processId, key } = this.identity.cancelKey;
    if (!this.identity.isReplication) this.#context.greetings.set(this.#greetingKey(), reported);
    this.relay.say(
      Buffer.concat([
        authenticationOk(),
        this.#parameters.greet(reported),
        backendKeyData(processId, key),
        readyForQuery(TransactionStatus.Idle),
      ]),
    );
    this.relay.resume();
  }

  #greetingKey(): string {
    return `${this.intent.route}\0${this.identity.user}\0${this.identity.database}\0${this.identity.startupKey}`;
  }

  #tellParameters(): void {
    const backend = this.relay.backend;
    if (backend === null) return;
    const changed = this.#parameters.update(backend.parameters);
    if (changed.length > 0) this.relay.say(changed);
  }

  #close(reason: CloseReason, last: Buffer | null, isBroken = false): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#judge.drop();
    this.#seeker.close();
    if (isBroken) this.relay.destroy();
    else this.relay.close(last);
    this.#context.counters.sessionsClosed.add(reason);
    this.#context.registry.remove(this, reason);
  }
}
