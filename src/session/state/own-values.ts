import { OWN_PREFIX } from './set-local.js';
import type { Leftovers } from './leftovers.js';

const DEFAULT_ISOLATION = 'default_transaction_isolation';
const DEFAULT_READ_ONLY = 'default_transaction_read_only';

/** What a boolean setting takes for true (documentation, "Parameter Names and Values"). */
const TRUE = /^(?:on|1|t|tr|tru|true|y|ye|yes)$/i;

/** The values of settings that the proxy itself goes by, as the session has set them. */
export class OwnValues {
  readonly #leftovers: Leftovers;
  readonly #initial: ReadonlyMap<string, string>;
  /** The full names, so that they are not put together for each unit. */
  readonly #names = new Map<string, string>();

  /** `initial`: what they are where the session has not set them, by their names without the prefix. */
  constructor(leftovers: Leftovers, initial: ReadonlyMap<string, string>) {
    this.#leftovers = leftovers;
    this.#initial = initial;
  }

  /** Of a setting of the proxy itself, by its name without the prefix; null: not set. */
  of(name: string): string | null {
    const { settings, locals } = this.#leftovers.remains;
    // Asked for each unit, and most sessions have set nothing.
    if (settings.size === 0 && locals.size === 0 && this.#initial.size === 0) return null;
    let full = this.#names.get(name);
    if (full === undefined) {
      full = OWN_PREFIX + name;
      this.#names.set(name, full);
    }
    return this.#leftovers.setting(full)?.value ?? this.#initial.get(name) ?? null;
  }

  /** New transactions are serializable, or may be; null: the session has not said. */
  get isSerializable(): boolean | null {
    const kept = this.#leftovers.setting(DEFAULT_ISOLATION);
    if (kept === null) return null;
    return kept.value === null || kept.value.toLowerCase() === 'serializable';
  }

  /** New transactions are surely read only; null: the session has not said. */
  get isReadOnlyByDefault(): boolean | null {
    const kept = this.#leftovers.setting(DEFAULT_READ_ONLY);
    if (kept === null) return null;
    return kept.value !== null && TRUE.test(kept.value);
  }
}
