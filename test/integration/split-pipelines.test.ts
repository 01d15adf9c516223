import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RawClient } from '../support/raw-client.js';
import { frontend, message } from '../support/raw-messages.js';
import type { RawReply } from '../support/raw-reply.js';
import { ownBackends } from './core-lab.js';
import { caughtUp, explained, readsAt, run, splitCluster, startSplit, typesOf, went } from './split-lab.js';

// In both pool modes.

const cluster = splitCluster();

const { parse, bind, execute, sync, query, describe, flush } = frontend;

const READ = 'select here(), $1::text';
const WRITE = 'insert into notes(note) values ($1) returning here(), note';

/** A statement with one value in the extended protocol, without its Sync. */
const batch = (text: string, value: string): Buffer =>
  Buffer.concat([parse(text), bind({ values: [value] }), execute()]);
const unit = (text: string, value: string): Buffer => Buffer.concat([batch(text, value), sync()]);

async function replies(client: RawClient, count: number): Promise<RawReply[]> {
  const all: RawReply[] = [];
  for (let n = 0; n < count; n += 1) all.push(await client.reply());
  return all;
}

/** The second column of each answer: what was sent in. */
const values = (all: readonly RawReply[]): (string | null | undefined)[] => all.map(({ rows }) => rows[0]?.[1]);
const nodes = (all: readonly RawReply[]): string[] =>
  all.map(({ rows }) => (rows[0]?.[0] === 'node1' ? 'primary' : 'standby'));

test('pipelined reads are answered in order, all by a standby', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await proxy.login('eventual');
  const wanted = Array.from({ length: 500 }, (_, n) => `read ${n}`);
  client.send(...wanted.map((value) => unit(READ, value)));
  const all = await replies(client, wanted.length);
  assert.deepEqual(values(all), wanted);
  assert.deepEqual(new Set(nodes(all)), new Set(['standby']));
});

test('pipelined reads and writes are answered in order, and each does what it would do alone', async (t) => {
  const proxy = await startSplit(t, cluster());
  for (const listener of ['split', 'eventual']) {
    const client = await proxy.login(listener);
    // Reads before writes, writes before reads, one after the other, and in blocks.
    const patterns = ['RRRWRRR', 'WRWRWRWRWR', 'RRRRRRWWWWWWRRRRRR', 'WWWWRRRRWWWW', 'RW'.repeat(40)];
    for (const [at, pattern] of patterns.entries()) {
      const wanted = [...pattern].map((_, n) => `${listener} ${at}.${n}`);
      client.send(...[...pattern].map((kind, n) => unit(kind === 'R' ? READ : WRITE, wanted[n] ?? '')));
      const all = await replies(client, pattern.length);
      assert.deepEqual(values(all), wanted, pattern);
      const target = nodes(all);
      [...pattern].forEach((kind, n) => kind === 'W' && assert.equal(target[n], 'primary', pattern));
      if (pattern.startsWith('R')) assert.equal(target[0], 'standby', pattern);
      await caughtUp(proxy);
      assert.notEqual(await readsAt(client), 'node1');
    }
  }
});

test('a pipelined read behind a write sees what was written', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await proxy.login();
  for (let n = 0; n < 50; n += 1) {
    const value = `seen ${n}`;
    client.send(unit(WRITE, value), unit(`select here(), note from notes where note = $1`, value));
    const [, read] = await replies(client, 2);
    assert.deepEqual(read?.rows[0]?.[1], value);
  }
});

test('units of both protocols, of errors and of transactions can be mixed in one pipeline', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await proxy.login('eventual');
  client.send(
    query('select 1'),
    unit(READ, 'a'),
    unit('select here(), 1/$1::int', '0'),
    unit(READ, 'b'),
    query("insert into notes(note) values ('piped')"),
    unit(WRITE, 'c'),
    query('selec'),
    unit(READ, 'd'),
    query('begin'),
    unit(WRITE, 'e'),
    query('rollback'),
    query(''),
    query('begin read only'),
    unit(READ, 'f'),
    query('commit'),
    unit(WRITE, 'g'),
  );
  const all = await replies(client, 16);
  assert.deepEqual(
    all.map(({ error, tags }) => error?.code ?? tags[0] ?? ''),
    [
      'SELECT 1',
      'SELECT 1',
      '22012',
      'SELECT 1',
      'INSERT 0 1',
      'INSERT 0 1',
      '42601',
      'SELECT 1',
      'BEGIN',
      'INSERT 0 1',
      'ROLLBACK',
      '',
      'BEGIN',
      'SELECT 1',
      'COMMIT',
      'INSERT 0 1',
    ],
  );
  assert.deepEqual(
    values(all).filter((value) => value !== undefined),
    ['a', 'b', 'c', 'd', 'e', 'f', 'g'],
  );
  assert.equal(all.map(({ status }) => status).join(''), 'IIIIIIIITTIITTII');
});

test('a unit that reads and writes is on the primary as a whole, and is undone as a whole', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await explained(proxy);
  for (const texts of [
    [READ, WRITE],
    [WRITE, READ],
    [READ, READ, READ, WRITE, READ],
  ]) {
    const reply = await client.unit(...texts.map((text, n) => batch(text, `batch ${n}`)), sync());
    assert.deepEqual([went(reply), reply.rows.map(([node]) => node)], [['primary (write)'], texts.map(() => 'node1')]);
  }
  await caughtUp(proxy);
  const onlyReads = await client.unit(...Array.from({ length: 300 }, (_, n) => batch(READ, String(n))), sync());
  assert.deepEqual(
    [went(onlyReads), onlyReads.rows.map(([, n]) => n)],
    [['standby (read)'], Array.from({ length: 300 }, (_, n) => String(n))],
  );
  const failed = await client.unit(
    batch(WRITE, 'undone'),
    batch('select 1/$1::int', '0'),
    batch(WRITE, 'undone'),
    sync(),
  );
  assert.equal(failed.error?.code, '22012');
  await caughtUp(proxy);
  assert.deepEqual(await client.rows(`select count(*) from notes where note = 'undone'`), [['0']]);
});

test('one unit may hold more requests than may be outstanding', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await explained(proxy, 'eventual');
  for (const [text, decision] of [
    [READ, 'standby (read)'],
    [WRITE, 'primary (write)'],
  ] as const) {
    const count = 3_000;
    const reply = await client.unit(
      parse(text, { name: text.slice(0, 6) }),
      ...Array.from({ length: count }, (_, n) =>
        Buffer.concat([bind({ statement: text.slice(0, 6), values: [String(n)] }), execute()]),
      ),
      sync(),
    );
    assert.deepEqual(
      [went(reply), reply.error, reply.rows.length, reply.rows.at(-1)?.[1]],
      [[decision], null, count, String(count - 1)],
    );
  }
});

test('units that arrive byte by byte are routed like any other', ownBackends, async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await explained(proxy, 'eventual');
  const units: readonly (readonly [bytes: Buffer, decision: string, types: string])[] = [
    [unit(READ, 'a'), 'standby (read)', '12DCZ'],
    [unit(WRITE, 'b'), 'primary (write)', '12DCZ'],
    [query('select here()'), 'standby (read)', 'TDCZ'],
    [query("insert into notes(note) values ('c')"), 'primary (write)', 'CZ'],
    [Buffer.concat([batch(READ, 'd'), batch(WRITE, 'e'), sync()]), 'primary (write)', '12DC12DCZ'],
    [sync(), 'primary (neutral)', 'Z'],
    [Buffer.concat([parse(READ, { name: 's' }), describe('S', 's'), sync()]), 'standby (read)', '1tTZ'],
    [query(''), 'standby (neutral)', 'IZ'],
  ];
  for (const [bytes, decision, types] of units) {
    for (const byte of bytes) await client.sendFlushed(Buffer.from([byte]));
    const reply = await client.reply();
    assert.deepEqual([went(reply), typesOf(reply)], [[decision], types]);
  }
});

test('a unit that is cut anywhere is routed like a whole one, whatever was sent before', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await proxy.login('eventual');
  const bytes = Buffer.concat([unit(READ, 'read'), unit(WRITE, 'write'), query('select here(), $$simple$$')]);
  for (let cut = 1; cut < bytes.length; cut += 1) {
    await client.sendFlushed(bytes.subarray(0, cut));
    // So that the rest comes with a chunk of its own.
    await new Promise((resolve) => void setImmediate(resolve));
    await client.sendFlushed(bytes.subarray(cut));
    const all = await replies(client, 3);
    assert.deepEqual([values(all), nodes(all)[1]], [['read', 'write', 'simple'], 'primary'], `cut at ${cut}`);
  }
});

test('values of a megabyte pass through reads and writes', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await explained(proxy, 'eventual');
  const big = 'x'.repeat(1024 * 1024);
  const length = 'select here(), length($1)';
  for (let round = 0; round < 2; round += 1) {
    const read = await client.unit(unit(length, big));
    assert.deepEqual([read.error, read.rows[0]?.[1]], [null, String(big.length)]);
    const echoed = await client.unit(unit(READ, big));
    assert.deepEqual([echoed.error, echoed.rows[0]?.[1]?.length], [null, big.length]);
    const written = await client.unit(unit('insert into notes(note) values ($1) returning here(), length(note)', big));
    assert.deepEqual([written.error, written.rows[0]], [null, ['node1', String(big.length)]]);
    client.send(
      unit(length, big),
      unit(READ, 'between'),
      unit('insert into notes(note) values ($1) returning here(), 1', big),
      unit(READ, 'behind'),
    );
    assert.deepEqual(values(await replies(client, 4)), [String(big.length), 'between', '1', 'behind']);
  }
  const text = await client.query(`select here(), length('${big}')`);
  assert.deepEqual([text.error, text.rows[0]?.[1]], [null, String(big.length)]);
});

test('what is longer than limits.inspect goes to the primary, and the session with it as long as nobody knows what it did', async (t) => {
  const proxy = await startSplit(t, cluster(), { limits: { inspect: '64kB' } });
  const client = await explained(proxy, 'eventual');
  const big = 'x'.repeat(200 * 1024);
  const simple = await client.query(`select length('${big}')`);
  assert.deepEqual([went(simple), simple.rows], [['primary (unread)'], [[String(big.length)]]]);
  await run(client, 'discard all');
  assert.notEqual(await readsAt(client), 'node1');
  // Only a value is long: what runs is known, so that nothing stays behind.
  const bound = await client.unit(unit('select here(), length($1)', big));
  assert.deepEqual([went(bound), bound.rows], [['primary (unread)'], [['node1', String(big.length)]]]);
  assert.notEqual(await readsAt(client), 'node1');
  await run(client, 'begin read only');
  const moved = await client.unit(unit('select here(), length($1)', big));
  assert.deepEqual([moved.error, moved.rows, moved.status], [null, [['node1', String(big.length)]], 'T']);
  await run(client, 'commit', 'begin read only', 'select 1');
  const stays = await client.unit(unit('select here(), length($1)', big));
  assert.deepEqual([stays.error, stays.rows[0]?.[0] === 'node1', stays.status], [null, false, 'T']);
  await run(client, 'commit');
  const small = await client.unit(unit('select here(), length($1)', 'x'.repeat(1024)));
  assert.deepEqual(went(small), ['standby (read)']);
  const many = await client.unit(...Array.from({ length: 100 }, () => batch(READ, 'x'.repeat(1024))), sync());
  assert.deepEqual([went(many), many.rows.length], [['primary (unread)'], 100]);
  assert.notEqual(await readsAt(client), 'node1');
});

test('what is no unit ends with the error of a node, and the next one is served', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await proxy.login('eventual');
  for (const bytes of [
    Buffer.concat([execute('no such portal'), sync()]),
    Buffer.concat([describe('S', 'no such statement'), sync()]),
    Buffer.concat([message('B', Buffer.from('\0\0')), sync()]),
    Buffer.concat([message('P', Buffer.from('x')), sync()]),
    Buffer.concat([bind({ values: ['too', 'many'] }), execute(), flush(), sync()]),
  ]) {
    const reply = await client.unit(bytes);
    assert.ok(reply.error !== null, bytes.toString('latin1'));
    if (reply.closed) return;
    assert.equal(reply.status, 'I');
    assert.notEqual(await readsAt(client), 'node1');
  }
});

test('COPY into a table may be pipelined as a whole, with the Syncs that it ignores', async (t) => {
  const proxy = await startSplit(t, cluster());
  const data = Buffer.concat([frontend.copyData('copied\n'), frontend.copyDone()]);
  for (const login of [explained(proxy), proxy.login('split')]) {
    const client = await login;
    await readsAt(client);
    const copy = Buffer.concat([parse('copy notes(note) from stdin'), bind(), execute()]);
    client.send(copy, sync(), data, sync(), unit(READ, 'behind'));
    const asked = await client.reply();
    assert.equal(typesOf(asked), '12G');
    const done = await client.reply();
    assert.deepEqual([done.error, done.tags], [null, ['COPY 1']]);
    assert.deepEqual(values([await client.reply()]), ['behind']);
    client.send(copy, data, sync(), unit(READ, 'behind'));
    await client.reply();
    assert.deepEqual((await client.reply()).tags, ['COPY 1']);
    assert.deepEqual(values([await client.reply()]), ['behind']);
    await caughtUp(proxy);
    assert.notEqual(await readsAt(client), 'node1');
  }
});
