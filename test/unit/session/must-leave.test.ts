import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mustLeave } from '../../../src/session/must-leave.js';
import { A, B, nodeViewOf, viewOf } from '../../support/cluster-fakes.js';

const primary = nodeViewOf(A, { role: 'primary' });

test('a session stays on the primary, and while nobody knows better', () => {
  assert.equal(mustLeave(viewOf(), A, 'primary'), null);
  assert.equal(mustLeave(viewOf({ primary: null, leader: A }), A, 'primary'), null);
  assert.equal(mustLeave(viewOf({ primary: null, leader: null }), A, 'primary'), null);
});

test('another primary, another leader, and a node that became a standby cut a session of the primary at once', () => {
  assert.match(mustLeave(viewOf({ primary: B }), A, 'primary')?.why ?? '', /node2 is the primary now/);
  assert.match(mustLeave(viewOf({ primary: null, leader: B }), A, 'primary')?.why ?? '', /leader key names node2/);
  const demoted = viewOf({ primary: null, leader: null, nodes: [nodeViewOf(A), nodeViewOf(B)] });
  assert.deepEqual(mustLeave(demoted, A, 'primary'), { why: 'node node1 is a standby now', mayHearFarewell: false });
});

test('lag cuts nobody; a standby out of reach is cut, but may say why first', () => {
  assert.equal(mustLeave(viewOf({ nodes: [primary, nodeViewOf(B, { health: 'lagging' })] }), B, 'standby'), null);
  const gone = mustLeave(
    viewOf({ nodes: [primary, nodeViewOf(B, { health: 'unreachable', reason: 'no answer' })] }),
    B,
    'standby',
  );
  assert.deepEqual(gone, { why: 'node node2 is unreachable: no answer', mayHearFarewell: true });
});

test('a node that has left the cluster is left at once', () => {
  assert.equal(mustLeave(viewOf({ nodes: [primary] }), B, 'standby')?.mayHearFarewell, false);
});
