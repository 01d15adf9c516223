import type { Environment } from '../../config/interpolate.js';
import { Verdict } from './finding.js';
import type { Finding, Place } from './finding.js';
import { splitWords } from './haproxy-words.js';

/** One line of a section, in words. */
export interface Directive {
  readonly place: Place;
  /** At least one. May hold secrets. */
  readonly words: readonly [string, ...string[]];
}

/** A section of the file; its first line says what it is. */
export interface Section {
  /** `global`, `defaults`, `frontend`, `backend`, `listen`, or one that has nothing to do with connections. */
  readonly kind: string;
  /** Empty for those that need none. */
  readonly name: string;
  readonly place: Place;
  /** What stands behind the name: an address in files of old, `from` and the name of a defaults section. */
  readonly rest: readonly string[];
  readonly directives: readonly Directive[];
}

/** Every word that begins a section, up to HAProxy 3.2. */
const SECTIONS: ReadonlySet<string> = new Set([
  ...[
    'global',
    'defaults',
    'frontend',
    'backend',
    'listen',
    'peers',
    'resolvers',
    'mailers',
    'userlist',
    'cache',
    'program',
  ],
  ...['ring', 'log-forward', 'log-profile', 'http-errors', 'fcgi-app', 'crt-store', 'traces', 'acme'],
]);

/** Lines that HAProxy 2.4 and later understand instead of running them; whatever stands between them is read here. */
const CONDITIONS: ReadonlySet<string> = new Set(['.if', '.elif', '.else', '.endif']);

/** Reads the sections of a haproxy.cfg, and tells of lines that are none. */
export function readHaproxy(
  path: string,
  text: string,
  env: Environment,
  tell: (finding: Finding) => void,
): readonly Section[] {
  const sections: (Section & { readonly directives: Directive[] })[] = [];
  for (const { line, content } of joinedLines(path, text, tell)) {
    const place = { file: path, line };
    const { words, problem, missing } = splitWords(content, env);
    const [first, second = '', ...rest] = words;
    if (problem !== null) {
      tell({ verdict: Verdict.Broken, place, subject: 'syntax', advice: `${problem}; the line is passed over` });
      continue;
    }
    if (first === undefined) continue;
    for (const name of missing) {
      const advice = `is not set here; where it counts the new file asks for it as \${${name}}`;
      tell({ verdict: Verdict.Differs, place, subject: `variable ${name}`, advice });
    }
    const last = sections.at(-1);
    if (first.startsWith('.')) {
      tell(aside(first, place));
    } else if (SECTIONS.has(first)) {
      sections.push({ kind: first, name: second, place, rest, directives: [] });
    } else if (last === undefined) {
      tell({ verdict: Verdict.Broken, place, subject: first, advice: 'stands in no section; it is passed over' });
    } else {
      last.directives.push({ place, words: [first, ...words.slice(1)] });
    }
  }
  return sections;
}

function aside(word: string, place: Place): Finding {
  return CONDITIONS.has(word)
    ? {
        verdict: Verdict.Broken,
        place,
        subject: word,
        advice: 'conditions are not evaluated: what every branch says has been read; take out what does not hold',
      }
    : { verdict: Verdict.Needless, place, subject: word, advice: 'says something to HAProxy alone' };
}

/** HAProxy does not know lines that go on behind a backslash; people write them, and what they mean is plain. */
function* joinedLines(
  file: string,
  text: string,
  tell: (finding: Finding) => void,
): Generator<{ readonly line: number; readonly content: string }> {
  let begun: { readonly line: number; readonly content: string } | null = null;
  for (const [index, raw] of text
    .replace(/^\ufeff/, '')
    .split(/\r?\n/)
    .entries()) {
    const line: number = begun?.line ?? index + 1;
    const content: string = (begun?.content ?? '') + raw;
    begun = null;
    if (/(^|[^\\])(\\\\)*\\$/.test(raw)) {
      const advice = 'ends in a backslash: it is read together with the next one, which HAProxy does not do';
      tell({ verdict: Verdict.Differs, place: { file, line: index + 1 }, subject: 'line', advice });
      begun = { line, content: `${content.slice(0, -1)} ` };
      continue;
    }
    yield { line, content };
  }
  if (begun !== null) yield begun;
}
