import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CommandReader } from '../../../../src/admin/console/command.js';
import { SwitchyardError } from '../../../../src/errors.js';
import { ConsoleBench } from './bench.js';

interface Said {
  readonly tag: string;
  readonly notices: readonly string[];
}

async function run(bench: ConsoleBench, user: string, text: string): Promise<Said> {
  const command = new CommandReader(text).next();
  assert.ok(command);
  const notices: string[] = [];
  const { signal } = new AbortController();
  const notice = (message: string): void => void notices.push(message);
  const { tag } = await bench.runner.run(command, { user, address: '127.0.0.1:1', signal, notice });
  return { tag, notices };
}

const acts: readonly (readonly [text: string, asked: string, tag: string])[] = [
  ['pause', 'pause all', 'PAUSE'],
  ['PAUSE app', 'pause app', 'PAUSE'],
  ['resume', 'resume all', 'RESUME'],
  ['resume app', 'resume app', 'RESUME'],
  ['reconnect', 'reconnect all', 'RECONNECT'],
  ['wait_close app', 'waitClose app', 'WAIT_CLOSE'],
  ['kill app', 'kill app', 'KILL'],
  ['kill_client 17', 'killClient 17', 'KILL_CLIENT'],
  ['disable app', 'disable app', 'DISABLE'],
  ['enable app', 'enable app', 'ENABLE'],
  ['reload', 'reload', 'RELOAD'],
  ['shutdown', 'shutdown now', 'SHUTDOWN'],
  ['shutdown wait_for_clients', 'shutdown wait_for_clients', 'SHUTDOWN'],
  ['drain node2', 'drain node2', 'DRAIN'],
  ['undrain node2', 'undrain node2', 'UNDRAIN'],
  ['switchover to node2', 'switchover node2', 'SWITCHOVER'],
  ["set pool.size = '5'", 'set pool.size 5', 'SET pool.size=5'],
];

test('every command reaches what carries it out, and is answered with its tag', async () => {
  for (const [text, asked, tag] of acts) {
    const bench = new ConsoleBench();
    assert.equal((await run(bench, 'root', text)).tag, tag);
    assert.deepEqual(bench.controls.asked, [asked]);
  }
});

test('whoever may only look is refused everything that does something, and nothing is done', async () => {
  for (const user of ['watcher', 'stranger']) {
    for (const [text] of acts) {
      const bench = new ConsoleBench();
      await assert.rejects(run(bench, user, text), { sqlState: '42501' }, `${user}: ${text}`);
      assert.deepEqual(bench.controls.asked, []);
    }
  }
});

test('whoever may look may look, and somebody who may not any more cannot', async () => {
  const bench = new ConsoleBench();
  for (const text of ['show stats', 'help', 'show timezone', 'set timezone = utc', 'begin']) {
    await run(bench, 'watcher', text);
    await run(bench, 'root', text);
    await assert.rejects(run(bench, 'stranger', text), { sqlState: '42501' });
  }
});

test('what there is to say is said beside the answer', async () => {
  const bench = new ConsoleBench();
  bench.controls.sentences = ['pool.size 1 -> 2: applied', 'log.level: nothing'];
  for (const text of ['reload', 'switchover node2', 'set pool.size = 2']) {
    assert.deepEqual((await run(bench, 'root', text)).notices, bench.controls.sentences);
  }
  assert.deepEqual((await run(bench, 'root', 'set timezone = utc')).notices, ['SET ignored']);
});

test('what cannot be done is the error of whoever should have done it', async () => {
  const bench = new ConsoleBench();
  bench.controls.fails = new SwitchyardError('wrong_state', 'database app is not paused');
  for (const text of ['resume app', 'pause', 'reload', 'shutdown', 'set pool.size = 1']) {
    await assert.rejects(run(bench, 'root', text), { sqlState: '55000' }, text);
  }
});

test('the console itself cannot be paused, and its clients are its own to end', async () => {
  const bench = new ConsoleBench();
  for (const verb of ['pause', 'kill', 'disable', 'reconnect']) {
    await assert.rejects(run(bench, 'root', `${verb} switchyard`), { sqlState: '0A000' });
  }
  await run(bench, 'root', 'kill_client 900');
  await run(bench, 'root', 'kill_client 901');
  assert.deepEqual(bench.ended, [900, 901]);
  assert.deepEqual(bench.controls.asked, ['killClient 901']);
  for (const id of ['x', '1e3', '-1', '"0x1f"']) {
    await assert.rejects(run(bench, 'root', `kill_client ${id}`), { sqlState: '42601' });
  }
});

test('EXPLAIN ROUTE says so before the parser is loaded', async () => {
  await assert.rejects(run(new ConsoleBench(), 'watcher', 'explain route select 1'), { sqlState: '0A000' });
});
