import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { PostgresCluster } from '../support/postgres-cluster.js';
import { sql } from '../support/postgres-server.js';
import { waitFor } from '../support/processes.js';
import type { RawClient } from '../support/raw-client.js';
import { frontend } from '../support/raw-messages.js';
import { roles } from '../support/roles.js';
import { CoreProxy, TIMEOUT_MS, backendPid, sharedCluster, waitForBackend } from './core-lab.js';
import type { CoreChanges } from './core-lab.js';

/** Of which three are reserved for superusers, and some are the monitor's. */
const MAX_CONNECTIONS = 12;
const CLIENTS = 60;
/** 53300 that a node may say while 60 sessions want in, all of them within a few seconds. */
const REFUSALS_MAX = 25;

interface Lab {
  readonly cluster: PostgresCluster;
  readonly proxy: CoreProxy;
  readonly clients: readonly RawClient[];
}

/** Sixty sessions in front of a small primary, held since it was stopped; `release` starts it again. */
async function holdAll(t: TestContext, changes: CoreChanges): Promise<Lab & { readonly release: () => Promise<void> }> {
  const cluster = await PostgresCluster.start(t, { standbys: 0, settings: { max_connections: MAX_CONNECTIONS } });
  const proxy = await CoreProxy.start(t, cluster.nodes, changes);
  const first = await proxy.login();
  await first.rows('select 1');
  await first.end();
  const clients: RawClient[] = [];
  for (let n = 0; n < CLIENTS; n += 1) clients.push(await proxy.login());
  await cluster.primary.stop('fast');
  await waitFor(() => proxy.app.watch.store.view.primary === null, { timeoutMs: TIMEOUT_MS, what: 'no primary' });
  for (const client of clients) client.send(frontend.query('select 1'));
  await waitFor(() => proxy.app.primaryHold.length === CLIENTS, { timeoutMs: TIMEOUT_MS, what: 'all to be held' });
  return { cluster, proxy, clients, release: () => cluster.primary.start() };
}

/** Log-ins to the node so far, those that it refused included. */
function logins({ app: { counters } }: CoreProxy): number {
  return counters.backendsOpened + counters.backendConnectFailures.get('53300');
}

for (const reuse of [true, false]) {
  test(`60 held sessions that come and go are all served by a primary with room for a few (reuse ${reuse})`, async (t) => {
    const { proxy, clients, release } = await holdAll(t, { pool: { reuse } });
    const before = logins(proxy);
    await release();
    const errors: string[] = [];
    await Promise.all(
      clients.map(async (client) => {
        const reply = await client.reply();
        if (reply.error !== null) errors.push(`${reply.error.code} ${reply.error.message}`);
        await client.end();
      }),
    );
    const refused = proxy.app.counters.backendConnectFailures.get('53300');
    const count = logins(proxy) - before;
    t.diagnostic(`${count} log-ins, ${refused} of them refused`);
    assert.deepEqual(errors, []);
    assert.ok(refused <= REFUSALS_MAX, `${refused} log-ins were refused`);
    assert.ok(count <= CLIENTS + REFUSALS_MAX, `${count} log-ins`);
    await proxy.waitForRest();
    await proxy.checkAfterAbuse();
  });
}

test('where sessions stay, the first are served, and the others are told the bounds and keep their sessions', async (t) => {
  const { cluster, proxy, clients, release } = await holdAll(t, { promotion: { hold_timeout: '4s' } });
  await release();
  const replies = await Promise.all(clients.map(async (client) => ({ client, reply: await client.reply() })));
  const served = replies.filter(({ reply }) => reply.error === null);
  const refused = replies.filter(({ reply }) => reply.error !== null);
  const failures = proxy.app.counters.backendConnectFailures.get('53300');
  t.diagnostic(`${served.length} served, ${failures} log-ins refused within 4 s`);
  assert.ok(served.length >= 3 && served.length < MAX_CONNECTIONS, `${served.length} were served`);
  assert.deepEqual(
    served.map(({ client }) => clients.indexOf(client)),
    served.map((_, n) => n),
    'the oldest',
  );
  for (const { reply } of refused) {
    assert.equal(reply.error?.code, '53300', reply.error?.message);
    assert.match(reply.error?.message ?? '', /no connection became free within 4000 ms/);
    assert.match(reply.error?.hint ?? '', /max_connections/);
    assert.equal(reply.status, 'I');
  }
  assert.ok(failures <= REFUSALS_MAX, `${failures} log-ins were refused`);
  // One leaves, and one of the others finds his place.
  const [leaving] = served;
  const [next] = refused;
  assert.ok(leaving !== undefined && next !== undefined);
  await leaving.client.end();
  await waitFor(() => proxy.backends.idle === 1, { timeoutMs: TIMEOUT_MS, what: 'its backend to be free' });
  assert.deepEqual(await next.client.rows('select 2'), [['2']]);
  assert.ok((await sql(cluster.primary, 'select 1')).length === 1, 'superusers find room');
});

test('a bound of the pool is a queue of its own: nobody is turned away by the node', async (t) => {
  const { proxy, clients, release } = await holdAll(t, { pool: { size: 3 } });
  await release();
  await Promise.all(
    clients.map(async (client) => {
      assert.equal((await client.reply()).error, null);
      await client.end();
    }),
  );
  assert.equal(proxy.app.counters.backendConnectFailures.get('53300'), 0);
  await proxy.waitForRest();
});

const shared = sharedCluster({ standbys: 0 });

test('the connection limit of a role is told at once to whoever was not held', async (t) => {
  const { primary } = shared();
  await sql(primary, `alter role ${roles.app.user} connection limit 1`);
  t.after(() => sql(primary, `alter role ${roles.app.user} connection limit -1`));
  const proxy = await CoreProxy.start(t, shared().nodes);
  const [first, second] = [await proxy.login(), await proxy.login()];
  assert.deepEqual(await first.rows('select 1'), [['1']]);
  const { error, status } = await second.query('select 1');
  assert.deepEqual([error?.code, status], ['53300', 'I']);
  await first.end();
  await proxy.waitForRest(1, 0);
  assert.deepEqual(await second.rows('select 2'), [['2']]);
});

test('a statement whose client vanishes is cancelled, and its backend counts until the node is done with it', async (t) => {
  const proxy = await CoreProxy.start(t, shared().nodes);
  const client = await proxy.login();
  const pid = await backendPid(client);
  client.send(frontend.query('select pg_sleep(300)'));
  await waitForBackend(shared().primary, pid, 'PgSleep');
  client.reset();
  await waitForBackend(shared().primary, pid, null);
  await proxy.waitForRest();
  await proxy.checkAfterAbuse();
});

test('a client that vanishes in the middle of a large answer leaves nothing behind', async (t) => {
  const proxy = await CoreProxy.start(t, shared().nodes);
  const client = await proxy.login();
  const pid = await backendPid(client);
  client.send(frontend.query(`select repeat('x', 100000) from generate_series(1, 10000000)`));
  await waitFor(() => proxy.app.counters.clientBytesOut > 1_000_000, { timeoutMs: TIMEOUT_MS, what: 'rows' });
  client.reset();
  await waitForBackend(shared().primary, pid, null);
  await proxy.waitForRest();
});

test('what runs when the proxy is shut down for good is cancelled too', async (t) => {
  const proxy = await CoreProxy.start(t, shared().nodes, { shutdown: { timeout: '0s' } });
  const client = await proxy.login();
  const pid = await backendPid(client);
  client.send(frontend.query('select pg_sleep(300)'));
  await waitForBackend(shared().primary, pid, 'PgSleep');
  await proxy.app.stop();
  await waitForBackend(shared().primary, pid, null);
});
