import { SwitchyardError } from '../errors.js';
import type { Logger } from '../log.js';
import { CloseReason } from '../session/close-reason.js';
import type { PauseGate } from '../session/context.js';
import type { Hold } from '../session/hold.js';
import type { SessionRegistry } from '../session/registry.js';
import type { Session } from '../session/session.js';
import type { Clock, ClockTimer } from '../util/clock.js';
import { describeLeft } from './pause-left.js';
import { PauseQueue } from './pause-queue.js';

/** How often sessions are looked at that are to leave their backends: soon at first, and less and less often. */
const LOOK_FIRST_MS = 10;
const LOOK_MAX_MS = 250;

/** The part of the pool that is needed. */
export interface RetiringPool {
  /** Closes the backends of a database, or all (null): the idle ones now, the others as soon as nobody has them. */
  retire(database: string | null, reason: string): void;
  /** How many are still to be closed. */
  retiring(database: string | null): number;
  readonly figures: readonly { readonly database: string; readonly total: number }[];
}

export interface PausesParts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly registry: SessionRegistry;
  readonly pool: RetiringPool;
  readonly releaseWave: number;
  /** Connections that the primary can still take; null: not known. */
  readonly room: () => number | null;
}

/**
 * Databases that an operator has paused, is having connected anew, or has closed to new clients. A database that is not named is every one,
 * also those that nobody has asked for yet. Nothing of it outlives the program.
 */
export class Pauses implements PauseGate {
  readonly #parts: PausesParts;
  readonly #queue: PauseQueue;
  #isAllPaused = false;
  readonly #paused = new Set<string>();
  readonly #disabled = new Set<string>();
  /** What is connected anew, null: all, as long as backends of before are left. */
  readonly #reconnects = new Set<string | null>();
  #timer: ClockTimer | null = null;
  #lookInMs = LOOK_FIRST_MS;

  constructor(parts: PausesParts) {
    this.#parts = parts;
    this.#queue = new PauseQueue(parts.releaseWave, parts.clock, { room: parts.room });
  }

  /** All databases are, and not only some by name. */
  get isAllPaused(): boolean {
    return this.#isAllPaused;
  }

  /** Those that were paused by name. */
  get paused(): readonly string[] {
    return [...this.#paused];
  }

  get disabled(): readonly string[] {
    return [...this.#disabled];
  }

  /** Sessions whose next unit waits. */
  get waiting(): number {
    return this.#queue.length;
  }

  set releaseWave(releaseWave: number) {
    this.#queue.releaseWave = releaseWave;
  }

  get isAny(): boolean {
    return this.#isAllPaused || this.#paused.size > 0;
  }

  get takesBack(): boolean {
    return this.isAny || this.#reconnects.size > 0;
  }

  isPaused(database: string): boolean {
    return this.#isAllPaused || this.#paused.has(database);
  }

  holdOf(database: string): Hold {
    return this.#queue.of(database);
  }

  isDisabled(database: string): boolean {
    return this.#disabled.has(database);
  }

  /**
   * New units wait from now on, and backends are given back and closed where sessions can be without them.
   * @throws SwitchyardError `wrong_state` when everything is paused already
   */
  pause(database: string | null): void {
    if (this.#isAllPaused) throw new SwitchyardError('wrong_state', 'already suspended/paused');
    if (database === null) this.#isAllPaused = true;
    else this.#paused.add(database);
    this.#parts.logger.info({ database: database ?? 'all' }, 'paused');
    for (const session of this.#sessionsOf(database)) {
      session.reconsider();
      session.askAnew();
    }
    this.#lookSoon();
  }

  /**
   * Lets the waiting go. Databases that were paused by name stay so when all are resumed.
   * @throws SwitchyardError `wrong_state` when it is not paused
   */
  resume(database: string | null): void {
    if (database === null) {
      if (!this.#isAllPaused) {
        const named = this.paused.map((name) => `"${name}"`).join(', ');
        const hint = named === '' ? null : `Paused by name: ${named}; RESUME them by name.`;
        throw new SwitchyardError('wrong_state', 'pooler is not paused/suspended', { hint });
      }
      this.#isAllPaused = false;
    } else if (!this.#paused.delete(database)) {
      const hint = this.#isAllPaused ? 'All databases are paused; RESUME without a name.' : null;
      throw new SwitchyardError('wrong_state', `database ${database} is not paused`, { hint });
    }
    const { logger } = this.#parts;
    logger.info({ database: database ?? 'all', waiting: this.waiting }, 'resumed');
    this.#queue.letGo((name) => this.isPaused(name));
    for (const session of this.#sessionsOf(database)) session.reconsider();
  }

  /** No backend of it is left. */
  isEmpty(database: string | null): boolean {
    return this.#backends(database) === 0;
  }

  /** What keeps backends from being closed, as half a sentence; empty when none is left. */
  waitsFor(database: string | null): string {
    const backends = this.#backends(database);
    if (backends === 0) return '';
    const left = this.#sessionsOf(database).filter(({ nodes }) => nodes.length > 0);
    return describeLeft(left, backends - left.length);
  }

  /** Backends that are open now are closed: idle ones at once, the others as soon as their sessions can leave them. */
  reconnect(database: string | null): void {
    const { logger, pool } = this.#parts;
    logger.info({ database: database ?? 'all' }, 'backends are opened anew');
    pool.retire(database, 'reconnect');
    this.#reconnects.add(database);
    for (const session of this.#sessionsOf(database)) session.reconsider();
    this.#lookSoon();
  }

  /** Backends that `reconnect` has not closed yet. */
  retiring(database: string | null): number {
    return this.#parts.pool.retiring(database);
  }

  /**
   * Pauses, and ends sessions and backends at once.
   * @throws SwitchyardError `wrong_state` when everything is paused already
   */
  kill(database: string | null): void {
    this.pause(database);
    for (const session of this.#sessionsOf(database)) end(session);
    this.#lookSoon();
  }

  /** Ends one session. @throws SwitchyardError `unknown_object` */
  killSession(id: number): void {
    for (const session of this.#parts.registry.all()) {
      if (session.id !== id) continue;
      end(session);
      return;
    }
    throw new SwitchyardError('unknown_object', 'client not found');
  }

  disable(database: string): void {
    this.#disabled.add(database);
    this.#parts.logger.info({ database }, 'disabled');
  }

  enable(database: string): void {
    this.#disabled.delete(database);
    this.#parts.logger.info({ database }, 'enabled');
  }

  close(): void {
    if (this.#timer !== null) this.#parts.clock.clearTimer(this.#timer);
    this.#timer = null;
    this.#isAllPaused = false;
    this.#paused.clear();
    this.#reconnects.clear();
    this.#queue.close();
  }

  #lookSoon(): void {
    this.#lookInMs = LOOK_FIRST_MS;
    if (this.#timer !== null) this.#parts.clock.clearTimer(this.#timer);
    this.#timer = null;
    this.#look();
  }

  /** Takes backends from sessions that can be without them, and closes those that nobody has. */
  #look(): void {
    const { pool, registry } = this.#parts;
    for (const session of [...registry.all()]) if (session.nodes.length > 0) session.leaveOld();
    for (const database of this.#isAllPaused ? [null] : this.#paused) pool.retire(database, 'paused');
    for (const database of [...this.#reconnects]) {
      if (pool.retiring(database) === 0) this.#reconnects.delete(database);
    }
    if (this.#timer !== null || !this.takesBack) return;
    this.#timer = this.#parts.clock.setTimer(this.#lookInMs, () => {
      this.#timer = null;
      this.#look();
    });
    this.#lookInMs = Math.min(this.#lookInMs * 2, LOOK_MAX_MS);
  }

  #backends(database: string | null): number {
    let backends = 0;
    for (const each of this.#parts.pool.figures) {
      if (database === null || each.database === database) backends += each.total;
    }
    return backends;
  }

  #sessionsOf(database: string | null): readonly Session[] {
    const all = [...this.#parts.registry.all()];
    return database === null ? all : all.filter(({ identity }) => identity.database === database);
  }
}

/** As a node tells a client whose backend an administrator has ended. */
function end(session: Session): void {
  const message = 'terminating connection due to administrator command';
  session.end(CloseReason.Killed, new SwitchyardError('shutting_down', message));
}
