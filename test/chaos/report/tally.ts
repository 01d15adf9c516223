import { median } from '../measure/gaps.js';
import type { CounterName } from '../measure/metrics-reading.js';
import type { LoadResult, RoundResult } from '../round.js';

/** Rounds of one kind of fault, summed up. */
export interface Tally {
  readonly fault: string;
  readonly rounds: number;
  readonly gapMedianMs: number;
  readonly gapMaxMs: number;
  readonly floorMedianMs: number;
  readonly floorMaxMs: number;
  readonly counters: Readonly<Record<CounterName, number>>;
  readonly acknowledged: number;
  readonly errors: number;
  /** `SQLSTATE activity` with how often. */
  readonly errorCounts: ReadonlyMap<string, number>;
  readonly dropped: number;
  readonly lost: number;
  readonly doubled: number;
  readonly violations: number;
}

const COUNTERS: readonly CounterName[] = [
  'held',
  'moved',
  'replayed',
  'lostTransactions',
  'inDoubt',
  'unmovable',
  'wrongRole',
];

/** Sums rounds up by fault, in the order in which the faults first came; `of` chooses whose clients are looked at. */
export function tallyByFault(rounds: readonly RoundResult[], of: (round: RoundResult) => LoadResult | null): Tally[] {
  const names = [...new Set(rounds.map((round) => round.fault.name))];
  return names.map((name) =>
    tally(
      name,
      rounds.filter((round) => round.fault.name === name),
      of,
    ),
  );
}

/** Sums up whatever rounds are given. */
export function tally(
  fault: string,
  rounds: readonly RoundResult[],
  of: (round: RoundResult) => LoadResult | null,
): Tally {
  const results = rounds.map(of).filter((result) => result !== null);
  const gaps = results.map((result) => result.gapMs);
  const floors = rounds.map((round) => round.floorMs);
  const sum = (pick: (result: LoadResult) => number): number => results.reduce((total, each) => total + pick(each), 0);
  const counters = Object.fromEntries(
    COUNTERS.map((name) => [name, rounds.reduce((total, round) => total + round.counters[name], 0)]),
  ) as Record<CounterName, number>;
  const errorCounts = new Map<string, number>();
  for (const result of results) {
    for (const [key, count] of result.errorCounts) errorCounts.set(key, (errorCounts.get(key) ?? 0) + count);
  }
  return {
    fault,
    rounds: rounds.length,
    gapMedianMs: median(gaps) ?? 0,
    gapMaxMs: Math.max(0, ...gaps),
    floorMedianMs: median(floors) ?? 0,
    floorMaxMs: Math.max(0, ...floors),
    counters,
    acknowledged: sum((result) => result.acknowledged),
    errors: sum((result) => result.errors),
    errorCounts,
    dropped: sum((result) => result.dropped),
    lost: sum((result) => result.audit.lost),
    doubled: sum((result) => result.audit.doubled),
    violations: rounds.reduce((total, round) => total + round.violations.length, 0),
  };
}
