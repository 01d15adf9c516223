import { Fifo } from '../util/fifo.js';

/** The bytes of one unit: nearly always one piece of one chunk. */
interface SentUnit {
  /** Null: nothing yet, or not kept. */
  buffer: Buffer | null;
  from: number;
  to: number;
  /** What came before that piece, in other chunks. */
  before: Buffer[];
  bytes: number;
  isKept: boolean;
}

/**
 * The frames of units that were sent to a backend and have not ended, so that they can be read once more. They are not copied: a kept
 * unit keeps the chunks alive in which it came.
 */
export class UnitRecord {
  /** Most bytes that are kept, of all units together; 0: nothing is. */
  readonly #bytesMax: () => number;
  readonly #units = new Fifo<SentUnit>();
  /** One for the next unit, so that a client that does not pipeline costs no allocation. */
  #spare: SentUnit | null = null;
  #bytes = 0;

  constructor(bytesMax: () => number) {
    this.#bytesMax = bytesMax;
  }

  /** How many units were sent at least in part and have not ended. */
  get length(): number {
    return this.#units.length;
  }

  /** A unit begins. */
  begin(): void {
    const unit = this.#spare ?? { buffer: null, from: 0, to: 0, before: [], bytes: 0, isKept: true };
    this.#spare = null;
    this.#units.push(unit);
  }

  /** A whole frame of the newest unit: `buffer[from, to)`. */
  add(buffer: Buffer, from: number, to: number): void {
    const unit = this.#units.last;
    if (unit === undefined || !unit.isKept) return;
    if (this.#bytes + to - from > this.#bytesMax()) {
      this.forget();
      return;
    }
    this.#bytes += to - from;
    unit.bytes += to - from;
    if (unit.buffer === buffer && unit.to === from) {
      unit.to = to;
      return;
    }
    if (unit.buffer !== null) unit.before.push(unit.buffer.subarray(unit.from, unit.to));
    unit.buffer = buffer;
    unit.from = from;
    unit.to = to;
  }

  /** The newest unit cannot be kept. */
  forget(): void {
    const unit = this.#units.last;
    if (unit === undefined) return;
    this.#empty(unit);
    unit.isKept = false;
  }

  /** The oldest unit has its ReadyForQuery. */
  ended(): void {
    const unit = this.#units.take();
    if (unit === undefined) return;
    this.#empty(unit);
    unit.isKept = true;
    this.#spare = unit;
  }

  /** Every unit is kept, but for the first `skipped`. */
  isWhole(skipped: number): boolean {
    return this.#units.toArray().every((unit, i) => i < skipped || unit.isKept);
  }

  /** The frames of all units but the first `skipped`. */
  frames(skipped: number): Buffer {
    const pieces: Buffer[] = [];
    for (const unit of this.#units.toArray().slice(skipped)) {
      pieces.push(...unit.before);
      if (unit.buffer !== null) pieces.push(unit.buffer.subarray(unit.from, unit.to));
    }
    return Buffer.concat(pieces);
  }

  /** The same, and forgets everything. */
  take(skipped: number): Buffer {
    const frames = this.frames(skipped);
    this.clear();
    return frames;
  }

  clear(): void {
    while (this.#units.length > 0) this.ended();
  }

  #empty(unit: SentUnit): void {
    this.#bytes -= unit.bytes;
    unit.bytes = 0;
    unit.buffer = null;
    if (unit.before.length > 0) unit.before = [];
  }
}
