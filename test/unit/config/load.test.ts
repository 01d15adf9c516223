import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ConfigError } from '../../../src/config/config-error.js';
import { loadConfig } from '../../../src/config/load.js';
import { MINIMAL, MINIMAL_NODES, parse } from './config-text.js';

test('a minimal file gets every default', () => {
  assert.deepEqual(parse(MINIMAL).config, {
    cluster: {
      scope: 'pg',
      namespace: '/service',
      group: null,
      source: {
        kind: 'etcd3',
        hosts: [{ host: '127.0.0.1', port: 2379 }],
        username: null,
        password: null,
        requestTimeoutMs: 2000,
        staleAfterMs: 15_000,
        watchdogIntervalMs: 2000,
        keepaliveMs: 2000,
      },
      monitor: {
        user: 'switchyard',
        password: null,
        database: 'postgres',
        intervalMs: 250,
        promotionIntervalMs: 25,
        timeoutMs: 2000,
        connectIntervalMs: 5000,
      },
    },
    listeners: [
      {
        name: 'primary',
        address: { host: '127.0.0.1', port: 5000 },
        route: 'primary',
        fallback: 'primary',
        prefer: 'any',
        tags: new Map(),
        consistency: null,
        poolMode: null,
        backlog: 1024,
      },
    ],
    routing: {
      maxLagMs: 10_000,
      maxLagBytes: 16_777_216,
      recoverLagMs: 5000,
      recoverLagBytes: 8_388_608,
      lagSamples: 3,
      minDwellMs: 2000,
      requireStreaming: true,
      warmUpMs: 1000,
      rebalance: 'stale',
      zone: null,
      slowStartMs: 10_000,
      stickiness: 'session',
      consistency: 'session',
      fenceWaitMs: 50,
      readFunctions: [],
      writeFunctions: [],
      catalogRefreshMs: 60_000,
      standbyIdleMs: 60_000,
    },
    pool: {
      mode: 'session',
      size: 100,
      minSize: 0,
      reserveSize: 0,
      reserveTimeoutMs: 5000,
      maxBackendsPerNode: 0,
      maxBackendsPerDatabase: 0,
      maxBackendsPerUser: 0,
      maxBackends: 0,
      waitTimeoutMs: 30_000,
      idleTimeoutMs: 60_000,
      maxIdle: 20,
      maxLifetimeMs: 3_600_000,
      connectTimeoutMs: 5000,
      loginConcurrency: 16,
      maxPreparedStatements: 200,
      reuse: true,
    },
    promotion: {
      holdTimeoutMs: 60_000,
      drainTimeoutMs: 30_000,
      announceTimeoutMs: 30_000,
      maxHeld: 10_000,
      releaseWave: 32,
      clearCandidate: true,
      replay: true,
      replayBytes: 65_536,
    },
    auth: {
      method: 'scram-sha-256',
      rules: [],
      users: [],
      userlistFile: null,
      query: null,
      queryDatabase: 'postgres',
      queryCacheMs: 30_000,
    },
    admin: { enabled: true, address: { host: '127.0.0.1', port: 9432 }, token: null, users: [], statsUsers: [] },
    engine: 'auto',
    log: { level: 'info' },
    limits: {
      maxClients: 10_000,
      messageBytes: 1_073_741_824,
      inspectBytes: 262_144,
      startupTimeoutMs: 15_000,
      preparedStatements: 1000,
      clientBufferBytes: 65_536,
      clientIdleTimeoutMs: 0,
      idleTransactionTimeoutMs: 0,
      transactionTimeoutMs: 0,
      queryTimeoutMs: 0,
      queryCancelTimeoutMs: 5000,
      tcpKeepaliveMs: 15_000,
      tcpUserTimeoutMs: 0,
    },
    shutdown: { timeoutMs: 30_000 },
  });
});

test('a fixed list of nodes gets its defaults', () => {
  const { cluster } = parse(MINIMAL_NODES).config;
  assert.equal(cluster.scope, 'default');
  assert.deepEqual(cluster.source, {
    kind: 'nodes',
    nodes: [{ name: 'a', host: '10.0.0.1', port: 5432, weight: 1, tags: new Map() }],
  });
});

test('etcd hosts are taken as a list, as one text, and under the word host', () => {
  const hosts = (written: string): unknown => {
    const { source } = parse(MINIMAL.replace('hosts: "127.0.0.1:2379"', written)).config.cluster;
    return source.kind === 'etcd3' && source.hosts.map(({ host, port }) => `${host} ${port}`);
  };
  assert.deepEqual(hosts('hosts: ["a:1", "[::1]:2", c]'), ['a 1', '::1 2', 'c 2379']);
  assert.deepEqual(hosts('hosts: "a:1, b:2"'), ['a 1', 'b 2']);
  assert.deepEqual(hosts('hosts: ["http://a:1/"]'), ['a 1']);
  assert.deepEqual(hosts('host: a:1'), ['a 1']);
});

test('the namespace gets the slashes that Patroni gives it', () => {
  for (const written of ['service', '/service', '/service/', '//service//']) {
    assert.equal(
      parse(MINIMAL.replace('scope: pg', `scope: pg\n  namespace: ${written}`)).config.cluster.namespace,
      '/service',
    );
  }
});

test('what is written is what the program sees', () => {
  const { config, warnings } = parse(`
cluster:
  scope: main
  group: 0
  etcd3: { hosts: [e1, e2], username: u, password: p, request_timeout: 1s, stale_after: 20s, watchdog_interval: 3s, keepalive: 4s }
  monitor: { user: m, password: s, database: d, interval: 1s, promotion_interval: 50ms, timeout: 3s, connect_interval: 10s }
listeners:
  - { name: ro, address: "[::1]:5001", route: standby, fallback: wait, prefer: sync, tags: { zone: east, ssd: true, rack: 7 }, backlog: 5 }
  - { name: all, address: "[::1]:6432", route: split, fallback: error, prefer: async, tags: { zone: west }, consistency: eventual, pool_mode: transaction }
routing: { max_lag: 20s, max_lag_bytes: 1MB, recover_lag: 2s, recover_lag_bytes: 0, lag_samples: 2, min_dwell: 0, require_streaming: off, warm_up: 5s, rebalance: off, zone: east, slow_start: 0, stickiness: none, consistency: database, fence_wait: 1s, read_functions: [F, app.G], write_functions: ['"H".i', '"app"."j"', '"a.b"'], catalog_refresh: 5m, standby_idle: 2m }
pool: { size: 5, min_size: 1, reserve_size: 2, reserve_timeout: 3s, max_backends_per_node: 50, max_backends_per_database: 30, max_backends_per_user: 40, max_backends: 90, wait_timeout: 4s, idle_timeout: 5s, max_idle: 4, max_lifetime: 1m, connect_timeout: 1s, login_concurrency: 3, max_prepared_statements: 9, reuse: no }
promotion: { hold_timeout: 10s, drain_timeout: 1s, announce_timeout: 2s, max_held: 7, release_wave: 8, clear_candidate: off, replay: off, replay_buffer: 8kB }
auth:
  method: md5
  rules:
    - { address: [10.0.0.0/8, "::1"], database: [a, b], user: c, method: trust }
    - { method: reject }
  users:
    - { name: one, password: pw }
    - { name: two, verifier: md5d4f6ab5db1a4a4a4f3a9e3c1cbb6e1f0 }
  query: "SELECT n, p FROM f($1)"
  query_database: authdb
  query_cache: 0
admin: { address: "*:9999", enabled: no, token: open-sesame, users: root, stats_users: [a, b] }
engine: stream
log: { level: debug }
limits: { max_clients: 3, message: 1MB, inspect: 2kB, startup_timeout: 1s, prepared_statements: 4, client_buffer: 8kB, client_idle_timeout: 1h, idle_transaction_timeout: 1m, transaction_timeout: 30m, query_timeout: 5m, query_cancel_timeout: 2s, tcp_keepalive: 30s, tcp_user_timeout: 20s }
shutdown: { timeout: 1m }
`);
  assert.deepEqual(warnings, []);
  assert.deepEqual(config, {
    cluster: {
      scope: 'main',
      namespace: '/service',
      group: 0,
      source: {
        kind: 'etcd3',
        hosts: [
          { host: 'e1', port: 2379 },
          { host: 'e2', port: 2379 },
        ],
        username: 'u',
        password: 'p',
        requestTimeoutMs: 1000,
        staleAfterMs: 20_000,
        watchdogIntervalMs: 3000,
        keepaliveMs: 4000,
      },
      monitor: {
        user: 'm',
        password: 's',
        database: 'd',
        intervalMs: 1000,
        promotionIntervalMs: 50,
        timeoutMs: 3000,
        connectIntervalMs: 10_000,
      },
    },
    listeners: [
      {
        name: 'ro',
        address: { host: '::1', port: 5001 },
        route: 'standby',
        fallback: 'wait',
        prefer: 'sync',
        tags: new Map([
          ['zone', 'east'],
          ['ssd', 'true'],
          ['rack', '7'],
        ]),
        consistency: null,
        poolMode: null,
        backlog: 5,
      },
      {
        name: 'all',
        address: { host: '::1', port: 6432 },
        route: 'split',
        fallback: 'error',
        prefer: 'async',
        tags: new Map([['zone', 'west']]),
        consistency: 'eventual',
        poolMode: 'transaction',
        backlog: 1024,
      },
    ],
    routing: {
      maxLagMs: 20_000,
      maxLagBytes: 1_048_576,
      recoverLagMs: 2000,
      recoverLagBytes: 0,
      lagSamples: 2,
      minDwellMs: 0,
      requireStreaming: false,
      warmUpMs: 5000,
      rebalance: 'off',
      zone: 'east',
      slowStartMs: 0,
      stickiness: 'none',
      consistency: 'database',
      fenceWaitMs: 1000,
      readFunctions: ['f', 'app.g'],
      writeFunctions: ['"H".i', 'app.j', '"a.b"'],
      catalogRefreshMs: 300_000,
      standbyIdleMs: 120_000,
    },
    pool: {
      mode: 'session',
      size: 5,
      minSize: 1,
      reserveSize: 2,
      reserveTimeoutMs: 3000,
      maxBackendsPerNode: 50,
      maxBackendsPerDatabase: 30,
      maxBackendsPerUser: 40,
      maxBackends: 90,
      waitTimeoutMs: 4000,
      idleTimeoutMs: 5000,
      maxIdle: 4,
      maxLifetimeMs: 60_000,
      connectTimeoutMs: 1000,
      loginConcurrency: 3,
      maxPreparedStatements: 9,
      reuse: false,
    },
    promotion: {
      holdTimeoutMs: 10_000,
      drainTimeoutMs: 1000,
      announceTimeoutMs: 2000,
      maxHeld: 7,
      releaseWave: 8,
      clearCandidate: false,
      replay: false,
      replayBytes: 8192,
    },
    auth: {
      method: 'md5',
      rules: [
        {
          addresses: [
            { address: '10.0.0.0', prefix: 8, family: 'ipv4' },
            { address: '::1', prefix: 128, family: 'ipv6' },
          ],
          databases: ['a', 'b'],
          users: ['c'],
          method: 'trust',
        },
        { addresses: null, databases: null, users: null, method: 'reject' },
      ],
      users: [
        { name: 'one', password: 'pw', verifier: null },
        { name: 'two', password: null, verifier: 'md5d4f6ab5db1a4a4a4f3a9e3c1cbb6e1f0' },
      ],
      userlistFile: null,
      query: 'SELECT n, p FROM f($1)',
      queryDatabase: 'authdb',
      queryCacheMs: 0,
    },
    admin: {
      enabled: false,
      address: { host: '::', port: 9999 },
      token: 'open-sesame',
      users: ['root'],
      statsUsers: ['a', 'b'],
    },
    engine: 'stream',
    log: { level: 'debug' },
    limits: {
      maxClients: 3,
      messageBytes: 1_048_576,
      inspectBytes: 2048,
      startupTimeoutMs: 1000,
      preparedStatements: 4,
      clientBufferBytes: 8192,
      clientIdleTimeoutMs: 3_600_000,
      idleTransactionTimeoutMs: 60_000,
      transactionTimeoutMs: 1_800_000,
      queryTimeoutMs: 300_000,
      queryCancelTimeoutMs: 2000,
      tcpKeepaliveMs: 30_000,
      tcpUserTimeoutMs: 20_000,
    },
    shutdown: { timeoutMs: 60_000 },
  });
});

test('the login query runs in the database of the monitor role unless told otherwise', () => {
  const text = MINIMAL.replace('scope: pg', 'scope: pg\n  monitor: { database: metrics }');
  assert.equal(parse(text).config.auth.queryDatabase, 'metrics');
});

test('numbers, flags, durations and choices can come out of the environment', () => {
  const env = { PORT: '5999', SIZE: '7', REUSE: 'off', LAG: '3s', LEVEL: 'warn' };
  const text = `${MINIMAL.replace('127.0.0.1:5000', '127.0.0.1:${PORT}')}
pool: { size: "\${SIZE}", max_idle: 1, reuse: "\${REUSE}" }
routing: { max_lag: "\${LAG}" }
log: { level: "\${LEVEL}" }
`;
  const { config } = parse(text, env);
  assert.equal(config.listeners[0]?.address.port, 5999);
  assert.equal(config.pool.size, 7);
  assert.equal(config.pool.reuse, false);
  assert.equal(config.routing.maxLagMs, 3000);
  assert.equal(config.log.level, 'warn');
});

test('the configuration is deeply frozen', () => {
  const { config } = parse(MINIMAL);
  assert.throws(() => Object.assign(config.pool, { size: 1 }), TypeError);
  assert.throws(() => Object.assign(config.listeners, { 1: null }), TypeError);
  assert.throws(() => Object.assign(config.listeners[0]?.address ?? {}, { port: 1 }), TypeError);
});

test('reading the same text twice gives configurations that share nothing', () => {
  const first = parse(MINIMAL).config;
  const second = parse(MINIMAL).config;
  assert.notEqual(first.auth.rules, second.auth.rules);
  assert.deepEqual(first, second);
});

test('a file is read from disk, and its name stands before every problem', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-config-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'switchyard.yaml');
  writeFileSync(path, MINIMAL);
  assert.equal(loadConfig(path, {}).config.cluster.scope, 'pg');
  writeFileSync(path, `${MINIMAL}pool: { size: 0 }\nlog: { level: loud }\n`);
  assert.throws(
    () => loadConfig(path, {}),
    (error) => {
      assert.ok(error instanceof ConfigError);
      assert.equal(
        String(error),
        `${path}:6:15: pool.size: must be at least 1, not 0\n` +
          `${path}:7:15: log.level: "loud" is not one of trace, debug, info, warn, error, silent`,
      );
      return true;
    },
  );
});

test('a file that cannot be read is a problem without a line', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-config-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const message = (path: string): string => {
    try {
      loadConfig(path, {});
    } catch (error) {
      return String(error);
    }
    return 'no error';
  };
  assert.equal(message(join(folder, 'none.yaml')), `${join(folder, 'none.yaml')}: does not exist`);
  assert.equal(message(folder), `${folder}: is not a file`);
  const binary = join(folder, 'binary.yaml');
  writeFileSync(binary, Buffer.from([0x61, 0xff, 0xfe]));
  assert.equal(message(binary), `${binary}: is not UTF-8 text`);
  const huge = join(folder, 'huge.yaml');
  writeFileSync(huge, '#'.repeat(4 * 1024 * 1024 + 1));
  assert.equal(message(huge), `${huge}: is larger than 4MB`);
});
