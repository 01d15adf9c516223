import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeLeft } from '../../../src/failover/pause-left.js';
import type { LeftSession } from '../../../src/failover/pause-left.js';
import { PinReason } from '../../../src/sql/pin-reason.js';

let lastId = 0;

function left(pinReason: PinReason | null, isAtBoundary = true): LeftSession {
  lastId += 1;
  return { id: lastId, pinReason, isAtBoundary };
}

test('what is left is told by what it is, those that are pinned by their ids', () => {
  lastId = 10;
  const sessions = [
    left(PinReason.OpenTransaction),
    left(null, false),
    left(PinReason.OpenTransaction, false),
    left(PinReason.TemporaryObject),
    left(null),
  ];
  assert.equal(
    describeLeft(sessions, 3),
    '2 transactions, 1 statement, 1 session pinned by temporary_object (id 14), 1 session on the way out',
  );
});

test('of many sessions only the first are named', () => {
  lastId = 0;
  const sessions = Array.from({ length: 7 }, () => left(PinReason.TemporaryObject));
  assert.equal(describeLeft(sessions, 0), '7 sessions pinned by temporary_object (id 1, 2, 3, 4, 5, ...)');
});

test('backends without a session are told of when there is nothing else', () => {
  assert.equal(describeLeft([], 2), '2 backends being opened or closed');
  assert.equal(describeLeft([], 0), '');
});
