import type { TemplateBuffer } from './template-buffer.js';

/** Brackets deeper than this are too much for the parser. */
export const NESTING_MAX = 500;
/** Each bracket may have a list of rows around it. */
const FRAMES_MAX = 2 * NESTING_MAX + 2;

const Frame = {
  /** Brackets that mean nothing here. */
  Other: 0,
  /** IN (...), ARRAY[...]: its items are folded. */
  List: 1,
  /** All rows behind VALUES: not a bracket of its own. */
  Rows: 2,
  /** One of those rows. */
  Row: 3,
  /** Brackets inside an item or a row. */
  Nested: 4,
} as const;
type Frame = (typeof Frame)[keyof typeof Frame];

/** What stands in front of a bracket. */
export const Before = { Other: 0, In: 1, Values: 2, Array: 3 } as const;
export type Before = (typeof Before)[keyof typeof Before];

/**
 * Folds lists while a template is written: items of IN, of ARRAY[] and rows of VALUES that hold nothing but constants become a
 * string, and an item that equals the one before it is dropped.
 */
export class ListFolder {
  readonly #out: TemplateBuffer;
  #depth = 0;
  /** The innermost frame. */
  #top: Frame = Frame.Other;
  /** Brackets that are open, rows of VALUES not counted. */
  #nesting = 0;
  readonly #kinds = new Uint8Array(FRAMES_MAX);
  /** Whether the present item holds constants only, and whether all items did. */
  readonly #isConstant = new Uint8Array(FRAMES_MAX);
  readonly #areConstant = new Uint8Array(FRAMES_MAX);
  /** The item must stay though it equals the one before. */
  readonly #mustStay = new Uint8Array(FRAMES_MAX);
  /** Where the present item begins, and where the one before it lies (-1: there is none). */
  readonly #itemStart = new Int32Array(FRAMES_MAX);
  readonly #lastStart = new Int32Array(FRAMES_MAX);
  readonly #lastEnd = new Int32Array(FRAMES_MAX);

  constructor(out: TemplateBuffer) {
    this.#out = out;
  }

  clear(): void {
    this.#depth = 0;
    this.#top = Frame.Other;
    this.#nesting = 0;
  }

  /** Inside a list, so that tokens matter. */
  get isInList(): boolean {
    return this.#top !== Frame.Other;
  }

  /** A token that is no constant. */
  notConstant(): void {
    this.#isConstant[this.#depth - 1] = 0;
  }

  /** A token because of which its item must stay as it is, and all items around it. */
  mustStay(): void {
    this.#mustStay.fill(1, 0, this.#depth);
    this.#isConstant.fill(0, 0, this.#depth);
  }

  /** Any token but a comma or an opening bracket: no more rows follow. */
  endRows(): void {
    if (this.#top === Frame.Rows) this.#pop();
  }

  /** An opening bracket is about to be written. Gives false when it is one too many. */
  willOpen(before: Before, isSquare: boolean): boolean {
    if (this.#nesting === NESTING_MAX) return false;
    if (before === Before.Values && !isSquare) this.#push(Frame.Rows, this.#out.length);
    else if (this.#top === Frame.Rows && (isSquare || this.#itemStart[this.#depth - 1] !== this.#out.length)) {
      this.endRows();
    }
    this.#nesting += 1;
    this.#push(this.#kindOf(before, isSquare), this.#out.length + 1);
    return true;
  }

  #kindOf(before: Before, isSquare: boolean): Frame {
    if (this.#top === Frame.Rows) return Frame.Row;
    if (before === (isSquare ? Before.Array : Before.In)) return Frame.List;
    return this.isInList ? Frame.Nested : Frame.Other;
  }

  /** A comma is about to be written; its item is over. */
  willSeparate(): void {
    if (this.#top === Frame.List) this.#endItem();
  }

  /** The comma is written. */
  separated(): void {
    const top = this.#depth - 1;
    if (top < 0 || (this.#top !== Frame.List && this.#top !== Frame.Rows)) return;
    this.#itemStart[top] = this.#out.length;
    this.#isConstant[top] = 1;
    this.#mustStay[top] = 0;
  }

  /** A closing bracket is about to be written. */
  willClose(): void {
    this.endRows();
    if (this.#depth === 0) return;
    const top = this.#depth - 1;
    if (this.#top === Frame.List) this.#endItem();
    else if (this.#top === Frame.Row && this.#isConstant[top] === 1)
      this.#out.replaceByString(this.#itemStart[top] ?? 0);
    this.#nesting -= 1;
    this.#pop();
  }

  /** The closing bracket is written. */
  closed(): void {
    if (this.#top === Frame.Rows) this.#dropIfSame();
  }

  #endItem(): void {
    const top = this.#depth - 1;
    if (this.#isConstant[top] === 1) this.#out.replaceByString(this.#itemStart[top] ?? 0);
    else this.#areConstant[top] = 0;
    this.#dropIfSame();
  }

  #dropIfSame(): void {
    const top = this.#depth - 1;
    const start = this.#itemStart[top] ?? 0;
    const lastStart = this.#lastStart[top] ?? -1;
    const lastEnd = this.#lastEnd[top] ?? -1;
    const end = this.#out.length;
    if (lastStart >= 0 && this.#mustStay[top] === 0 && this.#out.isSame(lastStart, lastEnd, start, end)) {
      this.#out.drop(lastEnd);
    } else {
      this.#lastStart[top] = start;
      this.#lastEnd[top] = end;
    }
  }

  #push(kind: Frame, itemStart: number): void {
    const top = this.#depth;
    this.#kinds[top] = kind;
    this.#isConstant[top] = 1;
    this.#areConstant[top] = 1;
    this.#mustStay[top] = 0;
    this.#itemStart[top] = itemStart;
    this.#lastStart[top] = -1;
    this.#lastEnd[top] = -1;
    this.#depth = top + 1;
    this.#top = kind;
  }

  /** What was inside is a constant only if all of it was. */
  #pop(): void {
    const top = this.#depth - 1;
    const isConstant = this.#isConstant[top] === 1 && this.#areConstant[top] === 1;
    this.#depth = top;
    this.#top = top === 0 ? Frame.Other : ((this.#kinds[top - 1] ?? Frame.Other) as Frame);
    if (!isConstant && top > 0) this.#isConstant[top - 1] = 0;
  }
}
