import { lex, TokenKind } from './lexer.js';
import { Before, ListFolder } from './list-folding.js';
import { STRING_BYTES, TemplateBuffer } from './template-buffer.js';

/** What became of a text that was read. */
export const Reading = {
  Ok: 'ok',
  /** It ends inside a string, a name or a comment; PostgreSQL refuses it. */
  Unfinished: 'unfinished',
  /** Its template is larger, or nested deeper, than what the parser is given. */
  TooLarge: 'too_large',
} as const;
export type Reading = (typeof Reading)[keyof typeof Reading];

const QUOTE = 0x27;
const DOUBLE_QUOTE = 0x22;
const BACKSLASH = 0x5c;
const AMPERSAND = 0x26;
const COMMA = 0x2c;
const OPEN = 0x28;
const CLOSE = 0x29;
const OPEN_SQUARE = 0x5b;
const CLOSE_SQUARE = 0x5d;
const COLON = 0x3a;
const SEMICOLON = 0x3b;
const MINUS = 0x2d;
const DOLLAR = 0x24;
const ONE = 0x31;
const LETTER_E = 0x45;
const LETTER_N = 0x6e;
const LETTER_U = 0x75;
const IN = Buffer.from('in');
const ARRAY = Buffer.from('array');
const VALUES = Buffer.from('values');
const ESCAPE_WORD = Buffer.from('uescape');
const SET_CONFIG = Buffer.from('set_config');
/** Words that are constants. */
const CONSTANTS: readonly Buffer[] = ['null', 'true', 'false', 'default', 'array'].map((word) => Buffer.from(word));

/**
 * Types of PostgreSQL whose casts of constants in lists are left out of the template. No other cast is: its type may be a domain, and then
 * its name matters.
 */
const PLAIN_TYPES: readonly Buffer[] = (
  'bigint bool boolean bytea char date decimal float4 float8 inet int int2 int4 int8 integer interval json jsonb numeric ' +
  'real smallint text time timestamp timestamptz timetz uuid varchar'
)
  .split(' ')
  .map((word) => Buffer.from(word));

/** What the last token was, as far as the next one cares. */
const Last = {
  /** Nothing, a bracket, a comma or a semicolon. */
  Mark: 0,
  /** A word, name, string, number or parameter. */
  Wordlike: 1,
  /** A byte that may be part of an operator. */
  Operator: 2,
} as const;
type Last = (typeof Last)[keyof typeof Last];

/**
 * Makes the template of a text: the same statements without comments, with one form of white space, with words folded as PostgreSQL does,
 * with '?' for every string, 1 for every number and $1 for every parameter, and with long lists of constants folded. It is SQL
 * again, so that it can be parsed in place of the text, which may be very much longer; and it is the key under which is kept what was found.
 */
export class TemplateReader {
  readonly out: TemplateBuffer;
  readonly #lists: ListFolder;
  #text: Buffer = Buffer.alloc(0);
  /** Strings and numbers stay, lists are not folded. */
  #keepsLiterals = false;
  #escapesInStrings = false;
  #isTooDeep = false;
  /** State between tokens. */
  #last: Last = Last.Mark;
  #lastEnd = 0;
  #lastByte = 0;
  #before: Before = Before.Other;
  /** How many colons stand directly before. */
  #colons = 0;
  /** The last token was a number with a sign: behind `-1::int` stands the cast of 1, and an operator before it. */
  #isSigned = false;
  /** The last word was UESCAPE: the string behind it must stay. */
  #isEscapeNext = false;
  readonly #visit: (kind: TokenKind, start: number, end: number) => void;

  constructor() {
    this.out = new TemplateBuffer();
    this.#lists = new ListFolder(this.out);
    this.#visit = (kind, start, end) => {
      this.#take(kind, start, end);
    };
  }

  /** Reads `text[start, end)` into `out`, which is good until the next call; the text is borrowed. */
  read(text: Buffer, start: number, end: number, escapesInStrings: boolean, keepsLiterals: boolean): Reading {
    this.out.clear();
    this.#lists.clear();
    this.#text = text;
    this.#keepsLiterals = keepsLiterals;
    this.#escapesInStrings = escapesInStrings;
    this.#isTooDeep = false;
    this.#last = Last.Mark;
    this.#lastEnd = start;
    this.#lastByte = 0;
    this.#before = Before.Other;
    this.#colons = 0;
    this.#isSigned = false;
    this.#isEscapeNext = false;
    const isComplete = lex(text, start, end, escapesInStrings, this.#visit);
    if (!isComplete) return Reading.Unfinished;
    return this.out.isOverflowing || this.#isTooDeep ? Reading.TooLarge : Reading.Ok;
  }

  #take(kind: TokenKind, start: number, end: number): void {
    if (this.out.isOverflowing || this.#isTooDeep) return;
    if (kind === TokenKind.Symbol || kind === TokenKind.Semicolon) this.#takeSymbol(this.#text[start] ?? 0, start, end);
    else this.#takeWordlike(kind, start, end);
    this.#lastEnd = end;
  }

  #takeSymbol(byte: number, start: number, end: number): void {
    const { out } = this;
    const isMark = isMarkByte(byte);
    // White space between two of them tells operators apart; and `u & 'x'` is no string with Unicode escapes.
    const needsBlank = !isMark && start > this.#lastEnd && (this.#last === Last.Operator || byte === AMPERSAND);
    if (!this.#keepsLiterals) this.#foldBefore(byte);
    if (this.#isTooDeep || !out.open(start, end, 1, needsBlank)) return;
    out.put(byte);
    if (!this.#keepsLiterals) {
      if (byte === COMMA) this.#lists.separated();
      else if (byte === CLOSE || byte === CLOSE_SQUARE) this.#lists.closed();
    }
    this.#last = isMark ? Last.Mark : Last.Operator;
    this.#lastByte = byte;
    this.#before = Before.Other;
    this.#colons = byte === COLON ? this.#colons + 1 : 0;
    this.#isSigned = false;
    this.#isEscapeNext = false;
  }

  #foldBefore(byte: number): void {
    const lists = this.#lists;
    switch (byte) {
      case COMMA:
        lists.willSeparate();
        return;
      case OPEN:
      case OPEN_SQUARE:
        if (lists.isInList && this.#lastByte === MINUS) lists.notConstant();
        if (!lists.willOpen(this.#before, byte === OPEN_SQUARE)) this.#isTooDeep = true;
        return;
      case CLOSE:
      case CLOSE_SQUARE:
        lists.willClose();
        return;
      default:
        lists.endRows();
        if (lists.isInList && !(byte === COLON ? !this.#isSigned : byte === MINUS && this.#last === Last.Mark)) {
          lists.notConstant();
        }
    }
  }

  #takeWordlike(kind: TokenKind, start: number, end: number): void {
    const { out } = this;
    const isLiteral = kind === TokenKind.String || kind === TokenKind.Number || kind === TokenKind.Parameter;
    const isVerbatim = this.#keepsLiterals || !isLiteral || this.#isEscapeNext || this.#isUnicodeString(kind, start);
    const needsBlank = this.#last === Last.Wordlike || (this.#lastByte === AMPERSAND && start > this.#lastEnd);
    const isType = this.#colons === 2;
    if (!this.#keepsLiterals) {
      this.#lists.endRows();
      // The sign of a number is a part of it; everything else has operators before it, which matter.
      this.#isSigned = this.#lastByte === MINUS && kind === TokenKind.Number;
      if (this.#lastByte === MINUS && !this.#isSigned && this.#lists.isInList) this.#lists.notConstant();
    }
    if (!out.open(start, end, isVerbatim ? end - start + 1 : STRING_BYTES, needsBlank)) return;
    this.#last = Last.Wordlike;
    this.#lastByte = 0;
    this.#before = Before.Other;
    this.#colons = 0;
    this.#isEscapeNext = false;
    if (kind === TokenKind.Word) this.#takeWord(start, end, isType);
    else if (kind === TokenKind.QuotedName) this.#takeName(start, end);
    else if (!isVerbatim) this.#putConstant(kind);
    else if (kind === TokenKind.String && this.#escapesInStrings) this.#copyString(start, end);
    else out.copy(this.#text, start, end);
  }

  #isUnicodeString(kind: TokenKind, start: number): boolean {
    return kind === TokenKind.String && ((this.#text[start] ?? 0) | 0x20) === LETTER_U;
  }

  #putConstant(kind: TokenKind): void {
    const { out } = this;
    if (kind === TokenKind.Number) {
      out.put(ONE);
    } else if (kind === TokenKind.Parameter) {
      out.put(DOLLAR);
      out.put(ONE);
    } else {
      out.putString();
    }
  }

  /** The parser takes standard_conforming_strings to be on. */
  #copyString(start: number, end: number): void {
    const text = this.#text;
    const isNational = ((text[start] ?? 0) | 0x20) === LETTER_N;
    const from = isNational ? start + 1 : start;
    const isPlain = text[from] === QUOTE;
    if (isPlain && text.subarray(from, end).includes(BACKSLASH)) this.out.put(LETTER_E);
    this.out.copy(text, from, end);
  }

  #takeWord(start: number, end: number, isType: boolean): void {
    const { out } = this;
    const at = out.length;
    const length = end - start;
    const text = this.#text;
    const { bytes } = out;
    for (let from = start, to = at; from < end; from += 1, to += 1) {
      const c = text[from] ?? 0;
      bytes[to] = c >= 0x41 && c <= 0x5a ? c | 0x20 : c;
    }
    out.length = at + length;
    if (isWord(bytes, at, length, IN)) this.#before = Before.In;
    else if (isWord(bytes, at, length, VALUES)) this.#before = Before.Values;
    else if (isWord(bytes, at, length, ARRAY)) this.#before = Before.Array;
    else if (isWord(bytes, at, length, ESCAPE_WORD)) this.#isEscapeNext = true;
    const lists = this.#lists;
    if (!lists.isInList) return;
    if (isWord(bytes, at, length, SET_CONFIG)) lists.mustStay();
    else if (!(isType ? PLAIN_TYPES : CONSTANTS).some((word) => isWord(bytes, at, length, word))) lists.notConstant();
  }

  #takeName(start: number, end: number): void {
    this.out.copy(this.#text, start, end);
    if (!this.#lists.isInList) return;
    // With escapes it may be any name.
    const isEscaped = this.#text[start] !== DOUBLE_QUOTE;
    if (isEscaped || end - start === SET_CONFIG.length + 2) this.#lists.mustStay();
    else this.#lists.notConstant();
  }
}

function isMarkByte(byte: number): boolean {
  return (
    byte === COMMA ||
    byte === OPEN ||
    byte === CLOSE ||
    byte === OPEN_SQUARE ||
    byte === CLOSE_SQUARE ||
    byte === SEMICOLON
  );
}

function isWord(bytes: Uint8Array, at: number, length: number, word: Uint8Array): boolean {
  if (length !== word.length || bytes[at] !== word[0]) return false;
  for (let i = 1; i < length; i += 1) if (bytes[at + i] !== word[i]) return false;
  return true;
}
