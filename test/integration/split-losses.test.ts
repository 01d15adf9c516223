import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import type { PostgresServer } from '../../src/cli/demo/postgres/server.js';
import { sql } from '../support/postgres-server.js';
import { waitFor } from '../support/processes.js';
import type { RawClient } from '../support/raw-client.js';
import { frontend } from '../support/raw-messages.js';
import { ownBackends, TIMEOUT_MS, waitForBackend } from './core-lab.js';
import type { CoreProxy } from './core-lab.js';
import { backendOn, explained, readsAt, run, splitCluster, standbyOf, startSplit, typesOf, went } from './split-lab.js';

// In both pool modes.

const cluster = splitCluster();

const { parse, bind, execute, sync, query } = frontend;

/** The standby that is not this one. */
function otherThan(node: PostgresServer): PostgresServer {
  const other = cluster().standbys.find((each) => each !== node);
  assert.ok(other);
  return other;
}

/** A read that lasts on one node only. */
const nap = (node: PostgresServer): string =>
  `select here(), (case when here() = '${node.name}' then pg_sleep(60) end) is null`;

/** Starts these nodes again after the test. */
function mend(t: TestContext, ...nodes: readonly PostgresServer[]): void {
  t.after(async () => {
    for (const node of nodes) if (!node.isRunning) await node.start();
    await cluster().waitUntilStreaming();
  });
}

/** Ends a backend and waits until it is gone. */
async function terminate(node: PostgresServer, pid: string): Promise<void> {
  await sql(node, 'select pg_terminate_backend($1::int)', { values: [pid] });
  await waitForBackend(node, pid, null);
}

/** Sessions that read from this node, with something to do on the primary as well. */
async function readersOf(proxy: CoreProxy, node: PostgresServer, count: number): Promise<RawClient[]> {
  const readers: RawClient[] = [];
  while (readers.length < count) {
    const client = await proxy.login('eventual');
    await run(client, "set app.kept to 'yes'");
    await client.unit(parse(nap(node), { name: 'nap' }), sync());
    if ((await readsAt(client)) === node.name) readers.push(client);
  }
  return readers;
}

for (const how of ['killed', 'stopped'] as const) {
  test(`a standby is ${how} in the middle of reads and between them: nobody notices`, async (t) => {
    const proxy = await startSplit(t, cluster());
    const node = cluster().node(3);
    mend(t, node);
    const [simple, extended, inTransaction, idle, writing] = await readersOf(proxy, node, 5);
    assert.ok(simple && extended && inTransaction && idle && writing);
    const pids = [await backendOn(node, simple), await backendOn(node, extended)];
    await run(writing, 'begin', "insert into notes(note) values ('goes on')");
    simple.send(query(nap(node)));
    extended.send(bind({ statement: 'nap' }), execute(), sync(), parse('select here()'), bind(), execute(), sync());
    for (const pid of pids) await waitForBackend(node, pid, 'PgSleep');
    await (how === 'killed' ? node.kill() : node.stop('fast'));
    const other = otherThan(node).name;
    const first = await simple.reply();
    assert.deepEqual([typesOf(first), first.rows[0]?.[0]], ['TDCZ', other]);
    const second = await extended.reply();
    assert.deepEqual([typesOf(second), second.rows[0]?.[0]], ['2DCZ', other]);
    assert.deepEqual((await extended.reply()).rows, [[other]]);
    assert.equal(await readsAt(idle), other);
    // Its transaction is on the primary.
    await run(writing, 'commit');
    for (const client of [simple, extended, idle, writing]) {
      assert.equal(await readsAt(client), other);
      await run(client, "insert into notes(note) values ('still there')");
      assert.deepEqual(await client.rows("/* switchyard: primary */ select current_setting('app.kept')"), [['yes']]);
    }
  });
}

test(
  'a standby dies under a read only transaction: one that has read nothing goes on, the other is told',
  ownBackends,
  async (t) => {
    const proxy = await startSplit(t, cluster());
    const node = cluster().node(3);
    const [fresh, used] = await readersOf(proxy, node, 2);
    assert.ok(fresh && used);
    const pids = [await backendOn(node, fresh), await backendOn(node, used)];
    await run(fresh, 'begin read only');
    await run(used, 'begin isolation level repeatable read read only', 'select count(*) from items');
    for (const pid of pids) await terminate(node, pid);
    const replies = [await fresh.query('select here()'), await used.query('select here()')];
    assert.equal(replies[1]?.error?.code, '40001');
    assert.equal(replies[1]?.status, 'E');
    assert.equal((await used.query('select 1')).error?.code, '25P02');
    assert.equal((await used.query('commit')).tags[0], 'ROLLBACK');
    for (const client of [fresh, used]) {
      if (client.status !== 'I') await run(client, 'rollback');
      assert.notEqual(await readsAt(client), 'node1');
    }
  },
);

test('both standbys die in the middle of reads: they run on the primary, and on a standby again when there is one', async (t) => {
  const proxy = await startSplit(t, cluster());
  mend(t, ...cluster().standbys);
  const clients: RawClient[] = [];
  for (const node of cluster().standbys) {
    const [client] = await readersOf(proxy, node, 1);
    assert.ok(client);
    const pid = await backendOn(node, client);
    client.send(query('select here(), (case when here() <> $$node1$$ then pg_sleep(60) end) is null'));
    await waitForBackend(node, pid, 'PgSleep');
    clients.push(client);
  }
  await Promise.all(cluster().standbys.map((node) => node.kill()));
  for (const client of clients) {
    const reply = await client.reply();
    assert.deepEqual([reply.error, reply.rows[0]?.[0]], [null, 'node1']);
    assert.equal(await readsAt(client), 'node1');
  }
  const newcomer = await explained(proxy);
  assert.deepEqual(went(await newcomer.query('select 1')), ['primary (fallback_primary)']);
  const back = cluster().node(2);
  await back.start();
  await waitFor(async () => (await readsAt(newcomer)) === 'node2', { timeoutMs: TIMEOUT_MS, what: 'reads on node2' });
  for (const client of clients) assert.equal(await readsAt(client), 'node2');
});

test("an administrator ends a session's backend on a standby, idle or at work: unnoticed", async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await proxy.login('eventual');
  for (const state of ['attached', 'parked', 'at work'] as const) {
    const node = await standbyOf(cluster(), client);
    const pid = await backendOn(node, client);
    if (state === 'parked') await run(client, 'delete from notes where false');
    if (state === 'at work') {
      // It may run again on the same node.
      client.send(query('select here(), pg_sleep(2) is null'));
      await waitForBackend(node, pid, 'PgSleep');
    }
    await terminate(node, pid);
    if (state === 'at work') {
      const reply = await client.reply();
      assert.deepEqual([reply.error, typesOf(reply)], [null, 'TDCZ']);
      assert.notEqual(reply.rows[0]?.[0], 'node1');
    }
    assert.notEqual(await readsAt(client), 'node1', state);
    await run(client, "insert into notes(note) values ('unnoticed')");
  }
});

test('the idle backend on the primary ends: unnoticed, unless the session has something there that cannot be brought back', async (t) => {
  const proxy = await startSplit(t, cluster());
  const { primary } = cluster();
  for (const isParked of [true, false]) {
    const client = await proxy.login('eventual');
    await run(client, "set app.kept to 'yes'", 'prepare kept as select here()', 'select here()');
    const pid = await backendOn(primary, client);
    if (!isParked) await run(client, 'delete from notes where false');
    await terminate(primary, pid);
    assert.notEqual(await readsAt(client), 'node1');
    await run(client, "insert into notes(note) values ('with another backend')");
    assert.deepEqual(await client.rows("/* switchyard: primary */ select current_setting('app.kept')"), [['yes']]);
    await run(client, 'execute kept');
    const pinned = await proxy.login('eventual');
    await run(pinned, 'select pg_advisory_lock(99)', 'select here()');
    const pinnedPid = await backendOn(primary, pinned);
    if (!isParked) await run(pinned, 'delete from notes where false');
    await terminate(primary, pinnedPid);
    const last = await pinned.closed();
    assert.deepEqual(
      last.map(({ type }) => type),
      ['E'],
      String(isParked),
    );
  }
});

test('the backend on the primary is ended with a temporary table on it: the session ends with it', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await proxy.login('eventual');
  await run(client, 'select here()', 'create temp table gone(a int)');
  const rows = await client.rows('select pg_backend_pid()');
  await terminate(cluster().primary, String(rows[0]?.[0]));
  const last = await client.closed();
  assert.deepEqual(
    last.map(({ type }) => type),
    ['E'],
  );
  await proxy.waitForRest(0);
});

test('a standby that lets nobody in costs its sessions nothing', ownBackends, async (t) => {
  const proxy = await startSplit(t, cluster());
  const open = ['host all all 127.0.0.1/32 scram-sha-256'];
  const closed = ['host all app 127.0.0.1/32 reject', ...open];
  const admit = async (nodes: readonly PostgresServer[], hba: readonly string[]): Promise<void> => {
    for (const node of nodes) {
      node.configure({ hba });
      await node.reload();
    }
  };
  t.after(() => admit(cluster().standbys, open));
  await admit([cluster().node(2)], closed);
  const one = await explained(proxy);
  for (let n = 0; n < 3; n += 1) {
    const reply = await one.query('select here()');
    assert.deepEqual([reply.error, ['node1', 'node3'].includes(String(reply.rows[0]?.[0]))], [null, true]);
  }
  await admit([cluster().node(3)], closed);
  const two = await explained(proxy);
  for (let n = 0; n < 3; n += 1) {
    const reply = await two.query('select here()');
    assert.deepEqual([reply.error, reply.rows], [null, [['node1']]]);
    const extended = await two.extended('select here()');
    assert.deepEqual([extended.error, extended.rows], [null, [['node1']]]);
    await run(two, 'begin read only', 'select here()', 'commit', "insert into notes(note) values ('x')");
  }
  await admit(cluster().standbys, open);
  await waitFor(async () => (await readsAt(two)) !== 'node1', { timeoutMs: TIMEOUT_MS, what: 'reads on a standby' });
});
