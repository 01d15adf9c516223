import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RawClient } from '../support/raw-client.js';
import { frontend } from '../support/raw-messages.js';
import { caughtUp, explained, readsAt, run, splitCluster, startSplit, typesOf, went } from './split-lab.js';

// In both pool modes.

const cluster = splitCluster();

const { parse, bind, execute, sync, describe, query } = frontend;

async function show(client: RawClient, name: string): Promise<string | null | undefined> {
  return (await client.rows(`show switchyard.${name}`))[0]?.[0];
}

test('the settings of the proxy are shown and set like any other, in either protocol', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await proxy.login('split');
  const wanted = { route: 'split', consistency: 'session', explain: 'off' };
  for (const [name, value] of Object.entries(wanted)) {
    const reply = await client.query(`show switchyard.${name}`);
    assert.deepEqual(
      [reply.rows, reply.columns, reply.tags, typesOf(reply)],
      [[[value]], [`switchyard.${name}`], ['SHOW'], 'TDCZ'],
    );
    const extended = await client.unit(
      parse(`SHOW switchyard.${name.toUpperCase()}`),
      bind(),
      describe('P'),
      execute(),
      sync(),
    );
    assert.deepEqual([extended.rows, typesOf(extended)], [[[value]], '12TDCZ']);
  }
  assert.match(String(await show(client, 'fence')), /^[0-9A-F]+\/[0-9A-F]+$/);
  assert.equal(
    await (await proxy.login('eventual')).rows('show switchyard.consistency').then((rows) => rows[0]?.[0]),
    'eventual',
  );
  await run(client, 'set switchyard.explain = true');
  assert.equal(await show(client, 'explain'), 'on');
  assert.deepEqual(went(await client.query('select 1')), ['standby (read)']);
  await client.extended('set switchyard.explain to 0');
  assert.equal(await show(client, 'explain'), 'off');
  assert.deepEqual(went(await client.query('select 1')), []);
  for (const [name, value, shown] of [
    ['route', "'PRIMARY'", 'primary'],
    ['consistency', 'Database', 'database'],
  ] as const) {
    await run(client, `set switchyard.${name} to ${value}`);
    assert.equal(await show(client, name), shown);
    await run(client, `reset switchyard.${name}`);
    assert.equal(await show(client, name), name === 'route' ? 'split' : 'session');
  }
  await run(client, "set switchyard.route to 'primary'", 'set switchyard.explain to on', 'reset all');
  assert.deepEqual([await show(client, 'route'), await show(client, 'explain')], ['split', 'off']);
  await run(client, "set switchyard.route to 'primary'", 'discard all');
  assert.equal(await show(client, 'route'), 'split');
});

test('a value or a name that means nothing is an error, and changes nothing', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await proxy.login('split');
  const wrong: readonly (readonly [text: string, sqlState: string])[] = [
    ["set switchyard.route to 'nowhere'", '22023'],
    ['set switchyard.consistency to strict', '22023'],
    ["set switchyard.explain to 'maybe'", '22023'],
    ["set switchyard.fence to 'x/y'", '22023'],
    ['set switchyard.fenc to 1', '42704'],
  ];
  for (const [text, sqlState] of wrong) {
    for (const send of [(each: string) => client.query(each), (each: string) => client.extended(each)]) {
      const reply = await send(text);
      assert.deepEqual([reply.error?.code, reply.status, typesOf(reply)], [sqlState, 'I', 'EZ'], text);
    }
  }
  assert.deepEqual([await show(client, 'route'), await show(client, 'consistency')], ['split', 'session']);
  assert.notEqual(await readsAt(client), 'node1');
  // In a pipeline the units around it are served.
  client.send(query('select 1'), query("set switchyard.route to 'nowhere'"), query('select 2'));
  assert.deepEqual((await client.reply()).rows, [['1']]);
  assert.equal((await client.reply()).error?.code, '22023');
  assert.deepEqual((await client.reply()).rows, [['2']]);
});

test('an unknown setting that is shown is an error', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await proxy.login('split');
  assert.equal((await client.query('show switchyard.nothing')).error?.code, '42704');
  assert.notEqual(await readsAt(client), 'node1');
});

test('a narrower route holds from the next unit on, and until it is taken back', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await explained(proxy, 'eventual');
  await run(client, "set switchyard.route to 'primary'");
  assert.deepEqual(went(await client.query('select 1')), ['primary (narrowed)']);
  await run(client, "set switchyard.route to 'standby'");
  assert.deepEqual(went(await client.query('select 1')), ['standby (narrowed)']);
  assert.equal((await client.query("insert into notes(note) values ('x')")).error?.code, '25006');
  await run(client, 'begin', 'select 1', 'commit', "set switchyard.route to 'split'");
  await run(client, "insert into notes(note) values ('x')");
  assert.deepEqual(went(await client.query('select 1')), ['standby (read)']);
  await run(client, 'begin', "set local switchyard.route to 'primary'");
  assert.deepEqual(went(await client.query('select 1')), ['primary (transaction)']);
  await run(client, 'commit');
  assert.deepEqual(went(await client.query('select 1')), ['standby (read)']);
  await run(client, 'begin', "set switchyard.route to 'primary'", 'rollback');
  assert.deepEqual(went(await client.query('select 1')), ['standby (read)']);
  await run(client, 'begin', "set switchyard.route to 'primary'", 'commit');
  assert.deepEqual(went(await client.query('select 1')), ['primary (narrowed)']);
});

test('inside a transaction a wrong value is an error as well, of the transaction', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await proxy.login('eventual');
  for (const begin of ['begin', 'begin read only']) {
    for (const [text, sqlState] of [
      ["set switchyard.route to 'nowhere'", '22023'],
      ['set local switchyard.fenc to 1', '42704'],
    ] as const) {
      await run(client, begin);
      const reply = await client.query(text);
      assert.deepEqual([reply.error?.code, reply.status, typesOf(reply)], [sqlState, 'E', 'EZ'], `${begin}; ${text}`);
      assert.equal((await client.query('select 1')).error?.code, '25P02');
      assert.equal((await client.query(text)).error?.code, '25P02');
      await run(client, 'rollback', begin, 'savepoint a');
      const extended = await client.extended(text);
      assert.deepEqual([extended.error?.code, extended.status, typesOf(extended)], [sqlState, 'E', 'EZ']);
      await run(client, 'rollback to a', 'select count(*) from items', 'commit');
    }
  }
  assert.equal(await show(client, 'route'), 'split');
});

test('shown inside a transaction a setting is what it is outside', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await proxy.login('eventual');
  await run(client, 'begin');
  assert.deepEqual([await show(client, 'route'), await show(client, 'consistency')], ['split', 'eventual']);
  await run(client, "set local switchyard.consistency to 'session'");
  assert.equal(await show(client, 'consistency'), 'session');
  assert.match(String(await show(client, 'fence')), /^[0-9A-F]+\//);
  await run(client, 'rollback');
  assert.equal(await show(client, 'consistency'), 'eventual');
  await run(client, 'begin read only', 'select 1');
  assert.equal(await show(client, 'route'), 'split');
  await run(client, 'commit');
});

test('a client narrows its route at the log-in, and cannot widen one', async (t) => {
  const proxy = await startSplit(t, cluster());
  const login = (options: string, listener = 'eventual') => proxy.login(listener, { parameters: { options } });
  const standby = await login('-c switchyard.route=standby');
  assert.notEqual(await readsAt(standby), 'node1');
  assert.equal((await standby.rows('select pg_is_in_recovery()'))[0]?.[0], 't');
  assert.equal((await standby.query("insert into notes(note) values ('x')")).error?.code, '25006');
  const primary = await login('-c switchyard.route=primary');
  assert.equal(await readsAt(primary), 'node1');
  for (const [options, listener] of [
    ['-c switchyard.route=nowhere', 'split'],
    ['-c switchyard.fenc=1', 'split'],
    ['-c switchyard.route=standby', 'primary'],
    ['-c switchyard.explain=on', 'primary'],
  ] as const) {
    await assert.rejects(login(options, listener), /not available here|unrecognized option/, options);
  }
});

test('a token handed from one session to another shows the second what the first has written', async (t) => {
  const proxy = await startSplit(t, cluster());
  const writer = await proxy.login('eventual');
  const reader = await explained(proxy, 'eventual');
  for (let n = 0; n < 5; n += 1) {
    await run(writer, `insert into notes(note) values ('token ${n}')`);
    const token = await show(writer, 'fence');
    await run(reader, `set switchyard.fence to '${String(token)}'`);
    assert.deepEqual(await reader.rows(`select count(*) from notes where note = 'token ${n}'`), [['1']]);
  }
  await caughtUp(proxy);
  assert.deepEqual(went(await reader.query('select 1')), ['standby (read)']);
  await run(reader, "set switchyard.fence to 'FFFFFF/0'");
  assert.deepEqual(went(await reader.query('select 1')), ['primary (fence)']);
  await run(reader, "set switchyard.fence to ''");
  assert.deepEqual(went(await reader.query('select 1')), ['standby (read)']);
});

test('a hint sends its statement to the primary wherever it stands, also in one that is prepared', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await explained(proxy, 'eventual');
  for (const text of [
    '/* switchyard: primary */ select 1',
    'select /*switchyard:PRIMARY*/ 1',
    'select 1 --  switchyard:   primary',
  ]) {
    assert.deepEqual(went(await client.query(text)), ['primary (hint)'], text);
    assert.deepEqual(went(await client.extended(text)), ['primary (hint)'], text);
  }
  await client.unit(parse('/* switchyard: primary */ select here()', { name: 'hinted' }), sync());
  await run(client, 'select 1');
  const used = await client.unit(bind({ statement: 'hinted' }), execute(), sync());
  assert.deepEqual([went(used), used.rows], [['primary (hint)'], [['node1']]]);
  await run(client, 'begin read only', 'select 1');
  assert.deepEqual(went(await client.query('/* switchyard: primary */ select 1')), ['standby (transaction)']);
  await run(client, 'commit');
});
