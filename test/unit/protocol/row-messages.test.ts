import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { BodyReader as OwnReader } from '../../../src/protocol/body-reader.js';
import { dataRow, Format, rowDescription } from '../../../src/protocol/row-messages.js';
import type { Cell, Column, ColumnType } from '../../../src/protocol/row-messages.js';
import { BodyReader } from '../../support/raw-messages.js';

const columns: readonly Column[] = [
  { name: 'näme', type: 'text' },
  { name: 'small', type: 'int4' },
  { name: 'large', type: 'int8' },
  { name: 'huge', type: 'numeric' },
];

function cells(message: Buffer): (Buffer | null)[] {
  const body = new BodyReader(message.subarray(5));
  return Array.from({ length: body.int16() }, () => {
    const length = body.int32();
    return length < 0 ? null : body.bytes(length);
  });
}

function binary(type: ColumnType, cell: Cell): Buffer {
  const [found] = cells(dataRow([{ name: 'x', type }], [cell], () => Format.Binary));
  assert.ok(found);
  return found;
}

/** As `numeric_recv` in `src/backend/utils/adt/numeric.c` of PostgreSQL reads it. */
function readNumeric(bytes: Buffer): bigint {
  const [count, weight, sign, scale] = [0, 2, 4, 6].map((at) => bytes.readUInt16BE(at));
  assert.equal(scale, 0);
  assert.equal(bytes.length, 8 + 2 * (count ?? 0));
  let value = 0n;
  for (let i = 0; i <= (weight ?? 0); i += 1)
    value = value * 10_000n + BigInt(i < (count ?? 0) ? bytes.readInt16BE(8 + 2 * i) : 0);
  return sign === 0x4000 ? -value : value;
}

test('columns are described with their names, types and forms', () => {
  const message = rowDescription(columns, (index) => (index === 1 ? Format.Binary : Format.Text));
  assert.equal(message.readInt32BE(1), message.length - 1);
  const body = new BodyReader(message.subarray(5));
  const described = Array.from({ length: body.int16() }, () => {
    const name = body.string();
    const [table, number, oid, bytes, modifier, format] = [
      body.int32(),
      body.int16(),
      body.int32(),
      body.int16(),
      body.int32(),
      body.int16(),
    ];
    assert.deepEqual([table, number, modifier], [0, 0, -1]);
    return [name, oid, bytes, format];
  });
  assert.equal(body.rest().length, 0);
  assert.deepEqual(described, [
    ['näme', 25, -1, 0],
    ['small', 23, 4, 1],
    ['large', 20, 8, 0],
    ['huge', 1700, -1, 0],
  ]);
});

test('a row in text is what people write, and NULL is not an empty text', () => {
  const message = dataRow(columns, ['ä', -5, 2 ** 40, null], () => Format.Text);
  assert.equal(message.readInt32BE(1), message.length - 1);
  assert.deepEqual(
    cells(message).map((cell) => cell?.toString() ?? null),
    ['ä', '-5', '1099511627776', null],
  );
  assert.deepEqual(cells(dataRow(columns, ['', 0.4, 1.6, 1e21], () => Format.Text)).map(String), [
    '',
    '0',
    '2',
    '1000000000000000000000',
  ]);
});

test('a row in binary is what PostgreSQL would send', () => {
  assert.equal(binary('text', 'ä').toString(), 'ä');
  assert.equal(binary('int4', -7).readInt32BE(0), -7);
  assert.equal(binary('int8', 2 ** 40).readBigInt64BE(0), 2n ** 40n);
  assert.deepEqual([...binary('numeric', 0)], [0, 0, 0, 0, 0, 0, 0, 0]);
  // SELECT numeric_send(12345678) of PostgreSQL 15.
  assert.equal(binary('numeric', 12_345_678).toString('hex'), '000200010000000004d2162e');
  fc.assert(
    fc.property(fc.maxSafeInteger(), (value) => {
      assert.equal(readNumeric(binary('numeric', value)), BigInt(value));
      assert.equal(binary('int8', value).readBigInt64BE(0), BigInt(value));
    }),
  );
});

test('a body is read to its end and not beyond', () => {
  const body = (): OwnReader => new OwnReader(Buffer.from('Xab\0\0\x05\0\0\0\x07rest'), 1, 10);
  const whole = body();
  assert.deepEqual([whole.text(), whole.int16(), whole.int32()], ['ab', 5, 7]);
  whole.finish();
  assert.throws(() => body().finish(), /08P01|invalid message format/);
  assert.throws(() => new OwnReader(Buffer.from('ab\0'), 0, 2).text(), /invalid message format/);
  for (const read of [(r: OwnReader) => r.byte(), (r: OwnReader) => r.int16(), (r: OwnReader) => r.int32()]) {
    assert.throws(() => read(new OwnReader(Buffer.alloc(8), 0, 0)), /invalid message format/);
  }
  assert.throws(() => body().skip(-1), /invalid message format/);
});
