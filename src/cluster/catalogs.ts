import { NodeError } from '../backend/node-error.js';
import { messageOf } from '../errors.js';
import type { Logger } from '../log.js';
import type { SqlAnalyzer } from '../sql/analysis.js';
import { Catalog } from '../sql/catalog.js';
import type { CatalogRules } from '../sql/catalog-rules.js';
import { Backoff } from '../util/backoff.js';
import type { Clock } from '../util/clock.js';
import { loadCatalog } from './catalog-loader.js';
import type { LoadedCatalog } from './catalog-loader.js';
import type { MonitorQuery } from './monitor-query.js';

/** Databases whose catalogues are kept at one time. */
export const CATALOGS_MAX = 64;
/** With so many of them nobody who is only curious gets another one loaded. */
const CURIOUS_MAX = CATALOGS_MAX / 2;
/** Catalogues that are loaded at one time: a proxy that starts must not fall upon a primary with all databases at once. */
const LOADS_MAX = 2;
/** After DDL it is loaded again so soon, however much DDL there is. */
const CHANGED_MS = 1_000;
/** The same for names that it does not know; doubled as long as there was nothing new, up to the refresh. */
const MISSED_MS = 5_000;
const RETRY_FIRST_MS = 1_000;
const RETRY_CEILING_MS = 60_000;
/** What could not be confirmed for so many times `refreshMs`, and for so long, is not believed any more. */
const STALE_REFRESHES = 10;
const STALE_MS = 600_000;
/** Log-ins that fail for good: there is no such database, or no right to enter it (appendix A of PostgreSQL's documentation). */
const NO_DATABASE = '3D000';
const NO_RIGHT = '42501';

export interface CatalogsParts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly monitor: Pick<MonitorQuery, 'talk'>;
  /** Asked at each loading. */
  readonly analyzer: () => SqlAnalyzer;
  /** Hears how each loading ended. */
  readonly onLoad?: (outcome: 'ok' | 'failed') => void;
}

/** What can be changed while it runs. */
export interface CatalogsOptions {
  readonly refreshMs: number;
  readonly rules: CatalogRules;
}

interface Entry {
  readonly database: string;
  readonly backoff: Backoff;
  catalog: Catalog | null;
  fingerprint: string | null;
  /** When it was asked for last; entries that nobody asks for make room for others. */
  askedAtMs: number;
  /** When it was confirmed last by a loading. */
  confirmedAtMs: number;
  startedAtMs: number;
  /** When the next loading is due. */
  dueAtMs: number;
  isLoading: boolean;
  /** Something has changed while it was being loaded. */
  isOutdated: boolean;
  missedMs: number;
  /** The loading that is due, or under way, is for the sake of a name that was missed. */
  isForMissed: boolean;
  /** What the last loading failed with; null: it did not fail. */
  trouble: string | null;
}

/**
 * What is known of the names in each database that split sessions use: loaded when it is first asked for, confirmed (or loaded again) when it
 * has grown old and when something has probably changed, by whoever asks next. Nobody waits for it.
 */
export class Catalogs {
  readonly #parts: CatalogsParts;
  readonly #entries = new Map<string, Entry>();
  #options: CatalogsOptions;
  #loads = 0;
  #saidFull = false;
  #isClosed = false;

  constructor(options: CatalogsOptions, parts: CatalogsParts) {
    this.#options = options;
    this.#parts = parts;
  }

  /** How many databases are known. */
  get size(): number {
    return this.#entries.size;
  }

  /** The catalogue of a database; null while there is none. Asking begins the loading that is due. */
  of(database: string): Catalog | null {
    const nowMs = this.#parts.clock.nowMs();
    const entry = this.#entries.get(database) ?? this.#open(database, nowMs);
    if (entry === null) return null;
    entry.askedAtMs = nowMs;
    if (nowMs >= entry.dueAtMs) this.#begin(entry, nowMs);
    if (entry.catalog !== null && nowMs - entry.confirmedAtMs > this.#staleMs) entry.catalog = null;
    return entry.catalog;
  }

  /** The same for somebody who is only curious: what he asks for takes no room that sessions may need. */
  lookAt(database: string): Catalog | null {
    return this.#entries.has(database) || this.#entries.size < CURIOUS_MAX ? this.of(database) : null;
  }

  /** Why there is no catalogue, or no new one, in one sentence; null when nothing is wrong. */
  troubleOf(database: string): string | null {
    return this.#entries.get(database)?.trouble ?? null;
  }

  /** DDL was run in the database, and committed as far as is known. */
  changed(database: string): void {
    const entry = this.#entries.get(database);
    if (entry === undefined) return;
    entry.isOutdated = entry.isLoading;
    this.#hasten(entry, CHANGED_MS);
  }

  /** A statement names a function that the catalogue does not know. */
  missed(database: string): void {
    const entry = this.#entries.get(database);
    if (entry === undefined || entry.isLoading) return;
    entry.isForMissed = true;
    this.#hasten(entry, entry.missedMs);
  }

  /** New rules hold at once, and judge again what was judged. */
  reconfigure(options: CatalogsOptions): void {
    this.#options = options;
    for (const entry of this.#entries.values()) {
      if (entry.catalog !== null) entry.catalog = new Catalog(entry.catalog.snapshot, options.rules);
      if (entry.trouble === null) entry.dueAtMs = Math.min(entry.dueAtMs, entry.startedAtMs + options.refreshMs);
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#entries.clear();
  }

  get #staleMs(): number {
    return Math.max(STALE_MS, STALE_REFRESHES * this.#options.refreshMs);
  }

  /** Null: there are too many, and all of them in use. */
  #open(database: string, nowMs: number): Entry | null {
    if (this.#isClosed || (this.#entries.size >= CATALOGS_MAX && !this.#makeRoom(database, nowMs))) return null;
    const entry: Entry = {
      database,
      backoff: new Backoff({ firstMs: RETRY_FIRST_MS, ceilingMs: RETRY_CEILING_MS }),
      catalog: null,
      fingerprint: null,
      askedAtMs: nowMs,
      confirmedAtMs: nowMs,
      startedAtMs: nowMs,
      dueAtMs: nowMs,
      isLoading: false,
      isOutdated: false,
      missedMs: MISSED_MS,
      isForMissed: false,
      trouble: null,
    };
    this.#entries.set(database, entry);
    return entry;
  }

  #makeRoom(database: string, nowMs: number): boolean {
    let oldest: Entry | null = null;
    for (const entry of this.#entries.values()) {
      if (oldest === null || entry.askedAtMs < oldest.askedAtMs) oldest = entry;
    }
    if (oldest === null || nowMs - oldest.askedAtMs < this.#options.refreshMs) {
      if (!this.#saidFull) {
        const fields = { database, databasesMax: CATALOGS_MAX };
        this.#parts.logger.warn(fields, 'too many databases are read at one time: reads of this one go to the primary');
      }
      this.#saidFull = true;
      return false;
    }
    this.#entries.delete(oldest.database);
    return true;
  }

  /** It is due `gapMs` after the last loading began, and not before the pause after a failure. */
  #hasten(entry: Entry, gapMs: number): void {
    if (entry.trouble === null) entry.dueAtMs = Math.min(entry.dueAtMs, entry.startedAtMs + gapMs);
  }

  #begin(entry: Entry, nowMs: number): void {
    if (entry.isLoading || this.#loads >= LOADS_MAX) return;
    entry.isLoading = true;
    entry.isOutdated = false;
    entry.startedAtMs = nowMs;
    this.#loads += 1;
    void this.#load(entry);
  }

  async #load(entry: Entry): Promise<void> {
    const { monitor, analyzer, clock } = this.#parts;
    const { database, fingerprint, catalog } = entry;
    const known = catalog === null ? null : fingerprint;
    try {
      const loaded = await monitor.talk(database, (ask) => loadCatalog(ask, database, analyzer(), known));
      if (!this.#isClosed) this.#loaded(entry, loaded);
    } catch (error) {
      if (!this.#isClosed) this.#failed(entry, error);
    } finally {
      this.#loads -= 1;
      entry.isLoading = false;
      if (entry.isOutdated) this.#hasten(entry, Math.max(CHANGED_MS, clock.nowMs() - entry.startedAtMs));
    }
  }

  #loaded(entry: Entry, loaded: LoadedCatalog | null): void {
    const { clock, logger, onLoad } = this.#parts;
    const { refreshMs, rules } = this.#options;
    const nowMs = clock.nowMs();
    const { database } = entry;
    const isInVain = loaded === null && entry.isForMissed;
    entry.missedMs = isInVain ? Math.min(entry.missedMs * 2, Math.max(refreshMs, MISSED_MS)) : MISSED_MS;
    entry.isForMissed = false;
    entry.confirmedAtMs = nowMs;
    entry.dueAtMs = nowMs + refreshMs;
    entry.backoff.reset();
    if (loaded !== null) {
      const isFirst = entry.catalog === null;
      entry.catalog = new Catalog(loaded.snapshot, rules);
      entry.fingerprint = loaded.fingerprint;
      const fields = { database, functions: loaded.snapshot.functions.length, views: loaded.snapshot.views.length };
      if (entry.trouble !== null) logger.info(fields, 'the catalogue is loaded: reads can go to standbys');
      else logger.debug(fields, isFirst ? 'the catalogue is loaded' : 'the catalogue has changed');
    }
    entry.trouble = null;
    onLoad?.('ok');
  }

  #failed(entry: Entry, error: unknown): void {
    const { clock, logger, onLoad } = this.#parts;
    const sqlState = error instanceof NodeError ? error.sqlState : null;
    // Another database may come by the name.
    if (sqlState === NO_DATABASE) entry.catalog = null;
    entry.dueAtMs = clock.nowMs() + entry.backoff.next();
    const trouble = messageOf(error);
    if (trouble !== entry.trouble) {
      const hint = sqlState === NO_RIGHT ? 'GRANT CONNECT ON DATABASE ... TO the monitor role' : undefined;
      const effect = entry.catalog === null ? 'its reads go to the primary' : 'the one there is stays in use';
      logger.warn({ database: entry.database, error: trouble, hint }, `a catalogue cannot be loaded: ${effect}`);
    }
    entry.trouble = trouble;
    onLoad?.('failed');
  }
}
