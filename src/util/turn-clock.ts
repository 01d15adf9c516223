import type { Clock } from './clock.js';

/**
 * Reads a clock once in each turn of the event loop, however often it is asked: for figures that are added up unit by unit, where being
 * off by a turn does not matter and a reading for each would cost more than what it measures. Monotonic, like the clock itself.
 */
export class TurnClock {
  readonly #clock: Pick<Clock, 'nowMs'>;
  #nowMs = 0;
  #isRead = false;
  readonly #endTurn = (): void => {
    this.#isRead = false;
  };

  constructor(clock: Pick<Clock, 'nowMs'>) {
    this.#clock = clock;
  }

  nowMs(): number {
    if (!this.#isRead) {
      this.#isRead = true;
      this.#nowMs = this.#clock.nowMs();
      // Runs when all that has come in this turn has been dealt with.
      setImmediate(this.#endTurn);
    }
    return this.#nowMs;
  }
}
