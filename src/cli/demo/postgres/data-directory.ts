import { appendFile, chmod, chown, cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { PostgresBinaries } from './binaries.js';
import { runProgram } from './run-program.js';
import type { Identity } from './run-program.js';

/** A value of `postgresql.conf`. */
type SettingValue = string | number | boolean;
export type Settings = Readonly<Record<string, SettingValue>>;

/** Ours is included by `postgresql.conf`, so that it can be rewritten whole and `ALTER SYSTEM` still comes after it. */
const SETTINGS_FILE = 'switchyard.conf';

/** Longest wait for `pg_basebackup` and for a copy. */
const COPY_TIMEOUT_MS = 300_000;

/** How to reach the node that a standby copies and follows. */
export interface Upstream {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
}

/** What all operations on a data directory need to know. */
export interface DataDirectoryOwner {
  readonly binaries: PostgresBinaries;
  /** Who owns the files; null: this process's user. */
  readonly identity: Identity | null;
}

/** Path of a program that every installation of ours has. */
export function neededProgram(binaries: PostgresBinaries, name: 'postgres' | 'initdb' | 'pg_ctl'): string {
  const path = binaries.program(name);
  if (path === null) throw new Error(`${binaries.directory} has no ${name} any more`);
  return path;
}

/** Writes a file that only its owner may read, owned by the server's user. */
export async function writeOwned(path: string, text: string, identity: Identity | null): Promise<void> {
  await writeFile(path, text, { mode: 0o600 });
  await chmod(path, 0o600);
  if (identity !== null) await chown(path, identity.uid, identity.gid);
}

/** Makes a folder that only its owner may enter, owned by the server's user. */
export async function makeOwnedFolder(path: string, identity: Identity | null): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  if (identity !== null) await chown(path, identity.uid, identity.gid);
}

/** Runs `initdb`; the superuser is `postgres`. The settings file is included, but empty yet. */
export async function initialize(owner: DataDirectoryOwner, data: string, superuserPassword: string): Promise<void> {
  const passwordFile = `${data}.password`;
  await writeOwned(passwordFile, `${superuserPassword}\n`, owner.identity);
  try {
    const args = [
      '-D',
      data,
      '-U',
      'postgres',
      '-E',
      'UTF8',
      '--locale=C',
      '--no-sync',
      '--auth=scram-sha-256',
      `--pwfile=${passwordFile}`,
    ];
    await runProgram(neededProgram(owner.binaries, 'initdb'), args, {
      ...owner,
      env: owner.binaries.env,
      cwd: dirname(data),
    });
  } finally {
    await rm(passwordFile, { force: true });
  }
  await appendFile(join(data, 'postgresql.conf'), `\ninclude '${SETTINGS_FILE}'\n`);
  await writeOwned(join(data, SETTINGS_FILE), '', owner.identity);
}

/** A setting as a line of `postgresql.conf`: strings are quoted, with quotes doubled. */
function settingLine(name: string, value: SettingValue): string {
  if (typeof value === 'boolean') return `${name} = ${value ? 'on' : 'off'}`;
  if (typeof value === 'number') return `${name} = ${value}`;
  return `${name} = '${value.replaceAll("'", "''")}'`;
}

/** Replaces our settings; the server sees them at its next start or reload. */
export async function writeSettings(owner: DataDirectoryOwner, data: string, settings: Settings): Promise<void> {
  const lines = Object.entries(settings).map(([name, value]) => settingLine(name, value));
  await writeOwned(join(data, SETTINGS_FILE), `${lines.join('\n')}\n`, owner.identity);
}

/** Replaces `pg_hba.conf`. */
export async function writeHba(owner: DataDirectoryOwner, data: string, lines: readonly string[]): Promise<void> {
  await writeOwned(join(data, 'pg_hba.conf'), `${lines.join('\n')}\n`, owner.identity);
}

/** A value of a connection string of libpq. */
function conninfoValue(value: string | number): string {
  return `'${String(value).replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

/** The `primary_conninfo` of a standby; its name becomes the `application_name` that the primary shows. */
export function primaryConninfo(upstream: Upstream, standbyName: string): string {
  const parts = { ...upstream, application_name: standbyName, connect_timeout: 5 };
  return Object.entries(parts)
    .map(([key, value]) => `${key}=${conninfoValue(value)}`)
    .join(' ');
}

/** Makes the next start a standby's. */
export async function markAsStandby(owner: DataDirectoryOwner, data: string): Promise<void> {
  await writeOwned(join(data, 'standby.signal'), '', owner.identity);
}

/** Copies the data directory of a server that is stopped in an orderly way. */
export async function copyStopped(owner: DataDirectoryOwner, from: string, to: string): Promise<void> {
  if (process.platform === 'win32') await cp(from, to, { recursive: true });
  else await runProgram('cp', ['-R', '-p', from, to], { ...owner, timeoutMs: COPY_TIMEOUT_MS });
  for (const leftover of ['postmaster.pid', 'postmaster.opts', 'standby.signal'])
    await rm(join(to, leftover), { force: true });
}

/** Copies a running server with its `pg_basebackup`. */
export async function copyRunning(
  owner: DataDirectoryOwner,
  program: string,
  from: Upstream,
  to: string,
): Promise<void> {
  const args = [
    '-D',
    to,
    '-h',
    from.host,
    '-p',
    String(from.port),
    '-U',
    from.user,
    '-X',
    'stream',
    '-c',
    'fast',
    '--no-sync',
    '-w',
  ];
  const env = { ...owner.binaries.env, PGPASSWORD: from.password };
  await runProgram(program, args, { ...owner, env, cwd: dirname(to), timeoutMs: COPY_TIMEOUT_MS });
  await rm(join(to, 'standby.signal'), { force: true });
}

/**
 * Runs SQL in the server's single-user mode, one statement each; the server must be stopped. Throws at the first error.
 * With `-j` a statement ends at a semicolon followed by an empty line (PostgreSQL: "postgres", Single-User Mode).
 */
export async function runSingleUser(
  owner: DataDirectoryOwner,
  data: string,
  database: string,
  statements: readonly string[],
): Promise<void> {
  const ambiguous = statements.find((sql) => /;\s*\n\s*\n/.test(sql));
  if (ambiguous !== undefined)
    throw new Error(`a statement must not hold a semicolon before an empty line: ${ambiguous}`);
  const args = ['--single', '-j', '-D', data, '-c', 'exit_on_error=on', '-c', 'lc_messages=C', database];
  const input = statements.map((sql) => `${sql.trim().replace(/;$/, '')};\n\n`).join('');
  const program = neededProgram(owner.binaries, 'postgres');
  await runProgram(program, args, { ...owner, env: owner.binaries.env, cwd: data, input });
}

/** The postmaster's own account of itself: its pid and `starting`, `stopping`, `ready` or `standby`; null when there is none. */
export async function readPidFile(data: string): Promise<{ readonly pid: number; readonly status: string } | null> {
  const text = await readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => null);
  if (text === null) return null;
  const lines = text.split('\n');
  return { pid: Number(lines[0]), status: (lines[7] ?? '').trim() };
}
