import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse, stringify } from 'yaml';
import type { Ending } from './postgres-cluster.js';
import { TestProcess, waitFor } from './processes.js';

/** The built program, beside the built tests. */
const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url));

const START_TIMEOUT_MS = 15_000;
const COMMAND_TIMEOUT_MS = 30_000;

/** One line of the program's JSON log. */
export type LogRecord = Readonly<Record<string, unknown>>;

export interface SwitchyardOptions {
  /** Added to the environment, for `${NAME}` in the configuration. */
  readonly env?: Readonly<Record<string, string>>;
  /** Options of Node itself, such as `--max-old-space-size=64`. */
  readonly nodeOptions?: readonly string[];
  /** Another script in place of the built program. */
  readonly program?: string;
}

/** The built program as a process of its own, run on a written configuration file. */
export class SwitchyardProcess {
  /** The process: its log as text, signals, `freeze` and `kill`. */
  readonly process: TestProcess;
  readonly configFile: string;

  private constructor(process: TestProcess, configFile: string) {
    this.process = process;
    this.configFile = configFile;
  }

  /**
   * Writes the configuration (an object, or YAML text) and runs the program until it says that every listener, and the admin server when
   * one is configured, listens. Ports may be 0. It is stopped after the test.
   */
  static async start(t: Ending, config: object | string, options: SwitchyardOptions = {}): Promise<SwitchyardProcess> {
    const folder = await mkdtemp(join(tmpdir(), 'switchyard-process-'));
    t.after(() => rm(folder, { recursive: true, force: true }));
    const configFile = join(folder, 'switchyard.yaml');
    await writeFile(configFile, toYaml(config), { mode: 0o600 });
    const child = await spawnProgram(['run', '--config', configFile], options);
    t.after(() => child.kill());
    const started = new SwitchyardProcess(child, configFile);
    await started.#waitUntilListening(config);
    return started;
  }

  /** Port of a listener by its name, of the first one without. */
  port(listener?: string): number {
    const record = this.records('listening').find((each) => listener === undefined || each['listener'] === listener);
    if (record === undefined) throw new Error(`no listener ${listener ?? ''} in the log`);
    return Number(record['port']);
  }

  /** Port of the admin server. */
  get adminPort(): number {
    const record = this.records('admin listening')[0];
    if (record === undefined) throw new Error('no admin server in the log');
    return Number(record['port']);
  }

  /** The lines of the log so far; those with this message when one is given. Lines that are not JSON are left out. */
  records(message?: string): LogRecord[] {
    const records = this.process.log
      .split('\n')
      .map(parseRecord)
      .filter((record) => record !== null);
    return message === undefined ? records : records.filter((record) => record['msg'] === message);
  }

  /** Waits for a line of the log. */
  async waitForRecord(
    accept: (record: LogRecord) => boolean,
    what: string,
    timeoutMs = START_TIMEOUT_MS,
  ): Promise<LogRecord> {
    return waitFor(() => this.records().find(accept), { timeoutMs, what: `${what} in the log` });
  }

  /** Replaces the configuration file; the program reads it at `reload`. */
  async rewriteConfig(config: object | string): Promise<void> {
    await writeFile(this.configFile, toYaml(config));
  }

  /** SIGHUP. */
  reload(): void {
    this.process.signal('SIGHUP');
  }

  /** SIGTERM, and the wait for the end; returns the exit code. */
  async stop(): Promise<number | null> {
    return this.process.stop('SIGTERM');
  }

  async #waitUntilListening(config: object | string): Promise<void> {
    const expected = expectedListeners(config);
    const isReady = (): boolean =>
      this.records('listening').length >= expected.listeners &&
      this.records('admin listening').length >= expected.admin;
    const state = await waitFor(() => (this.process.isRunning ? isReady() && 'ready' : 'ended'), {
      timeoutMs: START_TIMEOUT_MS,
      what: 'the program to listen',
    }).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${this.process.log}`, { cause: error });
    });
    if (state === 'ended') throw new Error(`the program ended with ${this.process.exitCode}\n${this.process.log}`);
  }
}

/** Runs one of the program's commands to its end. */
export async function runSwitchyard(
  args: readonly string[],
  options: SwitchyardOptions = {},
): Promise<{ readonly code: number | null; readonly output: string }> {
  const child = await spawnProgram(args, options);
  try {
    const code = await child.ended(COMMAND_TIMEOUT_MS);
    return { code, output: child.log };
  } finally {
    await child.kill();
  }
}

function spawnProgram(args: readonly string[], options: SwitchyardOptions): Promise<TestProcess> {
  const command = [process.execPath, ...(options.nodeOptions ?? []), options.program ?? MAIN, ...args];
  return TestProcess.start('switchyard', command, { env: options.env ?? {}, deathSignal: 'KILL' });
}

function toYaml(config: object | string): string {
  return typeof config === 'string' ? config : stringify(config);
}

function expectedListeners(config: object | string): { readonly listeners: number; readonly admin: number } {
  const read: unknown = typeof config === 'string' ? parse(config) : config;
  const { listeners, admin } = (read ?? {}) as { readonly listeners?: unknown; readonly admin?: unknown };
  return {
    listeners: Array.isArray(listeners) ? listeners.length : 1,
    admin: admin === undefined || admin === null ? 0 : 1,
  };
}

function parseRecord(line: string): LogRecord | null {
  if (!line.startsWith('{')) return null;
  try {
    return JSON.parse(line) as LogRecord;
  } catch {
    return null;
  }
}
