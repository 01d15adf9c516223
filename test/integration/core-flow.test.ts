import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { sendSignal } from '../../src/cli/demo/postgres/process-tree.js';
import { OUTSTANDING_MAX } from '../../src/protocol/request-tracker.js';
import { waitFor } from '../support/processes.js';
import { frontend } from '../support/raw-messages.js';
import type { RawClient } from '../support/raw-client.js';
import { CoreProxy, TIMEOUT_MS, backendPid, sharedCluster, waitForBackend } from './core-lab.js';

// In both pool modes.
// With both engines.

const MB = 1024 * 1024;
/** What one client may cost this process beyond what it costs anyway: far above the buffers, far below what is sent. */
const GROWTH_BYTES_MAX = 32 * MB;
const SENT_BYTES = 200 * MB;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const cluster = sharedCluster({
  standbys: 0,
  appStatements: ['create unlogged table sink(line text)', 'alter table sink owner to app'],
});

/** Memory in use by this process: JavaScript's heap and what lies beside it (the buffers). */
function usedBytes(): number {
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Waits until a number has not changed for many looks in a row. */
async function waitUntilStill(value: () => number, what: string): Promise<void> {
  let last = value();
  let still = 0;
  const look = (): boolean => {
    still = value() === last ? still + 1 : 0;
    last = value();
    return still >= 25;
  };
  await waitFor(look, { timeoutMs: TIMEOUT_MS, what: `${what} to stand still` });
}

/** Sends a chunk again and again until so many bytes are sent or the client is told to stop; never more than one chunk is kept. */
async function pump(client: RawClient, chunk: Buffer, bytes: number, sent: { bytes: number }): Promise<void> {
  while (sent.bytes < bytes) {
    await client.sendFlushed(chunk);
    sent.bytes += chunk.length;
  }
}

test('a client that reads nothing of 200 MB costs a bounded amount, and others are served meanwhile', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  const client = await proxy.login();
  const other = await proxy.login();
  const pid = await backendPid(client);
  const before = usedBytes();
  client.stopReading();
  client.send(frontend.query(`select repeat('x', ${MB}) from generate_series(1, 200)`));
  await waitForBackend(cluster().primary, pid, 'ClientWrite');
  await waitUntilStill(() => proxy.app.counters.clientBytesOut, 'the answer');
  assert.ok(usedBytes() - before < GROWTH_BYTES_MAX, `grew by ${usedBytes() - before} bytes`);
  assert.deepEqual(await other.rows('select 1'), [['1']]);
  // It is only late: everything comes when it reads again.
  client.startReading();
  let bytes = 0;
  for (let type = ''; type !== 'Z'; ) {
    const next = await client.read();
    assert.ok(next);
    type = next.type;
    if (type === 'D') bytes += next.body.length - 6;
  }
  assert.equal(bytes, SENT_BYTES);
  await client.end();
  await proxy.checkAfterAbuse(1);
});

test('a client that reads nothing is let go of, with its backend, when it breaks off', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  const client = await proxy.login();
  const pid = await backendPid(client);
  client.stopReading();
  client.send(frontend.query(`select repeat('x', ${MB}) from generate_series(1, 200)`));
  await waitForBackend(cluster().primary, pid, 'ClientWrite');
  client.reset();
  await proxy.waitForRest();
  await waitForBackend(cluster().primary, pid, null);
  await proxy.checkAfterAbuse();
});

test('200 MB of COPY for a backend that is frozen cost a bounded amount, and all of it arrives later', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  const client = await proxy.login();
  const pid = Number(await backendPid(client));
  assert.equal((await client.query('copy sink from stdin')).types, 'G');
  const chunk = frontend.copyData(Buffer.concat([Buffer.alloc(MB - 1, 'y'), Buffer.from('\n')]));
  const sent = { bytes: 0 };
  const wanted = 200 * chunk.length;
  t.after(() => sendSignal(pid, 'SIGCONT'));
  sendSignal(pid, 'SIGSTOP');
  const before = usedBytes();
  const pumping = pump(client, chunk, wanted, sent);
  await waitUntilStill(() => proxy.app.counters.clientBytesIn, 'what is read from the client');
  assert.ok(sent.bytes < wanted / 2, 'the client was not stopped');
  assert.ok(usedBytes() - before < GROWTH_BYTES_MAX, `grew by ${usedBytes() - before} bytes`);
  sendSignal(pid, 'SIGCONT');
  await pumping;
  const reply = await client.unit(frontend.copyDone());
  assert.deepEqual(reply.tags, ['COPY 200']);
  await client.rows('truncate sink');
  await client.end();
  await proxy.checkAfterAbuse();
});

for (const [what, request] of [
  ['queries with long answers', frontend.query(`select repeat('z', 500)`)],
  ['empty queries', frontend.query('')],
  ['Syncs', frontend.sync()],
  ['Flushes', frontend.flush()],
  ['statements that are never run', Buffer.concat([frontend.parse('select 1'), frontend.sync()])],
] as const) {
  test(`a client that only sends ${what} and never listens is stopped, not stored, and holds nobody up`, async (t) => {
    const proxy = await CoreProxy.start(t, cluster().nodes);
    const [client, other] = [await proxy.login(), await proxy.login()];
    for (const each of [client, other]) await each.rows('select 1');
    client.stopReading();
    const chunk = Buffer.concat(Array.from({ length: Math.ceil(65_536 / request.length) }, () => request));
    const sent = { bytes: 0 };
    const before = usedBytes();
    // Flushes are answered with nothing, so that nothing stops them.
    const bytes = what === 'Flushes' ? 8 * MB : SENT_BYTES;
    const pumping = pump(client, chunk, bytes, sent).catch(() => {});
    await waitUntilStill(() => proxy.app.counters.clientBytesIn, 'what is read from the client');
    if (what !== 'Flushes') assert.ok(sent.bytes < SENT_BYTES / 2, 'the client was not stopped');
    const startedAtMs = performance.now();
    assert.deepEqual(await other.rows('select 2'), [['2']]);
    assert.ok(performance.now() - startedAtMs < 1_000);
    assert.ok(usedBytes() - before < GROWTH_BYTES_MAX, `grew by ${usedBytes() - before} bytes`);
    client.reset();
    await pumping;
    await proxy.checkAfterAbuse(1);
  });
}

test('one unit may hold many times more requests than may be outstanding, and fail in the middle', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  const client = await proxy.login();
  const runs = 3 * OUTSTANDING_MAX;
  const unit = (badRun: number): Buffer[] => [
    frontend.parse('select 10 / $1::int'),
    ...Array.from({ length: runs }, (_, n) =>
      Buffer.concat([frontend.bind({ values: [n === badRun ? '0' : '5'] }), frontend.execute()]),
    ),
    frontend.sync(),
  ];
  for (const badRun of [-1, 10, runs - 10]) {
    client.send(...unit(badRun));
    const reply = await client.reply();
    assert.equal(reply.rows.length, badRun < 0 ? runs : badRun);
    assert.equal(reply.error?.code, badRun < 0 ? undefined : '22012');
    assert.deepEqual(await client.rows('select 1'), [['1']]);
  }
});

test('a client that sends many units and then ends its sending side gets every answer', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  const client = await proxy.login();
  await client.rows('select 1');
  const units = 2 * OUTSTANDING_MAX;
  client.send(...Array.from({ length: units }, (_, n) => frontend.query(n % 1000 === 0 ? `select ${n}` : '')));
  client.halfClose();
  const heard = await client.closed();
  assert.equal(heard.filter(({ type }) => type === 'Z').length, units);
  assert.equal(heard.filter(({ type }) => type === 'D').length, Math.ceil(units / 1000));
  await proxy.checkAfterAbuse();
});

test('what is not the protocol ends the session with FATAL 08P01, and only it', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes, { limits: { message: '64kB', inspect: '16kB' } });
  const witness = await proxy.login();
  const tooLong = frontend.query(`select '${'x'.repeat(64 * 1024)}'`);
  const garbage: Readonly<Record<string, readonly Buffer[]>> = {
    'a message above limits.message': [tooLong],
    'the header alone of a message above limits.message': [tooLong.subarray(0, 5)],
    'CopyData above limits.message': [frontend.query('copy sink from stdin'), frontend.copyData(tooLong)],
    'an unknown type': [Buffer.from('!\0\0\0\x04')],
    'a type of the other side': [Buffer.from('Z\0\0\0\x05I')],
    'a length below four': [Buffer.from('Q\0\0\0\x03')],
    'a length of two gigabytes': [Buffer.from('Q\x7f\xff\xff\xff')],
    'a negative length': [Buffer.from('Q\xff\xff\xff\xff', 'latin1')],
    'a startup packet': [frontend.startup({ user: 'app' })],
    'bytes out of nowhere': [Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    'garbage in the middle of a unit': [frontend.parse('select 1'), Buffer.from('!\0\0\0\x04')],
    'garbage behind a query': [frontend.query('select 1'), Buffer.from('!\0\0\0\x04')],
  };
  for (const [what, bytes] of Object.entries(garbage)) {
    for (const isAttached of [false, true]) {
      const client = await proxy.login();
      if (isAttached) await client.rows('select 1');
      client.send(...bytes);
      const last = (await client.closed()).at(-1);
      assert.equal(last?.type, 'E', what);
      const text = last.body.toString('latin1');
      assert.match(text, /SFATAL\0VFATAL\0C08P01\0/, what);
      await proxy.waitForRest(1);
    }
  }
  assert.deepEqual(await witness.rows('select 1'), [['1']]);
  await proxy.checkAfterAbuse(1);
});

test('a row above limits.message costs its statement, with an honest error, and not the session', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes, { limits: { message: '64kB', inspect: '16kB' } });
  const client = await proxy.login();
  const reply = await client.query(`select 1 union all select 2`);
  assert.equal(reply.rows.length, 2);
  const failed = await client.query(`select repeat('x', 70000)`);
  assert.equal(failed.error?.severity, 'ERROR');
  assert.match(failed.error.message, /invalid message length 70\d\d\d/);
  assert.equal(failed.status, 'I');
  assert.deepEqual(await client.rows('select 1'), [['1']]);
  await client.end();
  await proxy.checkAfterAbuse();
});

test('a value of 64 MB comes through whole to a client that reads slowly', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  const client = await proxy.login();
  const value = `(select string_agg(md5(i::text), '') from generate_series(1, ${2 * MB}) i)`;
  const [expected] = await cluster().sql(`select md5(${value})`);
  let isReading = true;
  const stutter = setInterval(() => {
    isReading = !isReading;
    if (isReading) client.startReading();
    else client.stopReading();
  }, 2);
  t.after(() => clearInterval(stutter));
  client.send(frontend.query(`select ${value}`));
  const reply = await client.reply();
  clearInterval(stutter);
  client.startReading();
  const got = reply.rows[0]?.[0] ?? '';
  assert.equal(got.length, 64 * MB);
  assert.equal(createHash('md5').update(got).digest('hex'), expected?.['md5']);
  assert.deepEqual(await client.rows('select 1'), [['1']]);
});
