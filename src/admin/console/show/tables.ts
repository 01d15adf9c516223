import type { Shown } from '../command.js';
import type { Table } from '../facts.js';
import { events, lag, listeners, nodes, pins, routes } from './cluster.js';
import { databases, lists, pools, users } from './pools.js';
import { config, memory, preparedStatements, state, version } from './program.js';
import { activeSockets, clients, servers, sockets } from './sockets.js';
import { stats, statsAverages, statsTotals, totals } from './stats.js';

/** What SHOW gives, by its name. */
export const TABLES: Readonly<Record<Shown, Table>> = {
  ACTIVE_SOCKETS: activeSockets,
  CLIENTS: clients,
  CONFIG: config,
  DATABASES: databases,
  LISTS: lists,
  MEM: memory,
  POOLS: pools,
  SERVERS: servers,
  SOCKETS: sockets,
  STATE: state,
  STATS: stats,
  STATS_AVERAGES: statsAverages,
  STATS_TOTALS: statsTotals,
  TOTALS: totals,
  USERS: users,
  VERSION: version,
  EVENTS: events,
  LAG: lag,
  LISTENERS: listeners,
  NODES: nodes,
  PINS: pins,
  PREPARED_STATEMENTS: preparedStatements,
  ROUTES: routes,
};
