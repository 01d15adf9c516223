import { median } from '../measure/gaps.js';
import type { Strictness } from '../plan.js';
import { seconds } from '../report/table.js';
import type { RoundResult } from '../round.js';

/** What a run has promised beyond the honesty of every error, and did not keep. `inFlightMax`: statements of the load that may be under way at one time. */
export function judgeStrictness(
  rounds: readonly RoundResult[],
  strictness: Strictness,
  inFlightMax: number,
): readonly string[] {
  const { errorsPerRoundMax, droppedMax, gapAboveFloorMs } = strictness;
  const problems: string[] = [];
  const errorsMax = errorsPerRoundMax === 'in_flight' ? inFlightMax : (errorsPerRoundMax ?? Infinity);
  for (const { number, ours } of rounds) {
    if (ours.errors > errorsMax)
      problems.push(`round ${number}: ${ours.errors} errors, at most ${errorsMax} are allowed`);
  }
  const dropped = rounds.reduce((sum, { ours }) => sum + ours.dropped, 0);
  if (dropped > (droppedMax ?? Infinity)) problems.push(`${dropped} connections were dropped`);
  const gapMs = median(rounds.map(({ ours }) => ours.gapMs));
  const floorMs = median(rounds.map((round) => round.floorMs));
  if (gapAboveFloorMs !== undefined && gapMs !== null && floorMs !== null && gapMs - floorMs > gapAboveFloorMs) {
    problems.push(`the median gap is ${seconds(gapMs)} s, the median floor ${seconds(floorMs)} s`);
  }
  return problems;
}
