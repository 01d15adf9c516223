import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { ExitGuard } from '../../src/cli/demo/postgres/exit-guard.js';
import { isAlive, killTree, sendSignal } from '../../src/cli/demo/postgres/process-tree.js';
import { dieWithParent, spawnAs } from '../../src/cli/demo/postgres/run-program.js';
import type { Identity } from '../../src/cli/demo/postgres/run-program.js';

const POLL_MS = 20;
const STOP_TIMEOUT_MS = 20_000;
const KILL_TIMEOUT_MS = 5_000;
const OUTPUT_TIMEOUT_MS = 1_000;
const LOG_TAIL_CHARS = 4000;

export interface WaitOptions {
  readonly timeoutMs: number;
  /** What is waited for, as the end of "waited N ms for ...". */
  readonly what: string;
  readonly pollMs?: number;
}

/** Cleans up after every server and process of the tests when the test process ends, by itself or by a signal. */
export const testGuard = new ExitGuard({ signals: true });

/**
 * Polls until the condition gives something that is neither false, null nor undefined, and returns it. An exception counts as "not
 * yet" and is the cause of the error that comes when the time is up; a condition that hangs ends with the time too.
 */
export async function waitFor<T>(
  condition: () => T | false | null | undefined | Promise<T | false | null | undefined>,
  options: WaitOptions,
): Promise<T> {
  const deadlineMs = performance.now() + options.timeoutMs;
  for (;;) {
    let cause: unknown;
    try {
      const result = await beforeDeadline(condition(), deadlineMs);
      if (result !== false && result !== null && result !== undefined) return result;
    } catch (error) {
      cause = error;
    }
    if (performance.now() >= deadlineMs) {
      throw new Error(
        `waited ${options.timeoutMs} ms for ${options.what}`,
        cause === undefined ? undefined : { cause },
      );
    }
    await delay(options.pollMs ?? POLL_MS);
  }
}

async function beforeDeadline<T>(result: T | Promise<T>, deadlineMs: number): Promise<T> {
  const late = new AbortController();
  const leftMs = Math.max(1, deadlineMs - performance.now());
  const timeUp = delay(leftMs, undefined, { signal: late.signal }).then(() => {
    throw new Error('the condition did not answer');
  });
  try {
    return await Promise.race([result, timeUp]);
  } finally {
    timeUp.catch(() => {});
    late.abort();
  }
}

export interface ProcessOptions {
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly identity?: Identity | null;
  /** Sent by the kernel when this process dies; TERM by default. */
  readonly deathSignal?: 'INT' | 'QUIT' | 'TERM' | 'KILL';
}

/** A program of ours that runs beside the test: its output is kept, and it is killed by pid when the test process ends. */
export class TestProcess {
  readonly name: string;
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #unguard: () => void;
  #log: string;
  #outputEnded: boolean;

  private constructor(name: string, child: ChildProcess, pid: number) {
    this.name = name;
    this.pid = pid;
    this.#child = child;
    this.#log = '';
    this.#outputEnded = false;
    this.#unguard = testGuard.add(() => killTree(pid));
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#log += text;
      });
    }
    child.once('exit', this.#unguard);
    child.once('close', () => {
      this.#outputEnded = true;
    });
  }

  /** Starts a program in a session of its own. Throws when it cannot be started at all. */
  static async start(name: string, command: readonly string[], options: ProcessOptions = {}): Promise<TestProcess> {
    const [program, ...args] = [...(await dieWithParent(options.deathSignal ?? 'TERM')), ...command];
    if (program === undefined) throw new Error('no command');
    const child = spawn(program, args, {
      ...spawnAs(options.identity ?? null),
      cwd: options.cwd ?? process.cwd(),
      env: { ...process.env, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    await once(child, 'spawn');
    return new TestProcess(name, child, child.pid ?? 0);
  }

  /** Everything written to standard output and standard error so far. */
  get log(): string {
    return this.#log;
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Exit code; null while the process runs, or when a signal ended it. */
  get exitCode(): number | null {
    return this.#child.exitCode;
  }

  /** Waits until the log matches, and returns the match; throws with the end of the log when it does not or the process ends before. */
  async waitForLog(pattern: RegExp, timeoutMs: number): Promise<RegExpExecArray> {
    const match = await waitFor(() => pattern.exec(this.#log) ?? (this.isRunning ? null : 'ended'), {
      timeoutMs,
      what: `${pattern} in the log of ${this.name}`,
    }).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${this.#log.slice(-LOG_TAIL_CHARS)}`, { cause: error });
    });
    if (match === 'ended') throw new Error(`${this.name} ended (${this.#how()})\n${this.#log.slice(-LOG_TAIL_CHARS)}`);
    return match;
  }

  /** Sends a signal; false when the process has gone. */
  signal(signal: NodeJS.Signals): boolean {
    return this.isRunning && sendSignal(this.pid, signal);
  }

  /** SIGSTOP: the kernel goes on accepting connections, nobody answers. */
  freeze(): void {
    this.signal('SIGSTOP');
  }

  thaw(): void {
    this.signal('SIGCONT');
  }

  /** Kills the process and its children and waits until they are gone. */
  async kill(): Promise<void> {
    const pids = this.isRunning ? killTree(this.pid) : [];
    await waitFor(() => !this.isRunning && !pids.some(isAlive), {
      timeoutMs: KILL_TIMEOUT_MS,
      what: `the death of ${this.name}`,
    });
  }

  /** Asks the process to end, waits for it and returns its exit code (null: ended by a signal). It is killed when it takes too long. */
  async stop(signal: NodeJS.Signals = 'SIGTERM', timeoutMs = STOP_TIMEOUT_MS): Promise<number | null> {
    this.thaw();
    this.signal(signal);
    try {
      return await this.ended(timeoutMs);
    } finally {
      await this.kill();
    }
  }

  /** Waits until the process has ended by itself and all its output is here; returns its exit code. */
  async ended(timeoutMs: number): Promise<number | null> {
    await waitFor(() => !this.isRunning, { timeoutMs, what: `the end of ${this.name}` });
    // A child of the process may live on and hold its output open.
    const deadlineMs = performance.now() + OUTPUT_TIMEOUT_MS;
    await waitFor(() => this.#outputEnded || performance.now() > deadlineMs, {
      timeoutMs: 2 * OUTPUT_TIMEOUT_MS,
      what: `the output of ${this.name}`,
    });
    return this.exitCode;
  }

  #how(): string {
    return this.#child.exitCode === null ? `signal ${this.#child.signalCode}` : `exit code ${this.#child.exitCode}`;
  }
}
