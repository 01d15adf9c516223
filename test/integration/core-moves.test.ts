import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FaultProxy } from '../support/fault-proxy.js';
import { waitFor } from '../support/processes.js';
import type { RawClient } from '../support/raw-client.js';
import { frontend } from '../support/raw-messages.js';
import { backendPid, CoreProxy, nodeOf, ownBackends, sharedCluster, TIMEOUT_MS, waitForBackend } from './core-lab.js';

// In both pool modes.

const cluster = sharedCluster({
  appStatements: [
    `create function warn() returns int language plpgsql as $$ begin raise notice 'look'; return 7; end $$`,
  ],
});
const { parse, bind, describe, execute, sync, close, query } = frontend;

async function revive(): Promise<void> {
  for (const node of cluster().nodes) {
    if (!node.isRunning) await node.start();
  }
  await cluster().waitUntilStreaming();
}

/** Makes node3 the only standby that gets sessions, so that the session is there; node2 takes over when it dies. */
async function startOn3(t: Parameters<typeof CoreProxy.start>[0]): Promise<{ proxy: CoreProxy; client: RawClient }> {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  for (;;) {
    const client = await proxy.login('standby', { parameters: { options: '-c geqo=off' } });
    if ((await nodeOf(client)) === 'node3') return { proxy, client };
  }
}

/** Waits until no session is attached to a node: what is sent to a dead one before that is known has an unknown end. */
async function waitUntilGone(proxy: CoreProxy, node: string): Promise<void> {
  await waitFor(() => [...proxy.app.registry.all()].every((session) => session.node !== node), {
    timeoutMs: TIMEOUT_MS,
    what: `every session to leave ${node}`,
  });
}

/** Waits until the start of the proxy is no longer a change of the cluster that could explain the end of a backend. */
async function waitUntilStable(proxy: CoreProxy): Promise<void> {
  const { conductor, clock } = proxy.app;
  await waitFor(() => !conductor.hasChangedSince(clock.nowMs() - 1_100), {
    timeoutMs: TIMEOUT_MS,
    what: 'the cluster to be stable for a while',
  });
}

test('prepared statements and settings are there on the next node when a standby dies', async (t) => {
  const { proxy, client } = await startOn3(t);
  t.after(revive);
  await client.rows(`set work_mem = '7MB'`);
  await client.rows(`set datestyle to 'German, DMY'`);
  await client.rows(`set session time zone 'Asia/Tokyo'`);
  await client.rows('set session characteristics as transaction isolation level repeatable read');
  await client.rows('set enable_seqscan = off');
  await client.rows('reset enable_seqscan');
  await client.query('set work_mem = nonsense');
  await client.rows('begin; set local statement_timeout = 999; commit');
  await client.unit(parse('select $1::int * 2', { name: 'twice' }), parse('select 1', { name: 'closed' }), sync());
  await client.unit(close('S', 'closed'), sync());
  await client.unit(parse('select this is wrong', { name: 'wrong' }), sync());
  await client.unit(parse('select $1::text || now()::date::text = $1 || current_date', { name: 'Ä"' }), sync());
  await client.unit(parse(`select 'unnamed ' || $1`), sync());
  const told = [...client.parameters];

  await cluster().node(3).kill();
  await waitUntilGone(proxy, 'node3');
  const unnamed = await client.unit(bind({ values: ['here'] }), execute(), sync());
  assert.equal(unnamed.error, null);
  assert.deepEqual(unnamed.rows, [['unnamed here']]);
  assert.equal(unnamed.types, '2DCZ', 'nothing of the move is heard');
  assert.equal(await nodeOf(client), 'node2');
  const show = async (name: string): Promise<unknown> => (await client.rows(`show ${name}`))[0]?.[0];
  assert.equal(await show('work_mem'), '7MB');
  assert.equal(await show('datestyle'), 'German, DMY');
  assert.equal(await show('timezone'), 'Asia/Tokyo');
  assert.equal(await show('default_transaction_isolation'), 'repeatable read');
  assert.equal(await show('enable_seqscan'), 'on');
  assert.equal(await show('statement_timeout'), '0');
  assert.equal(await show('geqo'), 'off', 'a startup option');
  const twice = await client.unit(
    describe('S', 'twice'),
    bind({ statement: 'twice', values: ['21'] }),
    execute(),
    sync(),
  );
  assert.deepEqual(twice.rows, [['42']]);
  const quoted = await client.unit(bind({ statement: 'Ä"', values: ['x'] }), execute(), sync());
  assert.deepEqual(quoted.rows, [['t']]);
  for (const name of ['closed', 'wrong']) {
    assert.equal((await client.unit(bind({ statement: name }), sync())).error?.code, '26000');
  }
  assert.deepEqual([...client.parameters], told);
});

test('a client is told what the next node reports otherwise', async (t) => {
  const node2 = cluster().node(2);
  t.after(async () => {
    node2.configure({ settings: { timezone: 'Etc/UTC' } });
    await node2.reload();
    await revive();
  });
  const { proxy, client } = await startOn3(t);
  node2.configure({ settings: { timezone: 'America/Lima' } });
  await node2.reload();
  const before = client.parameters.get('TimeZone');
  await cluster().node(3).kill();
  await waitUntilGone(proxy, 'node3');
  const reply = await client.query('show timezone');
  assert.deepEqual(reply.rows, [['America/Lima']]);
  assert.notEqual(before, 'America/Lima');
  assert.equal(client.parameters.get('TimeZone'), 'America/Lima');
});

test('a transaction on a standby that dies is lost, and several reads under way go on elsewhere', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  t.after(revive);
  const at3: RawClient[] = [];
  for (let n = 0; n < 10; n += 1) {
    const client = await proxy.login('standby');
    if ((await nodeOf(client)) === 'node3') at3.push(client);
  }
  const [begun, failed, piped, idle] = at3;
  assert.ok(begun && failed && piped && idle);
  await begun.rows('begin');
  await failed.rows('begin');
  await failed.query('select 1/0');
  const pid = await backendPid(piped);
  const node3 = cluster().node(3);
  const nap = `select pg_sleep(case when inet_server_port() = ${node3.port} then 60 else 0 end)`;
  piped.send(query(nap), query('select 2'));
  await waitForBackend(node3, pid, 'PgSleep');
  await node3.kill();
  assert.deepEqual((await piped.reply()).types, 'TDCZ');
  assert.deepEqual((await piped.reply()).rows, [['2']]);
  const news = await begun.query('select 1');
  assert.deepEqual([news.error?.severity, news.error?.code, news.status], ['ERROR', '40001', 'E']);
  // It had failed already, and its client knew.
  assert.deepEqual((await failed.query('select 1')).error?.code, '25P02');
  for (const client of [begun, failed]) assert.deepEqual((await client.query('rollback')).tags, ['ROLLBACK']);
  for (const client of at3) assert.equal(await nodeOf(client), 'node2');
});

test('a connection that breaks under a healthy node: idle sessions notice nothing, the rest is told the truth', async (t) => {
  const way = await FaultProxy.start(cluster().primary.port);
  t.after(async () => way.close());
  const proxy = await CoreProxy.start(t, [{ name: 'node1', port: way.port }]);
  const [idle, busy, half, between] = [
    await proxy.login(),
    await proxy.login(),
    await proxy.login(),
    await proxy.login(),
  ];
  await idle.unit(parse('select 7', { name: 'kept' }), sync());
  for (const client of [busy, half, between]) await client.rows('select 1');
  const pid = await backendPid(busy);
  busy.send(query(`select pg_sleep(60), pg_notify('a', 'b')`));
  await waitForBackend(cluster().primary, pid, 'PgSleep');
  // Whole messages come through (a notice pushes out what is before it), or one in part.
  between.send(query(`select generate_series(1, 2); select warn(), pg_sleep(60)`));
  for (const type of 'TDDCTN') assert.equal((await between.read())?.type, type);
  half.stopReading();
  half.send(query(`select repeat('x', 50000000)`));
  const { counters } = proxy.app;
  await waitFor(() => counters.clientBytesOut > 200_000, { timeoutMs: TIMEOUT_MS, what: 'half a row to be forwarded' });
  way.reset();

  for (const client of [busy, between]) {
    const { error, status } = await client.reply();
    assert.equal(error?.code, '08007');
    assert.match(error.detail ?? '', /Whether it took effect is unknown/);
    assert.equal(status, 'I');
    assert.deepEqual(await client.rows('select 1'), [['1']]);
  }
  half.startReading();
  await assert.rejects(half.reply(), /the connection ended inside/);
  const reply = await idle.unit(bind({ statement: 'kept' }), execute(), sync());
  assert.deepEqual(reply.rows, [['7']]);
  assert.equal(proxy.app.registry.size, 3);
});

test(
  'pg_terminate_backend by an administrator ends the session with 57P01, idle or not, about a second later',
  ownBackends,
  async (t) => {
    const proxy = await CoreProxy.start(t, cluster().nodes);
    for (const listener of ['primary', 'standby']) {
      const idle = await proxy.login(listener);
      const busy = await proxy.login(listener);
      await waitUntilStable(proxy);
      for (const client of [idle, busy]) {
        const at = cluster().node(Number((await nodeOf(client)).slice(-1)));
        const pid = await backendPid(client);
        if (client === busy) {
          client.send(query('select pg_sleep(60)'));
          await waitForBackend(at, pid, 'PgSleep');
        }
        const startedAtMs = performance.now();
        const terminator = await proxy.login(listener, {
          port: at.port,
          user: 'postgres',
          password: at.superuserPassword,
        });
        await terminator.rows(`select pg_terminate_backend(${pid})`);
        const { error, closed } = await client.reply();
        assert.equal(closed, true);
        assert.equal(error?.severity, 'FATAL');
        assert.equal(error.code, '57P01');
        assert.equal(error.message, 'terminating connection due to administrator command');
        const tookMs = performance.now() - startedAtMs;
        assert.ok(tookMs > 500 && tookMs < 3_000, `${tookMs} ms`);
        await terminator.end();
      }
    }
    await proxy.checkAfterAbuse();
  },
);

test('pg_cancel_backend by an administrator is an error like any other', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  const client = await proxy.login();
  const pid = await backendPid(client);
  client.send(query('select pg_sleep(60)'));
  await waitForBackend(cluster().primary, pid, 'PgSleep');
  await cluster().sql(`select pg_cancel_backend(${pid})`);
  const { error, status } = await client.reply();
  assert.equal(error?.code, '57014');
  assert.equal(status, 'I');
  assert.equal(await backendPid(client), pid);
});
