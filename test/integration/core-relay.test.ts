import assert from 'node:assert/strict';
import { test } from 'node:test';
import { waitFor } from '../support/processes.js';
import { RawClient } from '../support/raw-client.js';
import { cString, frontend, message } from '../support/raw-messages.js';
import type { RawMessage } from '../support/raw-messages.js';
import { roles } from '../support/roles.js';
import { backendPid, CoreProxy, nodeOf, ownBackends, sharedCluster, TIMEOUT_MS, waitForBackend } from './core-lab.js';

// In both pool modes.
// With both engines.

const cluster = sharedCluster({
  standbys: 1,
  appStatements: [
    'create table copied(a int primary key, b text)',
    'alter table copied owner to app',
    `create function warn() returns int language plpgsql as $$ begin raise notice 'look'; return 7; end $$`,
  ],
});

/** Bytes to be sent, and the type of the message that the answer is read up to, as often as the letter is there. */
type Step = readonly [bytes: Buffer, until: string];

const { query, parse, bind, describe, execute, sync, flush, close, copyData, copyDone, copyFail } = frontend;
const all = (...parts: readonly Buffer[]): Buffer => Buffer.concat(parts);
const copyIn = 'copy copied from stdin';

/** Conversations in which a client must hear through the proxy exactly what it hears from the node. */
const conversations: Readonly<Record<string, readonly Step[]>> = {
  'simple queries': [
    [query(`select 1 as a, null as b, 'x' as c`), 'Z'],
    [query('select 1; select 2 where false; values (3)'), 'Z'],
    [query(''), 'Z'],
    [query('  ; -- nothing'), 'Z'],
    [query('selec 1'), 'Z'],
    [query('select 1; select 1/0; select 2'), 'Z'],
  ],
  'a transaction, its failure and its end': [
    [query('begin'), 'Z'],
    [query('select 1/0'), 'Z'],
    [query('select 1'), 'Z'],
    [query('rollback'), 'Z'],
    [query('begin; select 1; commit'), 'Z'],
  ],
  'the extended protocol with text and binary results': [
    [all(parse('select $1::int + 1 as n'), bind({ values: ['41'] }), describe('P'), execute(), sync()), 'Z'],
    [all(parse('select $1::int + 1'), bind({ values: ['41'], resultFormat: 1 }), execute(), sync()), 'Z'],
    [all(parse(''), bind(), describe('P'), execute(), sync()), 'Z'],
    [sync(), 'Z'],
  ],
  'named statements, Describe and Close': [
    [all(parse('select $1::text, $2::int', { name: 's1' }), describe('S', 's1'), sync()), 'Z'],
    [all(bind({ statement: 's1', portal: 'p1', values: ['x', null] }), describe('P', 'p1'), sync()), 'Z'],
    [all(bind({ statement: 's1', values: ['y', '2'] }), execute(), close('S', 's1'), sync()), 'Z'],
    [all(describe('S', 's1'), sync()), 'Z'],
    [all(close('S', 'never there'), close('P', 'nor this'), sync()), 'Z'],
    [all(parse('insert into nowhere values (1)', { name: 'bad' }), describe('S', 'bad'), sync()), 'Z'],
  ],
  'portals with a row limit': [
    [query('begin'), 'Z'],
    [all(parse('select generate_series(1, 5)'), bind({ portal: 'c' }), execute('c', 2), flush()), 's'],
    [all(execute('c', 2), flush()), 's'],
    [all(execute('c', 2), sync()), 'Z'],
    [all(execute('c', 2), close('P', 'c'), sync()), 'Z'],
    [query('commit'), 'Z'],
  ],
  'Flush without Sync': [
    [all(parse('select $1::int'), flush()), '1'],
    [all(bind({ values: ['5'] }), flush()), '2'],
    [all(describe('P'), flush()), 'T'],
    [all(execute(), flush()), 'C'],
    [sync(), 'Z'],
    [all(parse('select 1 / (random() * 0)::int'), bind(), flush()), '2'],
    [all(execute(), flush()), 'E'],
    [all(parse('select 2'), bind(), execute(), flush(), sync()), 'Z'],
  ],
  'several units sent at once': [
    [all(query('select 1'), query('select 2'), query('select 3')), 'ZZZ'],
    [
      all(
        ...[1, 2, 3].map((n) => all(parse(`select ${n}`), bind(), execute(), sync())),
        query('select 4'),
        all(parse('select 5'), bind(), describe('P'), execute(), sync()),
        sync(),
      ),
      'ZZZZZZ',
    ],
  ],
  'errors in the middle of what was sent at once': [
    [
      all(
        all(parse('select 1'), bind(), execute(), sync()),
        all(parse('select 1/0'), bind(), execute(), parse('select 2'), bind(), describe('P'), execute(), sync()),
        all(parse('selec'), bind(), execute(), close('S', 'x'), sync()),
        query('select 3'),
        all(bind({ statement: 'unknown' }), execute(), sync()),
        all(parse('select 4'), bind(), execute(), sync()),
      ),
      'ZZZZZZ',
    ],
    [all(query('begin'), query('select 1/0'), query('select 1'), query('rollback')), 'ZZZZ'],
  ],
  'settings that are reported': [
    [query(`set application_name = 'Ä ''x'''`), 'Z'],
    [query(`set datestyle = 'German, DMY'`), 'Z'],
    [query(`begin; set local timezone = 'Asia/Tokyo'; select 1`), 'Z'],
    [query('commit'), 'Z'],
    [query('reset all'), 'Z'],
    [all(parse(`set intervalstyle = 'iso_8601'`), bind(), execute(), sync()), 'Z'],
    [query('discard all'), 'Z'],
  ],
  notices: [
    [query('select warn()'), 'Z'],
    [query('drop table if exists nowhere'), 'Z'],
    [all(parse('select warn()'), bind(), execute(), sync()), 'Z'],
  ],
  'COPY out': [
    [query(`copy (select i, repeat('x', i) from generate_series(1, 200) i) to stdout`), 'Z'],
    [query('copy (select 1) to stdout; select 2; copy (select 3) to stdout'), 'Z'],
    [all(parse('copy (select 1) to stdout'), bind(), describe('P'), execute(), sync()), 'Z'],
    [query('copy (select 1 / (3 - i) from generate_series(1, 9) i) to stdout'), 'Z'],
  ],
  'COPY in': [
    [query(copyIn), 'G'],
    [all(copyData('1\tone\n'), copyData('2\ttw'), copyData('o\n'), copyDone()), 'Z'],
    [query('select * from copied order by a'), 'Z'],
    [all(query(`${copyIn}; truncate copied; ${copyIn}; select count(*) from copied`)), 'G'],
    [all(copyData('3\tthree\n'), copyDone()), 'G'],
    [all(copyData('4\tfour\n'), copyDone()), 'Z'],
    [query('truncate copied'), 'Z'],
  ],
  'COPY in that fails': [
    [query(copyIn), 'G'],
    [all(copyData('1\tone\n'), copyFail('changed my mind')), 'Z'],
    [query(copyIn), 'G'],
    [all(copyData('1\tone\nnot a number\tx\n'), copyData('2\ttwo\n'), copyDone()), 'Z'],
    [query('select 1'), 'Z'],
    // Data that the node does not wait for any more, or never did, is dropped by it without a word.
    [all(copyData('5\tfive\n'), copyDone(), query('select 2')), 'Z'],
    [query('select count(*) from copied'), 'Z'],
  ],
  'COPY in through the extended protocol, whose first Sync the node swallows': [
    [all(parse(copyIn), bind(), describe('P'), execute(), sync()), 'G'],
    [all(copyData('1\tone\n'), copyDone(), sync()), 'Z'],
    [all(parse(copyIn), bind(), execute(), sync()), 'G'],
    [all(copyData('2\ttwo\n'), copyFail('no'), sync()), 'Z'],
    [all(parse(copyIn), bind(), execute(), sync()), 'G'],
    [all(copyData('1\tagain\n'), copyDone(), sync()), 'Z'],
    [all(parse(copyIn), bind(), execute(), copyData('3\tthree\n'), copyDone(), sync()), 'Z'],
    [all(parse('select a from copied order by a'), bind(), execute(), sync()), 'Z'],
    [query('truncate copied'), 'Z'],
  ],
};

/** Runs a conversation and returns what was heard, as text. */
async function hear(client: RawClient, steps: readonly Step[], isByteByByte: boolean): Promise<string[]> {
  const heard: string[] = [];
  for (const [bytes, until] of steps) {
    if (isByteByByte) for (const byte of bytes) await client.sendFlushed(Buffer.from([byte]));
    else client.send(bytes);
    for (const last of until) {
      for (let type = ''; type !== last; ) {
        const next: RawMessage | null = await client.read();
        assert.ok(next, `the connection ended after ${heard.join(' ')}`);
        type = next.type;
        heard.push(`${type} ${next.body.toString('latin1')}`);
      }
    }
  }
  return heard;
}

for (const [title, steps] of Object.entries(conversations)) {
  test(`${title}: a client hears what it hears from the node itself, sent at once or byte by byte`, async (t) => {
    const proxy = await CoreProxy.start(t, cluster().nodes);
    const direct = await RawClient.login({ port: cluster().primary.port, ...roles.app, timeoutMs: TIMEOUT_MS });
    const expected = await hear(direct, steps, false);
    await direct.end();
    for (const isByteByByte of [false, true]) {
      const client = await proxy.login();
      assert.deepEqual(await hear(client, steps, isByteByByte), expected);
      // Nothing of it is left: the session is at a boundary, and the next conversation is the same.
      assert.deepEqual(await client.rows('select 7'), [['7']]);
      assert.deepEqual(await hear(client, steps, isByteByByte), expected);
      await client.end();
    }
    await proxy.checkAfterAbuse();
  });
}

test('FunctionCall is answered', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  const client = await proxy.login();
  const oid = Number((await client.rows(`select 'int4pl(int,int)'::regprocedure::oid`))[0]?.[0]);
  const argument = (text: string): Buffer => all(int32(text.length), Buffer.from(text));
  const call = message('F', int32(oid), int16(0), int16(2), argument('40'), argument('2'), int16(0));
  const reply = await client.unit(call);
  assert.equal(reply.types, 'VZ');
  assert.equal(reply.messages[0]?.body.toString('latin1', 4), '42');
  const failed = await client.unit(message('F', int32(0), int16(0), int16(0), int16(0)));
  assert.equal(failed.types, 'EZ');
  await client.end();
  await proxy.waitForRest();
});

test('a notification reaches an idle listener at once, and the notifying session itself', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  const listener = await proxy.login();
  const other = await proxy.login();
  await listener.rows('listen news');
  await other.rows(`notify news, 'from the other'`);
  const heard = await listener.read();
  assert.equal(heard?.type, 'A');
  assert.deepEqual(
    listener.notifications.map(({ channel, payload }) => [channel, payload]),
    [['news', 'from the other']],
  );
  const own = await listener.query(`notify news, 'own'`);
  assert.equal(own.types, 'CAZ');
  await proxy.waitForRest(2);
});

test('a client that sends a statement in pieces with others in between keeps both apart', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  const [slow, quick] = [await proxy.login(), await proxy.login()];
  const bytes = all(query('select 1'), query(`select ${'2'.repeat(9)}`));
  slow.send(bytes.subarray(0, bytes.length - 6));
  assert.deepEqual((await slow.reply()).rows, [['1']]);
  for (let n = 0; n < 20; n += 1) assert.deepEqual(await quick.rows(`select ${n}`), [[String(n)]]);
  slow.send(bytes.subarray(bytes.length - 6));
  assert.deepEqual((await slow.reply()).rows, [['222222222']]);
});

test('thousands of units sent at once are all answered, in their order', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  const client = await proxy.login();
  const units = Array.from({ length: 5000 }, (_, n) =>
    n % 2 === 0 ? query(`select ${n}`) : all(parse(`select ${n}`), bind(), execute(), sync()),
  );
  client.send(...units);
  for (let n = 0; n < units.length; n += 1) assert.deepEqual((await client.reply()).rows, [[String(n)]]);
  await client.end();
  await proxy.checkAfterAbuse();
});

test('a client that ends its sending side in the middle of a query still gets the answer', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  const client = await proxy.login();
  const pid = await backendPid(client);
  client.send(query('select pg_sleep(0.3), 42'));
  await waitForBackend(cluster().primary, pid, 'PgSleep');
  client.halfClose();
  const reply = await client.reply();
  assert.equal(reply.rows[0]?.[1], '42');
  assert.deepEqual(await client.closed(), []);
  await proxy.checkAfterAbuse();
});

test('a client that ends its sending side before it has said all that the node needs is let go of', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  const whole = all(parse('select 1'), bind(), execute(), sync());
  for (const [bytes, answers] of [
    [parse('select 1'), ''],
    [all(parse('select 1'), bind(), execute(), flush()), ''],
    [all(whole, parse('select 2')), 'Z'],
    [all(whole, whole, parse('select 2'), bind()), 'ZZ'],
    [query(copyIn), ''],
    [all(parse(copyIn), bind(), execute(), sync()), ''],
    [query('select 1').subarray(0, 8), ''],
    [query('begin'), 'Z'],
  ] as const) {
    const client = await proxy.login();
    await client.rows('select 1');
    await client.sendFlushed(bytes);
    client.halfClose();
    const heard = (await client.closed()).map(({ type }) => type).join('');
    assert.equal(heard.replaceAll(/[^Z]/g, ''), answers);
    await proxy.waitForRest();
  }
  await proxy.checkAfterAbuse();
});

test('a client that breaks off in the middle of something takes its backend with it', ownBackends, async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  const sleep = query('select pg_sleep(0.5)');
  const begun = all(query('begin'), query('select 1'));
  const somethings = {
    sleep,
    begun,
    unit: parse('select 1'),
    message: query('select 1').subarray(0, 7),
    copy: query(copyIn),
  };
  for (const [something, bytes] of Object.entries(somethings)) {
    const client = await proxy.login();
    const pid = await backendPid(client);
    const { clientBytesIn } = proxy.app.counters;
    client.send(bytes);
    await waitFor(() => proxy.app.counters.clientBytesIn === clientBytesIn + bytes.length, {
      timeoutMs: TIMEOUT_MS,
      what: `the bytes of ${something} to be read`,
    });
    client.reset();
    await proxy.waitForRest();
    // Nothing of half a message has reached the backend: it alone can go on.
    assert.equal(proxy.backends.idle, something === 'message' ? 1 : 0, something);
    if (something !== 'message') await waitForBackend(cluster().primary, pid, null);
  }
  await proxy.checkAfterAbuse();
  assert.deepEqual(await cluster().sql(`select 1 from pg_stat_activity where usename = 'app' and state <> 'idle'`), []);
});

test('a session stays on its node and its backend', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  const client = await proxy.login();
  const before = await client.rows('select pg_backend_pid()');
  assert.equal(await nodeOf(client), 'node1');
  assert.deepEqual(await client.rows('select pg_backend_pid()'), before);
});

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

test('a garbage string in place of SQL is answered by the node', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  const client = await proxy.login();
  const reply = await client.unit(message('Q', Buffer.from([0xff, 0xfe]), cString('')));
  assert.equal(reply.error?.code, '22021');
  assert.deepEqual(await client.rows('select 1'), [['1']]);
});
