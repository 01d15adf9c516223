import { coloured, printable, withoutControls } from '../terminal.js';
import type { Colour } from '../terminal.js';

/** What came out of one check. */
export interface Finding {
  /** `fail`: the proxy would not work. `warn`: it would, and not as well as it could. */
  readonly verdict: 'ok' | 'warn' | 'fail';
  /** One line. */
  readonly what: string;
  /** What to do about it: sentences, SQL and lines of configuration files. */
  readonly mend: readonly string[];
}

export function ok(what: string): Finding {
  return { verdict: 'ok', what, mend: [] };
}

export function warn(what: string, ...mend: string[]): Finding {
  return { verdict: 'warn', what, mend };
}

export function fail(what: string, ...mend: string[]): Finding {
  return { verdict: 'fail', what, mend };
}

const MARKS = { ok: 'ok  ', warn: 'warn', fail: 'FAIL' } as const;
const COLOURS: Readonly<Record<Finding['verdict'], Colour>> = { ok: 'green', warn: 'yellow', fail: 'red' };
/** As wide as a mark and what is behind it. */
const INDENT = '      ';

/** The finding in a line, with what mends it indented below. */
export function renderFinding({ verdict, what, mend }: Finding, hasColour: boolean): string {
  const mark = coloured(MARKS[verdict], COLOURS[verdict], hasColour);
  // Nothing that a node or etcd said may command the terminal; our own texts keep their lines.
  const lines = mend.flatMap((text) => text.split('\n')).map((line) => INDENT + withoutControls(line));
  return [`${mark}  ${printable(what)}`, ...lines].join('\n');
}

export function renderSummary(findings: readonly Finding[]): string {
  const count = (verdict: Finding['verdict']): number => findings.filter((each) => each.verdict === verdict).length;
  const failed = count('fail');
  const warned = count('warn');
  const passed = count('ok');
  const warnings = warned === 0 ? '' : `, ${warned} warning${warned === 1 ? '' : 's'}`;
  return failed === 0
    ? `All is well: ${passed} check${passed === 1 ? '' : 's'} passed${warnings}.`
    : `${failed} of ${findings.length} checks FAILED${warnings}.`;
}
