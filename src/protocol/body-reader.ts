import { SwitchyardError } from '../errors.js';

/** Reads the fields of one message body in their order. Each call throws `protocol_violation` where the body ends too early. */
export class BodyReader {
  readonly #buffer: Buffer;
  readonly #end: number;
  #at: number;

  /** The body is `buffer[start, end)`, borrowed. */
  constructor(buffer: Buffer, start: number, end: number) {
    this.#buffer = buffer;
    this.#at = start;
    this.#end = end;
  }

  byte(): number {
    return this.#buffer.readUInt8(this.#take(1));
  }

  int16(): number {
    return this.#buffer.readInt16BE(this.#take(2));
  }

  int32(): number {
    return this.#buffer.readInt32BE(this.#take(4));
  }

  /** A text up to its NUL, in UTF-8. */
  text(): string {
    const nul = this.#buffer.indexOf(0, this.#at);
    if (nul < 0 || nul >= this.#end) throw malformed();
    const start = this.#at;
    this.#at = nul + 1;
    return this.#buffer.toString('utf8', start, nul);
  }

  skip(bytes: number): void {
    this.#take(bytes);
  }

  /** Nothing may be left. */
  finish(): void {
    if (this.#at !== this.#end) throw malformed();
  }

  #take(bytes: number): number {
    if (bytes < 0 || this.#at + bytes > this.#end) throw malformed();
    const start = this.#at;
    this.#at += bytes;
    return start;
  }
}

function malformed(): SwitchyardError {
  return new SwitchyardError('protocol_violation', 'invalid message format');
}
