import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describePin, PinReason } from '../../../src/sql/pin-reason.js';

test('every reason is half a sentence of its own, to be put behind "the session cannot move: "', () => {
  const sentences = Object.values(PinReason).map(describePin);
  for (const sentence of sentences) assert.match(sentence, /^(it|its) [^.]+[^.\s]$/);
  assert.equal(new Set(sentences).size, sentences.length);
});

test('reasons are names that can be labels', () => {
  for (const reason of Object.values(PinReason)) assert.match(reason, /^[a-z]+(_[a-z]+)*$/);
});
