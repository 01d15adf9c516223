import { rmSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { PostgresBinaries } from './binaries.js';
import * as dataDirectory from './data-directory.js';
import type { DataDirectoryOwner, Settings, Upstream } from './data-directory.js';
import { ExitGuard } from './exit-guard.js';
import { freePort } from './free-port.js';
import { Postmaster } from './postmaster.js';
import type { StopMode } from './postmaster.js';
import { runProgram, unprivilegedIdentity } from './run-program.js';

/** Another program may take a port between our look and PostgreSQL's start. */
const PORT_TRIES_MAX = 3;
const LOG_TAIL_CHARS = 2000;
const STREAMING_TIMEOUT_MS = 30_000;
const POLL_MS = 20;

/** Small and quick rather than durable: these servers live for a demo or a test and lose nothing when the machine does not crash. */
const BASE_SETTINGS: Settings = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  fsync: false,
  shared_buffers: '32MB',
  max_connections: 100,
  max_wal_senders: 10,
  max_prepared_transactions: 10,
  wal_keep_size: '256MB',
  wal_log_hints: true,
  hot_standby: true,
  // A standby that lost its primary looks for it this often (5 s by default), and an idle one reports this often (10 s by default).
  wal_retrieve_retry_interval: '200ms',
  wal_receiver_status_interval: '1s',
  password_encryption: 'scram-sha-256',
  lc_messages: 'C',
  log_line_prefix: '%m [%p] %q%u@%d ',
};

export interface PostgresServerOptions {
  readonly binaries: PostgresBinaries;
  /** Name of the node: `cluster_name`, and `application_name` of its replication. */
  readonly name?: string;
  /** A free port by default, kept over restarts. */
  readonly port?: number;
  /** On top of the base settings. */
  readonly settings?: Settings;
  /** Lines of `pg_hba.conf` after the one for replication; SCRAM for everybody on the loopback address by default. */
  readonly hba?: readonly string[];
  readonly superuserPassword?: string;
  readonly replicationPassword?: string;
  /** Kills the server when this process ends; one of its own, with signals, by default. */
  readonly guard?: ExitGuard;
}

export interface StandbyOptions {
  readonly name: string;
  readonly port?: number;
  readonly settings?: Settings;
}

/**
 * One PostgreSQL server of ours in a temporary folder, listening on the loopback address only. Its processes can be killed, frozen and
 * thawed. The superuser is `postgres`, the role for replication `replicator`. It runs as an unprivileged user when this process is root.
 * `close` ends it and removes the folder; so does the end of this process.
 */
export class PostgresServer {
  readonly name: string;
  readonly host = '127.0.0.1';
  readonly superuserPassword: string;
  readonly replicationPassword: string;
  readonly #owner: DataDirectoryOwner;
  readonly #guard: ExitGuard;
  readonly #folder: string;
  readonly #portIsFixed: boolean;
  readonly #unguard: () => void;
  #port: number;
  #portIsProven: boolean;
  #settings: Settings;
  #hba: readonly string[];
  #upstream: PostgresServer | null;
  #postmaster: Postmaster | null;
  /** Length of the log when the server was started or given its upstream. */
  #logMark: number;

  private constructor(options: PostgresServerOptions, owner: DataDirectoryOwner, folder: string, port: number) {
    this.name = options.name ?? 'postgres';
    this.superuserPassword = options.superuserPassword ?? 'supersecret';
    this.replicationPassword = options.replicationPassword ?? 'replpass';
    this.#owner = owner;
    this.#guard = options.guard ?? new ExitGuard({ signals: true });
    this.#folder = folder;
    this.#portIsFixed = options.port !== undefined;
    this.#port = port;
    this.#portIsProven = false;
    this.#settings = options.settings ?? {};
    this.#hba = options.hba ?? ['host all all 127.0.0.1/32 scram-sha-256'];
    this.#upstream = null;
    this.#postmaster = null;
    this.#logMark = 0;
    this.#unguard = this.#guard.add(() => {
      this.#postmaster?.killNow();
      rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5 });
    });
  }

  /** Makes a folder for a server, without data. */
  static async #make(options: PostgresServerOptions): Promise<PostgresServer> {
    const owner = { binaries: options.binaries, identity: unprivilegedIdentity() };
    const folder = await mkdtemp(join(tmpdir(), 'switchyard-postgres-'));
    await dataDirectory.makeOwnedFolder(folder, owner.identity);
    return new PostgresServer(options, owner, folder, options.port ?? (await freePort()));
  }

  /** Initialises a server with the role for replication; it is not started. */
  static async create(options: PostgresServerOptions): Promise<PostgresServer> {
    const server = await PostgresServer.#make(options);
    try {
      await dataDirectory.initialize(server.#owner, server.dataDirectory, server.superuserPassword);
      const password = server.replicationPassword.replaceAll("'", "''");
      await server.runSingleUser([`CREATE ROLE replicator LOGIN REPLICATION PASSWORD '${password}'`]);
      return server;
    } catch (error) {
      await server.close();
      throw error;
    }
  }

  get port(): number {
    return this.#port;
  }

  get dataDirectory(): string {
    return join(this.#folder, 'data');
  }

  get binaries(): PostgresBinaries {
    return this.#owner.binaries;
  }

  get isRunning(): boolean {
    return this.#postmaster?.isRunning ?? false;
  }

  /** Pid of the postmaster; null when the server is down. */
  get pid(): number | null {
    return this.isRunning ? (this.#postmaster?.pid ?? null) : null;
  }

  /** Everything the server has logged. */
  async log(): Promise<string> {
    return readFile(this.#logFile, 'utf8').catch(() => '');
  }

  /** Starts the server. With `wait` (default) returns when it accepts sessions, and throws with the end of its log when it does not. */
  async start(options: { readonly wait?: boolean } = {}): Promise<void> {
    if (this.isRunning) throw new Error(`${this.name} is already running`);
    for (let tries = 1; ; tries += 1) {
      this.#logMark = (await this.log()).length;
      await this.#writeConfiguration();
      this.#postmaster = await Postmaster.spawn(this.#owner, this.dataDirectory, this.#logFile);
      if (options.wait === false) return;
      const trouble = await this.#postmaster.waitUntilReady();
      if (trouble === null) {
        this.#portIsProven = true;
        return;
      }
      const log = (await this.log()).slice(this.#logMark);
      const mayChange =
        !this.#portIsFixed && !this.#portIsProven && log.includes('could not create any TCP/IP sockets');
      if (!mayChange || tries >= PORT_TRIES_MAX)
        throw new Error(`${this.name} ${trouble}\n${log.slice(-LOG_TAIL_CHARS)}`);
      this.#port = await freePort();
    }
  }

  /** Stops the server and waits for its end; nothing happens when it is down. Frozen processes are thawed first. */
  async stop(mode: StopMode = 'fast'): Promise<void> {
    if (!this.isRunning) return;
    if (!(await this.#running().stop(mode)))
      throw new Error(`${this.name} did not stop (${mode}) in time and was killed`);
  }

  /** Kills the postmaster and every backend at once, as the death of a machine would (but their sockets are closed). */
  async kill(): Promise<void> {
    await this.#postmaster?.kill();
  }

  /** Stops every process (SIGSTOP): connections stay open and nobody answers, like a host that died silently. */
  freeze(): void {
    this.#running().freeze();
  }

  /** Stops the postmaster alone: sessions live on, new connections are taken by the kernel and never answered. */
  freezePostmaster(): void {
    this.#running().freezeAlone();
  }

  /** Ends `freeze` and `freezePostmaster`. */
  thaw(): void {
    this.#running().thaw();
  }

  /** Stops the replay of WAL on a standby, and with it a promotion; WAL is still received. */
  pauseReplay(): void {
    if (!this.#running().pauseReplay()) throw new Error(`${this.name} replays nothing`);
  }

  /** Ends `pauseReplay`. */
  resumeReplay(): void {
    this.#running().resumeReplay();
  }

  /** Makes a standby a primary and waits until it is one. */
  async promote(): Promise<void> {
    this.#running();
    await this.#pgCtl(['promote', '-w', '-D', this.dataDirectory]);
    this.#upstream = null;
  }

  /** Makes a running standby follow another node by a reload; a stopped server becomes a standby of it at its next start. */
  async follow(upstream: PostgresServer): Promise<void> {
    this.#upstream = upstream;
    this.#logMark = (await this.log()).length;
    if (this.isRunning) await this.reload();
    else await dataDirectory.markAsStandby(this.#owner, this.dataDirectory);
  }

  /** Waits until a standby has begun to receive WAL, since its start or the last change of its upstream; throws after 30 s. */
  async waitUntilStreaming(): Promise<void> {
    const deadlineMs = performance.now() + STREAMING_TIMEOUT_MS;
    while (performance.now() < deadlineMs) {
      this.#running();
      if ((await this.log()).includes('started streaming WAL from primary', this.#logMark)) return;
      await delay(POLL_MS);
    }
    throw new Error(
      `${this.name} did not stream within ${STREAMING_TIMEOUT_MS} ms\n${(await this.log()).slice(-LOG_TAIL_CHARS)}`,
    );
  }

  /**
   * Makes a new standby of this server; it is not started. A running server is copied by `pg_basebackup`; where there is none it is
   * stopped for the copy and started again, which ends its sessions. Cheapest before the first start.
   */
  async cloneStandby(options: StandbyOptions): Promise<PostgresServer> {
    const standby = await PostgresServer.#make({
      binaries: this.binaries,
      guard: this.#guard,
      hba: this.#hba,
      superuserPassword: this.superuserPassword,
      replicationPassword: this.replicationPassword,
      ...options,
      settings: { ...this.#settings, ...options.settings },
    });
    try {
      await standby.rebuildFrom(this);
      return standby;
    } catch (error) {
      await standby.close();
      throw error;
    }
  }

  /** Throws the data away and copies those of another server, whose standby it is then. The server must be down and stays so. */
  async rebuildFrom(source: PostgresServer): Promise<void> {
    if (this.isRunning) throw new Error(`${this.name} must be stopped to be rebuilt`);
    await rm(this.dataDirectory, { recursive: true, force: true });
    const program = this.binaries.program('pg_basebackup');
    if (source.isRunning && program !== null) {
      await dataDirectory.copyRunning(this.#owner, program, source.#asUpstream(), this.dataDirectory);
    } else {
      const wasRunning = source.isRunning;
      await source.stop('fast');
      await dataDirectory.copyStopped(this.#owner, source.dataDirectory, this.dataDirectory);
      if (wasRunning) await source.start();
    }
    await this.follow(source);
  }

  /** Runs SQL as the superuser while the server is down, one statement each. */
  async runSingleUser(statements: readonly string[], database = 'postgres'): Promise<void> {
    if (this.isRunning) throw new Error(`${this.name} must be stopped for the single-user mode`);
    await this.#writeConfiguration();
    await dataDirectory.runSingleUser(this.#owner, this.dataDirectory, database, statements);
  }

  /** Puts a file that only the server can read into its folder, for keys and certificates; returns its path. */
  async putFile(name: string, text: string): Promise<string> {
    const path = join(this.#folder, name);
    await dataDirectory.writeOwned(path, text, this.#owner.identity);
    return path;
  }

  /** Adds settings, and replaces the lines of `pg_hba.conf` when some are given; they count at the next start or `reload`. */
  configure(change: { readonly settings?: Settings; readonly hba?: readonly string[] }): void {
    this.#settings = { ...this.#settings, ...change.settings };
    this.#hba = change.hba ?? this.#hba;
  }

  /** Writes the configuration and makes a running server read it. */
  async reload(): Promise<void> {
    await this.#writeConfiguration();
    await this.#pgCtl(['reload', '-D', this.dataDirectory]);
  }

  /** Ends the server and removes its folder. May be called more than once. */
  async close(): Promise<void> {
    // Not killed: it takes its shared memory away, which nobody else does once the folder is gone.
    if (this.isRunning) await this.#running().stop('immediate');
    this.#unguard();
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }

  get #logFile(): string {
    return join(this.#folder, 'server.log');
  }

  #running(): Postmaster {
    if (this.#postmaster === null || !this.isRunning) throw new Error(`${this.name} is not running`);
    return this.#postmaster;
  }

  #asUpstream(): Upstream {
    return { host: this.host, port: this.#port, user: 'replicator', password: this.replicationPassword };
  }

  async #pgCtl(args: readonly string[]): Promise<void> {
    const program = dataDirectory.neededProgram(this.binaries, 'pg_ctl');
    await runProgram(program, args, { ...this.#owner, env: this.binaries.env, cwd: this.#folder });
  }

  async #writeConfiguration(): Promise<void> {
    const upstream: Record<string, string> =
      this.#upstream === null
        ? {}
        : { primary_conninfo: dataDirectory.primaryConninfo(this.#upstream.#asUpstream(), this.name) };
    const settings = { ...BASE_SETTINGS, cluster_name: this.name, port: this.#port, ...upstream, ...this.#settings };
    await dataDirectory.writeSettings(this.#owner, this.dataDirectory, settings);
    const replication = 'host replication replicator 127.0.0.1/32 scram-sha-256';
    await dataDirectory.writeHba(this.#owner, this.dataDirectory, [replication, ...this.#hba]);
  }
}
