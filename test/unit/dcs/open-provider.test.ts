import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfig } from '../../../src/config/load.js';
import { DcsState } from '../../../src/dcs/claims.js';
import { openProvider } from '../../../src/dcs/open-provider.js';
import { silentLogger } from '../../../src/log.js';
import { FakeClock } from '../../support/fake-clock.js';

function open(cluster: string) {
  const text = `cluster: ${cluster}\nlisteners: [{ name: p, address: "127.0.0.1:5000", route: primary }]\n`;
  const { config } = parseConfig(text, { fileName: 'x.yaml', env: {}, folder: '/nonexistent' });
  return openProvider(config.cluster, new FakeClock(), silentLogger);
}

test('etcd3: follows the hosts of the configuration, and does nothing before start', async (t) => {
  const provider = open('{ scope: pg, etcd3: { hosts: ["127.0.0.1:1", "[::1]"] } }');
  t.after(() => provider.close());
  assert.equal(provider.claims.provider, 'etcd3');
  assert.equal(provider.claims.state, DcsState.Unknown);
  assert.match(provider.claims.trouble ?? '', /127\.0\.0\.1:1, \[::1\]:2379$/);
});

test('nodes: takes them as they are', async (t) => {
  const provider = open('{ nodes: [{ name: a, host: 10.0.0.1, weight: 2, tags: { zone: x } }] }');
  t.after(() => provider.close());
  assert.equal(provider.claims.provider, 'nodes');
  const [member] = provider.claims.members.values();
  assert.deepEqual([member?.name, member?.host, member?.port], ['a', '10.0.0.1', 5432]);
  assert.deepEqual(
    member?.tags,
    new Map([
      ['zone', 'x'],
      ['weight', '2'],
    ]),
  );
});
