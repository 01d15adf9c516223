import type { Admits, PauseGate, PrimaryGate } from '../session/context.js';

/** The gate of the promotions, which is not open either as long as a database is paused: every session has to ask at its next unit. */
export class GateWithPauses implements PrimaryGate {
  readonly #promotions: PrimaryGate;
  readonly #pauses: PauseGate;

  constructor(promotions: PrimaryGate, pauses: PauseGate) {
    this.#promotions = promotions;
    this.#pauses = pauses;
  }

  get admits(): Admits {
    return this.#promotions.admits;
  }

  get isOpen(): boolean {
    return this.#promotions.isOpen && !this.#pauses.isAny;
  }

  get reason(): string {
    return this.#promotions.reason;
  }

  hasChangedSince(sinceMs: number): boolean {
    return this.#promotions.hasChangedSince(sinceMs);
  }
}
