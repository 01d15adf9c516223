import { serialize } from 'pg-protocol';
import { BackendType, Frontend } from '../protocol/codes.js';

/** Bytes of one statement's name and text above which it is not kept. */
const HEADER_BYTES = 5;

type Pending =
  | { readonly kind: 'parse'; readonly name: string; readonly frame: Buffer | null }
  | { readonly kind: 'close'; readonly name: string }
  | { readonly kind: 'unit' };

/**
 * The protocol-level prepared statements of a session, known by the Parse message that made them, so that they can be prepared again on
 * another backend. They are not transactional: what was acknowledged stays, whatever becomes of the transaction.
 */
export class PreparedStatements {
  readonly #countMax: number;
  readonly #frames = new Map<string, Buffer>();
  /** What was sent and not yet acknowledged, in order, with a mark behind every unit. */
  #pending: Pending[] = [];
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
    if (frame === null) this.#isOverflowing = true;
    this.#pending.push({ kind: 'parse', name, frame });
  }

  /** Notes a Close of a statement. */
  closeSent(name: string): void {
    this.#pending.push({ kind: 'close', name });
  }

  /** Notes the end of a unit: its Sync or its simple Query is sent. A simple Query destroys the unnamed statement. */
  unitSent(isSimpleQuery: boolean): void {
    if (isSimpleQuery) this.#frames.delete('');
    if (this.#pending.length > 0) this.#pending.push({ kind: 'unit' });
  }

  /** ParseComplete or CloseComplete came. */
  acknowledged(type: number): void {
    const wanted = type === BackendType.ParseComplete ? 'parse' : 'close';
    const at = this.#pending.findIndex((entry) => entry.kind === wanted || entry.kind === 'unit');
    const entry = this.#pending[at];
    if (entry === undefined || entry.kind === 'unit') return;
    this.#pending.splice(0, at + 1);
    if (entry.kind === 'close') this.#frames.delete(entry.name);
    else if (entry.frame !== null) this.#keep(entry.name, entry.frame);
  }

  /** ReadyForQuery came: what the unit did not get acknowledged has not happened. */
  unitEnded(): void {
    if (this.#pending.length === 0) return;
    const at = this.#pending.findIndex((entry) => entry.kind === 'unit');
    this.#pending.splice(0, at < 0 ? this.#pending.length : at + 1);
  }

  /** DEALLOCATE and DISCARD in SQL. */
  forget(names: readonly string[] | 'all'): void {
    if (names === 'all') {
      this.#frames.clear();
      this.#isOverflowing = false;
    } else for (const name of names) this.#frames.delete(name);
  }

  /** The backend is lost: nothing more will be acknowledged. */
  abandon(): void {
    this.#pending = [];
  }

  /** Parse messages for another backend, each with a Sync of its own so that one that fails does not take the others with it. */
  replay(bytes: Buffer[], types: number[]): void {
    for (const frame of this.#frames.values()) {
      bytes.push(frame, serialize.sync());
      types.push(Frontend.Parse, Frontend.Sync);
    }
  }

  #keep(name: string, frame: Buffer): void {
    if (this.#frames.size >= this.#countMax && !this.#frames.has(name)) this.#isOverflowing = true;
    else this.#frames.set(name, frame);
  }
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
