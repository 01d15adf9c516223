import type { ClockTimer } from '../../util/clock.js';
import type { Berth, Berths } from '../berths.js';
import type { SessionContext } from '../context.js';
import type { Relay } from '../../relay/relay.js';
import type { Split } from './split.js';

/** Gives the backend of a split session on a standby back when it was not used for long enough: for once, or twice that at most. */
export class IdleStandby {
  readonly #owner: { readonly relay: Relay };
  readonly #berths: Berths;
  readonly #split: Split;
  readonly #context: SessionContext;
  #timer: ClockTimer | null = null;

  constructor(owner: { readonly relay: Relay }, berths: Berths, split: Split, context: SessionContext) {
    this.#owner = owner;
    this.#berths = berths;
    this.#split = split;
    this.#context = context;
  }

  /** The session has a new backend. */
  arrived({ target }: Berth): void {
    if (target === 'standby' && this.#timer === null) this.#plan();
  }

  close(): void {
    if (this.#timer !== null) this.#context.clock.clearTimer(this.#timer);
    this.#timer = null;
  }

  #plan(): void {
    this.#timer = this.#context.clock.setTimer(this.#context.limits.standbyIdleMs, () => this.#look());
  }

  #look(): void {
    this.#timer = null;
    const berth = this.#berths.of('standby');
    if (berth === null) return;
    const isFree = berth === this.#berths.parked || this.#owner.relay.isAtBoundary;
    if (this.#split.wasStandbyUsed() || !isFree) this.#plan();
    else this.#berths.giveBack(berth, 'standby_idle');
  }
}
