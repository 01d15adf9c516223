import { BackendType } from './codes.js';

/**
 * RowDescription and DataRow of tables that we make ourselves.
 * Source of the layouts: PostgreSQL documentation, "Message Formats"; of the binary forms: `int4send`, `int8send`, `textsend` and
 * `numeric_send` in `src/backend/utils/adt` of PostgreSQL.
 */

/** Types of columns, with object id and length in `pg_type`. */
const TYPES = {
  text: { oid: 25, bytes: -1 },
  int4: { oid: 23, bytes: 4 },
  int8: { oid: 20, bytes: 8 },
  numeric: { oid: 1700, bytes: -1 },
} as const;

export type ColumnType = keyof typeof TYPES;

export interface Column {
  readonly name: string;
  readonly type: ColumnType;
}

/** Numbers are whole; whatever is not is rounded. */
export type Cell = string | number | null;
export type Row = readonly Cell[];

export const Format = { Text: 0, Binary: 1 } as const;
export type Format = (typeof Format)[keyof typeof Format];

const HEADER_BYTES = 5;
/** Table, column number and type modifier of a column that comes from no table; see RowDescription. */
const COLUMN_BYTES = 18;
/** Digits of numeric are of base 10000. */
const NUMERIC_BASE = 10_000n;
const NUMERIC_NEGATIVE = 0x4000;

/** `formatOf`: in which form each column comes. */
export function rowDescription(columns: readonly Column[], formatOf: (index: number) => Format): Buffer {
  const names = columns.map(({ name }) => Buffer.from(`${name}\0`, 'utf8'));
  const length = names.reduce((sum, name) => sum + name.length + COLUMN_BYTES, 2);
  const out = Buffer.alloc(HEADER_BYTES + length);
  out.writeUInt8(BackendType.RowDescription, 0);
  out.writeInt32BE(4 + length, 1);
  out.writeInt16BE(columns.length, HEADER_BYTES);
  let at = HEADER_BYTES + 2;
  for (const [index, column] of columns.entries()) {
    const { oid, bytes } = TYPES[column.type];
    at += names[index]?.copy(out, at) ?? 0;
    out.writeInt32BE(oid, at + 6);
    out.writeInt16BE(bytes, at + 10);
    out.writeInt32BE(-1, at + 12);
    out.writeInt16BE(formatOf(index), at + 16);
    at += COLUMN_BYTES;
  }
  return out;
}

/** The row must have a cell for each column. */
export function dataRow(columns: readonly Column[], row: Row, formatOf: (index: number) => Format): Buffer {
  const cells = columns.map(({ type }, index) => encode(row[index] ?? null, type, formatOf(index)));
  const length = cells.reduce((sum, cell) => sum + 4 + (cell?.length ?? 0), 2);
  const out = Buffer.allocUnsafe(HEADER_BYTES + length);
  out.writeUInt8(BackendType.DataRow, 0);
  out.writeInt32BE(4 + length, 1);
  out.writeInt16BE(cells.length, HEADER_BYTES);
  let at = HEADER_BYTES + 2;
  for (const cell of cells) {
    out.writeInt32BE(cell?.length ?? -1, at);
    at += 4;
    if (cell !== null) at += cell.copy(out, at);
  }
  return out;
}

function encode(cell: Cell, type: ColumnType, format: Format): Buffer | null {
  if (cell === null) return null;
  const whole = typeof cell === 'number' ? BigInt(Math.round(cell)) : null;
  if (format === Format.Text || type === 'text') return Buffer.from(String(whole ?? cell), 'utf8');
  return encodeBinary(whole ?? BigInt(cell), type);
}

function encodeBinary(value: bigint, type: Exclude<ColumnType, 'text'>): Buffer {
  if (type === 'numeric') return encodeNumeric(value);
  const out = Buffer.alloc(TYPES[type].bytes);
  if (type === 'int4') out.writeInt32BE(Number(BigInt.asIntN(32, value)), 0);
  else out.writeBigInt64BE(BigInt.asIntN(64, value), 0);
  return out;
}

/** Count of digits, weight of the first, sign, digits behind the point; then the digits. */
function encodeNumeric(value: bigint): Buffer {
  const digits: number[] = [];
  for (let left = value < 0n ? -value : value; left > 0n; left /= NUMERIC_BASE) {
    digits.unshift(Number(left % NUMERIC_BASE));
  }
  const out = Buffer.alloc(8 + digits.length * 2);
  out.writeInt16BE(digits.length, 0);
  out.writeInt16BE(Math.max(0, digits.length - 1), 2);
  out.writeUInt16BE(value < 0n ? NUMERIC_NEGATIVE : 0, 4);
  for (const [index, digit] of digits.entries()) out.writeInt16BE(digit, 8 + index * 2);
  return out;
}
