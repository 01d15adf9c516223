import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  authenticationOk,
  backendKeyData,
  errorResponse,
  errorResponseOf,
  negotiateProtocolVersion,
  noticeResponse,
  parameterStatus,
  readyForQuery,
} from '../../../src/protocol/backend-messages.js';
import { PROTOCOL_3_2, TransactionStatus } from '../../../src/protocol/codes.js';
import { backend } from '../../support/raw-messages.js';

/** The type and the body of a message whose length must be right. */
function open(message: Buffer): { readonly type: string; readonly body: Buffer } {
  assert.equal(message.readInt32BE(1), message.length - 1);
  return { type: message.toString('latin1', 0, 1), body: message.subarray(5) };
}

test('authenticationOk', () => {
  assert.deepEqual(open(authenticationOk()), { type: 'R', body: Buffer.from([0, 0, 0, 0]) });
});

test('backendKeyData has the key in its full length', () => {
  const key = Buffer.alloc(32, 9);
  assert.deepEqual(open(backendKeyData(258, key)), {
    type: 'K',
    body: Buffer.concat([Buffer.from([0, 0, 1, 2]), key]),
  });
});

test('parameterStatus', () => {
  const { type, body } = open(parameterStatus('application_name', 'käse'));
  assert.equal(type, 'S');
  assert.deepEqual(backend.parameterStatus(body), ['application_name', 'käse']);
});

test('readyForQuery', () => {
  assert.deepEqual(open(readyForQuery(TransactionStatus.Idle)), { type: 'Z', body: Buffer.from('I') });
  assert.deepEqual(open(readyForQuery(TransactionStatus.Failed)), { type: 'Z', body: Buffer.from('E') });
});

test('negotiateProtocolVersion names the newest version and every option that is not known', () => {
  const { type, body } = open(negotiateProtocolVersion(PROTOCOL_3_2, ['_pq_.a', '_pq_.b']));
  assert.equal(type, 'v');
  assert.deepEqual(backend.negotiateProtocolVersion(body), {
    newest: PROTOCOL_3_2,
    unknownOptions: ['_pq_.a', '_pq_.b'],
  });
  assert.deepEqual(
    backend.negotiateProtocolVersion(open(negotiateProtocolVersion(PROTOCOL_3_2, [])).body).unknownOptions,
    [],
  );
});

test('errorResponse has both severities, the code and the message, and detail and hint where there are any', () => {
  const { type, body } = open(
    errorResponse({ severity: 'FATAL', sqlState: '57P03', message: 'no primary', detail: 'why', hint: 'what to do' }),
  );
  assert.equal(type, 'E');
  assert.deepEqual(
    [...backend.errorFields(body).all],
    [
      ['S', 'FATAL'],
      ['V', 'FATAL'],
      ['C', '57P03'],
      ['M', 'no primary'],
      ['D', 'why'],
      ['H', 'what to do'],
    ],
  );
  const plain = backend.errorFields(open(errorResponse({ severity: 'ERROR', sqlState: '57014', message: 'm' })).body);
  assert.deepEqual([...plain.all.keys()], ['S', 'V', 'C', 'M']);
});

test('a NUL in a text cannot break a message', () => {
  const { body } = open(
    errorResponse({ severity: 'ERROR', sqlState: '57014', message: 'visible\0C00000', detail: null }),
  );
  assert.deepEqual(
    [...backend.errorFields(body).all],
    [
      ['S', 'ERROR'],
      ['V', 'ERROR'],
      ['C', '57014'],
      ['M', 'visible'],
    ],
  );
});

test('noticeResponse', () => {
  const { type, body } = open(
    noticeResponse('WARNING', { sqlState: '01000', message: 'notifications may be missing' }),
  );
  assert.equal(type, 'N');
  assert.equal(backend.errorFields(body).severity, 'WARNING');
});

test('errorResponseOf puts the header back in front of a body', () => {
  const body = Buffer.from('VERROR\0\0');
  assert.deepEqual(open(errorResponseOf(body)), { type: 'E', body });
});
