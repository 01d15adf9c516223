import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RawClient } from '../support/raw-client.js';
import { frontend } from '../support/raw-messages.js';
import { sql } from '../support/postgres-server.js';
import { roles } from '../support/roles.js';
import { waitForBackend } from './core-lab.js';
import {
  backendOn,
  caughtUp,
  decisions,
  explained,
  marker,
  ranOn,
  readsAt,
  run,
  splitCluster,
  standbyOf,
  startSplit,
  typesOf,
  went,
} from './split-lab.js';

// In both pool modes.

const cluster = splitCluster(
  [
    `create function always() returns text stable language sql as $$ select here() $$`,
    `create function raises(what text) returns text stable language plpgsql as $$ begin raise exception '%', what; end $$`,
    'alter function always() owner to app',
  ],
  { settings: { max_standby_streaming_delay: '200ms' } },
);

const { parse, bind, execute, sync, query, flush } = frontend;

const database = { database: roles.app.database };

/** A new function that reads, known to the proxy; then, behind its back, it writes. */
async function turncoat(name: string): Promise<() => Promise<void>> {
  const make = (kind: string, body: string): Promise<unknown> =>
    cluster().sql(`create or replace function ${name}() returns text ${kind} language sql as $$ ${body} $$`, database);
  await make('stable', 'select here()');
  await cluster().waitUntilReplayed();
  return async () => {
    await make('volatile', `insert into notes(note) values ('${name}') returning here()`);
    await cluster().sql(`alter function ${name}() security definer`, database);
    await cluster().waitUntilReplayed();
  };
}

async function notes(name: string): Promise<number> {
  const [row] = await cluster().sql(`select count(*)::int as n from notes where note = '${name}'`, database);
  return Number(row?.['n']);
}

test('a read that a standby refuses runs on the primary, once, and its like go there from then on', async (t) => {
  const turn = await turncoat('turned');
  const proxy = await startSplit(t, cluster());
  const client = await explained(proxy);
  const mark = marker();
  assert.deepEqual(went(await client.query(`${mark} select turned(), 1`)), ['standby (read)']);
  await turn();
  const refused = await client.query(`select turned(), 2`);
  assert.deepEqual([refused.error, refused.rows], [null, [['node1', '2']]]);
  assert.deepEqual([went(refused), typesOf(refused)], [['standby (read)', 'primary (refused)'], 'TDCZ']);
  assert.equal(await notes('turned'), 1);
  const next = await client.query(`select turned(), 3`);
  assert.deepEqual([went(next), next.rows], [['primary (refused_before)'], [['node1', '3']]]);
  const another = await explained(proxy);
  assert.deepEqual(went(await another.query('select turned(), 4')), ['primary (refused_before)']);
  assert.equal(await notes('turned'), 3);
  assert.equal(proxy.app.counters.refusedReads.get('25006'), 1);
  const said = proxy.log.filter(({ message }) => message.includes('refused a read'));
  assert.equal(said.length, 1);
  assert.equal(said[0]?.['template'], 'select turned(),1');
  await caughtUp(proxy);
  assert.notEqual(await readsAt(client), 'node1');
});

test('what was sent together with a refused read is answered in order, and nothing runs twice', async (t) => {
  const turns = [
    await turncoat('piped'),
    await turncoat('batched'),
    await turncoat('stringed'),
    await turncoat('flushed'),
  ];
  const proxy = await startSplit(t, cluster());
  const client = await proxy.login('eventual');
  await readsAt(client);
  for (const turn of turns) await turn();
  const unit = (text: string): Buffer => Buffer.concat([parse(text), bind(), execute(), sync()]);
  client.send(
    unit("select 'a'"),
    unit('select piped()'),
    unit("select 'b'"),
    query("select 'c'"),
    unit("insert into notes(note) values ('behind')"),
    unit("select 'd'"),
  );
  const rows: (string | null | undefined)[] = [];
  for (let n = 0; n < 6; n += 1) {
    const reply = await client.reply();
    assert.equal(reply.error, null);
    rows.push(reply.rows[0]?.[0]);
  }
  assert.deepEqual(rows, ['a', 'node1', 'b', 'c', undefined, 'd']);
  assert.deepEqual([await notes('piped'), await notes('behind')], [1, 1]);
  const batch = await client.unit(
    ...["select 'a'", 'select batched()', "select 'b'"].flatMap((text) => [parse(text), bind(), execute()]),
    sync(),
  );
  assert.deepEqual([batch.error, batch.rows.flat(), typesOf(batch)], [null, ['a', 'node1', 'b'], '12DC12DC12DCZ']);
  assert.equal(await notes('batched'), 1);
  const string = await client.query("select 'a'; select stringed(); select 'b'");
  assert.deepEqual([string.error, string.rows.flat()], [null, ['a', 'node1', 'b']]);
  assert.equal(await notes('stringed'), 1);
  client.send(parse('select flushed()', { name: 'f' }), flush());
  assert.equal((await client.read())?.type, '1');
  const flushed = await client.unit(bind({ statement: 'f' }), execute(), sync());
  assert.deepEqual([flushed.error, flushed.rows], [null, [['node1']]]);
  assert.equal(await notes('flushed'), 1);
});

test('rows that are with the client cannot be taken back: then the error comes, and the next one goes to the primary', async (t) => {
  const turn = await turncoat('late');
  const proxy = await startSplit(t, cluster());
  const client = await explained(proxy, 'eventual');
  await readsAt(client);
  await turn();
  const text = `select case when n = 5000 then late() else repeat('x', 100) end from generate_series(1, 5000) n`;
  const first = await client.query(text);
  assert.deepEqual([first.error?.code, first.status, first.rows.length > 100], ['25006', 'I', true]);
  const second = await client.query(text);
  assert.deepEqual([went(second), second.error, second.rows.length], [['primary (refused_before)'], null, 5_000]);
  assert.equal(await notes('late'), 1);
});

test('errors that any node would give reach the client from the standby; of others the primary is asked', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await proxy.login('eventual');
  const rows: readonly (readonly [text: string, sqlState: string, ran: readonly string[]])[] = [
    ['select 1/0', '22012', ['standby']],
    ["select 'x'::int", '22P02', ['standby']],
    ["select raises('ours')", 'P0001', ['standby']],
    ['select * from not_there', '42P01', ['primary', 'standby']],
    ['select not_there from items', '42703', ['primary', 'standby']],
  ];
  for (const [text, sqlState, ran] of rows) {
    const mark = marker();
    const reply = await client.query(`${text} ${mark}`);
    assert.deepEqual([reply.error?.code, reply.status, typesOf(reply).replace('T', '')], [sqlState, 'I', 'EZ'], text);
    assert.deepEqual(await ranOn(cluster(), mark), ran, text);
  }
  await run(client, "set statement_timeout to '50ms'");
  const mark = marker();
  assert.equal((await client.query(`select pg_sleep(10) ${mark}`)).error?.code, '57014');
  assert.deepEqual(await ranOn(cluster(), mark), ['standby']);
});

test('a cancel request reaches the node that works for the session', async (t) => {
  const proxy = await startSplit(t, cluster());
  for (const [text, server] of [
    ['select pg_sleep(60), here()', null],
    ["insert into notes(note) select 'x' from pg_sleep(60)", cluster().primary],
  ] as const) {
    const client = await proxy.login('eventual');
    const node = server ?? (await standbyOf(cluster(), client));
    if (server !== null) await run(client, 'delete from notes where false');
    const pid = await backendOn(node, client);
    client.send(query(text));
    await waitForBackend(node, pid, 'PgSleep');
    const { key } = client;
    assert.ok(key);
    await RawClient.cancel({ port: proxy.port('eventual') }, key);
    const reply = await client.reply();
    assert.deepEqual([reply.error?.code, reply.status], ['57014', 'I'], text);
  }
});

test('a table that a standby does not have yet is read on the primary', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await explained(proxy, 'eventual');
  const node = await standbyOf(cluster(), client);
  t.after(async () => node.resumeReplay());
  node.pauseReplay();
  await cluster().sql('create table just_made as select 7 as n; alter table just_made owner to app', database);
  const reply = await client.query('select n from just_made');
  assert.deepEqual([reply.error, reply.rows], [null, [['7']]]);
  assert.deepEqual(went(reply), ['standby (read)', 'primary (refused)']);
  // The first statement of a transaction takes it along, also in a pipeline.
  for (const isPipelined of [false, true]) {
    const texts = [
      'begin isolation level repeatable read read only',
      'select n from just_made',
      'select here()',
      'commit',
    ];
    if (isPipelined) client.send(...texts.map(query));
    for (const text of texts) {
      if (!isPipelined) client.send(query(text));
      const each = await client.reply();
      assert.deepEqual([each.error, each.status], [null, text === 'commit' ? 'I' : 'T'], text);
      if (text.startsWith('select')) assert.deepEqual(each.rows, [[text.endsWith('just_made') ? '7' : 'node1']]);
    }
  }
  node.resumeReplay();
  await cluster().waitUntilReplayed();
  const later = await client.query('select n from just_made');
  assert.deepEqual([later.rows, went(later)], [[['7']], ['standby (read)']]);
});

test('a read that stands in the way of replay runs on another standby, in and out of a transaction', async (t) => {
  const proxy = await startSplit(t, cluster());
  for (const begin of [null, 'begin isolation level repeatable read read only']) {
    const client = await explained(proxy, 'eventual');
    const node = await standbyOf(cluster(), client);
    const pid = await backendOn(node, client);
    if (begin !== null) await run(client, begin);
    client.send(
      query(`select here(), (case when here() = '${node.name}' then pg_sleep(60) end) is null from items limit 1`),
    );
    await waitForBackend(node, pid, 'PgSleep');
    await cluster().sql('begin; lock table items in access exclusive mode; commit', database);
    const reply = await client.reply();
    assert.equal(reply.error, null);
    const other = cluster().standbys.find(({ name }) => name !== node.name);
    assert.equal(reply.rows[0]?.[0], other?.name);
    if (begin === null) assert.match(String(decisions(reply)), new RegExp(`standby ${String(other?.name)}`));
    else {
      assert.equal(reply.status, 'T');
      assert.equal(await readsAt(client), other?.name);
      await run(client, 'commit');
    }
  }
  assert.equal(proxy.app.counters.refusedReads.get('40001'), 2);
});

test('a read only transaction that has read something hears of the conflict with replay', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await proxy.login('eventual');
  const node = await standbyOf(cluster(), client);
  const pid = await backendOn(node, client);
  await run(client, 'begin isolation level repeatable read read only', 'select count(*) from items');
  client.send(query('select pg_sleep(60) from items limit 1'));
  await waitForBackend(node, pid, 'PgSleep');
  await sql(cluster().primary, 'begin; lock table items in access exclusive mode; commit', database);
  const reply = await client.reply();
  assert.deepEqual([reply.error?.code, reply.status], ['40001', 'E']);
  await run(client, 'rollback');
  assert.notEqual(await readsAt(client), 'node1');
});
