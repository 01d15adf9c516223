import { SwitchyardError } from '../errors.js';
import type { SessionTraffic } from '../metrics/traffic.js';
import { TransactionStatus } from '../protocol/codes.js';
import type { ErrorFields } from '../protocol/error-fields.js';
import { Admission } from '../relay/relay.js';
import type { Loss, Relay, RelayOwner, Replay, TransactionEnd } from '../relay/relay.js';
import { canRunAgain } from '../sql/analysis.js';
import type { TextFacts } from '../sql/analysis.js';
import type { Berth, Berths, Target } from './berths.js';
import type { Boarding } from './boarding.js';
import { CloseReason } from './close-reason.js';
import type { SessionContext } from './context.js';
import type { Departure } from './departure.js';
import type { Greeter } from './greeter.js';
import type { Inspector } from './inspector.js';
import type { Listening } from './listening.js';
import type { LossSettler } from './loss/loss-settler.js';
import { errorOf, fatalOf } from './loss/loss.js';
import type { Pooling } from './pooled/pooling.js';
import { CancelOutcome, requestCancel } from './request-cancel.js';
import type { Seeker } from './seeker.js';
import type { UnitChoice } from './split/chooser.js';
import { SplitReason } from './split/split-reason.js';
import { Refusal } from './split/split.js';
import type { Split } from './split/split.js';
import type { SessionState } from './state/session-state.js';
import type { OverdueUnit } from './timeouts/overdue-unit.js';
import { Wait } from './wait.js';

/** Stands in the place of an error: what follows it is left out up to the Sync, which is answered. */
const parseComplete = Buffer.from([0x31, 0, 0, 0, 4]);

/** That a session is to end, and what its client hears then. */
export interface Ending {
  readonly reason: CloseReason;
  readonly error: Error;
}

/** What a conversation needs of its session. */
export interface ConversationOwner {
  readonly id: number;
  readonly relay: Relay;
  readonly traffic: SessionTraffic;
  readonly isClosed: boolean;
  readonly isInTransaction: boolean;
  readonly target: Target | null;
  /** Set while a shutdown or a drain waits for the next boundary. */
  readonly ending: Ending | null;
  /** The transaction that has just begun there is to begin elsewhere. */
  leaveTransaction(berth: Berth): void;
  close(reason: CloseReason, last: Buffer | null): void;
}

/** The parts of a session that what is said between client and node has to do with. */
export interface ConversationParts {
  readonly state: SessionState;
  readonly greeter: Greeter;
  readonly berths: Berths;
  readonly boarding: Boarding;
  readonly seeker: Seeker;
  /** Null: all units go the same way. */
  readonly split: Split | null;
  /** Null: it keeps its backends. */
  readonly pooling: Pooling | null;
  readonly settler: LossSettler;
  readonly inspector: Inspector;
  readonly listening: Listening;
  readonly departure: Departure;
  readonly overdue: OverdueUnit;
}

/** Answers what the relay of a session asks, and tells the parts of the session what client and node say. */
export class Conversation implements RelayOwner {
  readonly #owner: ConversationOwner;
  readonly #context: SessionContext;
  readonly #parts: ConversationParts;
  readonly #state: SessionState;
  readonly #facts: () => TextFacts;
  readonly #end = (): void => {
    const { ending } = this.#owner;
    if (ending !== null) this.#owner.close(ending.reason, fatalOf(ending.error));
  };
  readonly #confirmParse = (): void => this.#owner.relay.rejectUnit(parseComplete);
  /** The client has ended its sending side. */
  #isEnding = false;
  /** What becomes of the units that a standby refuses at the moment. */
  #refusal: Refusal | null = null;
  /** What the unit that waits is answered with when its transaction has failed. */
  #mistake: SwitchyardError | null = null;

  constructor(owner: ConversationOwner, parts: ConversationParts, context: SessionContext) {
    this.#owner = owner;
    this.#context = context;
    this.#parts = parts;
    this.#state = parts.state;
    this.#facts = () => parts.greeter.textFacts;
  }

  /** Greets the client with what a node has reported; left out: the one that is attached. */
  greet(reported: ReadonlyMap<string, string> | undefined = this.#owner.relay.backend?.parameters): void {
    if (reported === undefined) return;
    this.#owner.relay.say(this.#parts.greeter.greet(reported));
    this.#owner.relay.resume();
  }

  // ---- the client

  onUnitStart(type: number, buffer: Buffer, start: number, end: number): Admission {
    const { split, pooling, seeker } = this.#parts;
    // A session that is never idle for long must not keep a backend that is to be closed.
    if (this.#context.pauses.takesBack && this.#owner.relay.isAtBoundary) this.#parts.departure.leaveOld();
    if (this.#parts.inspector.isRunning || this.#parts.boarding.isRunning || this.#parts.overdue.isAsking) {
      seeker.waitFor(Wait.Boundary, 'its state is being asked for, or brought back, or an earlier unit cancelled');
      return Admission.Wait;
    }
    if (this.#owner.ending !== null && this.#owner.relay.isAtBoundary) {
      seeker.later(this.#end);
      return Admission.Wait;
    }
    if (split === null && pooling === null) return seeker.admit(this.#isRepeatable(type, buffer, start, end));
    if (pooling?.hasPrepared(type, buffer, start, end, this.#facts) === true) {
      this.#owner.traffic.counts.parses += 1;
      seeker.later(this.#confirmParse);
      return Admission.Wait;
    }
    const { target, isInTransaction } = this.#owner;
    const choice =
      split !== null
        ? split.choose(type, buffer, start, end, this.#facts(), target, isInTransaction)
        : pooling?.choose(type, buffer, start, end, this.#facts());
    if (choice === null || choice === undefined) return Admission.More;
    if (this.#answersItself(choice)) return Admission.Wait;
    return seeker.admit(this.#isRepeatable(type, buffer, start, end), choice);
  }

  onUnitGoesOn(): boolean {
    const { split, seeker, boarding } = this.#parts;
    if (split === null || this.#owner.target !== 'standby' || this.#owner.isInTransaction) return false;
    seeker.waitFor(Wait.State, 'what it has prepared is to be used');
    this.#state.ended(TransactionStatus.Idle);
    boarding.endUnit();
    return true;
  }

  onClientFrame(type: number, buffer: Buffer, start: number, end: number): void {
    this.#state.sent(type, buffer, start, end, this.#facts);
  }

  substituteFor(type: number, buffer: Buffer, start: number, end: number): Buffer | null {
    return this.#parts.pooling?.substituteFor(type, buffer, start, end) ?? null;
  }

  onTerminate(): void {
    this.#owner.close(CloseReason.Terminated, null);
  }

  onClientViolation(message: string): void {
    this.#owner.close(CloseReason.ClientViolation, fatalOf(new SwitchyardError('protocol_violation', message)));
  }

  onClientEnd(): void {
    this.#isEnding = true;
    if (this.#owner.relay.isQuiet || this.#owner.relay.isWaiting) this.#owner.close(CloseReason.ClientGone, null);
  }

  onClientClose(): void {
    this.#owner.close(CloseReason.ClientGone, null);
  }

  // ---- the backend

  onParameter(buffer: Buffer, start: number, end: number): boolean {
    return this.#parts.greeter.note(buffer, start, end);
  }

  onAcknowledged(type: number): void {
    this.#state.acknowledged(type);
  }

  onCommandEnd(type: number, buffer: Buffer, start: number, end: number): void {
    this.#state.commandEnded(type, buffer, start, end);
  }

  onStalePlan(): Replay | null {
    return this.#state.prepareAgain();
  }

  onUnitTakenBack(): void {
    this.#context.counters.replays.add('plan_changed');
    this.#owner.traffic.drops(true);
    this.#state.failed();
    this.#state.ended(TransactionStatus.Idle);
  }

  onRefusal(fields: ErrorFields): boolean {
    if (this.#parts.split === null || this.#owner.target !== 'standby') return false;
    // The first statement of a transaction can still take it elsewhere.
    if (this.#owner.isInTransaction && !this.#parts.split.canLeaveTransaction) return false;
    this.#refusal = this.#parts.split.refusal(fields, this.#state.failing);
    if (this.#refusal !== null) this.#context.counters.refusedReads.add(fields.sqlState);
    return this.#refusal !== null;
  }

  onUnitsRefused(): void {
    this.#owner.traffic.drops(false);
    const berth = this.#parts.berths.attached;
    if (berth === null) return;
    // The unit that has waited for the end of these is read behind them.
    if (this.#parts.seeker.wait === Wait.Boundary) this.#parts.seeker.stopWaiting();
    if (this.#refusal === Refusal.Elsewhere) this.#parts.seeker.avoid(berth.backend.identity.node);
    else this.#parts.split?.chooser.refuse(this.#state.outstanding.length);
    if (this.#owner.isInTransaction) {
      this.#owner.leaveTransaction(berth);
      return;
    }
    this.#state.refused();
    if (!berth.applied.isKnown) this.#parts.berths.giveBack(berth, 'refused');
  }

  onCommandFailed(): void {
    this.#state.failed();
  }

  onSubstituteEnd(): void {
    this.#state.ended(TransactionStatus.Idle);
    this.#state.settle();
    if (this.#isEnding) this.#owner.close(CloseReason.ClientGone, null);
    else {
      this.#parts.listening.keep();
      this.#parts.pooling?.rest();
    }
  }

  transactionEnd(type: number, buffer: Buffer, start: number, end: number): TransactionEnd | null {
    return this.#state.transactionEnd(type, buffer, start, end, this.#facts);
  }

  onTransactionReopened(): void {
    this.#parts.boarding.mustBegin = 'BEGIN';
  }

  mayTakeBack(): boolean {
    const { split } = this.#parts;
    const { isInTransaction, target } = this.#owner;
    const first = this.#state.oldestUnit;
    if (this.#context.limits.replayBytes === 0 || first === undefined) return false;
    // All that a split session runs on a standby are reads.
    if (split !== null && target === 'standby') return !isInTransaction || split.canLeaveTransaction;
    return !isInTransaction && canRunAgain(first.repeat);
  }

  onBackendError(fields: ErrorFields): Buffer | null {
    const { target, isInTransaction } = this.#owner;
    if (target === 'standby') this.#parts.split?.refusedLate(fields, isInTransaction ? null : this.#state.failing);
    this.#state.failed();
    this.#parts.split?.failed();
    // A user may have asked for a read-only transaction; a primary that went read-only would speak of recovery.
    const isWrongRole =
      fields.sqlState === '25006' && this.#owner.target === 'primary' && fields.message.includes('recovery');
    if (isWrongRole) this.#context.counters.wrongRoleErrors += 1;
    // Of the statement itself the client would have heard what the proxy has heard, had it been there.
    const cause = this.#parts.boarding.causeOf(fields);
    return cause === null ? this.#parts.overdue.inPlaceOf(fields) : errorOf(cause);
  }

  onUnitEnd(): void {
    const berth = this.#parts.berths.attached;
    const status = this.#owner.relay.backend?.transactionStatus ?? TransactionStatus.Idle;
    this.#context.counters.units.add(this.#owner.target ?? 'none');
    this.#owner.traffic.ends(status === TransactionStatus.Idle, this.#owner.relay.isQuiet);
    if (berth !== null) this.#parts.split?.unitEnded(this.#state.oldestUnit, berth, status);
    this.#parts.settler.unitEnded();
    this.#state.ended(status);
  }

  onQuiet(): void {
    this.#state.settle();
    this.#parts.berths.rested();
    if (this.#isEnding) this.#owner.close(CloseReason.ClientGone, null);
    else if (this.#owner.ending !== null && this.#owner.relay.isAtBoundary) this.#end();
    else if (this.#parts.seeker.wait === Wait.Boundary) {
      this.#parts.seeker.stopWaiting();
      this.#owner.relay.resume();
    }
    this.#parts.inspector.onQuiet();
    this.#parts.pooling?.rest();
  }

  onReplayError(fields: ErrorFields, part: number): void {
    this.#parts.boarding.failed(fields, part);
  }

  onReplayDone(): void {
    const wasAhead = this.#parts.boarding.isAhead;
    const failure = this.#parts.boarding.done();
    if (failure !== null) {
      this.#parts.seeker.later(() => this.#cannotBoard(failure));
      return;
    }
    // The unit is on its way.
    if (wasAhead) return;
    if (!this.#parts.greeter.isGreeted) {
      this.greet();
      this.#parts.pooling?.rest();
      return;
    }
    // What a statement that cannot be prepared is, the primary says.
    const isAtStandby = this.#owner.target === 'standby' && !this.#owner.isInTransaction;
    if (isAtStandby && this.#parts.boarding.lacksStatement) this.#parts.split?.chooser.refuse(1);
    this.#parts.seeker.stopWaiting();
    const mistake = this.#mistake;
    this.#mistake = null;
    if (mistake === null) {
      this.#owner.relay.resume();
      return;
    }
    this.#state.failed();
    this.#state.ended(TransactionStatus.Failed);
    this.#owner.relay.rejectUnit(errorOf(mistake), TransactionStatus.Failed);
  }

  onBackendLost(loss: Loss): void {
    this.#owner.traffic.drops(true);
    const node = loss.backend.identity.node;
    const target = this.#parts.berths.lost();
    this.#parts.inspector.drop();
    this.#parts.boarding.drop();
    this.#parts.overdue.drop();
    this.#mistake = null;
    const { split } = this.#parts;
    if (target === 'primary') split?.primaryLost();
    if (this.#owner.isClosed) return;
    const why = loss.farewell?.sqlState ?? loss.error?.message;
    this.#context.logger.debug({ session: this.#owner.id, node, why }, 'backend lost');
    this.#parts.settler.take(loss, target, split !== null && target === 'standby', split?.areReads === true);
  }

  /** The client asks to cancel what it is doing. Resolves when a node has taken the request, if it was for one. */
  async cancel(): Promise<void> {
    const { cancels } = this.#context.counters;
    const { id, relay } = this.#owner;
    const { backend } = relay;
    if (this.#parts.greeter.isGreeted && this.#parts.seeker.cancelWait()) {
      this.#mistake = null;
      cancels.add('held');
    } else if (backend === null || relay.isQuiet) cancels.add('idle');
    else {
      const outcome = await requestCancel(backend, id, this.#context);
      cancels.add(outcome === CancelOutcome.Forwarded ? 'forwarded' : 'failed');
      // Nobody else got the backend as long as the request might have hit him.
      if (!this.#owner.isClosed) this.#parts.pooling?.rest();
    }
  }

  /** A loss is dealt with, and the session lives. */
  onSettled(): void {
    if (this.#owner.relay.isWaiting) this.#parts.seeker.later(() => this.#owner.relay.resume());
    else if (this.#isEnding) this.#owner.close(CloseReason.ClientGone, null);
    else if (this.#owner.ending !== null) this.#end();
    else this.#parts.listening.keep();
  }

  // ----

  /** See Navigator. */
  #isRepeatable(type: number, buffer: Buffer, start: number, end: number): boolean {
    const { navigator } = this.#parts.seeker;
    return navigator.mindsRepeat && navigator.canRepeat(this.#state.peek(type, buffer, start, end, this.#facts));
  }

  /** What the proxy itself has to say to a unit. True: it waits for that. */
  #answersItself({ mistake, shows }: UnitChoice): boolean {
    const { split, seeker, boarding } = this.#parts;
    const { relay, isInTransaction } = this.#owner;
    // Any node refuses that by itself.
    if (relay.isQuiet && relay.backend?.transactionStatus === TransactionStatus.Failed) return false;
    if (mistake === null && (split === null || shows !== 'fence' || split.isTokenKnown)) return false;
    if (!relay.isQuiet) seeker.waitFor(Wait.Boundary, 'earlier units have not ended');
    else if (mistake !== null && isInTransaction) {
      this.#mistake = mistake;
      seeker.waitFor(Wait.State, 'its transaction is made to fail');
      boarding.failTransaction();
    } else if (mistake !== null) seeker.later(() => relay.rejectUnit(errorOf(mistake)));
    else if (split !== null) seeker.waitForToken(split);
    return true;
  }

  /** The session's state could not be brought to a backend. Without a standby it can live. */
  #cannotBoard(failure: Error): void {
    const berth = this.#parts.berths.attached;
    const { isGreeted } = this.#parts.greeter;
    if (!isGreeted || this.#parts.split === null || berth?.target !== 'standby') {
      this.#owner.close(isGreeted ? CloseReason.CannotMove : CloseReason.BackendRefused, fatalOf(failure));
      return;
    }
    this.#parts.split.chooser.bar(SplitReason.StateRefused);
    this.#parts.berths.giveBack(berth, 'replay_failed');
    this.#owner.relay.resume();
  }
}
