import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodeName } from '../../src/util/brand.js';
import { waitFor } from '../support/processes.js';
import type { Ending } from '../support/postgres-cluster.js';
import { RawClient } from '../support/raw-client.js';
import { frontend } from '../support/raw-messages.js';
import { roles } from '../support/roles.js';
import { CoreProxy, TIMEOUT_MS, backendPid, nodeOf, sharedCluster, waitForBackend } from './core-lab.js';

const cluster = sharedCluster({ appStatements: ['create table written(a int)', 'alter table written owner to app'] });

/** Quick to see that a standby lags, and that it does not any more. */
const quick = { max_lag: '400ms', recover_lag: '200ms', lag_samples: 2, slow_start: '0ms' };

/** How many of so many new sessions each node gets. */
async function spread(proxy: CoreProxy, sessions: number, listener = 'standby'): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (let n = 0; n < sessions; n += 1) {
    const node = await nodeOf(await proxy.login(listener));
    counts[node] = (counts[node] ?? 0) + 1;
  }
  return counts;
}

/** Writes WAL all the time: without it a standby that replays nothing is behind nobody. */
async function writeSteadily(t: Ending): Promise<void> {
  const client = await RawClient.login({ port: cluster().primary.port, ...roles.app });
  const over = new AbortController();
  const writing = (async () => {
    while (!over.signal.aborted) await client.rows(`select pg_logical_emit_message(true, 'tick', ''), pg_sleep(0.01)`);
    await client.end();
  })();
  t.after(() => {
    over.abort();
    return writing;
  });
}

async function waitForHealth(proxy: CoreProxy, node: string, health: string): Promise<void> {
  await waitFor(() => proxy.health(node) === health, { timeoutMs: TIMEOUT_MS, what: `${node} to be ${health}` });
}

function healthChanges(proxy: CoreProxy, node: string): string[] {
  return proxy.log
    .filter((line) => line['change'] === 'node_health' && line['node'] === node)
    .map((line) => String(line['to']));
}

test('sessions are spread over the standbys, the next to the one with the fewest', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  assert.deepEqual(await spread(proxy, 6), { node2: 3, node3: 3 });
  const on3 = [];
  for (const session of proxy.app.registry.all()) if (session.node === 'node3') on3.push(session);
  for (const session of on3) session.relay.destroy();
  await proxy.waitForRest(3);
  assert.deepEqual(await spread(proxy, 3), { node3: 3 });
});

test('weights share the sessions out, and a weight of 0 takes none', async (t) => {
  const weighted = await CoreProxy.start(t, cluster().nodes, { nodes: { node2: { weight: 3 } } });
  assert.deepEqual(await spread(weighted, 8), { node2: 6, node3: 2 });
  const zero = await CoreProxy.start(t, cluster().nodes, { nodes: { node2: { weight: 0 } } });
  assert.deepEqual(await spread(zero, 3), { node3: 3 });
});

test('tags keep sessions off a node, and choose among nodes', async (t) => {
  const listeners = [
    { name: 'primary', address: '127.0.0.1:0', route: 'primary' },
    { name: 'standby', address: '127.0.0.1:0', route: 'standby' },
    { name: 'reports', address: '127.0.0.1:0', route: 'standby', tags: { use: 'reports' } },
    { name: 'nowhere', address: '127.0.0.1:0', route: 'standby', tags: { use: 'none' }, fallback: 'error' },
  ];
  const nodes = { node2: { tags: { noloadbalance: true } }, node3: { tags: { use: 'reports' } } };
  const proxy = await CoreProxy.start(t, cluster().nodes, { listeners, nodes });
  assert.deepEqual(await spread(proxy, 3), { node3: 3 });
  assert.deepEqual(await spread(proxy, 3, 'reports'), { node3: 3 });
  const strange = { parameters: { application_name: 'not greeted before' } };
  await assert.rejects(proxy.login('nowhere', strange), /57P03: no standby is fresh enough/);
  const greeted = await proxy.login('nowhere');
  const { error } = await greeted.query('select 1');
  assert.equal(error?.code, '57P03');
  assert.match(error.detail ?? '', /node2/);
});

test('without a standby the fallback serves on the primary, refuses, or waits', async (t) => {
  const standby = (name: string, more: object) => ({ name, address: '127.0.0.1:0', route: 'standby', ...more });
  const listeners = [
    standby('by default', {}),
    standby('to the primary', { fallback: 'primary' }),
    standby('with an error', { fallback: 'error' }),
    standby('with a wait', { fallback: 'wait' }),
  ];
  const nodes = { node2: { weight: 0 }, node3: { tags: { noloadbalance: true } } };
  const promotion = { hold_timeout: '300ms' };
  const proxy = await CoreProxy.start(t, cluster().nodes, { listeners, nodes, promotion });
  for (const name of ['by default', 'to the primary']) {
    const client = await proxy.login(name);
    assert.equal(await nodeOf(client), 'node1');
    // The listener's promise, whoever serves; and what the node allows is allowed.
    assert.equal(client.parameters.get('in_hot_standby'), 'on');
    assert.deepEqual((await client.query('insert into written values (1)')).tags, ['INSERT 0 1']);
  }
  for (const [name, least] of [
    ['with an error', 0],
    ['with a wait', 300],
  ] as const) {
    const startedAtMs = performance.now();
    // Nobody has been greeted with these parameters, so the log-in itself needs a node.
    const login = proxy.login(name, { parameters: { application_name: name } });
    await assert.rejects(login, /57P03: no standby is fresh enough/);
    const tookMs = performance.now() - startedAtMs;
    assert.ok(tookMs >= least && tookMs < least + 2_000, `${name}: ${tookMs} ms`);
  }
  await proxy.waitForRest(2);
});

test('a write on a standby is refused by the node, and the session goes on', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  const client = await proxy.login('standby');
  assert.equal((await client.query('insert into written values (1)')).error?.code, '25006');
  assert.deepEqual(await client.rows('select 1'), [['1']]);
  assert.equal(client.parameters.get('in_hot_standby'), 'on');
  assert.equal(proxy.app.counters.wrongRoleErrors, 0);
});

test('a standby that stops replaying gets no new work, keeps its running read, and comes back; once each', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes, { routing: quick });
  const [a, b] = [await proxy.login('standby'), await proxy.login('standby')];
  const [reader, idle] = (await nodeOf(a)) === 'node2' ? [a, await proxy.login('standby')] : [b, a];
  assert.equal(await nodeOf(reader), 'node2');
  const inTransaction = await proxy.login('standby');
  const where = await nodeOf(inTransaction);
  await inTransaction.rows('begin');
  await writeSteadily(t);
  const pid = await backendPid(reader);
  reader.send(frontend.query('select pg_sleep(1.5), 42'));
  await waitForBackend(cluster().node(2), pid, 'PgSleep');
  t.after(async () => cluster().node(2).resumeReplay());
  cluster().node(2).pauseReplay();
  await waitForHealth(proxy, 'node2', 'lagging');

  assert.deepEqual(await spread(proxy, 4), { node3: 4 });
  // An idle session leaves at its next statement; a transaction stays where it is.
  assert.equal(await nodeOf(idle), 'node3');
  assert.equal(await nodeOf(inTransaction), where);
  const reply = await reader.reply();
  assert.equal(reply.rows[0]?.[1], '42', 'the long read was not cut');
  assert.equal(await nodeOf(reader), 'node3');

  cluster().node(2).resumeReplay();
  await waitForHealth(proxy, 'node2', 'healthy');
  assert.equal((await spread(proxy, 4))['node2'], 4);
  assert.deepEqual(healthChanges(proxy, 'node2'), ['healthy', 'lagging', 'healthy']);
  assert.deepEqual(healthChanges(proxy, 'node3'), ['healthy']);
});

test('standbys of an idle primary stay fresh while the tail of its WAL is not written out', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes, { routing: quick });
  const unflushed = async (): Promise<boolean> => {
    const tail = `select pg_current_wal_insert_lsn() - pg_current_wal_flush_lsn() > 100 as is_left`;
    return (await cluster().sql(tail))[0]?.['is_left'] === true;
  };
  // Nobody waits for the WAL of a transaction that is rolled back, so it stays in the buffers for up to 15 s.
  await cluster().sql(`begin; select pg_logical_emit_message(false, 'tail', repeat('x', 20000)); rollback`);
  assert.ok(await unflushed());
  const beginMs = performance.now();
  const isOver = async (): Promise<boolean> => !(await unflushed()) || performance.now() - beginMs > 2_000;
  await waitFor(isOver, { timeoutMs: TIMEOUT_MS, what: 'a time longer than max_lag to pass', pollMs: 100 });
  assert.deepEqual(healthChanges(proxy, 'node2'), ['healthy']);
  assert.deepEqual(healthChanges(proxy, 'node3'), ['healthy']);
});

test('while every standby lags sessions are served by the primary, and come home; a pinned one stays', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes, { routing: quick });
  const client = await proxy.login('standby');
  assert.notEqual(await nodeOf(client), 'node1');
  const toldBefore = [...client.parameters];
  await writeSteadily(t);
  t.after(async () => cluster().standbys.forEach((node) => node.resumeReplay()));
  for (const node of cluster().standbys) node.pauseReplay();
  for (const node of cluster().standbys) await waitForHealth(proxy, node.name, 'lagging');
  const pinned = await proxy.login('standby');
  await pinned.rows('create temp table t(a int)');
  assert.equal(await nodeOf(client), 'node1');
  for (const node of cluster().standbys) node.resumeReplay();
  for (const node of cluster().standbys) await waitForHealth(proxy, node.name, 'healthy');
  assert.notEqual(await nodeOf(client), 'node1');
  assert.equal(await nodeOf(pinned), 'node1');
  // Of all that the client was told nothing changed: in_hot_standby is the listener's, not the node's.
  assert.deepEqual([...client.parameters], toldBefore);
  assert.equal(proxy.app.counters.moves.get('fallback_primary'), 1);
  assert.equal(proxy.app.counters.moves.get('comes_home'), 1);
});

test('a session that waits for a standby gets the first one that is fresh', async (t) => {
  const listeners = [{ name: 'standby', address: '127.0.0.1:0', route: 'standby', fallback: 'wait' }];
  const proxy = await CoreProxy.start(t, cluster().nodes, { routing: quick, listeners });
  const client = await proxy.login('standby');
  await client.rows('select 1');
  await writeSteadily(t);
  t.after(async () => cluster().standbys.forEach((node) => node.resumeReplay()));
  for (const node of cluster().standbys) node.pauseReplay();
  for (const node of cluster().standbys) await waitForHealth(proxy, node.name, 'lagging');
  client.send(frontend.query('show cluster_name'));
  await waitFor(() => proxy.app.standbyHold.length === 1, { timeoutMs: TIMEOUT_MS, what: 'the statement to be held' });
  assert.equal(await client.isSilentFor(100), true);
  cluster().node(3).resumeReplay();
  assert.deepEqual((await client.reply()).rows, [['node3']]);
});

for (const how of ['killed', 'stopped'] as const) {
  test(`a standby is ${how}: nobody notices, and the reads that were under way run again on another one`, async (t) => {
    const proxy = await CoreProxy.start(t, cluster().nodes);
    const clients: RawClient[] = [];
    for (let n = 0; n < 6; n += 1) clients.push(await proxy.login('standby'));
    const at3: RawClient[] = [];
    for (const client of clients) if ((await nodeOf(client)) === 'node3') at3.push(client);
    assert.equal(at3.length, 3);
    const [simple, extended, idle] = at3;
    assert.ok(simple && extended && idle);
    const node3 = cluster().node(3);
    const pids = [await backendPid(simple), await backendPid(extended)];
    const nap = `select pg_sleep(case when inet_server_port() = ${node3.port} then 60 else 0 end)`;
    simple.send(frontend.query(nap));
    extended.send(frontend.parse(nap), frontend.bind(), frontend.execute(), frontend.sync());
    for (const pid of pids) await waitForBackend(node3, pid, 'PgSleep');
    t.after(async () => {
      await node3.start();
      await cluster().waitUntilStreaming();
    });
    await (how === 'killed' ? node3.kill() : node3.stop('fast'));
    assert.equal((await simple.reply()).types, 'TDCZ');
    assert.equal((await extended.reply()).types, '12DCZ');
    for (const client of clients) assert.equal(await nodeOf(client), 'node2');
    assert.deepEqual(await spread(proxy, 2), { node2: 2 });
    await proxy.waitForRest(8);
    assert.equal(proxy.app.registry.load(nodeName('node2')), 8);
  });
}
