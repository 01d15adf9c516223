import { lex } from './lexer.js';

/** What a comment asks of the proxy. `invalid`: it speaks to the proxy and is not understood. */
export type RouteHint = 'primary' | 'invalid';

const WORD = Buffer.from('switchyard');
const LAST_LETTER = 0x64;
const shifts = shiftsOf(WORD);
/** Sets ASCII letters to lower case; what it does to other bytes does not make any of them a letter of the word. */
const LOWER = 0x20;
const NL = 0x0a;
const CR = 0x0d;
const STAR = 0x2a;
const SLASH = 0x2f;
const MINUS = 0x2d;

/** What a comment says, without its marks. */
const HINT = /^\s*switchyard\s*:\s*(.*?)\s*$/is;

/**
 * Looks for a comment that speaks to the proxy: `switchyard: primary`, in either kind of comment, anywhere between the tokens of
 * `buffer[start, end)`. White space and case do not matter. Of several the one that asks for the primary counts.
 *
 * A text without the word costs a look at every tenth byte. `escapesInStrings`: `standard_conforming_strings` is off.
 */
export function readHint(buffer: Buffer, start: number, end: number, escapesInStrings: boolean): RouteHint | null {
  return holdsWord(buffer, start, end) ? hintIn(buffer, start, end, escapesInStrings) : null;
}

function hintIn(buffer: Buffer, start: number, end: number, escapesInStrings: boolean): RouteHint | null {
  let hint: RouteHint | null = null;
  let last = start;
  const look = (from: number, to: number): void => {
    for (const comment of commentsIn(buffer, from, to)) {
      const [, asked] = HINT.exec(comment) ?? [];
      if (asked !== undefined && hint !== 'primary') hint = asked.toLowerCase() === 'primary' ? 'primary' : 'invalid';
    }
  };
  const isWhole = lex(buffer, start, end, escapesInStrings, (_kind, from, to) => {
    if (from > last) look(last, from);
    last = to;
  });
  // Where it ends inside a string or a comment, PostgreSQL refuses it.
  if (!isWhole) return null;
  look(last, end);
  return hint;
}

/** Boyer and Moore's search, by Horspool: from the byte under the word's end it is known how far the word can be moved on. */
function holdsWord(buffer: Buffer, start: number, end: number): boolean {
  const last = WORD.length - 1;
  let at = start + last;
  while (at < end) {
    const byte = (buffer[at] ?? 0) | LOWER;
    if (byte === LAST_LETTER && isWordBehind(buffer, at - last)) return true;
    at += shifts[byte] ?? WORD.length;
  }
  return false;
}

function isWordBehind(buffer: Buffer, at: number): boolean {
  for (let i = 0; i < WORD.length; i += 1) if (((buffer[at + i] ?? 0) | LOWER) !== WORD[i]) return false;
  return true;
}

/** For each byte: how far its last place in the word, but for the word's end, is from that end. */
function shiftsOf(word: Uint8Array): Readonly<Uint8Array> {
  const found = new Uint8Array(256).fill(word.length);
  for (let i = 0; i < word.length - 1; i += 1) found[word[i] ?? 0] = word.length - 1 - i;
  return found;
}

/** The comments in what lies between two tokens: nothing but white space is there beside them. */
function* commentsIn(buffer: Buffer, start: number, end: number): Generator<string> {
  let at = start;
  while (at + 1 < end) {
    const byte = buffer[at];
    if (byte === MINUS) {
      const from = at + 2;
      while (at < end && buffer[at] !== NL && buffer[at] !== CR) at += 1;
      yield buffer.toString('latin1', from, at);
    } else if (byte === SLASH) {
      const from = at + 2;
      at = endOfBlock(buffer, from, end);
      yield buffer.toString('latin1', from, at - 2);
    } else at += 1;
  }
}

/** Behind the mark that ends a comment whose text begins at `from`. Comments nest. */
function endOfBlock(buffer: Buffer, from: number, end: number): number {
  let depth = 1;
  let at = from;
  while (at + 1 < end && depth > 0) {
    const isOpening = buffer[at] === SLASH && buffer[at + 1] === STAR;
    const isClosing = buffer[at] === STAR && buffer[at + 1] === SLASH;
    if (isOpening) depth += 1;
    else if (isClosing) depth -= 1;
    at += isOpening || isClosing ? 2 : 1;
  }
  return at;
}
