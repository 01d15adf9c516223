import { BackendType } from './codes.js';
import type { TransactionStatus } from './codes.js';
import type { ErrorFields } from './error-fields.js';

/**
 * Messages that we say to a client in a node's place. Each function gives a new buffer with one whole message.
 * Source of the layouts: PostgreSQL documentation, "Message Formats".
 */

function message(type: number, body: Buffer): Buffer {
  const out = Buffer.allocUnsafe(5 + body.length);
  out.writeUInt8(type, 0);
  out.writeInt32BE(4 + body.length, 1);
  body.copy(out, 5);
  return out;
}

/** A C string: the text up to its first NUL, and a NUL. */
function cString(text: string): Buffer {
  const nul = text.indexOf('\0');
  return Buffer.from(`${nul < 0 ? text : text.slice(0, nul)}\0`, 'utf8');
}

function int32(value: number): Buffer {
  const out = Buffer.allocUnsafe(4);
  out.writeInt32BE(value, 0);
  return out;
}

export function authenticationOk(): Buffer {
  return message(BackendType.Authentication, int32(0));
}

export function backendKeyData(processId: number, key: Buffer): Buffer {
  return message(BackendType.BackendKeyData, Buffer.concat([int32(processId), key]));
}

export function parameterStatus(name: string, value: string): Buffer {
  return message(BackendType.ParameterStatus, Buffer.concat([cString(name), cString(value)]));
}

export function readyForQuery(status: TransactionStatus): Buffer {
  return message(BackendType.ReadyForQuery, Buffer.from([status]));
}

export function commandComplete(tag: string): Buffer {
  return message(BackendType.CommandComplete, cString(tag));
}

/** A message without a body: ParseComplete, BindComplete, CloseComplete, NoData. */
export function emptyMessage(type: number): Buffer {
  return message(type, Buffer.alloc(0));
}

/** ParameterDescription of a statement without parameters. */
export function noParameters(): Buffer {
  return message(BackendType.ParameterDescription, Buffer.alloc(2));
}

/** `newest` is the newest protocol version that we speak, as a whole number such as 196610. */
export function negotiateProtocolVersion(newest: number, unsupportedOptions: readonly string[]): Buffer {
  return message(
    BackendType.NegotiateProtocolVersion,
    Buffer.concat([int32(newest), int32(unsupportedOptions.length), ...unsupportedOptions.map(cString)]),
  );
}

export interface ErrorText {
  readonly severity: 'ERROR' | 'FATAL';
  readonly sqlState: string;
  readonly message: string;
  readonly detail?: string | null;
  readonly hint?: string | null;
}

function fields(
  severity: string,
  from: Pick<ErrorFields, 'sqlState' | 'message'> & Pick<ErrorText, 'detail' | 'hint'>,
): Buffer {
  const parts = [
    cString(`S${severity}`),
    cString(`V${severity}`),
    cString(`C${from.sqlState}`),
    cString(`M${from.message}`),
  ];
  if (from.detail) parts.push(cString(`D${from.detail}`));
  if (from.hint) parts.push(cString(`H${from.hint}`));
  parts.push(Buffer.from([0]));
  return Buffer.concat(parts);
}

export function errorResponse(error: ErrorText): Buffer {
  return message(BackendType.ErrorResponse, fields(error.severity, error));
}

export function noticeResponse(severity: 'NOTICE' | 'WARNING', notice: Omit<ErrorText, 'severity'>): Buffer {
  return message(BackendType.NoticeResponse, fields(severity, notice));
}

/** Puts the header back in front of an ErrorResponse body that came from a node. */
export function errorResponseOf(body: Buffer): Buffer {
  return message(BackendType.ErrorResponse, body);
}
