import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConnectionRoom } from '../../../src/failover/connection-room.js';
import { A, B } from '../../support/cluster-fakes.js';
import { FakeClock } from '../../support/fake-clock.js';

function setUp() {
  const clock = new FakeClock();
  const own = { total: 0, dialling: 0 };
  return { clock, own, room: new ConnectionRoom(clock, { onNode: () => own }) };
}

test('what was opened since the count is taken off, what is on its way too', () => {
  const { own, room } = setUp();
  own.total = 5;
  room.counted(A, 7);
  assert.equal(room.left(A), 7);
  own.total = 8;
  own.dialling = 3;
  assert.equal(room.left(A), 4);
  own.total = 20;
  assert.equal(room.left(A), 0, 'never below 0');
  own.total = 4;
  assert.equal(room.left(A), 8, 'what was closed is room again');
});

test('what was only on its way at the count was not counted by the node', () => {
  const { own, room } = setUp();
  own.total = 6;
  own.dialling = 4;
  room.counted(A, 10);
  assert.equal(room.left(A), 6);
});

test('nothing is known of a node that has not counted, or not for long', () => {
  const { clock, room } = setUp();
  assert.equal(room.left(A), null);
  assert.equal(room.left(null), null);
  room.counted(A, 3);
  assert.equal(room.left(B), null);
  clock.advance(10_001);
  assert.equal(room.left(A), null);
});
