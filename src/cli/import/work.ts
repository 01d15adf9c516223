import type { Draft, Placing, Rank } from './draft.js';
import { Verdict, formatPlace } from './finding.js';
import type { Finding, Place } from './finding.js';
import type { InputFiles } from './input-files.js';
import type { Row } from './pgbouncer-table.js';

/** What the parts of an import share: the file that they write into, and whom they tell. */
export interface Work {
  readonly draft: Draft;
  readonly files: InputFiles;
  readonly tell: (finding: Finding) => void;
}

/** A setting and where it is from; `place` null: the file is silent, and this is the other program's default. */
interface Source {
  readonly name: string;
  readonly value: string;
  readonly place: Place | null;
  readonly rank: Rank;
}

/** Carries a setting over to the key of ours that its row names. */
export function carryOver(row: Extract<Row, { readonly to: readonly string[] }>, source: Source, work: Work): void {
  const { name, place, rank } = source;
  const { draft, tell } = work;
  const read = row.as(source.value);
  if (!read.ok) {
    tell({ verdict: Verdict.Broken, place, subject: name, advice: `its value ${read.problem}; it is passed over` });
    return;
  }
  if (read.value === null) return;
  const from = place === null ? `${name}: PgBouncer's default` : `${formatPlace(place)} ${name}`;
  const placing = draft.set(row.to, read.value, from, { rank, notes: row.note === undefined ? [] : [row.note] });
  const finding = findingOf(placing, row);
  if (finding !== null && place !== null) tell({ ...finding, place, subject: name });
}

function findingOf(
  placing: Placing,
  row: Extract<Row, { readonly to: readonly string[] }>,
): Pick<Finding, 'verdict' | 'advice'> | null {
  switch (placing.kind) {
    case 'placed':
      return null;
    case 'limited':
      return {
        verdict: Verdict.Differs,
        advice: `${placing.key} takes no such value; the nearest is written: ${placing.written}`,
      };
    case 'outranked':
      return placing.differs ? { verdict: Verdict.Differs, advice: `gives way to ${placing.by.from}` } : null;
    case 'unknown':
      return {
        verdict: Verdict.None,
        advice: `this version has no such setting${row.otherwise === undefined ? '' : `: ${row.otherwise}`}`,
      };
  }
}
