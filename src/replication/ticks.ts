import type { Lsn } from '../dcs/claims.js';
import type { NodeName } from '../util/brand.js';
import { lsnBytesBehind } from './lsn.js';
import { TickHistory } from './tick-history.js';
import type { Tick } from './tick-history.js';

/** Whose positions these are. Positions of two timelines cannot be compared. */
export interface TickSource {
  readonly node: NodeName;
  readonly timeline: number;
}

/** The answer to a sample of the source. */
export interface TickSample {
  /** What `send` gave. */
  readonly number: number;
  readonly source: TickSource;
  /** Monotonic time at which the sample was sent. */
  readonly sentAtMs: number;
  /** Up to where the source has flushed its WAL: what lag is measured against. */
  readonly lsn: Lsn;
  /** The flushed WAL may end in the middle of a record, which no standby can replay before the rest is flushed. */
  readonly mayBeCut: boolean;
  /** What holds everything that was done on the source before the sample was sent, flushed or not (see `recordEnd`); null: unknown. */
  readonly fenceLsn: Lsn | null;
}

/** How far a standby is behind. */
export interface Lag {
  /** Bytes between the newest tick and what was replayed; null: unknown, or not comparable (another timeline). */
  readonly bytes: number | null;
  /** Milliseconds since the standby last had everything the primary had; 0 when it has all of the newest tick; null: unknown. */
  readonly ms: number | null;
  /** False when `ms` is only a lower bound: nothing is known about when the standby was last up to date. */
  readonly exact: boolean;
  /** The newest tick the standby is caught up to; null: to none that is kept. */
  readonly tick: Tick | null;
}

/** What is asked about one standby. */
export interface LagQuestion {
  readonly replayLsn: Lsn | null;
  /** The timeline the standby is on; null: unknown. */
  readonly timeline: number | null;
  readonly nowMs: number;
  /** When the standby was last known to have all that the primary had, by the ticks of any source; null: never. */
  readonly caughtUpAtMs: number | null;
}

export interface TicksOptions {
  /** Ticks kept. See {@link tickCapacity}. */
  readonly capacity: number;
  /**
   * How long the newest tick is believed when no new one comes (no primary, or none that answers), in milliseconds. Until then the lag
   * is measured against the last position known of the primary, so that reads on standbys go on through a failover; after it every lag
   * is unknown.
   */
  readonly beliefMs: number;
  /** The least time between two ticks that are kept for long; 0 by default. */
  readonly spacingMs?: number;
}

/** A failover by lease (30 s in Patroni) and its promotion fit into this with room to spare. */
export const TICK_BELIEF_MS = 60_000;

const RING_FACTOR = 4;
const RING_MIN = 1024;
const RING_MAX = 65_536;

/** Ticks to keep so that they cover well over `maxLagMs` when one comes every `intervalMs`; between 1,024 and 65,536. */
export function tickCapacity(maxLagMs: number, intervalMs: number): number {
  const wanted = Math.ceil((RING_FACTOR * maxLagMs) / Math.max(1, intervalMs));
  return Math.min(RING_MAX, Math.max(RING_MIN, Number.isFinite(wanted) ? wanted : RING_MAX));
}

const UNKNOWN_LAG: Lag = { bytes: null, ms: null, exact: false, tick: null };

/**
 * The ticks of one cluster. A standby is *caught up to* the newest tick whose position it has replayed; everything about freshness follows
 * from that, without the clock of another machine and without growth on an idle primary.
 *
 * Each tick has two positions. Lag is measured by what the primary had flushed: what it has only inserted no standby can have, and the
 * tail of what did not commit may stay in its buffers for seconds. A fence needs all that was inserted: with `synchronous_commit = off`
 * a commit is acknowledged before it is flushed.
 */
export class Ticks {
  readonly #flushed: TickHistory;
  readonly #inserted: TickHistory;
  readonly #beliefMs: number;
  /** A tick whose position may be in the middle of a record; it counts as soon as more has been flushed. */
  #cut: Tick | null;
  #source: TickSource | null;
  #lastSent: number;
  #lastRecorded: number;

  constructor(options: TicksOptions) {
    const { capacity, spacingMs = 0 } = options;
    this.#flushed = new TickHistory(capacity, spacingMs);
    this.#inserted = new TickHistory(capacity, spacingMs);
    this.#beliefMs = options.beliefMs;
    this.#cut = null;
    this.#source = null;
    this.#lastSent = 0;
    this.#lastRecorded = 0;
  }

  /** The newest tick that lag is measured against. */
  get newest(): Tick | null {
    return this.#flushed.newest;
  }

  get oldest(): Tick | null {
    return this.#flushed.oldest;
  }

  /** Whose positions these are; null before the first tick. */
  get source(): TickSource | null {
    return this.#source;
  }

  /**
   * The fence of a unit whose answer has just come: the first tick whose sample is sent from now on. A sample already under way may be
   * older than the commit. A standby that is caught up to a tick with this number, or a higher one, has the unit's effects.
   */
  get fence(): number {
    return this.#lastSent + 1;
  }

  /** Number of the newest tick that is recorded; 0 before the first. What `caughtUpTick` says holds until this changes. */
  get lastRecorded(): number {
    return this.#lastRecorded;
  }

  /** To be called right before a sample of the primary is sent: gives the number of its tick. A number may stay without a tick. */
  send(): number {
    this.#lastSent += 1;
    return this.#lastSent;
  }

  /**
   * Keeps the answer to a sample. Another node, another timeline, or a position that went back (a crash lost WAL that was never flushed)
   * begins anew. An answer older than the newest tick, or one that was never sent, is ignored: false.
   */
  record({ number, source, sentAtMs, lsn, mayBeCut, fenceLsn }: TickSample): boolean {
    if (number > this.#lastSent || number <= this.#lastRecorded) {
      return false;
    }
    const isSame = this.#source?.node === source.node && this.#source.timeline === source.timeline;
    if (!isSame || this.#goesBack(lsn, fenceLsn)) {
      this.#flushed.clear();
      this.#inserted.clear();
      this.#cut = null;
      this.#source = source;
    }
    this.#lastRecorded = number;
    this.#recordFlushed({ number, sentAtMs, lsn }, mayBeCut);
    if (fenceLsn !== null) {
      this.#inserted.push({ number, sentAtMs, lsn: fenceLsn });
    }
    return true;
  }

  /** Number of the newest tick of which a standby on the source's timeline has everything: what a fence is compared with. Null: of none. */
  caughtUpTick(replayLsn: Lsn): number | null {
    return this.#inserted.reachedBy(replayLsn)?.number ?? null;
  }

  /**
   * The position that a standby must have replayed to be caught up to this tick; null while neither it nor a later one is recorded. It
   * may be higher than needed, never lower, where the tick itself failed or is no longer kept.
   */
  lsnOf(number: number): Lsn | null {
    return this.#inserted.firstFrom(number)?.lsn ?? null;
  }

  /**
   * The lag of a standby. Behind all of them (or on another timeline, where positions cannot be compared) it is counted from the last
   * time the standby was caught up at all; where that is not known either, from the oldest tick, as a lower bound.
   */
  lag(question: LagQuestion): Lag {
    const { newest, oldest } = this;
    if (newest === null || oldest === null || this.#source === null || question.replayLsn === null) {
      return UNKNOWN_LAG;
    }
    if (question.nowMs - newest.sentAtMs > this.#beliefMs) {
      return UNKNOWN_LAG;
    }
    const comparable = question.timeline === this.#source.timeline;
    const tick = comparable ? this.#flushed.reachedBy(question.replayLsn) : null;
    const bytes = comparable ? lsnBytesBehind(newest.lsn, question.replayLsn) : null;
    if (tick !== null) {
      return { bytes, ms: tick === newest ? 0 : Math.max(0, question.nowMs - tick.sentAtMs), exact: true, tick };
    }
    const exact = question.caughtUpAtMs !== null;
    const sinceMs = question.caughtUpAtMs ?? oldest.sentAtMs;
    return { bytes, ms: Math.max(0, question.nowMs - sinceMs), exact, tick };
  }

  #goesBack(lsn: Lsn, fenceLsn: Lsn | null): boolean {
    const before = this.#cut ?? this.#flushed.newest;
    const fenceBefore = this.#inserted.newest;
    return (
      (before !== null && lsn < before.lsn) || (fenceBefore !== null && fenceLsn !== null && fenceLsn < fenceBefore.lsn)
    );
  }

  /**
   * A busy primary whose commits are asynchronous flushes whole pages and nothing else, so that nearly every position may be in the middle
   * of a record; an idle one may stand at such a position for seconds, and no standby can reach it. So a tick like that has to wait until
   * it is passed.
   */
  #recordFlushed(tick: Tick, mayBeCut: boolean): void {
    if (this.#cut !== null && tick.lsn > this.#cut.lsn) {
      this.#flushed.push(this.#cut);
    }
    this.#cut = mayBeCut ? tick : null;
    if (!mayBeCut) {
      this.#flushed.push(tick);
    }
  }
}
