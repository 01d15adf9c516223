import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import {
  isTruthy,
  parseJson,
  parseJsonObject,
  readBoolean,
  readInteger,
  readLsn,
  readNumber,
  readTimestamp,
} from '../../../src/dcs/patroni-values.js';

function valueOf(text: string): unknown {
  const parsed = parseJson(text);
  assert.ok(parsed.ok);
  return parsed.value;
}

test('integers of 64 bits survive the JSON', () => {
  for (const text of ['9007199254740993', '18446744073709551615', '-9223372036854775808', '1000000000000001']) {
    assert.equal(readInteger(valueOf(text)), BigInt(text));
    const nested = valueOf(`{"a":[${text}, {"b": ${text}}]}`) as { a: [unknown, { b: unknown }] };
    assert.equal(readInteger(nested.a[0]), BigInt(text));
    assert.equal(readInteger(nested.a[1].b), BigInt(text));
  }
});

test('every 64-bit integer reads as itself, as a number and as digits', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }), (integer) => {
      assert.equal(readInteger(valueOf(`[${integer}]`.slice(1, -1))), integer);
      assert.equal(readInteger(String(integer)), integer);
    }),
  );
});

test('digits inside of strings are left alone', () => {
  const text =
    '{"a \\" 12345678901234567890 \\\\":"12345678901234567890 \\" 12345678901234567890","b":1234567890123456789}';
  assert.deepEqual(valueOf(text), {
    'a " 12345678901234567890 \\': '12345678901234567890 " 12345678901234567890',
    b: '1234567890123456789',
  });
});

test('agrees with JSON.parse on everything that has no long integers', () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 4 }), (text) => {
      fc.pre(!/\d{16}/.test(text));
      assert.deepEqual(valueOf(text), JSON.parse(text));
    }),
  );
});

test('long fractions and exponents stay numbers', () => {
  assert.equal(valueOf('0.12345678901234567890'), Number('0.12345678901234567890'));
  assert.equal(valueOf('12345678901234567890.5'), Number('12345678901234567890.5'));
  assert.equal(valueOf('1e20'), 1e20);
});

test('never throws, whatever it is given', () => {
  fc.assert(fc.property(fc.string(), (text) => void [parseJson(text), parseJsonObject(text), readTimestamp(text)]));
  assert.deepEqual(parseJson(''), { ok: false, why: 'not JSON' });
  assert.deepEqual(parseJson('{"a":'), { ok: false, why: 'not JSON' });
  assert.deepEqual(parseJsonObject('[]'), { ok: false, why: 'not a JSON object' });
  assert.deepEqual(parseJsonObject('null'), { ok: false, why: 'not a JSON object' });
  assert.equal(parseJson('['.repeat(200_000)).ok, false);
  assert.equal(parseJson(`"${'\\"'.repeat(500_000)}1234567890123456`).ok, false);
});

test('what is not an integer reads as none', () => {
  for (const value of [
    1.5,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    1e20,
    '',
    ' ',
    '1.5',
    '0x10',
    'unknown',
    true,
    null,
    {},
    [],
  ]) {
    assert.equal(readInteger(value), null, JSON.stringify(value));
  }
  assert.equal(readNumber(5, 6, 10), null);
  assert.equal(readNumber('11', 6, 10), null);
  assert.equal(readNumber(' 10 ', 6, 10), 10);
});

test('a WAL position has 64 bits and no sign', () => {
  assert.equal(readLsn('18446744073709551615'), 18446744073709551615n);
  assert.equal(readLsn(0), 0n);
  for (const none of ['18446744073709551616', -1, '-1', '9'.repeat(1_000_000), 1.5, null])
    assert.equal(readLsn(none), null);
});

test('booleans read as Patroni reads them', () => {
  for (const yes of [true, 1, '1', 'on', 'ON', 'True', 'yes']) assert.equal(readBoolean(yes), true, String(yes));
  for (const no of [false, 0, '0', 'off', 'False', 'NO']) assert.equal(readBoolean(no), false, String(no));
  for (const neither of [2, '', 'maybe', null, undefined, {}, ['on']]) assert.equal(readBoolean(neither), null);
});

test('truth is that of Python', () => {
  for (const yes of [true, 1, -1, 'false', ' ', [0], { a: 0 }]) assert.equal(isTruthy(yes), true, JSON.stringify(yes));
  for (const no of [false, 0, '', null, undefined, [], {}]) assert.equal(isTruthy(no), false, JSON.stringify(no));
});

test('times need a zone, and microseconds do no harm', () => {
  const expected = Date.UTC(2026, 10, 22, 14, 38, 59, 11);
  assert.equal(readTimestamp('2026-11-22T14:38:59.011385+00:00'), expected);
  assert.equal(readTimestamp('2026-11-22T16:38:59.011+02:00'), expected);
  assert.equal(readTimestamp('2026-11-22 16:38:59.011385+0200'), expected);
  assert.equal(readTimestamp('2026-11-22T09:38:59.011-05'), expected);
  assert.equal(readTimestamp('2026-11-22T14:38:59.011Z'), expected);
  assert.equal(readTimestamp('2026-11-22T14:38+00:00'), Date.UTC(2026, 10, 22, 14, 38));
  for (const none of [
    '2026-11-22T14:38:59.011385',
    '2026-11-22',
    '2026-13-45T99:99:99Z',
    'tomorrow',
    '',
    5,
    null,
    {},
  ]) {
    assert.equal(readTimestamp(none), null, JSON.stringify(none));
  }
});
