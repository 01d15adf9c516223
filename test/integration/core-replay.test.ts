import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { PostgresCluster } from '../support/postgres-cluster.js';
import { sql } from '../support/postgres-server.js';
import { waitFor } from '../support/processes.js';
import type { RawClient } from '../support/raw-client.js';
import { frontend } from '../support/raw-messages.js';
import { roles } from '../support/roles.js';
import { backendPid, CoreProxy, nodeOf, ownBackends, TIMEOUT_MS, waitForBackend } from './core-lab.js';
import type { CoreChanges } from './core-lab.js';

// In both pool modes.
// With both engines.

const { query, parse, bind, describe, execute, sync } = frontend;

/** A statement that is under way when its node is stopped, and is not when it runs again. */
const slowly = (what: string): string =>
  `${what} where (select pg_sleep(case when inet_server_port() = $port then 60 else 0 end)) is not null`;

interface Yard {
  readonly cluster: PostgresCluster;
  readonly proxy: CoreProxy;
  /** INSERT of an id that takes for ever on the first primary only. */
  readonly insert: (id: number) => string;
}

async function start(t: TestContext, changes: CoreChanges = {}): Promise<Yard> {
  const appStatements = [
    'create table written(id int)',
    'alter table written owner to app',
    'create table several(a int)',
    'alter table several owner to app',
    // A notice takes along what there is of the answer.
    `create function doze() returns int language plpgsql as $$ begin raise notice 'zzz'; perform pg_sleep(60); return 1; end $$`,
  ];
  const cluster = await PostgresCluster.start(t, { appStatements });
  const { port } = cluster.primary;
  return {
    cluster,
    proxy: await CoreProxy.start(t, cluster.nodes, changes),
    insert: (id) => slowly(`insert into written select ${id}`).replace('$port', String(port)),
  };
}

/** Waits until the statement of a client sleeps on its node, so that a stop hits it. */
async function untilAsleep({ cluster }: Yard, pid: string): Promise<void> {
  await waitForBackend(cluster.primary, pid, 'PgSleep');
}

async function ids(yard: Yard): Promise<readonly unknown[]> {
  const rows = await sql(yard.cluster.primary, 'select id from written order by 1', { ...roles.app });
  return rows.map((row) => row['id']);
}

/** Stops the primary in order and promotes node2. */
async function switchover({ cluster }: Yard): Promise<void> {
  await cluster.primary.stop('fast');
  await cluster.promote(cluster.node(2));
}

test('what a stopped node has rolled back is done once on the next one, and the client notices nothing', async (t) => {
  const yard = await start(t);
  const { proxy, insert } = yard;
  const clients: RawClient[] = [];
  for (let n = 0; n < 4; n += 1) clients.push(await proxy.login());
  const [simple, extended, pipelined, named] = clients as [RawClient, RawClient, RawClient, RawClient];
  await named.unit(parse(insert(5), { name: 'kept' }), sync());
  const pids = await Promise.all(clients.map((client) => backendPid(client)));
  simple.send(query(insert(1)));
  extended.send(parse(insert(2)), bind(), describe('P'), execute(), sync());
  pipelined.send(query(insert(3)), query('begin'), query('insert into written values (4)'), query('commit'));
  named.send(bind({ statement: 'kept' }), execute(), sync());
  for (const pid of pids) await untilAsleep(yard, pid);
  await switchover(yard);
  assert.equal((await simple.reply()).types, 'CZ');
  assert.equal((await extended.reply()).types, '12nCZ');
  assert.equal((await named.reply()).types, '2CZ');
  const tags: string[] = [];
  for (let n = 0; n < 4; n += 1) tags.push(...(await pipelined.reply()).tags);
  assert.deepEqual(tags, ['INSERT 0 1', 'BEGIN', 'INSERT 0 1', 'COMMIT']);
  for (const client of clients) assert.equal(await nodeOf(client), 'node2');
  assert.deepEqual(await ids(yard), [1, 2, 3, 4, 5]);
  assert.equal(proxy.app.counters.replays.get('rolled_back'), 4);
  assert.deepEqual([...proxy.app.counters.unitsCut.entries()], []);
});

test('a batch of which the client has sent only the beginning goes on where it was', async (t) => {
  const yard = await start(t);
  const client = await yard.proxy.login();
  const pid = await backendPid(client);
  client.send(parse(yard.insert(1)), bind(), execute(), frontend.flush());
  await untilAsleep(yard, pid);
  await switchover(yard);
  client.send(parse('insert into written values (2)'), bind(), execute(), sync());
  assert.equal((await client.reply()).types, '12C12CZ');
  assert.deepEqual(await ids(yard), [1, 2]);
});

test('an open transaction is lost: 40001 once, state E until ROLLBACK, and the session goes on', async (t) => {
  const yard = await start(t);
  const [busy, idle, extended, pipelined, early] = [
    await yard.proxy.login(),
    await yard.proxy.login(),
    await yard.proxy.login(),
    await yard.proxy.login(),
    await yard.proxy.login(),
  ];
  for (const client of [busy, idle, extended, pipelined, early]) {
    await client.rows('begin');
    await client.rows('insert into written values (100)');
  }
  const pids = [await backendPid(busy), await backendPid(pipelined)];
  busy.send(query(yard.insert(1)));
  pipelined.send(query(yard.insert(2)), query('insert into written values (3)'), query('commit'), query('select 1'));
  for (const pid of pids) await untilAsleep(yard, pid);
  await switchover(yard);
  for (const client of [busy, idle]) {
    const news = client === busy ? await busy.reply() : await idle.query('insert into written values (4)');
    assert.deepEqual([news.error?.code, news.error?.severity, news.status], ['40001', 'ERROR', 'E']);
    assert.match(news.error?.hint ?? '', /ROLLBACK/);
    const again = await client.query('select 1');
    assert.deepEqual([again.error?.code, again.status], ['25P02', 'E']);
    assert.deepEqual((await client.unit(parse('select 1'), bind(), execute(), sync())).types, 'EZ');
    const end = await client.query('rollback');
    assert.deepEqual([end.tags, end.status], [['ROLLBACK'], 'I']);
    assert.deepEqual((await client.query('insert into written values (5)')).tags, ['INSERT 0 1']);
  }
  assert.equal((await extended.unit(parse('commit'), bind(), execute(), sync())).error?.code, '40001');
  assert.equal(extended.status, 'I');
  assert.deepEqual((await early.query('rollback')).tags, ['ROLLBACK']);
  const seen: string[] = [];
  for (let n = 0; n < 4; n += 1) {
    const { error, tags, status } = await pipelined.reply();
    seen.push(`${error?.code ?? String(tags)} ${String(status)}`);
  }
  assert.deepEqual(seen, ['40001 E', '25P02 E', 'ROLLBACK I', 'SELECT 1 I']);
  assert.deepEqual(await ids(yard), [5, 5]);
  assert.equal(yard.proxy.app.counters.transactionsLost, 5);
});

test('a string that rolls back and goes on runs whole, behind the transaction that was lost', async (t) => {
  const yard = await start(t);
  const client = await yard.proxy.login();
  await client.rows('begin');
  await switchover(yard);
  const { error, tags, notices, status } = await client.query('rollback; insert into written values (1); begin');
  assert.deepEqual([error, tags, notices, status], [null, ['ROLLBACK', 'INSERT 0 1', 'BEGIN'], [], 'T']);
  assert.deepEqual((await client.query('commit')).tags, ['COMMIT']);
});

test('what is killed without a word is in doubt: 08007, and the session stays', ownBackends, async (t) => {
  const yard = await start(t);
  const [write, commit, reader, beginner, transaction] = [
    await yard.proxy.login(),
    await yard.proxy.login(),
    await yard.proxy.login('standby'),
    await yard.proxy.login(),
    await yard.proxy.login(),
  ];
  await transaction.rows('begin');
  await transaction.rows('insert into written values (7)');
  await commit.rows('begin');
  await commit.rows(
    'create table slow(a int); alter table slow add constraint c unique(a) deferrable initially deferred',
  );
  await commit.rows(
    `create function doze_off() returns trigger language plpgsql as 'begin perform pg_sleep(60); return null; end'`,
  );
  await commit.rows(
    'create constraint trigger doze after insert on slow deferrable initially deferred for each row execute function doze_off()',
  );
  await commit.rows('insert into slow values (1)');
  const pids = [await backendPid(write), await backendPid(commit)];
  await reader.rows('select 1');
  write.send(query(yard.insert(1)));
  commit.send(query('commit'));
  for (const pid of pids) await untilAsleep(yard, pid);
  await yard.cluster.primary.kill();
  beginner.send(query('begin'));
  await yard.cluster.promote(yard.cluster.node(2));
  for (const [client, what] of [
    [write, /while a statement was under way/],
    [commit, /while a COMMIT was under way/],
  ] as const) {
    const { error, status } = await client.reply();
    assert.deepEqual([error?.code, error?.severity, status], ['08007', 'ERROR', 'I']);
    assert.match(error?.message ?? '', what);
    assert.match(error?.detail ?? '', /unknown/);
    assert.equal(await nodeOf(client), 'node2');
  }
  assert.deepEqual((await beginner.reply()).tags, ['BEGIN']);
  assert.equal((await transaction.query('commit')).error?.code, '40001');
  assert.equal(transaction.status, 'I');
  assert.equal(yard.proxy.app.counters.inDoubt, 2);
  // The reader and the lost transaction have no backend.
  await yard.proxy.waitForRest(5, 3);
});

test(
  'a read of a standby that is killed runs again elsewhere, unless rows of it have gone out',
  ownBackends,
  async (t) => {
    const yard = await start(t);
    const readers: RawClient[] = [];
    for (let n = 0; n < 4; n += 1) readers.push(await yard.proxy.login('standby'));
    const nodes = await Promise.all(readers.map((reader) => nodeOf(reader)));
    const doomed = readers.filter((_, n) => nodes[n] === 'node2');
    const [quiet, loud] = doomed as [RawClient, RawClient];
    assert.equal(doomed.length, 2, String(nodes));
    const node2 = yard.cluster.node(2);
    const sleep = `select pg_sleep(case when inet_server_port() = ${node2.port} then 60 else 0 end)`;
    const pids = [await backendPid(quiet), await backendPid(loud)];
    quiet.send(query(sleep));
    loud.send(query('select 1 union all select doze()'));
    for (const pid of pids) await waitForBackend(node2, pid, 'PgSleep');
    assert.equal((await loud.read())?.type, 'T');
    await node2.kill();
    const { error, types } = await quiet.reply();
    assert.deepEqual([error, types], [null, 'TDCZ']);
    const cut = await loud.reply();
    assert.deepEqual([cut.error?.code, cut.status], ['40001', 'I']);
    for (const reader of doomed) assert.equal(await nodeOf(reader), 'node3');
    assert.equal(yard.proxy.app.counters.replays.get('query'), 1);
  },
);

test('a plain read of a primary that is killed runs again on the next one, one that might have changed something does not', async (t) => {
  const yard = await start(t);
  const [read, locking] = [await yard.proxy.login(), await yard.proxy.login()];
  await read.rows('insert into several values (1)');
  const { port } = yard.cluster.primary;
  await yard.cluster.waitUntilReplayed();
  const nap = `pg_sleep(case when inet_server_port() = ${port} then 60 else 0 end)`;
  const pids = [await backendPid(read), await backendPid(locking)];
  read.send(parse(`select a, ${nap} from several`), bind(), execute(), sync());
  locking.send(query(`select a, ${nap} from several for update`));
  for (const pid of pids) await untilAsleep(yard, pid);
  await yard.cluster.primary.kill();
  await yard.cluster.promote(yard.cluster.node(2));
  assert.equal((await read.reply()).types, '12DCZ');
  assert.equal((await locking.reply()).error?.code, '08007');
  assert.equal(yard.proxy.app.counters.replays.get('query'), 1);
});

test('replay can be turned off, and a statement longer than replay_buffer is not sent again: 40001, and it was not done', async (t) => {
  for (const promotion of [{ replay: 'off' }, { replay_buffer: '1kB' }]) {
    const yard = await start(t, { promotion });
    const client = await yard.proxy.login();
    const pid = await backendPid(client);
    client.send(query(`${yard.insert(1)} /* ${'x'.repeat(2000)} */`));
    await untilAsleep(yard, pid);
    await switchover(yard);
    const { error, status } = await client.reply();
    assert.deepEqual([error?.code, status], ['40001', 'I']);
    assert.match(error?.detail ?? '', /took no effect/);
    assert.deepEqual(await ids(yard), []);
    assert.deepEqual((await client.query('insert into written values (2)')).tags, ['INSERT 0 1']);
  }
});

test('what may have committed on its way is not sent again', async (t) => {
  const yard = await start(t);
  const [procedure, several] = [await yard.proxy.login(), await yard.proxy.login()];
  await procedure.rows(
    `create procedure doze_on() language plpgsql as $$ begin insert into written values (1); commit; perform pg_sleep(60); end $$`,
  );
  const pids = [await backendPid(procedure), await backendPid(several)];
  procedure.send(query('call doze_on()'));
  several.send(query(`insert into written values (2); commit; ${yard.insert(3)}`));
  for (const pid of pids) await untilAsleep(yard, pid);
  await switchover(yard);
  for (const client of [procedure, several]) {
    const { error, closed } = await client.reply();
    assert.equal(closed ? '08007' : error?.code, '08007');
  }
  await waitFor(async () => (await ids(yard)).length === 2, { timeoutMs: TIMEOUT_MS, what: 'both rows' });
});

test(
  'a statement whose result has changed is prepared again where the unit tells its client the new columns',
  ownBackends,
  async (t) => {
    const yard = await start(t);
    const { proxy } = yard;
    const { replays } = proxy.app.counters;
    const [client, sqlClient, blind, begun] = [
      await proxy.login(),
      await proxy.login(),
      await proxy.login(),
      await proxy.login(),
    ];
    await client.rows('create table changing(a int); insert into changing values (1)');
    for (const each of [client, blind, begun]) {
      await each.unit(parse('select * from changing', { name: 'kept' }), describe('S', 'kept'), sync());
      assert.deepEqual((await each.unit(bind({ statement: 'kept' }), execute(), sync())).rows, [['1']]);
    }
    await sqlClient.rows('prepare kept as select * from changing');
    assert.deepEqual(await sqlClient.rows('execute kept'), [['1']]);
    await begun.rows('begin');
    await client.rows('alter table changing add b int default 2');

    const again = await client.unit(bind({ statement: 'kept' }), describe('P'), execute(), sync());
    assert.deepEqual([again.error, again.columns, again.rows], [null, ['a', 'b'], [['1', '2']]]);
    assert.equal(again.types, '2TDCZ');
    const bySql = await sqlClient.query('execute kept');
    assert.deepEqual([bySql.error?.code, bySql.rows], ['0A000', []]);
    assert.equal(replays.get('plan_changed'), 1);

    // Its client would take the new row for one of the old kind.
    const unaware = await blind.unit(bind({ statement: 'kept' }), execute(), sync());
    assert.deepEqual([unaware.error?.code, unaware.status], ['0A000', 'I']);
    // The transaction has failed for good.
    const inside = await begun.unit(bind({ statement: 'kept' }), describe('P'), execute(), sync());
    assert.deepEqual([inside.error?.code, inside.status], ['0A000', 'E']);
    await begun.rows('rollback');
    assert.equal(replays.get('plan_changed'), 1);

    // What comes behind, sent together with it or later, comes in its turn.
    await client.rows('alter table changing add c int default 3');
    client.send(bind({ statement: 'kept' }), describe('P'), execute(), sync());
    assert.deepEqual((await client.reply()).rows, [['1', '2', '3']]);
    await client.rows('alter table changing add d int default 4');
    client.send(bind({ statement: 'kept' }), describe('P'), execute(), sync(), query('select 5'));
    const [first, second] = [await client.reply(), await client.reply()];
    assert.ok(first.error?.code === '0A000' || first.rows.length === 1);
    assert.deepEqual(second.rows, [['5']]);
  },
);

test('a session that listens is told that it has moved, and hears what is notified from then on', async (t) => {
  const yard = await start(t);
  const [client, other] = [await yard.proxy.login(), await yard.proxy.login()];
  await client.rows('listen news');
  await switchover(yard);
  const moved = await client.query('select 1');
  assert.deepEqual([moved.rows, moved.notices.map((notice) => notice.code)], [[['1']], ['01000']]);
  assert.match(moved.notices[0]?.message ?? '', /moved to another node/);
  assert.deepEqual((await client.query('select 2')).notices, []);
  await other.rows(`notify news, 'hello'`);
  await client.rows('select 3');
  assert.deepEqual(
    client.notifications.map(({ channel, payload }) => `${channel} ${payload}`),
    ['news hello'],
  );
});

test('a session that listens and says nothing listens again by itself, whatever takes its node away', async (t) => {
  const yard = await start(t, { promotion: { hold_timeout: '300ms' } });
  const { cluster, proxy } = yard;
  const [client, pid] = await (async () => {
    const listener = await proxy.login();
    await listener.rows('listen news');
    return [listener, await backendPid(listener)] as const;
  })();
  await cluster.primary.kill();
  await waitFor(() => proxy.app.counters.holdTimeouts.get('no_primary') > 0, {
    timeoutMs: TIMEOUT_MS,
    what: 'it to have waited in vain once',
  });
  await cluster.promote(cluster.node(2));
  const notice = await client.read();
  assert.equal(notice?.type, 'N');
  await cluster.sql(`notify news, 'hello'`, { database: 'app' });
  assert.equal((await client.read())?.type, 'A');
  const answer = await client.query('select 1');
  assert.deepEqual([answer.error, answer.rows], [null, [['1']]]);
  assert.notEqual(await backendPid(client), pid);
  assert.equal(proxy.app.registry.size, 1);
});

test('a session whose state cannot be brought back ends with the reason, and nothing runs without it', async (t) => {
  const yard = await start(t);
  const { cluster, proxy } = yard;
  for (const statement of [
    'create role hat',
    'grant hat to app',
    'grant insert on written to hat',
    'create table gone(a int)',
  ]) {
    await cluster.sql(statement, { database: 'app' });
  }
  const [client, prepared] = [await proxy.login(), await proxy.login()];
  await client.rows('set role hat');
  await prepared.rows('grant select on several to app');
  await cluster.sql('grant select on gone to app', { database: 'app' });
  await prepared.rows('prepare lost as select * from gone');
  await cluster.sql('drop owned by hat', { database: 'app' });
  await cluster.sql('drop role hat');
  await cluster.sql('drop table gone', { database: 'app' });
  await switchover(yard);
  const { error, closed } = await client.query('insert into written values (1)');
  assert.deepEqual([error?.severity, error?.code, closed], ['FATAL', '57P01', true]);
  assert.match(error?.detail ?? '', /Replay of setting role failed there: .*hat/);
  assert.deepEqual(await ids(yard), []);
  // Of a statement that is not there any more its client hears when it uses it.
  assert.deepEqual(await prepared.rows('select 1'), [['1']]);
  assert.equal((await prepared.query('execute lost')).error?.code, '42P01');
});
