import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { DatabaseFences, SessionFence } from '../../../../src/session/split/session-fence.js';
import type { Consistency } from '../../../../src/session/split/session-fence.js';
import { B, C } from '../../../support/cluster-fakes.js';
import { FakeFreshness } from './fake-freshness.js';

let freshness: FakeFreshness;
let shared: DatabaseFences;

beforeEach(() => {
  freshness = new FakeFreshness();
  shared = new DatabaseFences();
  freshness.next = 5;
});

function fenceOf(mode: Consistency | (() => Consistency), database = 'app'): SessionFence {
  return new SessionFence(freshness, database, shared, typeof mode === 'string' ? () => mode : mode);
}

test('a session that has seen nothing reads anywhere', () => {
  assert.equal(fenceOf('session').isCaughtUp(B), true);
  assert.equal(fenceOf('database').isCaughtUp(B), true);
});

test('what it has seen on the primary is behind the tick that comes next', () => {
  const fence = fenceOf('session');
  fence.sawPrimary(false);
  assert.equal(fence.isCaughtUp(B), false, 'nothing is known of it');
  freshness.caughtUp.set(B, 4);
  assert.equal(fence.isCaughtUp(B), false);
  freshness.caughtUp.set(B, 5);
  assert.equal(fence.isCaughtUp(B), true);
});

test('it reads on where it has read, and elsewhere only what is no older', () => {
  const fence = fenceOf('session');
  freshness.caughtUp.set(B, 4).set(C, 4);
  fence.sawStandby(B);
  assert.deepEqual([fence.isCaughtUp(B), fence.isCaughtUp(C)], [true, false]);
  freshness.caughtUp.set(C, 5);
  assert.equal(fence.isCaughtUp(C), true);
});

test('a standby that was started again is one like any other', () => {
  const fence = fenceOf('session');
  freshness.caughtUp.set(B, 4);
  fence.sawStandby(B);
  assert.equal(fence.isCaughtUp(B), true);
  freshness.lives.set(B, {});
  assert.equal(fence.isCaughtUp(B), false);
  freshness.caughtUp.set(B, 5);
  assert.equal(fence.isCaughtUp(B), true);
});

test('what was seen on the primary holds for the standby at home too', () => {
  const fence = fenceOf('session');
  freshness.caughtUp.set(B, 4);
  fence.sawStandby(B);
  fence.sawPrimary(true);
  assert.equal(fence.isCaughtUp(B), false);
});

test('eventual counts on nothing but what was handed over', () => {
  const fence = fenceOf('eventual');
  fence.sawPrimary(true);
  fence.sawStandby(B);
  assert.equal(fence.isCaughtUp(C), true);
  fence.token = 0x100n;
  assert.equal(fence.isCaughtUp(C), false);
  freshness.positions.set(C, 0xffn);
  assert.equal(fence.isCaughtUp(C), false);
  freshness.positions.set(C, 0x100n);
  assert.equal(fence.isCaughtUp(C), true);
});

test('a token holds beside the fence, in every mode', () => {
  for (const mode of ['session', 'database'] as const) {
    const fence = fenceOf(mode);
    fence.sawPrimary(true);
    fence.token = 0x100n;
    freshness.positions.set(B, 0x100n);
    freshness.caughtUp.set(B, 4);
    assert.equal(fence.isCaughtUp(B), false);
    freshness.caughtUp.set(B, 5);
    assert.equal(fence.isCaughtUp(B), true);
  }
});

test('a session that asks for more again has what it did meanwhile', () => {
  let mode: Consistency = 'eventual';
  const fence = fenceOf(() => mode);
  fence.sawPrimary(true);
  mode = 'session';
  assert.equal(fence.isCaughtUp(B), false);
});

test('a standby that was read from whatever it has is no home', () => {
  let mode: Consistency = 'session';
  const fence = fenceOf(() => mode);
  fence.sawStandby(C);
  mode = 'eventual';
  fence.sawStandby(B);
  mode = 'session';
  assert.equal(fence.isCaughtUp(B), false);
});

test('database: what others have written there through this process counts, and what they have read does not', () => {
  const [writer, reader, other] = [fenceOf('database'), fenceOf('database'), fenceOf('database', 'other')];
  const own = fenceOf('session');
  writer.sawPrimary(false);
  assert.equal(reader.isCaughtUp(B), true);
  writer.sawPrimary(true);
  assert.deepEqual([reader.isCaughtUp(B), other.isCaughtUp(B), own.isCaughtUp(B)], [false, true, true]);
  freshness.caughtUp.set(B, 5);
  assert.equal(reader.isCaughtUp(B), true);
  own.sawPrimary(true);
  assert.equal(shared.of('app'), 5, 'that was a session of another kind');
});

test('a fence of a database never falls', () => {
  shared.raise('app', 7);
  shared.raise('app', 3);
  assert.equal(shared.of('app'), 7);
  assert.equal(shared.of('other'), 0);
});
