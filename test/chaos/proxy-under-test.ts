import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { Partitions } from '../support/partitions.js';
import type { PatroniCluster } from '../support/patroni-cluster.js';
import { freePorts } from '../support/ports.js';
import { TestProcess, waitFor } from '../support/processes.js';
import { yardConfig } from '../support/yard.js';
import { readMetrics } from './measure/metrics-reading.js';
import type { MetricsReading } from './measure/metrics-reading.js';

const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url));
const READY_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 60_000;
const SCRAPE_TIMEOUT_MS = 5_000;
const GROUP = 'proxy';
/** Of each node, user and database, for clients that share them. */
const SHARED_BACKENDS = 10;
/** pino's number for "error". */
const ERROR_LEVEL = 50;

export interface ProxyOptions {
  /** Of the listener `primary`. */
  readonly route: 'primary' | 'split';
  readonly poolMode: 'session' | 'transaction';
  readonly logLevel: string;
  readonly holdTimeoutMs: number;
}

/** The built program in front of the cluster, on ports that stay the same over restarts, in a network group of its own. */
export class ProxyUnderTest {
  readonly primaryPort: number;
  readonly standbyPort: number;
  readonly adminPort: number;
  readonly #folder: string;
  readonly #partitions: Partitions;
  readonly #prefix: readonly string[];
  #process: TestProcess | null;
  #earlierLog: string;
  #starts: number;

  private constructor(folder: string, ports: readonly number[], partitions: Partitions, prefix: readonly string[]) {
    [this.primaryPort = 0, this.standbyPort = 0, this.adminPort = 0] = ports;
    this.#folder = folder;
    this.#partitions = partitions;
    this.#prefix = prefix;
    this.#process = null;
    this.#earlierLog = '';
    this.#starts = 0;
  }

  /** Starts the program and waits until it is ready; the caller ends it with `close`. */
  static async open(cluster: PatroniCluster, options: ProxyOptions): Promise<ProxyUnderTest> {
    const folder = await mkdtemp(join(tmpdir(), 'switchyard-chaos-'));
    const partitions = new Partitions();
    const proxy = new ProxyUnderTest(folder, await freePorts(3), partitions, await partitions.join(GROUP));
    const config = {
      ...yardConfig(cluster, {
        promotion: { hold_timeout: `${options.holdTimeoutMs}ms` },
        // Idle backends go soon, so that what stays is what was forgotten.
        pool: {
          idle_timeout: '2s',
          mode: options.poolMode,
          ...(options.poolMode === 'transaction' ? { size: SHARED_BACKENDS } : {}),
        },
      }),
      listeners: [
        { name: 'primary', address: `127.0.0.1:${proxy.primaryPort}`, route: options.route },
        { name: 'standby', address: `127.0.0.1:${proxy.standbyPort}`, route: 'standby' },
      ],
      admin: { address: `127.0.0.1:${proxy.adminPort}` },
      log: { level: options.logLevel },
    };
    await writeFile(proxy.#configFile, stringify(config), { mode: 0o600 });
    await proxy.start();
    return proxy;
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  /** How often the program was started: its counters begin again at 0. */
  get starts(): number {
    return this.#starts;
  }

  get isRunning(): boolean {
    return this.#process?.isRunning ?? false;
  }

  /** What all starts of the program have written. */
  get log(): string {
    return this.#earlierLog + (this.#process?.log ?? '');
  }

  /** Lines of the log that say that the program itself is broken. */
  get complaints(): readonly string[] {
    return this.log.split('\n').filter((line) => {
      const level = /^\{"level":(?:"(\w+)"|(\d+))/.exec(line);
      return level === null ? line.trim() !== '' : level[1] === 'error' || Number(level[2]) >= ERROR_LEVEL;
    });
  }

  async start(): Promise<void> {
    this.#earlierLog = this.log;
    const command = [...this.#prefix, process.execPath, MAIN, 'run', '--config', this.#configFile];
    this.#process = await TestProcess.start('switchyard', command, { deathSignal: 'KILL' });
    this.#starts += 1;
    await this.ready();
  }

  /** SIGTERM, as whoever runs the program would; returns when it has ended. */
  async stop(): Promise<void> {
    await this.#process?.stop('SIGTERM', STOP_TIMEOUT_MS);
  }

  async ready(): Promise<void> {
    await waitFor(async () => (await this.#get('/readyz')).ok, {
      timeoutMs: READY_TIMEOUT_MS,
      what: 'the proxy to be ready',
    });
  }

  async metrics(): Promise<MetricsReading> {
    return readMetrics(await (await this.#get('/metrics')).text());
  }

  /** Drops every packet between the proxy and these ports. */
  async cutFrom(ports: readonly number[]): Promise<void> {
    await this.#partitions.drop([{ from: GROUP, toPorts: ports, answersToo: true }]);
  }

  async heal(): Promise<void> {
    await this.#partitions.heal();
  }

  async close(): Promise<void> {
    await this.heal();
    await this.#process?.kill();
    await this.#partitions.close();
    await rm(this.#folder, { recursive: true, force: true });
  }

  get #configFile(): string {
    return join(this.#folder, 'switchyard.yaml');
  }

  #get(path: string): Promise<Response> {
    return fetch(`http://127.0.0.1:${this.adminPort}${path}`, { signal: AbortSignal.timeout(SCRAPE_TIMEOUT_MS) });
  }
}
