import assert from 'node:assert/strict';
import { test } from 'node:test';
import { countSessions, takeCensus } from '../../../src/admin/census.js';
import { addSession, proxyOf } from './proxy-of.js';

test('sessions are counted by where they come in, where they are and what they do', () => {
  const proxy = proxyOf();
  addSession(proxy);
  addSession(proxy);
  addSession(proxy, { isAtBoundary: false });
  addSession(proxy, { target: null, wait: 'hold' });
  addSession(proxy, { listener: 'ro', route: 'standby', target: 'standby' });
  addSession(proxy, { listener: 'ro', route: 'standby', target: 'primary' });
  addSession(proxy, { listener: 'all', route: 'split', target: 'standby' });
  const census = takeCensus(proxy.registry.all());
  assert.deepEqual(
    census.groups.map((group) => Object.values(group).join(' ')),
    [
      'rw primary primary idle 2',
      'rw primary primary active 1',
      'rw primary none waiting 1',
      'ro standby standby idle 1',
      'ro standby primary idle 1',
      'all split standby idle 1',
    ],
  );
  assert.equal(
    countSessions(census, ({ listener }) => listener === 'ro'),
    2,
  );
});

test('whoever waits only for the end of its own earlier units is active', () => {
  const proxy = proxyOf();
  addSession(proxy, { wait: 'boundary', isAtBoundary: false });
  for (const wait of ['hold', 'backend', 'judgement', 'retry', 'freshness'] as const) addSession(proxy, { wait });
  const { groups, waits } = takeCensus(proxy.registry.all());
  assert.deepEqual(
    groups.map(({ activity, count }) => [activity, count]),
    [
      ['active', 1],
      ['waiting', 5],
    ],
  );
  assert.deepEqual(Object.fromEntries(waits), {
    boundary: 1,
    hold: 1,
    backend: 1,
    judgement: 1,
    retry: 1,
    freshness: 1,
  });
});

test('pins are counted by their reason', () => {
  const proxy = proxyOf();
  addSession(proxy, { pinReason: 'listen' });
  addSession(proxy, { pinReason: 'listen' });
  addSession(proxy, { pinReason: 'open_transaction', isAtBoundary: false });
  addSession(proxy);
  assert.deepEqual(Object.fromEntries(takeCensus(proxy.registry.all()).pins), { listen: 2, open_transaction: 1 });
});
