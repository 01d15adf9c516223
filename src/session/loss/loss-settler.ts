import { TransactionStatus } from '../../protocol/codes.js';
import type { Loss, Relay } from '../../relay/relay.js';
import { assertNever } from '../../util/assert-never.js';
import { SwitchyardError } from '../../errors.js';
import { CloseReason } from '../close-reason.js';
import type { SessionContext } from '../context.js';
import { LossJudge } from './loss-judge.js';
import { judgeLoss } from './loss.js';
import type { LossVerdict } from './loss.js';
import type { Seeker } from '../seeker.js';
import type { Target } from '../berths.js';
import type { SessionState } from '../state/session-state.js';
import type { UnitFacts } from '../state/unit-facts.js';
import { Wait } from '../wait.js';

/** Most times that one unit is sent again. */
const REPLAYS_MAX = 5;
/** Most times when its node broke without a word: the unit itself may be what breaks nodes. */
const BLIND_REPLAYS_MAX = 1;
const IN_DOUBT = '08007';

/** What a settler needs of its session. */
export interface SettlerOwner {
  readonly state: SessionState;
  readonly relay: Relay;
  close(reason: CloseReason, last: Buffer | null, isBroken?: boolean): void;
  /** A loss is dealt with, and the session lives. */
  onSettled(): void;
}

/**
 * Deals with lost backends: has them judged, at once or when it is clear why they were lost, and carries out the verdict. Units go back to
 * be sent again, or are answered, or the session ends.
 */
export class LossSettler {
  readonly #owner: SettlerOwner;
  readonly #context: SessionContext;
  readonly #seeker: Seeker;
  readonly #judge: LossJudge;
  /** How often the oldest unit was sent again. */
  #replays = 0;
  #blindReplays = 0;
  #isClosed = false;
  /** As what the lost backend was chosen. */
  #target: Target = 'primary';
  /** It was a standby's, and the session has another one for all else: its end is never the session's. */
  #isSpare = false;
  /** The units under way are proven to change nothing. */
  #areReads = false;

  constructor(owner: SettlerOwner, seeker: Seeker, context: SessionContext) {
    this.#owner = owner;
    this.#seeker = seeker;
    this.#context = context;
    this.#judge = new LossJudge(context, (loss, isClusterChanging) => this.#settle(loss, isClusterChanging));
  }

  /**
   * A backend was lost that was chosen as `target`; `isSpare`: the session has another one for all that is not a read; `areReads`: what was
   * under way is proven to change nothing, by more than its text.
   */
  take(loss: Loss, target: Target, isSpare: boolean, areReads: boolean): void {
    this.#target = target;
    this.#isSpare = isSpare;
    this.#areReads = areReads;
    if (isSpare) this.#context.suspect(loss.backend.identity.node);
    if (isSpare || loss.error instanceof SwitchyardError) {
      // We cut it ourselves, because the cluster changed.
      this.#settle(loss, true);
      return;
    }
    this.#context.suspect(loss.backend.identity.node);
    this.#judge.take(loss);
    if (this.#judge.isUndecided) this.#seeker.waitFor(Wait.Judgement, 'the node ended the connection');
  }

  /** The picture of the cluster has changed. */
  look(): void {
    this.#judge.look();
  }

  /** The session is closed. */
  drop(): void {
    this.#isClosed = true;
    this.#judge.drop();
  }

  /** A node has answered the oldest unit. */
  unitEnded(): void {
    this.#replays = 0;
    this.#blindReplays = 0;
  }

  #settle(loss: Loss, isClusterChanging: boolean): void {
    if (this.#isClosed) return;
    this.#seeker.stopWaiting();
    const { state } = this.#owner;
    const isBlind = loss.farewell === null && !(loss.error instanceof SwitchyardError);
    const { isListening } = state;
    const units: readonly UnitFacts[] = this.#areReads
      ? state.outstanding.map((unit) => ({ ...unit, isRead: true }))
      : state.outstanding;
    // What the open transaction has left behind is gone with it, and pins nobody.
    state.abandon(loss.canReplay);
    const verdict = judgeLoss(loss, {
      pin: this.#isSpare ? null : state.pinReason,
      target: this.#target,
      isClusterChanging,
      isListening,
      isTired: this.#replays >= REPLAYS_MAX || (isBlind && this.#blindReplays >= BLIND_REPLAYS_MAX),
      units,
    });
    if (verdict.kind === 'replay') {
      // Its other backends there, and those in the pool, may be about to break as well.
      if (this.#isSpare) this.#seeker.avoid(loss.backend.identity.node);
      this.#replays += 1;
      if (isBlind) this.#blindReplays += 1;
    }
    this.#carryOut(verdict, loss);
    if (!this.#isClosed) this.#owner.onSettled();
  }

  #carryOut(verdict: LossVerdict, loss: Loss): void {
    const { relay } = this.#owner;
    const { counters } = this.#context;
    switch (verdict.kind) {
      case 'keep':
        return;
      case 'replay':
        counters.replays.add(verdict.why);
        relay.replayUnits();
        return;
      case 'fail_first':
        this.#countCut(verdict.sqlState);
        if (loss.status !== TransactionStatus.Idle) counters.transactionsLost += 1;
        relay.failFirstUnit(verdict.error, loss.owed, verdict.status);
        if (verdict.status === TransactionStatus.Failed) relay.loseTransaction({ news: null, onCommit: null });
        return;
      case 'finish_first':
        // As if its error had been said: what is left to say is ReadyForQuery.
        relay.failFirstUnit(verdict.error, { ...loss.owed, isErrorSent: true }, TransactionStatus.Idle);
        return;
      case 'fail_all':
        this.#countCut(verdict.sqlState);
        relay.failUnits(verdict.error, loss.owed);
        return;
      case 'lose_transaction':
        counters.transactionsLost += 1;
        relay.loseTransaction(verdict.words);
        if (loss.isUnitCut) relay.replayUnits();
        return;
      case 'close':
        if (verdict.pin !== null) counters.unmovable.add(verdict.pin);
        this.#owner.close(verdict.reason, verdict.error);
        return;
      case 'destroy':
        this.#owner.close(CloseReason.BackendLost, null, true);
        return;
      default:
        assertNever(verdict);
    }
  }

  #countCut(sqlState: string): void {
    const { counters } = this.#context;
    counters.unitsCut.add(sqlState);
    if (sqlState === IN_DOUBT) counters.inDoubt += 1;
  }
}
