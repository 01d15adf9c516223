import type { RawStmt } from 'libpg-query';
import type { TemplateBuffer } from './template-buffer.js';

const DOUBLED_QUOTES = /''/g;
const DOLLAR_QUOTED = /^(\$[^$]*\$)([^]*)\1$/;

/**
 * The text behind a template, for the few things that depend on more than the template. Notes whether it was asked, because what was told
 * then is true of this text only. Texts are one character for each byte.
 */
export class SourceText {
  readonly #template: TemplateBuffer;
  readonly #text: Buffer;
  readonly #range: readonly [start: number, end: number];
  readonly #escapesInStrings: boolean;
  #from: number;
  #to: number;
  #isAlone: boolean;
  #wasUsed: boolean;

  /** `template` and `text` are borrowed as long as this is used; the text is `text[start, end)`. */
  constructor(template: TemplateBuffer, text: Buffer, start: number, end: number, escapesInStrings: boolean) {
    this.#range = [start, end];
    this.#template = template;
    this.#text = text;
    this.#escapesInStrings = escapesInStrings;
    this.#from = 0;
    this.#to = template.length;
    this.#isAlone = false;
    this.#wasUsed = false;
  }

  get wasUsed(): boolean {
    return this.#wasUsed;
  }

  /** From now on it is about this statement of the template; `isAlone`: which has no other one. */
  begin({ stmt_location: from = 0, stmt_len: length = 0 }: RawStmt, isAlone: boolean): void {
    this.#from = from;
    this.#isAlone = isAlone;
    this.#to = length === 0 ? this.#template.length : from + length;
  }

  /** The statement as it was written, from its first to its last token. */
  statement(): string {
    return this.#cut(this.#template.sourceOfRange(this.#from, this.#to));
  }

  /** The same with all that is around it in a text that has no other statement, which is how a node keeps the text of PREPARE. */
  statementAsKept(): string {
    return this.#isAlone ? this.#cut(this.#range) : this.statement();
  }

  /** The token at a location of the template, as it was written; empty when there is none. */
  token(location: number): string {
    return this.#cut(this.#template.sourceOf(location));
  }

  /** The token behind the one at a location of the template. */
  tokenBehind(location: number): string {
    return this.#cut(this.#template.sourceBehind(location));
  }

  /** What a string constant means; null where that is not certain. */
  valueOf(token: string): string | null {
    const dollar = DOLLAR_QUOTED.exec(token);
    if (dollar !== null) return dollar[2] ?? '';
    const isEscaped = token.startsWith('E') || token.startsWith('e');
    const quoted = isEscaped ? token.slice(1) : token;
    if (!quoted.startsWith("'") || ((isEscaped || this.#escapesInStrings) && token.includes('\\'))) return null;
    const inner = quoted.slice(1, -1);
    // A quote that is not doubled ends a part of the string that goes on in another line.
    return inner.replaceAll(DOUBLED_QUOTES, '').includes("'") ? null : inner.replaceAll(DOUBLED_QUOTES, "'");
  }

  #cut(range: readonly [start: number, end: number] | null): string {
    this.#wasUsed = true;
    return range === null ? '' : this.#text.toString('latin1', range[0], range[1]);
  }
}
