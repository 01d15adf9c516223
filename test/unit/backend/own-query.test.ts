import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ownQuery } from '../../../src/backend/own-query.js';
import { node } from '../../support/node-messages.js';
import { fakeBackend } from '../relay/relay-bench.js';

const TIMEOUT_MS = 5_000;
const farewell = node.error('57P01', 'bye', { severity: 'FATAL' });
const answer = [node.columns(), node.complete('SELECT 0'), node.ready()];

test('an answer is an answer', async () => {
  const { backend, wire } = fakeBackend();
  const asked = ownQuery(backend, 'select', TIMEOUT_MS);
  wire.hear(...answer);
  assert.deepEqual(await asked, []);
  assert.equal(backend.closed, false);
});

test('the farewell of a node right behind its answer is not lost: nobody gets that backend', async () => {
  const { backend, wire } = fakeBackend();
  const asked = ownQuery(backend, 'select', TIMEOUT_MS);
  wire.hear(...answer, farewell);
  await asked;
  assert.equal(backend.closed, true);
});

test('a farewell in place of the answer is the error', async () => {
  const { backend, wire } = fakeBackend();
  const asked = ownQuery(backend, 'select', TIMEOUT_MS);
  wire.hear(farewell);
  await assert.rejects(asked, { sqlState: '57P01' });
});
