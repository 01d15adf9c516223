import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { isLiveKey } from '../../../src/config/config-keys.js';
import { diffConfig, listConfig } from '../../../src/config/diff.js';
import type { Config } from '../../../src/config/schema.js';
import { schemaLeaves, schemaTree } from '../../../src/config/schema-tree.js';
import { MINIMAL, parse } from './config-text.js';

interface Expected {
  readonly value: unknown;
  readonly live: boolean;
  /** The key that the change is reported under, where it is not the key itself. */
  readonly key?: string;
}

const live = (value: unknown, key?: string): Expected =>
  key === undefined ? { value, live: true } : { value, live: true, key };
const restart = (value: unknown, key?: string): Expected =>
  key === undefined ? { value, live: false } : { value, live: false, key };

/** Another value for every key of the schema, and what the change must be reported as. */
const CHANGES: Readonly<Record<string, Expected>> = {
  'cluster.scope': restart('other'),
  'cluster.namespace': restart('/other'),
  'cluster.group': restart(3),
  'cluster.etcd3.hosts': restart('other:2379'),
  'cluster.etcd3.host': restart('other:2379', 'cluster.etcd3.hosts'),
  'cluster.etcd3.username': restart('other'),
  'cluster.etcd3.password': restart('hunter2'),
  'cluster.etcd3.password_file': restart('secret', 'cluster.etcd3.password'),
  'cluster.etcd3.request_timeout': restart('3s'),
  'cluster.etcd3.stale_after': restart('30s'),
  'cluster.etcd3.watchdog_interval': restart('3s'),
  'cluster.etcd3.keepalive': restart('3s'),
  'cluster.nodes[].name': restart('other', 'cluster.nodes'),
  'cluster.nodes[].host': restart('other', 'cluster.nodes'),
  'cluster.nodes[].port': restart(5433, 'cluster.nodes'),
  'cluster.nodes[].weight': restart(2, 'cluster.nodes'),
  'cluster.nodes[].tags': restart({ zone: 'east' }, 'cluster.nodes'),
  'cluster.monitor.user': restart('other'),
  'cluster.monitor.password': restart('hunter2'),
  'cluster.monitor.password_file': restart('secret', 'cluster.monitor.password'),
  'cluster.monitor.database': restart('other'),
  'cluster.monitor.interval': restart('1s'),
  'cluster.monitor.promotion_interval': restart('50ms'),
  'cluster.monitor.timeout': restart('3s'),
  'cluster.monitor.connect_interval': restart('6s'),
  'listeners[].name': restart('other', 'listeners[standby]'),
  'listeners[].address': restart('127.0.0.1:5009', 'listeners[standby].address'),
  'listeners[].route': restart('primary', 'listeners[standby].route'),
  'listeners[].fallback': live('wait', 'listeners[standby].fallback'),
  'listeners[].prefer': live('sync', 'listeners[standby].prefer'),
  'listeners[].tags': live({ zone: 'east' }, 'listeners[standby].tags'),
  'listeners[].consistency': live('eventual', 'listeners[split].consistency'),
  'listeners[].pool_mode': live('transaction', 'listeners[split].pool_mode'),
  'listeners[].backlog': restart(5, 'listeners[standby].backlog'),
  'routing.max_lag': live('20s'),
  'routing.max_lag_bytes': live('32MB'),
  'routing.recover_lag': live('1s'),
  'routing.recover_lag_bytes': live('1MB'),
  'routing.lag_samples': live(5),
  'routing.min_dwell': live('5s'),
  'routing.require_streaming': live(false),
  'routing.warm_up': live('5s'),
  'routing.rebalance': live('off'),
  'routing.zone': live('east'),
  'routing.slow_start': live('20s'),
  'routing.stickiness': live('none'),
  'routing.consistency': live('eventual'),
  'routing.fence_wait': live('0'),
  'routing.read_functions': live(['f']),
  'routing.write_functions': live(['f', 'app.g']),
  'routing.catalog_refresh': live('5m'),
  'routing.standby_idle': live('5m'),
  'pool.mode': live('session'),
  'pool.size': live(50),
  'pool.min_size': live(2),
  'pool.reserve_size': live(3),
  'pool.reserve_timeout': live('7s'),
  'pool.max_backends_per_node': live(500),
  'pool.max_backends_per_database': live(400),
  'pool.max_backends_per_user': live(300),
  'pool.max_backends': live(900),
  'pool.wait_timeout': live('5s'),
  'pool.idle_timeout': live('5s'),
  'pool.max_idle': live(5),
  'pool.max_lifetime': live('5h'),
  'pool.connect_timeout': live('6s'),
  'pool.login_concurrency': live(4),
  'pool.max_prepared_statements': live(50),
  'pool.reuse': live(false),
  'promotion.hold_timeout': live('90s'),
  'promotion.drain_timeout': live('90s'),
  'promotion.announce_timeout': live('90s'),
  'promotion.max_held': live(5),
  'promotion.release_wave': live(5),
  'promotion.clear_candidate': live(false),
  'promotion.replay': live(false),
  'promotion.replay_buffer': live('5kB'),
  'auth.method': live('md5'),
  'auth.rules[].address': live('10.0.0.0/8', 'auth.rules'),
  'auth.rules[].database': live('app', 'auth.rules'),
  'auth.rules[].user': live(['app', 'batch'], 'auth.rules'),
  'auth.rules[].method': live('reject', 'auth.rules'),
  'auth.users[].name': live('other', 'auth.users'),
  'auth.users[].password': live('hunter2', 'auth.users'),
  'auth.users[].password_file': live('secret', 'auth.users'),
  'auth.users[].verifier': live(`md5${'0'.repeat(32)}`, 'auth.users'),
  'auth.userlist_file': live('secret'),
  'auth.query': live('SELECT $1, 2'),
  'auth.query_database': live('other'),
  'auth.query_cache': live('5s'),
  'admin.enabled': restart(false),
  'admin.address': restart('127.0.0.1:9999'),
  'admin.token': restart('hunter2'),
  'admin.token_file': restart('secret', 'admin.token'),
  'admin.users': live('root'),
  'admin.stats_users': live(['watcher', 'other']),
  engine: restart('stream'),
  'log.level': live('debug'),
  'limits.max_clients': live(5),
  'limits.message': live('1MB'),
  'limits.inspect': live('128kB'),
  'limits.startup_timeout': live('5s'),
  'limits.prepared_statements': live(5),
  'limits.client_buffer': restart('32kB'),
  'limits.client_idle_timeout': live('5s'),
  'limits.idle_transaction_timeout': live('5s'),
  'limits.transaction_timeout': live('5s'),
  'limits.query_timeout': live('5s'),
  'limits.query_cancel_timeout': live('3s'),
  'limits.tcp_keepalive': live('5s'),
  'limits.tcp_user_timeout': live('5s'),
  'shutdown.timeout': live('5s'),
};

/** Keys that have only one value in this version. */
const UNCHANGEABLE: ReadonlySet<string> = new Set(['pool.mode']);
/** Keys that are given instead of the one that they stand for. */
const INSTEAD_OF: Readonly<Record<string, string>> = {
  password_file: 'password',
  token_file: 'token',
  verifier: 'password',
  host: 'hosts',
};

type Tree = Record<string, unknown>;

/** A configuration in which every list has one entry that can be changed. */
function base(nodes: boolean, route = 'standby'): Tree {
  const etcd3 = { hosts: 'e:2379', username: 'u', password: 'old' };
  return {
    cluster: {
      scope: 'pg',
      ...(nodes ? { nodes: [{ name: 'a', host: 'h' }] } : { etcd3 }),
      monitor: { password: 'old' },
    },
    listeners: [{ name: route, address: '127.0.0.1:5001', route }],
    routing: { recover_lag: '2s', recover_lag_bytes: '2MB' },
    auth: {
      rules: [{ method: 'md5' }],
      users: [{ name: 'app', password: 'old' }],
      query: 'SELECT $1',
      query_database: 'postgres',
    },
  };
}

function load(tree: Tree, folder: string): Config {
  // JSON is YAML.
  return parse(JSON.stringify(tree), {}, folder).config;
}

/** The base configuration with one key set, and without the key that it is given instead of. */
function changed(tree: Tree, schemaKey: string, value: unknown): Tree {
  const steps = schemaKey.split('.').flatMap((step) => (step.endsWith('[]') ? [step.slice(0, -2), '0'] : [step]));
  const last = steps.pop() ?? '';
  let owner = tree;
  for (const step of steps) {
    const inner = (owner[step] ?? {}) as Tree;
    owner[step] = inner;
    owner = inner;
  }
  const instead = INSTEAD_OF[last];
  if (instead !== undefined) {
    delete owner[instead];
  }
  owner[last] = value;
  return tree;
}

function secretFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-diff-'));
  t.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'secret'), 'hunter2\n');
  return folder;
}

test('every key of the schema is classed as live or restart', () => {
  const unclassed = schemaLeaves(schemaTree())
    .map((leaf) => leaf.key)
    .filter((key) => isLiveKey(key) === null);
  assert.deepEqual(unclassed, []);
  assert.equal(isLiveKey('pool.nothing'), null);
  assert.equal(isLiveKey('listeners[].nothing'), null);
});

test('a change of any key of the schema is found, alone, in its class and without its secret', (t) => {
  const folder = secretFolder(t);
  const keys = schemaLeaves(schemaTree()).map((leaf) => leaf.key);
  assert.deepEqual(Object.keys(CHANGES).sort(), [...keys].sort(), 'the table of this test names every key');
  for (const [schemaKey, expected] of Object.entries(CHANGES)) {
    const nodes = schemaKey.startsWith('cluster.nodes');
    const route = expected.key?.startsWith('listeners[split]') === true ? 'split' : 'standby';
    const before = load(base(nodes, route), folder);
    const after = load(changed(base(nodes, route), schemaKey, expected.value), folder);
    const { live: applied, restart: pending } = diffConfig(before, after);
    assert.equal(isLiveKey(schemaKey), expected.live, schemaKey);
    const [own, other] = expected.live ? [applied, pending] : [pending, applied];
    assert.deepEqual(other, [], schemaKey);
    const reported = new Set(own.map((change) => change.key));
    if (UNCHANGEABLE.has(schemaKey)) {
      assert.deepEqual(own, [], schemaKey);
    } else {
      assert.ok(reported.has(expected.key ?? schemaKey), schemaKey);
      // A new name is one listener gone and another one come.
      assert.equal(reported.size, schemaKey === 'listeners[].name' ? 2 : 1, schemaKey);
    }
    assert.doesNotMatch(JSON.stringify([...own, ...listConfig(after)]), /hunter2/, schemaKey);
  }
});

test('equal configurations have no differences', () => {
  assert.deepEqual(diffConfig(parse(MINIMAL).config, parse(MINIMAL).config), { live: [], restart: [] });
});

test('changes are shown as people write them', () => {
  const before = parse(MINIMAL).config;
  const after = parse(`${MINIMAL}
pool: { idle_timeout: 90s, max_idle: 3 }
routing: { max_lag_bytes: 64kB }
auth: { rules: [{ address: [10.0.0.0/8, "::1"], user: [a, b], method: trust }], users: [{ name: x, password: y }] }
admin: { address: "*:1" }
`).config;
  const { live: applied, restart: pending } = diffConfig(before, after);
  assert.deepEqual(applied, [
    { key: 'routing.max_lag_bytes', before: '16MB', after: '64kB' },
    { key: 'routing.recover_lag_bytes', before: '8MB', after: '32kB' },
    { key: 'pool.idle_timeout', before: '1m', after: '90s' },
    { key: 'pool.max_idle', before: '20', after: '3' },
    { key: 'auth.rules', before: 'none', after: '10.0.0.0/8,::1/128 all a,b trust' },
    { key: 'auth.users', before: 'none', after: 'x (secret)' },
  ]);
  assert.deepEqual(pending, [{ key: 'admin.address', before: '127.0.0.1:9432', after: '[::]:1' }]);
});

test('a secret that changes is shown as changed, not as what it is', () => {
  const withPassword = (password: string): Config =>
    parse(MINIMAL.replace('scope: pg', `scope: pg\n  monitor: { password: ${password} }`)).config;
  assert.deepEqual(diffConfig(withPassword('first'), withPassword('second')).restart, [
    { key: 'cluster.monitor.password', before: '(secret)', after: '(secret)' },
  ]);
  assert.deepEqual(diffConfig(parse(MINIMAL).config, withPassword('first')).restart, [
    { key: 'cluster.monitor.password', before: 'none', after: '(secret)' },
  ]);
});

test('listeners are told apart by name, whatever their order', () => {
  const listeners = (...lines: readonly string[]): Config =>
    parse(
      `${MINIMAL.slice(0, MINIMAL.indexOf('listeners:'))}listeners:\n${lines.map((line) => `  - ${line}\n`).join('')}`,
    ).config;
  const a = '{ name: a, address: "127.0.0.1:1", route: primary }';
  const b = '{ name: b, address: "127.0.0.1:2", route: standby }';
  const moved = '{ name: b, address: "127.0.0.1:3", route: standby, fallback: error, tags: { zone: east } }';
  const c = '{ name: c, address: "[::1]:4", route: standby }';
  assert.deepEqual(diffConfig(listeners(a, b), listeners(b, a)), { live: [], restart: [] });
  assert.deepEqual(diffConfig(listeners(a, b), listeners(c, moved)), {
    restart: [
      { key: 'listeners[a]', before: '127.0.0.1:1 primary', after: 'none' },
      { key: 'listeners[c]', before: 'none', after: '[::1]:4 standby' },
      { key: 'listeners[b].address', before: '127.0.0.1:2', after: '127.0.0.1:3' },
    ],
    live: [
      { key: 'listeners[b].fallback', before: 'primary', after: 'error' },
      { key: 'listeners[b].tags', before: 'none', after: 'zone=east' },
    ],
  });
});

test('the list of all settings names each once, in the order of the file', () => {
  const entries = listConfig(parse(MINIMAL).config);
  const keys = entries.map((entry) => entry.key);
  assert.equal(new Set(keys).size, keys.length);
  assert.deepEqual(
    [...new Set(keys.map((key) => key.split(/[.[]/)[0]))],
    ['cluster', 'listeners', 'routing', 'pool', 'promotion', 'auth', 'admin', 'engine', 'log', 'limits', 'shutdown'],
  );
  assert.deepEqual(
    entries.find((entry) => entry.key === 'listeners[primary].address'),
    { key: 'listeners[primary].address', value: '127.0.0.1:5000', live: false },
  );
  assert.deepEqual(
    entries.find((entry) => entry.key === 'pool.max_lifetime'),
    { key: 'pool.max_lifetime', value: '1h', live: true },
  );
  assert.equal(entries.find((entry) => entry.key === 'cluster.nodes')?.value, 'none');
});
