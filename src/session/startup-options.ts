/** Options of ours start with this in `options=-c switchyard.route=...`. */
const PREFIX = 'switchyard.';
/** What isspace() of C takes for white space: no character beyond ASCII. */
const WHITE_SPACE = /[ \t\n\v\f\r]/;

export interface StartupOptions {
  /** The `options` parameter without ours; null when nothing is left. */
  readonly rest: string | null;
  /** Ours, without the prefix, in lower case: `route` -> `standby`. */
  readonly own: ReadonlyMap<string, string>;
}

/** One option of the `options` startup parameter, which may be of two words. */
export interface OptionWord {
  /** What it sets: `name=value`, unescaped; null: it is no setting. */
  readonly assignment: string | null;
  /** As it can be written in the parameter. */
  readonly escaped: string;
}

/** Takes our own settings out of the `options` startup parameter. */
export function readStartupOptions(options: string): StartupOptions {
  const own = new Map<string, string>();
  const kept: string[] = [];
  for (const word of optionWords(options)) {
    const setting = settingOf(word);
    if (setting?.name.startsWith(PREFIX) === true) own.set(setting.name.slice(PREFIX.length), setting.value);
    else kept.push(word.escaped);
  }
  if (own.size === 0) return { rest: options === '' ? null : options, own };
  return { rest: kept.length === 0 ? null : kept.join(' '), own };
}

/**
 * Splits the `options` startup parameter as PostgreSQL does: at white space, with a backslash in front of what is meant literally; a setting
 * is `-c name=value`, `-cname=value` or `--name=value` (documentation, libpq "options", and "postgres" command line).
 */
export function optionWords(options: string): readonly OptionWord[] {
  const words = splitWords(options);
  const found: OptionWord[] = [];
  for (let i = 0; i < words.length; i += 1) {
    const word = words[i] ?? '';
    const next = words[i + 1];
    if (word === '-c' && next !== undefined) {
      found.push({ assignment: next, escaped: `${word} ${escapeWord(next)}` });
      i += 1;
    } else {
      const text = word.replace(/^(-c|--)/, '');
      found.push({ assignment: text === word ? null : text, escaped: escapeWord(word) });
    }
  }
  return found;
}

/** The name of the setting, in lower case and with underscores, and its value; null: it sets nothing. */
export function settingOf({ assignment }: OptionWord): { readonly name: string; readonly value: string } | null {
  if (assignment === null) return null;
  const equals = assignment.indexOf('=');
  const name = (equals < 0 ? assignment : assignment.slice(0, equals)).toLowerCase().replaceAll('-', '_');
  return { name, value: equals < 0 ? '' : assignment.slice(equals + 1) };
}

function splitWords(options: string): string[] {
  const words: string[] = [];
  let word: string | null = null;
  for (let i = 0; i < options.length; i += 1) {
    const c = options[i] ?? '';
    if (WHITE_SPACE.test(c)) {
      if (word !== null) words.push(word);
      word = null;
    } else if (c === '\\') {
      i += 1;
      word = (word ?? '') + (options[i] ?? '');
    } else word = (word ?? '') + c;
  }
  if (word !== null) words.push(word);
  return words;
}

function escapeWord(word: string): string {
  return word.replaceAll(/[ \t\n\v\f\r\\]/g, '\\$&');
}
