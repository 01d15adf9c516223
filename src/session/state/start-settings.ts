import type { Kept } from './kept.js';
import { noRemains } from './remains.js';
import type { Remains } from './remains.js';

/**
 * Settings that a session has from the beginning though its backends were not opened with them, and that it goes back to when it resets
 * them. RESET on such a backend goes back to what the node has; before the session's next unit it is told again.
 */
export class StartSettings {
  readonly #settings: ReadonlyMap<string, Kept>;
  #areLost = false;

  constructor(settings: ReadonlyMap<string, Kept>) {
    this.#settings = settings;
  }

  /** What a session has before its first unit. */
  get remains(): Remains {
    return this.isEmpty ? noRemains : { ...noRemains, settings: this.#settings };
  }

  get isEmpty(): boolean {
    return this.#settings.size === 0;
  }

  /** Some of them may be reset. */
  get areLost(): boolean {
    return this.#areLost;
  }

  /** Something has happened that may have reset some. */
  lose(): void {
    if (!this.isEmpty) this.#areLost = true;
  }

  has(name: string): boolean {
    return this.#settings.has(name);
  }

  /** Takes those that are reset for set again: gives what there is then, and what the backend lacks of it. */
  restore(current: Remains): { readonly remains: Remains; readonly lost: readonly Kept[] } {
    this.#areLost = false;
    const { settings, locals } = current;
    const lost = [...this.#settings].filter(([name]) => !settings.has(name) && !locals.has(name));
    if (lost.length === 0) return { remains: current, lost: [] };
    // They were there before anything else.
    return { remains: { ...current, settings: new Map([...lost, ...settings]) }, lost: lost.map(([, kept]) => kept) };
  }
}
