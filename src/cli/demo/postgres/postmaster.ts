import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { open } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { neededProgram, readPidFile } from './data-directory.js';
import type { DataDirectoryOwner } from './data-directory.js';
import { StoppedProcesses, childPids, commandOf, isAlive, killTree, sendSignal } from './process-tree.js';
import { dieWithParent, runProgram, spawnAs } from './run-program.js';

const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 60_000;
const DEATH_TIMEOUT_MS = 10_000;
const POLL_MS = 20;

/** How PostgreSQL shuts down ("Shutting Down the Server"): `fast` ends sessions with 57P01, `immediate` does not even write a checkpoint. */
const STOP_SIGNALS = { smart: 'SIGTERM', fast: 'SIGINT', immediate: 'SIGQUIT' } as const;
export type StopMode = keyof typeof STOP_SIGNALS;

/** The processes of one running server: the postmaster, which is our child, and its children. Serves one run. */
export class Postmaster {
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #owner: DataDirectoryOwner;
  readonly #data: string;
  readonly #frozen: StoppedProcesses;
  readonly #replayPaused: StoppedProcesses;

  private constructor(child: ChildProcess, pid: number, owner: DataDirectoryOwner, data: string) {
    this.pid = pid;
    this.#child = child;
    this.#owner = owner;
    this.#data = data;
    this.#frozen = new StoppedProcesses();
    this.#replayPaused = new StoppedProcesses();
  }

  /** Starts a postmaster, in a session of its own so that the signals of a terminal reach us alone. Its output goes to the end of a file. */
  static async spawn(owner: DataDirectoryOwner, data: string, logFile: string): Promise<Postmaster> {
    const command = [...(await dieWithParent('QUIT')), neededProgram(owner.binaries, 'postgres')];
    const log = await open(logFile, 'a');
    try {
      const child = spawn(command[0] ?? '', [...command.slice(1), '-D', data], {
        ...spawnAs(owner.identity),
        cwd: data,
        env: { ...process.env, ...owner.binaries.env },
        stdio: ['ignore', log.fd, log.fd],
        detached: true,
      });
      await once(child, 'spawn');
      return new Postmaster(child, child.pid ?? 0, owner, data);
    } finally {
      await log.close();
    }
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Null when sessions are accepted; otherwise what happened instead, as the end of a sentence. A late server is killed. */
  async waitUntilReady(): Promise<string | null> {
    const deadlineMs = performance.now() + START_TIMEOUT_MS;
    while (performance.now() < deadlineMs) {
      if (!this.isRunning) return 'ended during its start';
      const state = await readPidFile(this.#data);
      if (state?.pid === this.pid && (state.status === 'ready' || state.status === 'standby')) return null;
      await delay(POLL_MS);
    }
    await this.kill();
    return `was not ready within ${START_TIMEOUT_MS} ms`;
  }

  /** Shuts down and waits for the end; false when it took too long and the server was killed. Frozen processes are thawed first. */
  async stop(mode: StopMode): Promise<boolean> {
    this.thaw();
    this.resumeReplay();
    if (process.platform === 'win32') await this.#signalByPgCtl(mode);
    else sendSignal(this.pid, STOP_SIGNALS[mode]);
    if (await this.#waitForEnd(STOP_TIMEOUT_MS)) return true;
    await this.kill();
    return false;
  }

  /** Kills every process at once; to be called while this process exits. */
  killNow(): number[] {
    return this.isRunning ? killTree(this.pid) : [];
  }

  /** Kills every process at once and waits until they are gone. */
  async kill(): Promise<void> {
    const pids = this.killNow();
    await this.#waitForEnd(DEATH_TIMEOUT_MS);
    // A new postmaster refuses to start while a backend of the old one still holds the shared memory.
    const deadlineMs = performance.now() + DEATH_TIMEOUT_MS;
    while (pids.some(isAlive) && performance.now() < deadlineMs) await delay(POLL_MS);
  }

  /** SIGSTOP for the postmaster and its children. */
  freeze(): void {
    this.#frozen.stopTree(this.pid);
  }

  /** SIGSTOP for the postmaster only. */
  freezeAlone(): void {
    this.#frozen.stop([this.pid]);
  }

  /** Ends both kinds of freeze. */
  thaw(): void {
    this.#frozen.continue();
  }

  /** Stops the startup process; false when there is none. */
  pauseReplay(): boolean {
    const startup = replayProcesses(this.pid);
    this.#replayPaused.stop(startup);
    return startup.length > 0;
  }

  /** Ends `pauseReplay`. */
  resumeReplay(): void {
    this.#replayPaused.continue();
  }

  /** Windows has no signals; PostgreSQL listens to `pg_ctl kill` there. */
  async #signalByPgCtl(mode: StopMode): Promise<void> {
    const args = ['kill', STOP_SIGNALS[mode].slice(3), String(this.pid)];
    await runProgram(neededProgram(this.#owner.binaries, 'pg_ctl'), args, {
      env: this.#owner.binaries.env,
      cwd: this.#data,
    });
  }

  async #waitForEnd(timeoutMs: number): Promise<boolean> {
    const deadlineMs = performance.now() + timeoutMs;
    while (this.isRunning && performance.now() < deadlineMs) await delay(POLL_MS);
    return !this.isRunning;
  }
}

/** The processes of a standby that replay WAL, known by the title they give themselves: one, or none on a primary. */
export function replayProcesses(postmasterPid: number): number[] {
  return childPids(postmasterPid).filter((pid) => /^postgres: (.*: )?startup\b/.test(commandOf(pid)));
}
