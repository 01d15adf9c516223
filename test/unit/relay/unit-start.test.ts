import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { serialize } from 'pg-protocol';
import { Admission } from '../../../src/relay/relay.js';
import { B } from '../../support/cluster-fakes.js';
import { node } from '../../support/node-messages.js';
import { frontend } from '../../support/raw-messages.js';
import { RelayBench } from './relay-bench.js';

let bench: RelayBench;
let isWhole: boolean;
let asked: number;

/** A batch is admitted when the test says that it is there. */
beforeEach(() => {
  bench = new RelayBench();
  isWhole = false;
  asked = 0;
  bench.admits = (text) => {
    asked += 1;
    // A Query is a text, and a Parse begins with an empty name.
    return text.startsWith('\0') && !isWhole ? Admission.More : Admission.Go;
  };
});

const answer = [node.columns(), node.row(), node.complete(), node.ready()];
const head = [frontend.parse('select 1'), frontend.bind()];
const tail = [frontend.execute(), frontend.sync()];

test('a unit that needs more of itself is asked about again with each chunk, and goes out whole', () => {
  bench.client.hear(...head);
  assert.deepEqual([bench.sent, asked, bench.client.isPaused], ['', 1, false]);
  bench.client.hear(frontend.describe('P'));
  assert.deepEqual([bench.sent, asked], ['', 2]);
  assert.equal(bench.relay.isWaiting, false, 'it waits for its client and for nobody else');
  isWhole = true;
  bench.client.hear(...tail);
  assert.deepEqual([bench.sent, asked], ['P B D E S', 3]);
});

test('whoever owns the relay sees all that is there of the unit, however it was cut', () => {
  const whole = Buffer.concat([...head, ...tail]);
  for (let cut = 1; cut < whole.length; cut += 1) {
    const each = new RelayBench();
    const seen: number[] = [];
    each.admits = () => (each.client.bytesRead < whole.length ? Admission.More : Admission.Go);
    const { admits } = each;
    each.admits = (text) => {
      seen.push(each.client.bytesRead);
      return admits(text);
    };
    each.client.hear(whole.subarray(0, cut));
    each.client.hear(whole.subarray(cut));
    assert.equal(each.sent, 'P B E S', `cut at ${cut}`);
    assert.equal(seen.at(-1), whole.length, `cut at ${cut}`);
  }
});

test('answers to the units before reach the client while a unit is there in part', () => {
  bench.client.hear(frontend.query('select 1'), ...head);
  bench.node.hear(...answer);
  assert.equal(bench.heard, 'T D C(SELECT 1) ZI');
  assert.equal(bench.takeSaid(), 'command unit quiet');
});

test('a node that takes no more for a while does not stop a client that is to send more', () => {
  bench.node.hasRoom = false;
  bench.client.hear(frontend.query('select 1'), ...head);
  assert.equal(bench.client.isPaused, true, 'the node is full');
  bench.node.drain();
  assert.equal(bench.client.isPaused, false);
  isWhole = true;
  bench.client.hear(...tail);
  assert.equal(bench.sent, 'Q(select 1) P B E S');
});

test('a backend that leaves does not stop a client that is to send more', () => {
  bench.client.hear(...head);
  bench.relay.detach();
  assert.equal(bench.client.isPaused, false);
  isWhole = true;
  bench.change(B);
  bench.client.hear(...tail);
  assert.equal(bench.sent, 'P B E S');
});

test('units of a lost backend are sent again though one behind them is there in part', () => {
  bench.client.hear(frontend.query('select 1'), ...head);
  bench.node.lose();
  assert.equal(bench.losses[0]?.canReplay, true);
  bench.relay.replayUnits();
  assert.equal(bench.relay.isWaiting, true, 'there is something to go on with');
  bench.change(B);
  bench.relay.resume();
  assert.equal(bench.sent, 'Q(select 1)');
  assert.equal(bench.client.isPaused, false);
  isWhole = true;
  bench.client.hear(...tail);
  assert.equal(bench.sent, 'P B E S');
});

test('a unit in part is dropped with its client', () => {
  bench.client.hear(...head);
  bench.client.lose();
  assert.equal(bench.takeSaid(), 'client-close');
  assert.equal(bench.sent, '');
});

// ---- what we send ourselves

const replay = { bytes: Buffer.concat([serialize.query('set a = 1'), serialize.sync()]), types: [0x51, 0x53] } as const;

test('what the node says to messages of ours is for nobody', () => {
  bench.relay.replay(replay);
  assert.equal(bench.sent, 'Q(set a = 1) S');
  bench.node.hear(node.parameter('a', '1'), node.complete('SET'), node.ready());
  assert.equal(bench.takeSaid(), '', 'one of two parts is answered');
  bench.node.hear(node.ready());
  assert.equal(bench.takeSaid(), 'replayed');
  assert.equal(bench.heard, '', 'whoever brings a state tells the parameters when all of it is there');
});

test('errors of our messages are told with the number of their part', () => {
  bench.relay.replay(replay);
  bench.node.hear(node.error('42704'), node.ready(), node.error('25006'), node.ready());
  assert.equal(bench.takeSaid(), 'replay-error-42704-0 replay-error-25006-1 replayed');
  assert.equal(bench.heard, '');
});

test('a parameter that our own messages have changed does not end the keeping back of the next answer', () => {
  bench.relay.replay(replay);
  bench.node.hear(node.parameter('a', '1'), node.complete('SET'), node.ready(), node.ready());
  bench.client.hear(frontend.query('select f()'));
  bench.node.hear(node.columns());
  assert.equal(bench.heard, '', 'it is kept back');
  bench.node.hear(node.error('25006'), node.ready());
  assert.equal(bench.heard, '');
  assert.equal(bench.takeSaid(), 'replayed refused');
});

test('a parameter that the client has changed does', () => {
  bench.client.hear(frontend.query('select set_config($$a$$, $$1$$, false)'));
  bench.node.hear(node.columns(), node.parameter('a', '1'));
  bench.node.hear(node.error('25006'), node.ready());
  assert.equal(bench.heard, 'T S(a=1) E25006 ZI');
});

// ---- units that go on behind a Flush

const prepare = [frontend.parse('select 1'), frontend.describe('S'), frontend.flush()];
const prepared = [node.parsed(), node.parameters(), node.noData()];

async function turn(): Promise<void> {
  await new Promise<void>((resolve) => {
    setImmediate(resolve);
  });
}

test('a unit that has only prepared is ended behind its Flush, and the rest is asked about anew', async () => {
  isWhole = true;
  bench.goesOn = true;
  bench.client.hear(...prepare);
  assert.equal(bench.sent, 'P D H');
  bench.node.hear(...prepared);
  assert.equal(bench.heard, '1 t n');
  bench.client.hear(frontend.bind(), ...tail);
  assert.equal(bench.sent, '');
  await turn();
  assert.equal(bench.sent, 'S', 'of ours');
  const before = asked;
  bench.node.hear(node.ready());
  assert.equal(bench.heard, '', 'its ReadyForQuery is not for the client');
  await turn();
  assert.deepEqual([bench.sent, asked], ['B E S', before + 1]);
  bench.node.hear(node.bound(), node.row(), node.complete(), node.ready());
  assert.equal(bench.heard, '2 D C(SELECT 1) ZI');
});

test('a unit is not ended behind a Flush while something of it is owed, was refused, or is its Sync', async () => {
  isWhole = true;
  bench.goesOn = true;
  bench.client.hear(...prepare, frontend.bind(), ...tail);
  assert.equal(bench.sent, 'P D H B E S', 'nothing of it is answered');
  bench.node.hear(...prepared, node.bound(), node.complete(), node.ready());
  bench.client.hear(...prepare);
  bench.node.hear(node.parsed(), node.error('42P01'));
  bench.client.hear(frontend.bind(), ...tail);
  bench.node.hear(node.ready());
  bench.client.hear(...prepare);
  bench.node.hear(...prepared);
  bench.client.hear(frontend.sync());
  bench.node.hear(node.ready());
  await turn();
  assert.ok(!bench.said.includes('goes-on'));
  assert.equal(bench.sent, 'P D H B E S P D H S');
});

test('what was bound or executed keeps its unit open', async () => {
  isWhole = true;
  bench.goesOn = true;
  bench.client.hear(...prepare, frontend.bind(), frontend.flush());
  bench.node.hear(...prepared, node.bound());
  bench.client.hear(...tail);
  await turn();
  assert.ok(!bench.said.includes('goes-on'));
  assert.equal(bench.sent, 'P D H B H E S');
});

test('where the owner says no the unit goes on as it is', () => {
  isWhole = true;
  bench.client.hear(...prepare);
  bench.node.hear(...prepared);
  bench.client.hear(frontend.bind(), ...tail);
  assert.equal(bench.sent, 'P D H B E S');
});

test('a backend lost while such a part is ended owes nothing, and the rest can go elsewhere', async () => {
  isWhole = true;
  bench.goesOn = true;
  bench.client.hear(...prepare);
  bench.node.hear(...prepared);
  bench.client.hear(frontend.bind(), ...tail);
  await turn();
  bench.goesOn = false;
  bench.node.lose();
  const [loss] = bench.losses;
  assert.deepEqual(loss?.owed, { readies: 0, openUnit: false, isErrorSent: false });
  assert.deepEqual([loss?.isUnitCut, loss?.isStreamBroken], [false, false]);
  bench.change(B);
  bench.relay.resume();
  assert.equal(bench.sent, 'B E S');
});

test('a Flush that asks for an answer lets it out, and what is behind it too', () => {
  isWhole = true;
  bench.client.hear(...prepare);
  bench.node.hear(node.parsed());
  assert.equal(bench.heard, '1');
  bench.node.hear(node.parameters(), node.noData());
  assert.equal(bench.heard, 't n');
});

// ---- messages in place of the client's

test('a message of the client is replaced, and goes out with what is behind it in one write', () => {
  bench.relay.substitutes = true;
  bench.substituteFor = (type) => (type === 0x42 ? frontend.bind({ statement: 'other' }) : null);
  bench.client.hear(
    frontend.describe('S', 's'),
    frontend.bind({ statement: 's' }),
    frontend.execute(),
    frontend.sync(),
  );
  assert.deepEqual(
    bench.node.takeWrites(),
    [[frontend.describe('S', 's')], [frontend.bind({ statement: 'other' }), frontend.execute(), frontend.sync()]].map(
      (messages) => Buffer.concat(messages),
    ),
  );
  bench.node.hear(node.columns(), node.bound(), node.complete('SELECT 0'), node.ready());
  assert.equal(bench.heard, 'T 2 C(SELECT 0) ZI');
});

// ---- a client that does not listen

test('a client that does not listen to what the relay itself answers is not read until it does', () => {
  bench.relay.detach();
  bench.client.hasRoom = false;
  bench.client.hear(frontend.sync(), frontend.sync());
  assert.equal(bench.heard, 'ZI ZI', 'what had come is answered');
  assert.equal(bench.client.isPaused, true);
  bench.client.hear(frontend.sync());
  assert.equal(bench.heard, '');
  bench.client.drain();
  assert.equal(bench.client.isPaused, false);
  bench.client.read();
  assert.equal(bench.heard, 'ZI');
});

test('while a node owes it answers the node is not read, and the client is', () => {
  bench.client.hear(frontend.query('select 1'), frontend.query('select 2'));
  bench.client.hasRoom = false;
  bench.node.hear(node.complete(), node.ready());
  assert.deepEqual([bench.client.isPaused, bench.node.isPaused], [false, true]);
  bench.client.drain();
  assert.equal(bench.node.isPaused, false);
});
