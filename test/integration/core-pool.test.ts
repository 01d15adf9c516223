import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CoreProxy, sharedCluster, backendPid } from './core-lab.js';

const cluster = sharedCluster();

test('hello', async (t) => {
  const t0 = performance.now();
  const proxy = await CoreProxy.start(t, cluster().nodes);
  console.log(
    'start',
    performance.now() - t0,
    JSON.stringify(proxy.log.slice(0, 30), (k, v) => (typeof v === 'bigint' ? String(v) : v), 1),
  );
  const client = await proxy.login();
  console.log(await backendPid(client));
  assert.ok(true);
  await client.end();
  await proxy.waitForRest();
  console.log('rest', performance.now() - t0);
});
test('hello2', async (t) => {
  const t0 = performance.now();
  const proxy = await CoreProxy.start(t, cluster().nodes);
  console.log('start', performance.now() - t0);
});
