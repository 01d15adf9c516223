import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MINIMAL, MINIMAL_NODES, shortProblems } from './config-text.js';

/** Asserts that text appended to the minimal file (from its line 6 on) gives exactly these problems. */
function appended(text: string, ...expected: readonly string[]): void {
  assert.deepEqual(shortProblems(MINIMAL + text), expected);
}

/** Asserts the problems of the minimal file with one part of it replaced. */
function replaced(part: string, by: string, ...expected: readonly string[]): void {
  assert.ok(MINIMAL.includes(part));
  assert.deepEqual(shortProblems(MINIMAL.replace(part, by)), expected);
}

test('an empty file says what is required', () => {
  for (const text of ['', '# only a comment\n', '---\n', '~\n']) {
    assert.deepEqual(shortProblems(text), ['1:1 cluster: is required', '1:1 listeners: is required'], text);
  }
});

test('a file that is no mapping is refused', () => {
  assert.deepEqual(shortProblems('- a\n'), ['1:1 : must be a mapping of keys, not a list']);
  assert.deepEqual(shortProblems('hello\n'), ['1:1 : must be a mapping of keys, not "hello"']);
});

test('all problems of a file are reported together in the order of the file', () => {
  assert.deepEqual(
    shortProblems(`log: { level: loud }
cluster:
  scope: pg
  etcd3: { hosts: "\${ETCD}" }
  monitor: { intervall: 1s, timeout: 5 }
listeners:
  - { name: a, address: nowhere, route: standbye }
pool: { size: many }
`),
    [
      '1:15 log.level: "loud" is not one of trace, debug, info, warn, error, silent',
      '4:20 cluster.etcd3.hosts: the environment variable ETCD is not set; ${ETCD:-default} would give it a default',
      '5:14 cluster.monitor.intervall: is not a known key; did you mean "interval"?',
      '5:38 cluster.monitor.timeout: 5 has no unit: write 5ms, 5s, 5m, 5h or 5d',
      '7:25 listeners[0].address: "nowhere" is not an address: write host:port, [::1]:port or *:port',
      '7:41 listeners[0].route: "standbye" is not one of primary, standby, split; did you mean "standby"?',
      '8:15 pool.size: must be a whole number, not "many"',
    ],
  );
});

test('an unknown key is told with the nearest known one', () => {
  appended('promotions: {}\n', '6:1 promotions: is not a known key; did you mean "promotion"?');
  appended('routing:\n  maxLag: 3s\n', '7:3 routing.maxLag: is not a known key; did you mean "max_lag"?');
  appended(
    'pool:\n  hold_timeout: 3s\n',
    '7:3 pool.hold_timeout: is not a known key here; did you mean "promotion.hold_timeout"?',
  );
  appended('monitor: {}\n', '6:1 monitor: is not a known key here; did you mean "cluster.monitor"?');
  appended('nodes: []\n', '6:1 nodes: is not a known key here; did you mean "cluster.nodes"?');
  appended(
    'auth: { rules: [{ users: a, method: trust }] }\n',
    '6:19 auth.rules[0].users: is not a known key; did you mean "user"?',
  );
  appended('log:\n  zzz: 1\n', '7:3 log.zzz: is not a known key; known here: level');
  replaced(
    'route:',
    'rout:',
    '5:5 listeners[0].route: is required: primary, standby, split',
    '5:49 listeners[0].rout: is not a known key; did you mean "route"?',
  );
});

test('keys that only look like inherited properties are unknown keys', () => {
  appended(
    'toString: 1\n',
    '6:1 toString: is not a known key; known here: cluster, listeners, routing, pool, promotion, auth, admin, engine, log, limits, shutdown',
  );
  appended(
    '__proto__: { pool: 1 }\n',
    '6:1 __proto__: is not a known key; known here: cluster, listeners, routing, pool, promotion, auth, admin, engine, log, limits, shutdown',
  );
});

test('a key given twice is a mistake', () => {
  appended(
    'log: { level: info }\nlog: { level: warn }\n',
    '7:1 : YAML syntax: this key is already given in the same mapping: keep one of them',
  );
});

test('a syntax error is reported alone', () => {
  appended(
    'log: { level: loud\npool: 3\n',
    '7:1 : YAML syntax: flow map in block collection must be sufficiently indented and end with a }',
  );
});

test('values of the wrong kind are told with what is expected', () => {
  appended('pool: 3\n', '6:7 pool: must be a mapping of keys, not 3');
  appended('pool: [a]\n', '6:1 pool: must be a mapping of keys, not a list');
  appended('pool: { size: 1.5 }\n', '6:15 pool.size: must be a whole number, not 1.5');
  appended('pool: { size: [1] }\n', '6:9 pool.size: must be a whole number, not a list');
  appended('pool: { size: .inf }\n', '6:15 pool.size: must be a whole number, not Infinity');
  appended('pool: { reuse: maybe }\n', '6:16 pool.reuse: must be true or false, not "maybe"');
  appended('pool: { wait_timeout: true }\n', '6:23 pool.wait_timeout: must be a duration');
  appended('limits: { message: {} }\n', '6:11 limits.message: must be a size');
  appended('log: { level: {} }\n', '6:8 log.level: a mapping is not one of trace, debug, info, warn, error, silent');
  appended('auth: { users: {} }\n', '6:9 auth.users: must be a list, not a mapping');
  appended('auth: { query: 5 }\n', '6:16 auth.query: must be a text: put it in quotes');
  appended('auth: { userlist_file: 5 }\n', '6:24 auth.userlist_file: must be the path of a file');
  appended(
    'admin: { address: 9432 }\n',
    '6:19 admin.address: must be an address: write host:port, [::1]:port or *:port',
  );
  replaced('scope: pg', 'scope: 15', '2:10 cluster.scope: must be a text: put it in quotes');
  replaced(
    'hosts: "127.0.0.1:2379"',
    'hosts: 2379',
    '3:19 cluster.etcd3.hosts: must be addresses: ["host:port", ...] or "host:port,host:port"',
  );
  replaced('route: primary }', 'route: primary }\n  -', '6:4 listeners[1]: must be a mapping of keys, not nothing');
});

test('numbers, durations and sizes out of range are told with the range', () => {
  appended('pool: { size: 0 }\n', '6:15 pool.size: must be at least 1, not 0');
  appended('pool: { size: 100001 }\n', '6:15 pool.size: must be at most 100000, not 100001');
  appended('pool: { idle_timeout: 10ms }\n', '6:23 pool.idle_timeout: 10ms is out of range: at least 1s, at most 24d');
  appended('pool: { wait_timeout: 25d }\n', '6:23 pool.wait_timeout: 25d is out of range: at least 0, at most 24d');
  appended('limits: { message: 2GB }\n', '6:20 limits.message: 2GB is out of range: at least 64kB, at most 1GB');
  appended(
    'routing: { max_lag_bytes: 0 }\n',
    '6:27 routing.max_lag_bytes: 0 is out of range: at least 1B, at most 1024TB',
  );
  appended('routing: { max_lag: -1s }\n', '6:21 routing.max_lag: -1s is negative');
  appended(
    'routing: { max_lag_bytes: 16mb }\n',
    '6:27 routing.max_lag_bytes: "mb" is not a unit of a size (B, kB, MB, GB, TB); did you mean 16MB?',
  );
  appended(
    'routing: { max_lag: soon }\n',
    '6:21 routing.max_lag: "soon" is not a duration: write 10ms, 10s, 10m, 10h or 10d',
  );
});

test('no duration is longer than a timer of Node can wait', () => {
  const longest = 24 * 86_400_000;
  assert.ok(longest < 2 ** 31 - 1);
  appended('shutdown: { timeout: 24d }\n');
  appended('shutdown: { timeout: 577h }\n', '6:22 shutdown.timeout: 577h is out of range: at least 0, at most 24d');
});

test('modes that are not there yet are named as such', () => {
  appended('pool: { mode: statement }\n', '6:15 pool.mode: there is no pool mode statement: transaction does more');
  appended(
    'pool: { mode: sesion }\n',
    '6:15 pool.mode: "sesion" is not one of session, transaction; did you mean "session"?',
  );
  replaced(
    '"127.0.0.1:2379"',
    '"https://e:1"',
    '3:19 cluster.etcd3.hosts: https://e:1: TLS is not available in this version',
  );
});

test('a cluster has exactly one of etcd3 and nodes', () => {
  replaced('  etcd3: { hosts: "127.0.0.1:2379" }\n', '', '1:1 cluster: needs etcd3 or nodes');
  replaced(
    'scope: pg',
    'scope: pg\n  nodes: [{ name: a, host: h }]',
    '3:3 cluster.nodes: etcd3 is given too: keep one of them',
  );
  replaced('hosts: "127.0.0.1:2379"', '', '3:3 cluster.etcd3.hosts: is required');
  replaced(
    'hosts: "127.0.0.1:2379"',
    'hosts: a, host: b',
    '3:28 cluster.etcd3.host: hosts is given too: keep one of them',
  );
  replaced(
    'hosts: "127.0.0.1:2379"',
    'hosts: []',
    '3:12 cluster.etcd3.hosts: must be addresses: ["host:port", ...] or "host:port,host:port"',
  );
});

test('etcd3 needs a scope that can stand in a key', () => {
  replaced('  scope: pg\n', '', '1:1 cluster.scope: is required with etcd3');
  replaced('scope: pg', 'scope: a/b', '2:10 cluster.scope: must not hold a slash');
  replaced('scope: pg', 'scope: ""', '2:10 cluster.scope: must not be empty');
});

test('etcd timings and log-in fit together', () => {
  replaced(
    '"127.0.0.1:2379"',
    'e, stale_after: 4s',
    '3:35 cluster.etcd3.stale_after: must be longer than watchdog_interval and request_timeout together, or every slow read is stale',
  );
  replaced('"127.0.0.1:2379"', 'e, password: x', '3:3 cluster.etcd3.username: is required when there is a password');
});

test('nodes have names and places of their own', () => {
  const nodes = (list: string): readonly string[] =>
    shortProblems(MINIMAL_NODES.replace('[{ name: a, host: 10.0.0.1 }]', list));
  assert.deepEqual(nodes('[{ name: a, host: h }, { name: a, host: i }]'), [
    '2:41 cluster.nodes[1].name: "a" is already the name of nodes[0]',
  ]);
  assert.deepEqual(nodes('[{ name: a, host: h }, { name: b, host: H, port: 5432 }]'), [
    '2:50 cluster.nodes[1].host: H port 5432 is already nodes[0]',
  ]);
  assert.deepEqual(nodes('[{ name: a, host: h }, { name: b, host: h, port: 5433 }]'), []);
  assert.deepEqual(nodes('[]'), ['2:3 cluster.nodes: must have at least 1 entry']);
  assert.deepEqual(nodes('[{ name: a, host: "h:5432" }]'), [
    '2:28 cluster.nodes[0].host: must be a host name or an IP address',
  ]);
  assert.deepEqual(nodes('[{ host: h, port: 0, weight: -1 }]'), [
    '2:11 cluster.nodes[0].name: is required',
    '2:28 cluster.nodes[0].port: must be at least 1, not 0',
    '2:39 cluster.nodes[0].weight: must be at least 0, not -1',
  ]);
  assert.deepEqual(nodes('[{ name: a, host: h, tags: { t: [1] } }]'), [
    '2:31 cluster.nodes[0].tags: the value of tag "t" must be a text, a number, true or false',
  ]);
});

test('a promotion is not watched less closely than the rest of the time', () => {
  replaced(
    'scope: pg',
    'scope: pg\n  monitor: { interval: 20ms }',
    '3:3 cluster.monitor.promotion_interval: must not be longer than interval: a promotion is watched more closely, not less',
  );
});

test('listeners have names and addresses of their own', () => {
  const second = (entry: string, ...expected: readonly string[]): void =>
    replaced('route: primary }', `route: primary }\n  - { ${entry} }`, ...expected);
  second(
    'name: primary, address: "a:1", route: primary',
    '6:13 listeners[1].name: "primary" is already the name of listeners[0]',
  );
  second(
    'name: b, address: "127.0.0.1:5000", route: standby',
    '6:25 listeners[1].address: 127.0.0.1:5000 is already taken by listeners[0] (127.0.0.1:5000)',
  );
  second(
    'name: b, address: "*:5000", route: standby',
    '6:25 listeners[1].address: [::]:5000 is already taken by listeners[0] (127.0.0.1:5000)',
  );
  second('name: b, address: "[::1]:5000", route: standby');
  assert.deepEqual(shortProblems(MINIMAL.replace(/ {2}- .*\n/, '').replace('listeners:', 'listeners: []')), [
    '4:1 listeners: must have at least 1 entry',
  ]);
});

test('the admin address is not one of the listeners, unless it is off', () => {
  appended(
    'admin: { address: "127.0.0.1:5000" }\n',
    '6:19 admin.address: 127.0.0.1:5000 is already taken by listeners[0]',
  );
  appended('admin: { address: "127.0.0.1:5000", enabled: false }\n');
});

test('thresholds of recovery are not above those of lag', () => {
  appended('routing: { max_lag: 1s, recover_lag: 2s }\n', '6:38 routing.recover_lag: must not be above max_lag');
  appended(
    'routing: { max_lag_bytes: 1MB, recover_lag_bytes: 2MB }\n',
    '6:51 routing.recover_lag_bytes: must not be above max_lag_bytes',
  );
  appended('routing: { max_lag: 1s, recover_lag: 1s }\n');
});

test('no statement is inspected that is longer than a message may be', () => {
  appended('limits: { message: 64kB, inspect: 65kB }\n', '6:35 limits.inspect: must not be above message');
});

test('log-in rules are checked entry by entry', () => {
  appended(
    `auth:
  rules:
    - { address: 10.0.0.0/40, method: trust }
    - { address: [127.0.0.1, somewhere], method: trust }
    - { user: [], method: trust }
    - { database: a }
    - { method: scram }
`,
    '8:18 auth.rules[0].address: "10.0.0.0/40": the prefix length must be 0 to 32',
    '9:9 auth.rules[1].address: "somewhere" is not an address range: write 10.0.0.0/8, ::1/128, a single address, or all',
    '10:9 auth.rules[2].user: must be a name, a list of names, or all',
    '11:7 auth.rules[3].method: is required: scram-sha-256, md5, password, trust, reject',
    '12:17 auth.rules[4].method: "scram" is not one of scram-sha-256, md5, password, trust, reject; did you mean "scram-sha-256"?',
  );
});

test('all in a list of a rule does not hide a mistake beside it', () => {
  appended(
    'auth: { rules: [{ address: [all, nonsense], method: trust }] }\n',
    '6:19 auth.rules[0].address: "nonsense" is not an address range: write 10.0.0.0/8, ::1/128, a single address, or all',
  );
});

test('a user has one name and one secret', () => {
  const md5 = `md5${'0'.repeat(32)}`;
  appended('auth: { users: [{ name: a }] }\n', '6:17 auth.users[0]: needs password, password_file or verifier');
  appended(
    `auth: { users: [{ name: a, password: x, verifier: ${md5} }] }\n`,
    '6:51 auth.users[0].verifier: a password is given too: keep one of them',
  );
  appended(
    'auth: { users: [{ name: a, password: x }, { name: a, password: y }] }\n',
    '6:51 auth.users[1].name: "a" is already the name of users[0]',
  );
});

test('the login query takes the name of the user', () => {
  appended('auth: { query: "SELECT 1" }\n', '6:16 auth.query: must take the name of the user as $1');
  appended('auth: { query: "SELECT $12" }\n', '6:16 auth.query: must take the name of the user as $1');
  appended('auth: { query: "SELECT * FROM f($1)" }\n');
});

test('a variable that is not set is the only problem of its value', () => {
  const unset = 'the environment variable V is not set; ${V:-default} would give it a default';
  appended('pool: { size: "${V}" }\n', `6:16 pool.size: ${unset}`);
  appended('log: { level: "${V}" }\n', `6:16 log.level: ${unset}`);
  appended('auth: { users: [{ name: a, password: "${V}" }] }\n', `6:39 auth.users[0].password: ${unset}`);
  replaced('"127.0.0.1:2379"', '["a:1", "${V}"]', `3:28 cluster.etcd3.hosts[1]: ${unset}`);
});

test('a reference that is not closed is a problem', () => {
  appended(
    'log: { level: "${V" }\n',
    '6:16 log.level: "${" begins a reference to the environment: write ${NAME} or ${NAME:-default}, or "$${" for the text itself',
  );
});

test('keep-alive is off, or a second at least', () => {
  appended('limits: { tcp_keepalive: 300ms }\n', '6:26 limits.tcp_keepalive: must be 0 or at least 1s');
  appended('limits: { tcp_keepalive: 0 }\n');
});
