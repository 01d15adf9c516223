import { dirname, isAbsolute, resolve } from 'node:path';
import { Verdict } from './finding.js';
import type { Finding, Place } from './finding.js';
import { iniStatements, readPairs } from './ini-text.js';
import type { IniStatement } from './ini-text.js';
import type { InputFiles } from './input-files.js';

/** A value and where it was set. */
export interface Setting {
  readonly value: string;
  readonly place: Place;
}

/** An entry of [databases], [users] or [peers]. */
export interface Entry {
  readonly name: string;
  readonly place: Place;
  /** Of two for the same key, the later one. May hold secrets. */
  readonly values: ReadonlyMap<string, string>;
}

/** What a pgbouncer.ini and its includes say. */
export interface Pgbouncer {
  readonly path: string;
  /** [pgbouncer]; of two settings of the same name, the later one. */
  readonly settings: ReadonlyMap<string, Setting>;
  /** In the order of the file; `*` is the one for every other name. */
  readonly databases: readonly Entry[];
  readonly users: readonly Entry[];
  readonly peers: readonly Entry[];
}

/** As in PgBouncer. */
const INCLUDE_DEPTH_MAX = 10;
/** A file that includes itself twice would otherwise be read a thousand times. */
const INCLUDES_MAX = 200;

interface Collected {
  readonly settings: Map<string, Setting>;
  readonly databases: Map<string, Entry>;
  readonly users: Map<string, Entry>;
  readonly peers: Map<string, Entry>;
  /** Where the next value belongs; an included file begins in the section of its includer, and what it ends in goes on behind it. */
  section: 'pgbouncer' | 'databases' | 'users' | 'peers' | 'unknown' | 'none';
  includes: number;
}

/** Reads a pgbouncer.ini as PgBouncer 1.25 does (its documentation, "pgbouncer.ini"), but goes on behind a mistake, which it tells of. */
export function readPgbouncer(
  path: string,
  text: string,
  files: InputFiles,
  tell: (finding: Finding) => void,
): Pgbouncer {
  const into: Collected = {
    settings: new Map(),
    databases: new Map(),
    users: new Map(),
    peers: new Map(),
    section: 'none',
    includes: 0,
  };
  readInto(into, path, text, 0, files, tell);
  return {
    path,
    settings: into.settings,
    databases: [...into.databases.values()],
    users: [...into.users.values()],
    peers: [...into.peers.values()],
  };
}

function readInto(
  into: Collected,
  file: string,
  text: string,
  depth: number,
  files: InputFiles,
  tell: (finding: Finding) => void,
): void {
  for (const statement of iniStatements(text, file)) {
    switch (statement.kind) {
      case 'section':
        enter(into, statement.name, statement.place, tell);
        break;
      case 'include':
        include(into, statement, depth, files, tell);
        break;
      case 'mistake':
        tell({ verdict: Verdict.Broken, place: statement.place, subject: 'syntax', advice: statement.message });
        break;
      case 'value':
        keep(into, statement, tell);
        break;
    }
  }
}

function enter(into: Collected, name: string, place: Place, tell: (finding: Finding) => void): void {
  if (name === 'pgbouncer' || name === 'databases' || name === 'users' || name === 'peers') {
    into.section = name;
    return;
  }
  into.section = 'unknown';
  const advice = 'PgBouncer has no such section; what is in it is passed over';
  tell({ verdict: Verdict.Broken, place, subject: `[${name}]`, advice });
}

function include(
  into: Collected,
  { place, path }: Extract<IniStatement, { kind: 'include' }>,
  depth: number,
  files: InputFiles,
  tell: (finding: Finding) => void,
): void {
  const broken = (advice: string): void =>
    tell({ verdict: Verdict.Broken, place, subject: `%include ${path}`, advice });
  if (depth >= INCLUDE_DEPTH_MAX || into.includes >= INCLUDES_MAX) {
    broken('includes are nested too deeply, or are too many; it is passed over');
    return;
  }
  into.includes += 1;
  // PgBouncer begins at its working directory, which is seldom that of who runs this.
  const candidates = [...new Set([resolve(files.cwd, path), resolve(files.cwd, dirname(place.file), path)])];
  let problem = 'does not exist';
  for (const candidate of candidates) {
    const read = files.read(candidate);
    if (read.ok) {
      const label = isAbsolute(path) ? path : nameBeside(place.file, path, candidate, files.cwd);
      readInto(into, label, read.value, depth + 1, files, tell);
      return;
    }
    problem = read.problem;
  }
  broken(`${problem}; what it says is missing from the new file`);
}

/** How an included file is called: as somebody would name it who stands where the including file was named. */
function nameBeside(includer: string, path: string, found: string, cwd: string): string {
  return found === resolve(cwd, path) ? path : `${dirname(includer) === '.' ? '' : `${dirname(includer)}/`}${path}`;
}

function keep(
  into: Collected,
  { key, value, place }: Extract<IniStatement, { kind: 'value' }>,
  tell: (finding: Finding) => void,
): void {
  if (into.section === 'unknown') return;
  if (into.section === 'none') {
    tell({ verdict: Verdict.Broken, place, subject: key, advice: 'stands in no section; it is passed over' });
    return;
  }
  if (into.section === 'pgbouncer') {
    into.settings.set(key, { value, place });
    return;
  }
  const { pairs, problem } = readPairs(value);
  if (problem !== null) tell({ verdict: Verdict.Broken, place, subject: `[${into.section}] ${key}`, advice: problem });
  const entry: Entry = { name: key, place, values: new Map(pairs) };
  if (into.section === 'databases') into.databases.set(key, entry);
  else if (into.section === 'users') into.users.set(key, entry);
  else into.peers.set(key, entry);
}
