import type { Counters, LabelledCounter } from '../metrics/counters.js';

/** What happened to sessions and their units in some stretch of time. Only labels that were counted are there. */
export interface PromotionCounts {
  /** Units held, whatever for. */
  readonly held: number;
  readonly holdTimeouts: number;
  /** Sessions that went on with a backend on another node. */
  readonly moved: number;
  /** Units run again, by why that is right. */
  readonly replayed: Readonly<Record<string, number>>;
  readonly transactionsLost: number;
  readonly inDoubt: number;
  /** Units cut in the middle, by the SQLSTATE that the client was told. */
  readonly unitsCut: Readonly<Record<string, number>>;
  /** Sessions that ended, by the reason. */
  readonly closed: Readonly<Record<string, number>>;
}

/** Reads what has been counted since the start of the program. */
export function readCounts(counters: Counters): PromotionCounts {
  return {
    held: totalOf(counters.holds),
    holdTimeouts: totalOf(counters.holdTimeouts),
    moved: totalOf(counters.moves),
    replayed: Object.fromEntries(counters.replays.entries()),
    transactionsLost: counters.transactionsLost,
    inDoubt: counters.inDoubt,
    unitsCut: Object.fromEntries(counters.unitsCut.entries()),
    closed: Object.fromEntries(counters.sessionsClosed.entries()),
  };
}

/** What was counted between two readings. */
export function countsBetween(before: PromotionCounts, after: PromotionCounts): PromotionCounts {
  return {
    held: after.held - before.held,
    holdTimeouts: after.holdTimeouts - before.holdTimeouts,
    moved: after.moved - before.moved,
    replayed: labelsBetween(before.replayed, after.replayed),
    transactionsLost: after.transactionsLost - before.transactionsLost,
    inDoubt: after.inDoubt - before.inDoubt,
    unitsCut: labelsBetween(before.unitsCut, after.unitsCut),
    closed: labelsBetween(before.closed, after.closed),
  };
}

function totalOf(counter: LabelledCounter<string>): number {
  let total = 0;
  for (const [, count] of counter.entries()) total += count;
  return total;
}

function labelsBetween(
  before: Readonly<Record<string, number>>,
  after: Readonly<Record<string, number>>,
): Readonly<Record<string, number>> {
  const grown = Object.entries(after)
    .map(([label, count]): [string, number] => [label, count - (before[label] ?? 0)])
    .filter(([, count]) => count > 0);
  return Object.fromEntries(grown);
}
