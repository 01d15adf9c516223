import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MINIMAL, MINIMAL_NODES, shortWarnings } from './config-text.js';

const USERS = 'auth: { users: [{ name: a, password: x }] }\n';

/** Asserts the warnings of the minimal file with users (line 6) and more text (from line 7 on). */
function warns(text: string, ...expected: readonly string[]): void {
  assert.deepEqual(shortWarnings(MINIMAL + USERS + text), expected);
}

test('an ordinary configuration has no warnings', () => {
  warns('');
  assert.deepEqual(shortWarnings(MINIMAL_NODES + USERS), []);
});

test('a key without a value is a warning', () => {
  warns(
    'pool:\n  # size: 5\nlog: { level: }\n',
    '7:1 pool: has no value and is ignored',
    '9:8 log.level: has no value and is ignored',
  );
});

test('nobody to log in is a warning, except where nobody needs a password', () => {
  const nobody = 'knows no users: nobody can log in with a password without users, userlist_file or query';
  assert.deepEqual(shortWarnings(MINIMAL), [`1:1 auth: ${nobody}`]);
  assert.deepEqual(shortWarnings(`${MINIMAL}auth: { method: trust, rules: [{ user: a, method: md5 }] }\n`), [
    `6:1 auth: ${nobody}`,
  ]);
  assert.deepEqual(shortWarnings(`${MINIMAL}auth: { method: trust }\n`), []);
  assert.deepEqual(shortWarnings(`${MINIMAL}auth: { query: "SELECT $1" }\n`), []);
});

test('trust for everybody is a warning when a listener is not on the loopback', () => {
  const text = `${MINIMAL.replace('127.0.0.1:5000', '*:5000')}auth: { method: trust }\n`;
  assert.deepEqual(shortWarnings(text), [
    '6:17 auth.method: trust lets anybody in who reaches a listener, and not all are on the loopback',
  ]);
});

test('rules behind one that matches everybody are a warning', () => {
  assert.deepEqual(
    shortWarnings(
      `${MINIMAL}auth:\n  method: trust\n  rules:\n    - { user: a, method: trust }\n    - { method: reject }\n    - { method: trust }\n`,
    ),
    ['11:7 auth.rules[2]: is never reached: rules[1] matches every client'],
  );
});

test('limits that can never be reached are warnings', () => {
  warns('pool: { size: 5 }\n', '7:1 pool.max_idle: is above size and can never be reached');
  warns(
    'pool: { max_backends_per_node: 50 }\n',
    '7:1 pool.size: is above max_backends_per_node and can never be reached',
  );
  warns(
    'pool: { max_backends_per_user: 50 }\n',
    '7:1 pool.size: is above max_backends_per_user and can never be reached',
  );
  warns('pool: { max_backends: 50 }\n', '7:1 pool.size: is above max_backends and can never be reached');
  warns(
    'pool: { max_backends: 150, max_backends_per_node: 200 }\n',
    '7:51 pool.max_backends_per_node: is above max_backends and can never be reached',
  );
  warns(
    'pool: { reserve_size: 1, reserve_timeout: 30s }\n',
    '7:43 pool.reserve_timeout: is not shorter than wait_timeout: the reserve is never used',
  );
  warns('pool: { max_lifetime: 30s }\n', '7:1 pool.idle_timeout: is longer than max_lifetime and never takes effect');
});

test('thresholds that defeat their purpose are warnings', () => {
  warns(
    'routing: { max_lag: 400ms }\n',
    '7:21 routing.max_lag: is less than two samples of cluster.monitor.interval: hardly any standby will ever be fresh',
  );
  warns(
    'promotion: { hold_timeout: 1s }\n',
    '7:28 promotion.hold_timeout: is shorter than a planned switchover takes: clients will see errors',
  );
});

test('a time limit that another one always comes before is a warning', () => {
  const never = 'is not below transaction_timeout and never takes effect';
  warns(
    'limits: { query_timeout: 5m, idle_transaction_timeout: 1m, transaction_timeout: 1m }\n',
    `7:26 limits.query_timeout: ${never}`,
    `7:56 limits.idle_transaction_timeout: ${never}`,
  );
  warns('limits: { query_timeout: 5m, idle_transaction_timeout: 1m }\n');
});

test('what only split sessions go by is a warning where there are none', () => {
  const text = 'routing: { consistency: eventual, fence_wait: 0, zone: east, slow_start: 5s, write_functions: [f] }\n';
  const nothing = 'means nothing without a listener with route: split';
  warns(
    text,
    `7:25 routing.consistency: ${nothing}`,
    `7:47 routing.fence_wait: ${nothing}`,
    `7:78 routing.write_functions: ${nothing}`,
  );
  assert.deepEqual(shortWarnings(MINIMAL.replace('route: primary', 'route: split') + USERS + text), []);
});

test('a listener on port 0 is a warning', () => {
  assert.deepEqual(shortWarnings(MINIMAL.replace(':5000', ':0') + USERS), [
    '5:31 listeners[0].address: port 0 is another free port after every start',
  ]);
});

test("Patroni's words beside a fixed list of nodes are warnings", () => {
  const text = MINIMAL_NODES.replace('cluster:', 'cluster:\n  namespace: /x\n  group: 1');
  assert.deepEqual(shortWarnings(text + USERS), [
    '2:14 cluster.namespace: means nothing with a fixed list of nodes',
    '3:10 cluster.group: means nothing with a fixed list of nodes',
  ]);
});

test('nodes that all take no sessions are a warning', () => {
  assert.deepEqual(shortWarnings(MINIMAL_NODES.replace('10.0.0.1', '10.0.0.1, weight: 0') + USERS), [
    '2:3 cluster.nodes: every weight is 0: no standby takes sessions',
  ]);
});
