import type { Environment } from '../../config/interpolate.js';
import { targetsOf, tellOfDatabases, writeCluster } from './clusters.js';
import type { ClusterWishes } from './clusters.js';
import { Draft } from './draft.js';
import { Verdict, renderFindings } from './finding.js';
import type { Finding } from './finding.js';
import { readHaproxy } from './haproxy.js';
import { planHaproxyListeners } from './haproxy-listeners.js';
import { proxiesOf } from './haproxy-proxies.js';
import type { InputFiles } from './input-files.js';
import { planPgbouncerListeners, poolerPortOf, writeListeners } from './listeners.js';
import { writeLogIns } from './log-ins.js';
import { readPgbouncer } from './pgbouncer.js';
import { comment, renderDraft } from './render.js';
import { carryHaproxy, carryPgbouncer } from './settings.js';
import { settle } from './settle.js';
import type { Work } from './work.js';

/** A file that was read. */
export interface InputText {
  /** As it was named. */
  readonly path: string;
  readonly text: string;
}

export interface ConvertInput {
  readonly pgbouncer: InputText | null;
  /** In the order in which HAProxy reads them; may be empty. */
  readonly haproxy: readonly InputText[];
  readonly wishes: ClusterWishes;
  /** For the variables that a haproxy.cfg names. */
  readonly env: Environment;
  readonly files: InputFiles;
}

export interface Converted {
  /** Loads as it is once the environment has what the lines with FILL IN name. */
  readonly yaml: string;
  readonly findings: readonly Finding[];
}

/** Turns the configuration of PgBouncer, of HAProxy, or of both into one of ours. Never fails: what it cannot read is a finding. */
export function convert({ pgbouncer: ini, haproxy, wishes, env, files }: ConvertInput): Converted {
  const findings: Finding[] = [];
  const said = new Set<string>();
  const tell = (finding: Finding): void => {
    // The same line stands in every section of a file, and is nobody's loss: once is enough.
    const saying = `${finding.subject}: ${finding.advice}`;
    if (finding.verdict === Verdict.Needless && said.has(saying)) return;
    said.add(saying);
    findings.push(finding);
  };
  const work: Work = { draft: new Draft(), files, tell };

  const pgbouncer = ini === null ? null : readPgbouncer(ini.path, ini.text, files, tell);
  const poolerPort = pgbouncer === null ? null : poolerPortOf(pgbouncer);
  const sections = haproxy.flatMap(({ path, text }) => readHaproxy(path, text, env, tell));
  const { listeners, used } = planHaproxyListeners(proxiesOf(sections), poolerPort, work);
  const targets = pgbouncer === null ? [] : targetsOf(pgbouncer, listeners);
  const more = pgbouncer === null ? [] : planPgbouncerListeners(pgbouncer, targets, listeners, work);

  writeCluster(wishes, used, targets, poolerPort, work);
  if (pgbouncer !== null) carryPgbouncer(pgbouncer, work);
  writeListeners([...listeners, ...more], work);
  if (sections.length > 0) carryHaproxy(sections, used, pgbouncer === null, work);
  tellOfDatabases(targets, listeners, work);
  writeLogIns(pgbouncer, listeners.length > 0, work);
  settle(work);

  const names = [...(ini === null ? [] : [ini]), ...haproxy].map(({ path }) => path).join(', ');
  const heading = [
    `Written by "switchyard import" from ${names}. Behind each line stands where it comes from.`,
    'Before the first start: fill in what says FILL IN, read the lists at the end, then: switchyard check --config FILE',
  ];
  const body = renderDraft(work.draft, heading);
  const tail = renderFindings(findings).flatMap((line) => comment(line, ''));
  return { yaml: tail.length === 0 ? body : `${body}\n${tail.join('\n')}\n`, findings };
}
