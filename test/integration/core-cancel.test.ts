import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { waitFor } from '../support/processes.js';
import type { RawClient } from '../support/raw-client.js';
import { PROTOCOL_3_2, frontend } from '../support/raw-messages.js';
import { backendPid, CoreProxy, ownBackends, sharedCluster, TIMEOUT_MS, waitForBackend } from './core-lab.js';

// In both pool modes.
// With both engines.

const cluster = sharedCluster({ standbys: 1 });
const SLEEP = 'select pg_sleep(60)';
const RACES = 60;

type Key = NonNullable<RawClient['key']>;

function keyOf(client: RawClient): Key {
  assert.ok(client.key);
  return client.key;
}

/** Sends a cancel request; it is answered with nothing but the end of the connection. */
async function cancel(proxy: CoreProxy, key: Key, listener = 'primary'): Promise<void> {
  const client = await proxy.connect(listener);
  client.send(frontend.cancelRequest(key.pid, key.secret));
  assert.deepEqual(await client.closed(), []);
}

async function begin(client: RawClient, statement: string, waitEvent: string): Promise<void> {
  const pid = await backendPid(client);
  client.send(frontend.query(statement));
  await waitForBackend(cluster().primary, pid, waitEvent);
}

test('a cancel request ends the query of its session and no other, and the session goes on', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  const clients = [await proxy.login(), await proxy.login(), await proxy.login('primary', { version: PROTOCOL_3_2 })];
  for (const client of clients) await begin(client, SLEEP, 'PgSleep');
  for (const client of clients) {
    await cancel(proxy, keyOf(client));
    const { error, status } = await client.reply();
    assert.equal(error?.code, '57014');
    assert.equal(status, 'I');
    for (const other of clients.slice(clients.indexOf(client) + 1)) assert.equal(await other.isSilentFor(20), true);
    assert.deepEqual(await client.rows('select 1'), [['1']]);
  }
});

test('a cancel request is closed when the node has taken it, so that it cannot hit what the client sends next', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  const client = await proxy.login();
  await begin(client, SLEEP, 'PgSleep');
  await cancel(proxy, keyOf(client));
  assert.equal(proxy.app.counters.cancels.get('forwarded'), 1);
  assert.equal((await client.reply()).error?.code, '57014');
  for (let n = 0; n < 20; n += 1) {
    client.send(frontend.query(`select pg_sleep(${n * 0.0005})`));
    await cancel(proxy, keyOf(client));
    await client.reply();
    assert.equal((await client.query('select pg_sleep(0.005)')).error, null);
  }
});

test('a key is good on every listener, and for every way to be busy', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  const client = await proxy.login();
  await client.rows('create temp table t(a int)');
  await begin(
    client,
    `copy (select repeat('x', 1000) from generate_series(1, 1000000), pg_sleep(60)) to stdout`,
    'PgSleep',
  );
  await cancel(proxy, keyOf(client), 'standby');
  assert.equal((await client.reply()).error?.code, '57014');
  assert.equal((await client.query('copy t from stdin')).types, 'G');
  await cancel(proxy, keyOf(client));
  // A node that waits for COPY data looks up only when there is some.
  client.send(...Array.from({ length: 1000 }, (_, n) => frontend.copyData(`${n}\n`)));
  assert.equal((await client.reply()).error?.code, '57014');
  const pid = await backendPid(client);
  client.send(frontend.parse(SLEEP), frontend.bind(), frontend.execute(), frontend.flush());
  await waitForBackend(cluster().primary, pid, 'PgSleep');
  await cancel(proxy, keyOf(client));
  for (const type of '12E') assert.equal((await client.read())?.type, type);
  assert.equal((await client.unit(frontend.sync())).types, 'Z');
});

test('a wrong key does nothing', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  const short = await proxy.login();
  const long = await proxy.login('primary', { version: PROTOCOL_3_2 });
  await begin(short, 'select pg_sleep(1), 1', 'PgSleep');
  await begin(long, 'select pg_sleep(1), 2', 'PgSleep');
  const [a, b] = [keyOf(short), keyOf(long)];
  const wrong: Key[] = [
    { pid: a.pid, secret: randomBytes(4) },
    { pid: a.pid, secret: Buffer.concat([a.secret, a.secret]) },
    { pid: a.pid, secret: b.secret },
    { pid: b.pid, secret: b.secret.subarray(0, 31) },
    { pid: b.pid, secret: b.secret.subarray(0, 4) },
    { pid: b.pid, secret: randomBytes(256) },
    { pid: a.pid ^ 1, secret: a.secret },
    { pid: -1, secret: a.secret },
    { pid: 0, secret: Buffer.alloc(4) },
    // The node's own key is no key of ours.
    {
      pid: Number((await cluster().sql(`select pid from pg_stat_activity where usename = 'app'`))[0]?.['pid']),
      secret: a.secret,
    },
  ];
  for (const key of wrong) await cancel(proxy, key);
  assert.equal(proxy.app.counters.cancels.get('unknown_key'), wrong.length);
  assert.equal((await short.reply()).rows[0]?.[1], '1');
  assert.equal((await long.reply()).rows[0]?.[1], '2');
});

test('keys are of one session: no two have the same, and that of an ended one is worth nothing', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  const ended = await proxy.login();
  await ended.rows('select 1');
  await ended.end();
  await proxy.waitForRest();
  const heir = await proxy.login();
  await begin(heir, 'select pg_sleep(0.5), 1', 'PgSleep');
  await cancel(proxy, keyOf(ended));
  assert.equal((await heir.reply()).error, null);
  const others = await Promise.all(Array.from({ length: 20 }, () => proxy.login()));
  const keys = [ended, heir, ...others].map((client) => `${keyOf(client).pid}/${keyOf(client).secret.toString('hex')}`);
  assert.equal(new Set(keys).size, keys.length);
});

test('a cancel request for an idle session does nothing, in a transaction or out of it', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  const client = await proxy.login();
  await cancel(proxy, keyOf(client));
  await client.rows('select 1');
  await cancel(proxy, keyOf(client));
  await client.rows('begin');
  await cancel(proxy, keyOf(client));
  assert.equal((await client.query('select pg_sleep(0.05), 1')).rows[0]?.[1], '1');
  await client.rows('commit');
  assert.equal(proxy.app.counters.cancels.get('idle'), 3);
  assert.equal(proxy.app.counters.cancels.get('forwarded'), 0);
});

test('a cancel request that races with the end of its query never hits the next session on the backend', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes, { pool: { size: 1 } });
  let canceled = 0;
  const pids = new Set<string>();
  for (let n = 0; n < RACES; n += 1) {
    const first = await proxy.login();
    pids.add(await backendPid(first));
    const key = keyOf(first);
    // From "long before the end" to "long after it".
    first.send(frontend.query(`select pg_sleep(${(n % 8) * 0.001})`));
    const canceling = Promise.all([cancel(proxy, key), cancel(proxy, key)]);
    const waiting = proxy.login();
    const { error } = await first.reply();
    if (error !== null) {
      assert.equal(error.code, '57014');
      canceled += 1;
    }
    // The next one is already waiting for this very backend: the pool has no other.
    first.send(frontend.terminate());
    const second = await waiting;
    for (let k = 0; k < 5; k += 1) {
      const reply = await second.query('select pg_sleep(0.002), 1');
      assert.equal(reply.error, null, `round ${n}: ${reply.error?.message}`);
    }
    await canceling;
    await second.end();
    await proxy.waitForRest();
  }
  assert.ok(canceled > 0, 'no query was ever canceled');
  assert.ok(canceled < RACES, 'every query was canceled: nothing raced');
  // A backend with a cancel request under way is not given on, so there were several; but it was not a new one each time either.
  assert.ok(pids.size < RACES, 'no backend was ever given on');
});

test('many cancel requests at once do no more than one', ownBackends, async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  const client = await proxy.login();
  await begin(client, SLEEP, 'PgSleep');
  await Promise.all(Array.from({ length: 30 }, () => cancel(proxy, keyOf(client))));
  assert.equal((await client.reply()).error?.code, '57014');
  await waitFor(() => [...proxy.app.registry.all()][0]?.backend?.cancelsInFlight === 0, {
    timeoutMs: TIMEOUT_MS,
    what: 'the cancel requests to be over',
  });
  assert.deepEqual(await client.rows('select 1'), [['1']]);
});

test('a statement that waits for a free backend can be canceled, and the session goes on', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes, { pool: { size: 1 } });
  const greeted = await proxy.login();
  await greeted.rows('select 1');
  await greeted.end();
  await proxy.waitForRest();
  const holder = await proxy.login();
  await holder.rows('begin');
  const waiter = await proxy.login();
  waiter.send(frontend.query('select 1'));
  await waitFor(() => proxy.app.pool.waiting === 1, { timeoutMs: TIMEOUT_MS, what: 'the statement to wait' });
  await cancel(proxy, keyOf(waiter));
  const { error, status } = await waiter.reply();
  assert.equal(error?.code, '57014');
  assert.equal(error.severity, 'ERROR');
  assert.equal(status, 'I');
  await holder.rows('commit');
  await holder.end();
  assert.deepEqual(await waiter.rows('select 2'), [['2']]);
  await waiter.end();
  await proxy.waitForRest();
});

test('a held statement can be canceled, and the session goes on when there is a primary again', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  const simple = await proxy.login();
  const extended = await proxy.login();
  await cluster().primary.stop('fast');
  const { held } = { held: () => proxy.app.primaryHold.length };
  simple.send(frontend.query('select 1'), frontend.query('select 2'));
  extended.send(frontend.parse('select 1'), frontend.bind(), frontend.execute(), frontend.sync());
  await waitFor(() => held() === 2, { timeoutMs: TIMEOUT_MS, what: 'the statements to be held' });
  for (const client of [simple, extended]) {
    await cancel(proxy, keyOf(client));
    const { error, status } = await client.reply();
    assert.equal(error?.code, '57014');
    assert.equal(status, 'I');
  }
  // Only the one statement: what was sent behind it is held in its turn.
  await waitFor(() => held() === 1, { timeoutMs: TIMEOUT_MS, what: 'the second statement to be held' });
  assert.equal(proxy.app.counters.cancels.get('held'), 2);
  await cluster().primary.start();
  assert.deepEqual((await simple.reply()).rows, [['2']]);
  assert.deepEqual(await extended.rows('select 3'), [['3']]);
});
