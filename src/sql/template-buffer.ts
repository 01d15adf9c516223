/**
 * Longest template that is given to the parser, in bytes. Literals and long lists are no part of it, so that this is thousands of names.
 */
export const TEMPLATE_BYTES_MAX = 65_536;
/**
 * Most tokens of a template. The parser's own stack bounds this: a chain such as `a + b + c ...` nests one level for two tokens, and it
 * survives about twice as many.
 */
export const TEMPLATE_TOKENS_MAX = 6000;

/** Up to this a loop is faster than a call out of JavaScript. */
const SHORT_BYTES_MAX = 64;

const BLANK = 0x20;
const QUOTE = 0x27;
const MARK = 0x3f;

/**
 * What every string is in a template. It is not empty, because the parser tells an empty name of a file from none at all no more: COPY to a
 * file would look like COPY TO STDOUT.
 */
export const STRING_IN_TEMPLATE = '?';
/** Its length with its quotes. */
export const STRING_BYTES = 3;

/** The text of a template while it is written, and where each of its tokens came from. Used again for every text. */
export class TemplateBuffer {
  /** Some bytes more than are ever checked for, so that a string always fits where a token was. */
  readonly bytes: Buffer = Buffer.alloc(TEMPLATE_BYTES_MAX + STRING_BYTES);
  length = 0;
  tokenCount = 0;
  /** More was written than fits; what is here is no template. */
  isOverflowing = false;
  /** Of each token: where it begins in the template, and where in the text it begins and ends. */
  readonly #at: Int32Array = new Int32Array(TEMPLATE_TOKENS_MAX);
  readonly #start: Int32Array = new Int32Array(TEMPLATE_TOKENS_MAX);
  readonly #end: Int32Array = new Int32Array(TEMPLATE_TOKENS_MAX);

  clear(): void {
    this.length = 0;
    this.tokenCount = 0;
    this.isOverflowing = false;
  }

  /**
   * Begins a token of at most `lengthMax` bytes that stands for the text's `[start, end)`, behind a blank if need be; false when there is
   * no room for it.
   */
  open(start: number, end: number, lengthMax: number, hasBlank: boolean): boolean {
    const n = this.tokenCount;
    if (n === TEMPLATE_TOKENS_MAX || this.length + lengthMax + 1 > TEMPLATE_BYTES_MAX) {
      this.isOverflowing = true;
      return false;
    }
    if (hasBlank) this.put(BLANK);
    this.#at[n] = this.length;
    this.#start[n] = start;
    this.#end[n] = end;
    this.tokenCount = n + 1;
    return true;
  }

  /** A byte of the open token. */
  put(byte: number): void {
    this.bytes[this.length] = byte;
    this.length += 1;
  }

  /** Bytes of the text as they are, for the open token. */
  copy(text: Buffer, start: number, end: number): void {
    const { bytes, length } = this;
    if (end - start > SHORT_BYTES_MAX) text.copy(bytes, length, start, end);
    else for (let from = start, to = length; from < end; from += 1, to += 1) bytes[to] = text[from] ?? 0;
    this.length = length + end - start;
  }

  /** Drops everything from `length` on; the last token that is left stands for it too. */
  drop(length: number): void {
    const last = this.tokenCount - 1;
    const first = this.#firstFrom(length);
    if (first > 0 && last >= first) this.#end[first - 1] = this.#end[last] ?? 0;
    this.tokenCount = first;
    this.length = length;
  }

  /** Puts an empty string in the place of everything from `length` on. */
  replaceByString(length: number): void {
    const last = this.tokenCount - 1;
    const first = this.#firstFrom(length);
    if (last < first) return;
    this.#end[first] = this.#end[last] ?? 0;
    this.#at[first] = length;
    this.tokenCount = first + 1;
    this.length = length;
    this.putString();
  }

  /** A string, in place of whatever one. */
  putString(): void {
    this.put(QUOTE);
    this.put(MARK);
    this.put(QUOTE);
  }

  /** Whether two parts of what was written are the same. */
  isSame(aStart: number, aEnd: number, bStart: number, bEnd: number): boolean {
    if (aEnd - aStart !== bEnd - bStart) return false;
    const { bytes } = this;
    for (let i = aStart, j = bStart; i < aEnd; i += 1, j += 1) if (bytes[i] !== bytes[j]) return false;
    return true;
  }

  /** The template, one character for each byte. */
  toString(): string {
    return this.bytes.toString('latin1', 0, this.length);
  }

  /** Where in the text that lies which begins at `at` in the template; null when no token begins there. */
  sourceOf(at: number): readonly [start: number, end: number] | null {
    const index = this.#firstFrom(at);
    return index < this.tokenCount && this.#at[index] === at ? this.#source(index, index) : null;
  }

  /** The same of the token behind the one that begins at `at`. */
  sourceBehind(at: number): readonly [start: number, end: number] | null {
    const index = this.#firstFrom(at) + 1;
    return index < this.tokenCount ? this.#source(index, index) : null;
  }

  /** Where in the text all tokens lie that begin in `[from, to)` of the template; null when there are none. */
  sourceOfRange(from: number, to: number): readonly [start: number, end: number] | null {
    const first = this.#firstFrom(from);
    const last = this.#firstFrom(to) - 1;
    return last < first ? null : this.#source(first, last);
  }

  #source(first: number, last: number): readonly [number, number] {
    return [this.#start[first] ?? 0, this.#end[last] ?? 0];
  }

  /** The first token that begins at `at` or behind it. */
  #firstFrom(at: number): number {
    let low = 0;
    let high = this.tokenCount;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#at[middle] ?? 0) < at) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
