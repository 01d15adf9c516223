import type { HistoryEntry } from '../dcs/claims.js';
import type { ProbeSample } from '../replication/probe.js';
import type { NodeName } from '../util/brand.js';
import type { NodeProof } from './policy.js';
import { Witnesses } from './witnesses.js';
import type { Witness } from './witnesses.js';

/** What is remembered of a cluster's timelines, so that no primary of earlier times is taken for the one of now. */
export class Past {
  readonly #witnesses = new Witnesses();
  /** The highest timeline that a chosen primary was on; 0: none was chosen yet. */
  #provenTimeline = 0;
  /** When the reading that last showed a leader key was asked for. */
  #decidedAtMs = Number.NEGATIVE_INFINITY;

  /** Takes note of what a node has shown. */
  note(node: NodeName, sample: ProbeSample): void {
    this.#witnesses.note(node, sample);
  }

  /** A leader key was there, by a reading that was asked for at that time. */
  decided(confirmedAtMs: number | null): void {
    this.#decidedAtMs = confirmedAtMs ?? Number.NEGATIVE_INFINITY;
  }

  /** A primary was chosen on this timeline. */
  proved(timeline: number): void {
    this.#provenTimeline = Math.max(this.#provenTimeline, timeline);
  }

  /** See {@link Witnesses.strike}. */
  strike(node: NodeName): void {
    this.#witnesses.strike(node);
  }

  /** Bounds the memory of nodes that are not `present`. */
  prune(present: ReadonlyMap<NodeName, unknown>): void {
    this.#witnesses.prune(present);
  }

  /** Forgets every timeline, but not when the key was read. */
  forget(): void {
    this.#provenTimeline = 0;
    this.#witnesses.forget();
  }

  /** A primary must be on this timeline at least. */
  highestTimeline(history: readonly HistoryEntry[]): number {
    return Math.max(this.#provenTimeline, historyTimeline(history));
  }

  /** What nodes of this system have shown after the leader key was last read; all that they ever showed when it never was. */
  news(systemIdentifier: string | null): readonly Witness[] {
    return this.#of(systemIdentifier).filter(({ sinceMs }) => sinceMs > this.#decidedAtMs);
  }

  /**
   * A cluster can go back to an older timeline: a restore, or a Patroni that comes back from a long sleep and writes its name over
   * another's. The newer timeline is given up when nobody is on it any more: the key, read after everybody was heard, names a primary
   * on the older one (whose proof this is), and *every* node that was ever seen on the newer one has come over: it streams on the older
   * one, or is that primary. While one of them is missing, what was acknowledged may still be on it, and the operator decides.
   *
   * Returns the timeline that was given up; null when none was.
   */
  goBackTo(proof: NodeProof, systemIdentifier: string | null, history: readonly HistoryEntry[]): number | null {
    if (proof.status !== 'primary' || proof.timeline === null || proof.systemIdentifier !== systemIdentifier) {
      return null;
    }
    const { timeline } = proof;
    const lost = this.#provenTimeline;
    if (timeline >= lost || timeline < historyTimeline(history)) {
      return null;
    }
    const isHeard = (witness: Witness): boolean => witness.timeline <= timeline && witness.sinceMs <= this.#decidedAtMs;
    if (!this.#of(systemIdentifier).every(isHeard)) {
      return null;
    }
    this.#provenTimeline = timeline;
    return lost;
  }

  #of(systemIdentifier: string | null): readonly Witness[] {
    const { all } = this.#witnesses;
    return systemIdentifier === null ? all : all.filter((witness) => witness.systemIdentifier === systemIdentifier);
  }
}

/** What `history` says: the last line tells the timeline that ended, so a primary lives on a later one. */
function historyTimeline(history: readonly HistoryEntry[]): number {
  const last = history.at(-1);
  return last === undefined ? 0 : last.timeline + 1;
}
