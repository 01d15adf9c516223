import { CONSOLE_DATABASE } from '../../../session/console-door.js';
import { columns, flag, secondsAndRest } from '../facts.js';
import type { ConsoleFacts, Table } from '../facts.js';
import { consolePair, pairsOf, sumsOf } from './pairs.js';
import type { Pair } from './pairs.js';

const MS_PER_S = 1000;

/** One row for each user of each database, backends on all nodes together. */
export const pools: Table = {
  columns: columns(
    ['text', 'database user'],
    ['int4', 'cl_active cl_waiting cl_active_cancel_req cl_waiting_cancel_req sv_active sv_active_cancel'],
    ['int4', 'sv_being_canceled sv_idle sv_used sv_tested sv_login maxwait maxwait_us'],
    ['text', 'pool_mode load_balance_hosts'],
    ['int4', 'cl_pinned'],
  ),
  *rows({ proxy, clients }) {
    const { mode } = proxy.config.pool;
    for (const pair of pairsOf(proxy)) yield poolRow(pair, mode);
    if (clients.length > 0) yield poolRow(consolePair(clients.length), 'statement');
  },
};

function poolRow(pair: Pair, mode: string): (string | number | null)[] {
  // What is neither a session's nor idle nor on its way is being cleaned, or its statement is being cancelled.
  const tested = Math.max(0, pair.backends - pair.attached - pair.idle - pair.dialling);
  return [
    ...[pair.database, pair.user, pair.sessions - pair.waiting, pair.waiting, 0, 0],
    ...[pair.attached, pair.cancelled, 0, pair.idle, 0, tested, pair.dialling],
    ...secondsAndRest(pair.maxWaitMs),
    ...[mode, null, pair.pinned],
  ];
}

/** Databases that are in use, or that somebody has said something about. */
export const databases: Table = {
  columns: columns(
    ['text', 'name host'],
    ['int4', 'port'],
    ['text', 'database force_user'],
    ['int4', 'pool_size min_pool_size reserve_pool_size'],
    ['text', 'server_lifetime pool_mode load_balance_hosts'],
    ['int4', 'max_connections current_connections max_client_connections current_client_connections paused disabled'],
  ),
  *rows(facts) {
    const { config, watch } = facts.proxy;
    const { view } = watch.store;
    const primary = view.primary === null ? undefined : view.nodes.get(view.primary);
    const sums = sumsOf(pairsOf(facts.proxy), ({ database }) => database);
    for (const name of databaseNames(facts)) {
      const sum = sums.get(name);
      const isConsole = name === CONSOLE_DATABASE;
      const { isPaused, pausedDatabases, disabledDatabases } = facts.controls;
      yield [
        ...[name, isConsole ? null : (primary?.host ?? null), primary?.port ?? 0, name, null],
        ...[isConsole ? 0 : config.pool.size, 0, 0],
        ...[String(Math.round(config.pool.maxLifetimeMs / MS_PER_S)), isConsole ? 'statement' : null, null],
        ...[0, sum?.backends ?? 0, 0, isConsole ? facts.clients.length : (sum?.sessions ?? 0)],
        flag(!isConsole && (isPaused || pausedDatabases.includes(name))),
        flag(disabledDatabases.includes(name)),
      ];
    }
  },
};

export const users: Table = {
  columns: columns(
    ['text', 'name pool_size reserve_pool_size pool_mode'],
    ['int4', 'max_user_connections current_connections max_user_client_connections current_client_connections'],
    ['text', 'console'],
  ),
  *rows(facts) {
    const { users: admins, statsUsers } = facts.proxy.config.admin;
    const sums = sumsOf(pairsOf(facts.proxy), ({ user }) => user);
    for (const name of userNames(facts)) {
      const sum = sums.get(name);
      const talking = facts.clients.filter(({ client }) => client.user === name).length;
      const may = admins.includes(name) ? 'admin' : statsUsers.includes(name) ? 'stats' : null;
      yield [name, '', '', null, 0, sum?.backends ?? 0, 0, (sum?.sessions ?? 0) + talking, may];
    }
  },
};

export const lists: Table = {
  columns: columns(['text', 'list'], ['int4', 'items']),
  *rows(facts) {
    const { proxy } = facts;
    const pairs = pairsOf(proxy);
    yield ['databases', databaseNames(facts).size];
    yield ['users', userNames(facts).size];
    yield ['peers', 0];
    yield ['pools', pairs.length + (facts.clients.length > 0 ? 1 : 0)];
    yield ['peer_pools', 0];
    // Nothing is kept of a connection that is gone.
    yield ['free_clients', 0];
    yield ['used_clients', proxy.registry.size + facts.clients.length];
    yield ['login_clients', proxy.startups];
    yield ['free_servers', 0];
    yield ['used_servers', pairs.reduce((sum, { backends }) => sum + backends, 0)];
    for (const name of ['dns_names', 'dns_zones', 'dns_queries', 'dns_pending']) yield [name, 0];
    yield ['nodes', proxy.watch.store.view.nodes.size];
    yield ['listeners', proxy.listeners.length];
    yield ['held_clients', proxy.primaryHold.length + proxy.standbyHold.length];
    yield ['paused_clients', proxy.pauses.waiting];
  },
};

function databaseNames({ proxy, periods, controls }: ConsoleFacts): ReadonlySet<string> {
  return new Set([
    ...pairsOf(proxy).map(({ database }) => database),
    ...periods.databases().map(({ name }) => name),
    ...controls.pausedDatabases,
    ...controls.disabledDatabases,
    CONSOLE_DATABASE,
  ]);
}

/** Those of the configuration, and those who are there. */
function userNames({ proxy, clients }: ConsoleFacts): ReadonlySet<string> {
  const { auth, admin } = proxy.config;
  return new Set([
    ...auth.users.map(({ name }) => name),
    ...admin.users,
    ...admin.statsUsers,
    ...pairsOf(proxy).map(({ user }) => user),
    ...clients.map(({ client }) => client.user),
  ]);
}
