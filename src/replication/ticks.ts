import type { Lsn } from '../dcs/claims.js';
import type { NodeName } from '../util/brand.js';
import { Ring } from '../util/ring.js';
import { lsnBytesBehind } from './lsn.js';

/** One sample of the primary's WAL position: the clock of freshness. */
export interface Tick {
  /** Grows with every sample that is sent; never starts again, so that a fence stays an integer comparison. */
  readonly number: number;
  /** Monotonic time at which the sample was *sent*: the position is at least as new as this moment. */
  readonly sentAtMs: number;
  readonly lsn: Lsn;
}

/** Whose positions the ring holds. Positions of two timelines cannot be compared. */
export interface TickSource {
  readonly node: NodeName;
  readonly timeline: number;
}

/** How far a standby is behind. */
export interface Lag {
  /** Bytes between the newest tick and what was replayed; null: unknown, or not comparable (another timeline). */
  readonly bytes: number | null;
  /** Milliseconds since the standby last had everything the primary had; 0 when it has all of the newest tick; null: unknown. */
  readonly ms: number | null;
  /** False when `ms` is only a lower bound: nothing is known about when the standby was last up to date. */
  readonly exact: boolean;
  /** The newest tick the standby is caught up to; null: to none of the ring. */
  readonly tick: Tick | null;
}

/** What is asked about one standby. */
export interface LagQuestion {
  readonly replayLsn: Lsn | null;
  /** The timeline the standby is on; null: unknown. */
  readonly timeline: number | null;
  readonly nowMs: number;
  /** When the standby was last known to have all that the primary had, by the ticks of any ring; null: never. */
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
}

/** A failover by lease (30 s in Patroni) and its promotion fit into this with room to spare. */
export const TICK_BELIEF_MS = 60_000;

const RING_FACTOR = 4;
const RING_MIN = 1024;
const RING_MAX = 65_536;

/** Ticks to keep so that the ring covers well over `maxLagMs` when one comes every `intervalMs`; between 1,024 and 65,536. */
export function tickCapacity(maxLagMs: number, intervalMs: number): number {
  const wanted = Math.ceil((RING_FACTOR * maxLagMs) / Math.max(1, intervalMs));
  return Math.min(RING_MAX, Math.max(RING_MIN, Number.isFinite(wanted) ? wanted : RING_MAX));
}

const UNKNOWN_LAG: Lag = { bytes: null, ms: null, exact: false, tick: null };

/**
 * The ring of ticks of one cluster. A standby is *caught up to* the newest tick whose position it has replayed; everything about
 * freshness follows from that, without the clock of another machine and without growth on an idle primary.
 */
export class Ticks {
  readonly #ring: Ring<Tick>;
  readonly #beliefMs: number;
  #source: TickSource | null;
  #lastSent: number;

  constructor(options: TicksOptions) {
    this.#ring = new Ring(options.capacity);
    this.#beliefMs = options.beliefMs;
    this.#source = null;
    this.#lastSent = 0;
  }

  get newest(): Tick | null {
    return this.#ring.newest ?? null;
  }

  get oldest(): Tick | null {
    return this.#ring.oldest ?? null;
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

  /** To be called right before a sample of the primary is sent: gives the number of its tick. A number may stay without a tick. */
  send(): number {
    this.#lastSent += 1;
    return this.#lastSent;
  }

  /**
   * Keeps the answer to the sample `number`. Another node, another timeline, or a position that went back (a crash lost WAL that was
   * never flushed) begins a new ring. An answer older than the newest tick, or one that was never sent, is ignored: null.
   */
  record(number: number, source: TickSource, sentAtMs: number, lsn: Lsn): Tick | null {
    const newest = this.#ring.newest;
    if (number > this.#lastSent || (newest !== undefined && number <= newest.number)) {
      return null;
    }
    const same =
      this.#source !== null && this.#source.node === source.node && this.#source.timeline === source.timeline;
    if (!same || (newest !== undefined && lsn < newest.lsn)) {
      this.#ring.clear();
      this.#source = source;
    }
    const tick: Tick = { number, sentAtMs, lsn };
    this.#ring.push(tick);
    return tick;
  }

  /** The newest tick of the ring whose position is not above `replayLsn`; null when even the oldest is. Takes log2(capacity) steps. */
  caughtUpTo(replayLsn: Lsn): Tick | null {
    let low = 0;
    let high = this.#ring.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const tick = this.#ring.at(middle);
      if (tick !== undefined && tick.lsn <= replayLsn) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return this.#ring.at(low - 1) ?? null;
  }

  /**
   * The lag of a standby. Behind the whole ring (or on another timeline, where positions cannot be compared) it is counted from the last
   * time the standby was caught up at all; where that is not known either, from the oldest tick, as a lower bound.
   */
  lag(question: LagQuestion): Lag {
    const newest = this.#ring.newest;
    const oldest = this.#ring.oldest;
    if (newest === undefined || oldest === undefined || this.#source === null || question.replayLsn === null) {
      return UNKNOWN_LAG;
    }
    if (question.nowMs - newest.sentAtMs > this.#beliefMs) {
      return UNKNOWN_LAG;
    }
    const comparable = question.timeline === this.#source.timeline;
    const tick = comparable ? this.caughtUpTo(question.replayLsn) : null;
    const bytes = comparable ? lsnBytesBehind(newest.lsn, question.replayLsn) : null;
    if (tick !== null) {
      return { bytes, ms: tick === newest ? 0 : Math.max(0, question.nowMs - tick.sentAtMs), exact: true, tick };
    }
    const exact = question.caughtUpAtMs !== null;
    const sinceMs = question.caughtUpAtMs ?? oldest.sentAtMs;
    return { bytes, ms: Math.max(0, question.nowMs - sinceMs), exact, tick };
  }
}
