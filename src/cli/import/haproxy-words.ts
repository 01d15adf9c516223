import type { Environment } from '../../config/interpolate.js';

/** The words of one line, or why they cannot be told apart. */
export interface Words {
  readonly words: readonly string[];
  readonly problem: string | null;
  /** Variables without a value here; they stand in the words as `${NAME}`, which our own configuration understands too. */
  readonly missing: readonly string[];
}

const VARIABLE = /\$(?:\{([A-Za-z_]\w*)(?:\[\*\])?(?:-([^}]*))?\}|([A-Za-z_]\w*))/y;
const HEX = /[0-9A-Fa-f]{2}/y;
const ESCAPED: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' };

/** Splits a line as HAProxy does (its configuration manual, 2.2 and 2.3): quotes, escapes, variables within double quotes, comments. */
export function splitWords(line: string, env: Environment): Words {
  const words: string[] = [];
  const missing: string[] = [];
  let word: string | null = null;
  let quote: '"' | "'" | null = null;
  let at = 0;
  while (at < line.length) {
    const character = line.charAt(at);
    at += 1;
    if (quote === "'") {
      if (character === "'") quote = null;
      else word = (word ?? '') + character;
    } else if (character === '\\') {
      const escape = readEscape(line, at);
      word = (word ?? '') + escape.text;
      at = escape.end;
    } else if (character === '"') {
      quote = quote === null ? '"' : null;
      word ??= '';
    } else if (quote === '"') {
      const variable = character === '$' ? readVariable(line, at - 1, env, missing) : null;
      word = (word ?? '') + (variable?.text ?? character);
      at = variable?.end ?? at;
    } else if (character === "'") {
      quote = "'";
      word ??= '';
    } else if (character === '#') {
      break;
    } else if (character === ' ' || character === '\t') {
      if (word !== null) words.push(word);
      word = null;
    } else {
      word = (word ?? '') + character;
    }
  }
  if (word !== null) words.push(word);
  return { words, missing, problem: quote === null ? null : 'a quote is not closed' };
}

function readEscape(line: string, at: number): { readonly text: string; readonly end: number } {
  const next = line.charAt(at);
  if (next === 'x') {
    HEX.lastIndex = at + 1;
    const digits = HEX.exec(line)?.[0];
    if (digits !== undefined) return { text: String.fromCharCode(Number.parseInt(digits, 16)), end: at + 3 };
  }
  return { text: ESCAPED[next] ?? next, end: at + 1 };
}

function readVariable(
  line: string,
  at: number,
  env: Environment,
  missing: string[],
): { readonly text: string; readonly end: number } | null {
  VARIABLE.lastIndex = at;
  const match = VARIABLE.exec(line);
  if (match === null) return null;
  const name = match[1] ?? match[3] ?? '';
  const value = (Object.hasOwn(env, name) ? env[name] : undefined) ?? match[2];
  if (value === undefined) missing.push(name);
  return { text: value ?? `\${${name}}`, end: VARIABLE.lastIndex };
}
