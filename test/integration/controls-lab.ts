import type { TestContext } from 'node:test';
import type { PostgresCluster } from '../support/postgres-cluster.js';
import { waitFor } from '../support/processes.js';
import { RawClient } from '../support/raw-client.js';
import { backend, frontend } from '../support/raw-messages.js';
import type { RawReply } from '../support/raw-reply.js';
import { roles } from '../support/roles.js';
import { SwitchyardProcess } from '../support/switchyard-process.js';
import { CONSOLE, TIMEOUT_MS, consoleConfig, people } from './console-lab.js';

export type PoolMode = 'session' | 'transaction';

/** The built program in front of a cluster, and clients of it. */
export class ControlsYard {
  readonly yard: SwitchyardProcess;
  readonly #cluster: PostgresCluster;
  readonly #clients: RawClient[] = [];

  private constructor(yard: SwitchyardProcess, cluster: PostgresCluster) {
    this.yard = yard;
    this.#cluster = cluster;
  }

  static async start(
    t: Pick<TestContext, 'after'>,
    cluster: PostgresCluster,
    mode: PoolMode,
    over: object = {},
  ): Promise<ControlsYard> {
    const yard = await SwitchyardProcess.start(t, controlsConfig(cluster, mode, over));
    const own = new ControlsYard(yard, cluster);
    t.after(() => {
      for (const client of own.#clients) client.destroy();
    });
    await own.until(async () => (await fetch(`http://127.0.0.1:${yard.adminPort}/readyz`)).ok, 'the proxy to be ready');
    return own;
  }

  /** A client of the application. */
  async client(listener = 'rw', database: string = roles.app.database): Promise<RawClient> {
    return this.#login(listener, roles.app, database);
  }

  async admin(): Promise<RawClient> {
    return this.#login('rw', people.admin, CONSOLE);
  }

  /** A table of the console, by the names of its columns. */
  async show(name: string): Promise<Record<string, string | null>[]> {
    const admin = await this.admin();
    const { rows, columns } = await admin.query(`SHOW ${name}`);
    await admin.end();
    return rows.map((row) => Object.fromEntries(columns.map((column, index) => [column, row[index] ?? null])));
  }

  /** Backends of the application on the primary, as that tells. */
  async backends(database: string = roles.app.database): Promise<number> {
    const text = `select count(*)::int as n from pg_stat_activity where usename = '${roles.app.user}' and datname = '${database}'`;
    return Number((await this.#cluster.sql(text))[0]?.['n']);
  }

  async until(isTrue: () => Promise<boolean> | boolean, what: string): Promise<void> {
    await waitFor(isTrue, { timeoutMs: TIMEOUT_MS, what });
  }

  /** So many units wait for the end of a pause. */
  async untilPaused(units: number): Promise<void> {
    const count = async (): Promise<number> =>
      Number((await this.show('LISTS')).find(({ list }) => list === 'paused_clients')?.['items']);
    await this.until(async () => (await count()) === units, `${units} paused units`);
  }

  async #login(
    listener: string,
    { user, password }: { readonly user: string; readonly password: string },
    database: string,
  ): Promise<RawClient> {
    const port = this.yard.port(listener);
    const client = await RawClient.login({ port, user, password, database, timeoutMs: TIMEOUT_MS });
    this.#clients.push(client);
    return client;
  }
}

export function controlsConfig(cluster: PostgresCluster, mode: PoolMode, over: object = {}): object {
  return { ...consoleConfig(cluster), pool: { mode, size: 10 }, log: { level: 'debug' }, ...over };
}

export async function pidOf(client: RawClient): Promise<string> {
  return (await client.rows('select pg_backend_pid()'))[0]?.[0] ?? '';
}

/** Sends a PAUSE that has to wait; gives the first sentence about what for. The answer is still to come. */
export async function beginPause(admin: RawClient, command: string): Promise<string> {
  admin.send(frontend.query(command));
  const message = await admin.read();
  if (message?.type !== 'N') throw new Error(`${command} was answered with ${message?.type ?? 'nothing'}`);
  return backend.errorFields(message.body).message;
}

export function noticesOf({ notices }: RawReply): string {
  return notices.map(({ message }) => message).join('\n');
}
