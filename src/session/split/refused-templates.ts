import { LRUCache } from 'lru-cache';
import type { Logger } from '../../log.js';
import type { Clock } from '../../util/clock.js';

/** Most templates that are remembered, of all databases. */
export const TEMPLATES_MAX = 10_000;
/** Most characters of all of them together; one that is longer than that is not remembered. */
export const TEMPLATE_CHARS_MAX = 8 * 1024 * 1024;
/** After so long a template has another chance: a function or a view may have been changed. */
const FORGET_MS = 10 * 60_000;
/** So many refusals within a minute are a storm. */
const STORM_REFUSALS = 100;
const STORM_MS = 60_000;
/** Longest part of a template that is logged, in characters. */
const LOGGED_CHARS = 300;

/**
 * Statements that a standby has refused, by database and template: they are writes from then on. Says so in the log, once for each template,
 * and once for a storm of refusals; templates hold no literals.
 */
export class RefusedTemplates {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #templates: LRUCache<string, true>;
  #stormSinceMs = Number.NEGATIVE_INFINITY;
  #stormCount = 0;

  constructor(clock: Clock, logger: Logger) {
    this.#clock = clock;
    this.#logger = logger;
    this.#templates = new LRUCache({
      max: TEMPLATES_MAX,
      maxSize: TEMPLATE_CHARS_MAX,
      sizeCalculation: (_value, key) => key.length,
      ttl: FORGET_MS,
      // No timers of its own: the clock is ours.
      ttlResolution: 0,
      perf: { now: () => clock.nowMs() },
    });
  }

  get size(): number {
    return this.#templates.size;
  }

  has(database: string, template: string): boolean {
    return this.#templates.size > 0 && this.#templates.has(keyOf(database, template));
  }

  /** A standby has refused the statement, with this error. */
  add(database: string, template: string, sqlState: string, message: string): void {
    const key = keyOf(database, template);
    const isNew = !this.#templates.has(key);
    this.#templates.set(key, true);
    const shown = template.slice(0, LOGGED_CHARS);
    if (isNew) {
      this.#logger.info(
        { database, template: shown, sqlState, message },
        'a standby refused a read: it goes to the primary',
      );
    }
    const nowMs = this.#clock.nowMs();
    if (nowMs - this.#stormSinceMs > STORM_MS) {
      this.#stormSinceMs = nowMs;
      this.#stormCount = 0;
    }
    this.#stormCount += 1;
    if (this.#stormCount === STORM_REFUSALS) {
      this.#logger.warn(
        {
          database,
          template: shown,
          sqlState,
          refusals: STORM_REFUSALS,
          withinMs: Math.round(nowMs - this.#stormSinceMs),
        },
        'standbys refuse many reads: see routing.write_functions',
      );
    }
  }

  /** What was refused may not be any more: functions or views have changed. */
  clear(): void {
    this.#templates.clear();
  }
}

function keyOf(database: string, template: string): string {
  return `${database}\0${template}`;
}
