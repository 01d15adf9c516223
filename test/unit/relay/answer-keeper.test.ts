import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AnswerKeeper } from '../../../src/relay/answer-keeper.js';

const wanted = (): boolean => true;
const part = Buffer.from('part');
const end = Buffer.from('end');

test('a whole answer in one piece goes out as it is', () => {
  const keeper = new AnswerKeeper();
  assert.equal(keeper.complete(end), end);
  assert.equal(keeper.isOut, false);
});

test('the beginning of an answer is kept until its end, or taken back', () => {
  const keeper = new AnswerKeeper();
  assert.equal(keeper.part(part, false, wanted), null);
  assert.equal(keeper.part(part, false, wanted), null);
  assert.deepEqual([keeper.isKeeping, keeper.isOut], [true, false]);
  assert.equal(keeper.complete(end).toString(), 'partpartend');
  assert.equal(keeper.part(part, false, wanted), null);
  keeper.drop();
  assert.deepEqual([keeper.isKeeping, keeper.isOut], [false, false]);
  assert.equal(keeper.complete(end), end);
});

test('an answer as long as what a node sends of its own accord is not kept, and nothing behind it', () => {
  const keeper = new AnswerKeeper();
  assert.equal(keeper.part(part, false, wanted), null);
  const full = Buffer.alloc(8 * 1024 - part.length);
  assert.equal(keeper.part(full, false, wanted)?.length, 8 * 1024);
  assert.equal(keeper.isOut, true);
  assert.equal(keeper.part(part, false, wanted), part);
  assert.equal(keeper.complete(end), end);
  assert.equal(keeper.isOut, false);
});

test('whether an answer is kept is asked once, and anew for the next one', () => {
  const keeper = new AnswerKeeper();
  let asked = 0;
  const ask = (): boolean => {
    asked += 1;
    return false;
  };
  keeper.part(part, false, ask);
  keeper.part(part, false, ask);
  keeper.complete(end);
  keeper.part(part, false, ask);
  assert.equal(asked, 2);
});

test('what the client has asked for with Flush is not kept, unless the node has said its last word', () => {
  const keeper = new AnswerKeeper();
  keeper.flush();
  assert.equal(keeper.part(part, true, wanted), null);
  keeper.drop();
  keeper.flush();
  assert.equal(keeper.part(part, false, wanted), part);
  assert.equal(keeper.isOut, true);
});

test('an answer that cannot be taken back is not kept', () => {
  const keeper = new AnswerKeeper();
  assert.equal(keeper.part(part, false, wanted), null);
  keeper.hurry();
  assert.equal(keeper.part(end, false, wanted)?.toString(), 'partend');
  assert.equal(keeper.isOut, true);
});
