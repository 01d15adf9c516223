import type { NodeName } from '../util/brand.js';
import type { PromotionCounts } from './promotion-counts.js';
import { Phase, ReleaseOutcome } from './promotion.js';
import type { PromotionState } from './promotion.js';

/** The parts of a promotion as people look at them: the phases of the machine, and what goes before and after. */
export const RecordPhase = {
  /** A switchover is announced: no transaction begins, everything else goes on. */
  Announced: 'announced',
  /** The primary is to be stopped, and nothing new starts on it at all. */
  Draining: 'draining',
  LeaderLost: 'leader_lost',
  Confirming: 'confirming',
  /** Units go on; those that were held are on their way. */
  Releasing: 'releasing',
} as const;
export type RecordPhase = (typeof RecordPhase)[keyof typeof RecordPhase];

/** How it ended. What is under way has no outcome yet. */
export const RecordOutcome = {
  Promoted: ReleaseOutcome.Promoted,
  CalledOff: ReleaseOutcome.CalledOff,
  Returned: ReleaseOutcome.Returned,
  /** Of a drained standby: every session left it. */
  Emptied: 'emptied',
  /** Of a drained standby: some sessions were still on it when the drain ended. */
  NotEmptied: 'not_emptied',
} as const;
export type RecordOutcome = (typeof RecordOutcome)[keyof typeof RecordOutcome];

export interface PhaseRecord {
  readonly phase: RecordPhase;
  /** Wall-clock milliseconds since the epoch. */
  readonly startedAtEpochMs: number;
  /** Null while it lasts. */
  readonly durationMs: number | null;
}

/** One change of the primary, what was meant to become one, or the drain of a standby. Frozen, but for the one that is under way, which is a fresh copy. */
export interface PromotionRecord {
  /** Counts from 1 in each process. */
  readonly id: number;
  readonly outcome: RecordOutcome | null;
  /** The primary before, or the drained standby. */
  readonly from: NodeName;
  /** The primary afterwards; null before there is one, and for a standby. */
  readonly to: NodeName | null;
  readonly timelineFrom: number;
  readonly timelineTo: number | null;
  readonly startedAtEpochMs: number;
  /** From the first sign to the release; null before it. */
  readonly disturbedMs: number | null;
  /** The longest wait of a unit for the primary so far. */
  readonly pauseMs: number;
  readonly phases: readonly PhaseRecord[];
  readonly counts: PromotionCounts;
}

/** What the state is called in a record; null while stable. */
export function recordPhaseOf({ phase, isFirm }: PromotionState): RecordPhase | null {
  switch (phase) {
    case Phase.Stable:
      return null;
    case Phase.Announced:
      return isFirm ? RecordPhase.Draining : RecordPhase.Announced;
    case Phase.LeaderLost:
      return RecordPhase.LeaderLost;
    case Phase.Confirming:
    default:
      return RecordPhase.Confirming;
  }
}

/** The record of a released outcome; null for the first primary since the start, which nobody was promoted for. */
export function recordOutcomeOf(outcome: ReleaseOutcome): RecordOutcome | null {
  return outcome === ReleaseOutcome.First ? null : outcome;
}
