import { LRUCache } from 'lru-cache';

/** Most different greetings that are remembered. */
const GREETINGS_MAX = 1000;
/** How long a greeting is believed; a change of ALTER ROLE ... SET shows in new sessions after it at the latest. */
const GREETING_TTL_MS = 60_000;

/**
 * What nodes reported at log-in, by target, database, user and startup parameters, so that a client can be greeted without a backend.
 * When a backend is attached later, the client is told what differs.
 */
export class Greetings {
  readonly #cache = new LRUCache<string, ReadonlyMap<string, string>>({ max: GREETINGS_MAX, ttl: GREETING_TTL_MS });

  get(key: string): ReadonlyMap<string, string> | null {
    return this.#cache.get(key) ?? null;
  }

  /** What is known already is believed no longer for it. */
  learn(key: string, parameters: ReadonlyMap<string, string>): void {
    if (!this.#cache.has(key)) this.#cache.set(key, new Map(parameters));
  }

  /** The primary has changed, or the configuration. */
  clear(): void {
    this.#cache.clear();
  }
}
