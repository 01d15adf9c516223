import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RawClient } from '../support/raw-client.js';
import { waitFor } from '../support/processes.js';
import { TIMEOUT_MS } from './core-lab.js';
import { caughtUp, explained, readsAt, run, splitCluster, startSplit, waitForCatalog, went } from './split-lab.js';

// In both pool modes.

const cluster = splitCluster([
  'create schema first',
  'create schema second',
  `create function first.shadowed() returns text stable language sql as $$ select 'first' $$`,
  `create function second.shadowed() returns text volatile language sql as $$ insert into notes(note) values ('shadowed') returning 'second' $$`,
  'create unlogged table counted(n int)',
  'insert into counted values (1)',
  'create table ruled(n int)',
  `create rule noting as on insert to ruled do also insert into notes(note) values ('by a rule')`,
  `create view writing as select id, add_note('by a view') as node from items where id = 1`,
  `create function indirectly() returns text stable language sql as $$ select node from writing $$`,
  `create operator ##+ (rightarg = text, function = add_note)`,
  `create function sees_rule() returns trigger language plpgsql as $$ begin insert into notes(note) values ('by a trigger'); return new; end $$`,
  'create trigger seen after insert on ruled for each row execute function sees_rule()',
  'grant usage on schema first, second to app',
  'grant all on all tables in schema public to app',
]);

async function at(client: RawClient): Promise<'primary' | 'standby'> {
  return (await readsAt(client)) === 'node1' ? 'primary' : 'standby';
}

/** How many notes there are of a kind; asked on the primary. */
async function notes(client: RawClient, note: string): Promise<string | null | undefined> {
  return (await client.rows(`/* switchyard: primary */ select count(*) from notes where note = '${note}'`))[0]?.[0];
}

test('a session with a temporary table reads on the primary until it is gone', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await explained(proxy, 'eventual');
  assert.equal(await at(client), 'standby');
  for (const end of ['drop table items_now', 'discard temp', 'discard all']) {
    await run(client, 'create temp table items_now as select 7 as id');
    const read = await client.query('select here(), id from items_now');
    assert.deepEqual([went(read), read.rows], [['primary (pinned)'], [['node1', '7']]]);
    await run(client, 'create temp table items as select 8 as id');
    assert.deepEqual(await client.rows('select id from items'), [['8']]);
    await run(client, 'drop table pg_temp.items', end);
    assert.equal(await at(client), 'standby', end);
    assert.deepEqual(await client.rows('select count(*) from items'), [['100']]);
  }
  await run(client, 'begin', 'create temp table t(a int) on commit drop', 'select * from t', 'commit');
  assert.equal(await at(client), 'standby');
  await run(client, 'begin', 'create temp table t(a int)', 'rollback');
  assert.equal(await at(client), 'standby');
});

test('advisory locks, cursors WITH HOLD and sequences stay on the primary while reads go on', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await proxy.login('eventual');
  const other = await proxy.login('primary');
  await run(client, 'select pg_advisory_lock(42)');
  assert.equal(await at(client), 'standby');
  assert.deepEqual(await other.rows('select pg_try_advisory_lock(42)'), [['f']]);
  assert.deepEqual(await client.rows('select pg_advisory_unlock(42)'), [['t']]);
  assert.deepEqual(await other.rows('select pg_try_advisory_lock(42)'), [['t']]);
  await run(client, 'begin', 'declare kept cursor with hold for select id from items order by id', 'commit');
  assert.deepEqual(await client.rows('fetch 2 from kept'), [['1'], ['2']]);
  assert.equal(await at(client), 'standby');
  assert.deepEqual(await client.rows('fetch 2 from kept'), [['3'], ['4']]);
  await run(client, 'close kept');
  const [[next] = []] = await client.rows("select nextval('notes_id_seq')");
  assert.equal(await at(client), 'standby');
  assert.deepEqual(await client.rows("select currval('notes_id_seq'), lastval()"), [[next, next]]);
  assert.deepEqual(await client.rows('select last_value from notes_id_seq'), [[next]]);
});

test('a session that listens reads on the primary, hears all notifications, and reads on standbys again behind UNLISTEN', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await explained(proxy, 'eventual');
  const speaker = await proxy.login('eventual');
  await run(client, 'listen news');
  assert.deepEqual(went(await client.query('select 1')), ['primary (listening)']);
  for (let n = 0; n < 20; n += 1) {
    await run(speaker, 'select count(*) from items', `notify news, '${n}'`);
    await run(client, 'select count(*) from items');
  }
  await waitFor(
    async () => {
      await run(client, 'select 1');
      return client.notifications.length === 20;
    },
    { timeoutMs: TIMEOUT_MS, what: 'twenty notifications' },
  );
  assert.deepEqual(
    client.notifications.map(({ payload }) => payload),
    Array.from({ length: 20 }, (_, n) => String(n)),
  );
  await run(client, 'unlisten *');
  assert.deepEqual(went(await client.query('select 1')), ['standby (read)']);
  await run(client, 'begin', 'listen news', 'rollback');
  assert.equal(await at(client), 'standby');
});

test('what writes behind a name is on the primary, and writes once', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await explained(proxy);
  const rows: readonly (readonly [text: string, note: string, decision: string])[] = [
    [`select add_note('by a function')`, 'by a function', 'primary (volatile_function)'],
    ['select node from writing', 'by a view', 'primary (view_not_read)'],
    [`select ##+ 'by an operator'::text`, 'by an operator', 'primary (volatile_operator)'],
    ['insert into ruled values (1)', 'by a rule', 'primary (write)'],
    [`select id, add_note('in a list') from items where id = 3`, 'in a list', 'primary (volatile_function)'],
    [
      `select * from items where id = 3 and add_note('in a condition') is not null`,
      'in a condition',
      'primary (volatile_function)',
    ],
    [`with w as materialized (select add_note('in a CTE')) select * from w`, 'in a CTE', 'primary (volatile_function)'],
    [`select * from items i, lateral add_note('lateral') where i.id = 3`, 'lateral', 'primary (volatile_function)'],
    [`values (add_note('in VALUES'))`, 'in VALUES', 'primary (volatile_function)'],
    [`copy (select add_note('in COPY')) to stdout`, 'in COPY', 'primary (volatile_function)'],
    [`select public.add_note('qualified')`, 'qualified', 'primary (volatile_function)'],
    [`call_not_there(); select add_note('in a string')`, 'never', 'primary (unknown)'],
  ];
  for (const [text, note, decision] of rows) {
    const before = Number(await notes(client, note));
    const reply = await client.query(text);
    assert.deepEqual(went(reply), [decision], text);
    const written = Number(await notes(client, note)) - before;
    assert.equal(written, note === 'never' ? 0 : 1, text);
  }
  assert.deepEqual([await notes(client, 'by a trigger')], ['1']);
});

test('a function that is called stable and reads from what writes is refused by the standby and runs on the primary', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await explained(proxy, 'eventual');
  const straight = await proxy.login('primary');
  const [was, is] = [await straight.query('select indirectly()'), await client.query('select indirectly()')];
  assert.equal(is.error?.code, was.error?.code);
  assert.deepEqual(is.rows, was.rows);
});

test('a function that another one shadows in the search path is judged by the worst of them', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await explained(proxy, 'eventual');
  await run(client, 'set search_path to first, public');
  assert.deepEqual(went(await client.query('select first.shadowed()')), ['standby (read)']);
  const first = await client.query('select shadowed()');
  assert.deepEqual([went(first), first.rows], [['primary (volatile_function)'], [['first']]]);
  await run(client, 'set search_path to second, public');
  const second = await client.query('select shadowed()');
  assert.deepEqual([went(second), second.rows], [['primary (volatile_function)'], [['second']]]);
  assert.equal(await notes(client, 'shadowed'), '1');
});

test('unlogged tables are read on the primary, also those that were made just now', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await explained(proxy);
  const old = await client.query('select * from counted');
  assert.deepEqual([went(old), old.rows], [['primary (unlogged_relation)'], [['1']]]);
  await run(client, 'create unlogged table fresh_counts(n int)', 'insert into fresh_counts values (2)');
  await caughtUp(proxy);
  for (let n = 0; n < 3; n += 1) {
    const fresh = await client.query('select * from fresh_counts');
    assert.deepEqual([fresh.error, fresh.rows], [null, [['2']]]);
  }
  await run(client, 'drop table fresh_counts');
});

test('DDL of the session is known to its next statements', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await explained(proxy);
  for (let n = 0; n < 3; n += 1) {
    await run(client, 'create table brought(a int)', 'insert into brought values (1)');
    assert.deepEqual(await client.rows('select a from brought'), [['1']]);
    await run(client, 'alter table brought add b int default 2');
    assert.deepEqual(await client.rows('select * from brought'), [['1', '2']]);
    await run(client, `create function made_now() returns text language sql as $$ select add_note('made now') $$`);
    assert.deepEqual(await client.rows('select made_now()'), [['node1']]);
    await run(client, 'drop function made_now()', 'drop table brought');
    assert.equal((await client.query('select a from brought')).error?.code, '42P01');
  }
  assert.equal(await notes(client, 'made now'), '3');
  await waitForCatalog(proxy);
});

test('what DO, CALL and LOAD may have left behind keeps reads on the primary until it is known', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await explained(proxy, 'eventual');
  await run(client, `do $$ begin create temp table hidden_temp as select 1 as a; end $$`);
  assert.deepEqual(await client.rows('select a from hidden_temp'), [['1']]);
  assert.equal(await at(client), 'primary');
  await run(client, 'discard all');
  assert.equal(await at(client), 'standby');
  await run(client, `do $$ begin perform set_config('app.done', 'yes', false); end $$`);
  assert.deepEqual(await client.rows(`select current_setting('app.done', true)`), [['yes']]);
  assert.deepEqual(await client.rows(`select here(), (select setting from pg_settings where name = 'app.done')`), [
    ['node1', null],
  ]);
});
