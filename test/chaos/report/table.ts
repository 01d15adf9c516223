import type { RoundResult } from '../round.js';
import { tallyByFault } from './tally.js';
import type { Tally } from './tally.js';

const GAP = '  ';

/** Lines of a table whose columns are as wide as they must be; the first column is text, the others are numbers. */
export function layOut(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join(GAP)
      .trimEnd();
  return rows.map(line).join('\n');
}

/** Seconds with two decimals. */
export function seconds(ms: number): string {
  return (ms / 1000).toFixed(2);
}

function count(value: number): string {
  return Number.isNaN(value) ? '-' : String(value);
}

const HEADER = [
  'fault',
  'rounds',
  'gap median',
  'max',
  'floor median',
  'max',
  'held',
  'moved',
  'replayed',
  'lost tx',
  'in doubt',
  'errors',
  'dropped',
  'lost',
  'doubled',
  'violations',
];

function cells(row: Tally): readonly string[] {
  const { counters } = row;
  return [
    row.fault,
    String(row.rounds),
    seconds(row.gapMedianMs),
    seconds(row.gapMaxMs),
    seconds(row.floorMedianMs),
    seconds(row.floorMaxMs),
    ...[counters.held, counters.moved, counters.replayed, counters.lostTransactions, counters.inDoubt].map(count),
    ...[row.errors, row.dropped, row.lost, row.doubled, row.violations].map(count),
  ];
}

/** The table by kind of fault, with the errors of each by SQLSTATE and activity below. Gaps are in seconds. */
export function faultTable(rounds: readonly RoundResult[]): string {
  const tallies = tallyByFault(rounds, (round) => round.ours);
  const errors = tallies
    .filter((each) => each.errors > 0)
    .map((each) => `${each.fault}: ${describeErrors(each.errorCounts)}`);
  const table = layOut([HEADER, ...tallies.map(cells)]);
  return errors.length === 0 ? table : `${table}\n\nerrors by SQLSTATE and activity\n${errors.join('\n')}`;
}

/** `12 x 40001 statement, 3 x 08007 autocommit`. */
export function describeErrors(errorCounts: ReadonlyMap<string, number>): string {
  const sorted = [...errorCounts].toSorted(([, a], [, b]) => b - a);
  return sorted.length === 0 ? 'none' : sorted.map(([key, times]) => `${times} x ${key}`).join(', ');
}

/** One line about one round. */
export function roundLine(round: RoundResult, rounds: number): string {
  const { ours, theirs, counters } = round;
  const parts = [
    `gap ${seconds(ours.gapMs)} s`,
    `floor ${seconds(round.floorMs)} s`,
    `${ours.acknowledged} written`,
    `held ${count(counters.held)}, moved ${count(counters.moved)}, replayed ${count(counters.replayed)}`,
    `errors: ${describeErrors(ours.errorCounts)}`,
    `${ours.dropped} dropped`,
    `healthy after ${seconds(round.lastedMs)} s, checked after ${seconds(round.tookMs)} s`,
  ];
  if (theirs !== null)
    parts.push(`HAProxy: gap ${seconds(theirs.gapMs)} s, ${theirs.errors} errors, ${theirs.dropped} dropped`);
  const verdict = round.violations.length === 0 ? 'ok' : `${round.violations.length} VIOLATIONS`;
  return `${round.number}/${rounds} ${round.fault.name}: ${verdict}; ${parts.join('; ')}`;
}
