import { isOwnValue } from '../../sql/setting-effects.js';
import type { SessionIntent } from '../context.js';
import type { Identities } from '../state/identities.js';
import { FREE_SETTINGS } from '../state/free-settings.js';
import { anywhere, quotedString } from '../state/kept.js';
import type { Kept } from '../state/kept.js';
import { optionWords, settingOf } from '../startup-options.js';

/** SET takes one string for one name and quotes it; set_config takes it for a list, as the startup packet does. */
const LISTS_OF_NAMES: ReadonlySet<string> = new Set(['search_path']);
/** No control character, nothing beyond ASCII, and no backslash: what such a text means hangs on no other setting. */
const PLAIN = /^[ -[\]-~]*$/;
const VALUE_CHARS_MAX = 1000;

/** The startup parameters of a session that shares its backends. */
export interface StartupParameters {
  /** What each backend is told, as if the session had set it, by the name of the setting in lower case. */
  readonly settings: ReadonlyMap<string, string>;
  /** What backends must have been opened with. */
  readonly rest: ReadonlyMap<string, string>;
}

/** A session is of the kind that `splitParameters` is for. */
export function sharesBackends({ poolMode }: Pick<SessionIntent, 'poolMode'>, isReplication: boolean): boolean {
  return poolMode === 'transaction' && !isReplication;
}

/** Tells the startup parameters for the nodes that any backend can be given later from those that it must be opened with. */
export function splitParameters(parameters: ReadonlyMap<string, string>): StartupParameters {
  const settings = new Map<string, string>();
  const rest = new Map<string, string>();
  const options = parameters.get('options');
  // They count less than parameters of the same name (`process_startup_options` of PostgreSQL).
  if (options !== undefined) {
    const left: string[] = [];
    for (const word of optionWords(options)) {
      const setting = settingOf(word);
      if (setting === null || !isSettable(setting.name, setting.value)) left.push(word.escaped);
      else settings.set(setting.name, setting.value);
    }
    if (left.length > 0) rest.set('options', left.join(' '));
  }
  for (const [name, value] of parameters) {
    if (name === 'options') continue;
    const lower = name.toLowerCase();
    if (isSettable(lower, value)) settings.set(lower, value);
    else {
      rest.set(name, value);
      settings.delete(lower);
    }
  }
  return { settings, rest };
}

/** What makes a backend have these settings. */
export function keptOf(settings: ReadonlyMap<string, string>, identities: Identities): ReadonlyMap<string, Kept> {
  const kept = new Map<string, Kept>();
  for (const [name, value] of settings) {
    const text = quotedString(name === 'client_encoding' ? encodingName(value) : value);
    const sql = LISTS_OF_NAMES.has(name)
      ? `SELECT pg_catalog.set_config('${name}', ${text}, false)`
      : `SET ${name} TO ${text}`;
    kept.set(name, identities.kept({ sql, under: anywhere, value: isOwnValue(name) ? value : null }));
  }
  return kept;
}

function isSettable(name: string, value: string): boolean {
  return FREE_SETTINGS.has(name) && value.length <= VALUE_CHARS_MAX && PLAIN.test(value);
}

/** One way to write what most drivers ask for each in its own, so that their sessions find backends that have it. */
function encodingName(value: string): string {
  return /^'?utf-?_?8'?$/i.test(value) ? 'UTF8' : value;
}
