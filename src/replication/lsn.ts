import type { Lsn } from '../dcs/claims.js';

/** Digits of each half of a `pg_lsn` text: the high and the low 32 bits. */
const LSN_TEXT = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/;
const LOW_BITS = 32n;
const LOW_MASK = 0xffff_ffffn;
/** Hexadecimal digits of the timeline at the start of a WAL file's name (PostgreSQL documentation, "WAL Internals"). */
const TIMELINE_TEXT = /^[0-9A-Fa-f]{8}/;

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
