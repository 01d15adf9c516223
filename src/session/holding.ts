import { HoldReason } from '../routing/router.js';
import type { SessionContext } from './context.js';
import type { HoldRefusal, HoldTicket } from './hold.js';
import type { SessionIdentity } from './identity.js';

/** Why a unit is held, and what comes of it. */
export interface HoldOrder {
  /** It waits for the primary; else for a standby. */
  readonly isForPrimary: boolean;
  readonly reason: string;
  /** One sentence. */
  readonly message: string;
  /** It comes back from a node that turned it away just now. */
  readonly refusal: HoldRefusal | null;
  readonly onRelease: () => void;
  /** `trouble`: what nodes said last, if that is why. */
  readonly onExpire: (trouble: HoldRefusal | null) => void;
}

/** How long, and in which queue, the unit of a session is held that waits for a node. One unit at a time. */
export class Holding {
  readonly #identity: SessionIdentity;
  readonly #context: SessionContext;
  /** Kept until the unit is admitted, over all tries. */
  #sinceMs: number | null = null;
  #ticket: HoldTicket | null = null;
  /** The newest refusal of the unit, and how many there were in a row. */
  #refusal: HoldRefusal | null = null;
  #refusals = 0;

  constructor(identity: SessionIdentity, context: SessionContext) {
    this.#identity = identity;
    this.#context = context;
  }

  /** Since when the unit is held; null: it is not. */
  get sinceMs(): number | null {
    return this.#sinceMs;
  }

  /** It stands in a queue. */
  get isQueued(): boolean {
    return this.#ticket !== null;
  }

  get refusals(): number {
    return this.#refusals;
  }

  /** A node turned the unit away. */
  refused(refusal: HoldRefusal): void {
    this.#refusal = refusal;
    this.#refusals += 1;
  }

  /** From now on the time counts. */
  begin(): void {
    this.#sinceMs ??= this.#context.clock.nowMs();
  }

  /** Puts the unit into its queue; false: too many wait already. */
  enter({ isForPrimary, reason, message, refusal, onRelease, onExpire }: HoldOrder): boolean {
    const { counters, logger, primaryHold, standbyHold, pauses } = this.#context;
    const isPaused = reason === HoldReason.Paused;
    const isNew = this.#sinceMs === null;
    this.begin();
    if (refusal !== null) this.#ticket?.refused(refusal);
    this.leaveQueue();
    const hold = isPaused ? pauses.holdOf(this.#identity.database) : isForPrimary ? primaryHold : standbyHold;
    this.#ticket = hold.enter({
      sinceMs: this.#sinceMs ?? 0,
      ...(refusal === null ? {} : { refusal, refusals: this.#refusals }),
      onRelease: () => {
        // A pause may be long: only what comes behind it counts against the time limit.
        if (isPaused) this.#sinceMs = this.#context.clock.nowMs();
        onRelease();
      },
      onExpire: () => {
        counters.holdTimeouts.add(reason);
        onExpire(this.#refusal ?? hold.trouble);
      },
    });
    if (this.#ticket === null) return false;
    if (isNew) {
      counters.holds.add(reason);
      logger.debug({ user: this.#identity.user, reason, why: message }, 'unit held');
    }
    return true;
  }

  /** The unit has its node. */
  admitted(): void {
    const { clock, counters } = this.#context;
    if (this.#sinceMs !== null) counters.holdDuration.observeMs(clock.nowMs() - this.#sinceMs);
    this.#ticket?.leave(true);
    this.#ticket = null;
    this.leave();
  }

  /** Forgets that the unit was held: it is answered, or there is none. */
  leave(): void {
    this.#sinceMs = null;
    this.#refusal = null;
    this.#refusals = 0;
    this.leaveQueue();
  }

  /** It waits for something else now: the next of the held may have a try. */
  leaveQueue(): void {
    this.#ticket?.leave();
    this.#ticket = null;
  }
}
