import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RawClient } from '../support/raw-client.js';
import { frontend } from '../support/raw-messages.js';
import type { RawReply } from '../support/raw-reply.js';
import { caughtUp, explained, readsAt, run, splitCluster, startSplit, typesOf, went } from './split-lab.js';

// In both pool modes.

const cluster = splitCluster();

const { parse, bind, execute, sync, close, describe, flush } = frontend;

const READ = 'select here(), name from items where id = $1';
const WRITE = 'insert into notes(note) values ($1) returning here(), note';

/** Binds a statement and runs it. */
function use(client: RawClient, statement: string, ...values: string[]): Promise<RawReply> {
  return client.unit(bind({ statement, values }), describe('P'), execute(), sync());
}

/** A unit is right when it ran on that kind of node and gave these values behind the node's name. */
function check(reply: RawReply, at: 'primary' | 'standby', ...values: readonly (string | null)[]): void {
  assert.equal(reply.error, null);
  const [node, ...rest] = reply.rows[0] ?? [];
  assert.equal(node === 'node1' ? 'primary' : 'standby', at);
  assert.deepEqual(rest, values);
}

/** Reads what a client gets up to a message of this type. */
async function upTo(client: RawClient, type: string): Promise<string> {
  for (let types = ''; ; ) {
    const message = await client.read();
    assert.ok(message, `the connection ended behind ${types}`);
    if (message.type !== 'N') types += message.type;
    if (message.type === type) return types;
  }
}

test('statements that are parsed in one unit are there in later ones, on whichever node they run', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await explained(proxy, 'eventual');
  assert.equal(typesOf(await client.unit(parse(READ, { name: 'r' }), parse(WRITE, { name: 'w' }), sync())), '11Z');
  for (let round = 1; round <= 3; round += 1) {
    check(await use(client, 'r', String(round)), 'standby', `item ${round}`);
    check(await use(client, 'w', `note ${round}`), 'primary', `note ${round}`);
    await run(client, 'begin');
    check(await use(client, 'r', '5'), 'primary', 'item 5');
    check(await use(client, 'w', 'inside'), 'primary', 'inside');
    await run(client, 'rollback', 'begin read only');
    check(await use(client, 'r', '6'), 'standby', 'item 6');
    assert.equal((await use(client, 'w', 'refused')).error?.code, '25006');
    await run(client, 'rollback');
  }
});

test('the unnamed statement survives the way from node to node until it is replaced, or a simple query destroys it', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await explained(proxy, 'eventual');
  await client.unit(parse(READ), sync());
  check(await use(client, '', '1'), 'standby', 'item 1');
  await client.unit(parse(WRITE, { name: 'w' }), bind({ statement: 'w', values: ['x'] }), execute(), sync());
  check(await use(client, '', '2'), 'standby', 'item 2');
  await client.unit(parse(WRITE), sync());
  check(await use(client, '', 'written'), 'primary', 'written');
  await client.unit(parse('select here(), $1::text'), sync());
  await use(client, 'w', 'y');
  check(await use(client, '', 'z'), 'standby', 'z');
  for (const text of ['select 1', 'delete from notes where false']) {
    await client.unit(parse(READ), sync());
    await run(client, text);
    assert.equal((await use(client, '', '1')).error?.code, '26000', text);
  }
  // By the unnamed and a named one in turn, in and out of transactions.
  await client.unit(parse(READ, { name: 'r' }), sync());
  for (let round = 0; round < 3; round += 1) {
    check(await client.extended(READ, ['3']), 'standby', 'item 3');
    check(await use(client, 'r', '4'), 'standby', 'item 4');
    await client.extended('begin');
    check(await client.extended(READ, ['5']), 'primary', 'item 5');
    check(await use(client, 'r', '6'), 'primary', 'item 6');
    check(await use(client, '', '7'), 'primary', 'item 7');
    await client.extended('commit');
    // What was parsed last is COMMIT.
    assert.equal((await use(client, '')).tags[0], 'COMMIT');
  }
});

test('a name that is used again for another text means the new one on both nodes', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await explained(proxy, 'eventual');
  const again = (text: string): Promise<RawReply> => client.unit(close('S', 's'), parse(text, { name: 's' }), sync());
  for (const [text, at, value, expected] of [
    [READ, 'standby', '1', 'item 1'],
    [WRITE, 'primary', 'a', 'a'],
    ["select here(), 'another ' || $1", 'standby', 'b', 'another b'],
    [READ, 'standby', '2', 'item 2'],
    [WRITE, 'primary', 'c', 'c'],
  ] as const) {
    assert.equal(typesOf(await again(text)), '31Z');
    check(await use(client, 's', value), at, expected);
  }
  const twice = await client.unit(parse('select 1', { name: 's' }), sync());
  assert.equal(twice.error?.code, '42P05');
  check(await use(client, 's', 'd'), 'primary', 'd');
  // On a node where it had not been prepared yet it is refused as well.
  await client.unit(parse(READ, { name: 'fresh' }), sync());
  assert.equal((await client.unit(parse(WRITE, { name: 'fresh' }), sync())).error?.code, '42P05');
  check(await use(client, 'fresh', '3'), 'standby', 'item 3');
  const failed = await client.unit(close('S', 'fresh'), parse('no sql', { name: 'fresh' }), sync());
  assert.equal(failed.error?.code, '42601');
  assert.equal((await use(client, 'fresh', '3')).error?.code, '26000');
});

test('PREPARE and EXECUTE of SQL go by what was prepared, with the protocol in between', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await explained(proxy, 'eventual');
  await run(client, 'prepare r(int) as select here(), name from items where id = $1');
  await run(client, 'prepare w(text) as insert into notes(note) values ($1) returning here(), note');
  for (let round = 0; round < 3; round += 1) {
    check(await client.query('execute r(1)'), 'standby', 'item 1');
    check(await client.query("execute w('a')"), 'primary', 'a');
    check(await use(client, 'r', '2'), 'standby', 'item 2');
    check(await client.extended('execute r(3)'), 'standby', 'item 3');
    check(await use(client, 'w', 'b'), 'primary', 'b');
  }
  await client.unit(parse(READ, { name: 'of the protocol' }), sync());
  check(await client.query('execute "of the protocol"(4)'), 'standby', 'item 4');
  assert.deepEqual(went(await client.query('execute r(nextval($$notes_id_seq$$)::int)')), [
    'primary (volatile_function)',
  ]);
  assert.deepEqual(went(await client.query('explain execute r(1)')).length, 1);
  await run(client, 'deallocate r');
  assert.equal((await client.query('execute r(1)')).error?.code, '26000');
  assert.equal((await use(client, 'r', '1')).error?.code, '26000');
  check(await client.query("execute w('c')"), 'primary', 'c');
});

test('DEALLOCATE ALL and DISCARD ALL take all statements away from both nodes', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await explained(proxy, 'eventual');
  for (const end of ['deallocate all', 'discard all', 'discard plans; deallocate all']) {
    await client.unit(parse(READ, { name: 'r' }), parse(WRITE, { name: 'w' }), sync());
    check(await use(client, 'r', '1'), 'standby', 'item 1');
    check(await use(client, 'w', 'a'), 'primary', 'a');
    await run(client, end);
    for (const name of ['r', 'w']) assert.equal((await use(client, name, '1')).error?.code, '26000', `${name}: ${end}`);
    // The names are free on both nodes.
    assert.equal(typesOf(await client.unit(parse(WRITE, { name: 'r' }), parse(READ, { name: 'w' }), sync())), '11Z');
    check(await use(client, 'w', '2'), 'standby', 'item 2');
    check(await use(client, 'r', 'b'), 'primary', 'b');
    await run(client, 'deallocate all');
  }
});

test('what asks for the description of a statement before it is bound reads on a standby all the same', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await explained(proxy, 'eventual');
  for (const [text, at, value, expected] of [
    [READ, 'standby', '1', 'item 1'],
    [WRITE, 'primary', 'a', 'a'],
    [READ, 'standby', '2', 'item 2'],
  ] as const) {
    for (const name of ['', `flushed ${at} ${expected}`]) {
      client.send(parse(text, { name }), describe('S', name), flush());
      assert.equal(await upTo(client, 'T'), '1tT');
      check(await client.unit(bind({ statement: name, values: [value] }), execute(), sync()), at, expected);
      if (name !== '') check(await use(client, name, value), at, expected);
    }
  }
});

test('a unit that reads first and writes behind a Flush is whole, and in one transaction', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await explained(proxy);
  const [[before] = []] = await client.rows('select count(*) from notes');
  // Prepared only: the write behind it is on the primary.
  client.send(parse(READ, { name: 'r1' }), describe('S', 'r1'), flush());
  assert.equal(await upTo(client, 'T'), '1tT');
  check(
    await client.unit(parse(WRITE, { name: 'w1' }), bind({ statement: 'w1', values: ['a'] }), execute(), sync()),
    'primary',
    'a',
  );
  // Executed: what comes behind may be anything.
  client.send(parse(READ), bind({ values: ['1'] }), execute(), flush());
  assert.equal(await upTo(client, 'C'), '12DC');
  check(await client.unit(bind({ statement: 'w1', values: ['b'] }), execute(), sync()), 'primary', 'b');
  // And an error behind it undoes all of the unit.
  client.send(bind({ statement: 'w1', values: ['undone'] }), execute(), flush());
  assert.equal(await upTo(client, 'C'), '2DC');
  const failed = await client.unit(parse('select 1/0'), bind(), execute(), sync());
  assert.equal(failed.error?.code, '22012');
  await caughtUp(proxy);
  assert.deepEqual(
    await client.rows(`select count(*) - ${String(before)}, count(*) filter (where note = 'undone') from notes`),
    [['2', '0']],
  );
});

test('an error behind a Flush is heard before the Sync, and the session goes on', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await explained(proxy, 'eventual');
  for (const text of ['select no_such_column from items', 'insert into no_such_table values (1)', 'selec 1']) {
    client.send(parse(text, { name: 'broken' }), describe('S', 'broken'), flush());
    assert.equal(await upTo(client, 'E'), 'E', text);
    client.send(bind({ statement: 'broken' }), execute(), flush());
    assert.equal(await client.isSilentFor(50), true);
    const end = await client.unit(sync());
    assert.deepEqual([typesOf(end), end.status], ['Z', 'I']);
    assert.notEqual(await readsAt(client), 'node1');
  }
});

test('a thousand statements of a session are there on both nodes', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await proxy.login('eventual');
  const count = 1_000;
  for (let first = 0; first < count; first += 100) {
    const parses = Array.from({ length: 100 }, (_, i) =>
      parse(`select here(), $1::text || ${first + i}`, { name: `s${first + i}` }),
    );
    assert.equal((await client.unit(...parses, sync())).error, null);
  }
  for (const begin of [null, 'begin', 'begin read only', null]) {
    if (begin !== null) await run(client, begin);
    for (let n = 0; n < count; n += 7) {
      check(await use(client, `s${n}`, 'n'), begin === 'begin' ? 'primary' : 'standby', `n${n}`);
    }
    if (begin !== null) await run(client, 'commit');
  }
  await run(client, 'deallocate all');
  assert.equal((await use(client, 's7', 'n')).error?.code, '26000');
});

test('a session with more statements than are kept of it stays on the primary with them, and comes back without them', async (t) => {
  const proxy = await startSplit(t, cluster(), { limits: { prepared_statements: 5 } });
  for (const isPipelined of [false, true]) {
    const client = await explained(proxy, 'eventual');
    const units = Array.from({ length: 12 }, (_, n) =>
      Buffer.concat([
        parse(`select here(), $1::text || ${n}`, { name: `s${n}` }),
        bind({ statement: `s${n}`, values: ['n'] }),
        execute(),
        sync(),
      ]),
    );
    if (isPipelined) client.send(...units);
    for (const [n, unit] of units.entries()) {
      if (!isPipelined) client.send(unit);
      const reply = await client.reply();
      assert.deepEqual([reply.error, reply.rows[0]?.[1]], [null, `n${n}`]);
    }
    for (const begin of [null, 'begin', null]) {
      if (begin !== null) await run(client, begin);
      for (let n = 0; n < units.length; n += 1) {
        const reply = await use(client, `s${n}`, 'again');
        assert.deepEqual([reply.error, reply.rows[0]?.[1]], [null, `again${n}`], `s${n} ${String(isPipelined)}`);
      }
      await use(client, 's0', 'x');
      if (begin !== null) await run(client, 'commit');
    }
    await run(client, 'deallocate all');
    assert.notEqual(await readsAt(client), 'node1');
  }
});
