import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errorResponse } from '../../../src/protocol/backend-messages.js';
import { Frontend, TransactionStatus } from '../../../src/protocol/codes.js';
import { SubstituteAnswers } from '../../../src/relay/substitute-answers.js';

const error = errorResponse({ severity: 'ERROR', sqlState: '08007', message: 'lost' });
const none = { readies: 0, openUnit: false, isErrorSent: false };

/** The types of the messages that were said, as letters. */
function listen(): { readonly answers: SubstituteAnswers; readonly said: () => string } {
  let types = '';
  const answers = new SubstituteAnswers((messages) => {
    for (let at = 0; at < messages.length; at += 1 + messages.readInt32BE(at + 1)) {
      types += String.fromCharCode(messages[at] ?? 0);
      if (types.endsWith('Z') && messages[at + 5] !== TransactionStatus.Idle)
        types += String.fromCharCode(messages[at + 5] ?? 0);
    }
  });
  return { answers, said: () => types };
}

test('a rejected query is answered with the error and ReadyForQuery, once', () => {
  const { answers, said } = listen();
  answers.rejectNext(error);
  assert.equal(answers.isRejecting, true);
  answers.reject(Frontend.Query);
  assert.deepEqual([said(), answers.isRejecting, answers.isSkipping], ['EZ', false, false]);
});

test('a rejected batch is answered with the error at once, and with ReadyForQuery at its Sync', () => {
  const { answers, said } = listen();
  answers.rejectNext(error);
  answers.reject(Frontend.Parse);
  assert.deepEqual([said(), answers.isSkipping], ['E', true]);
  answers.skip(Frontend.Bind);
  answers.skip(Frontend.Execute);
  assert.equal(said(), 'E');
  answers.skip(Frontend.Sync);
  assert.deepEqual([said(), answers.isSkipping], ['EZ', false]);
});

test('what is rejected in a transaction leaves it failed', () => {
  const { answers, said } = listen();
  answers.rejectNext(error, TransactionStatus.Failed);
  answers.reject(Frontend.Query);
  answers.rejectNext(error, TransactionStatus.Failed);
  answers.reject(Frontend.Parse);
  answers.skip(Frontend.Sync);
  answers.rejectNext(error);
  answers.reject(Frontend.Query);
  assert.equal(said(), 'EZEEZEEZ');
});

test('every unit that a lost backend owed gets its error and its ReadyForQuery', () => {
  const { answers, said } = listen();
  answers.fail(error, { ...none, readies: 3 }, false, TransactionStatus.Idle);
  assert.equal(said(), 'EZEZEZ');
});

test('an error that the client has had is not said again', () => {
  const { answers, said } = listen();
  answers.fail(error, { readies: 2, openUnit: false, isErrorSent: true }, false, TransactionStatus.Idle);
  assert.equal(said(), 'ZEZ');
});

test('a unit whose Sync has not come is answered, and skipped up to it', () => {
  const { answers, said } = listen();
  answers.fail(error, none, true, TransactionStatus.Idle);
  assert.deepEqual([said(), answers.isSkipping], ['E', true]);
  answers.skip(Frontend.Sync);
  assert.equal(said(), 'EZ');
});

test('nothing owed is nothing said', () => {
  const { answers, said } = listen();
  answers.fail(error, none, false, TransactionStatus.Idle);
  assert.deepEqual([said(), answers.isSkipping], ['', false]);
});

test('units of a lost transaction end in state E, also the one whose Sync has not come', () => {
  const { answers, said } = listen();
  answers.fail(error, { ...none, readies: 1, openUnit: true }, true, TransactionStatus.Failed);
  assert.equal(said(), 'EZEE');
  answers.skip(Frontend.Sync);
  assert.equal(said(), 'EZEEZE');
  answers.ready();
  assert.equal(said(), 'EZEEZEZ');
});
