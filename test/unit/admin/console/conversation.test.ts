import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { test } from 'node:test';
import { SwitchyardError } from '../../../../src/errors.js';
import { wordsOf } from '../../../support/node-messages.js';
import { frontend, message } from '../../../support/raw-messages.js';
import { ConsoleBench } from './bench.js';

/** Rows are told by their number only. */
const shortOf = (words: string): string => words.replaceAll(/(D ?)+/g, 'D ').trim();

test('a client is greeted', () => {
  const bench = new ConsoleBench();
  const { wire } = bench.connect('root');
  assert.equal(wordsOf(wire.take()), 'R S(server_version=10.0) K ZI');
});

test('while a PAUSE waits its client hears what for, and what it says meanwhile is answered behind it', async () => {
  const bench = new ConsoleBench();
  const { wire } = bench.connect('root');
  wire.take();
  bench.controls.waitsFor = ['2 clients', '1 client'];
  wire.hear(frontend.query('PAUSE'), frontend.query('SHOW VERSION'));
  await turn();
  assert.equal(wordsOf(wire.take()), wordsOf(Buffer.concat([notice('2 clients'), notice('1 client')])));
  bench.controls.finish();
  await turn();
  await turn();
  assert.match(shortOf(wordsOf(wire.take())), /^C\(PAUSE\) ZI T D C\(SHOW\) ZI$/);
});

test('a cancel request ends the wait, and the client goes on', async () => {
  const bench = new ConsoleBench();
  const { wire, conversation } = bench.connect('root');
  bench.controls.waitsFor = ['everybody'];
  wire.hear(frontend.query('PAUSE; SHOW VERSION'));
  await turn();
  wire.take();
  await conversation.cancel();
  await turn();
  assert.match(wordsOf(wire.take()), /^E57014 ZI$/);
  assert.equal(bench.controls.isAborted, true);
  wire.hear(frontend.query('SHOW VERSION'));
  await turn();
  assert.match(shortOf(wordsOf(wire.take())), /^T D C\(SHOW\) ZI$/);
});

test('a client that goes away ends its wait', async () => {
  for (const leave of ['close', 'terminate', 'half'] as const) {
    const bench = new ConsoleBench();
    const { wire, closed } = bench.connect('root');
    bench.controls.waitsFor = ['everybody'];
    wire.hear(frontend.query('PAUSE'));
    await turn();
    if (leave === 'close') wire.lose();
    else if (leave === 'half') wire.handler.onEnd();
    else {
      // What it says is behind the command that runs: only its end is noticed.
      wire.hear(frontend.terminate());
      wire.lose();
    }
    await turn();
    assert.equal(bench.controls.isAborted, true, leave);
    assert.equal(closed(), true, leave);
  }
});

test('no more is read ahead than fits', async () => {
  const bench = new ConsoleBench();
  const { wire } = bench.connect('root');
  bench.controls.waitsFor = ['everybody'];
  wire.hear(frontend.query('PAUSE'));
  await turn();
  for (let i = 0; i < 3; i += 1) wire.hear(frontend.query(`SHOW VERSION --${'x'.repeat(30_000)}`));
  assert.equal(wire.isPaused, true);
  bench.controls.finish();
  await turn();
  await turn();
  assert.equal(wire.isPaused, false);
});

test('rows wait until those before them have gone out, and so does the next command', async () => {
  const bench = new ConsoleBench();
  const { wire } = bench.connect('root');
  wire.take();
  wire.hasRoom = false;
  wire.hear(frontend.query('SHOW CONFIG'), frontend.query('SHOW VERSION'));
  await turn();
  const first = wordsOf(wire.take());
  assert.match(shortOf(first), /^T D?$/);
  wire.drain();
  await turn();
  await turn();
  assert.match(shortOf(wordsOf(wire.take())), /C\(SHOW\) ZI T D C\(SHOW\) ZI$/);
});

test('a client that is told more than it reads is not read any more', async () => {
  const bench = new ConsoleBench();
  const { wire } = bench.connect('root');
  wire.take();
  wire.hasRoom = false;
  wire.hear(frontend.sync(), frontend.sync(), frontend.sync());
  assert.match(wordsOf(wire.take()), /^ZI$/);
  wire.drain();
  assert.match(wordsOf(wire.take()), /^ZI ZI$/);
});

test('the extended protocol is answered message by message', async () => {
  const bench = new ConsoleBench();
  const { wire } = bench.connect('root');
  wire.take();
  wire.hear(
    ...[frontend.parse('show lists', { name: 's', types: [25] }), frontend.describe('S', 's')],
    ...[frontend.bind({ statement: 's', portal: 'p' }), frontend.describe('P', 'p'), frontend.execute('p', 2)],
  );
  await turn();
  assert.equal(wordsOf(wire.take()).replaceAll(/ +/g, ' '), '1 t T 2 T D D s');
  wire.hear(frontend.execute('p', 100), frontend.close('P', 'p'), frontend.close('S', 'gone'), frontend.sync());
  await turn();
  assert.match(shortOf(wordsOf(wire.take())), /^D C\(SHOW\) 3 3 ZI$/);
  wire.hear(
    frontend.parse('reload'),
    frontend.describe('S'),
    frontend.bind(),
    frontend.execute(),
    frontend.execute(),
    frontend.sync(),
  );
  await turn();
  await turn();
  assert.match(wordsOf(wire.take()), /^1 t n 2 C\(RELOAD\) C\(RELOAD\) ZI$/);
  assert.deepEqual(bench.controls.asked, ['reload'], 'a portal runs once');
  wire.hear(frontend.parse(''), frontend.describe('S'), frontend.bind(), frontend.execute(), frontend.sync());
  await turn();
  assert.match(wordsOf(wire.take()), /^1 t n 2 I ZI$/);
});

test('an error of the extended protocol leaves out what follows up to the Sync', async () => {
  const bench = new ConsoleBench();
  const { wire } = bench.connect('root');
  const mistakes: readonly (readonly [string, readonly Buffer[]])[] = [
    ['42601', [frontend.parse('nonsense')]],
    ['42601', [frontend.parse('show state; show state')]],
    ['26000', [frontend.bind({ statement: 'none' })]],
    ['26000', [frontend.describe('S', 'none')]],
    ['34000', [frontend.describe('P', 'none')]],
    ['34000', [frontend.execute('none')]],
    ['08P01', [message('D', Buffer.from('X\0'))]],
    ['08P01', [message('C', Buffer.from('S'))]],
    ['08P01', [message('P', Buffer.from('a\0b'))]],
    ['08P01', [message('B', Buffer.from([0, 0, 0, 1, 0, 9, 0, 0, 0, 0]))]],
    ['0A000', [frontend.parse('suspend')]],
  ];
  wire.hear(frontend.parse('show state'), frontend.sync());
  for (const [code, messages] of mistakes) {
    wire.take();
    wire.hear(...messages, frontend.execute(), frontend.bind(), frontend.sync());
    await turn();
    assert.match(wordsOf(wire.take()), new RegExp(`^E${code} ZI$`), code);
  }
  wire.hear(
    frontend.parse('show state', { name: 'twice' }),
    frontend.parse('show state', { name: 'twice' }),
    frontend.sync(),
  );
  assert.match(wordsOf(wire.take()), /^1 E42P05 ZI$/);
  wire.hear(frontend.bind({ values: ['1'] }), frontend.sync());
  assert.match(wordsOf(wire.take()), /^E08P01 ZI$/);
});

test('what is not the protocol ends the client', () => {
  for (const bytes of [message('?'), Buffer.from([0x51, 0x7f, 0xff, 0xff, 0xff]), Buffer.from([0x51, 0, 0, 0, 1])]) {
    const bench = new ConsoleBench();
    const { wire, closed } = bench.connect('root');
    wire.take();
    wire.hear(bytes);
    assert.match(wordsOf(wire.take()), /^E08P01$/);
    assert.equal(wire.hasEnded, true);
    assert.equal(closed(), true);
  }
});

test('functions cannot be called here, and the client goes on', () => {
  const { wire } = new ConsoleBench().connect('root');
  wire.take();
  wire.hear(message('F', Buffer.alloc(8)));
  assert.match(wordsOf(wire.take()), /^E0A000 ZI$/);
});

test('an end from outside is told', () => {
  const { wire, conversation, closed } = new ConsoleBench().connect('root');
  wire.take();
  conversation.end(new SwitchyardError('shutting_down', 'that was it'));
  assert.match(wordsOf(wire.take()), /^E57P01$/);
  assert.equal(closed(), true);
  conversation.end(new SwitchyardError('shutting_down', 'twice'));
  assert.equal(wordsOf(wire.take()), '');
});

function notice(text: string): Buffer {
  const fields = [...'SVCM'].map((field, i) => `${field}${['NOTICE', 'NOTICE', '00000', text][i]}\0`).join('');
  return message('N', Buffer.from(`${fields}\0`));
}
