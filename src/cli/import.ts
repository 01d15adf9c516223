import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { messageOf } from '../errors.js';
import type { ClusterWishes } from './import/clusters.js';
import { convert } from './import/convert.js';
import type { InputText } from './import/convert.js';
import { Verdict, renderFindings } from './import/finding.js';
import { filesOfMachine } from './import/input-files.js';
import { printable, processTerminal } from './terminal.js';
import type { Terminal } from './terminal.js';

const EXIT_DONE = 0;
/** It is written, but not all of what was there has been understood. */
const EXIT_PARTLY = 1;
/** As of BSD's sysexits: a file cannot be read (EX_NOINPUT), a file cannot be written (EX_CANTCREAT). */
const EXIT_NO_INPUT = 66;
const EXIT_NOT_WRITTEN = 73;

export interface ImportOptions {
  /** A pgbouncer.ini; null: only HAProxy's. */
  readonly pgbouncer: string | null;
  /** In the order in which HAProxy reads them; may be empty. */
  readonly haproxy: readonly string[];
  /** Null: standard output. */
  readonly output: string | null;
  /** Overwrite the output. */
  readonly force: boolean;
  readonly wishes: ClusterWishes;
}

/**
 * Writes a configuration of ours that does what those of PgBouncer and HAProxy do, and tells what it could not carry over. Changes
 * nothing else, and says no secret. Gives the exit code.
 */
export function importConfig(options: ImportOptions, terminal: Terminal = processTerminal()): number {
  const files = filesOfMachine(process.cwd());
  const inputs: InputText[] = [];
  for (const path of [...(options.pgbouncer === null ? [] : [options.pgbouncer]), ...options.haproxy]) {
    const read = files.read(resolve(files.cwd, path));
    if (read.ok) inputs.push({ path, text: read.value });
    else terminal.complain(`${printable(path)} ${read.problem}`);
  }
  if (inputs.length < options.haproxy.length + (options.pgbouncer === null ? 0 : 1)) return EXIT_NO_INPUT;
  const [first = null] = inputs;
  const { yaml, findings } = convert({
    pgbouncer: options.pgbouncer === null ? null : first,
    haproxy: options.pgbouncer === null ? inputs : inputs.slice(1),
    wishes: options.wishes,
    env: terminal.env,
    files,
  });
  const { output } = options;
  if (output === null) {
    terminal.print(yaml.trimEnd());
  } else {
    try {
      writeFileSync(output, yaml, { flag: options.force ? 'w' : 'wx' });
    } catch (error) {
      const exists = error instanceof Error && 'code' in error && error.code === 'EEXIST';
      const why = exists ? 'exists: --force overwrites it' : `cannot be written: ${messageOf(error)}`;
      terminal.complain(`${printable(output)} ${why}`);
      return EXIT_NOT_WRITTEN;
    }
  }
  const lines = renderFindings(findings);
  if (lines.length > 0) terminal.complain(lines.join('\n'));
  const next = `switchyard check --config ${output === null ? 'FILE' : printable(output)}`;
  terminal.complain(`${output === null ? 'Done' : `${printable(output)} is written`}. Next: ${next}`);
  return findings.some(({ verdict }) => verdict === Verdict.Broken) ? EXIT_PARTLY : EXIT_DONE;
}
