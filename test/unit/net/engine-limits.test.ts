import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { NativeEngine } from '../../../src/net/native/native-engine.js';
import { loadAddon } from '../../../src/net/native/load-addon.js';
import { pair } from './wire-lab.js';

const server = fileURLToPath(new URL('greeting-server.js', import.meta.url));
const DESCRIPTORS = 60;

/** Whether whoever connects is greeted. */
function isGreeted(t: TestContext, port: number): Promise<Socket | null> {
  const socket = connect(port, '127.0.0.1');
  t.after(() => socket.destroy());
  socket.on('error', () => {});
  return new Promise((resolve) => {
    socket.on('data', () => resolve(socket)).on('close', () => resolve(null));
  });
}

for (const name of ['stream', 'native']) {
  test(`${name}: without descriptors connections are closed, and accepted again when there are some`, async (t) => {
    const program = spawn('bash', [
      '-c',
      `ulimit -n ${DESCRIPTORS}; exec "$0" "$1" "$2"`,
      process.execPath,
      server,
      name,
    ]);
    t.after(() => program.kill());
    const port = Number(String((await once(program.stdout, 'data'))[0]));
    const sockets: Socket[] = [];
    let refused = 0;
    for (let i = 0; i < 2 * DESCRIPTORS; i += 1) {
      const socket = await isGreeted(t, port);
      if (socket === null) refused += 1;
      else sockets.push(socket);
    }
    assert.ok(sockets.length > 10 && refused > 10, `${sockets.length} were served, ${refused} refused`);
    for (const socket of sockets) socket.end();
    while ((await isGreeted(t, port)) === null) await delay(20);
    program.stdin.end();
    assert.deepEqual(await once(program, 'exit'), [0, null]);
  });

  test(`${name}: an open listener and open connections do not outlive a thread`, async (t) => {
    const thread = new Worker(new URL('greeting-server.js', import.meta.url), {
      argv: [name],
      stdin: true,
      stdout: true,
    });
    const port = Number(String((await once(thread.stdout, 'data'))[0]));
    const sockets = await Promise.all([0, 1, 2].map(() => isGreeted(t, port)));
    assert.ok(sockets.every((socket) => socket !== null));
    await thread.terminate();
    await Promise.all(sockets.map(async (socket) => socket.closed || once(socket, 'close')));
    assert.equal(await isGreeted(t, port), null);
  });
}

test('two native engines of one program read side by side', async (t) => {
  const loaded = loadAddon();
  assert.ok('addon' in loaded, 'the addon is built with the packages');
  const [first, second] = [new NativeEngine(loaded.addon), new NativeEngine(loaded.addon)];
  const pairs = [await pair(t, first), await pair(t, second)];
  for (let i = 0; i < 200; i += 1) {
    for (const [n, [left]] of pairs.entries()) left.wire.write(Buffer.from(`${n}`.repeat(700)));
    await new Promise(setImmediate);
  }
  for (const [n, [, right]] of pairs.entries()) {
    await right.until(() => right.bytes === 140_000);
    assert.equal(right.text, `${n}`.repeat(140_000));
  }
});
