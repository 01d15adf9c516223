import assert from 'node:assert/strict';
import { test } from 'node:test';
import { areAnySet, sweepIntervalMs } from '../../../../src/session/timeouts/time-limits.js';
import type { TimeLimits } from '../../../../src/session/timeouts/time-limits.js';

const off: TimeLimits = {
  clientIdleMs: 0,
  idleTransactionMs: 0,
  transactionMs: 0,
  queryMs: 0,
  queryCancelMs: 5000,
  tcpUserMs: 0,
};

test('sessions are looked at once a second, and more often where a limit is short', () => {
  assert.equal(sweepIntervalMs(off), 1000);
  assert.equal(sweepIntervalMs({ ...off, clientIdleMs: 3_600_000 }), 1000);
  assert.equal(sweepIntervalMs({ ...off, clientIdleMs: 3_600_000, queryMs: 2000 }), 500);
  assert.equal(sweepIntervalMs({ ...off, tcpUserMs: 1 }), 50);
});

test('the time for a cancel request alone limits nothing', () => {
  assert.equal(areAnySet(off), false);
  for (const key of ['clientIdleMs', 'idleTransactionMs', 'transactionMs', 'queryMs', 'tcpUserMs'] as const) {
    assert.equal(areAnySet({ ...off, [key]: 1 }), true, key);
  }
});
