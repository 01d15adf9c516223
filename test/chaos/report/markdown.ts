import type { LoadResult, RoundResult } from '../round.js';
import { describeErrors, seconds } from './table.js';
import { tally } from './tally.js';
import type { Tally } from './tally.js';

/** The comparison with HAProxy as Markdown, one row for each fault and proxy. */
export function comparison(rounds: readonly RoundResult[]): string {
  const lines = [
    '| fault | through | longest pause in writes, median (max) | errors seen by clients | connections lost | acknowledged writes lost |',
    '|---|---|---|---|---|---|',
  ];
  for (const name of new Set(rounds.map((round) => round.fault.name))) {
    const some = rounds.filter((round) => round.fault.name === name);
    lines.push(line(name, 'Switchyard', some, (round) => round.ours));
    lines.push(line(name, "HAProxy, Patroni's checks", some, (round) => round.theirs));
    const { floorMedianMs, floorMaxMs } = tally(name, some, (round) => round.ours);
    lines.push(`| ${name} | the cluster itself | ${seconds(floorMedianMs)} s (${seconds(floorMaxMs)} s) | | | |`);
  }
  return lines.join('\n');
}

function line(
  name: string,
  through: string,
  rounds: readonly RoundResult[],
  of: (round: RoundResult) => LoadResult | null,
): string {
  const sum: Tally = tally(name, rounds, of);
  const pause = `${seconds(sum.gapMedianMs)} s (${seconds(sum.gapMaxMs)} s)`;
  const errors = sum.errors === 0 ? '0' : `${sum.errors} (${describeErrors(sum.errorCounts)})`;
  return `| ${name}, ${sum.rounds} times | ${through} | ${pause} | ${errors} | ${sum.dropped} | ${sum.lost} |`;
}
