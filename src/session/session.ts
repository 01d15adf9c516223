import type { Backend } from '../backend/backend.js';
import { SwitchyardError } from '../errors.js';
import type { Wire } from '../net/wire.js';
import { TransactionStatus } from '../protocol/codes.js';
import type { ErrorFields } from '../protocol/error-fields.js';
import type { CollectTable } from '../protocol/frame-scanner.js';
import { Admission } from '../relay/relay.js';
import type { Loss, Relay, RelayOwner, Replay, TransactionEnd } from '../relay/relay.js';
import { StreamRelay } from '../relay/stream-relay.js';
import { PinReason } from '../sql/pin-reason.js';
import { canRunAgain } from '../sql/analysis.js';
import type { TextFacts } from '../sql/analysis.js';
import type { NodeName } from '../util/brand.js';
import { CloseReason } from './close-reason.js';
import type { SessionContext, SessionIntent } from './context.js';
import { Departure } from './departure.js';
import { Greeter } from './greeter.js';
import type { SessionIdentity } from './identity.js';
import { Inspector } from './inspector.js';
import { Listening } from './listening.js';
import { LossSettler } from './loss/loss-settler.js';
import type { SettlerOwner } from './loss/loss-settler.js';
import { errorOf, fatalOf } from './loss/loss.js';
import { Replayer } from './replayer.js';
import { requestCancel } from './request-cancel.js';
import { Seeker } from './seeker.js';
import type { SeekerOwner } from './seeker.js';
import { SessionState } from './state/session-state.js';
import { Wait } from './wait.js';

/** One client from log-in to close: it answers what its relay asks, and lets its seeker find the nodes. */
export class Session implements RelayOwner, SeekerOwner, SettlerOwner {
  readonly id: number;
  readonly identity: SessionIdentity;
  readonly intent: SessionIntent;
  readonly startedAtMs: number;
  readonly state: SessionState;
  readonly relay: Relay;
  readonly #context: SessionContext;
  readonly #seeker: Seeker;
  readonly #settler: LossSettler;
  readonly #greeter: Greeter;
  readonly #facts: () => TextFacts;
  readonly #inspector: Inspector;
  readonly #departure: Departure;
  readonly #replayer: Replayer;
  readonly #listening: Listening;
  #isClosed = false;
  /** The client has ended its sending side. */
  #isClientEnding = false;
  /** The next backend must be in a transaction when the waiting unit comes. */
  #mustBegin = false;
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
    this.state = new SessionState(context.limits.preparedStatements, context.analyzer, context.clock);
    if (identity.isReplication) this.state.pin(PinReason.Replication);
    this.#context = context;
    this.#greeter = new Greeter(identity, intent, context.greetings);
    this.#facts = () => this.#greeter.textFacts;
    const limits = { messageBytesMax: context.limits.messageBytes, replayBytesMax: () => context.limits.replayBytes };
    this.relay = new StreamRelay(wire, rest, this, collect, limits, context.counters);
    this.#departure = new Departure(id, this.relay, () => this.#seeker.target, context);
    this.#seeker = new Seeker(this, context);
    this.#inspector = new Inspector(this, context);
    this.#replayer = new Replayer(id, context);
    this.#listening = new Listening(this, this.#seeker, context);
    this.#settler = new LossSettler(this, this.#seeker, context);
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
    const { remembered } = this.#greeter;
    if (remembered === null) this.#seeker.admit(null);
    else this.#greet(remembered);
  }

  /** Tells the client why, if there is a reason to, and ends. */
  end(reason: CloseReason, error: SwitchyardError | null): void {
    this.close(reason, error === null ? null : fatalOf(error));
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
    this.#settler.look();
    this.#departure.look();
  }

  /** Gives an idle backend on `node` back, so that nothing there waits for this session. */
  leaveIfIdle(node: NodeName): void {
    if (this.node !== node || !this.relay.isAtBoundary) return;
    if (this.state.pinReason !== null) this.#inspector.inspect();
    else {
      this.#seeker.giveBack('drain');
      this.#listening.keep();
    }
  }

  /** Takes the session off its node if it is not at a boundary, because it is in the way there. */
  evict(why: string): void {
    this.#departure.evict(why);
  }

  /** Asks the node now what the session has there, if that may free it and it is at a boundary. */
  inspect(): void {
    this.#inspector.inspect();
  }

  /** The client of this session asked to cancel what it is doing. Resolves when a node has taken the request, if it was for one. */
  async cancel(): Promise<void> {
    const { cancels } = this.#context.counters;
    const { backend } = this.relay;
    if (this.#greeter.isGreeted && this.#seeker.cancelWait()) cancels.add('held');
    else if (backend === null || this.relay.isQuiet) cancels.add('idle');
    else cancels.add((await requestCancel(backend, this.id, this.#context)) ? 'forwarded' : 'failed');
  }

  // ---- RelayOwner: the client

  onUnitStart(type: number, buffer: Buffer, start: number, end: number): Admission {
    if (this.#inspector.isRunning || this.#replayer.isRunning) {
      this.#seeker.waitFor(Wait.Boundary, 'its state is being asked for, or brought back');
      return Admission.Wait;
    }
    const ending = this.#ending;
    if (ending === null || !this.relay.isAtBoundary) {
      return this.#seeker.admit(() => this.state.peek(type, buffer, start, end, this.#facts));
    }
    this.#seeker.later(() => this.end(ending.reason, ending.error));
    return Admission.Wait;
  }

  onClientFrame(type: number, buffer: Buffer, start: number, end: number): void {
    this.state.sent(type, buffer, start, end, this.#facts);
  }

  onTerminate(): void {
    this.close(CloseReason.Terminated, null);
  }

  onClientViolation(message: string): void {
    this.close(CloseReason.ClientViolation, fatalOf(new SwitchyardError('protocol_violation', message)));
  }

  onClientEnd(): void {
    this.#isClientEnding = true;
    if (this.relay.isQuiet || this.relay.isWaiting) this.close(CloseReason.ClientGone, null);
  }

  onClientClose(): void {
    this.close(CloseReason.ClientGone, null);
  }

  // ---- RelayOwner: the backend

  onParameter(buffer: Buffer, start: number, end: number): boolean {
    return this.#greeter.note(buffer, start, end);
  }

  onAcknowledged(type: number): void {
    this.state.acknowledged(type);
  }

  onCommandEnd(type: number, buffer: Buffer, start: number, end: number): void {
    this.state.commandEnded(type, buffer, start, end);
  }

  onStalePlan(): Replay | null {
    return this.state.prepareAgain();
  }

  onUnitTakenBack(): void {
    this.#context.counters.replays.add('plan_changed');
    this.state.failed();
    this.state.ended(TransactionStatus.Idle);
  }

  onCommandFailed(): void {
    this.state.failed();
  }

  onSubstituteEnd(): void {
    this.state.ended(TransactionStatus.Idle);
    this.state.settle();
    if (this.#isClientEnding) this.close(CloseReason.ClientGone, null);
    else this.#listening.keep();
  }

  transactionEnd(type: number, buffer: Buffer, start: number, end: number): TransactionEnd | null {
    return this.state.transactionEnd(type, buffer, start, end, this.#facts);
  }

  onTransactionReopened(): void {
    this.#mustBegin = true;
  }

  mayTakeBack(): boolean {
    const first = this.state.oldestUnit;
    return (
      this.#context.limits.replayBytes > 0 && !this.isInTransaction && first !== undefined && canRunAgain(first.repeat)
    );
  }

  onBackendError(fields: ErrorFields): void {
    this.state.failed();
    // A user may have asked for a read-only transaction; a primary that went read-only would speak of recovery.
    const isWrongRole =
      fields.sqlState === '25006' && this.#seeker.target === 'primary' && fields.message.includes('recovery');
    if (isWrongRole) this.#context.counters.wrongRoleErrors += 1;
  }

  onUnitEnd(): void {
    this.#context.counters.units.add(this.#seeker.target);
    this.#settler.unitEnded();
    this.state.ended(this.relay.backend?.transactionStatus ?? TransactionStatus.Idle);
  }

  onQuiet(): void {
    this.state.settle();
    if (this.#isClientEnding) this.close(CloseReason.ClientGone, null);
    else if (this.#ending !== null && this.relay.isAtBoundary) this.end(this.#ending.reason, this.#ending.error);
    else if (this.#seeker.wait === Wait.Boundary) {
      this.#seeker.stopWaiting();
      this.relay.resume();
    }
    this.#inspector.onQuiet();
  }

  onReplayError(fields: ErrorFields, part: number): void {
    this.#replayer.failed(fields, part);
  }

  onReplayDone(): void {
    const { backend } = this.relay;
    if (backend === null) return;
    const { failure, notice } = this.#replayer;
    if (failure !== null) {
      this.#seeker.later(() => this.end(CloseReason.CannotMove, failure));
      return;
    }
    this.#tellParameters(backend);
    if (notice !== null) this.relay.say(notice);
    this.#replayer.begin(null);
    this.#seeker.stopWaiting();
    this.relay.resume();
  }

  onBackendLost(loss: Loss): void {
    const node = loss.backend.identity.node;
    this.#seeker.lost(loss.backend);
    this.#inspector.drop();
    this.#replayer.begin(null);
    if (this.#isClosed) return;
    const why = loss.farewell?.sqlState ?? loss.error?.message;
    this.#context.logger.debug({ session: this.id, node, why }, 'backend lost');
    this.#settler.take(loss);
  }

  onSettled(): void {
    if (this.relay.isWaiting) this.#seeker.later(() => this.relay.resume());
    else if (this.#isClientEnding) this.close(CloseReason.ClientGone, null);
    else if (this.#ending !== null) this.end(this.#ending.reason, this.#ending.error);
    else this.#listening.keep();
  }

  // ---- SeekerOwner

  onBackend(backend: Backend): void {
    const replay = this.#greeter.isGreeted ? this.state.replay(this.#mustBegin) : null;
    this.#mustBegin = false;
    this.#replayer.begin(replay);
    this.relay.attach(backend, replay);
    this.#departure.arrived();
    this.relay.askAtUnit = replay !== null || this.#ending !== null || !this.#context.gate.isOpen;
    if (!this.#greeter.isGreeted) this.#greet(backend.parameters);
    else if (replay === null) {
      this.#tellParameters(backend);
      this.relay.resume();
    } // else nothing of the client may run before the session's state is there
  }

  onRetry(): void {
    if (this.#isClosed) return;
    if (!this.#greeter.isGreeted) {
      this.#seeker.admit(null);
      return;
    }
    this.relay.resume();
    // No unit asked: the client's input had only been stopped for an earlier one.
    if (this.relay.isWaiting) return;
    this.#seeker.leaveHold();
    this.#listening.keep();
  }

  onRejected(error: Error, isFinal: boolean): void {
    if (this.#isClosed) return;
    this.#mustBegin = false;
    if (this.#greeter.isGreeted && !isFinal) {
      if (this.relay.isWaiting) this.relay.rejectUnit(errorOf(error));
      else this.#listening.refused();
      return;
    }
    const isNoNode = error instanceof SwitchyardError && /^no_(primary|standby)$/.test(error.code);
    this.close(isNoNode ? CloseReason.NoNode : CloseReason.BackendRefused, fatalOf(error));
  }

  // ----

  #greet(reported: ReadonlyMap<string, string>): void {
    this.relay.say(this.#greeter.greet(reported));
    this.relay.resume();
  }

  #tellParameters(backend: Backend): void {
    const changed = this.#greeter.update(backend);
    if (changed.length > 0) this.relay.say(changed);
  }

  /** Says `last`, if anything, and ends; at once and without a word when the stream is broken. */
  close(reason: CloseReason, last: Buffer | null, isBroken = false): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#settler.drop();
    this.#inspector.drop();
    this.#seeker.close();
    if (isBroken) this.relay.destroy();
    else this.relay.close(last);
    this.#context.counters.sessionsClosed.add(reason);
    this.#context.registry.remove(this, reason);
  }
}
