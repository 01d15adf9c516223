import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UnitRecord } from '../../../src/relay/unit-record.js';

const chunk = Buffer.from('aaabbbcccddd');

test('frames side by side, in several chunks, and of several units come back as they were sent', () => {
  const record = new UnitRecord(() => 100);
  record.begin();
  record.add(chunk, 0, 3);
  record.add(chunk, 3, 6);
  record.add(Buffer.from('XY'), 0, 2);
  record.begin();
  record.add(chunk, 9, 12);
  assert.equal(record.length, 2);
  assert.equal(record.isWhole(0), true);
  assert.equal(record.take(0).toString(), 'aaabbbXYddd');
  assert.equal(record.length, 0);
});

test('what has ended is not kept, and the first unit can be left out', () => {
  const record = new UnitRecord(() => 100);
  for (const [from, to] of [
    [0, 3],
    [3, 6],
    [6, 9],
  ] as const) {
    record.begin();
    record.add(chunk, from, to);
  }
  record.ended();
  assert.equal(record.take(1).toString(), 'ccc');
});

test('a unit beyond the bound is not kept, and its bytes count no more', () => {
  const record = new UnitRecord(() => 6);
  record.begin();
  record.add(chunk, 0, 3);
  record.begin();
  record.add(chunk, 3, 6);
  record.add(chunk, 6, 7);
  assert.equal(record.isWhole(0), false);
  assert.equal(record.isWhole(2), true);
  record.ended();
  record.ended();
  record.begin();
  record.add(chunk, 0, 6);
  assert.equal(record.isWhole(0), true);
  assert.equal(record.take(0).toString(), 'aaabbb');
});

test('a unit with a frame that is not kept is not whole, whatever follows', () => {
  const record = new UnitRecord(() => 100);
  record.begin();
  record.add(chunk, 0, 3);
  record.forget();
  record.add(chunk, 3, 6);
  assert.equal(record.isWhole(0), false);
  assert.equal(record.isWhole(1), true);
  record.ended();
  record.begin();
  record.add(chunk, 3, 6);
  assert.equal(record.isWhole(0), true);
});

test('nothing is kept where the bound is 0, and a frame without a unit is no harm', () => {
  const record = new UnitRecord(() => 0);
  record.add(chunk, 0, 3);
  record.forget();
  record.ended();
  record.begin();
  record.add(chunk, 0, 3);
  assert.equal(record.isWhole(0), false);
});
