import { z } from 'zod';
import { type QuantityResult, parseDuration, parseSize } from '../util/units.js';
import { type HostPort, parseDialAddress, parseListenAddress } from './address.js';
import { type Reading, wrong } from './reading.js';

/**
 * What stands behind a `*_file` key. Gets the path as written; gives back the secret (one trailing newline taken off), or one
 * sentence about why there is none.
 */
export type SecretReader = (path: string) => Reading<string>;

/** Node's timers cannot wait longer than 2^31 - 1 ms: they would fire at once. So no duration may be longer than this. */
const DURATION_MAX = '24d';
const SIZE_MAX = '2047MB';
/** Most entries of any list. */
const LIST_MAX = 10_000;

const NOT_AN_ADDRESS = 'must be an address: write host:port, [::1]:port or *:port';

/** What the JSON Schema says about a text or a list of texts. */
export const TEXT_OR_LIST = {
  anyOf: [
    { type: 'string', minLength: 1 },
    { type: 'array', items: { type: 'string', minLength: 1 }, minItems: 1 },
  ],
};

interface QuantityLimits {
  readonly min?: string;
  readonly max?: string;
}

/** A value that zod has no word for: read by `read`, described by `meta` in the JSON Schema. Required unless it gets a prefault. */
export function customField<T>(read: (input: unknown) => Reading<T>, meta: Readonly<Record<string, unknown>>) {
  return z
    .unknown()
    .transform((input, context): T => {
      const result = input === undefined ? wrong('is required') : read(input);
      if (result.ok) {
        return result.value;
      }
      context.addIssue({ code: 'custom', message: result.problem, input });
      return z.NEVER;
    })
    .meta(meta);
}

/** A duration, in whole milliseconds. */
export function duration(limits: QuantityLimits = {}) {
  const { min = '0', max = DURATION_MAX } = limits;
  return customField((input) => readQuantity(input, 'duration', parseDuration, min, max), {
    type: ['string', 'integer'],
    pattern: '^\\s*[0-9]+(\\.[0-9]+)?\\s*(ms|s|m|min|h|d)\\s*$|^0$',
    minimum: 0,
    maximum: 0,
    examples: ['250ms', '10s', '5m', '1h'],
    'x-type': `duration, ${min} to ${max}`,
  });
}

/** A size, in whole bytes. */
export function size(limits: QuantityLimits = {}) {
  const { min = '0', max = SIZE_MAX } = limits;
  return customField((input) => readQuantity(input, 'size', parseSize, min, max), {
    type: ['string', 'integer'],
    pattern: '^\\s*[0-9]+(\\.[0-9]+)?\\s*(B|[kKMGT]B|[KMGT]iB)\\s*$|^0$',
    minimum: 0,
    maximum: 0,
    examples: ['64kB', '16MB', '1GB'],
    'x-type': `size, ${min} to ${max}`,
  });
}

/** A whole number; digits in quotes are one too, so that it can come out of the environment. */
export function count(min: number, max: number) {
  const fromText = (input: unknown): unknown =>
    typeof input === 'string' && /^-?\d{1,15}$/.test(input.trim()) ? Number(input) : input;
  return z.preprocess(fromText, z.int().min(min).max(max)).meta({ 'x-type': `number, ${min} to ${max}` });
}

const FLAG_WORDS: ReadonlyMap<unknown, boolean> = new Map<unknown, boolean>([
  ['true', true],
  ['on', true],
  ['yes', true],
  ['false', false],
  ['off', false],
  ['no', false],
]);

/** true or false; PostgreSQL's other words for them are understood. */
export function flag() {
  return z.preprocess((input) => FLAG_WORDS.get(input) ?? input, z.boolean()).meta({ 'x-type': 'true or false' });
}

/** A text that is not empty. */
export function text() {
  return z.string().min(1).meta({ 'x-type': 'text' });
}

/** A text that is never shown. */
export function secret() {
  return z.string().min(1).meta({ writeOnly: true, 'x-type': 'secret' });
}

/** The path of a file that holds a secret; the value is what the file holds. */
export function secretFile(read: SecretReader) {
  return customField(
    (input) => (typeof input === 'string' && input !== '' ? read(input) : wrong(`must be the path of a file`)),
    { type: 'string', minLength: 1, 'x-type': 'path' },
  );
}

/** Takes `password` or what `password_file` held, and refuses both. */
export function onePassword(
  given: { readonly password?: string | undefined; readonly password_file?: string | undefined },
  context: z.RefinementCtx,
): string | null {
  if (given.password !== undefined && given.password_file !== undefined) {
    context.addIssue({ code: 'custom', path: ['password_file'], message: 'password is given too: keep one of them' });
  }
  return given.password ?? given.password_file ?? null;
}

/** An address to listen on. */
export function listenAddress() {
  return customField((input) => (typeof input === 'string' ? parseListenAddress(input) : wrong(NOT_AN_ADDRESS)), {
    type: 'string',
    minLength: 2,
    examples: ['127.0.0.1:5000', '[::1]:5000', '*:5000'],
    'x-type': 'address',
  });
}

/** Addresses to dial: a list, or one text with commas, as Patroni writes them; `http://` in front is ignored. */
export function dialAddresses(defaultPort: number) {
  return customField((input) => readDialAddresses(input, defaultPort), {
    ...TEXT_OR_LIST,
    'x-type': 'addresses',
  });
}

/** One text or a list of them. `all` (alone) means every one, and is null here. */
export function namesOrAll() {
  return customField(
    (input): Reading<readonly string[] | null> => {
      const list = textList(input);
      if (list === null) {
        return wrong('must be a name, a list of names, or all');
      }
      return { ok: true, value: list.includes('all') ? null : list };
    },
    { ...TEXT_OR_LIST, 'x-type': 'name, list of names, or all' },
  );
}

/** One name or a list of them; none by default. */
export function names() {
  return customField(
    (input): Reading<readonly string[]> => {
      const list = Array.isArray(input) && input.length === 0 ? [] : textList(input);
      return list === null ? wrong('must be a name, or a list of names') : { ok: true, value: list };
    },
    {
      anyOf: [
        { type: 'string', minLength: 1 },
        { type: 'array', items: { type: 'string', minLength: 1 } },
      ],
      'x-type': 'name, or list of names',
    },
  ).prefault([]);
}

/** A mapping of tag names to texts; numbers and booleans are taken as they are written, as Patroni does. */
export function tags() {
  return customField(readTags, {
    type: 'object',
    additionalProperties: { type: ['string', 'number', 'boolean'] },
    'x-type': 'mapping of tag to value',
  });
}

/** The name of a function as SQL writes it, `name` or `schema.name`; the value is written the same way, with quotes where it needs them. */
export function functionName() {
  return customField(readFunctionName, { type: 'string', minLength: 1, 'x-type': 'name' });
}

/** The non-empty texts of a text or a list; null when it is something else, or empty. */
export function textList(input: unknown): readonly string[] | null {
  const list: readonly unknown[] = Array.isArray(input) ? input : [input];
  const texts = list.filter((entry): entry is string => typeof entry === 'string' && entry !== '');
  return texts.length === list.length && list.length > 0 && list.length <= LIST_MAX ? texts : null;
}

function readQuantity(
  input: unknown,
  word: string,
  parse: (value: string | number) => QuantityResult,
  min: string,
  max: string,
): Reading<number> {
  if (typeof input !== 'string' && typeof input !== 'number') {
    return wrong(`must be a ${word}`);
  }
  const result = parse(input);
  if (!result.ok) {
    return result;
  }
  const [least, most] = [limitOf(parse(min)), limitOf(parse(max))];
  return result.value >= least && result.value <= most
    ? result
    : wrong(`${input} is out of range: at least ${min}, at most ${max}`);
}

function limitOf(limit: QuantityResult): number {
  if (!limit.ok) {
    throw new RangeError(limit.problem);
  }
  return limit.value;
}

function readDialAddresses(input: unknown, defaultPort: number): Reading<readonly HostPort[]> {
  const list = textList(typeof input === 'string' ? input.split(',').map((part) => part.trim()) : input);
  if (list === null) {
    return wrong('must be addresses: ["host:port", ...] or "host:port,host:port"');
  }
  const addresses: HostPort[] = [];
  for (const entry of list) {
    if (entry.startsWith('https://')) {
      return wrong(`${entry}: TLS is not available in this version`);
    }
    const result = parseDialAddress(entry.replace(/^http:\/\//, '').replace(/\/$/, ''), defaultPort);
    if (!result.ok) {
      return result;
    }
    addresses.push(result.value);
  }
  return { ok: true, value: addresses };
}

/** One part of a name: an identifier of PostgreSQL, bare or in quotes (documentation, "Identifiers and Key Words"). */
const NAME_PART = /^(?:[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*|"(?:[^"]|"")+")(?:\.(?=.)|$)/;
/** What means the same with quotes and without. */
const NEEDS_NO_QUOTES = /^"[a-z_\u0080-\uffff][a-z0-9_$\u0080-\uffff]*"$/;

function readFunctionName(input: unknown): Reading<string> {
  const written = typeof input === 'string' ? input.trim() : '';
  if (written === '') {
    return wrong('must be the name of a function');
  }
  if (written.endsWith(')')) {
    return wrong(`"${written}": write the name without its arguments; it stands for every function of that name`);
  }
  const parts: string[] = [];
  for (let rest = written; rest !== ''; ) {
    const [part] = NAME_PART.exec(rest) ?? [];
    if (part === undefined || parts.length === 2) {
      return wrong(`"${written}" is not the name of a function: write name or schema.name`);
    }
    parts.push(plainPart(part.replace(/\.$/, '')));
    rest = rest.slice(part.length);
  }
  return { ok: true, value: parts.join('.') };
}

/** One way to write each name, so that two that are the same are seen to be. */
function plainPart(part: string): string {
  if (!part.startsWith('"')) {
    return part.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
  }
  return NEEDS_NO_QUOTES.test(part) ? part.slice(1, -1) : part;
}

function readTags(input: unknown): Reading<ReadonlyMap<string, string>> {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    return wrong('must be a mapping of tag to value');
  }
  const found = new Map<string, string>();
  for (const [key, value] of Object.entries(input)) {
    if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') {
      return wrong(`the value of tag "${key}" must be a text, a number, true or false`);
    }
    found.set(key, String(value));
  }
  return { ok: true, value: found };
}
