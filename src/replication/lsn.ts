import type { Lsn } from '../dcs/claims.js';

/** Digits of each half of a `pg_lsn` text: the high and the low 32 bits. */
const LSN_TEXT = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/;
const LOW_BITS = 32n;
const LOW_MASK = 0xffff_ffffn;
/** Hexadecimal digits of the timeline at the start of a WAL file's name (PostgreSQL documentation, "WAL Internals"). */
const TIMELINE_TEXT = /^[0-9A-Fa-f]{8}/;
/** A WAL page has 8 kB (`wal_block_size`, fixed when PostgreSQL is built), and begins with a header. */
const PAGE_MASK = 8191n;
const SHORT_HEADER = 24n;
/** Of the first page of a segment. Segments have 1 MB or a multiple of it (`wal_segment_size`), and begin at multiples of their size. */
const LONG_HEADER = 40n;
const SEGMENT_MASK = 0xf_ffffn;

/** Reads `pg_lsn` text such as `16/B374D848` (also with a zero-padded low half); null when it is not one. */
export function parseLsn(text: string): Lsn | null {
  const halves = LSN_TEXT.exec(text);
  if (halves === null) {
    return null;
  }
  return (BigInt(`0x${halves[1]}`) << LOW_BITS) | BigInt(`0x${halves[2]}`);
}

/** Writes a position the way PostgreSQL up to 18 does: `16/B374D848`, halves without leading zeros. */
export function formatLsn(lsn: Lsn): string {
  const high = (lsn >> LOW_BITS).toString(16).toUpperCase();
  const low = (lsn & LOW_MASK).toString(16).toUpperCase();
  return `${high}/${low}`;
}

/** True between two pages of WAL: what is flushed up to there may end in the middle of a record. */
export function isPageStart(lsn: Lsn): boolean {
  return (lsn & PAGE_MASK) === 0n;
}

/**
 * Where the WAL before an insert position ends, as replay tells it. At the start of a page both mean the same place differently: the
 * next record is inserted behind the page's header, but replay stands where the last record ended, in front of it, until there is a
 * next one (`XLogBytePosToRecPtr` in `src/backend/access/transam/xlog.c`, `EndRecPtr` in `xlogreader.c`). Nothing is lost by going back
 * over a header: no record is shorter than 24 bytes, so none that begins in front of these positions or behind them ends between the
 * two, also where 40 bytes into a page are no header.
 */
export function recordEnd(insertLsn: Lsn): Lsn {
  const inPage = insertLsn & PAGE_MASK;
  const isBehindHeader =
    inPage === SHORT_HEADER || (inPage === LONG_HEADER && (insertLsn & SEGMENT_MASK) === LONG_HEADER);
  return isBehindHeader ? insertLsn - inPage : insertLsn;
}

/** Bytes from `behind` to `ahead`; 0 when `behind` is not behind. Exact up to 2^53. */
export function lsnBytesBehind(ahead: Lsn, behind: Lsn): number {
  return behind >= ahead ? 0 : Number(ahead - behind);
}

/** The timeline that the name of a WAL file begins with (`0000000A...` is 10); null when it is not such a name. */
export function timelineOfWalFile(name: string): number | null {
  const digits = TIMELINE_TEXT.exec(name)?.[0];
  if (digits === undefined) {
    return null;
  }
  const timeline = Number.parseInt(digits, 16);
  return timeline === 0 ? null : timeline;
}
