import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PostgresCluster } from '../support/postgres-cluster.js';
import { sql } from '../support/postgres-server.js';
import { waitFor } from '../support/processes.js';
import { RawError } from '../support/raw-client.js';
import { LoginError } from '../support/raw-login.js';
import { roles } from '../support/roles.js';
import { CoreProxy, TIMEOUT_MS, sessionsOn, sharedCluster } from './core-lab.js';

const cluster = sharedCluster({
  standbys: 0,
  appStatements: [`create role other login password 'otherpass'`, 'grant all on database app to other'],
});
const other = { user: 'other', password: 'otherpass', database: 'app' };
const elsewhere = { ...roles.app, database: 'postgres' };

/** What a client is told that is not let in. */
async function refusalOf(login: Promise<unknown>): Promise<string> {
  const reason: unknown = await login.catch((error: unknown) => error);
  assert.ok(reason instanceof RawError || reason instanceof LoginError, String(reason));
  return reason.message;
}

test('each bound of the pool is kept on the node, and named to whoever waits in vain', async (t) => {
  const cases = [
    [{ max_backends_per_database: 1 }, other, 'max_backends_per_database'],
    [{ max_backends_per_user: 1 }, elsewhere, 'max_backends_per_user'],
    [{ max_backends_per_node: 1 }, { ...other, database: 'postgres' }, 'max_backends_per_node'],
    [{ max_backends: 1 }, other, 'max_backends'],
    [{ size: 1 }, { parameters: { application_name: 'second' } }, 'size'],
  ] as const;
  for (const [pool, late, bound] of cases) {
    const proxy = await CoreProxy.start(t, cluster().nodes, { pool: { ...pool, wait_timeout: '200ms' } });
    const first = await proxy.login();
    await first.rows('begin');
    assert.match(
      await refusalOf(proxy.login('primary', late)),
      new RegExp(`^53300: no backend of node1 became free for user .* within 200 ms: pool\\.${bound} is reached`),
    );
    assert.equal(proxy.app.counters.poolRefused.get(bound), 1);
    const waiting = proxy.login('primary', late);
    await waitFor(() => proxy.app.pool.waiting === 1, { timeoutMs: TIMEOUT_MS, what: 'the second to wait' });
    await first.end();
    assert.deepEqual(await (await waiting).rows('select 1'), [['1']]);
    await proxy.app.close();
  }
});

test('who has waited for reserve_timeout is served beyond size, as far as the reserve goes', async (t) => {
  const pool = { size: 1, reserve_size: 1, reserve_timeout: '200ms', wait_timeout: '600ms' };
  const proxy = await CoreProxy.start(t, cluster().nodes, { pool });
  const clients = [await proxy.login()];
  await clients[0]?.rows('begin');
  clients.push(await proxy.login());
  await clients[1]?.rows('begin');
  assert.equal(proxy.app.counters.backendsOpenedFromReserve, 1);
  assert.equal(await sessionsOn(cluster().primary), 2);
  const third = await proxy.login();
  const { error } = await third.query('select 1');
  assert.match(error?.message ?? '', /pool\.size and pool\.reserve_size are reached/);
  assert.match(error?.hint ?? '', /pool\.size is 1 and pool\.reserve_size is 1/);
});

test('what the node says to one log-in is told to a storm of clients in its words, and the node is asked a few times only', async (t) => {
  const { primary } = cluster();
  const proxy = await CoreProxy.start(t, cluster().nodes);
  await sql(primary, 'create database shut');
  await sql(primary, 'revoke connect on database shut from public');
  for (let n = 0; n < 40; n += 1) {
    const shut = proxy.login('primary', { ...other, database: 'shut' });
    assert.match(await refusalOf(shut), /^42501: permission denied for database "shut"/);
    const missing = proxy.login('primary', { ...roles.app, database: 'missing' });
    assert.match(await refusalOf(missing), /^3D000: database "missing" does not exist/);
  }
  const failures = proxy.app.counters.backendConnectFailures;
  t.diagnostic(`${failures.get('42501')} and ${failures.get('3D000')} log-ins for 40 clients each`);
  assert.ok(failures.get('42501') <= 10 && failures.get('3D000') <= 10);
  assert.ok(proxy.app.counters.poolRefused.get('failing_logins') >= 60);
  await sql(primary, 'grant connect on database shut to public');
  const isLetIn = (): Promise<boolean> => {
    return proxy.login('primary', { ...other, database: 'shut' }).then(
      () => true,
      () => false,
    );
  };
  await waitFor(isLetIn, { timeoutMs: TIMEOUT_MS, what: 'the user to be let in again' });
  await proxy.checkAfterAbuse(1);
});

test('min_size backends are kept open while somebody is connected, and none when nobody is', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes, { pool: { min_size: 3, idle_timeout: '1s' } });
  const client = await proxy.login();
  await client.rows('select 1');
  const atNode = async (count: number): Promise<void> => {
    await waitFor(async () => (await sessionsOn(cluster().primary)) === count, {
      timeoutMs: TIMEOUT_MS,
      what: `${count} backends at the node`,
    });
  };
  await atNode(3);
  await client.rows('select pg_sleep(3)');
  assert.equal(await sessionsOn(cluster().primary), 3);
  await client.end();
  await atNode(0);
});

test('when the primary is back, as many backends as were in use are opened before anybody asks', async (t) => {
  const CLIENTS = 12;
  const own = await PostgresCluster.start(t, { standbys: 0 });
  const proxy = await CoreProxy.start(t, own.nodes, { pool: { login_concurrency: 4 } });
  const clients = [];
  for (let n = 0; n < CLIENTS; n += 1) clients.push(await proxy.login());
  // Until the pool has looked at the clock, and has seen them all at work.
  await Promise.all(clients.map((client) => client.rows('select pg_sleep(1.2)')));
  await own.primary.stop('fast');
  await waitFor(() => proxy.app.watch.store.view.primary === null, { timeoutMs: TIMEOUT_MS, what: 'no primary' });
  await own.primary.start();
  await waitFor(() => proxy.backends.idle === CLIENTS, { timeoutMs: TIMEOUT_MS, what: 'the pool to be warm' });
  const before = proxy.app.counters.backendsOpened;
  for (const client of clients) assert.deepEqual(await client.rows('select 1'), [['1']]);
  assert.equal(proxy.app.counters.backendsOpened, before, 'nobody waited for a log-in');
});
