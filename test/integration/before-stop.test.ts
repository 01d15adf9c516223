import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { AdminServer } from '../../src/admin/server.js';
import { A } from '../support/cluster-fakes.js';
import { refusingPort, silentPort } from '../support/ports.js';
import { BOTH_LISTENERS, proxyOf } from '../unit/admin/proxy-of.js';
import type { FakeProxy } from '../unit/admin/proxy-of.js';
import { FakeSession } from '../unit/failover/drain-bench.js';

// Run from dist/test/integration: the project's folder is three levels up.
const SCRIPT = fileURLToPath(new URL('../../../config/patroni/before_stop.sh', import.meta.url));
const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url));
/** Where curl is, and switchyard is not. */
const PLAIN_PATH = '/usr/bin:/bin';

interface Run {
  readonly code: number | null;
  readonly output: string;
  readonly tookMs: number;
}

/** Runs the script as Patroni does: with its words, its environment, and without looking at what it says. */
function run(words: readonly string[], env: Readonly<Record<string, string>>): Promise<Run> {
  const beganAtMs = performance.now();
  return new Promise((resolve, reject) => {
    const child = spawn(SCRIPT, words, { env: { PATH: PLAIN_PATH, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    }
    child.on('error', reject);
    child.on('exit', (code) => {
      const tookMs = performance.now() - beganAtMs;
      // What was said last may still be on its way; who was left behind would hold the pipes open for longer.
      setImmediate(() => resolve({ code, output, tookMs }));
    });
  });
}

async function folderOf(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'switchyard-hook-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** A program of that name, which runs these lines. */
async function program(t: TestContext, ...lines: readonly string[]): Promise<string> {
  const path = join(await folderOf(t), 'switchyard');
  await writeFile(path, ['#!/bin/sh', ...lines, ''].join('\n'));
  await chmod(path, 0o755);
  return path;
}

async function start(t: TestContext, config?: string): Promise<{ proxy: FakeProxy; admin: string }> {
  const proxy = proxyOf(config === undefined ? {} : { config });
  const admin = await AdminServer.open(proxy, { host: '127.0.0.1', port: 0 });
  const timer = setInterval(() => proxy.clock.advance(20), 20);
  t.after(async () => {
    clearInterval(timer);
    await admin.close();
  });
  return { proxy, admin: `127.0.0.1:${admin.port}` };
}

/** The two ways to speak to a proxy. */
const ways: readonly (readonly [way: string, env: (t: TestContext) => Promise<Record<string, string>>])[] = [
  ['with curl', async () => ({})],
  ['with the program', async (t) => ({ SWITCHYARD: await program(t, `exec '${process.execPath}' '${MAIN}' "$@"`) })],
];

for (const [way, envOf] of ways) {
  test(`${way}: a node is drained, and whoever is in the middle of something is waited for`, async (t) => {
    const { proxy, admin } = await start(t);
    const busy = Object.assign(new FakeSession(proxy.registry, A), { isAtBoundary: false });
    const timer = setInterval(() => {
      if (proxy.conductor.drains.get(A) !== null) busy.isAtBoundary = true;
    }, 300);
    t.after(() => clearInterval(timer));
    const { code, output } = await run(['node1', admin], await envOf(t));
    assert.equal(code, 0);
    assert.match(output, /empty/);
    assert.equal(busy.node, null);
    const order = proxy.conductor.drains.get(A);
    assert.deepEqual([order?.isFirm, order?.verdict], [true, 'empty']);
  });

  test(`${way}: a proxy that hangs costs its time limit and no more, and the others are told all the same`, async (t) => {
    const { proxy, admin } = await start(t);
    const silent = await silentPort();
    t.after(silent.close);
    const env = { ...(await envOf(t)), SWITCHYARD_DRAIN_SECONDS: '2' };
    const { code, tookMs } = await run(['node1', `127.0.0.1:${silent.port}`, admin], env);
    assert.equal(code, 0);
    assert.ok(tookMs > 1400 && tookMs < 4500, `${tookMs} ms`);
    assert.equal(proxy.conductor.drains.get(A)?.verdict, 'empty');
  });

  test(`${way}: a proxy that is not there costs nothing`, async (t) => {
    const { code, tookMs } = await run(['node1', `127.0.0.1:${await refusingPort()}`], await envOf(t));
    assert.equal(code, 0);
    assert.ok(tookMs < 4000, `${tookMs} ms`);
  });

  test(`${way}: the token comes from a file`, async (t) => {
    const { proxy, admin } = await start(t, `${BOTH_LISTENERS}admin: { address: "*:9432", token: "open-sesame" }\n`);
    const env = await envOf(t);
    await run(['node1', admin], env);
    assert.equal(proxy.conductor.drains.get(A), null, 'without it nobody is heard');
    const file = join(await folderOf(t), 'a token');
    await writeFile(file, 'open-sesame\n');
    const { output } = await run(['node1', admin], { ...env, SWITCHYARD_TOKEN_FILE: file });
    assert.equal(proxy.conductor.drains.get(A)?.verdict, 'empty', output);
    assert.doesNotMatch(output, /sesame/);
  });
}

test('a program that does not listen to reason is ended', async (t) => {
  const env = { SWITCHYARD: await program(t, "trap '' TERM", 'exec sleep 60'), SWITCHYARD_DRAIN_SECONDS: '1' };
  const { code, tookMs } = await run(['node1', '127.0.0.1:1'], env);
  assert.equal(code, 0);
  assert.ok(tookMs > 1500 && tookMs < 4000, `${tookMs} ms`);
});

test('whatever is wrong with its words, it ends at once and fails nothing', async () => {
  for (const words of [[], ['node1'], ['no"de', '127.0.0.1:1'], ['a b', '127.0.0.1:1']]) {
    const { code, output, tookMs } = await run(words, {});
    assert.equal(code, 0);
    assert.match(output, /nothing is drained/);
    assert.ok(tookMs < 2000);
  }
  const odd = await run(['node1', '127.0.0.1:1'], { SWITCHYARD_DRAIN_SECONDS: 'soon' });
  assert.equal(odd.code, 0);
  assert.match(odd.output, /no number of seconds: soon/);
});
