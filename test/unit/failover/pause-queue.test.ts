import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { PauseQueue } from '../../../src/failover/pause-queue.js';
import type { HoldTicket } from '../../../src/session/hold.js';
import { FakeClock } from '../../support/fake-clock.js';

let clock: FakeClock;
let queue: PauseQueue;
let gone: string[];
const paused = new Set<string>();

beforeEach(() => {
  clock = new FakeClock();
  queue = new PauseQueue(2, clock, {});
  gone = [];
  paused.clear();
});

function enter(name: string, database = 'app'): HoldTicket {
  clock.advance(1);
  const ticket = queue.of(database).enter({
    sinceMs: clock.nowMs(),
    onRelease: () => gone.push(name),
    onExpire: () => assert.fail('there is no time limit'),
  });
  assert.ok(ticket !== null);
  return ticket;
}

function letGo(): void {
  queue.letGo((database) => paused.has(database));
}

test('nobody is sent away, however many wait and however long', () => {
  for (let index = 0; index < 20_000; index += 1) enter(String(index));
  clock.advance(24 * 60 * 60 * 1000);
  assert.deepEqual([queue.length, gone], [20_000, []]);
});

test('they are let go oldest first, as many at one time as the wave says', () => {
  const [a, b] = [enter('a'), enter('b', 'other'), enter('c'), enter('d')];
  letGo();
  assert.deepEqual([gone, queue.length], [['a', 'b'], 2]);
  b.leave();
  assert.deepEqual([gone, queue.length], [['a', 'b', 'c'], 1]);
  a.leave(true);
  assert.deepEqual([gone, queue.length], [['a', 'b', 'c', 'd'], 0]);
});

test('a database that is still paused keeps its units', () => {
  enter('a');
  enter('b', 'other');
  paused.add('app');
  letGo();
  assert.deepEqual([gone, queue.length], [['b'], 1]);
  paused.clear();
  letGo();
  assert.deepEqual([gone, queue.length], [['b', 'a'], 0]);
});

test('whoever leaves is forgotten, before and behind the end of the pause', () => {
  const tickets = ['a', 'b', 'c'].map((name) => enter(name));
  tickets[0]?.leave();
  tickets[0]?.leave();
  assert.equal(queue.length, 2);
  tickets[1]?.refused({ message: 'full', isFull: true, isOwn: false });
  letGo();
  assert.deepEqual([gone, queue.length], [['c'], 0]);
  tickets[2]?.refused({ message: 'full', isFull: true, isOwn: false });
  enter('d');
  letGo();
  assert.deepEqual(gone, ['c'], 'the node is left alone for a while');
  clock.advance(2000);
  assert.deepEqual(gone, ['c', 'd']);
});
