import { Frontend } from '../../protocol/codes.js';
import type { Analysis } from '../../sql/analysis.js';
import { unreadFacts } from '../../sql/analysis.js';
import { PinReason } from '../../sql/pin-reason.js';
import { OwnIdentities } from './identities.js';
import type { Identities } from './identities.js';
import { isPlain } from './kept.js';
import type { Circumstances } from './kept.js';
import { message } from './own-messages.js';
import { pinned } from './reading.js';

const HEADER_BYTES = 5;

/** Most bytes of prepared statements that are kept of one session, those not yet acknowledged included. */
export const PREPARED_BYTES_MAX = 16 * 1024 * 1024;
/** Most statements known by name only, beyond those that are kept. */
const NAMES_MAX = 10_000;

/** A prepared statement, and how it can be prepared again. Names are bytes, one character each. */
export interface PreparedStatement {
  readonly name: string;
  /** The whole Parse message; null for PREPARE in SQL, and for what is too large to be kept. */
  readonly frame: Buffer | null;
  /** The whole PREPARE statement, one character for each byte. */
  readonly sql: string | null;
  /** What running it does. */
  readonly analysis: Analysis;
}

export interface PreparedEntry {
  readonly statement: PreparedStatement;
  /** Those of its Parse or PREPARE. */
  readonly under: Circumstances;
  /** Grows with each one that the session makes; 0 for what stands in for a statement that is not known. */
  readonly serial: number;
  /** By what backends note that they have it (see Identities); 0 as above. */
  readonly mark: number;
}

/** Nobody will write these again. */
const nowhere: Circumstances = {
  reading: { clientEncoding: '', escapesInStrings: false },
  authorization: null,
  role: null,
  searchPath: null,
};

/** What runs when nobody knows which statement. */
const unread = entryOf(pinned(PinReason.StatementTooLarge));
const harmless = entryOf({ statements: [{ ...unreadFacts, effects: [] }], template: null });

/**
 * The prepared statements of a session, made with Parse or with PREPARE: they share their names, but for the unnamed one. They are not
 * transactional: what was acknowledged stays, whatever becomes of the transaction.
 */
export class PreparedStatements {
  readonly #countMax: number;
  readonly #identities: Identities;
  readonly #named = new Map<string, PreparedEntry>();
  #unnamed: PreparedEntry | null = null;
  /** What the unit under way has changed: each name with what was there before, oldest first. */
  #journal: { readonly name: string; readonly before: PreparedEntry | null }[] = [];
  /** Bytes of everything that is kept, and of what was sent and not yet acknowledged. */
  #bytes = 0;
  /** How many of the named ones cannot be prepared again. */
  #unkept = 0;
  /** There are statements that not even the name is known of, or only the unnamed one can be of that kind. */
  #unknown: 'none' | 'unnamed' | 'any' = 'none';
  /** That of the newest entry. */
  #serial = 0;
  #forgotten = 0;

  constructor(countMax: number, identities: Identities = new OwnIdentities()) {
    this.#countMax = countMax;
    this.#identities = identities;
  }

  /** A statement cannot be prepared again: too many, or too large. */
  get isOverflowing(): boolean {
    return this.#unkept > 0 || this.#unknown !== 'none' || (this.#unnamed !== null && !isKept(this.#unnamed));
  }

  /** Which statements there are is not known. */
  get isUncertain(): boolean {
    return this.#unknown === 'any';
  }

  /** There may be statements of which not even the name is known. */
  get hasUnread(): boolean {
    return this.#unknown !== 'none';
  }

  /** How often a name has lost its statement, or got another one, since the session began. */
  get forgotten(): number {
    return this.#forgotten;
  }

  /** The unit under way has prepared or taken away named statements. */
  get isChanging(): boolean {
    return this.#journal.length > 0;
  }

  /** How many can be prepared again. */
  get size(): number {
    return this.#named.size - this.#unkept + (this.#unnamed === null ? 0 : 1);
  }

  /** What can be prepared again, oldest first; the unnamed statement last. */
  *kept(): Iterable<PreparedEntry> {
    for (const entry of this.#named.values()) if (isKept(entry)) yield entry;
    if (this.#unnamed !== null && isKept(this.#unnamed)) yield this.#unnamed;
  }

  names(): Iterable<string> {
    return this.#named.keys();
  }

  has(name: string): boolean {
    return this.get(name) !== null;
  }

  /** What is known by exactly this name, '' being the unnamed one; null: nothing. */
  get(name: string): PreparedEntry | null {
    return name === '' ? this.#unnamed : (this.#named.get(name) ?? null);
  }

  /** What running a statement does; null when there is none of that name. */
  analysisOf(name: string): Analysis | null {
    return this.find(name)?.statement.analysis ?? null;
  }

  /** Of the statement that was made last; those of older ones are lower. */
  get newestSerial(): number {
    return this.#serial;
  }

  /** The text of a statement; null: there is none of that name, or it was not kept. */
  textOf(name: string): Buffer | null {
    const statement = this.get(name)?.statement;
    if (statement === undefined) return null;
    const { frame, sql } = statement;
    if (frame === null) return sql === null ? null : Buffer.from(sql, 'latin1');
    const parse = readParse(frame, HEADER_BYTES, frame.length);
    return parse === null ? null : frame.subarray(parse.textStart, parse.textEnd);
  }

  /** Null when there is none of that name, and none whose name is not known. */
  find(name: string): PreparedEntry | null {
    return this.get(name) ?? (this.#unknown === 'none' ? null : unread);
  }

  /** What runs when nobody knows which of the statements. */
  any(): PreparedEntry {
    const isHarmless = ({ statement }: PreparedEntry): boolean =>
      statement.analysis.statements.every(({ effects }) => effects.length === 0);
    const areHarmless =
      this.#unknown === 'none' &&
      (this.#unnamed === null || isHarmless(this.#unnamed)) &&
      [...this.#named.values()].every(isHarmless);
    return areHarmless ? harmless : unread;
  }

  /** All that there is can be prepared again, and so many more statements with so many bytes could. */
  hasRoomFor(count: number, bytes: number): boolean {
    if (this.isOverflowing) return false;
    return this.#named.size + count <= this.#countMax && this.#bytes + bytes <= PREPARED_BYTES_MAX;
  }

  /** Asks for room for a statement that is sent; false: it cannot be kept. */
  claim(bytes: number): boolean {
    if (this.#bytes + bytes > PREPARED_BYTES_MAX) return false;
    this.#bytes += bytes;
    return true;
  }

  /** A statement that had claimed its room was not prepared. */
  release({ frame, sql }: PreparedStatement): void {
    this.#bytes -= frame?.length ?? sql?.length ?? 0;
  }

  /** It is prepared. Room must have been claimed for it. */
  keep(statement: PreparedStatement, under: Circumstances): void {
    const { name } = statement;
    if (name === '') {
      this.#set('', this.#entry(statement, under));
      if (this.#unknown === 'unnamed') this.#unknown = 'none';
      return;
    }
    this.#note(name);
    this.#set(name, null);
    const isRoom = this.#named.size - this.#unkept < this.#countMax;
    if (isRoom) this.#set(name, this.#entry(statement, under));
    else {
      this.release(statement);
      if (this.#named.size < NAMES_MAX) {
        this.#set(name, this.#entry({ ...statement, frame: null, sql: null }, under));
      } else this.#unknown = 'any';
    }
  }

  /** A Parse too large to be read was acknowledged. */
  keepUnread(): void {
    this.#unknown = 'any';
    // It may be the one that was replaced.
    this.#set('', null);
  }

  /** Close of a statement, or DEALLOCATE. */
  forget(name: string): void {
    if (name !== '') this.#note(name);
    this.#set(name, null);
  }

  /** DEALLOCATE ALL and DISCARD ALL; the unnamed statement stays. */
  forgetAll(): void {
    for (const name of this.#named.keys()) this.forget(name);
    if (this.#unknown === 'any') this.#unknown = this.#unnamed === null ? 'unnamed' : 'none';
  }

  /** A unit has ended. A simple Query destroys the unnamed statement. */
  unitEnded(isSimpleQuery: boolean): void {
    if (this.#journal.length > 0) this.#journal = [];
    if (!isSimpleQuery) return;
    this.#set('', null);
    if (this.#unknown === 'unnamed') this.#unknown = 'none';
  }

  /** The unit under way will be sent again: whatever it has prepared or taken away has not happened. */
  takeBack(): void {
    for (const { name, before } of this.#journal.toReversed()) {
      // What was taken away may have been large; there was room for it, and there is again.
      this.#set(name, null);
      if (before !== null) this.#bytes += before.statement.frame?.length ?? before.statement.sql?.length ?? 0;
      this.#set(name, before);
    }
    this.#journal = [];
  }

  /**
   * A node has told which named statements there are; gives those that are not known. `isThere`: it had that one, as far as is known; null:
   * it had all of them.
   */
  reconcile(names: ReadonlySet<string>, isThere: ((entry: PreparedEntry) => boolean) | null = null): readonly string[] {
    for (const [name, entry] of this.#named) {
      if (!names.has(name) && (isThere === null || isThere(entry))) this.#set(name, null);
    }
    if (this.#unknown === 'any') this.#unknown = this.#unnamed === null ? 'unnamed' : 'none';
    return [...names].filter((name) => !this.#named.has(name));
  }

  #entry(statement: PreparedStatement, under: Circumstances): PreparedEntry {
    this.#serial += 1;
    return { statement, under, serial: this.#serial, mark: this.#identities.mark(statement, under) };
  }

  #note(name: string): void {
    this.#journal.push({ name, before: this.get(name) });
  }

  #set(name: string, entry: PreparedEntry | null): void {
    const before = this.get(name);
    if (before !== null) {
      this.release(before.statement);
      if (name !== '') this.#forgotten += 1;
      if (name !== '' && !isKept(before)) this.#unkept -= 1;
    }
    if (name === '') this.#unnamed = entry;
    else {
      this.#named.delete(name);
      if (entry === null) return;
      this.#named.set(name, entry);
      if (!isKept(entry)) this.#unkept += 1;
    }
  }
}

/** Stands for a statement of which no more is known than what running it does. */
export function entryOf(analysis: Analysis): PreparedEntry {
  return { statement: { name: '', frame: null, sql: null, analysis }, under: nowhere, serial: 0, mark: 0 };
}

/** It can be prepared again. */
export function isKept({ statement }: PreparedEntry): boolean {
  return statement.frame !== null || statement.sql !== null;
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

/** The query text of a whole Parse message, one character for each byte, and how many parameters are given a type. */
export function readFrame(frame: Buffer): { readonly text: string; readonly types: number } {
  const parse = readParse(frame, HEADER_BYTES, frame.length);
  if (parse === null) return { text: '', types: 0 };
  const { textStart, textEnd } = parse;
  return { text: frame.toString('latin1', textStart, textEnd), types: frame.readUInt16BE(textEnd + 1) };
}

/** Its text means the same whatever the settings say of how texts are read. */
export function isPlainStatement({ frame, sql }: PreparedStatement): boolean {
  return isPlain(frame === null ? (sql ?? '') : readFrame(frame).text);
}

/** The same statement, prepared by the message `frame`, under another name; names without a character beyond ASCII. */
export function underName(entry: PreparedEntry, frame: Buffer, name: string): PreparedEntry {
  const rest = frame.subarray(HEADER_BYTES + entry.statement.name.length);
  return { ...entry, statement: { ...entry.statement, name, frame: message(Frontend.Parse, name, rest) } };
}

/** The whole message whose body is `buffer[start, end)`, copied. */
export function copyFrame(buffer: Buffer, start: number, end: number): Buffer {
  return Buffer.from(buffer.subarray(start - HEADER_BYTES, end));
}
