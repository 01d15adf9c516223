import type { TestContext } from 'node:test';
import { PostgresCluster } from '../support/postgres-cluster.js';
import { waitFor } from '../support/processes.js';
import { RawClient } from '../support/raw-client.js';
import type { RawLoginOptions } from '../support/raw-client.js';
import { roles } from '../support/roles.js';
import { SwitchyardProcess } from '../support/switchyard-process.js';

export const TIMEOUT_MS = 30_000;
export const CONSOLE = 'switchyard';

/** May do everything in the console, may look, and may do nothing. */
export const people = {
  admin: { user: roles.app.user, password: roles.app.password },
  watcher: { user: roles.monitor.user, password: roles.monitor.password },
  stranger: { user: 'stranger', password: 'strangepass' },
} as const;

/** Everything that SHOW gives a table of. */
export const SHOWN: readonly string[] = [
  ...[
    'ACTIVE_SOCKETS',
    'CLIENTS',
    'CONFIG',
    'DATABASES',
    'EVENTS',
    'LAG',
    'LISTENERS',
    'LISTS',
    'MEM',
    'NODES',
    'PINS',
  ],
  ...[
    'POOLS',
    'PREPARED_STATEMENTS',
    'ROUTES',
    'SERVERS',
    'SOCKETS',
    'STATE',
    'STATS',
    'STATS_AVERAGES',
    'STATS_TOTALS',
  ],
  ...['TOTALS', 'USERS', 'VERSION'],
];

export function consoleConfig(cluster: PostgresCluster, admin: object = {}): object {
  return {
    cluster: {
      scope: 'yard',
      nodes: cluster.nodes.map(({ name, host, port }) => ({ name, host, port })),
      monitor: { user: roles.monitor.user, password: roles.monitor.password, interval: '50ms' },
    },
    listeners: [
      { name: 'rw', address: '127.0.0.1:0', route: 'primary' },
      { name: 'split', address: '127.0.0.1:0', route: 'split' },
    ],
    routing: { min_dwell: '100ms', warm_up: '0' },
    auth: {
      query: 'SELECT * FROM switchyard.user_lookup($1)',
      users: [{ name: people.stranger.user, password: people.stranger.password }],
    },
    admin: { address: '127.0.0.1:0', users: people.admin.user, stats_users: [people.watcher.user], ...admin },
    shutdown: { timeout: '2s' },
  };
}

export interface ConsoleLab {
  readonly cluster: PostgresCluster;
  readonly yard: SwitchyardProcess;
  /** Options of a log-in to the console. */
  as(person: keyof typeof people, more?: Partial<RawLoginOptions>): RawLoginOptions;
  login(person?: keyof typeof people, more?: Partial<RawLoginOptions>): Promise<RawClient>;
  /** Logs in to the database of the application. */
  application(more?: Partial<RawLoginOptions>): Promise<RawClient>;
}

/** A primary and a standby, and the built program in front of them. */
export async function startConsoleLab(t: Pick<TestContext, 'after'>, admin: object = {}): Promise<ConsoleLab> {
  const cluster = await PostgresCluster.start(t, { standbys: 1 });
  const yard = await SwitchyardProcess.start(t, consoleConfig(cluster, admin));
  await waitFor(async () => (await fetch(`http://127.0.0.1:${yard.adminPort}/readyz`)).ok, {
    timeoutMs: TIMEOUT_MS,
    what: 'the proxy to be ready',
  });
  const clients: RawClient[] = [];
  t.after(() => {
    for (const client of clients) client.destroy();
  });
  const as: ConsoleLab['as'] = (person, more = {}) => ({
    port: yard.port('rw'),
    ...people[person],
    database: CONSOLE,
    timeoutMs: TIMEOUT_MS,
    ...more,
  });
  const login = async (options: RawLoginOptions): Promise<RawClient> => {
    const client = await RawClient.login(options);
    clients.push(client);
    return client;
  };
  return {
    cluster,
    yard,
    as,
    login: (person = 'admin', more = {}) => login(as(person, more)),
    application: (more = {}) => login({ port: yard.port('rw'), ...roles.app, timeoutMs: TIMEOUT_MS, ...more }),
  };
}
