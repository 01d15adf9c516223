import type { Freshness } from '../../cluster/freshness.js';
import type { Lsn } from '../../dcs/claims.js';
import type { NodeName } from '../../util/brand.js';

/** What a session may count on when it reads from a standby. */
export type Consistency = 'session' | 'eventual' | 'database';

/** Fences of whole databases, for sessions that share one. */
export class DatabaseFences {
  readonly #fences = new Map<string, number>();

  /** The tick that a standby must have caught up to; 0: any. */
  of(database: string): number {
    return this.#fences.get(database) ?? 0;
  }

  /** Ticks only grow, and so does a fence. */
  raise(database: string, tick: number): void {
    if (tick > this.of(database)) this.#fences.set(database, tick);
  }
}

/**
 * Which standbys have everything that a session has seen. What it did on the primary lies before the first tick that is sent after the
 * answer (see replication/ticks.ts); what it read on a standby lies before the first tick sent after that answer too, but the same standby
 * never goes back.
 */
export class SessionFence {
  readonly #freshness: Freshness;
  readonly #database: string;
  readonly #shared: DatabaseFences;
  readonly #mode: () => Consistency;
  /** Every standby must have caught up to this tick. */
  #fence = 0;
  /** Every standby but `#home` must have caught up to this one. */
  #readFence = 0;
  /** Where the session has read last. */
  #home: NodeName | null = null;
  /** Which life of that node it was: once it was started again, it may show less than before. */
  #homeLife: object | null = null;
  /** What another process has handed over: a position that must have been replayed. */
  token: Lsn | null = null;

  constructor(freshness: Freshness, database: string, shared: DatabaseFences, mode: () => Consistency) {
    this.#freshness = freshness;
    this.#database = database;
    this.#shared = shared;
    this.#mode = mode;
  }

  /** A unit has ended on the primary that has read something there, or may have written. */
  sawPrimary(mayHaveWritten: boolean): void {
    // Also where that is of no interest now: the client may ask for more later.
    this.#fence = this.#freshness.fence();
    this.#home = null;
    if (mayHaveWritten && this.#mode() === 'database') this.#shared.raise(this.#database, this.#fence);
  }

  /** A unit has ended on a standby. */
  sawStandby(node: NodeName): void {
    // One that was read from whatever it has may have less than the last.
    this.#home = this.#mode() === 'eventual' && node !== this.#home ? null : node;
    this.#homeLife = this.#freshness.lifeOf(node);
    this.#readFence = this.#freshness.fence();
  }

  /** The standby has everything that the session has seen, and may see no less. */
  isCaughtUp(node: NodeName): boolean {
    const mode = this.#mode();
    if (this.token !== null && !this.#hasReplayed(node, this.token)) return false;
    if (mode === 'eventual') return true;
    let tick = this.#fence;
    if (mode === 'database') tick = Math.max(tick, this.#shared.of(this.#database));
    if (!this.#isHome(node)) tick = Math.max(tick, this.#readFence);
    if (tick === 0) return true;
    const caughtUp = this.#freshness.caughtUpTick(node);
    return caughtUp !== null && caughtUp >= tick;
  }

  #isHome(node: NodeName): boolean {
    return node === this.#home && this.#homeLife !== null && this.#homeLife === this.#freshness.lifeOf(node);
  }

  #hasReplayed(node: NodeName, position: Lsn): boolean {
    const replayed = this.#freshness.replayed(node);
    return replayed !== null && replayed >= position;
  }
}
