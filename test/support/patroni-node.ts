import { readFileSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { makeOwnedFolder } from '../../src/cli/demo/postgres/data-directory.js';
import { replayProcesses } from '../../src/cli/demo/postgres/postmaster.js';
import {
  StoppedProcesses,
  commandOf,
  isAlive,
  killTree,
  sendSignal,
} from '../../src/cli/demo/postgres/process-tree.js';
import type { Identity } from '../../src/cli/demo/postgres/run-program.js';
import { TestProcess, testGuard, waitFor } from './processes.js';

const DEATH_TIMEOUT_MS = 10_000;
const STOP_TIMEOUT_MS = 40_000;

export interface PatroniNodeOptions {
  readonly name: string;
  /** Folder of this node alone. */
  readonly folder: string;
  readonly identity: Identity;
  readonly port: number;
  readonly restPort: number;
  /** The whole of Patroni's configuration for this node. */
  readonly config: object;
  /** Command prefix that puts the processes into the node's cgroup. */
  readonly joinGroup: readonly string[];
}

/** One member of a Patroni cluster: a Patroni process and the PostgreSQL that it started, which outlives it. */
export class PatroniNode {
  readonly name: string;
  readonly host = '127.0.0.1';
  readonly port: number;
  readonly restPort: number;
  readonly #options: PatroniNodeOptions;
  readonly #frozen: StoppedProcesses;
  readonly #replayPaused: StoppedProcesses;
  readonly #unguard: () => void;
  #patroni: TestProcess | null;
  #earlierLog: string;

  constructor(options: PatroniNodeOptions) {
    this.name = options.name;
    this.port = options.port;
    this.restPort = options.restPort;
    this.#options = options;
    this.#frozen = new StoppedProcesses();
    this.#replayPaused = new StoppedProcesses();
    this.#patroni = null;
    this.#earlierLog = '';
    this.#unguard = testGuard.add(() => this.#killNow());
  }

  /** Where a node of this folder keeps its data. */
  static dataDirectory(folder: string): string {
    return join(folder, 'data');
  }

  get dataDirectory(): string {
    return PatroniNode.dataDirectory(this.#options.folder);
  }

  /** True while the Patroni process exists, be it frozen. */
  get isRunning(): boolean {
    return this.#patroni?.isRunning ?? false;
  }

  /** What Patroni and PostgreSQL have written, over all starts. */
  get log(): string {
    return this.#earlierLog + (this.#patroni?.log ?? '');
  }

  /** Starts Patroni; returns when the process runs, which says nothing about PostgreSQL. */
  async start(): Promise<void> {
    if (this.isRunning) throw new Error(`${this.name} is already running`);
    const { folder, identity, config, joinGroup, name } = this.#options;
    await mkdir(folder, { recursive: true });
    await makeOwnedFolder(folder, identity);
    const configFile = join(folder, 'patroni.yml');
    await writeFile(configFile, stringify(config));
    this.#earlierLog = this.log;
    // The death signal has to be set after the change of the user, which clears it (prctl(2), PR_SET_PDEATHSIG).
    const drop = [
      'setpriv',
      `--reuid=${identity.uid}`,
      `--regid=${identity.gid}`,
      '--init-groups',
      '--pdeathsig',
      'TERM',
    ];
    const env = { HOME: folder, PYTHONUNBUFFERED: '1', LC_ALL: 'C.UTF-8' };
    this.#patroni = await TestProcess.start(`patroni ${name}`, [...joinGroup, ...drop, 'patroni', configFile], {
      env,
      cwd: folder,
    });
  }

  /** Stops Patroni in order, which stops PostgreSQL. */
  async stop(): Promise<void> {
    this.thaw();
    this.resumeReplay();
    await this.#patroni?.stop('SIGTERM', STOP_TIMEOUT_MS);
    await this.crash();
  }

  /** Kills Patroni and every process of PostgreSQL, as the death of the machine would (but sockets are closed). */
  async crash(): Promise<void> {
    const pids = this.#killNow();
    await waitFor(() => !pids.some(isAlive), { timeoutMs: DEATH_TIMEOUT_MS, what: `the death of ${this.name}` });
    this.#frozen.continue();
    this.#replayPaused.continue();
  }

  /** Kills Patroni and leaves PostgreSQL alone, which lives on; `start` gives it another Patroni. */
  async killPatroni(): Promise<void> {
    await this.#patroni?.kill();
  }

  /** Kills every process of PostgreSQL and leaves Patroni alone. */
  async crashPostgres(): Promise<void> {
    const pids = killTree(this.#postmaster());
    await waitFor(() => !pids.some(isAlive), {
      timeoutMs: DEATH_TIMEOUT_MS,
      what: `the death of PostgreSQL on ${this.name}`,
    });
  }

  /** SIGSTOP for Patroni and PostgreSQL: the silent death of a host. */
  freeze(): void {
    this.freezePatroni();
    this.#frozen.stopTree(this.#postmaster());
  }

  /** SIGSTOP for Patroni alone: its leases run out, its PostgreSQL goes on serving. */
  freezePatroni(): void {
    if (this.#patroni?.isRunning !== true) throw new Error(`Patroni of ${this.name} is not running`);
    this.#frozen.stopTree(this.#patroni.pid);
  }

  /** SIGSTOP for the postmaster alone: no new connections, old ones live on. */
  freezePostmaster(): void {
    this.#frozen.stop([this.#postmaster()]);
  }

  /** Ends every freeze. */
  thaw(): void {
    this.#frozen.continue();
  }

  /** Stops the process that replays WAL. Patroni would end a `pg_wal_replay_pause()` in its next loop. */
  pauseReplay(): void {
    const startup = replayProcesses(this.#postmaster());
    if (startup.length === 0) throw new Error(`${this.name} replays nothing`);
    this.#replayPaused.stop(startup);
  }

  resumeReplay(): void {
    this.#replayPaused.continue();
  }

  /** Kills what is left and removes the folder. */
  async close(): Promise<void> {
    await this.#patroni?.kill();
    this.#frozen.continue();
    this.#replayPaused.continue();
    const postmaster = this.#findPostmaster();
    // An immediate shutdown: the postmaster takes its shared memory away, which nobody else does once the folder is gone.
    if (postmaster !== null && sendSignal(postmaster, 'SIGQUIT'))
      await waitFor(() => !isAlive(postmaster), {
        timeoutMs: DEATH_TIMEOUT_MS,
        what: `the end of ${this.name}`,
      }).catch(() => {});
    await this.crash();
    this.#unguard();
    await rm(this.#options.folder, { recursive: true, force: true, maxRetries: 5 });
  }

  #killNow(): number[] {
    const patroni = this.#patroni?.isRunning === true ? killTree(this.#patroni.pid) : [];
    const postmaster = this.#findPostmaster();
    return postmaster === null ? patroni : [...patroni, ...killTree(postmaster)];
  }

  #postmaster(): number {
    const pid = this.#findPostmaster();
    if (pid === null) throw new Error(`PostgreSQL of ${this.name} is not running`);
    return pid;
  }

  /** The pid file may be old and its pid somebody else's by now: the command line must name our data. */
  #findPostmaster(): number | null {
    try {
      const pid = Number(readFileSync(join(this.dataDirectory, 'postmaster.pid'), 'utf8').split('\n')[0]);
      return isAlive(pid) && commandOf(pid).includes(this.dataDirectory) ? pid : null;
    } catch {
      return null;
    }
  }
}
