import { isAlias, isCollection, parse, parseDocument } from 'yaml';
import { CONFIG_KEYS, LISTENER_KEYS } from './config-keys.js';
import { type Reading, wrong } from './reading.js';
import { suggest } from './suggest.js';

/** Where a key stands in the file: `['pool', 'size']`, `['listeners', 0, 'fallback']`. */
export type KeyPath = readonly (string | number)[];

const LISTENER_KEY = /^listeners\[([^\]]+)\]\.(.+)$/;

/** Finds a key that can change while the program runs; `listeners` are the names of those that there are, in their order. */
export function liveKeyPath(key: string, listeners: readonly string[]): Reading<KeyPath> {
  const inListener = LISTENER_KEY.exec(key);
  const [, name = '', below = key] = inListener ?? [];
  const entry =
    inListener === null
      ? CONFIG_KEYS.find((each) => each.key === key || each.aliases.includes(key))
      : LISTENER_KEYS.find((each) => each.key === below || each.aliases.includes(below));
  if (entry === undefined) {
    const keys = [
      ...CONFIG_KEYS.map((each) => each.key),
      ...LISTENER_KEYS.map((each) => `listeners[${name}].${each.key}`),
    ];
    const meant = suggest(key, keys);
    return wrong(`there is no key "${key}"${meant === null ? '' : `; did you mean "${meant}"?`}`);
  }
  if (!entry.live) return wrong(`"${key}" takes effect after a restart only`);
  if (inListener === null) return { ok: true, value: key.split('.') };
  const at = listeners.indexOf(name);
  if (at < 0) return wrong(`there is no listener "${name}"; there are ${listeners.join(', ')}`);
  return { ok: true, value: ['listeners', at, ...below.split('.')] };
}

/** The text of a configuration file, which is known to be right, with another value for one key. The value is written as in the file. */
export function withKey(text: string, path: KeyPath, value: string): Reading<string> {
  const document = parseDocument(text);
  for (let depth = 1; depth < path.length; depth += 1) {
    const above = path.slice(0, depth);
    const section = document.getIn(above, true);
    if (isCollection(section)) continue;
    if (isAlias(section)) return wrong(`"${above.join('.')}" stands in the file by an alias`);
    if (above[0] === 'listeners') return wrong('there are no listeners in the file');
    // It may be there by name only.
    document.setIn(above, document.createNode({}));
  }
  document.setIn(path, document.createNode(plain(value)));
  return { ok: true, value: document.toString() };
}

/** Lists, mappings and quoted texts as YAML has them; numbers and switches too. Everything else is a text as it stands, whatever is in it. */
function plain(value: string): unknown {
  try {
    const read: unknown = value.trim() === '' ? value : parse(value);
    return /^\s*["'[{]/.test(value) || (typeof read !== 'string' && typeof read !== 'object') ? read : value;
  } catch {
    return value;
  }
}
