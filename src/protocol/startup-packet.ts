import { PROTOCOL_3_0, PROTOCOL_3_2, StartupCode } from './codes.js';

/**
 * The first packet of a connection: it has a length and a code, but no type byte.
 *
 *   +----------------------+----------+---------------------------------------------+
 *   | length (4, incl. own) | code (4) | name \0 value \0 ... \0  (code 3.x), or a key |
 *   +----------------------+----------+---------------------------------------------+
 *
 * Source: PostgreSQL documentation, "Message Formats" and "Message Flow"; the size limit is MAX_STARTUP_PACKET_LENGTH.
 */

export const STARTUP_PACKET_BYTES_MAX = 10_000;
const MIN_BYTES = 8;
/** A process id and at least one byte of key. */
const CANCEL_BYTES_MIN = 13;
const CANCEL_KEY_BYTES_MAX = 256;

export interface StartupMessage {
  readonly kind: 'startup';
  /** As asked: major in the high 16 bits, minor in the low 16. */
  readonly protocol: number;
  /** What is spoken from here on: 3.0 or 3.2. */
  readonly spoken: typeof PROTOCOL_3_0 | typeof PROTOCOL_3_2;
  /** True when the client must be told with NegotiateProtocolVersion that it does not get what it asked for. */
  readonly mustNegotiate: boolean;
  readonly user: string;
  readonly database: string;
  /** All parameters in the order sent, but for `user`, `database` and the `_pq_.` options. */
  readonly parameters: ReadonlyMap<string, string>;
  /** Names of the protocol options (`_pq_.`) that were asked for; none is supported. */
  readonly unsupportedOptions: readonly string[];
}

export interface CancelRequest {
  readonly kind: 'cancel';
  readonly processId: number;
  readonly key: Buffer;
}

export type StartupPacket =
  | StartupMessage
  | CancelRequest
  | { readonly kind: 'ssl' }
  | { readonly kind: 'gssenc' }
  /** More bytes are needed; `bytes` in all, as far as is known. */
  | { readonly kind: 'incomplete'; readonly bytes: number }
  | { readonly kind: 'violation'; readonly message: string; readonly sqlState: '08P01' | '0A000' | '28000' };

/** A packet and where it ends in the buffer. */
export interface ReadStartupPacket {
  readonly packet: StartupPacket;
  readonly end: number;
}

/** Reads the packet at the start of `buffer`, which is borrowed. Never throws. */
export function readStartupPacket(buffer: Buffer): ReadStartupPacket {
  if (buffer.length < 4) return { packet: { kind: 'incomplete', bytes: MIN_BYTES }, end: 0 };
  const length = buffer.readUInt32BE(0);
  if (length < MIN_BYTES || length > STARTUP_PACKET_BYTES_MAX) {
    return { packet: violation('invalid length of startup packet'), end: 0 };
  }
  if (buffer.length < length) return { packet: { kind: 'incomplete', bytes: length }, end: 0 };
  return { packet: decode(buffer, length), end: length };
}

function violation(message: string, sqlState: '08P01' | '0A000' | '28000' = '08P01'): StartupPacket {
  return { kind: 'violation', message, sqlState };
}

function decode(buffer: Buffer, length: number): StartupPacket {
  const code = buffer.readUInt32BE(4);
  switch (code) {
    case StartupCode.Ssl:
      return length === MIN_BYTES ? { kind: 'ssl' } : violation('invalid length of SSLRequest');
    case StartupCode.GssEnc:
      return length === MIN_BYTES ? { kind: 'gssenc' } : violation('invalid length of GSSENCRequest');
    case StartupCode.Cancel: {
      if (length < CANCEL_BYTES_MIN || length - 12 > CANCEL_KEY_BYTES_MAX)
        return violation('invalid length of CancelRequest');
      return { kind: 'cancel', processId: buffer.readInt32BE(8), key: Buffer.from(buffer.subarray(12, length)) };
    }
    default:
      return decodeStartup(buffer, length, code);
  }
}

function decodeStartup(buffer: Buffer, length: number, protocol: number): StartupPacket {
  const major = protocol >>> 16;
  const minor = protocol & 0xffff;
  if (major !== 3)
    return violation(`unsupported frontend protocol ${major}.${minor}: server supports 3.0 to 3.2`, '0A000');
  const parameters = new Map<string, string>();
  const unsupportedOptions: string[] = [];
  let at = 8;
  for (;;) {
    if (at >= length) return violation('invalid startup packet layout: expected terminator as last byte');
    if (buffer[at] === 0) break;
    const nameEnd = buffer.indexOf(0, at);
    const valueEnd = nameEnd < 0 || nameEnd >= length ? -1 : buffer.indexOf(0, nameEnd + 1);
    if (nameEnd < 0 || valueEnd < 0 || valueEnd >= length) {
      return violation('invalid startup packet layout: expected terminator as last byte');
    }
    const name = buffer.toString('utf8', at, nameEnd);
    if (name.startsWith('_pq_.')) unsupportedOptions.push(name);
    else parameters.set(name, buffer.toString('utf8', nameEnd + 1, valueEnd));
    at = valueEnd + 1;
  }
  if (at !== length - 1) return violation('invalid startup packet layout: expected terminator as last byte');
  const user = parameters.get('user') ?? '';
  if (user === '') return violation('no PostgreSQL user name specified in startup packet', '28000');
  const database = parameters.get('database') ?? '';
  parameters.delete('user');
  parameters.delete('database');
  const spoken = minor >= 2 ? PROTOCOL_3_2 : PROTOCOL_3_0;
  return {
    kind: 'startup',
    protocol,
    spoken,
    mustNegotiate: protocol !== spoken || unsupportedOptions.length > 0,
    user,
    database: database === '' ? user : database,
    parameters,
    unsupportedOptions,
  };
}
