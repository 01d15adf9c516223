import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GateWithPauses } from '../../../src/failover/pause-gate.js';
import { Admits } from '../../../src/session/context.js';
import type { PauseGate } from '../../../src/session/context.js';

test('the gate is open when no promotion is under way and nothing is paused; only the promotion says what it admits', () => {
  const promotions = {
    admits: Admits.All as Admits,
    isOpen: true,
    reason: 'why',
    hasChangedSince: (ms: number) => ms < 5,
  };
  const pauses = { isAny: false };
  const gate = new GateWithPauses(promotions, pauses as PauseGate);
  assert.equal(gate.isOpen, true);
  pauses.isAny = true;
  assert.deepEqual([gate.isOpen, gate.admits], [false, Admits.All]);
  [pauses.isAny, promotions.isOpen, promotions.admits] = [false, false, Admits.None];
  assert.deepEqual([gate.isOpen, gate.admits, gate.reason], [false, Admits.None, 'why']);
  assert.deepEqual([gate.hasChangedSince(4), gate.hasChangedSince(5)], [true, false]);
});
