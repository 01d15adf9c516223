import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { childPids, commandOf, isAlive, isStopped } from '../../../src/cli/demo/postgres/process-tree.js';
import { findProgram, requirePrograms } from '../../support/install.js';
import { freePorts, silentPort } from '../../support/ports.js';
import { TestProcess, waitFor } from '../../support/processes.js';

const TIMEOUT_MS = 5_000;
const node = (script: string): string[] => [process.execPath, '-e', script];
const LIVES = 'setInterval(() => {}, 1000);';

test('waitFor returns what the condition gives, and takes exceptions for "not yet"', async () => {
  let calls = 0;
  const result = await waitFor(
    () => {
      calls += 1;
      if (calls === 1) throw new Error('not there');
      return calls > 2 && 'there';
    },
    { timeoutMs: TIMEOUT_MS, what: 'it', pollMs: 1 },
  );
  assert.equal(result, 'there');
  assert.equal(calls, 3);
});

test('waitFor takes 0 and the empty text for results', async () => {
  assert.equal(await waitFor(() => 0, { timeoutMs: 10, what: 'zero' }), 0);
  assert.equal(await waitFor(() => '', { timeoutMs: 10, what: 'nothing' }), '');
});

test('waitFor says what it waited for, and why it failed', async () => {
  await assert.rejects(
    waitFor(
      () => {
        throw new Error('the reason');
      },
      { timeoutMs: 30, what: 'the moon' },
    ),
    (error: Error) => error.message === 'waited 30 ms for the moon' && (error.cause as Error).message === 'the reason',
  );
});

test('waitFor ends although its condition hangs', async () => {
  await assert.rejects(
    waitFor(() => new Promise<boolean>(() => {}), { timeoutMs: 50, what: 'an answer' }),
    /waited 50 ms for an answer/,
  );
});

test('a process is started, its log collected, and it stops when asked', async (t) => {
  const script = `process.on('SIGTERM', () => { console.log('bye'); process.exit(7); }); console.error('up'); ${LIVES}`;
  const child = await TestProcess.start('child', node(script));
  t.after(() => child.kill());
  await child.waitForLog(/up/, TIMEOUT_MS);
  assert.equal(child.isRunning, true);
  assert.equal(await child.stop(), 7);
  assert.match(child.log, /bye/);
  assert.equal(child.signal('SIGTERM'), false);
});

test('a process that ends while its log is waited for is reported with its output', async () => {
  const child = await TestProcess.start('child', node(`console.log('the last words'); process.exitCode = 3;`));
  await assert.rejects(child.waitForLog(/never/, TIMEOUT_MS), /child ended \(exit code 3\)\nthe last words/);
});

test('all output is there when a process has ended', async () => {
  const child = await TestProcess.start('child', node(`process.stdout.write('x'.repeat(500000) + 'end')`));
  assert.equal(await child.ended(TIMEOUT_MS), 0);
  assert.equal(child.log.length, 500_003);
});

test('a kill takes the children of the process along', async (t) => {
  const script = `const c = require('node:child_process').spawn(process.execPath, ['-e', '${LIVES}']); console.log('child', c.pid); ${LIVES}`;
  const parent = await TestProcess.start('parent', node(script));
  t.after(() => parent.kill());
  const childPid = Number((await parent.waitForLog(/child (\d+)/, TIMEOUT_MS))[1]);
  assert.deepEqual(childPids(parent.pid), [childPid]);
  assert.match(commandOf(childPid), /setInterval/);
  await parent.kill();
  assert.equal(isAlive(parent.pid), false);
  assert.equal(isAlive(childPid), false);
});

test('a frozen process exists and does nothing until it is thawed', async (t) => {
  const child = await TestProcess.start(
    'child',
    node(`process.on('SIGUSR2', () => console.log('heard')); console.log('up'); ${LIVES}`),
  );
  t.after(() => child.kill());
  await child.waitForLog(/up/, TIMEOUT_MS);
  child.freeze();
  await waitFor(() => isStopped(child.pid), { timeoutMs: TIMEOUT_MS, what: 'the process to stop' });
  child.signal('SIGUSR2');
  assert.equal(child.isRunning, true);
  assert.doesNotMatch(child.log, /heard/);
  child.thaw();
  await child.waitForLog(/heard/, TIMEOUT_MS);
});

/** Starts a process that starts another one through TestProcess, and returns both pids. */
async function startKeeper(): Promise<{ keeper: TestProcess; keptPid: number }> {
  const url = new URL('../../support/processes.js', import.meta.url).href;
  const script = `import(${JSON.stringify(url)}).then(async ({ TestProcess }) => {
    const kept = await TestProcess.start('kept', [process.execPath, '-e', '${LIVES}'], { deathSignal: 'KILL' });
    process.on('SIGUSR2', () => process.exit(0));
    console.log('kept', kept.pid);
  });`;
  const keeper = await TestProcess.start('keeper', node(script));
  return { keeper, keptPid: Number((await keeper.waitForLog(/kept (\d+)/, TIMEOUT_MS))[1]) };
}

for (const signal of ['SIGUSR2', 'SIGINT', 'SIGTERM', 'SIGHUP', 'SIGKILL'] as const) {
  const how = signal === 'SIGUSR2' ? 'exits by itself' : `is ended by ${signal}`;
  test(`nothing is left of a process when the one that started it ${how}`, async (t) => {
    const { keeper, keptPid } = await startKeeper();
    t.after(() => keeper.kill());
    assert.equal(isAlive(keptPid), true);
    keeper.signal(signal);
    const code = await keeper.ended(TIMEOUT_MS);
    assert.equal(code, signal === 'SIGUSR2' ? 0 : null, 'a signal still does its work');
    await waitFor(() => !isAlive(keptPid), { timeoutMs: TIMEOUT_MS, what: 'the death of the kept process' });
  });
}

test('a program that cannot be started is an error', async () => {
  await assert.rejects(async () => {
    const child = await TestProcess.start('nothing', ['/nonexistent/program']);
    const code = await child.ended(TIMEOUT_MS);
    assert.equal(code, 0);
  });
});

test('programs are found, and missing ones are named with what to do', async () => {
  assert.match((await findProgram('sh')) ?? '', /\/sh$/);
  assert.equal(await findProgram('no-such-program'), null);
  await assert.rejects(
    requirePrograms('sh', 'no-such-program', 'nor-this'),
    /missing: no-such-program, nor-this; run `bash \.ci\/setup`/,
  );
});

test('free ports are different and outside the range of outgoing connections', async () => {
  const ports = await freePorts(10);
  assert.equal(new Set(ports).size, 10);
  assert.ok(ports.every((port) => port >= 20_000 && port < 32_768));
});

test('a silent port accepts and says nothing', async (t) => {
  const { port, close } = await silentPort();
  t.after(close);
  const socket = connect({ host: '127.0.0.1', port });
  let heard = false;
  socket.on('data', () => (heard = true)).on('end', () => (heard = true));
  t.after(() => socket.destroy());
  await waitFor(() => !socket.connecting, { timeoutMs: TIMEOUT_MS, what: 'the connection' });
  socket.write('hello?');
  await assert.rejects(
    waitFor(() => heard, { timeoutMs: 100, what: 'a sound' }),
    /waited/,
  );
});
