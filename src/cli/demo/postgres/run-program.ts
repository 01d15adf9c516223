import { execFile, spawn, spawnSync } from 'node:child_process';
import { promisify } from 'node:util';

/** The operating system's user that servers run as, when it is not the user of this process. */
export interface Identity {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** Users that servers may run as when this process is root, the preferred first. */
const UNPRIVILEGED_USERS = ['postgres', 'nobody'] as const;

/** How much of a failed program's output goes into the error. */
const OUTPUT_TAIL_CHARS = 2000;

const DEFAULT_TIMEOUT_MS = 120_000;

/**
 * Whom PostgreSQL has to run as: null for "as we are", because PostgreSQL refuses to run as root and only root must change.
 * Throws when this process is root and the machine has no unprivileged user.
 */
export function unprivilegedIdentity(): Identity | null {
  if (process.platform === 'win32' || process.geteuid?.() !== 0) return null;
  for (const name of UNPRIVILEGED_USERS) {
    const [uid, gid] = ['-u', '-g'].map((flag) =>
      Number(spawnSync('id', [flag, name], { encoding: 'utf8' }).stdout || -1),
    );
    if (uid !== undefined && gid !== undefined && uid > 0 && gid > 0) return { name, uid, gid };
  }
  throw new Error(
    `PostgreSQL refuses to run as root, and there is no user ${UNPRIVILEGED_USERS.join(' or ')} to run it as`,
  );
}

/** The `uid` and `gid` of Node's spawn options. Node drops the supplementary groups by itself. */
export function spawnAs(identity: Identity | null): { uid?: number; gid?: number } {
  return identity === null ? {} : { uid: identity.uid, gid: identity.gid };
}

export interface RunOptions {
  readonly identity?: Identity | null;
  /** Added to the environment of this process. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Written to standard input, which is closed then; nothing by default. */
  readonly input?: string;
  /** The program is killed after this long. */
  readonly timeoutMs?: number;
  readonly shell?: boolean;
}

/** Runs a program to its end and returns its standard output; throws with the end of its output when it fails. */
export function runProgram(command: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      ...spawnAs(options.identity ?? null),
      cwd: options.cwd ?? '/',
      env: { ...process.env, LC_ALL: 'C', ...options.env },
      shell: options.shell ?? false,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    let stdout = '';
    let output = '';
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill('SIGKILL');
    }, timeoutMs);
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      output += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    child.on('error', (error) => {
      clearTimeout(timer);
      reject(new Error(`cannot run ${command}: ${error.message}`, { cause: error }));
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      if (code === 0) return resolve(stdout);
      const how = timedOut
        ? `did not end within ${timeoutMs} ms`
        : code === null
          ? `was ended by ${signal}`
          : `failed with ${code}`;
      reject(new Error(`${command} ${how}\n${output.slice(-OUTPUT_TAIL_CHARS)}`.trimEnd()));
    });
    // A program that ends without reading its input must not end us with EPIPE: its exit code tells the story.
    child.stdin.on('error', () => {});
    child.stdin.end(options.input ?? '');
  });
}

/**
 * A command prefix that makes the kernel send `signal` to the program when this process dies, however it dies; empty where the
 * machine cannot (it needs the `setpriv` of util-linux: busybox has one without that option).
 */
export async function dieWithParent(signal: 'INT' | 'QUIT' | 'TERM' | 'KILL'): Promise<readonly string[]> {
  if (process.platform !== 'linux') return [];
  const prefix = ['setpriv', '--pdeathsig', signal];
  return promisify(execFile)('setpriv', ['--pdeathsig', signal, 'true']).then(
    () => prefix,
    () => [],
  );
}
