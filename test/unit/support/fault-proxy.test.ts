import assert from 'node:assert/strict';
import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { FaultProxy } from '../../support/fault-proxy.js';
import { listenOnLoopback, refusingPort } from '../../support/ports.js';
import { waitFor } from '../../support/processes.js';

const TIMEOUT_MS = 5_000;

/** What a client has seen of its connection. */
interface Seen {
  readonly socket: Socket;
  text: string;
  ended: boolean;
  closed: boolean;
  error: string | null;
}

function watch(t: TestContext, socket: Socket): Seen {
  const seen: Seen = { socket, text: '', ended: false, closed: false, error: null };
  socket.on('data', (bytes: Buffer) => {
    seen.text += bytes.toString('latin1');
  });
  socket.on('end', () => {
    seen.ended = true;
  });
  socket.on('close', () => {
    seen.closed = true;
  });
  socket.on('error', (error: NodeJS.ErrnoException) => {
    seen.error = error.code ?? error.message;
  });
  t.after(() => socket.destroy());
  return seen;
}

/** An echo server behind a fault proxy. */
async function setUp(t: TestContext): Promise<{ proxy: FaultProxy; server: Seen[]; open: () => Seen }> {
  const server: Seen[] = [];
  const echo = createServer({ allowHalfOpen: true }, (socket) => {
    server.push(watch(t, socket));
    socket.pipe(socket);
  });
  const proxy = await FaultProxy.start(await listenOnLoopback(echo));
  t.after(() => {
    proxy.close();
    echo.close();
  });
  const open = (): Seen => watch(t, connect({ host: '127.0.0.1', port: proxy.port, allowHalfOpen: true }));
  return { proxy, server, open };
}

async function echoed(client: Seen, text: string): Promise<void> {
  client.socket.write(text);
  await waitFor(() => client.text.endsWith(text), { timeoutMs: TIMEOUT_MS, what: `the echo of ${text}` });
}

test('passes bytes and an orderly end in both directions', async (t) => {
  const { proxy, server, open } = await setUp(t);
  const client = open();
  await echoed(client, 'hello');
  assert.equal(proxy.connections, 1);
  client.socket.end();
  await waitFor(() => client.ended && server[0]?.ended, { timeoutMs: TIMEOUT_MS, what: 'both ends' });
  assert.equal(client.error, null);
  await waitFor(() => proxy.connections === 0, { timeoutMs: TIMEOUT_MS, what: 'the connection to be forgotten' });
});

test('delays each direction by the latency and keeps the order', async (t) => {
  const { proxy, open } = await setUp(t);
  const client = open();
  await echoed(client, 'warm');
  proxy.delay(60);
  const startedAtMs = performance.now();
  client.socket.write('a');
  await echoed(client, 'b');
  assert.ok(performance.now() - startedAtMs >= 119, 'two directions of 60 ms each');
  assert.equal(client.text, 'warmab');
});

test('a freeze keeps everything back, from new connections too, and a thaw delivers it', async (t) => {
  const { proxy, server, open } = await setUp(t);
  const old = open();
  await echoed(old, 'before');
  proxy.freeze();
  old.socket.write('kept');
  const late = open();
  late.socket.write('late');
  await waitFor(() => proxy.accepted === 2, { timeoutMs: TIMEOUT_MS, what: 'the second connection to be accepted' });
  await echoedNot(old, late);
  assert.equal(server.length, 1, 'the server has not seen the late connection');
  proxy.thaw();
  await waitFor(() => old.text === 'beforekept' && late.text === 'late', {
    timeoutMs: TIMEOUT_MS,
    what: 'the kept bytes',
  });
});

async function echoedNot(...clients: readonly Seen[]): Promise<void> {
  const before = clients.map((client) => client.text);
  await assert.rejects(
    waitFor(() => clients.some((client, index) => client.text !== before[index] || client.closed), {
      timeoutMs: 150,
      what: 'anything',
    }),
    /waited 150 ms/,
  );
}

test('a freeze of one direction lets the other one pass', async (t) => {
  const { proxy, server, open } = await setUp(t);
  const client = open();
  await echoed(client, 'x');
  proxy.freeze('to-client');
  client.socket.write('y');
  await waitFor(() => server[0]?.text === 'xy', { timeoutMs: TIMEOUT_MS, what: 'the server to get it' });
  await echoedNot(client);
  proxy.thaw();
  await waitFor(() => client.text === 'xy', { timeoutMs: TIMEOUT_MS, what: 'the answer' });
});

test('a frozen direction keeps a bounded amount and then stops reading', async (t) => {
  const { proxy, open } = await setUp(t);
  const client = open();
  await echoed(client, 'x');
  proxy.freeze('to-server');
  const chunk = Buffer.alloc(1 << 20, 'z');
  for (let index = 0; index < 32; index += 1) client.socket.write(chunk);
  await waitFor(() => client.socket.writableLength < 32 * chunk.length, {
    timeoutMs: TIMEOUT_MS,
    what: 'the first bytes to go',
  });
  await echoedNot(client);
  assert.ok(
    client.socket.writableLength > 16 * chunk.length,
    `${client.socket.writableLength} bytes wait in the client`,
  );
  proxy.thaw();
  await waitFor(() => client.text.length === 1 + 32 * chunk.length, { timeoutMs: 4 * TIMEOUT_MS, what: 'all bytes' });
});

test('a reset breaks both sides with ECONNRESET', async (t) => {
  const { proxy, server, open } = await setUp(t);
  const client = open();
  await echoed(client, 'x');
  proxy.reset();
  await waitFor(() => client.closed && server[0]?.closed, { timeoutMs: TIMEOUT_MS, what: 'both closes' });
  assert.equal(client.error, 'ECONNRESET');
  assert.equal(server[0]?.error, 'ECONNRESET');
});

test('a half-close ends one direction and leaves the other alive', async (t) => {
  const { proxy, server, open } = await setUp(t);
  const client = open();
  await echoed(client, 'x');
  proxy.halfClose('client');
  await waitFor(() => client.ended, { timeoutMs: TIMEOUT_MS, what: 'the FIN' });
  client.socket.write('still');
  await waitFor(() => server[0]?.text === 'xstill', { timeoutMs: TIMEOUT_MS, what: 'the server to get more' });
  assert.equal(client.error, null);
});

test('a cut passes exactly so many bytes and then ends the connection', async (t) => {
  const { proxy, open } = await setUp(t);
  const client = open();
  await echoed(client, 'x');
  proxy.cutAfter('to-client', 3, 'close');
  client.socket.write('abcdef');
  await waitFor(() => client.closed || client.ended, { timeoutMs: TIMEOUT_MS, what: 'the cut' });
  assert.equal(client.text, 'xabc');
  const next = open();
  next.socket.write('ghijkl');
  await waitFor(() => next.closed || next.ended, { timeoutMs: TIMEOUT_MS, what: 'the cut of a later connection' });
  assert.equal(next.text, 'ghi');
});

test('refuses connections and accepts them again on the same port', async (t) => {
  const { proxy, open } = await setUp(t);
  const old = open();
  await echoed(old, 'x');
  proxy.refuse();
  const refused = open();
  await waitFor(() => refused.closed, { timeoutMs: TIMEOUT_MS, what: 'the refusal' });
  assert.equal(refused.error, 'ECONNREFUSED');
  await echoed(old, 'y');
  await proxy.heal();
  await echoed(open(), 'z');
});

test('a connection to a dead server is reset', async (t) => {
  const proxy = await FaultProxy.start(await refusingPort());
  t.after(() => proxy.close());
  const client = watch(t, connect({ host: '127.0.0.1', port: proxy.port }));
  await waitFor(() => client.closed, { timeoutMs: TIMEOUT_MS, what: 'the reset' });
  assert.equal(client.error, 'ECONNRESET');
});
