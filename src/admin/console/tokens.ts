/** A piece of a text for the console, with its place. */
export interface Token {
  /** `name`: in double quotes; `text`: in single quotes; both without them. */
  readonly kind: 'word' | 'name' | 'text' | 'symbol';
  readonly value: string;
  readonly end: number;
}

/** White space, and comments as SQL has them. */
const GAP = /(?:\s+|--[^\n]*|\/\*[^]*?\*\/)+/y;
/** Also names of databases and values with units, without quotes. */
const WORD = /(?:[\w.:+%\u0080-\uffff]|-(?!-))+/y;
const NAME = /"((?:[^"]|"")*)"/y;
const TEXT = /'((?:[^']|'')*)'/y;

/** The next token at or behind `at`; null: there is none. A quote that is not closed is a symbol. */
export function nextToken(text: string, at: number): Token | null {
  const start = skipGap(text, at);
  if (start >= text.length) return null;
  const name = match(NAME, text, start);
  if (name !== null) return { kind: 'name', value: (name[1] ?? '').replaceAll('""', '"'), end: start + name[0].length };
  const quoted = match(TEXT, text, start);
  if (quoted !== null) {
    return { kind: 'text', value: (quoted[1] ?? '').replaceAll("''", "'"), end: start + quoted[0].length };
  }
  const word = match(WORD, text, start);
  if (word !== null) return { kind: 'word', value: word[0], end: start + word[0].length };
  return { kind: 'symbol', value: text[start] ?? '', end: start + 1 };
}

function skipGap(text: string, at: number): number {
  return at + (match(GAP, text, at)?.[0].length ?? 0);
}

function match(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}
