import { formatDuration, formatSize } from '../util/units.js';
import { type AddressRange, formatAddress } from './address.js';
import type { AuthRuleConfig, Config, Etcd3Config, ListenerConfig, NodeConfig } from './schema.js';

/** One key of the file: whether a new value takes effect while the program runs, and what its value is. */
export interface ConfigKey<Owner> {
  /** As in the file: `pool.size`. A key stands for everything below it. */
  readonly key: string;
  /** Other keys that end in the same value: `password_file`. */
  readonly aliases: readonly string[];
  /** False: only after a restart. */
  readonly live: boolean;
  /** What is compared. */
  readonly value: (owner: Owner) => unknown;
  /** What people see. A secret is never in it. */
  readonly show: (owner: Owner) => string;
}

const NONE = 'none';
const SECRET = '(secret)';

/** Every key but those of listeners, in the order of the file. */
export const CONFIG_KEYS: readonly ConfigKey<Config>[] = [
  restart(plain('cluster.scope', (c) => c.cluster.scope)),
  restart(plain('cluster.namespace', (c) => c.cluster.namespace)),
  restart(plain('cluster.group', (c) => c.cluster.group)),
  restart(
    key(
      'cluster.etcd3.hosts',
      (c) => etcd3(c)?.hosts ?? null,
      (hosts) => hosts?.map(formatAddress).join(', ') ?? NONE,
      ['cluster.etcd3.host'],
    ),
  ),
  restart(plain('cluster.etcd3.username', (c) => etcd3(c)?.username ?? null)),
  restart(secret('cluster.etcd3.password', (c) => etcd3(c)?.password ?? null)),
  restart(duration('cluster.etcd3.request_timeout', (c) => etcd3(c)?.requestTimeoutMs ?? null)),
  restart(duration('cluster.etcd3.stale_after', (c) => etcd3(c)?.staleAfterMs ?? null)),
  restart(duration('cluster.etcd3.watchdog_interval', (c) => etcd3(c)?.watchdogIntervalMs ?? null)),
  restart(duration('cluster.etcd3.keepalive', (c) => etcd3(c)?.keepaliveMs ?? null)),
  restart(key('cluster.nodes', nodes, (list) => list?.map(showNode).join('; ') ?? NONE)),
  restart(plain('cluster.monitor.user', (c) => c.cluster.monitor.user)),
  restart(secret('cluster.monitor.password', (c) => c.cluster.monitor.password)),
  restart(plain('cluster.monitor.database', (c) => c.cluster.monitor.database)),
  restart(duration('cluster.monitor.interval', (c) => c.cluster.monitor.intervalMs)),
  restart(duration('cluster.monitor.promotion_interval', (c) => c.cluster.monitor.promotionIntervalMs)),
  restart(duration('cluster.monitor.timeout', (c) => c.cluster.monitor.timeoutMs)),
  restart(duration('cluster.monitor.connect_interval', (c) => c.cluster.monitor.connectIntervalMs)),
  live(duration('routing.max_lag', (c) => c.routing.maxLagMs)),
  live(size('routing.max_lag_bytes', (c) => c.routing.maxLagBytes)),
  live(duration('routing.recover_lag', (c) => c.routing.recoverLagMs)),
  live(size('routing.recover_lag_bytes', (c) => c.routing.recoverLagBytes)),
  live(plain('routing.lag_samples', (c) => c.routing.lagSamples)),
  live(duration('routing.min_dwell', (c) => c.routing.minDwellMs)),
  live(plain('routing.require_streaming', (c) => c.routing.requireStreaming)),
  live(duration('routing.warm_up', (c) => c.routing.warmUpMs)),
  live(plain('routing.rebalance', (c) => c.routing.rebalance)),
  live(plain('routing.zone', (c) => c.routing.zone)),
  live(duration('routing.slow_start', (c) => c.routing.slowStartMs)),
  live(plain('routing.stickiness', (c) => c.routing.stickiness)),
  live(plain('routing.consistency', (c) => c.routing.consistency)),
  live(duration('routing.fence_wait', (c) => c.routing.fenceWaitMs)),
  live(key('routing.read_functions', (c) => c.routing.readFunctions, showNames)),
  live(key('routing.write_functions', (c) => c.routing.writeFunctions, showNames)),
  live(duration('routing.catalog_refresh', (c) => c.routing.catalogRefreshMs)),
  live(duration('routing.standby_idle', (c) => c.routing.standbyIdleMs)),
  live(plain('pool.mode', (c) => c.pool.mode)),
  live(plain('pool.size', (c) => c.pool.size)),
  live(plain('pool.min_size', (c) => c.pool.minSize)),
  live(plain('pool.reserve_size', (c) => c.pool.reserveSize)),
  live(duration('pool.reserve_timeout', (c) => c.pool.reserveTimeoutMs)),
  live(plain('pool.max_backends_per_node', (c) => c.pool.maxBackendsPerNode)),
  live(plain('pool.max_backends_per_database', (c) => c.pool.maxBackendsPerDatabase)),
  live(plain('pool.max_backends_per_user', (c) => c.pool.maxBackendsPerUser)),
  live(plain('pool.max_backends', (c) => c.pool.maxBackends)),
  live(duration('pool.wait_timeout', (c) => c.pool.waitTimeoutMs)),
  live(duration('pool.idle_timeout', (c) => c.pool.idleTimeoutMs)),
  live(plain('pool.max_idle', (c) => c.pool.maxIdle)),
  live(duration('pool.max_lifetime', (c) => c.pool.maxLifetimeMs)),
  live(duration('pool.connect_timeout', (c) => c.pool.connectTimeoutMs)),
  live(plain('pool.login_concurrency', (c) => c.pool.loginConcurrency)),
  live(plain('pool.max_prepared_statements', (c) => c.pool.maxPreparedStatements)),
  live(plain('pool.reuse', (c) => c.pool.reuse)),
  live(duration('promotion.hold_timeout', (c) => c.promotion.holdTimeoutMs)),
  live(duration('promotion.drain_timeout', (c) => c.promotion.drainTimeoutMs)),
  live(duration('promotion.announce_timeout', (c) => c.promotion.announceTimeoutMs)),
  live(plain('promotion.max_held', (c) => c.promotion.maxHeld)),
  live(plain('promotion.release_wave', (c) => c.promotion.releaseWave)),
  live(plain('promotion.clear_candidate', (c) => c.promotion.clearCandidate)),
  live(plain('promotion.replay', (c) => c.promotion.replay)),
  live(size('promotion.replay_buffer', (c) => c.promotion.replayBytes)),
  live(plain('auth.method', (c) => c.auth.method)),
  live(
    key(
      'auth.rules',
      (c) => c.auth.rules,
      (rules) => rules.map(showRule).join('; ') || NONE,
    ),
  ),
  live(
    key(
      'auth.users',
      (c) => c.auth.users,
      (users) => users.map((user) => `${user.name} ${SECRET}`).join(', ') || NONE,
    ),
  ),
  live(plain('auth.userlist_file', (c) => c.auth.userlistFile)),
  live(plain('auth.query', (c) => c.auth.query)),
  live(plain('auth.query_database', (c) => c.auth.queryDatabase)),
  live(duration('auth.query_cache', (c) => c.auth.queryCacheMs)),
  restart(plain('admin.enabled', (c) => c.admin.enabled)),
  restart(key('admin.address', (c) => c.admin.address, formatAddress)),
  restart(secret('admin.token', (c) => c.admin.token)),
  live(key('admin.users', (c) => c.admin.users, showNames)),
  live(key('admin.stats_users', (c) => c.admin.statsUsers, showNames)),
  restart(plain('engine', (c) => c.engine)),
  live(plain('log.level', (c) => c.log.level)),
  live(plain('limits.max_clients', (c) => c.limits.maxClients)),
  live(size('limits.message', (c) => c.limits.messageBytes)),
  live(size('limits.inspect', (c) => c.limits.inspectBytes)),
  live(duration('limits.startup_timeout', (c) => c.limits.startupTimeoutMs)),
  live(plain('limits.prepared_statements', (c) => c.limits.preparedStatements)),
  restart(size('limits.client_buffer', (c) => c.limits.clientBufferBytes)),
  live(duration('limits.client_idle_timeout', (c) => c.limits.clientIdleTimeoutMs)),
  live(duration('limits.idle_transaction_timeout', (c) => c.limits.idleTransactionTimeoutMs)),
  live(duration('limits.transaction_timeout', (c) => c.limits.transactionTimeoutMs)),
  live(duration('limits.query_timeout', (c) => c.limits.queryTimeoutMs)),
  live(duration('limits.query_cancel_timeout', (c) => c.limits.queryCancelTimeoutMs)),
  live(duration('limits.tcp_keepalive', (c) => c.limits.tcpKeepaliveMs)),
  live(duration('limits.tcp_user_timeout', (c) => c.limits.tcpUserTimeoutMs)),
  live(duration('shutdown.timeout', (c) => c.shutdown.timeoutMs)),
];

/** The keys of one listener but its name, which says which listener it is. */
export const LISTENER_KEYS: readonly ConfigKey<ListenerConfig>[] = [
  restart(key('address', (listener) => listener.address, formatAddress)),
  restart(plain('route', (listener) => listener.route)),
  live(plain('fallback', (listener) => listener.fallback)),
  live(plain('prefer', (listener) => listener.prefer)),
  live(key('tags', (listener) => listener.tags, showTags)),
  live(plain('consistency', (listener) => listener.consistency)),
  live(plain('pool_mode', (listener) => listener.poolMode)),
  restart(plain('backlog', (listener) => listener.backlog)),
];

/** Whether a new value of a key of the schema (`pool.size`, `listeners[].route`) takes effect without a restart; null: not classed. */
export function isLiveKey(schemaKey: string): boolean | null {
  const listenerKey = /^listeners\[\]\.(.*)$/.exec(schemaKey)?.[1];
  if (listenerKey === 'name') {
    return false;
  }
  return listenerKey === undefined ? classOf(CONFIG_KEYS, schemaKey) : classOf(LISTENER_KEYS, listenerKey);
}

function classOf<Owner>(keys: readonly ConfigKey<Owner>[], wanted: string): boolean | null {
  const covers = (own: string): boolean => wanted === own || wanted.startsWith(`${own}[]`);
  return keys.find((entry) => covers(entry.key) || entry.aliases.includes(wanted))?.live ?? null;
}

type Unclassed<Owner> = Omit<ConfigKey<Owner>, 'live'>;

function live<Owner>(entry: Unclassed<Owner>): ConfigKey<Owner> {
  return { ...entry, live: true };
}

function restart<Owner>(entry: Unclassed<Owner>): ConfigKey<Owner> {
  return { ...entry, live: false };
}

function key<Owner, Value>(
  name: string,
  value: (owner: Owner) => Value,
  show: (value: Value) => string,
  aliases: readonly string[] = [],
): Unclassed<Owner> {
  return { key: name, aliases, value, show: (owner) => show(value(owner)) };
}

function plain<Owner>(name: string, value: (owner: Owner) => string | number | boolean | null): Unclassed<Owner> {
  return key(name, value, (shown) => (shown === null ? NONE : String(shown)));
}

function duration<Owner>(name: string, value: (owner: Owner) => number | null): Unclassed<Owner> {
  return key(name, value, (durationMs) => (durationMs === null ? NONE : formatDuration(durationMs)));
}

function size<Owner>(name: string, value: (owner: Owner) => number): Unclassed<Owner> {
  return key(name, value, formatSize);
}

function secret<Owner>(name: string, value: (owner: Owner) => string | null): Unclassed<Owner> {
  return key(name, value, (text) => (text === null ? NONE : SECRET), [`${name}_file`]);
}

function etcd3(config: Config): Etcd3Config | null {
  return config.cluster.source.kind === 'etcd3' ? config.cluster.source : null;
}

function nodes(config: Config): readonly NodeConfig[] | null {
  return config.cluster.source.kind === 'nodes' ? config.cluster.source.nodes : null;
}

function showNode(node: NodeConfig): string {
  return `${node.name} ${formatAddress(node)} weight ${node.weight} tags ${showTags(node.tags)}`;
}

function showTags(tags: ReadonlyMap<string, string>): string {
  return [...tags].map(([name, value]) => `${name}=${value}`).join(', ') || NONE;
}

function showNames(names: readonly string[]): string {
  return names.join(', ') || NONE;
}

function showRule(rule: AuthRuleConfig): string {
  const range = ({ address, prefix }: AddressRange): string => `${address}/${prefix}`;
  const places = rule.addresses?.map(range).join(',') ?? 'all';
  return `${places} ${rule.databases?.join(',') ?? 'all'} ${rule.users?.join(',') ?? 'all'} ${rule.method}`;
}
