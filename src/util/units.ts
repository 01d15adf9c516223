/** What reading a quantity gave: a whole number of base units, or one sentence about what is wrong with it. */
export type QuantityResult =
  | { readonly ok: true; readonly value: number }
  | { readonly ok: false; readonly problem: string };

interface Unit {
  readonly name: string;
  readonly factor: number;
}

interface Quantity {
  /** What one calls it in a message. */
  readonly word: string;
  /** Largest first: the formatter takes the first that divides. */
  readonly units: readonly Unit[];
  /** Other spellings that are understood, with the unit they stand for. */
  readonly aliases: ReadonlyMap<string, string>;
}

const DURATION: Quantity = {
  word: 'duration',
  units: [
    { name: 'd', factor: 86_400_000 },
    { name: 'h', factor: 3_600_000 },
    { name: 'm', factor: 60_000 },
    { name: 's', factor: 1000 },
    { name: 'ms', factor: 1 },
  ],
  aliases: new Map([['min', 'm']]),
};

/** PostgreSQL's units for memory: powers of 1024 ("Parameter Names and Values" in its documentation). */
const SIZE: Quantity = {
  word: 'size',
  units: [
    { name: 'TB', factor: 1024 ** 4 },
    { name: 'GB', factor: 1024 ** 3 },
    { name: 'MB', factor: 1024 ** 2 },
    { name: 'kB', factor: 1024 },
    { name: 'B', factor: 1 },
  ],
  aliases: new Map([
    ['KB', 'kB'],
    ['KiB', 'kB'],
    ['MiB', 'MB'],
    ['GiB', 'GB'],
    ['TiB', 'TB'],
  ]),
};

const QUANTITY_PATTERN = /^([+-]?)(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/;

/**
 * Reads a duration as people write it (`250ms`, `10s`, `5m`, `1.5h`, `1d`, bare `0`) into whole milliseconds.
 * A number without a unit, except 0, is refused: nobody can tell seconds from milliseconds afterwards.
 */
export function parseDuration(input: string | number): QuantityResult {
  return parseQuantity(DURATION, input);
}

/** Reads a size (`64kB`, `16MB`, `1GB`, bare `0`) into whole bytes; the units are powers of 1024, as in PostgreSQL. */
export function parseSize(input: string | number): QuantityResult {
  return parseQuantity(SIZE, input);
}

/** The shortest exact spelling of a duration in whole milliseconds: `1500ms`, `10s`, `1h`, `0`. */
export function formatDuration(durationMs: number): string {
  return formatQuantity(DURATION, durationMs);
}

/** The shortest exact spelling of a size in whole bytes: `16MB`, `1000B`, `0`. */
export function formatSize(bytes: number): string {
  return formatQuantity(SIZE, bytes);
}

function parseQuantity(quantity: Quantity, input: string | number): QuantityResult {
  const text = String(input).trim();
  const match = QUANTITY_PATTERN.exec(text);
  if (match === null) {
    return { ok: false, problem: `"${text}" is not a ${quantity.word}: write ${examples(quantity, '10')}` };
  }
  const [, sign = '', digits = '', unitText = ''] = match;
  const amount = Number(digits);
  if (sign === '-' && amount !== 0) {
    return { ok: false, problem: `${text} is negative` };
  }
  if (unitText === '') {
    return amount === 0
      ? { ok: true, value: 0 }
      : { ok: false, problem: `${text} has no unit: write ${examples(quantity, digits)}` };
  }
  const name = quantity.aliases.get(unitText) ?? unitText;
  const unit = quantity.units.find((candidate) => candidate.name === name);
  if (unit === undefined) {
    return { ok: false, problem: unknownUnit(quantity, digits, unitText) };
  }
  return scale(quantity, text, amount, unit);
}

function scale(quantity: Quantity, text: string, amount: number, unit: Unit): QuantityResult {
  const value = amount * unit.factor;
  const whole = Math.round(value);
  if (!Number.isSafeInteger(whole)) {
    return { ok: false, problem: `${text} is too large` };
  }
  // 0.1 has no exact binary form: only a real remainder is an error, not the noise of the multiplication.
  if (Math.abs(value - whole) > 1e-6) {
    return { ok: false, problem: `${text} is not a whole number of ${smallestUnit(quantity)}` };
  }
  return { ok: true, value: whole };
}

function unknownUnit(quantity: Quantity, digits: string, unitText: string): string {
  const lower = unitText.toLowerCase();
  const known = [...quantity.units.map((unit) => unit.name), ...quantity.aliases.keys()];
  // `10sec` and `10msec` mean the longest name that they begin with.
  const near =
    known.find((name) => name.toLowerCase() === lower) ??
    known.sort((a, b) => b.length - a.length).find((name) => lower.startsWith(name.toLowerCase()));
  const meant = near === undefined ? '' : `; did you mean ${digits}${quantity.aliases.get(near) ?? near}?`;
  const names = quantity.units.map((unit) => unit.name).reverse();
  return `"${unitText}" is not a unit of a ${quantity.word} (${names.join(', ')})${meant}`;
}

function examples(quantity: Quantity, digits: string): string {
  const spelled = quantity.units.map((unit) => digits + unit.name).reverse();
  return `${spelled.slice(0, -1).join(', ')} or ${spelled.at(-1) ?? ''}`;
}

function smallestUnit(quantity: Quantity): string {
  return quantity.units.at(-1)?.name ?? '';
}

function formatQuantity(quantity: Quantity, value: number): string {
  if (value === 0) {
    return '0';
  }
  const unit = quantity.units.find((candidate) => value % candidate.factor === 0);
  return unit === undefined ? String(value) : `${value / unit.factor}${unit.name}`;
}
