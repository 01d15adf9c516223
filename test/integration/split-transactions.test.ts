import assert from 'node:assert/strict';
import { test } from 'node:test';
import { frontend } from '../support/raw-messages.js';
import type { RawClient } from '../support/raw-client.js';
import {
  caughtUp,
  explained,
  marker,
  ranOn,
  readsAt,
  run,
  splitCluster,
  startSplit,
  typesOf,
  went,
} from './split-lab.js';

// In both pool modes.

const strict = { user: 'strict', password: 'strictpass', database: 'app' } as const;

const cluster = splitCluster([
  `create role ${strict.user} login password '${strict.password}'`,
  `alter role ${strict.user} set default_transaction_isolation = 'serializable'`,
  `grant select on items to ${strict.user}`,
]);

const { parse, bind, execute, sync, query, close, flush } = frontend;

/** A statement in the extended protocol, up to its Sync. */
const extended = (text: string): Buffer => Buffer.concat([parse(text), bind(), execute(), sync()]);

/** Asks the session's own backend where it is, in its transaction. */
async function here(client: RawClient): Promise<string> {
  return (await readsAt(client)) === 'node1' ? 'primary' : 'standby';
}

test('a transaction that may write is on the primary to its end, and its reads with it', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await explained(proxy);
  for (const begin of ['begin', 'start transaction isolation level repeatable read', 'begin read write']) {
    assert.deepEqual(went(await client.query(begin)), ['primary (transaction)']);
    const read = await client.query('select here()');
    assert.deepEqual([went(read), read.rows, read.status], [['primary (transaction)'], [['node1']], 'T']);
    assert.deepEqual(went(await client.extended('select here()')), ['primary (transaction)']);
    await run(client, "insert into notes(note) values ('in a transaction')", 'savepoint a', 'rollback to a');
    const end = await client.query('commit');
    assert.deepEqual([went(end), end.status], [['primary (transaction)'], 'I']);
    await caughtUp(proxy);
    assert.notEqual(await readsAt(client), 'node1');
  }
  const string = await client.query('begin; select here(); commit');
  assert.deepEqual([went(string), string.rows], [['primary (transaction)'], [['node1']]]);
});

test('a transaction that begins read only is on a standby to its end', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await explained(proxy);
  for (const send of [(text: string) => client.query(text), (text: string) => client.extended(text)]) {
    for (const begin of ['begin read only', 'start transaction isolation level repeatable read, read only']) {
      const begun = await send(begin);
      assert.deepEqual([went(begun), begun.status], [['standby (read)'], 'T'], begin);
      const read = await send('select here()');
      assert.deepEqual([went(read), read.status], [['standby (transaction)'], 'T']);
      const node = read.rows[0]?.[0];
      assert.notEqual(node, 'node1');
      await run(client, 'savepoint a');
      assert.equal((await send('select 1/0')).error?.code, '22012');
      assert.equal((await send('select 1')).error?.code, '25P02');
      await run(client, 'rollback to a');
      assert.equal(await readsAt(client), node);
      // Something was read: it stays, and hears what the standby says.
      const refused = await send("insert into notes(note) values ('x')");
      assert.deepEqual([refused.error?.code, refused.status], ['25006', 'E']);
      const end = await send('rollback');
      assert.deepEqual([went(end), end.status], [['standby (transaction)'], 'I']);
    }
  }
  const whole = await client.query('begin read only; select here(); select count(*) from items; commit');
  assert.deepEqual([went(whole), whole.tags.at(-1), whole.status], [['standby (read)'], 'COMMIT', 'I']);
  await run(client, 'begin read only', 'select 1', 'commit and chain');
  assert.equal(client.status, 'T');
  assert.equal(await here(client), 'standby');
  await run(client, 'commit');
  await run(client, "insert into notes(note) values ('goes on')");
});

/** What no standby can do, as the first statement of a read only transaction. */
const first: readonly string[] = [
  'select length(pg_export_snapshot()) > 0',
  'listen news',
  "set local work_mem = '8MB'",
  'declare c cursor for select 1',
  'show transaction_read_only',
  'select pg_is_in_recovery()',
  'set transaction isolation level repeatable read',
  'lock table items in access share mode',
  'select pg_advisory_xact_lock(11)',
];

test('a read only transaction that begins with what a standby cannot do is begun on the primary, unnoticed', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await explained(proxy, 'eventual');
  for (const send of [(text: string) => client.query(text), (text: string) => client.extended(text)]) {
    for (const text of first) {
      const mark = marker();
      const begun = await send(`${mark} begin isolation level repeatable read read only`);
      assert.deepEqual(went(begun), ['standby (read)']);
      const reply = await send(`${mark} ${text}`);
      assert.deepEqual([reply.error, reply.status], [null, 'T'], text);
      assert.match(went(reply)[0] ?? '', /^primary/, text);
      assert.equal(await here(client), 'primary', text);
      const modes = await client.rows(
        "select current_setting('transaction_read_only'), current_setting('transaction_isolation')",
      );
      assert.deepEqual(modes, [['on', 'repeatable read']], text);
      assert.equal((await client.query("insert into notes(note) values ('x')")).error?.code, '25006');
      assert.equal((await client.query('commit')).tags[0], 'ROLLBACK');
      assert.notEqual(await readsAt(client), 'node1', text);
    }
    await run(client, 'begin read only');
    const refused = await send("insert into notes(note) values ('x')");
    assert.deepEqual(
      [refused.error?.code, refused.error?.message, refused.status],
      ['25006', 'cannot execute INSERT in a read-only transaction', 'E'],
    );
    await run(client, 'rollback');
  }
});

test('the same where the statement is sent before the transaction has begun', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await proxy.login('eventual');
  for (const of of [query, extended]) {
    await readsAt(client);
    client.send(
      of('begin read only'),
      of('select length(pg_export_snapshot()) > 0'),
      of('select here()'),
      of('commit'),
    );
    const replies = [await client.reply(), await client.reply(), await client.reply(), await client.reply()];
    assert.deepEqual(
      replies.map(({ error }) => error),
      [null, null, null, null],
    );
    assert.deepEqual(replies.map(({ status }) => status).join(''), 'TTTI');
    assert.deepEqual(replies[2]?.rows, [['node1']]);
    client.send(
      of('begin read only'),
      of('select here()'),
      of('commit'),
      of("insert into notes(note) values ('behind')"),
    );
    const more = [await client.reply(), await client.reply(), await client.reply(), await client.reply()];
    assert.deepEqual(
      more.map(({ error }) => error),
      [null, null, null, null],
    );
    assert.notEqual(more[1]?.rows[0]?.[0], 'node1');
  }
});

test('a session that is read only by default begins on a standby, and may change its mind', async (t) => {
  const proxy = await startSplit(t, cluster());
  for (const set of [
    'set default_transaction_read_only = on',
    'set session characteristics as transaction read only',
  ]) {
    const client = await explained(proxy, 'eventual');
    await run(client, set);
    assert.deepEqual(went(await client.query('begin')), ['standby (read)']);
    assert.equal(await here(client), 'standby');
    await run(client, 'commit');
    assert.deepEqual(went(await client.query('begin')), ['standby (read)']);
    const changed = await client.query('set transaction read write');
    assert.deepEqual([changed.error, changed.status], [null, 'T']);
    await run(client, "insert into notes(note) values ('changed its mind')", 'commit');
    const refused = await client.query("insert into notes(note) values ('x')");
    assert.equal(refused.error?.message, 'cannot execute INSERT in a read-only transaction');
    assert.deepEqual(went(await client.query('begin read write')), ['primary (transaction)']);
    await run(client, "insert into notes(note) values ('says so')", 'commit', 'reset default_transaction_read_only');
    await run(client, 'set session characteristics as transaction read write');
    assert.deepEqual(went(await client.query('begin')), ['primary (transaction)']);
    await run(client, 'rollback');
  }
});

test('serializable transactions and sessions are on the primary', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await explained(proxy, 'eventual');
  for (const begin of [
    'begin isolation level serializable read only',
    'begin isolation level serializable, read only, deferrable',
  ]) {
    assert.deepEqual(went(await client.query(begin)), ['primary (transaction)']);
    await run(client, 'select * from items', 'commit');
  }
  await run(client, "set default_transaction_isolation = 'serializable'");
  assert.deepEqual(went(await client.query('select count(*) from items')), ['primary (serializable)']);
  assert.deepEqual(went(await client.query('begin read only')), ['primary (serializable)']);
  await run(client, 'select count(*) from items', 'commit', 'reset default_transaction_isolation');
  assert.deepEqual(went(await client.query('select count(*) from items')), ['standby (read)']);
});

test('a role that is serializable by itself is taken to the primary by the first refusal', async (t) => {
  const proxy = await startSplit(t, cluster());
  for (const begin of [null, 'begin read only']) {
    const client = await explained(proxy, 'eventual', strict);
    if (begin !== null) await run(client, begin);
    const reply = await client.query('select count(*) from items');
    assert.deepEqual([reply.error, reply.rows], [null, [['100']]], String(begin));
    if (begin !== null) await run(client, 'commit');
    assert.deepEqual(went(await client.query('select count(*) from items')), ['primary (serializable)']);
  }
});

test('rows are fetched in portions from a standby, within one unit and within a transaction', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await explained(proxy, 'eventual');
  const text = 'select id from items order by id';
  const unit = await client.unit(parse(text), bind(), execute('', 2), execute('', 3), execute('', 0), sync());
  assert.deepEqual(
    [went(unit), unit.rows.length, typesOf(unit).replaceAll('D', '')],
    [['standby (read)'], 100, '12ssCZ'],
  );
  const part = await client.unit(parse(text), bind({ portal: 'p' }), execute('p', 2), sync());
  assert.equal(typesOf(part), '12DDsZ');
  // Its implicit transaction is over.
  const gone = await client.unit(execute('p', 2), sync());
  assert.equal(gone.error?.code, '34000');
  await run(client, 'begin read only');
  await client.unit(parse(text, { name: 's' }), bind({ statement: 's', portal: 'p' }), execute('p', 40), sync());
  const next = await client.unit(execute('p', 40), sync());
  assert.deepEqual([went(next), next.rows[0], typesOf(next).at(-2)], [['standby (transaction)'], ['41'], 's']);
  assert.equal(await here(client), 'standby');
  const last = await client.unit(execute('p', 40), close('P', 'p'), sync());
  assert.deepEqual([last.rows.length, last.tags], [20, ['SELECT 20']]);
  await run(client, 'commit');
  // With Flush in place of Sync.
  client.send(parse(text), bind(), execute('', 30), flush());
  for (let message = await client.read(); message?.type !== 's'; message = await client.read())
    assert.notEqual(message, null);
  client.send(execute('', 30), flush());
  let rows = 0;
  for (let message = await client.read(); message?.type !== 's'; message = await client.read()) rows += 1;
  assert.equal(rows, 30);
  const end = await client.unit(execute(), sync());
  assert.deepEqual([end.rows.length, end.status], [40, 'I']);
});

test('a cursor of SQL is on the primary with its transaction', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await explained(proxy, 'eventual');
  const mark = marker();
  await run(client, 'begin', `${mark} declare c cursor for select id from items order by id`);
  assert.deepEqual(await ranOn(cluster(), mark), ['primary']);
  assert.deepEqual(await client.rows('fetch 2 from c'), [['1'], ['2']]);
  await run(client, 'move 10 from c');
  assert.deepEqual(await client.rows('fetch 1 from c'), [['13']]);
  await run(client, 'close c', 'commit');
  assert.notEqual(await readsAt(client), 'node1');
});

test('a string that begins a transaction and is refused by a standby runs on the primary', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await explained(proxy, 'eventual', strict);
  for (const text of [
    'begin read only; select count(*) from items; commit',
    'begin read only; select count(*) from items',
  ]) {
    const fresh = await explained(proxy, 'eventual', strict);
    const reply = await fresh.query(text);
    assert.deepEqual([reply.error, reply.rows], [null, [['100']]], text);
    assert.equal(reply.status, text.endsWith('commit') ? 'I' : 'T', text);
    await run(fresh, 'select 1', 'commit', 'select count(*) from items');
  }
  await run(client, 'select count(*) from items');
});
