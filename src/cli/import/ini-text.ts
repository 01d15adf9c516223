import type { Place } from './finding.js';

/** One statement of an INI file as PgBouncer reads it. */
export type IniStatement =
  | { readonly kind: 'section'; readonly place: Place; readonly name: string }
  | { readonly kind: 'value'; readonly place: Place; readonly key: string; readonly value: string }
  | { readonly kind: 'include'; readonly place: Place; readonly path: string }
  | { readonly kind: 'mistake'; readonly place: Place; readonly message: string };

const INCLUDE = /%include[ \t]+([^\n]*)/y;
const COMMENT = /[#;][^\n]*/y;
const SECTION = /\[([^\]\n]*)\]/y;
/** The name of a parameter, or any name in quotes; double ones as in PgBouncer's documentation, single ones as in its program. */
const KEY = /(?:'([^'\n]+)'|"((?:[^"\n]|"")+)"|([\w.*-]+))[ \t]*=[ \t]*([^\n]*)/y;
const BLANKS = /\s*/y;
const LINE_REST = /[^\n]*/y;

/**
 * The statements of a text in their order, by the rules of PgBouncer's own reader: `;` and `#` begin a comment only at the beginning of
 * a statement, values reach to the end of their line and have no quotes of their own, something may follow a section on its line. A line
 * that is none of all this is a mistake, behind which PgBouncer would read no further.
 */
export function* iniStatements(text: string, file: string): Generator<IniStatement> {
  let at = 0;
  let line = 1;
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match === null) return null;
    at = pattern.lastIndex;
    for (const character of match[0]) if (character === '\n') line += 1;
    return match;
  };
  if (text.startsWith('\ufeff')) at = 1;
  for (;;) {
    take(BLANKS);
    if (at >= text.length) return;
    if (take(COMMENT) !== null) continue;
    const place = { file, line };
    const include = take(INCLUDE);
    if (include !== null) {
      yield { kind: 'include', place, path: (include[1] ?? '').trim() };
      continue;
    }
    const section = take(SECTION);
    if (section !== null) {
      yield { kind: 'section', place, name: section[1] ?? '' };
      continue;
    }
    const entry = take(KEY);
    if (entry !== null) {
      const key = entry[1] ?? entry[2]?.replaceAll('""', '"') ?? entry[3] ?? '';
      yield { kind: 'value', place, key, value: (entry[4] ?? '').trimEnd() };
      continue;
    }
    take(LINE_REST);
    yield { kind: 'mistake', place, message: 'neither a [section] nor "name = value"; it is passed over' };
  }
}

/** What stands in a connection string, or in what a [users] entry says; `problem` where reading ended early. Holds values: they may be secrets. */
export interface Pairs {
  readonly pairs: readonly (readonly [key: string, value: string])[];
  readonly problem: string | null;
}

const PAIR = /[ \t]*([^= \t]+)[ \t]*=[ \t]*(?:'((?:[^']|'')*)'|((?!')[^ ]*))/y;

/** Reads `host=a port=5432 connect_query='select 1'` as PgBouncer does: blanks end a value that is not in single quotes, `''` is one. */
export function readPairs(text: string): Pairs {
  const pairs: [string, string][] = [];
  let at = 0;
  while (text.slice(at).trim() !== '') {
    PAIR.lastIndex = at;
    const match = PAIR.exec(text);
    if (match === null) return { pairs, problem: 'what follows is not name=value; it is passed over' };
    const [, key = '', quoted, bare = ''] = match;
    const value = quoted?.replaceAll("''", "'") ?? bare;
    if (value === '') return { pairs, problem: `${key} has no value; what follows is passed over` };
    pairs.push([key, value]);
    at = PAIR.lastIndex;
  }
  return { pairs, problem: null };
}
