import { formatDuration, formatSize } from '../../util/units.js';
import { wrong } from '../../config/reading.js';
import type { Reading } from '../../config/reading.js';
import type { DraftValue } from './draft.js';

/** Reads a value of PgBouncer or HAProxy into one of ours. Null: it says nothing that would have to be written. */
export type Convert = (value: string) => Reading<DraftValue | null>;

/** Stands for "no limit" where ours must have one; the longest that a duration of ours may be. */
const LONGEST = '24d';

/** A whole number as strtol reads it: `010` is octal, `0x10` is hexadecimal. */
export function count(value: string): Reading<number> {
  const match = /^([+-]?)(?:0x([0-9a-f]{1,8})|0([0-7]{1,12})|(0|[1-9]\d{0,14}))$/i.exec(value.trim());
  if (match === null) return wrong('is no whole number');
  const [, sign = '', hexadecimal, octal, decimal = ''] = match;
  const size =
    hexadecimal === undefined
      ? octal === undefined
        ? Number(decimal)
        : Number.parseInt(octal, 8)
      : Number.parseInt(hexadecimal, 16);
  return { ok: true, value: sign === '-' ? -size : size };
}

/** The same where 0 means that there is no such limit, which is so here without a word. */
export const countUnless0: Convert = (value) => {
  const read = count(value);
  return read.ok && read.value <= 0 ? nothing : read;
};

/** PgBouncer's times are seconds, with a point if need be. */
export const seconds: Convert = (value) => {
  const durationMs = milliseconds(value);
  return durationMs === null ? notATime : { ok: true, value: formatDuration(durationMs) };
};

/** The same where 0 means never. */
export const secondsUnless0: Convert = (value) => {
  const durationMs = milliseconds(value);
  if (durationMs === null) return notATime;
  return durationMs === 0 ? nothing : { ok: true, value: formatDuration(durationMs) };
};

/** The same where 0 means never, and never is not to be had. */
export const secondsOrLongest: Convert = (value) => {
  const durationMs = milliseconds(value);
  if (durationMs === null) return notATime;
  return { ok: true, value: durationMs === 0 ? LONGEST : formatDuration(durationMs) };
};

/** A number of milliseconds where 0 leaves it to the system. */
export const millisecondsUnless0: Convert = (value) => {
  const read = count(value);
  if (!read.ok) return notATime;
  return read.value <= 0 ? nothing : { ok: true, value: formatDuration(read.value) };
};

/** Bytes; those that PgBouncer has when nothing is said are as good as no limit. */
export const bytes: Convert = (value) => {
  const read = count(value);
  if (!read.ok) return read;
  return read.value >= 2_147_483_647 || read.value <= 0 ? nothing : { ok: true, value: formatSize(read.value) };
};

/** Names with commas between them. */
export const names: Convert = (value) => {
  const list = value
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  return list.length === 0 ? nothing : { ok: true, value: [...new Set(list)] };
};

/** HAProxy's times: milliseconds, or a number with its unit. */
export const haproxyTime: Convert = (value) => {
  const match = /^(\d{1,12})(us|ms|s|m|h|d)?$/.exec(value);
  if (match === null) return notATime;
  const factor = { us: 0.001, ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }[match[2] ?? 'ms'] ?? 1;
  const durationMs = Math.round(Number(match[1]) * factor);
  return durationMs === 0
    ? nothing
    : { ok: true, value: formatDuration(Math.min(durationMs, Number.MAX_SAFE_INTEGER)) };
};

/** PgBouncer's words in any case. */
export function word(value: string): Reading<string> {
  return { ok: true, value: value.trim().toLowerCase() };
}

const nothing: Reading<null> = { ok: true, value: null };
const notATime = wrong('is no time');

/** Whole milliseconds; null for what is no number of seconds. */
function milliseconds(value: string): number | null {
  const text = value.trim();
  const durationMs = /^\+?(?:\d{1,12}(?:\.\d*)?|\.\d+)(?:e[+-]?\d{1,2})?$/i.test(text)
    ? Math.round(Number(text) * 1000)
    : null;
  return durationMs !== null && Number.isSafeInteger(durationMs) ? durationMs : null;
}
