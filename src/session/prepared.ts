import { serialize } from 'pg-protocol';
import { BackendType, Frontend } from '../protocol/codes.js';

const HEADER_BYTES = 5;

/** Most bytes of Parse messages that are kept of one session, those not yet acknowledged included. */
export const PREPARED_BYTES_MAX = 16 * 1024 * 1024;

type Pending =
  | { readonly kind: 'parse'; readonly name: string; readonly frame: Buffer | null }
  /** `name` is null for a portal. */
  | { readonly kind: 'close'; readonly name: string | null }
  | { readonly kind: 'unit'; readonly isSimpleQuery: boolean };

const extendedUnit: Pending = { kind: 'unit', isSimpleQuery: false };
const simpleUnit: Pending = { kind: 'unit', isSimpleQuery: true };

/**
 * The protocol-level prepared statements of a session, known by the Parse message that made them, so that they can be prepared again on
 * another backend. They are not transactional: what was acknowledged stays, whatever becomes of the transaction. Names are bytes, one
 * character each.
 */
export class PreparedStatements {
  readonly #countMax: number;
  readonly #frames = new Map<string, Buffer>();
  /** What was sent and not yet acknowledged, in order, with a mark behind every unit. */
  #pending: Pending[] = [];
  /** Bytes of all frames in `#frames` and `#pending`. */
  #bytes = 0;
  #isOverflowing = false;

  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  /** A statement could not be kept: too many, or too large. */
  get isOverflowing(): boolean {
    return this.#isOverflowing;
  }

  get size(): number {
    return this.#frames.size;
  }

  /** Notes a Parse that is sent. `frame` is the whole message, owned; null when it was too large to be read. */
  parseSent(name: string, frame: Buffer | null): void {
    const isKept = frame !== null && this.#bytes + frame.length <= PREPARED_BYTES_MAX;
    if (isKept) this.#bytes += frame.length;
    else this.#isOverflowing = true;
    this.#pending.push({ kind: 'parse', name, frame: isKept ? frame : null });
  }

  /** Notes a Close: of a statement, or of a portal (null). */
  closeSent(name: string | null): void {
    this.#pending.push({ kind: 'close', name });
  }

  /** Notes the end of a unit: its Sync, its simple Query or its FunctionCall is sent. */
  unitSent(isSimpleQuery: boolean): void {
    this.#pending.push(isSimpleQuery ? simpleUnit : extendedUnit);
  }

  /** ParseComplete or CloseComplete came. */
  acknowledged(type: number): void {
    const entry = this.#pending[0];
    if (entry === undefined || entry.kind !== (type === BackendType.ParseComplete ? 'parse' : 'close')) return;
    this.#pending.shift();
    if (entry.kind === 'parse') this.#keep(entry.name, entry.frame);
    else if (entry.kind === 'close' && entry.name !== null) this.#forget(entry.name);
  }

  /** ReadyForQuery came: what the unit did not get acknowledged has not happened. A simple Query destroys the unnamed statement. */
  unitEnded(): void {
    for (let entry = this.#pending.shift(); entry !== undefined; entry = this.#pending.shift()) {
      if (entry.kind === 'parse') this.#bytes -= entry.frame?.length ?? 0;
      if (entry.kind !== 'unit') continue;
      if (entry.isSimpleQuery) this.#forget('');
      return;
    }
  }

  /** DEALLOCATE and DISCARD in SQL. */
  forget(names: readonly string[] | 'all'): void {
    for (const name of names === 'all' ? this.#frames.keys() : names) this.#forget(name);
    if (names === 'all')
      this.#isOverflowing = this.#pending.some((entry) => entry.kind === 'parse' && entry.frame === null);
  }

  /** One of these is a statement that is kept. */
  has(names: readonly string[] | 'all'): boolean {
    return names === 'all' ? this.#frames.size > 0 : names.some((name) => this.#frames.has(name));
  }

  /** Nothing is owed any more, or the backend is lost: nothing more will be acknowledged. */
  abandon(): void {
    while (this.#pending.length > 0) this.unitEnded();
  }

  /** Parse messages for another backend, each with a Sync of its own so that one that fails does not take the others with it. */
  replay(bytes: Buffer[], types: number[]): void {
    for (const frame of this.#frames.values()) {
      bytes.push(frame, serialize.sync());
      types.push(Frontend.Parse, Frontend.Sync);
    }
  }

  /** Whether the text of every statement means the same in every encoding and with every lexical setting. */
  isPlain(): boolean {
    for (const frame of this.#frames.values()) {
      const parse = readParse(frame, HEADER_BYTES, frame.length);
      if (parse === null || !isPlainText(frame.subarray(HEADER_BYTES, parse.textEnd))) return false;
    }
    return true;
  }

  #keep(name: string, frame: Buffer | null): void {
    if (frame === null) return;
    this.#forget(name);
    if (this.#frames.size >= this.#countMax) {
      this.#bytes -= frame.length;
      this.#isOverflowing = true;
    } else this.#frames.set(name, frame);
  }

  #forget(name: string): void {
    this.#bytes -= this.#frames.get(name)?.length ?? 0;
    this.#frames.delete(name);
  }
}

/** No byte beyond ASCII and no backslash: such text does not depend on `client_encoding` or `standard_conforming_strings`. */
export function isPlainText(text: Uint8Array): boolean {
  return text.every((byte) => byte < 0x80 && byte !== 0x5c);
}

/** Reads the statement name of a Parse body and where its query text lies; the buffer is borrowed. */
export function readParse(
  buffer: Buffer,
  start: number,
  end: number,
): { name: string; textStart: number; textEnd: number } | null {
  const nameEnd = buffer.indexOf(0, start);
  if (nameEnd < 0 || nameEnd >= end) return null;
  const textEnd = buffer.indexOf(0, nameEnd + 1);
  if (textEnd < 0 || textEnd >= end) return null;
  return { name: buffer.toString('latin1', start, nameEnd), textStart: nameEnd + 1, textEnd };
}

/** The whole message whose body is `buffer[start, end)`, copied. */
export function copyFrame(buffer: Buffer, start: number, end: number): Buffer {
  return Buffer.from(buffer.subarray(start - HEADER_BYTES, end));
}
