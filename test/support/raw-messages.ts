/**
 * Messages of the PostgreSQL protocol for tests, written from the documentation ("Message Formats") and from nothing of ours, so that
 * they are a real check of it.
 */

export interface RawMessage {
  /** The type byte as a character: `Z`, `D`, ... */
  readonly type: string;
  /** What follows the length. */
  readonly body: Buffer;
}

/** The fields of ErrorResponse and NoticeResponse that tests look at; `all` has every one by its type byte. */
export interface ErrorFields {
  readonly severity: string;
  readonly code: string;
  readonly message: string;
  readonly detail: string | null;
  readonly hint: string | null;
  readonly all: ReadonlyMap<string, string>;
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

/** A string that ends in a zero byte. */
export function cString(text: string): Buffer {
  return Buffer.from(`${text}\0`);
}

/** A whole message with any type and body, right or wrong. */
export function message(type: string, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from(type, 'latin1'), int32(body.length + 4), body]);
}

/** A message without a type byte, as used before the log-in. */
export function untypedMessage(code: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([int32(body.length + 8), int32(code), body]);
}

export const PROTOCOL_3_0 = 196_608;
export const PROTOCOL_3_2 = 196_610;

/** Builders of what a client sends. */
export const frontend = {
  startup: (parameters: Readonly<Record<string, string>>, version: number = PROTOCOL_3_0): Buffer =>
    untypedMessage(version, ...Object.entries(parameters).flat().map(cString), Buffer.from([0])),
  sslRequest: (): Buffer => untypedMessage(80_877_103),
  gssEncRequest: (): Buffer => untypedMessage(80_877_104),
  cancelRequest: (pid: number, secret: Buffer): Buffer => untypedMessage(80_877_102, int32(pid), secret),
  password: (text: string): Buffer => message('p', cString(text)),
  saslInitialResponse: (mechanism: string, response: string): Buffer =>
    message('p', cString(mechanism), int32(Buffer.byteLength(response)), Buffer.from(response)),
  saslResponse: (response: string): Buffer => message('p', Buffer.from(response)),
  query: (sql: string): Buffer => message('Q', cString(sql)),
  parse: (sql: string, options: { readonly name?: string; readonly types?: readonly number[] } = {}): Buffer => {
    const types = options.types ?? [];
    return message('P', cString(options.name ?? ''), cString(sql), int16(types.length), ...types.map(int32));
  },
  /** Parameters and results are text unless `resultFormat` is 1. */
  bind: (
    options: {
      readonly statement?: string;
      readonly portal?: string;
      readonly values?: readonly (string | null)[];
      readonly resultFormat?: 0 | 1;
    } = {},
  ): Buffer => {
    const values = options.values ?? [];
    const encoded = values.flatMap((value) =>
      value === null ? [int32(-1)] : [int32(Buffer.byteLength(value)), Buffer.from(value)],
    );
    const formats = options.resultFormat === undefined ? [int16(0)] : [int16(1), int16(options.resultFormat)];
    const names = [cString(options.portal ?? ''), cString(options.statement ?? '')];
    return message('B', ...names, int16(0), int16(values.length), ...encoded, ...formats);
  },
  describe: (kind: 'S' | 'P', name = ''): Buffer => message('D', Buffer.from(kind), cString(name)),
  execute: (portal = '', rowsMax = 0): Buffer => message('E', cString(portal), int32(rowsMax)),
  close: (kind: 'S' | 'P', name = ''): Buffer => message('C', Buffer.from(kind), cString(name)),
  sync: (): Buffer => message('S'),
  flush: (): Buffer => message('H'),
  copyData: (data: string | Buffer): Buffer => message('d', Buffer.from(data)),
  copyDone: (): Buffer => message('c'),
  copyFail: (reason: string): Buffer => message('f', cString(reason)),
  terminate: (): Buffer => message('X'),
} as const;

/** Reads the pieces of a message body one after the other; throws when it is shorter than it should be. */
export class BodyReader {
  readonly #body: Buffer;
  #at: number;

  constructor(body: Buffer) {
    this.#body = body;
    this.#at = 0;
  }

  int16(): number {
    this.#at += 2;
    return this.#body.readInt16BE(this.#at - 2);
  }

  int32(): number {
    this.#at += 4;
    return this.#body.readInt32BE(this.#at - 4);
  }

  bytes(length: number): Buffer {
    if (this.#at + length > this.#body.length) throw new Error('message body is too short');
    this.#at += length;
    return this.#body.subarray(this.#at - length, this.#at);
  }

  string(): string {
    const end = this.#body.indexOf(0, this.#at);
    if (end < 0) throw new Error('string without its end in a message body');
    const text = this.#body.toString('utf8', this.#at, end);
    this.#at = end + 1;
    return text;
  }

  rest(): Buffer {
    return this.bytes(this.#body.length - this.#at);
  }
}

/** Readers of what a server sends; each takes the body. */
export const backend = {
  errorFields: (body: Buffer): ErrorFields => {
    const reader = new BodyReader(body);
    const all = new Map<string, string>();
    for (let type = reader.bytes(1).toString('latin1'); type !== '\0'; type = reader.bytes(1).toString('latin1')) {
      all.set(type, reader.string());
    }
    return {
      severity: all.get('V') ?? all.get('S') ?? '',
      code: all.get('C') ?? '',
      message: all.get('M') ?? '',
      detail: all.get('D') ?? null,
      hint: all.get('H') ?? null,
      all,
    };
  },
  /** A row in text format; null is SQL's null. */
  dataRow: (body: Buffer): (string | null)[] => {
    const reader = new BodyReader(body);
    return Array.from({ length: reader.int16() }, () => {
      const length = reader.int32();
      return length < 0 ? null : reader.bytes(length).toString('utf8');
    });
  },
  columnNames: (body: Buffer): string[] => {
    const reader = new BodyReader(body);
    return Array.from({ length: reader.int16() }, () => {
      const name = reader.string();
      reader.bytes(18);
      return name;
    });
  },
  parameterStatus: (body: Buffer): readonly [name: string, value: string] => {
    const reader = new BodyReader(body);
    return [reader.string(), reader.string()];
  },
  notification: (body: Buffer): { readonly pid: number; readonly channel: string; readonly payload: string } => {
    const reader = new BodyReader(body);
    return { pid: reader.int32(), channel: reader.string(), payload: reader.string() };
  },
  negotiateProtocolVersion: (body: Buffer): { readonly newest: number; readonly unknownOptions: string[] } => {
    const reader = new BodyReader(body);
    return { newest: reader.int32(), unknownOptions: Array.from({ length: reader.int32() }, () => reader.string()) };
  },
} as const;
