import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FaultProxy } from '../support/fault-proxy.js';
import type { RawClient } from '../support/raw-client.js';
import { frontend } from '../support/raw-messages.js';
import { sql } from '../support/postgres-server.js';
import { waitFor } from '../support/processes.js';
import { CoreProxy, TIMEOUT_MS } from './core-lab.js';
import { run, splitCluster, typesOf, waitForCatalog } from './split-lab.js';

const { bind, describe, execute, parse, sync } = frontend;

const cluster = splitCluster([
  'create sequence numbers',
  'create sequence others',
  'alter sequence numbers owner to app',
  'alter sequence others owner to app',
  `create function keeps_setting() returns int language plpgsql as $$ begin perform set_config('work_mem', '7MB', false); return 1; end $$`,
  `create function keeps_table() returns int language plpgsql as $$ begin create temp table secret as select 42 as n; return 1; end $$`,
  `create function keeps_lock() returns int language plpgsql as $$ begin perform pg_advisory_lock(7); return 1; end $$`,
  // Whoever looks by himself is shown his own only.
  `create function how_many() returns bigint stable language sql as $$ select count(*) from pg_prepared_statements $$`,
  `create function keeps_nothing() returns int language plpgsql as $$ begin return 1; end $$`,
]);

/** A proxy with so many backends for all sessions of the primary. */
async function start(t: Parameters<typeof CoreProxy.start>[0], size: number, pool: object = {}): Promise<CoreProxy> {
  const proxy = await CoreProxy.start(t, cluster().nodes, { pool: { mode: 'transaction', size, ...pool } });
  // The names of the database are asked for by the first session.
  await run(await proxy.login('primary'), 'select 1');
  await waitForCatalog(proxy);
  return proxy;
}

async function one(client: RawClient, text: string): Promise<string> {
  return String((await client.rows(text))[0]?.[0]);
}

function free(proxy: CoreProxy): number {
  const [counts] = proxy.app.pool.counts.values();
  return counts?.idle ?? 0;
}

test('many sessions take turns on one backend, each with its own settings', async (t) => {
  const proxy = await start(t, 1);
  const sessions = await Promise.all(Array.from({ length: 8 }, () => proxy.login('primary')));
  await Promise.all(
    sessions.map((session, i) => run(session, `set work_mem to '${i + 1}MB'`, `set app.who to '${i}'`)),
  );
  for (let round = 0; round < 3; round += 1) {
    for (const [i, session] of sessions.entries()) {
      assert.equal(await one(session, 'show work_mem'), `${i + 1}MB`);
      assert.equal(await one(session, 'show app.who'), String(i));
    }
  }
  const stranger = await proxy.login('primary');
  assert.equal(await one(stranger, 'show work_mem'), '4MB');
  // Not even that the setting exists.
  assert.equal((await stranger.query('show app.who')).error?.code, '42704');
  await run(sessions[0] ?? stranger, 'reset work_mem', 'reset all');
  assert.equal(await one(sessions[0] ?? stranger, 'show work_mem'), '4MB');
});

test('what has waited for a backend is sent right behind the settings that it needs, and not after their answer', async (t) => {
  const { primary } = cluster();
  const way = await FaultProxy.start(primary.port);
  t.after(async () => way.close());
  const pool = { mode: 'transaction', size: 1 };
  const proxy = await CoreProxy.start(t, [{ name: 'node1', port: way.port }], { pool });
  const [holder, waiter] = [await proxy.login('primary'), await proxy.login('primary')];
  await run(waiter, "set work_mem to '7MB'");
  await run(holder, 'select 1');
  await waitForCatalog(proxy);
  const latest = async (): Promise<unknown> => {
    const [row] = await sql(primary, "select query from pg_stat_activity where usename = 'app' and datname = 'app'");
    return row?.['query'];
  };
  const running = holder.query('/* held */ select pg_sleep(0.1)');
  await waitFor(async () => (await latest()) === '/* held */ select pg_sleep(0.1)', {
    timeoutMs: TIMEOUT_MS,
    what: 'the nap',
  });
  way.freeze('to-client');
  waiter.send(frontend.query('/* has waited */ select 1'));
  await waitFor(() => proxy.app.pool.waiting === 1, { timeoutMs: TIMEOUT_MS, what: 'the statement to wait' });
  const isAsleep = async () =>
    (await sql(primary, "select 1 from pg_stat_activity where query like '/* held */%' and state = 'active'")).length >
    0;
  await waitFor(async () => !(await isAsleep()), { timeoutMs: TIMEOUT_MS, what: 'the end of the nap' });
  // The answer to the nap comes through, and none to what follows it.
  way.thaw();
  way.freeze('to-client');
  await running;
  await waitFor(async () => (await latest()) === '/* has waited */ select 1', {
    timeoutMs: TIMEOUT_MS,
    what: 'the statement on the node',
  });
  way.thaw();
  assert.deepEqual((await waiter.reply()).rows, [['1']]);
  assert.equal(await one(waiter, 'show work_mem'), '7MB');
});

test('a transaction keeps its backend, and others wait for it', async (t) => {
  const proxy = await start(t, 1);
  const [a, b] = [await proxy.login('primary'), await proxy.login('primary')];
  await run(a, 'begin', `set local work_mem to '9MB'`);
  let isServed = false;
  const waiting = one(b, 'show work_mem').finally(() => (isServed = true));
  await waitFor(() => proxy.app.pool.waiting === 1, { timeoutMs: TIMEOUT_MS, what: 'the other session to wait' });
  assert.equal(await one(a, 'show work_mem'), '9MB');
  assert.equal(isServed, false);
  await run(a, 'commit');
  assert.equal(await waiting, '4MB');
});

test('whoever waits too long hears which bound it was', async (t) => {
  const proxy = await start(t, 1, { wait_timeout: '300ms' });
  const [a, b] = [await proxy.login('primary'), await proxy.login('primary')];
  await run(a, 'begin');
  const { error, status } = await b.query('select 1');
  assert.equal(error?.code, '53300');
  assert.equal(status, 'I');
  await run(a, 'commit');
  assert.equal(await one(b, 'select 2'), '2');
});

test('what cannot be brought to another backend keeps the session on its own, for as long as it is there', async (t) => {
  const proxy = await start(t, 2);
  const [a, b] = [await proxy.login('primary'), await proxy.login('primary')];
  const things: readonly (readonly [string, string, string])[] = [
    ['create temp table mine as select 5 as n', 'select n from mine', 'drop table mine'],
    ['select 5 from (select pg_advisory_lock(3)) l', 'select 5', 'select pg_advisory_unlock(3)'],
    ['begin; declare c cursor with hold for select 5 from generate_series(1, 9); commit', 'fetch 1 from c', 'close c'],
    ['select 5 from (select keeps_table()) t', 'select n - 37 from secret', 'drop table secret'],
  ];
  for (const [make, use, drop] of things) {
    await a.query(make);
    await run(b, 'select 1');
    await waitFor(() => free(proxy) === 1, { timeoutMs: TIMEOUT_MS, what: `${make}: one backend to be free` });
    for (let i = 0; i < 5; i += 1) {
      await run(b, 'select 1');
      assert.equal(await one(a, use), '5', make);
    }
    await a.query(drop);
    await waitFor(() => free(proxy) === 2, { timeoutMs: TIMEOUT_MS, what: `${drop}: both backends to be free` });
  }
});

test('a session that listens keeps its backend and hears of everything', async (t) => {
  const proxy = await start(t, 2);
  const [a, b] = [await proxy.login('primary'), await proxy.login('primary')];
  await run(a, 'listen news');
  await run(b, `notify news, 'first'`);
  const isThere = async (): Promise<boolean> => {
    await run(a, 'select 1');
    return a.notifications.length === 1;
  };
  await waitFor(isThere, { timeoutMs: TIMEOUT_MS, what: 'the notification' });
  assert.equal(a.notifications[0]?.payload, 'first');
  await run(a, 'unlisten *');
  await waitFor(() => free(proxy) === 2, { timeoutMs: TIMEOUT_MS, what: 'both backends to be free' });
});

test('what a function leaves behind without a word is nobody else’s', async (t) => {
  const proxy = await start(t, 1);
  const [a, b] = [await proxy.login('primary'), await proxy.login('primary')];
  for (let i = 0; i < 6; i += 1) {
    assert.equal(await one(a, 'select keeps_setting()'), '1');
    assert.equal(await one(a, 'show work_mem'), '7MB');
    assert.equal(await one(b, 'show work_mem'), '4MB');
    await run(a, 'reset work_mem');
  }
  for (let i = 0; i < 6; i += 1) assert.equal(await one(a, 'select keeps_nothing()'), '1');
  await run(a, 'do $$ begin create temp table hidden as select 1; end $$');
  await a.end();
  assert.equal((await b.query('select * from hidden')).error?.code, '42P01');
});

test('the numbers of sequences are the session’s own, or none', async (t) => {
  const proxy = await start(t, 1);
  const [a, b] = [await proxy.login('primary'), await proxy.login('primary')];
  await run(a, `select nextval('numbers')`);
  assert.equal(await one(a, `select currval('numbers') = lastval()`), 't');
  await a.end();
  const c = await proxy.login('primary');
  await run(b, `select nextval('others')`);
  assert.equal((await c.query('select lastval()')).error?.code, '55000');
  const d = await proxy.login('primary');
  await c.end();
  await run(d, 'begin', `select nextval('others')`, 'select lastval()', 'commit');
});

test('prepared statements are where their session is, whatever others prepare under the same names', async (t) => {
  const proxy = await start(t, 1);
  const sessions = await Promise.all(Array.from({ length: 4 }, () => proxy.login('primary')));
  for (const [i, session] of sessions.entries()) {
    session.send(parse(`select ${i}, $1::int`, { name: 's' }), describe('S', 's'), sync());
    assert.equal(typesOf(await session.reply()), '1tTZ');
  }
  for (let round = 0; round < 3; round += 1) {
    for (const [i, session] of sessions.entries()) {
      session.send(bind({ statement: 's', values: [String(round)] }), execute(), sync());
      assert.deepEqual((await session.reply()).rows, [[String(i), String(round)]]);
    }
  }
  const [first, second] = sessions;
  assert.ok(first !== undefined && second !== undefined);
  assert.equal(await one(first, 'select count(*) from pg_prepared_statements'), '1');
  await run(first, 'deallocate s');
  first.send(bind({ statement: 's', values: ['1'] }), execute(), sync());
  assert.equal((await first.reply()).error?.code, '26000');
  second.send(parse('select 9', { name: 's' }), sync());
  assert.equal((await second.reply()).error?.code, '42P05');
  await run(second, 'prepare q as select 77');
  await run(first, 'select 1');
  assert.equal(await one(second, 'execute q'), '77');
});

test('a statement that others have prepared needs no backend to be prepared once more', async (t) => {
  const proxy = await start(t, 1);
  const [a, b] = [await proxy.login('primary'), await proxy.login('primary')];
  a.send(parse('select 41 + $1::int', { name: 'p' }), sync());
  assert.equal(typesOf(await a.reply()), '1Z');
  await run(a, 'begin');
  b.send(parse('select 41 + $1::int', { name: 'p' }), sync());
  assert.equal(typesOf(await b.reply()), '1Z');
  await run(a, 'commit');
  b.send(bind({ statement: 'p', values: ['1'] }), execute(), sync());
  assert.deepEqual((await b.reply()).rows, [['42']]);
});

/** What the one backend has prepared, as it says itself. */
async function preparedOnNode(client: RawClient): Promise<string> {
  return one(client, `select string_agg(name || '=' || statement, ' ' order by name) from pg_prepared_statements`);
}

test('sessions that use one name for different statements do not take each other’s away', async (t) => {
  const proxy = await start(t, 1);
  const [first, second, third] = await Promise.all(Array.from({ length: 3 }, () => proxy.login('primary')));
  assert.ok(first !== undefined && second !== undefined && third !== undefined);
  const texts = new Map([
    [first, 'select 1, $1::int'],
    [second, 'select 2, $1::int'],
    [third, 'select 1, $1::int'],
  ]);
  for (const [session, text] of texts) {
    session.send(parse(text, { name: 's' }), describe('S', 's'), sync());
    assert.equal(typesOf(await session.reply()), '1tTZ');
  }
  const counts = [...proxy.app.traffic.all()].map((each) => each.counts);
  const parsed: number[] = [];
  for (let round = 0; round < 5; round += 1) {
    for (const [session, text] of texts) {
      session.send(bind({ statement: 's', values: [String(round)] }), describe('P'), execute(), sync());
      const wanted = [text.slice(7, 8), String(round)];
      assert.deepEqual((await session.reply()).rows, [wanted]);
      session.send(describe('S', 's'), sync());
      assert.equal(typesOf(await session.reply()), 'tTZ');
    }
    parsed.push(counts.reduce((sum, { ownParses }) => sum + ownParses, 0));
  }
  assert.equal(parsed[4], parsed[1], 'once on the backend, it stays there');
  // Whoever looks sees only what is its own.
  assert.equal(await preparedOnNode(second), 's=select 2, $1::int');
  second.send(frontend.close('S', 's'), sync());
  assert.equal(typesOf(await second.reply()), '3Z');
  second.send(bind({ statement: 's', values: ['1'] }), execute(), sync());
  assert.equal((await second.reply()).error?.code, '26000');
  first.send(bind({ statement: 's', values: ['7'] }), execute(), sync());
  assert.deepEqual((await first.reply()).rows, [['1', '7']]);
});

test('a name in the text of a statement is that of the session, also where another one has taken it on the backend', async (t) => {
  const proxy = await start(t, 1);
  const [first, second] = [await proxy.login('primary'), await proxy.login('primary')];
  for (const [session, text] of [
    [first, 'select 1'],
    [second, 'select 2'],
  ] as const) {
    session.send(parse(text, { name: 's' }), sync());
    assert.equal(typesOf(await session.reply()), '1Z');
  }
  // By the protocol, by its name in a text, and both in one unit.
  for (let round = 0; round < 2; round += 1) {
    for (const [session, wanted] of [
      [first, '1'],
      [second, '2'],
    ] as const) {
      session.send(bind({ statement: 's' }), execute(), sync());
      assert.deepEqual((await session.reply()).rows, [[wanted]]);
      assert.equal(await one(session, 'execute s'), wanted);
      session.send(bind({ statement: 's' }), execute(), parse('execute s'), bind(), execute(), sync());
      assert.deepEqual((await session.reply()).rows, [[wanted], [wanted]]);
    }
  }
  // Its own Parse of the name fails, as it would anywhere.
  first.send(bind({ statement: 's' }), execute(), parse('select 3', { name: 's' }), sync());
  assert.equal((await first.reply()).error?.code, '42P05');
  await run(first, 'deallocate s');
  second.send(bind({ statement: 's' }), execute(), sync());
  assert.deepEqual((await second.reply()).rows, [['2']]);
  first.send(bind({ statement: 's' }), execute(), sync());
  assert.equal((await first.reply()).error?.code, '26000');
});

test('a backend keeps so many prepared statements, and those that are used', async (t) => {
  const proxy = await start(t, 1, { max_prepared_statements: 5 });
  const sessions = await Promise.all(Array.from({ length: 4 }, () => proxy.login('primary')));
  for (let n = 0; n < 4; n += 1) {
    for (const [i, session] of sessions.entries()) {
      session.send(parse(`select ${i}, ${n}`, { name: `s${n}` }), sync());
      assert.equal(typesOf(await session.reply()), '1Z');
    }
  }
  const observer = await proxy.login('primary');
  for (let round = 0; round < 3; round += 1) {
    for (const [i, session] of sessions.entries()) {
      for (let n = 0; n < 4; n += 1) {
        session.send(bind({ statement: `s${n}` }), execute(), sync());
        assert.deepEqual((await session.reply()).rows, [[String(i), String(n)]]);
      }
    }
    assert.equal(await one(observer, 'select how_many()'), '5');
  }
});

test('of a statement that cannot be prepared any more the client hears why', async (t) => {
  const proxy = await start(t, 2);
  const [first, second] = [await proxy.login('primary'), await proxy.login('primary')];
  await run(first, 'create temp table gone (n int)', 'prepare q as select * from gone');
  first.send(parse('select n from gone', { name: 's' }), sync());
  assert.equal(typesOf(await first.reply()), '1Z');
  await run(first, 'drop table gone');
  // Whichever it gets next, it has been prepared on one of them only.
  await run(second, 'begin', 'select 1');
  for (const free of [false, true]) {
    if (free) await run(second, 'commit');
    assert.equal((await first.query('execute q')).error?.code, '42P01');
    first.send(bind({ statement: 's' }), execute(), sync());
    assert.equal((await first.reply()).error?.code, '42P01');
  }
  first.send(bind({ statement: 'other' }), execute(), sync());
  assert.equal((await first.reply()).error?.code, '26000');
});

test('a backend with numbers of a sequence is given to others only when there is no other', async (t) => {
  const proxy = await start(t, 3);
  const sessions = await Promise.all(Array.from({ length: 3 }, () => proxy.login('primary')));
  const [first, second, third] = sessions;
  assert.ok(first !== undefined && second !== undefined && third !== undefined);
  // So that there are three backends.
  await Promise.all(sessions.map((session) => run(session, 'begin', 'select 1')));
  await Promise.all(sessions.map((session) => run(session, 'commit')));
  await Promise.all([first.end(), second.end()]);
  const [taker, other] = [await proxy.login('primary'), await proxy.login('primary')];
  const number = await one(taker, `select nextval('numbers')`);
  for (let n = 0; n < 5; n += 1) await run(other, 'select 1');
  await run(third, 'begin', 'select 1');
  await run(other, 'select 1');
  assert.equal(await one(taker, `select currval('numbers')`), number);
});
