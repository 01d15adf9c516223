import { isLoopback } from './address.js';
import type { TreePath } from './place.js';
import type { AuthConfig, ClusterConfig, Config, ListenerConfig, PoolConfig } from './schema.js';
import type { YamlTree } from './yaml-tree.js';

/** Something legal that is likely not meant. */
export interface Oddity {
  readonly path: TreePath;
  readonly message: string;
}

/** A planned switchover alone takes PostgreSQL and Patroni so long; a shorter hold gives up before the new primary is there. */
const SHORTEST_USEFUL_HOLD_MS = 2000;

/** What is legal in a configuration but odd. `tree` tells what was written and what is a default. */
export function findOddities(config: Config, tree: YamlTree): readonly Oddity[] {
  return [
    ...clusterOddities(config.cluster, tree),
    ...listenerOddities(config.listeners),
    ...splitOddities(config.listeners, tree),
    ...freshnessOddities(config),
    ...poolOddities(config.pool),
    ...authOddities(config.auth, config.listeners),
    ...limitOddities(config.limits),
  ];
}

function* clusterOddities(cluster: ClusterConfig, tree: YamlTree): Generator<Oddity> {
  if (cluster.source.kind !== 'nodes') {
    return;
  }
  for (const key of ['namespace', 'group']) {
    if (tree.has(['cluster', key])) {
      yield { path: ['cluster', key], message: 'means nothing with a fixed list of nodes' };
    }
  }
  if (cluster.source.nodes.every((node) => node.weight === 0)) {
    yield { path: ['cluster', 'nodes'], message: 'every weight is 0: no standby takes sessions' };
  }
}

function* listenerOddities(listeners: readonly ListenerConfig[]): Generator<Oddity> {
  for (const [index, listener] of listeners.entries()) {
    if (listener.address.port === 0) {
      yield { path: ['listeners', index, 'address'], message: 'port 0 is another free port after every start' };
    }
  }
}

/** Keys of `routing` that say something to split listeners alone. */
const SPLIT_KEYS = [
  'stickiness',
  'consistency',
  'fence_wait',
  'read_functions',
  'write_functions',
  'catalog_refresh',
  'standby_idle',
] as const;

function* splitOddities(listeners: readonly ListenerConfig[], tree: YamlTree): Generator<Oddity> {
  if (listeners.some((listener) => listener.route === 'split')) {
    return;
  }
  for (const key of SPLIT_KEYS) {
    if (tree.has(['routing', key])) {
      yield { path: ['routing', key], message: 'means nothing without a listener with route: split' };
    }
  }
}

function* freshnessOddities(config: Config): Generator<Oddity> {
  const { routing, cluster, promotion } = config;
  if (routing.maxLagMs < 2 * cluster.monitor.intervalMs) {
    const message = 'is less than two samples of cluster.monitor.interval: hardly any standby will ever be fresh';
    yield { path: ['routing', 'max_lag'], message };
  }
  if (promotion.holdTimeoutMs < SHORTEST_USEFUL_HOLD_MS) {
    const message = 'is shorter than a planned switchover takes: clients will see errors';
    yield { path: ['promotion', 'hold_timeout'], message };
  }
}

/** Bounds that a smaller one can be of no use under. */
const WIDER_BOUNDS = [
  ['max_backends_per_database', 'maxBackendsPerDatabase'],
  ['max_backends_per_user', 'maxBackendsPerUser'],
  ['max_backends_per_node', 'maxBackendsPerNode'],
  ['max_backends', 'maxBackends'],
] as const;

function* poolOddities(pool: PoolConfig): Generator<Oddity> {
  for (const [key, field] of WIDER_BOUNDS) {
    if (pool[field] === 0 || pool[field] >= pool.size) continue;
    yield { path: ['pool', 'size'], message: `is above ${key} and can never be reached` };
    break;
  }
  if (pool.maxBackends !== 0 && pool.maxBackendsPerNode > pool.maxBackends) {
    yield { path: ['pool', 'max_backends_per_node'], message: 'is above max_backends and can never be reached' };
  }
  if (pool.reserveSize > 0 && pool.reserveTimeoutMs >= pool.waitTimeoutMs) {
    const message = 'is not shorter than wait_timeout: the reserve is never used';
    yield { path: ['pool', 'reserve_timeout'], message };
  }
  if (pool.maxIdle > pool.size) {
    yield { path: ['pool', 'max_idle'], message: 'is above size and can never be reached' };
  }
  if (pool.idleTimeoutMs > pool.maxLifetimeMs) {
    yield { path: ['pool', 'idle_timeout'], message: 'is longer than max_lifetime and never takes effect' };
  }
}

/** A time limit that is set and no shorter than another one that is sure to come before it. */
function* limitOddities(limits: Config['limits']): Generator<Oddity> {
  const { transactionTimeoutMs, queryTimeoutMs, idleTransactionTimeoutMs } = limits;
  if (transactionTimeoutMs === 0) return;
  const message = 'is not below transaction_timeout and never takes effect';
  if (queryTimeoutMs >= transactionTimeoutMs) yield { path: ['limits', 'query_timeout'], message };
  if (idleTransactionTimeoutMs >= transactionTimeoutMs) {
    yield { path: ['limits', 'idle_transaction_timeout'], message };
  }
}

function* authOddities(auth: AuthConfig, listeners: readonly ListenerConfig[]): Generator<Oddity> {
  const open = listeners.some((listener) => !isLoopback(listener.address.host));
  if (open && auth.method === 'trust') {
    yield {
      path: ['auth', 'method'],
      message: 'trust lets anybody in who reaches a listener, and not all are on the loopback',
    };
  }
  const catchAll = auth.rules.findIndex(
    (rule) => rule.addresses === null && rule.databases === null && rule.users === null,
  );
  if (catchAll !== -1 && catchAll < auth.rules.length - 1) {
    yield {
      path: ['auth', 'rules', catchAll + 1],
      message: `is never reached: rules[${catchAll}] matches every client`,
    };
  }
  const methods = [auth.method, ...auth.rules.map((rule) => rule.method)];
  const knowsUsers = auth.users.length > 0 || auth.userlistFile !== null || auth.query !== null;
  if (!knowsUsers && methods.some((method) => method !== 'trust' && method !== 'reject')) {
    const message = 'knows no users: nobody can log in with a password without users, userlist_file or query';
    yield { path: ['auth'], message };
  }
}
