import assert from 'node:assert/strict';
import { test } from 'node:test';
import { liveKeyPath, withKey } from '../../../src/config/override.js';
import { MINIMAL, parse } from './config-text.js';

const LISTENERS = ['rw', 'ro'];

function problemOf(key: string): string {
  const found = liveKeyPath(key, LISTENERS);
  return found.ok ? `found at ${found.value.join('/')}` : found.problem;
}

function changed(text: string, key: string, value: string): string {
  const path = liveKeyPath(key, ['primary']);
  assert.ok(path.ok);
  const result = withKey(text, path.value, value);
  assert.ok(result.ok, result.ok ? '' : result.problem);
  return result.value;
}

test('a key is found where it stands in the file', () => {
  assert.equal(problemOf('pool.size'), 'found at pool/size');
  assert.equal(problemOf('listeners[ro].fallback'), 'found at listeners/1/fallback');
});

test('a key that is not there, or that only a restart changes, is refused with what to do', () => {
  assert.equal(problemOf('pool.sice'), 'there is no key "pool.sice"; did you mean "pool.size"?');
  assert.equal(problemOf('nonsense_beyond_hope'), 'there is no key "nonsense_beyond_hope"');
  assert.equal(problemOf('admin.address'), '"admin.address" takes effect after a restart only');
  assert.equal(problemOf('listeners[ro].route'), '"listeners[ro].route" takes effect after a restart only');
  assert.equal(problemOf('listeners[xx].fallback'), 'there is no listener "xx"; there are rw, ro');
});

test('the value is written as in the file, and everything else stays as it was', () => {
  const text = `# a comment\n${MINIMAL}pool: { size: 7 }\nadmin: { token: "\${TOKEN}" }\n`;
  const more = changed(changed(text, 'pool.size', '9'), 'pool.wait_timeout', '5s');
  assert.match(more, /^# a comment$/m);
  assert.match(more, /\$\{TOKEN\}/);
  const { config } = parse(more, { TOKEN: 'a-long-secret-token-of-32-bytes!' });
  assert.deepEqual([config.pool.size, config.pool.waitTimeoutMs], [9, 5000]);
  assert.equal(config.listeners.length, 1);
});

test('sections that are not there, or have no more than a name, are made', () => {
  assert.equal(parse(changed(MINIMAL, 'routing.max_lag', '3s')).config.routing.maxLagMs, 3000);
  assert.equal(parse(changed(`${MINIMAL}pool:\n`, 'pool.size', '3')).config.pool.size, 3);
});

test('lists, listeners and texts that are no YAML can be set', () => {
  const users = changed(MINIMAL, 'admin.users', '[a, b]');
  assert.deepEqual(parse(users).config.admin.users, ['a', 'b']);
  const listener = changed(MINIMAL, 'listeners[primary].pool_mode', 'transaction');
  assert.equal(parse(listener).config.listeners[0]?.poolMode, 'transaction');
  for (const query of ['SELECT a: b FROM "x" WHERE $1 = [', 'SELECT $1 # 2', '- $1']) {
    assert.equal(parse(changed(MINIMAL, 'auth.query', query)).config.auth.query, query);
  }
  assert.equal(parse(changed(MINIMAL, 'auth.query', "'SELECT $1 '")).config.auth.query, 'SELECT $1 ');
});

test('what stands there by an alias is left alone', () => {
  const text = `${MINIMAL}pool: &shared { size: 7 }\nlimits: *shared\n`;
  const result = withKey(text, ['limits', 'max_clients'], '3');
  assert.ok(!result.ok);
  assert.equal(result.problem, '"limits" stands in the file by an alias');
  assert.ok(!withKey('cluster: {}', ['listeners', 0, 'fallback'], 'error').ok);
});
