import assert from 'node:assert/strict';
import { test } from 'node:test';
import { waitFor } from '../support/processes.js';
import { RawClient } from '../support/raw-client.js';
import { backend, frontend } from '../support/raw-messages.js';
import { roles } from '../support/roles.js';
import { CoreProxy, TIMEOUT_MS, backendPid, sharedCluster, waitForBackend } from './core-lab.js';

const cluster = sharedCluster({ standbys: 0 });
/** Connections beyond `max_clients` that may be on their way in. */
const STARTUPS_MAX = 200;

test('clients beyond max_clients are told 53300, and can still cancel', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes, { limits: { max_clients: 2 } });
  const [busy, idle] = [await proxy.login(), await proxy.login()];
  const pid = await backendPid(busy);
  busy.send(frontend.query('select pg_sleep(60)'));
  await waitForBackend(cluster().primary, pid, 'PgSleep');
  for (let n = 0; n < 3; n += 1) {
    const late = await proxy.connect();
    late.send(frontend.startup({ user: roles.app.user, database: roles.app.database }));
    const [only, ...more] = await late.closed();
    assert.deepEqual(more, []);
    const error = backend.errorFields(only?.body ?? Buffer.alloc(0));
    assert.equal(error.severity, 'FATAL');
    assert.equal(error.code, '53300');
    assert.match(error.hint ?? '', /max_clients/);
  }
  assert.equal(proxy.app.counters.clientsRefused, 3);
  const canceler = await proxy.connect();
  canceler.send(frontend.cancelRequest(busy.key?.pid ?? 0, busy.key?.secret ?? Buffer.alloc(4)));
  assert.deepEqual(await canceler.closed(), []);
  assert.equal((await busy.reply()).error?.code, '57014');
  await idle.end();
  await proxy.waitForRest(1);
  const next = await proxy.login();
  assert.deepEqual(await next.rows('select 1'), [['1']]);
});

test('max_clients counts sessions and not those who only knock', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes, { limits: { max_clients: 2 } });
  const knocking = await Promise.all(Array.from({ length: 20 }, () => proxy.connect()));
  await waitFor(() => proxy.app.startups === 20, { timeoutMs: TIMEOUT_MS, what: 'all of them to be seen' });
  const clients = [await proxy.login(), await proxy.login()];
  for (const client of clients) assert.deepEqual(await client.rows('select 1'), [['1']]);
  for (const client of knocking) client.destroy();
  await proxy.waitForRest(2);
});

test('a flood of connections is cut off, not stored, and sessions notice nothing of it', async (t) => {
  const limits = { max_clients: 2, startup_timeout: '2s' };
  const proxy = await CoreProxy.start(t, cluster().nodes, { limits });
  const client = await proxy.login();
  await client.rows('select 1');
  const flood: RawClient[] = [];
  t.after(() => {
    for (const each of flood) each.destroy();
  });
  const wave = 260;
  for (let n = 0; n < wave; n += 1) flood.push(await RawClient.connect({ port: proxy.port() }));
  await waitFor(() => proxy.app.counters.clientsAccepted === wave + 1, { timeoutMs: TIMEOUT_MS, what: 'the flood' });
  assert.ok(proxy.app.startups <= STARTUPS_MAX + 2, `${proxy.app.startups} on their way in`);
  assert.ok(proxy.app.counters.clientsRefused >= wave - STARTUPS_MAX - 2);
  assert.deepEqual(await client.rows('select 2'), [['2']]);
  // Those who are on their way have startup_timeout, and then there is room again.
  await waitFor(() => proxy.app.startups === 0, { timeoutMs: TIMEOUT_MS, what: 'the flood to be over' });
  await proxy.checkAfterAbuse(1);
});

test('hundreds of sessions share a small pool, each with its own answers', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes, { pool: { size: 8 } });
  const visit = async (n: number): Promise<void> => {
    const client = await RawClient.login(proxy.as());
    assert.deepEqual(await client.rows(`select ${n}`), [[String(n)]]);
    await client.end();
  };
  await Promise.all(Array.from({ length: 300 }, (_, n) => visit(n)));
  await proxy.waitForRest();
  assert.ok(proxy.backends.idle <= 8);
  assert.ok(proxy.app.counters.backendsOpened <= 8 + 5, `${proxy.app.counters.backendsOpened} were opened`);
});
