import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PROTOCOL_3_0, PROTOCOL_3_2 } from '../../../src/protocol/codes.js';
import { isSameKey, makeCancelKey } from '../../../src/session/cancel-key.js';

test('keys have the length of the protocol version that is spoken', () => {
  assert.equal(makeCancelKey(PROTOCOL_3_0, () => false).key.length, 4);
  assert.equal(makeCancelKey(PROTOCOL_3_2, () => false).key.length, 32);
});

test('process ids are positive and fit into a signed integer of 32 bits', () => {
  for (let i = 0; i < 1000; i += 1) {
    const { processId } = makeCancelKey(PROTOCOL_3_0, () => false);
    assert.ok(Number.isInteger(processId) && processId > 0 && processId <= 0x7fffffff);
  }
});

test('a process id that is taken is not given again', () => {
  const refused: number[] = [];
  const { processId } = makeCancelKey(PROTOCOL_3_0, (candidate) => refused.push(candidate) < 5);
  assert.equal(refused.length, 5);
  assert.equal(refused.at(-1), processId);
});

test('no two keys are alike', () => {
  const keys = Array.from({ length: 100 }, () => makeCancelKey(PROTOCOL_3_2, () => false).key.toString('hex'));
  assert.equal(new Set(keys).size, 100);
});

test('keys are the same only when every byte and the length are', () => {
  const key = Buffer.from([1, 2, 3, 4]);
  assert.ok(isSameKey(key, Buffer.from(key)));
  for (let i = 0; i < 4; i += 1) {
    const other = Buffer.from(key);
    other[i] = 9;
    assert.ok(!isSameKey(key, other));
  }
  assert.ok(!isSameKey(key, key.subarray(0, 3)));
  assert.ok(!isSameKey(key, Buffer.alloc(0)));
  assert.ok(!isSameKey(Buffer.from([1, 2, 3, 4, 0]), key));
});
