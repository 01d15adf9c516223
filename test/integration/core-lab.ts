import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { stringify } from 'yaml';
import { App } from '../../src/app.js';
import type { PostgresServer } from '../../src/cli/demo/postgres/server.js';
import { parseConfig } from '../../src/config/load.js';
import type { Config } from '../../src/config/schema.js';
import type { AdjustableLogger, LogFields } from '../../src/log.js';
import { openEngine } from '../../src/net/open-engine.js';
import { nodeName } from '../../src/util/brand.js';
import { systemClock } from '../../src/util/clock.js';
import { PostgresCluster } from '../support/postgres-cluster.js';
import type { Ending, PostgresClusterOptions } from '../support/postgres-cluster.js';
import { sql } from '../support/postgres-server.js';
import { waitFor } from '../support/processes.js';
import { RawClient } from '../support/raw-client.js';
import type { RawLoginOptions } from '../support/raw-client.js';
import { roles } from '../support/roles.js';

export const TIMEOUT_MS = 15_000;

/** `pool.mode` where a test does not set it. Files with the line `// In both pool modes.` are run once more with `transaction`. */
const POOL_MODE = process.env['SWITCHYARD_TEST_POOL_MODE'] ?? 'session';

/** What moves the bytes. Files with the line `// With both engines.` are run once more with `stream`. */
const ENGINE = process.env['SWITCHYARD_TEST_ENGINE'] ?? 'native';

/** Sessions share their backends where a test does not say otherwise. */
const isPooled = POOL_MODE === 'transaction';

/** For tests that count on it that a session has backends of its own. */
export const ownBackends = { skip: isPooled ? 'it is about backends that belong to one session' : false };

type Section = Readonly<Record<string, unknown>>;

/** A node as the proxy is to see it: a server, or a way to it such as a fault proxy. */
export interface NodeAddress {
  readonly name: string;
  readonly port: number;
}

/** What a test changes of the usual configuration, section by section. */
export interface CoreChanges {
  /** Further keys of the nodes, by name. */
  readonly nodes?: Readonly<Record<string, Section>>;
  readonly monitor?: Section;
  /** In place of one primary and one standby listener. */
  readonly listeners?: readonly Section[];
  readonly routing?: Section;
  readonly pool?: Section;
  readonly promotion?: Section;
  readonly auth?: Section;
  readonly limits?: Section;
  readonly shutdown?: Section;
}

/** The configuration for a fixed list of nodes, quick to see what happens; log-in by the verifiers of the cluster. */
export function coreConfig(nodes: readonly NodeAddress[], changes: CoreChanges = {}): object {
  return {
    cluster: {
      nodes: nodes.map(({ name, port }) => ({ name, host: '127.0.0.1', port, ...changes.nodes?.[name] })),
      monitor: {
        user: roles.monitor.user,
        password: roles.monitor.password,
        interval: '50ms',
        promotion_interval: '20ms',
        ...changes.monitor,
      },
    },
    listeners: changes.listeners ?? [
      { name: 'primary', address: '127.0.0.1:0', route: 'primary' },
      { name: 'standby', address: '127.0.0.1:0', route: 'standby' },
    ],
    routing: { warm_up: '0s', min_dwell: '100ms', slow_start: '0ms', ...changes.routing },
    engine: ENGINE,
    pool: { mode: POOL_MODE, ...changes.pool },
    promotion: { ...changes.promotion },
    auth: { query: 'SELECT * FROM switchyard.user_lookup($1)', ...changes.auth },
    admin: { address: '127.0.0.1:0' },
    limits: { ...changes.limits },
    shutdown: { ...changes.shutdown },
  };
}

/** The same, read. */
export function readCoreConfig(nodes: readonly NodeAddress[], changes: CoreChanges = {}): Config {
  const text = stringify(coreConfig(nodes, changes));
  return parseConfig(text, { fileName: 'core.yaml', env: {}, folder: '/nonexistent' }).config;
}

interface LoggedLine extends LogFields {
  readonly message: string;
}

/** Keeps what is logged. */
class TestLogger implements AdjustableLogger {
  level = 'debug';
  readonly lines: LoggedLine[] = [];
  readonly trace = this.#note;
  readonly debug = this.#note;
  readonly info = this.#note;
  readonly warn = this.#note;
  readonly error = this.#note;

  get #note(): (fields: LogFields, message: string) => void {
    return (fields, message) => void this.lines.push({ ...fields, message });
  }
}

/** The proxy, inside the process of the test. */
export class CoreProxy {
  readonly app: App;
  readonly log: readonly LoggedLine[];
  readonly nodes: readonly NodeAddress[];
  readonly #clients: RawClient[];

  private constructor(app: App, log: readonly LoggedLine[], nodes: readonly NodeAddress[]) {
    this.app = app;
    this.log = log;
    this.nodes = nodes;
    this.#clients = [];
  }

  /** Starts the proxy and waits until it knows a primary and, unless `standbys` says otherwise, that every other node is fresh. */
  static async start(
    t: Ending,
    nodes: readonly NodeAddress[],
    changes: CoreChanges = {},
    standbys = nodes.length - 1,
  ): Promise<CoreProxy> {
    const logger = new TestLogger();
    const config = readCoreConfig(nodes, changes);
    const app = new App(config, { clock: systemClock, logger, engine: openEngine(config.engine).engine });
    const proxy = new CoreProxy(app, logger.lines, nodes);
    t.after(async () => {
      for (const client of proxy.#clients) client.destroy();
      await app.close();
    });
    await flushWal(nodes);
    await app.start();
    await waitFor(() => app.watch.store.view.primary !== null && proxy.healthyStandbys.length >= standbys, {
      timeoutMs: TIMEOUT_MS,
      what: `a primary and ${standbys} standbys to be seen`,
    }).catch((error: unknown) => {
      const nodes = [...app.watch.store.view.nodes.values()].map(({ name, role, health, reason }) => [
        name,
        role,
        health,
        reason,
      ]);
      throw new Error(`${String(error)}: ${JSON.stringify(nodes)}`, { cause: error });
    });
    return proxy;
  }

  get healthyStandbys(): readonly string[] {
    const { nodes } = this.app.watch.store.view;
    return [...nodes.values()]
      .filter((node) => node.role === 'standby' && node.health === 'healthy')
      .map((node) => node.name);
  }

  /** Health of a node in the newest view. */
  health(name: string): string | undefined {
    return this.app.watch.store.view.nodes.get(nodeName(name))?.health;
  }

  port(listener = 'primary'): number {
    const found = this.app.listeners.find((each) => each.name === listener);
    assert.ok(found, `no listener ${listener}`);
    return found.port;
  }

  /** Options of a log-in as the application's user. */
  as(listener = 'primary', more: Partial<RawLoginOptions> = {}): RawLoginOptions {
    return { port: this.port(listener), ...roles.app, timeoutMs: TIMEOUT_MS, ...more };
  }

  /** Logs in; the client is closed after the test. */
  async login(listener = 'primary', more: Partial<RawLoginOptions> = {}): Promise<RawClient> {
    const client = await RawClient.login(this.as(listener, more));
    this.#clients.push(client);
    return client;
  }

  /** Connects and sends nothing; the client is closed after the test. */
  async connect(listener = 'primary'): Promise<RawClient> {
    const client = await RawClient.connect({ port: this.port(listener), timeoutMs: TIMEOUT_MS });
    this.#clients.push(client);
    return client;
  }

  /** Backends by state: in use, idle in the pool. */
  get backends(): { readonly used: number; readonly idle: number } {
    let total = 0;
    let idle = 0;
    for (const count of this.app.pool.counts.values()) {
      total += count.total;
      idle += count.idle;
    }
    return { used: total - idle, idle };
  }

  /**
   * Waits until nothing is left of this many sessions' less: exactly so many live, none is on its way in, and nobody waits. Sessions that
   * share their backends have no more of them than there are sessions, unless `usedBackends` says how many.
   */
  async waitForRest(sessions = 0, usedBackends = isPooled ? null : sessions): Promise<void> {
    const { app } = this;
    const state = (): readonly number[] => [app.registry.size, app.startups, app.pool.waiting, this.backends.used];
    const wanted = [sessions, 0, 0, usedBackends ?? `up to ${sessions}`];
    const isAtRest = (): boolean => {
      const [registered, startups, waiting, used = 0] = state();
      if (registered !== sessions || startups !== 0 || waiting !== 0) return false;
      return usedBackends === null ? used <= sessions : used === usedBackends;
    };
    await waitFor(isAtRest, {
      timeoutMs: TIMEOUT_MS,
      what: `sessions, startups, waiters and used backends to be ${String(wanted)}`,
    }).catch((error: unknown) => {
      throw new Error(`${String(error)}: they are ${String(state())}`, { cause: error });
    });
  }

  /** A fresh client is served, and behind it nothing is left over: the end of every abuse. */
  async checkAfterAbuse(sessions = 0): Promise<void> {
    const client = await this.login();
    assert.deepEqual(await client.rows('select 41 + 1'), [['42']]);
    await client.end();
    await this.waitForRest(sessions);
  }
}

/** Writes out what an aborted transaction of an earlier test may have left in the primary's WAL buffers for seconds. */
export async function flushWal(nodes: readonly NodeAddress[]): Promise<void> {
  const flush = `select case when not pg_is_in_recovery() then pg_logical_emit_message(true, 'flush', '') end`;
  for (const { port } of nodes) await sql({ host: '127.0.0.1', port }, flush).catch(() => {});
}

/** Name of the node that serves a client. */
export async function nodeOf(client: RawClient): Promise<string> {
  return String((await client.rows('show cluster_name'))[0]?.[0]);
}

/** Sessions of the application's user on a node, by the node's own account. */
export async function sessionsOn(server: PostgresServer, condition = 'true'): Promise<number> {
  const rows = await sql(server, `select 1 from pg_stat_activity where usename = 'app' and (${condition})`);
  return rows.length;
}

/** Waits until a backend, by its pid on a node, waits for something (`pg_stat_activity.wait_event`), or is gone (null). */
export async function waitForBackend(server: PostgresServer, pid: string, waitEvent: string | null): Promise<void> {
  await waitFor(
    async () => {
      const rows = await sql(server, 'select wait_event from pg_stat_activity where pid = $1', { values: [pid] });
      return waitEvent === null ? rows.length === 0 : rows[0]?.['wait_event'] === waitEvent;
    },
    { timeoutMs: TIMEOUT_MS, what: `backend ${pid} to wait for ${waitEvent ?? 'nothing any more'}` },
  );
}

/** The pid of the backend that serves a client. */
export async function backendPid(client: RawClient): Promise<string> {
  return String((await client.rows('select pg_backend_pid()'))[0]?.[0]);
}

/** A cluster for all tests of a file. */
export function sharedCluster(options: PostgresClusterOptions = {}): () => PostgresCluster {
  const cleanups: (() => Promise<unknown>)[] = [];
  let cluster: PostgresCluster | null = null;
  before(async () => {
    cluster = await PostgresCluster.start({ after: (run) => void cleanups.push(run) }, options);
  });
  after(async () => {
    for (const run of cleanups.toReversed()) await run();
  });
  return () => {
    assert.ok(cluster, 'the cluster has not started');
    return cluster;
  };
}
