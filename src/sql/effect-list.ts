import type { Effect } from './analysis.js';
import type { PinReason } from './pin-reason.js';

/** The effects of one statement while they are found. What a statement does twice is kept once. */
export class EffectList {
  readonly effects: Effect[] = [];
  readonly #pinned = new Set<string>();

  add(effect: Effect): void {
    this.effects.push(effect);
  }

  /** `name`: of the object that is left behind, where there is one. */
  pin(reason: PinReason, name: string | null = null): void {
    const key = name === null ? reason : `${reason} ${name}`;
    if (this.#pinned.has(key)) return;
    this.#pinned.add(key);
    this.effects.push({ kind: 'pin', reason, name });
  }

  unpin(reason: PinReason, name: string | null = null): void {
    this.effects.push({ kind: 'unpin', reason, name });
  }
}
