import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NodeError } from '../../../src/backend/node-error.js';
import { SwitchyardError } from '../../../src/errors.js';
import { noRoom, passingRefusal, retryDelayMs } from '../../../src/session/refusal.js';
import { A } from '../../support/cluster-fakes.js';

function nodeError(sqlState: string, message: string, routine = 'x'): NodeError {
  const body = Buffer.from(`SFATAL\0VFATAL\0C${sqlState}\0M${message}\0R${routine}\0\0`);
  return NodeError.read(body, 0, body.length);
}

test('a node that starts, stops or cannot be reached will be there again', () => {
  for (const sqlState of ['57P01', '57P02', '57P03']) {
    const refusal = passingRefusal(nodeError(sqlState, 'not now'), A, false);
    assert.deepEqual(refusal, { message: 'node node1 refused: not now', isFull: false, isOwn: false });
  }
  for (const code of ['backend_connect_failed', 'backend_lost', 'not_the_primary'] as const) {
    assert.equal(passingRefusal(new SwitchyardError(code, 'no'), A, false)?.isFull, false);
  }
});

test('a wrong password, a database that is not there and our own bounds are told at once', () => {
  for (const sqlState of ['28P01', '28000', '3D000', '42501']) {
    assert.equal(passingRefusal(nodeError(sqlState, 'no'), A, true), null);
  }
  assert.equal(passingRefusal(new SwitchyardError('too_many_backends', 'no'), A, true), null);
  assert.equal(passingRefusal(new Error('a mistake'), A, true), null);
});

test('a full node is waited for only by those that may', () => {
  const full = nodeError('53300', 'sorry, too many clients already', 'InitProcess');
  assert.equal(passingRefusal(full, A, false), null);
  assert.deepEqual(passingRefusal(full, A, true), {
    message: 'node node1 refused: sorry, too many clients already',
    isFull: true,
    isOwn: false,
  });
});

test('the limit of a role or a database is told from the limit of the node, in every language', () => {
  for (const routine of ['InitializeSessionUserId', 'CheckMyDatabase']) {
    const own = nodeError('53300', 'zu viele Verbindungen', routine);
    assert.deepEqual([passingRefusal(own, A, true)?.isFull, passingRefusal(own, A, true)?.isOwn], [true, true]);
  }
  const cut = Buffer.from('C53300\0Mno\0RInitializeSessionUserId');
  assert.equal(passingRefusal(NodeError.read(cut, 0, cut.length), A, true)?.isOwn, false, "garbage is nobody else's");
});

test('who waited in vain for room is told the bounds', () => {
  const error = noRoom({ message: 'node node1 refused: sorry', isFull: true, isOwn: false }, 60_000);
  assert.equal(error.sqlState, '53300');
  assert.match(error.message, /within 60000 ms/);
  assert.match(error.detail ?? '', /node1 refused: sorry/);
  assert.match(error.hint ?? '', /max_connections.*promotion\.hold_timeout/);
});

test('tries at a standby that refuses grow apart, up to a second, and are not in step', () => {
  const least = [1, 2, 3, 4, 5, 50].map((refusals) => retryDelayMs(refusals, () => 0));
  const most = [1, 2, 3, 4, 5, 50].map((refusals) => retryDelayMs(refusals, () => 1));
  assert.deepEqual(least, [50, 100, 200, 400, 500, 500]);
  assert.deepEqual(most, [100, 200, 400, 800, 1000, 1000]);
});
