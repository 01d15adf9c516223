/**
 * Cuts SQL text into tokens, byte by byte, as PostgreSQL's own lexer does. Source of the rules: PostgreSQL documentation, "Lexical
 * Structure". Only encodings whose multibyte sequences hold no ASCII bytes can be read this way (UTF8, EUC_*, LATIN*, ...).
 */

export const TokenKind = {
  /** An unquoted identifier or keyword. */
  Word: 1,
  /** "..." or U&"..." */
  QuotedName: 2,
  /** '...', E'...', B'...', X'...', N'...', U&'...', or $tag$...$tag$ */
  String: 3,
  Number: 4,
  /** $1 */
  Parameter: 5,
  Semicolon: 6,
  /** One byte of anything else: operators, brackets, commas. */
  Symbol: 7,
} as const;
export type TokenKind = (typeof TokenKind)[keyof typeof TokenKind];

/** Called for each token: the bytes `[start, end)` of the text. */
export type TokenVisitor = (kind: TokenKind, start: number, end: number) => void;

const NL = 0x0a;
const CR = 0x0d;
const QUOTE = 0x27;
const DOUBLE_QUOTE = 0x22;
const DOLLAR = 0x24;
const MINUS = 0x2d;
const SLASH = 0x2f;
const STAR = 0x2a;
const BACKSLASH = 0x5c;
const SEMICOLON = 0x3b;
const AMPERSAND = 0x26;
const DOT = 0x2e;

function isSpace(c: number): boolean {
  return c === 0x20 || (c >= 0x09 && c <= 0x0d);
}

function isNameStart(c: number): boolean {
  return (c >= 0x61 && c <= 0x7a) || (c >= 0x41 && c <= 0x5a) || c === 0x5f || c >= 0x80;
}

function isDigit(c: number): boolean {
  return c >= 0x30 && c <= 0x39;
}

function isNamePart(c: number): boolean {
  return isNameStart(c) || isDigit(c) || c === DOLLAR;
}

/**
 * Visits the tokens of `text[start, end)`. `escapesInStrings` is true while `standard_conforming_strings` is off: then a backslash
 * escapes in plain strings too. Gives false when the text ends inside a string, name or comment, which PostgreSQL would refuse.
 */
export function lex(
  text: Uint8Array,
  start: number,
  end: number,
  escapesInStrings: boolean,
  visit: TokenVisitor,
): boolean {
  let at = start;
  while (at < end) {
    const c = text[at] ?? 0;
    const next = at + 1 < end ? (text[at + 1] ?? 0) : 0;
    if (isSpace(c)) {
      at += 1;
    } else if (c === MINUS && next === MINUS) {
      at = endOfLine(text, at + 2, end);
    } else if (c === SLASH && next === STAR) {
      at = endOfComment(text, at + 2, end);
      if (at < 0) return false;
    } else if (c === QUOTE) {
      const stop = endOfQuoted(text, at + 1, end, QUOTE, escapesInStrings);
      if (stop < 0) return false;
      visit(TokenKind.String, at, stop);
      at = stop;
    } else if (c === DOUBLE_QUOTE) {
      const stop = endOfQuoted(text, at + 1, end, DOUBLE_QUOTE, false);
      if (stop < 0) return false;
      visit(TokenKind.QuotedName, at, stop);
      at = stop;
    } else if (isNameStart(c)) {
      const stop = visitNameLike(text, at, end, c | 0x20, next, escapesInStrings, visit);
      if (stop < 0) return false;
      at = stop;
    } else if (isDigit(c) || (c === DOT && isDigit(next))) {
      const stop = endOfNumber(text, at, end);
      visit(TokenKind.Number, at, stop);
      at = stop;
    } else if (c === DOLLAR) {
      const stop = visitDollar(text, at, end, visit);
      if (stop < 0) return false;
      at = stop;
    } else {
      visit(c === SEMICOLON ? TokenKind.Semicolon : TokenKind.Symbol, at, at + 1);
      at += 1;
    }
  }
  return true;
}

function endOfLine(text: Uint8Array, from: number, end: number): number {
  let at = from;
  while (at < end && text[at] !== NL && text[at] !== CR) at += 1;
  return at;
}

/** Comments nest. */
function endOfComment(text: Uint8Array, from: number, end: number): number {
  let depth = 1;
  let at = from;
  while (at + 1 < end) {
    if (text[at] === STAR && text[at + 1] === SLASH) {
      depth -= 1;
      at += 2;
      if (depth === 0) return at;
    } else if (text[at] === SLASH && text[at + 1] === STAR) {
      depth += 1;
      at += 2;
    } else at += 1;
  }
  return -1;
}

function endOfQuoted(text: Uint8Array, from: number, end: number, quote: number, escapes: boolean): number {
  let at = from;
  while (at < end) {
    const c = text[at];
    if (c === BACKSLASH && escapes) at += 2;
    else if (c === quote) {
      if (text[at + 1] === quote && at + 1 < end) at += 2;
      else return at + 1;
    } else at += 1;
  }
  return -1;
}

/** A word, or a string or name with a prefix: E'', B'', X'', N'', U&'', U&"". */
function visitNameLike(
  text: Uint8Array,
  at: number,
  end: number,
  first: number,
  next: number,
  escapesInStrings: boolean,
  visit: TokenVisitor,
): number {
  if (next === QUOTE && (first === 0x65 || first === 0x62 || first === 0x78 || first === 0x6e)) {
    const stop = endOfQuoted(text, at + 2, end, QUOTE, first === 0x65 || (first === 0x6e && escapesInStrings));
    if (stop >= 0) visit(TokenKind.String, at, stop);
    return stop;
  }
  if (first === 0x75 && next === AMPERSAND && at + 2 < end) {
    const quote = text[at + 2];
    if (quote === QUOTE || quote === DOUBLE_QUOTE) {
      const stop = endOfQuoted(text, at + 3, end, quote, false);
      if (stop >= 0) visit(quote === QUOTE ? TokenKind.String : TokenKind.QuotedName, at, stop);
      return stop;
    }
  }
  let stop = at + 1;
  while (stop < end && isNamePart(text[stop] ?? 0)) stop += 1;
  visit(TokenKind.Word, at, stop);
  return stop;
}

/** Digits, letters (hexadecimal and the like), dots, and a sign behind an exponent; its exact value is nobody's business here. */
function endOfNumber(text: Uint8Array, from: number, end: number): number {
  let at = from;
  while (at < end) {
    const c = text[at] ?? 0;
    const isExponentSign =
      (c === MINUS || c === 0x2b) && ((text[at - 1] ?? 0) | 0x20) === 0x65 && isDigit(text[at + 1] ?? 0) && at > from;
    if (!(isDigit(c) || c === DOT || isNameStart(c) || isExponentSign)) break;
    at += 1;
  }
  return at;
}

/** $1, or $tag$ ... $tag$. */
function visitDollar(text: Uint8Array, at: number, end: number, visit: TokenVisitor): number {
  let stop = at + 1;
  if (isDigit(text[stop] ?? 0)) {
    while (stop < end && isDigit(text[stop] ?? 0)) stop += 1;
    visit(TokenKind.Parameter, at, stop);
    return stop;
  }
  while (stop < end && text[stop] !== DOLLAR && isNamePart(text[stop] ?? 0)) stop += 1;
  if (stop >= end || text[stop] !== DOLLAR) {
    visit(TokenKind.Symbol, at, at + 1);
    return at + 1;
  }
  const tag = Buffer.from(text.buffer, text.byteOffset + at, stop + 1 - at);
  const close = Buffer.from(text.buffer, text.byteOffset, end).indexOf(tag, stop + 1);
  if (close < 0) return -1;
  visit(TokenKind.String, at, close + tag.length);
  return close + tag.length;
}
