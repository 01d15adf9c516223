import { printable } from '../terminal.js';

/** A line of a file that was read. */
export interface Place {
  /** As it was given on the command line, or as an include names it. */
  readonly file: string;
  /** Counted from 1. */
  readonly line: number;
}

/** What became of something that was read, where that is not simply a line of ours. */
export const Verdict = {
  /** A place in the new file that only a person can fill. */
  Fill: 'fill',
  /** It could not be read, or not be understood. */
  Broken: 'broken',
  /** It has been carried over, or works all the same, but not in every respect as before. */
  Differs: 'differs',
  /** There is nothing like it here. */
  None: 'none',
  /** It has nothing to do here. */
  Needless: 'needless',
} as const;
export type Verdict = (typeof Verdict)[keyof typeof Verdict];

/** One thing that the person who moves has to know. Holds no secret: values are in it only where they cannot be one. */
export interface Finding {
  readonly verdict: Verdict;
  /** Null: it is about no line. */
  readonly place: Place | null;
  /** What it is about: `server_reset_query`, `option httpchk`. */
  readonly subject: string;
  /** What to do about it. */
  readonly advice: string;
}

/** The groups in which findings are listed, most urgent first. */
const GROUPS: readonly (readonly [Verdict, string])[] = [
  [Verdict.Fill, 'To fill in'],
  [Verdict.Broken, 'Not understood'],
  [Verdict.Differs, 'Not quite as before'],
  [Verdict.None, 'No counterpart'],
  [Verdict.Needless, 'Not needed here'],
];

/** Most findings of one kind that are listed: a file that is none of the kind expected has one for every line. */
const LISTED_MAX = 200;

/** All of them as lines for people, group by group, each group in the order of the files. */
export function renderFindings(findings: readonly Finding[]): readonly string[] {
  const files = distinct(findings.map(({ place }) => place?.file ?? ''));
  const fileOf = new Map(files.map((file, index) => [file, index]));
  const sorted = findings.toSorted(
    ({ place: a }, { place: b }) =>
      (fileOf.get(a?.file ?? '') ?? 0) - (fileOf.get(b?.file ?? '') ?? 0) || (a?.line ?? 0) - (b?.line ?? 0),
  );
  const lines: string[] = [];
  for (const [verdict, title] of GROUPS) {
    const group = distinct(sorted.filter((finding) => finding.verdict === verdict).map(renderFinding));
    if (group.length === 0) continue;
    lines.push(`${title}:`, ...group.slice(0, LISTED_MAX).map((line) => `  ${line}`));
    if (group.length > LISTED_MAX) lines.push(`  and ${group.length - LISTED_MAX} more`);
  }
  return lines;
}

/** `pgbouncer.ini:12` */
export function formatPlace({ file, line }: Place): string {
  return `${printable(file)}:${line}`;
}

function renderFinding({ place, subject, advice }: Finding): string {
  const text = printable(`${subject}: ${advice}`);
  return place === null ? text : `${formatPlace(place)}: ${text}`;
}

function distinct(lines: readonly string[]): readonly string[] {
  return [...new Set(lines)];
}
