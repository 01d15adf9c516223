/**
 * A WAL as PostgreSQL lays it out: records follow each other without a gap in *byte positions*; in the file a header stands before the
 * bytes of each page, a longer one at the start of each segment (`src/backend/access/transam/xlog.c`, `XLogBytePosToRecPtr`).
 */
export class WalModel {
  readonly #segmentBytes: number;
  /** Byte position behind each record. */
  readonly #ends: number[] = [];
  /** Up to where it is flushed, as a byte position; may be within a record. */
  #flushed: number;
  readonly #start: number;

  constructor(segmentBytes: number, startBytes: number) {
    this.#segmentBytes = segmentBytes;
    this.#start = startBytes;
    this.#flushed = startBytes;
  }

  get records(): number {
    return this.#ends.length;
  }

  /** Records that a standby can have. */
  get flushedRecords(): number {
    return this.#ends.filter((end) => end <= this.#flushed).length;
  }

  get insertLsn(): bigint {
    return this.#lsnBehind(this.#last(), true);
  }

  get flushedLsn(): bigint {
    return this.#lsnBehind(this.#flushed, false);
  }

  /** Where replay stands behind so many records. */
  replayLsn(records: number): bigint {
    return this.#lsnBehind(this.#ends[records - 1] ?? this.#start, false);
  }

  /** Adds a record of at least 24 bytes; with `toPageEnd` one that ends exactly there, if there is room. */
  insert(bytes: number, toPageEnd: boolean): void {
    const at = this.#last();
    const left = this.#pageEnd(at + 1) - at;
    this.#ends.push(at + (toPageEnd && left >= 24 ? left : Math.max(24, bytes + ((8 - (bytes % 8)) % 8))));
  }

  /** Leaves the rest of the segment unused, as `pg_switch_wal` does. */
  switchSegment(): void {
    const usable = this.#usableInSegment();
    const at = this.#last();
    if (at % usable !== 0) this.#ends.push(Math.ceil((at + 24) / usable) * usable);
  }

  flush(): void {
    this.#flushed = this.#last();
  }

  /** Flushes whole pages and nothing else. */
  flushPages(): void {
    const before = this.#pageEnd(this.#last() + 1) - (8192 - 24);
    this.#flushed = Math.max(this.#flushed, before);
  }

  /** The node crashes, or another one is promoted that has no more than these: what is behind them is lost. */
  truncate(records: number): void {
    this.#ends.length = Math.min(records, this.#ends.length);
    this.#flushed = Math.min(this.#flushed, this.#last());
  }

  #last(): number {
    return this.#ends.at(-1) ?? this.#start;
  }

  #usableInSegment(): number {
    return (this.#segmentBytes / 8192) * (8192 - 24) - 16;
  }

  /** The byte position of the end of the page that holds the byte before `at`. */
  #pageEnd(at: number): number {
    const usable = this.#usableInSegment();
    const segment = Math.floor((at - 1) / usable);
    const inSegment = at - segment * usable;
    const first = 8192 - 40;
    const end = inSegment <= first ? first : first + Math.ceil((inSegment - first) / (8192 - 24)) * (8192 - 24);
    return segment * usable + end;
  }

  /** `isForInsert`: where the next record goes; else where the last one ends. They differ at the start of a page. */
  #lsnBehind(at: number, isForInsert: boolean): bigint {
    const usable = this.#usableInSegment();
    const segment = Math.floor(at / usable);
    let left = at % usable;
    let offset: number;
    if (left < 8192 - 40) {
      offset = left === 0 && !isForInsert ? 0 : left + 40;
    } else {
      left -= 8192 - 40;
      const pages = 1 + Math.floor(left / (8192 - 24));
      left %= 8192 - 24;
      offset = pages * 8192 + (left === 0 && !isForInsert ? 0 : left + 24);
    }
    return BigInt(segment) * BigInt(this.#segmentBytes) + BigInt(offset);
  }
}
