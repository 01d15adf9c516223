/** Reading of the loosely typed values that Patroni writes: JSON of Python, numbers of 64 bits, booleans in many spellings. */

/** A JSON object, not yet looked into. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** What came out of reading a text: a value, or a sentence that says why there is none. */
export type ReadResult<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly why: string };

/** From so many digits on an integer may not fit into a double; such ones are kept as text. */
const EXACT_DIGITS = 15;
/**
 * A whole string, or a number: strings are matched so that the digits in them are left alone. The closing quote may be missing,
 * so that a string without end is scanned once and not again from each quote in it.
 */
const STRING_OR_NUMBER = /"[^"\\]*(?:\\.[^"\\]*)*"?|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/gs;
const LONG_INTEGER = /^-?\d{16,}$/;
/** Up to 64 bits. */
const INTEGER = /^\s*[+-]?\d{1,20}\s*$/;
const LSN_MAX = 0xffff_ffff_ffff_ffffn;

/**
 * `JSON.parse`, but integers of more than 15 digits come out as their digits in a string, since a double would round them (WAL
 * positions and system identifiers have 64 bits). Read integers with {@link readInteger}, which takes both.
 */
export function parseJson(text: string): ReadResult<unknown> {
  try {
    const exact = /\d{16}/.test(text)
      ? text.replace(STRING_OR_NUMBER, (token) => (LONG_INTEGER.test(token) ? `"${token}"` : token))
      : text;
    return { ok: true, value: JSON.parse(exact) };
  } catch {
    return { ok: false, why: 'not JSON' };
  }
}

/** Whether a parsed JSON value is an object (and not an array or null). */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** {@link parseJson} for a value that must be an object. */
export function parseJsonObject(text: string): ReadResult<JsonObject> {
  const parsed = parseJson(text);
  if (!parsed.ok) {
    return parsed;
  }
  return isJsonObject(parsed.value) ? { ok: true, value: parsed.value } : { ok: false, why: 'not a JSON object' };
}

/** An integer of up to 64 bits, given as a number or as digits; null for everything else. */
export function readInteger(value: unknown): bigint | null {
  if (typeof value === 'number') {
    return Number.isInteger(value) && Math.abs(value) < 10 ** EXACT_DIGITS ? BigInt(value) : null;
  }
  return typeof value === 'string' && INTEGER.test(value) ? BigInt(value.trim()) : null;
}

/** An integer that a double holds exactly, between `min` and `max`; null for everything else. */
export function readNumber(value: unknown, min: number, max: number): number | null {
  const integer = readInteger(value);
  return integer !== null && integer >= BigInt(min) && integer <= BigInt(max) ? Number(integer) : null;
}

/** A WAL position as a number of bytes; null for everything else. */
export function readLsn(value: unknown): bigint | null {
  const lsn = readInteger(value);
  return lsn !== null && lsn >= 0n && lsn <= LSN_MAX ? lsn : null;
}

/** A boolean as Patroni's `parse_bool` reads it: on/true/yes/1 and off/false/no/0 in any case; null for everything else. */
export function readBoolean(value: unknown): boolean | null {
  if (typeof value !== 'boolean' && typeof value !== 'number' && typeof value !== 'string') {
    return null;
  }
  const word = String(value).toLowerCase();
  if (word === 'on' || word === 'true' || word === 'yes' || word === '1') {
    return true;
  }
  return word === 'off' || word === 'false' || word === 'no' || word === '0' ? false : null;
}

/** What Python takes for true: Patroni tests most tags this way, so that even the text "false" is. */
export function isTruthy(value: unknown): boolean {
  if (Array.isArray(value)) {
    return value.length > 0;
  }
  return isJsonObject(value) ? Object.keys(value).length > 0 : Boolean(value);
}

const TIMESTAMP = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(:\d\d)?(?:\.(\d+))?\s*(Z|[+-]\d\d(?::?\d\d)?)$/i;

/** Epoch milliseconds of an ISO 8601 time that names its zone; null when it does not, or is none. */
export function readTimestamp(value: unknown): number | null {
  const parts = typeof value === 'string' ? TIMESTAMP.exec(value.trim()) : null;
  if (parts === null) {
    return null;
  }
  const [, date = '', minutes = '', seconds = ':00', fraction = '0', zone = 'Z'] = parts;
  const milliseconds = fraction.slice(0, 3).padEnd(3, '0');
  const epochMs = Date.parse(`${date}T${minutes}${seconds}.${milliseconds}${isoZone(zone)}`);
  return Number.isNaN(epochMs) ? null : epochMs;
}

/** `+02` and `+0200` as `+02:00`, which is all that ECMAScript promises to read. */
function isoZone(zone: string): string {
  if (zone.toUpperCase() === 'Z') {
    return 'Z';
  }
  const digits = zone.slice(1).replace(':', '').padEnd(4, '0');
  return `${zone[0] ?? '+'}${digits.slice(0, 2)}:${digits.slice(2)}`;
}
