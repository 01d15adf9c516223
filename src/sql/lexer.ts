/**
 * Cuts SQL text into tokens, byte by byte, as PostgreSQL's own lexer does. Source of the rules: PostgreSQL documentation, "Lexical
 * Structure". Only encodings whose multibyte sequences hold no ASCII bytes can be read this way (UTF8, EUC_*, LATIN*, ...).
 */

export const TokenKind = {
  /** An unquoted identifier or keyword. */
  Word: 1,
  /** "..." or U&"..." */
  QuotedName: 2,
  /** '...', E'...', B'...', X'...', N'...', U&'...', with all that continues it on other lines, or $tag$...$tag$ */
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
const PLUS = 0x2b;
const UNDERSCORE = 0x5f;

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
      const stop = endOfString(text, at + 1, end, escapesInStrings);
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

/**
 * The end of a string constant whose first quote lies before `from`. Constants that are separated only by white space with a line break
 * are one: they go on in the mode of the first.
 */
function endOfString(text: Uint8Array, from: number, end: number, escapes: boolean): number {
  let stop = endOfQuoted(text, from, end, QUOTE, escapes);
  while (stop >= 0) {
    const next = continuation(text, stop, end);
    if (next < 0) break;
    stop = endOfQuoted(text, next + 1, end, QUOTE, escapes);
  }
  return stop;
}

/** The same for a bit string, whose first quote ends it. */
function endOfBits(text: Uint8Array, from: number, end: number): number {
  let next = from;
  for (;;) {
    const quote = text.indexOf(QUOTE, next);
    if (quote < 0 || quote >= end) return -1;
    next = continuation(text, quote + 1, end) + 1;
    if (next === 0) return quote + 1;
  }
}

/** Where the quote lies with which the string that ends at `from` goes on; -1 when it does not. */
function continuation(text: Uint8Array, from: number, end: number): number {
  let hasLineBreak = false;
  let at = from;
  while (at < end) {
    const c = text[at] ?? 0;
    if (isSpace(c)) {
      if (c === NL || c === CR) hasLineBreak = true;
      at += 1;
    } else if (c === MINUS && text[at + 1] === MINUS && at + 1 < end) at = endOfLine(text, at, end);
    else break;
  }
  return hasLineBreak && at < end && text[at] === QUOTE ? at : -1;
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
    // In a bit string two quotes are no quote: a second constant begins there.
    const stop =
      first === 0x62 || first === 0x78
        ? endOfBits(text, at + 2, end)
        : endOfString(text, at + 2, end, first === 0x65 || escapesInStrings);
    if (stop >= 0) visit(TokenKind.String, at, stop);
    return stop;
  }
  if (first === 0x75 && next === AMPERSAND && at + 2 < end) {
    const quote = text[at + 2];
    if (quote === QUOTE || quote === DOUBLE_QUOTE) {
      const stop =
        quote === QUOTE ? endOfString(text, at + 3, end, false) : endOfQuoted(text, at + 3, end, quote, false);
      if (stop >= 0) visit(quote === QUOTE ? TokenKind.String : TokenKind.QuotedName, at, stop);
      return stop;
    }
  }
  let stop = at + 1;
  while (stop < end && isNamePart(text[stop] ?? 0)) stop += 1;
  visit(TokenKind.Word, at, stop);
  return stop;
}

/**
 * Digits with a dot and an exponent, or 0x1F, 0o17, 0b11 and 1_000, which PostgreSQL knows since version 16. Letters behind a number begin
 * a word, as they did before version 15; later ones refuse them.
 */
function endOfNumber(text: Uint8Array, from: number, end: number): number {
  const prefix = text[from] === 0x30 && from + 2 < end ? radixOf((text[from + 1] ?? 0) | 0x20) : 0;
  if (prefix > 0) {
    const stop = endOfDigits(text, from + 2, end, prefix);
    if (stop > from + 2) return stop;
  }
  let at = endOfDigits(text, from, end, 10);
  if (at < end && text[at] === DOT && (at + 1 === end || text[at + 1] !== DOT)) at = endOfDigits(text, at + 1, end, 10);
  if (at < end && ((text[at] ?? 0) | 0x20) === 0x65) {
    const sign = text[at + 1] === MINUS || text[at + 1] === PLUS ? 1 : 0;
    const stop = endOfDigits(text, at + 1 + sign, end, 10);
    if (stop > at + 1 + sign) return stop;
  }
  return at;
}

function radixOf(letter: number): number {
  if (letter === 0x78) return 16;
  if (letter === 0x6f) return 8;
  return letter === 0x62 ? 2 : 0;
}

/** Digits of a radix, with single underscores between them. */
function endOfDigits(text: Uint8Array, from: number, end: number, radix: number): number {
  let at = from;
  while (at < end) {
    const c = text[at] ?? 0;
    const isSeparator =
      c === UNDERSCORE && (at > from || radix !== 10) && at + 1 < end && isDigitOf(text[at + 1] ?? 0, radix);
    if (!isSeparator && !isDigitOf(c, radix)) break;
    at += 1;
  }
  return at;
}

function isDigitOf(c: number, radix: number): boolean {
  if (radix === 16) return isDigit(c) || ((c | 0x20) >= 0x61 && (c | 0x20) <= 0x66);
  return c >= 0x30 && c < 0x30 + radix;
}

/** $1, or $tag$ ... $tag$. */
function visitDollar(text: Uint8Array, at: number, end: number, visit: TokenVisitor): number {
  let stop = at + 1;
  if (stop < end && isDigit(text[stop] ?? 0)) {
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
