import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { SwitchyardError } from '../../../src/errors.js';
import { LINGER_MS } from '../../../src/net/wire.js';
import { Heard, engines, listen, pair, sendAll, sha256, withSocket } from './wire-lab.js';

const MEGABYTE = 1024 * 1024;
const dialOptions = { timeoutMs: 5_000, keepAliveMs: 0, bufferBytes: 65_536 };
const listenOptions = { backlog: 511, keepAliveMs: () => 0, bufferBytes: 65_536 };

for (const engine of engines()) {
  const of = `${engine.name}: `;

  test(`${of}a listener gives each connection with the address of its peer, and none when it is closed`, async (t) => {
    const lab = await listen(t, engine);
    const sockets = [0, 1, 2].map(() => connect(lab.listener.port, '127.0.0.1'));
    t.after(() => sockets.forEach((socket) => socket.destroy()));
    const wires = await Promise.all(sockets.map(() => lab.next()));
    await Promise.all(sockets.map(async (socket) => socket.localPort ?? once(socket, 'connect')));
    assert.deepEqual(
      new Set(wires.map(({ wire }) => `${wire.remoteAddress}:${wire.remotePort}`)),
      new Set(sockets.map(({ localPort }) => `127.0.0.1:${localPort}`)),
    );
    lab.listener.close();
    await delay(10);
    const late = connect(lab.listener.port, '127.0.0.1');
    const [error] = await once(late, 'error');
    assert.equal(error.code, 'ECONNREFUSED');
    const [first] = sockets;
    first?.write('still there');
    const heard = wires.find(({ wire }) => wire.remotePort === first?.localPort);
    await heard?.until(() => heard.text === 'still there');
  });

  test(`${of}an address that cannot be had is told with the system's error`, async (t) => {
    const { listener } = await listen(t, engine);
    const open = (host: string, port: number) => engine.listen({ ...listenOptions, host, port }, () => {});
    await assert.rejects(open('127.0.0.1', listener.port), { code: 'EADDRINUSE' });
    await assert.rejects(open('192.0.2.1', 0), { code: 'EADDRNOTAVAIL' });
    await assert.rejects(open('no.such.host.invalid', 0), (error: NodeJS.ErrnoException) =>
      ['ENOTFOUND', 'EAI_AGAIN'].includes(error.code ?? ''),
    );
  });

  test(`${of}without a host it listens on every address, with a name on that of the name`, async (t) => {
    for (const [host, reached] of [
      [null, ['127.0.0.1', '::1']],
      ['::', ['127.0.0.1', '::1']],
      ['localhost', ['localhost']],
    ] as const) {
      const listener = await engine.listen({ ...listenOptions, host, port: 0 }, (wire) => wire.end(Buffer.from('hi')));
      t.after(() => listener.close());
      for (const to of reached) {
        const heard = new Heard(await engine.dial({ ...dialOptions, host: to, port: listener.port }));
        heard.wire.resume();
        await heard.until(() => heard.text === 'hi' && heard.ends === 1);
        heard.wire.end();
        await heard.until(() => heard.closed === null);
      }
    }
  });

  test(`${of}a dial that fails says why`, async (t) => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, 'close');
    const failed = (message: RegExp) => (error: unknown) => {
      assert.ok(error instanceof SwitchyardError);
      assert.equal(error.code, 'backend_connect_failed');
      assert.match(error.message, message);
      return true;
    };
    await assert.rejects(engine.dial({ ...dialOptions, host: '127.0.0.1', port }), failed(/ECONNREFUSED/));
    await assert.rejects(
      engine.dial({ ...dialOptions, host: 'no.such.host.invalid', port }),
      failed(/could not connect to no\.such\.host\.invalid:\d+: .*(ENOTFOUND|EAI_AGAIN)/),
    );
    const { listener } = await listen(t, engine);
    const gone = AbortSignal.abort();
    await assert.rejects(
      engine.dial({ ...dialOptions, host: '127.0.0.1', port: listener.port }, gone),
      failed(/given up/),
    );
    const soon = new AbortController();
    const dialling = engine.dial({ ...dialOptions, host: '127.0.0.1', port: listener.port }, soon.signal);
    soon.abort();
    await assert.rejects(dialling, failed(/given up/));
  });

  test(`${of}a dial that nobody answers fails in time`, async (t) => {
    // Nobody accepts, and the queue of the kernel is soon full: who comes then is not answered.
    const silent = spawn('python3', [
      '-c',
      "import socket, time; s = socket.create_server(('127.0.0.1', 0), backlog=0); print(s.getsockname()[1], flush=True); time.sleep(60)",
    ]);
    t.after(() => silent.kill());
    const port = Number(String((await once(silent.stdout, 'data'))[0]));
    const first = connect(port, '127.0.0.1');
    t.after(() => first.destroy());
    await once(first, 'connect');
    await assert.rejects(engine.dial({ ...dialOptions, host: '127.0.0.1', port, timeoutMs: 300 }), {
      message: `could not connect to 127.0.0.1:${port}: no answer within 300 ms`,
    });
  });

  test(`${of}megabytes arrive as they were sent, in both directions at one time, by a reader who stops now and then`, async (t) => {
    const [left, right] = await pair(t, engine);
    const sent = [randomBytes(12 * MEGABYTE + 1), randomBytes(9 * MEGABYTE + 7)] as const;
    for (const heard of [left, right]) {
      heard.onChunkDo = () => {
        if (heard.chunks.length % 50 !== 0) return;
        heard.wire.pause();
        setTimeout(() => heard.wire.resume(), 2);
      };
    }
    await Promise.all([sendAll(left, sent[0], 100_003), sendAll(right, sent[1], 5_003)]);
    await right.until(() => right.bytes >= sent[0].length);
    await left.until(() => left.bytes >= sent[1].length);
    assert.equal(right.hash, sha256(sent[0]));
    assert.equal(left.hash, sha256(sent[1]));
    assert.deepEqual([left.wire.bytesWritten, right.wire.bytesRead], [sent[0].length, sent[0].length]);
    assert.deepEqual([right.wire.bytesWritten, left.wire.bytesRead], [sent[1].length, sent[1].length]);
    assert.deepEqual([left.wire.pendingBytes, right.wire.pendingBytes], [0, 0]);
  });

  test(`${of}single bytes arrive, and what was kept of them does not change`, async (t) => {
    const [left, right] = await pair(t, engine);
    const sent = randomBytes(3_000);
    for (const byte of sent) {
      left.wire.write(Buffer.of(byte));
      if (byte % 8 === 0) await new Promise(setImmediate);
    }
    await right.until(() => right.bytes === sent.length);
    assert.equal(right.hash, sha256(sent));
  });

  test(`${of}who does not read is not written to without end`, async (t) => {
    const [left, right] = await pair(t, engine);
    right.wire.pause();
    const piece = Buffer.alloc(32 * 1024, 'x');
    let written = 0;
    while (left.wire.write(piece)) {
      written += piece.length;
      await new Promise(setImmediate);
    }
    written += piece.length;
    assert.ok(left.wire.pendingBytes >= 65_536 && left.wire.pendingBytes <= 65_536 + piece.length);
    await delay(50);
    assert.equal(left.drains, 0);
    // At most one chunk more comes behind a pause.
    assert.ok(right.chunks.length <= 1);
    right.wire.resume();
    await left.until(() => left.drains === 1);
    assert.equal(left.wire.pendingBytes, 0);
    await right.until(() => right.bytes === written);
    assert.equal(left.drains, 1);
  });

  test(`${of}a peer that has ended its sending side can still be written to`, async (t) => {
    const [socket, heard] = await withSocket(t, engine);
    let answer = '';
    socket.on('data', (chunk) => {
      answer += chunk.toString();
    });
    socket.end('question');
    await heard.until(() => heard.ends === 1);
    assert.equal(heard.text, 'question');
    assert.equal(heard.wire.write(Buffer.from('answer')), true);
    heard.wire.end(Buffer.from(' and end'));
    await once(socket, 'end');
    assert.equal(answer, 'answer and end');
    await heard.until(() => heard.closed !== undefined);
    assert.deepEqual([heard.closed, heard.ends, heard.wire.closed], [null, 1, true]);
    // Nothing of this reaches anybody, and nothing of it is an error.
    heard.wire.end();
    heard.wire.destroy();
    heard.wire.pause();
    heard.wire.resume();
    assert.equal(heard.wire.write(Buffer.from('too late')), true);
  });

  test(`${of}an end of ours is complete when the peer has ended too`, async (t) => {
    const [left, right] = await pair(t, engine);
    left.wire.end(Buffer.from('bye'));
    await right.until(() => right.ends === 1);
    assert.equal(right.text, 'bye');
    assert.equal(left.closed, undefined);
    right.wire.write(Buffer.from('one more thing'));
    await left.until(() => left.text === 'one more thing');
    right.wire.end();
    await Promise.all([left.until(() => left.closed === null), right.until(() => right.closed === null)]);
    assert.deepEqual([left.ends, right.ends], [1, 1]);
  });

  test(`${of}what is pending at the end is sent first`, async (t) => {
    const [socket, heard] = await withSocket(t, engine);
    const sent = randomBytes(8 * MEGABYTE);
    const got: Buffer[] = [];
    heard.wire.pause();
    heard.wire.write(sent.subarray(0, 5 * MEGABYTE));
    heard.wire.end(sent.subarray(5 * MEGABYTE));
    assert.ok(heard.wire.pendingBytes > 0);
    await delay(50);
    socket.on('data', (chunk) => got.push(chunk));
    await once(socket, 'end');
    assert.equal(sha256(Buffer.concat(got)), sha256(sent));
    socket.end();
    await heard.until(() => heard.closed === null);
  });

  test(`${of}a peer that never takes the last bytes does not keep its wire for ever`, async (t) => {
    const [socket, heard] = await withSocket(t, engine);
    socket.pause();
    heard.wire.end(Buffer.alloc(16 * MEGABYTE));
    const isClosed = heard.until(() => heard.closed !== undefined).then(() => 'closed');
    assert.equal(await Promise.race([isClosed, delay(LINGER_MS - 1_500, 'open')]), 'open');
    assert.equal(await Promise.race([isClosed, delay(10_000, 'open')]), 'closed');
  });

  test(`${of}a reset is told once, whether it is reading or not, and whatever is unread`, async (t) => {
    for (const isReading of [true, false]) {
      for (const unread of ['', 'half of a mess']) {
        const [socket, heard] = await withSocket(t, engine);
        socket.write('begin');
        await heard.until(() => heard.text === 'begin');
        if (!isReading) heard.wire.pause();
        if (unread !== '') {
          socket.write(unread);
          await delay(20);
        }
        socket.resetAndDestroy();
        await heard.until(() => heard.closed !== undefined);
        assert.equal((heard.closed as NodeJS.ErrnoException).code, 'ECONNRESET');
        assert.equal(heard.wire.closed, true);
      }
    }
  });

  test(`${of}the end of a peer is told though it is not read, unless there is something unread`, async (t) => {
    for (const unread of ['', 'a last word']) {
      const [socket, heard] = await withSocket(t, engine);
      socket.write('begin');
      await heard.until(() => heard.text === 'begin');
      heard.wire.pause();
      socket.end(unread);
      if (unread !== '') {
        await delay(30);
        assert.equal(heard.ends, 0);
        heard.wire.resume();
      }
      await heard.until(() => heard.ends === 1);
      assert.equal(heard.text, `begin${unread}`);
      heard.wire.end();
      await heard.until(() => heard.closed === null);
    }
  });

  test(`${of}who writes to a peer that is gone hears of it`, async (t) => {
    const [socket, heard] = await withSocket(t, engine);
    heard.wire.pause();
    socket.end();
    await once(socket, 'finish');
    socket.destroy();
    for (let i = 0; i < 100 && heard.closed === undefined; i += 1) {
      heard.wire.write(Buffer.from('x'));
      await delay(5);
    }
    assert.ok(['ECONNRESET', 'EPIPE'].includes((heard.closed as NodeJS.ErrnoException).code ?? ''));
  });

  test(`${of}a reset while much is pending ends the wire`, async (t) => {
    const [socket, heard] = await withSocket(t, engine);
    socket.pause();
    while (heard.wire.write(Buffer.alloc(MEGABYTE)));
    heard.wire.pause();
    socket.resetAndDestroy();
    await heard.until(() => heard.closed !== undefined);
    assert.ok(heard.closed instanceof Error);
    assert.equal(heard.drains, 0);
  });

  test(`${of}destroy closes at once, and is told later`, async (t) => {
    const [left, right] = await pair(t, engine);
    left.wire.destroy();
    assert.deepEqual([left.wire.closed, left.closed], [true, undefined]);
    await left.until(() => left.closed === null);
    await right.until(() => right.ends === 1 || right.closed !== undefined);
  });

  test(`${of}a wire can be destroyed, ended or given another handler from inside its own chunk`, async (t) => {
    for (const act of ['destroy', 'end', 'handler', 'pause'] as const) {
      const [left, right] = await pair(t, engine);
      const second: string[] = [];
      right.onChunkDo = () => {
        if (act === 'destroy') right.wire.destroy();
        else if (act === 'end') right.wire.end(Buffer.from('enough'));
        else if (act === 'pause') right.wire.pause();
        else {
          right.wire.handler = {
            onChunk: (chunk) => void second.push(chunk.toString()),
            onDrain: () => {},
            onEnd: () => right.onEnd(),
            onClose: (error) => right.onClose(error),
          };
        }
      };
      left.wire.write(Buffer.from('first'));
      await right.until(() => right.bytes === 5);
      left.wire.write(Buffer.from('second'));
      await delay(20);
      if (act === 'pause') {
        right.onChunkDo = () => {};
        right.wire.resume();
        await right.until(() => right.text === 'firstsecond');
      } else if (act === 'handler') assert.deepEqual(second, ['second']);
      else if (act === 'end') {
        assert.equal(left.text, 'enough');
        left.wire.end();
        await right.until(() => right.closed === null);
      } else assert.equal(right.closed, null);
    }
  });

  test(`${of}what is thrown from inside a chunk ends that connection only`, async (t) => {
    const lab = await listen(t, engine);
    const sockets = [0, 1].map(() => connect(lab.listener.port, '127.0.0.1'));
    t.after(() => sockets.forEach((socket) => socket.destroy()));
    const [bad, good] = [await lab.next(), await lab.next()];
    bad.onChunkDo = () => {
      throw new Error('a broken invariant');
    };
    const socketOf = ({ wire }: Heard) => sockets.find(({ localPort }) => localPort === wire.remotePort);
    socketOf(bad)?.write('x');
    await bad.until(() => bad.closed !== undefined);
    assert.match(String(bad.closed), /a broken invariant/);
    socketOf(good)?.write('y');
    await good.until(() => good.text === 'y');
  });

  test(`${of}many connections come and go at one time`, async (t) => {
    const lab = await listen(t, engine);
    for (let round = 0; round < 3; round += 1) {
      const sides = await Promise.all(
        Array.from({ length: 200 }, async (_, i) => {
          const { port } = lab.listener;
          const heard = new Heard(await engine.dial({ ...dialOptions, host: '127.0.0.1', port }));
          heard.wire.resume();
          heard.wire.write(Buffer.from(`I am ${i}`));
          return heard;
        }),
      );
      const accepted = await Promise.all(sides.map(() => lab.next()));
      await Promise.all(accepted.map((heard) => heard.until(() => heard.bytes > 5)));
      for (const heard of accepted) heard.wire.end(Buffer.from(heard.text));
      await Promise.all(sides.map((heard) => heard.until(() => heard.ends === 1)));
      assert.deepEqual(
        sides.map(({ text }) => text),
        sides.map((_, i) => `I am ${i}`),
      );
      for (const heard of sides) heard.wire.destroy();
      await Promise.all([...sides, ...accepted].map((heard) => heard.until(() => heard.closed !== undefined)));
    }
  });
}
