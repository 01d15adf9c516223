import { Frontend, PROTOCOL_3_0, StartupCode } from './codes.js';

/**
 * Packets that we send to a node and that pg-protocol has no serializer for (its startup packet always sets `client_encoding`, its
 * Query is always UTF-8).
 * Source of the layouts: PostgreSQL documentation, "Message Formats".
 */

/** StartupMessage 3.0 with exactly these parameters, in this order. No text may hold a NUL. */
export function startupMessage(parameters: Iterable<readonly [string, string]>): Buffer {
  const parts: Buffer[] = [];
  for (const [name, value] of parameters) parts.push(Buffer.from(`${name}\0${value}\0`, 'utf8'));
  const body = Buffer.concat(parts);
  const out = Buffer.alloc(8 + body.length + 1);
  out.writeInt32BE(out.length, 0);
  out.writeInt32BE(PROTOCOL_3_0, 4);
  body.copy(out, 8);
  return out;
}

/** A simple Query with exactly these bytes, which must not hold a NUL. */
export function queryMessage(sql: Buffer): Buffer {
  const out = Buffer.alloc(5 + sql.length + 1);
  out.writeUInt8(Frontend.Query, 0);
  out.writeInt32BE(out.length - 1, 1);
  sql.copy(out, 5);
  return out;
}

/** CancelRequest for the backend that gave this process id and key. */
export function cancelRequest(processId: number, key: Buffer): Buffer {
  const out = Buffer.alloc(12 + key.length);
  out.writeInt32BE(out.length, 0);
  out.writeInt32BE(StartupCode.Cancel, 4);
  out.writeInt32BE(processId, 8);
  key.copy(out, 12);
  return out;
}
