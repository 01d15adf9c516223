import { dataRow } from '../../protocol/row-messages.js';
import type { Column, Format, Row } from '../../protocol/row-messages.js';

/** About so many bytes are made at a time. */
const PIECE_BYTES = 32 * 1024;

/** Rows of a table. */
export interface RowSource {
  readonly rows: Iterator<Row>;
  readonly columns: readonly Column[];
  readonly formatOf: (index: number) => Format;
}

/** Writes rows down as messages, so many at a time as a client can be given at once. */
export class RowPieces {
  readonly #source: RowSource;
  /** How many more were asked for. */
  #left: number;
  #isLast = false;

  /** `rowsMax`: as many as were asked for; 0: all. */
  constructor(source: RowSource, rowsMax: number) {
    this.#source = source;
    this.#left = rowsMax <= 0 ? Number.POSITIVE_INFINITY : rowsMax;
  }

  /** There are surely no more. */
  get isLast(): boolean {
    return this.#isLast;
  }

  /** Null: there are no more, or as many as were asked for have been given. */
  next(): Buffer | null {
    const { rows, columns, formatOf } = this.#source;
    const piece: Buffer[] = [];
    let bytes = 0;
    while (!this.#isLast && this.#left > 0 && bytes < PIECE_BYTES) {
      const { done, value } = rows.next();
      if (done === true) this.#isLast = true;
      else {
        const row = dataRow(columns, value, formatOf);
        piece.push(row);
        bytes += row.length;
        this.#left -= 1;
      }
    }
    return piece.length === 0 ? null : Buffer.concat(piece);
  }
}
