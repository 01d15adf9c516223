import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { decodeErrorFields, isFatal } from '../../../src/protocol/error-fields.js';
import type { ErrorFields } from '../../../src/protocol/error-fields.js';

function decode(...fields: readonly string[]): ErrorFields {
  const body = Buffer.from(`${fields.map((field) => `${field}\0`).join('')}\0`);
  return decodeErrorFields(Buffer.concat([Buffer.from('before'), body, Buffer.from('behind')]), 6, 6 + body.length);
}

test('reads the fields, the severity that is not localized first', () => {
  assert.deepEqual(
    decode(
      'SFEHLER',
      'VERROR',
      'C23505',
      'Mdoppelter Schlüssel',
      'DKey (id)=(1)',
      'HTry again',
      'Fnbtinsert.c',
      'L666',
      'R_bt_check_unique',
    ),
    {
      severity: 'ERROR',
      sqlState: '23505',
      message: 'doppelter Schlüssel',
      detail: 'Key (id)=(1)',
      hint: 'Try again',
      routine: '_bt_check_unique',
    },
  );
});

test('takes the localized severity where there is no other', () => {
  assert.equal(decode('SFATAL', 'C57P01').severity, 'FATAL');
});

test('gives empty texts and nulls for what is not there', () => {
  assert.deepEqual(decode(), { severity: '', sqlState: '', message: '', detail: null, hint: null, routine: '' });
});

test('keeps an empty field', () => {
  assert.equal(decode('D').detail, '');
});

test('stops at a field that does not end, and does not read behind the body', () => {
  const body = Buffer.from('VERROR\0C57P01\0Mtrunc');
  const all = Buffer.concat([body, Buffer.from('ated\0\0')]);
  assert.deepEqual(decodeErrorFields(all, 0, body.length), {
    severity: 'ERROR',
    sqlState: '57P01',
    message: '',
    detail: null,
    hint: null,
    routine: '',
  });
});

test('never throws', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat({ max: 45 }), fc.nat({ max: 45 }), (bytes, start, end) => {
      decodeErrorFields(Buffer.from(bytes), start, Math.min(end, bytes.length));
    }),
  );
});

test('FATAL and PANIC end the connection, the others do not', () => {
  assert.ok(isFatal(decode('VFATAL')));
  assert.ok(isFatal(decode('VPANIC')));
  for (const severity of ['ERROR', 'WARNING', 'NOTICE', 'LOG', '']) assert.ok(!isFatal(decode(`V${severity}`)));
});
