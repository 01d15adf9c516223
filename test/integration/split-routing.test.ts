import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cString, frontend, message } from '../support/raw-messages.js';
import { caughtUp, explained, marker, ranOn, run, splitCluster, startSplit, typesOf, went } from './split-lab.js';

const cluster = splitCluster([
  'create unlogged table counted(n int)',
  'create view seen_items as select * from items where id < 10',
  `create view noting as select add_note('from a view')`,
  'create function shadow() returns int immutable language sql as $$ select 1 $$',
  'create schema other',
  `create function other.shadow() returns int volatile language sql as $$ insert into notes(note) values ('shadow') returning 2 $$`,
  'create table ruled(n int)',
  `create rule noted as on insert to ruled do also insert into notes(note) values ('rule')`,
  'grant all on schema other to app',
  'grant all on all tables in schema public to app',
]);

type Row = readonly [text: string, decision: string];

/** Where statements of all kinds go, each outside of a transaction. */
const reads: readonly string[] = [
  'select 1',
  'select count(*) from items where id = any(array[1, 2, 3])',
  'select * from seen_items order by name limit 3',
  'values (1), (2)',
  'table items',
  'with a as (select * from items) select count(*) from a',
  'select random() is not null, now() is not null',
  'explain select * from items',
  'copy items to stdout',
  'copy (select id from items limit 3) to stdout',
  'select shadow_free.n from (select 1 as n) shadow_free',
  'select 1; select 2',
  "select relname from pg_class where relname = 'items'",
  'select relname, pg_size_pretty(pg_relation_size(oid)) from pg_class where relname = $$items$$',
];

const others: readonly Row[] = [
  ["insert into notes(note) values ('a')", 'primary (write)'],
  ['update notes set note = note', 'primary (write)'],
  ["with gone as (delete from notes where note = 'x' returning id) select count(*) from gone", 'primary (write)'],
  ['select * from items where id = 1 for update', 'primary (row_lock)'],
  ['select * from (select * from items limit 1 for share) locked', 'primary (row_lock)'],
  ["select nextval('notes_id_seq')", 'primary (volatile_function)'],
  ['select pg_advisory_xact_lock(7)', 'primary (volatile_function)'],
  ["select add_note('called')", 'primary (volatile_function)'],
  ['select * from noting', 'primary (view_not_read)'],
  ['select shadow()', 'primary (volatile_function)'],
  ['select no_such_function()', 'primary (unknown_function)'],
  ['select count(*) from counted', 'primary (unlogged_relation)'],
  ['select pg_is_in_recovery()', 'primary (node_bound_function)'],
  ["select current_setting('port')", 'primary (node_bound_function)'],
  ['select count(*) from pg_stat_activity', 'primary (node_bound_relation)'],
  ['select last_value from notes_id_seq', 'primary (node_bound_relation)'],
  ['show work_mem', 'primary (show)'],
  ['set statement_timeout = 0', 'primary (session)'],
  ['explain analyze select 1', 'primary (explain_analyze)'],
  ["select 1; insert into notes(note) values ('b')", 'primary (write)'],
  ["insert into notes(note) values ('c'); select 1", 'primary (write)'],
  ['insert into ruled values (1)', 'primary (write)'],
  ['create table made(a int)', 'primary (definition)'],
  ['drop table made', 'primary (definition)'],
  ['vacuum items', 'primary (utility)'],
  ['select * into made from items limit 1', 'primary (into)'],
  ['drop table made', 'primary (definition)'],
  ['/* switchyard: primary */ select 1', 'primary (hint)'],
  ['select 1 -- switchyard: primary', 'primary (hint)'],
  ['/* switchyard: standby */ select 1', 'primary (hint)'],
  ['do $$ begin perform 1; end $$', 'primary (utility)'],
];

test('proven reads go to a standby, in either protocol, and their answers are those of the primary', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await explained(proxy);
  const straight = await proxy.login('primary');
  for (const text of reads) {
    const mark = marker();
    const reply = await client.query(`${mark} ${text}`);
    assert.deepEqual([went(reply), reply.error], [['standby (read)'], null], text);
    assert.deepEqual(await ranOn(cluster(), mark), ['standby'], text);
    const same = await straight.query(text);
    assert.equal(typesOf(reply), same.types, text);
    assert.deepEqual([reply.tags, reply.rows, reply.copied], [same.tags, same.rows, same.copied], text);
    if (text.includes(';')) continue;
    const extended = await client.extended(text);
    assert.deepEqual([went(extended), extended.error], [['standby (read)'], null], text);
    assert.deepEqual([extended.rows, extended.copied], [same.rows, same.copied], text);
  }
});

test('whatever is no proven read goes to the primary, in either protocol', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await explained(proxy);
  for (const [text, decision] of others) {
    const mark = marker();
    const reply = await client.query(`${mark} ${text}`);
    assert.deepEqual(went(reply), [decision], text);
    assert.deepEqual(await ranOn(cluster(), mark), ['primary'], text);
    if (/;|^(?:vacuum|create|drop|select \* into)/.test(text)) continue;
    const extended = await client.extended(text);
    assert.deepEqual(went(extended), [decision], text);
  }
  // What DO has left behind is asked for, and then it holds nothing back.
  await caughtUp(proxy);
  await run(client, 'discard all');
  assert.deepEqual(went(await client.query('select 1')), ['standby (read)']);
});

test('an empty query, a lone Sync and a comment go where the session is', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await explained(proxy, 'eventual');
  for (const at of ['standby', 'primary']) {
    await run(client, at === 'standby' ? 'select 1' : 'delete from notes where false');
    for (const text of ['', ' ; ', '-- nothing', '/* nothing */']) {
      const reply = await client.query(text);
      assert.deepEqual([went(reply), typesOf(reply)], [[`${at} (neutral)`], 'IZ'], text);
      const extended = await client.extended(text);
      assert.deepEqual([went(extended), typesOf(extended)], [[`${at} (neutral)`], '12nIZ'], text);
    }
    const lone = await client.unit(frontend.sync());
    assert.deepEqual([went(lone), typesOf(lone)], [[`${at} (neutral)`], 'Z']);
    const many = await client.unit(frontend.sync(), frontend.sync());
    assert.equal(typesOf(many), 'Z');
    assert.equal(typesOf(await client.reply()), 'Z');
  }
});

test('FunctionCall goes to the primary', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await explained(proxy);
  const [[oid] = []] = await client.rows(`select 'int4pl(int,int)'::regprocedure::oid`);
  const int = (bytes: number, value: number): Buffer => {
    const buffer = Buffer.alloc(bytes);
    buffer.writeIntBE(value, 0, bytes);
    return buffer;
  };
  const argument = (text: string): Buffer => Buffer.concat([int(4, text.length), Buffer.from(text)]);
  const call = message('F', int(4, Number(oid)), int(2, 0), int(2, 2), argument('40'), argument('2'), int(2, 0));
  const reply = await client.unit(call);
  assert.deepEqual([went(reply), typesOf(reply)], [['primary (unread)'], 'VZ']);
  assert.equal(reply.messages.find(({ type }) => type === 'V')?.body.toString('latin1', 4), '42');
});

test('COPY into a table goes to the primary, out of one to a standby, and either is whole', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await explained(proxy);
  await run(
    client,
    'create table copied(n int, pad text)',
    `insert into copied select n, repeat('x', 200) from generate_series(1, 5000) n`,
  );
  await caughtUp(proxy);
  const out = await client.query('copy copied to stdout');
  assert.deepEqual([went(out), out.tags], [['standby (read)'], ['COPY 5000']]);
  const chunks = Array.from({ length: 100 }, (_, at) =>
    out.copied.subarray((out.copied.length / 100) * at, (out.copied.length / 100) * (at + 1)),
  );
  const into = await client.copyIn('copy copied from stdin', chunks);
  assert.deepEqual([into.error, into.tags], [null, ['COPY 5000']]);
  assert.deepEqual(await client.rows('select count(*), min(length(pad)) from copied'), [['10000', '200']]);
  const failed = await client.copyIn('copy copied from stdin', ['no number\tx\n']);
  assert.equal(failed.error?.code, '22P02');
  await caughtUp(proxy);
  const extended = await client.extended('copy (select n from copied order by n limit 2) to stdout');
  assert.deepEqual([went(extended), extended.copied.toString()], [['standby (read)'], '1\n1\n']);
  client.send(frontend.parse('copy copied from stdin'), frontend.bind(), frontend.execute(), frontend.sync());
  const asked = await client.reply();
  assert.deepEqual([went(asked), typesOf(asked)], [['primary (utility)'], '12G']);
  // The Sync that came before the data was ignored.
  const done = await client.unit(frontend.copyData('1\ta\n'), frontend.copyDone(), frontend.sync());
  assert.deepEqual(done.tags, ['COPY 1']);
  await run(client, 'drop table copied');
});

test('Describe, Parse and Close alone are routed by what they are about', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await explained(proxy, 'eventual');
  const { parse, describe, sync, close, bind, execute } = frontend;
  const read = await client.unit(
    parse('select name from items where id = $1', { name: 'r' }),
    describe('S', 'r'),
    sync(),
  );
  assert.deepEqual([went(read), typesOf(read)], [['standby (read)'], '1tTZ']);
  const write = await client.unit(
    parse('insert into notes(note) values ($1)', { name: 'w' }),
    describe('S', 'w'),
    sync(),
  );
  assert.deepEqual([went(write), typesOf(write)], [['primary (write)'], '1tnZ']);
  const again = await client.unit(describe('S', 'r'), sync());
  assert.deepEqual([went(again), typesOf(again)], [['standby (read)'], 'tTZ']);
  const missing = await client.unit(describe('S', 'missing'), sync());
  assert.equal(missing.error?.code, '26000');
  assert.deepEqual(went(await client.unit(describe('S', 'w'), sync())), ['primary (write)']);
  const used = await client.unit(bind({ statement: 'r', values: ['7'] }), execute(), sync());
  assert.deepEqual([went(used), used.rows], [['standby (read)'], [['item 7']]]);
  assert.equal(typesOf(await client.unit(close('S', 'r'), close('S', 'missing'), sync())), '33Z');
  for (const at of ['standby', 'primary']) {
    const hint = at === 'primary' ? '/* switchyard: primary */' : '';
    await run(client, `${hint} select 1`);
    const gone = await client.unit(bind({ statement: 'r', values: ['7'] }), execute(), sync());
    assert.equal(gone.error?.code, '26000', at);
  }
});

test('what is given in an SQL comment, a string or odd white space misleads nobody', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await explained(proxy, 'eventual');
  const rows: readonly Row[] = [
    [`select 'insert into notes'`, 'standby (read)'],
    ['select /* insert */ 1 -- update', 'standby (read)'],
    [`select '/* switchyard: primary */'`, 'standby (read)'],
    ['\n\t  SeLeCt\n\n1 ;;; ', 'standby (read)'],
    [`/* select */ insert into notes(note) values ('select')`, 'primary (write)'],
    [`select $a$ ; insert into notes $a$`, 'standby (read)'],
    [`select E'\\'; insert into notes(note) values (\\''`, 'standby (read)'],
    ['selec 1', 'primary (unknown)'],
  ];
  for (const [text, decision] of rows) assert.deepEqual(went(await client.query(text)), [decision], text);
  const portal = cString('no such portal');
  const failed = await client.unit(message('E', portal, Buffer.alloc(4)), frontend.sync());
  assert.equal(failed.error?.code, '34000');
  assert.equal(failed.status, 'I');
});
