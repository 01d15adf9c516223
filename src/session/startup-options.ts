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

/**
 * Takes our own settings out of the `options` startup parameter. It is split as PostgreSQL splits it: at white space, with a backslash
 * in front of what is meant literally; a setting is `-c name=value`, `-cname=value` or `--name=value`
 * (documentation, libpq "options", and "postgres" command line).
 */
export function readStartupOptions(options: string): StartupOptions {
  const words = splitWords(options);
  const own = new Map<string, string>();
  const kept: string[] = [];
  for (let i = 0; i < words.length; i += 1) {
    const word = words[i] ?? '';
    const isSeparate = word === '-c' && i + 1 < words.length;
    const text = isSeparate ? (words[i + 1] ?? '') : word.replace(/^(-c|--)/, '');
    const isSetting = isSeparate || word !== text;
    if (isSetting && text.toLowerCase().startsWith(PREFIX)) {
      const equals = text.indexOf('=');
      const name = (equals < 0 ? text : text.slice(0, equals)).slice(PREFIX.length).toLowerCase().replaceAll('-', '_');
      own.set(name, equals < 0 ? '' : text.slice(equals + 1));
    } else {
      kept.push(escapeWord(word));
      if (isSeparate) kept.push(escapeWord(text));
    }
    if (isSeparate) i += 1;
  }
  if (own.size === 0) return { rest: options === '' ? null : options, own };
  return { rest: kept.length === 0 ? null : kept.join(' '), own };
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
