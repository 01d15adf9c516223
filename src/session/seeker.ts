import type { Backend } from '../backend/backend.js';
import { NodeError } from '../backend/node-error.js';
import { SwitchyardError } from '../errors.js';
import { Admission } from '../relay/relay.js';
import { HoldReason, RouteReason } from '../routing/router.js';
import type { RouteDecision } from '../routing/router.js';
import type { NodeName } from '../util/brand.js';
import type { ClockTimer } from '../util/clock.js';
import { soon } from '../util/soon.js';
import { BackendSource } from './backend-source.js';
import type { Berth, Berths, Target } from './berths.js';
import type { SessionContext } from './context.js';
import { Holding } from './holding.js';
import type { HoldRefusal } from './hold.js';
import { Navigator } from './navigator.js';
import type { NodeDecision } from './navigator.js';
import { noWay, outOfTime, passingRefusal, retryDelayMs, tooManyHeld } from './refusal.js';
import { greeting } from './split/chooser.js';
import type { UnitChoice } from './split/chooser.js';
import type { SeekerOwner } from './seeker-owner.js';
import type { Split } from './split/split.js';
import { TOKEN_WAIT_MS } from './split/progress-wait.js';
import type { ProgressDone } from './split/progress-wait.js';
import { SplitReason } from './split/split-reason.js';
import { Wait } from './wait.js';

/** Finds the node for each unit of a session: stays, moves, waits for a backend, or is held until there is a node. One unit waits at a time. */
export class Seeker {
  readonly holding: Holding;
  readonly navigator: Navigator;
  readonly #owner: SeekerOwner;
  readonly #context: SessionContext;
  readonly #berths: Berths;
  readonly #split: Split | null;
  readonly #source: BackendSource;
  #wait: Wait | null = null;
  #waitReason = '';
  #timer: ClockTimer | null = null;
  #isClosed = false;
  /** The primary was this session's once: it may wait for room there to come back. */
  #hadPrimary = false;
  /** The unit that waits could be sent again. */
  #isRepeatable = false;
  readonly #onAnswer = (error: Error | null, backend: Backend | null, decision: NodeDecision): void => {
    this.stopWaiting();
    if (backend === null) this.#onRefused(error ?? new Error('no backend'), decision);
    else this.#onBackend(backend, decision);
  };
  readonly #retry = (): void => {
    this.stopWaiting();
    this.#owner.onRetry();
  };
  /** Where the unit that asks, or waits, wants to go; null: as the session's route says. */
  #choice: UnitChoice | null = null;

  constructor(owner: SeekerOwner, berths: Berths, split: Split | null, context: SessionContext) {
    this.#owner = owner;
    this.#berths = berths;
    this.#split = split;
    this.#context = context;
    this.navigator = new Navigator(owner, split, context);
    this.#source = new BackendSource(owner, context);
    this.holding = new Holding(owner.identity, context);
  }

  get wait(): Wait | null {
    return this.#wait;
  }

  /** One sentence for people; empty when nothing waits. */
  get waitReason(): string {
    return this.#waitReason;
  }

  /** As what the node of the attached backend was chosen. */
  get target(): Target {
    return this.#berths.attached?.target ?? 'primary';
  }

  /** What the unit that asks, or waits, is for; a greeting is the primary's if there is one. */
  get #need(): Target {
    const { intent } = this.#owner;
    return this.#choice?.target ?? (intent.route === 'standby' ? 'standby' : 'primary');
  }

  /** Asked at the first message of a unit, or for the greeting. `isRepeatable`: see `Navigator.canRepeat`. */
  admit(isRepeatable: boolean, choice: UnitChoice | null = null): Admission {
    if (this.#isClosed || this.#wait !== null) return Admission.Wait;
    this.#choice = choice;
    this.#isRepeatable = isRepeatable;
    const { relay, isInTransaction } = this.#owner;
    if (relay.backend !== null) {
      if (!relay.isQuiet) {
        const { isOpen } = this.#context.gate;
        if (choice !== null && this.#canFollow(choice, isOpen)) return this.#follow(choice);
        this.waitFor(Wait.Boundary, 'earlier units have not ended');
        return Admission.Wait;
      }
      if (isInTransaction) return this.#stayIn(choice);
    }
    const settled = this.#settled();
    if (settled !== null) return this.#useNow(settled, choice?.reason ?? RouteReason.Stays);
    const known = this.#owner.isPooled ? this.navigator.known(this.#need) : null;
    const decision = known ?? this.#decide(this.#current());
    switch (decision.kind) {
      case 'node':
        return this.#goTo(decision);
      case 'hold':
        // Each unit of a split session has a choice.
        if (choice === null && this.#mayGreetOnStandby) return this.admit(isRepeatable, greeting);
        return this.#hold(decision.reason, decision.message);
      case 'error':
      default:
        this.later(() => this.#reject(noWay(decision)));
        return Admission.Wait;
    }
  }

  waitFor(what: Wait, reason: string): void {
    this.#wait = what;
    if (what !== Wait.Boundary && what !== Wait.State) this.#owner.traffic.waits();
    this.#waitReason = reason;
  }

  /** Ends the wait, whatever it is for; a backend under way is not taken. */
  stopWaiting(): void {
    if (this.#timer !== null) this.#context.clock.clearTimer(this.#timer);
    this.#timer = null;
    this.#split?.progress.cancel();
    if (this.#source.isBusy) this.#berths.expect(null);
    this.#source.cancel();
    this.#wait = null;
    this.#waitReason = '';
    this.#owner.traffic.waitEnds();
  }

  /** The client wants the unit no more that waits for a node; false: none does. */
  cancelWait(): boolean {
    if (this.#wait === null || this.#wait === Wait.Boundary || this.#wait === Wait.Judgement) return false;
    this.stopWaiting();
    this.#reject(new SwitchyardError('query_canceled', 'canceling statement due to user request'));
    return true;
  }

  /** Does something that must not happen inside a call of the relay; the unit waits meanwhile. */
  later(run: () => void): void {
    this.waitFor(Wait.Boundary, '');
    soon(() => {
      if (this.#isClosed) return;
      this.stopWaiting();
      run();
    });
  }

  /** The next unit is not for this standby. */
  avoid(node: NodeName): void {
    this.navigator.avoid(node);
  }

  /** Lets the unit wait that shows the session's fence. */
  waitForToken(split: Split): void {
    const isKnown = (): boolean => split.isTokenKnown;
    this.#waitForProgress(split, 'the position of the primary', isKnown, TOKEN_WAIT_MS, (hasArrived) => {
      if (hasArrived) this.#owner.onRetry();
      else this.#reject(new SwitchyardError('no_primary', 'the position of the primary is not known'));
    });
  }

  close(): void {
    this.#isClosed = true;
    this.stopWaiting();
    this.holding.leave();
    this.#berths.close();
  }

  /** Without a primary a standby can tell as well what the client of a split session is greeted with. */
  get #mayGreetOnStandby(): boolean {
    return this.#split !== null && !this.#owner.state.isListening;
  }

  /** The backend that needs no thought to be the right one. */
  #settled(): Berth | null {
    if (this.#split === null || this.#choice === null) return null;
    const berth = this.#berths.of(this.#choice.target);
    return berth !== null && this.navigator.isSettled(berth) ? berth : null;
  }

  /** The node that a unit for the present target would stay on. */
  #current(): NodeName | null {
    const berth = this.#split === null ? this.#berths.attached : this.#berths.of(this.#need);
    if (berth !== null) return berth.backend.identity.node;
    return this.#owner.isPooled ? this.#berths.lastNode(this.#need) : null;
  }

  #decide(current: NodeName | null): RouteDecision {
    return this.navigator.decide(this.#need, current, this.#alsoOn, this.#isRepeatable);
  }

  get #alsoOn(): NodeName | null {
    return this.#berths.of('primary')?.backend.identity.node ?? null;
  }

  /** A transaction stays where it is, unless that is a standby, nothing has come of it yet, and this is not for a standby. */
  #stayIn(choice: UnitChoice | null): Admission {
    const berth = this.#berths.attached;
    if (berth === null || choice === null) return Admission.Go;
    if (choice.leaves && this.#split?.canLeaveTransaction === true) {
      this.#owner.leaveTransaction(berth);
      return this.admit(true, { ...choice, target: 'primary', leaves: false });
    }
    return this.#useNow(berth, choice.reason);
  }

  #canFollow(choice: UnitChoice, isOpen: boolean): boolean {
    if (this.#owner.state.mayLose) return false;
    if (this.#split !== null) return this.#split.canFollow(choice, this.target, isOpen);
    return isOpen && choice.names !== 'all' && !this.#owner.state.needsPreparing(choice);
  }

  /** A pipelined unit goes where those before it are. */
  #follow(choice: UnitChoice): Admission {
    const reason = this.target === choice.target ? choice.reason : SplitReason.Pipelined;
    this.#owner.onAdmitted(this.target, reason, choice);
    return Admission.Go;
  }

  #goTo(decision: NodeDecision): Admission {
    const { attached } = this.#berths;
    if (this.#split === null) {
      if (attached?.backend.identity.node === decision.node) return this.#useNow(attached, decision.reason);
      return attached === null ? this.#acquire(decision) : this.#move(attached, decision);
    }
    // No standby has what the session has seen, but one may have it in a moment.
    const isFenced = decision.reason === RouteReason.Fence && !this.navigator.isAvoiding;
    if (isFenced && this.#split.homecoming.isDue) return this.#waitForStandby(this.#split);
    const berth = this.#berths.of(decision.target);
    if (berth?.backend.identity.node === decision.node) {
      if (decision.target === this.#need) berth.settledIn = this.#context.view();
      return this.#useNow(berth, this.#reasonOf(decision));
    }
    return berth === null ? this.#acquire(decision) : this.#move(berth, decision);
  }

  #useNow(berth: Berth, reason: string): Admission {
    const { relay } = this.#owner;
    relay.askAtUnit = this.#split !== null || this.#owner.isPooled || !this.#context.gate.isOpen;
    if (!this.#owner.takeUp(berth, this.#choice)) {
      this.waitFor(Wait.State, `its state is brought to ${berth.backend.identity.node}`);
      return Admission.Wait;
    }
    this.#admitted();
    this.#owner.onAdmitted(berth.target, reason, this.#choice);
    return Admission.Go;
  }

  /** The router wants the session elsewhere, and it is at a boundary. */
  #move(berth: Berth, decision: NodeDecision): Admission {
    const { state } = this.#owner;
    // A standby does not listen.
    const isBound = state.pinReason !== null || (state.isListening && decision.target === 'standby');
    // What must be left at once was cut when the view changed; whatever is only not the best may stay.
    if (isBound && (this.#split === null || berth.target === 'primary')) return this.#useNow(berth, RouteReason.Stays);
    this.#berths.giveBack(berth, 'move');
    return this.#acquire(decision);
  }

  #acquire(decision: NodeDecision): Admission {
    const request = this.#source.requestFor(decision);
    if (request === null) return this.#hold('node_unknown', `node ${decision.node} has left the cluster`);
    const shared = this.#owner.isPooled && this.#choice !== null ? this.#source.takeShared(request) : null;
    if (shared !== null) return this.#useNow(this.#arrived(shared, decision), this.#reasonOf(decision));
    const { primaryHold } = this.#context;
    const isNewcomer = this.#need === 'primary' && !this.holding.isQueued;
    if (isNewcomer && primaryHold.isBusy) return this.#hold('no_room', primaryHold.trouble?.message ?? '');
    this.waitFor(Wait.Backend, `a backend on ${decision.node}`);
    this.#berths.expect(decision.node);
    const isQueued = this.#source.ask(request, decision, this.#onAnswer);
    // It waits for others now and not for the node: the next of the held may have a try.
    if (isQueued) this.holding.leaveQueue();
    return Admission.Wait;
  }

  #onBackend(backend: Backend, decision: NodeDecision): void {
    // The world may have moved while the backend was made, and another session may have left what cannot be taken away.
    const isFit = !this.#owner.isPooled || this.#owner.fits(backend);
    // Else the one that is there is being asked something by the proxy itself, and has to stay on the relay.
    const canPark = this.#owner.relay.isAtBoundary;
    if (!isFit || !canPark || !this.navigator.isStillRight(this.#need, decision, this.#alsoOn, this.#isRepeatable)) {
      this.#berths.unwanted(backend, isFit);
      this.#owner.onRetry();
      return;
    }
    const berth = this.#arrived(backend, decision);
    if (this.#owner.isPooled && this.#choice !== null && this.#owner.relay.isWaiting) {
      this.#owner.onAwaited(berth, this.#split === null ? this.#choice : null);
      return;
    }
    this.#owner.onBackend(berth);
    this.#admitted();
  }

  #arrived(backend: Backend, { target, reason }: NodeDecision): Berth {
    this.#hadPrimary ||= target === 'primary';
    if (this.#berths.attached !== null) this.#berths.park();
    return this.#berths.arrived(backend, target, reason);
  }

  #onRefused(error: Error, decision: NodeDecision): void {
    this.#berths.expect(null);
    const { clock, limits } = this.#context;
    if (this.#split !== null && decision.target === 'standby') {
      // The primary has everything that a standby has.
      this.navigator.avoid(decision.node);
      this.#context.suspect(decision.node);
      this.#owner.onRetry();
      return;
    }
    const refusal = passingRefusal(error, decision.node, this.holding.sinceMs !== null || this.#hadPrimary);
    if (refusal !== null) {
      this.#context.suspect(decision.node);
      this.holding.refused(refusal);
      if (this.#need === 'primary') {
        this.#hold(refusal.isFull ? 'no_room' : 'refused', refusal.message, refusal);
        return;
      }
      this.holding.begin();
      if (clock.nowMs() - (this.holding.sinceMs ?? 0) < limits.holdTimeoutMs) {
        this.holding.leaveQueue();
        this.waitFor(Wait.Retry, refusal.message);
        this.#timer = clock.setTimer(retryDelayMs(this.holding.refusals), this.#retry);
        return;
      }
    }
    // A log-in or database that the node does not know will not be known for the next unit either.
    this.#reject(error, error instanceof NodeError && /^(28|3D|0A)/.test(error.sqlState));
  }

  /** `refusal`: it comes back from a node that turned it away just now. */
  #hold(reason: string, message: string, refusal: HoldRefusal | null = null): Admission {
    // A read of a split session that no standby has waits for the primary too.
    const isForPrimary = this.#need === 'primary' || (this.#split !== null && reason !== HoldReason.NoStandby);
    const isHeld = this.holding.enter({
      isForPrimary,
      reason,
      message,
      refusal,
      onRelease: this.#retry,
      onExpire: (trouble) => {
        this.stopWaiting();
        this.#reject(outOfTime(isForPrimary, message, trouble, this.#context.limits.holdTimeoutMs));
      },
    });
    if (isHeld) this.waitFor(Wait.Hold, message);
    else this.later(() => this.#reject(tooManyHeld(message)));
    return Admission.Wait;
  }

  #reject(error: Error, isFinal = false): void {
    this.holding.leave();
    this.navigator.settle();
    this.#owner.onRejected(error, isFinal);
  }

  /** The unit has its node: it waits no more. */
  #admitted(): void {
    this.navigator.settle();
    this.holding.admitted();
  }

  /** What the router says only where it changes what the unit asked for. */
  #reasonOf(decision: NodeDecision): string {
    if (this.#choice === null || this.#choice.target === decision.target)
      return this.#choice?.reason ?? decision.reason;
    return this.navigator.isAvoiding ? SplitReason.Refused : decision.reason;
  }

  #waitForStandby(split: Split): Admission {
    const isThere = (): boolean => {
      const decision = this.#decide(this.#current());
      return decision.kind === 'node' && decision.target === 'standby';
    };
    const { homecoming } = split;
    const what = 'a standby that has what the session has seen';
    this.#waitForProgress(split, what, isThere, homecoming.waitMs, (hasArrived) => {
      homecoming.waited(hasArrived);
      this.#owner.onRetry();
    });
    return Admission.Wait;
  }

  #waitForProgress({ progress }: Split, what: string, isThere: () => boolean, ms: number, done: ProgressDone): void {
    this.waitFor(Wait.Freshness, what);
    progress.begin(isThere, ms, (hasArrived) => {
      this.stopWaiting();
      done(hasArrived);
    });
  }
}
