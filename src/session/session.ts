import type { Backend } from '../backend/backend.js';
import { SwitchyardError } from '../errors.js';
import { SessionTraffic } from '../metrics/traffic.js';
import type { Wire } from '../net/wire.js';
import { TransactionStatus } from '../protocol/codes.js';
import type { ErrorFields } from '../protocol/error-fields.js';
import type { CollectTable } from '../protocol/frame-scanner.js';
import type { Relay } from '../relay/relay.js';
import { StreamRelay } from '../relay/stream-relay.js';
import { PinReason } from '../sql/pin-reason.js';
import type { NodeName } from '../util/brand.js';
import { Berths } from './berths.js';
import type { Berth, BerthsOwner, Target } from './berths.js';
import { Boarding } from './boarding.js';
import type { BoardingOwner } from './boarding.js';
import { CloseReason } from './close-reason.js';
import type { SessionContext, SessionIntent } from './context.js';
import { Conversation } from './conversation.js';
import type { ConversationOwner, Ending } from './conversation.js';
import { Departure } from './departure.js';
import { Greeter } from './greeter.js';
import type { SessionIdentity } from './identity.js';
import { Inspector } from './inspector.js';
import { DecisionMemory } from './last-decision.js';
import type { LastDecision } from './last-decision.js';
import { Listening } from './listening.js';
import { LossSettler } from './loss/loss-settler.js';
import type { SettlerOwner } from './loss/loss-settler.js';
import { errorOf, fatalOf } from './loss/loss.js';
import { newState } from './new-state.js';
import { Pooling } from './pooled/pooling.js';
import { sharesBackends } from './pooled/startup-settings.js';
import { Seeker } from './seeker.js';
import type { SeekerOwner } from './seeker-owner.js';
import type { UnitChoice } from './split/chooser.js';
import { decisionNotice } from './split/decision-notice.js';
import { IdleStandby } from './split/idle-standby.js';
import { Split } from './split/split.js';
import type { SessionState } from './state/session-state.js';
import { OverdueUnit } from './timeouts/overdue-unit.js';
import { isForNode, Wait } from './wait.js';

/** One client from log-in to close: it answers what its relay asks, and lets its seeker find the nodes. */
export class Session implements ConversationOwner, SeekerOwner, SettlerOwner, BerthsOwner, BoardingOwner {
  readonly id: number;
  readonly identity: SessionIdentity;
  readonly intent: SessionIntent;
  readonly isPooled: boolean;
  readonly startedAtMs: number;
  readonly state: SessionState;
  readonly relay: Relay;
  /** Its unit that ran longer than it may. */
  readonly overdue: OverdueUnit;
  readonly traffic: SessionTraffic;
  /** Its client's, to be looked at. */
  readonly wire: Wire;
  readonly #context: SessionContext;
  readonly #seeker: Seeker;
  readonly #settler: LossSettler;
  readonly #greeter: Greeter;
  readonly #conversation: Conversation;
  readonly #inspector: Inspector;
  readonly #departure: Departure;
  readonly #berths: Berths;
  readonly #boarding: Boarding;
  /** Null: all units go the same way. */
  readonly #split: Split | null;
  readonly #listening: Listening;
  readonly #idleStandby: IdleStandby | null;
  /** Null: it keeps its backends. */
  readonly #pooling: Pooling | null;
  #isClosed = false;
  readonly #decisions = new DecisionMemory();
  /** Set while a shutdown or a drain waits for the next boundary. */
  #ending: Ending | null = null;

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
    const isSplit = intent.route === 'split';
    this.id = id;
    this.identity = identity;
    this.intent = intent;
    this.startedAtMs = context.clock.nowMs();
    this.isPooled = sharesBackends(intent, identity.isReplication);
    this.state = newState(identity, this.isPooled, context);
    this.#context = context;
    this.wire = wire;
    this.traffic = new SessionTraffic(context.traffic.enter(identity.database, identity.user), context.turnClock);
    this.#greeter = new Greeter(identity, intent, context.greetings, (name) => this.state.hasLost(name));
    this.#berths = new Berths(this, context);
    this.#boarding = new Boarding(this, this.#berths, this.#greeter, isSplit || this.isPooled, context);
    this.#split = isSplit ? new Split(this.state, identity.database, intent, context.split) : null;
    this.#seeker = new Seeker(this, this.#berths, this.#split, context);
    this.#settler = new LossSettler(this, this.#seeker, context);
    this.#inspector = new Inspector(this, context);
    this.#listening = new Listening(this, this.#seeker, context);
    this.#idleStandby = this.#split === null ? null : new IdleStandby(this, this.#berths, this.#split, context);
    this.#pooling = this.isPooled ? new Pooling(this, this.#berths, context) : null;
    this.overdue = new OverdueUnit(this, context);
    this.#departure = new Departure(this, this.#berths, context);
    const parts = {
      state: this.state,
      greeter: this.#greeter,
      berths: this.#berths,
      boarding: this.#boarding,
      seeker: this.#seeker,
      split: this.#split,
      pooling: this.#pooling,
      settler: this.#settler,
      inspector: this.#inspector,
      listening: this.#listening,
      departure: this.#departure,
      overdue: this.overdue,
    };
    this.#conversation = new Conversation(this, parts, context);
    const { messageBytes } = context.limits;
    const relayLimits = { messageBytesMax: messageBytes, replayBytesMax: () => context.limits.replayBytes };
    this.relay = new StreamRelay(wire, rest, this.#conversation, collect, relayLimits, context.counters, this.traffic);
    this.relay.askAtUnit = isSplit || this.isPooled;
  }

  get backend(): Backend | null {
    return this.relay.backend;
  }

  /** Where it is attached now. */
  get node(): NodeName | null {
    return this.relay.backend?.identity.node ?? null;
  }

  /** As what that node was chosen. */
  get target(): Target | null {
    return this.#berths.attached?.target ?? null;
  }

  /** Those that it has now, the attached one first. */
  get berths(): readonly Berth[] {
    return [this.#berths.attached, this.#berths.parked].filter((berth) => berth !== null);
  }

  /** It has a backend there that was chosen as such, attached or not. */
  isOn(node: NodeName, target: Target): boolean {
    return this.#berths.of(target)?.backend.identity.node === node;
  }

  /** The nodes on which it has a backend, the attached one first. */
  get nodes(): readonly NodeName[] {
    return this.berths.map(({ backend }) => backend.identity.node);
  }

  /** It is in the middle of something there. */
  isBusyOn(node: NodeName): boolean {
    return !this.#isClosed && this.node === node && !this.relay.isAtBoundary;
  }

  /** Where the last unit went, and why; null: there was none. */
  get lastDecision(): LastDecision | null {
    return this.#decisions.last;
  }

  get ending(): Ending | null {
    return this.#ending;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  get isInTransaction(): boolean {
    return (this.relay.backend?.transactionStatus ?? TransactionStatus.Idle) !== TransactionStatus.Idle;
  }

  get isAtBoundary(): boolean {
    return this.relay.isAtBoundary;
  }

  /** See SeekerOwner. */
  fits(backend: Backend): boolean {
    return this.#pooling?.fits(backend) === true;
  }

  /** See BerthsOwner. */
  isFreeOf(berth: Berth): boolean {
    return this.#pooling?.isFreeOf(berth) === true;
  }

  /** See BerthsOwner. DISCARD ALL leaves the temporary slots of a replication connection. */
  get isCleanable(): boolean {
    return !this.identity.isReplication && this.state.isCleanable;
  }

  get wait(): Wait | null {
    return this.#seeker.wait;
  }

  /** Since when its next unit has waited for a node or a backend, monotonic; null: it does not. */
  get waitSinceMs(): number | null {
    return this.#seeker.holding.sinceMs ?? this.traffic.waitSinceMs;
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
    if (remembered === null) this.#seeker.admit(true);
    else this.#conversation.greet(remembered);
  }

  /** Tells the client why, if there is a reason to, and ends. */
  end(reason: CloseReason, error: SwitchyardError | null): void {
    this.close(reason, error === null ? null : fatalOf(error));
  }

  /** Ends the session at its next boundary, or now if it is at one. */
  endAtBoundary(reason: CloseReason, error: Error): void {
    if (this.relay.isAtBoundary) this.close(reason, fatalOf(error));
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

  /** Gives idle backends on `node` back, so that nothing there waits for this session. */
  leaveIfIdle(node: NodeName): void {
    this.#departure.leaveIfIdle(node);
    this.#listening.keep();
  }

  /** The same with idle backends that an operator wants closed. */
  leaveOld(): void {
    this.#departure.leaveOld();
    this.#listening.keep();
  }

  /** Asks anew for a node, if that is what it waits for. */
  askAnew(): void {
    if (!isForNode(this.#seeker.wait) || this.#isClosed) return;
    this.#seeker.stopWaiting();
    this.onRetry();
  }

  /** Takes the session off its node if it is not at a boundary, because it is in the way there. */
  evict(why: string): void {
    this.#departure.evict(why);
  }

  /** Asks the node now, if the session has a backend there, what it has left behind; if that may free it and it is at a boundary. */
  inspect(node: NodeName): void {
    this.#departure.inspect(node);
  }

  /** The client of this session asked to cancel what it is doing. Resolves when a node has taken the request, if it was for one. */
  cancel(): Promise<void> {
    return this.#conversation.cancel();
  }

  // ---- SettlerOwner, BerthsOwner, BoardingOwner

  onSettled(): void {
    this.#conversation.onSettled();
  }

  /** The cancel request for an overdue unit is over: what has waited for that may be sent. */
  onCancelOver(): void {
    if (this.#isClosed || !this.relay.isQuiet) return;
    if (this.#seeker.wait === Wait.Boundary) {
      this.#seeker.stopWaiting();
      this.relay.resume();
    }
    this.#pooling?.rest();
  }

  onLeft({ target, applied }: Berth): void {
    if (this.isPooled) this.state.leave(applied);
    if (target === 'standby') this.#split?.standbyLeft();
  }

  onParkedLost(berth: Berth, farewell: ErrorFields | null): void {
    this.#departure.parkedLost(berth, farewell);
  }

  ownSettingShown(name: string): string | null {
    return this.#split?.shown(name) ?? null;
  }

  // ---- SeekerOwner

  inspectHere(): void {
    this.#inspector.inspect();
  }

  takeUp(berth: Berth, choice: UnitChoice | null): boolean {
    return !this.#boarding.takeUp(berth, choice);
  }

  leaveTransaction(berth: Berth): void {
    this.#boarding.mustBegin = this.#split?.takeBegun() ?? null;
    this.state.abandon(true);
    this.#berths.giveBack(berth, 'move');
  }

  onAdmitted(target: Target, reason: string, choice: UnitChoice | null): void {
    this.#decisions.note(target, this.node, reason, this.#context.turnClock.nowMs());
    this.#context.counters.routed.add(this.intent.route, target, reason);
    const isAlone = this.relay.isQuiet || this.#boarding.isAhead;
    this.#split?.admitted(isAlone);
    if (choice !== null) this.#pooling?.admitted(choice);
    if (this.#split !== null || this.isPooled) this.#berths.used();
    if (this.#split?.explains === true && isAlone) this.relay.say(decisionNotice(target, this.node, reason));
  }

  onBackend(berth: Berth): void {
    const isReplaying = this.#boarding.board(berth);
    this.#departure.arrived();
    this.#idleStandby?.arrived(berth);
    this.relay.askAtUnit =
      this.#split !== null || this.isPooled || isReplaying || this.#ending !== null || !this.#context.gate.isOpen;
    // Nothing of the client may run before the session's state is there.
    if (isReplaying) return;
    if (this.#greeter.isGreeted) {
      this.#boarding.tellParameters();
      this.relay.resume();
    } else this.#conversation.greet();
    this.#pooling?.rest();
  }

  onAwaited(berth: Berth, choice: UnitChoice | null): void {
    this.#boarding.receive(berth);
    this.#departure.arrived();
    this.#pooling?.goOn(choice);
  }

  onRetry(): void {
    if (this.#isClosed) return;
    if (!this.#greeter.isGreeted) {
      this.#seeker.admit(true);
      return;
    }
    this.relay.resume();
    // No unit asked: the client's input had only been stopped for an earlier one.
    if (this.relay.isWaiting) return;
    this.#seeker.holding.leave();
    this.#listening.keep();
  }

  onRejected(error: Error, isFinal: boolean): void {
    if (this.#isClosed) return;
    this.#boarding.mustBegin = null;
    if (this.#greeter.isGreeted && !isFinal) {
      if (this.relay.isWaiting) this.relay.rejectUnit(errorOf(error));
      else this.#listening.refused();
      return;
    }
    const isNoNode = error instanceof SwitchyardError && /^no_(primary|standby)$/.test(error.code);
    this.close(isNoNode ? CloseReason.NoNode : CloseReason.BackendRefused, fatalOf(error));
  }

  /** Says `last`, if anything, and ends; at once and without a word when the stream is broken. */
  close(reason: CloseReason, last: Buffer | null, isBroken = false): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#settler.drop();
    this.#inspector.drop();
    this.#idleStandby?.close();
    this.overdue.drop();
    this.#seeker.close();
    if (isBroken) this.relay.destroy();
    else this.relay.close(last);
    this.#context.counters.sessionsClosed.add(reason);
    this.#context.traffic.leave(this.traffic.traffic);
    this.#context.registry.remove(this, reason);
  }
}
