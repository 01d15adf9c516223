import { lex, TokenKind } from '../../../../src/sql/lexer.js';

/** A token of a text, as it is written. */
export interface Token {
  readonly kind: TokenKind;
  readonly text: string;
  /** Nothing stands between it and the one before. */
  readonly isClose: boolean;
}

/** The tokens of a text in one character for each byte; null where it ends inside of one. */
export function tokensOf(sql: string, escapesInStrings = false): readonly Token[] | null {
  const bytes = Buffer.from(sql, 'latin1');
  const tokens: Token[] = [];
  let last = -1;
  const isWhole = lex(bytes, 0, bytes.length, escapesInStrings, (kind, start, end) => {
    tokens.push({ kind, text: bytes.toString('latin1', start, end), isClose: start === last });
    last = end;
  });
  return isWhole ? tokens : null;
}

/** Whether a token can be any other of its kind without the template being another. */
export function isReplaceable({ kind, text }: Token): boolean {
  if (kind === TokenKind.Number || kind === TokenKind.Parameter) return true;
  // Strings of bits are something else for the grammar, and those with Unicode escapes stay in the template.
  return kind === TokenKind.String && !/^[bxun]/i.test(text);
}

/**
 * Puts tokens together again. `blank` gives what stands between two tokens that did not touch; those that did still do, because what is
 * one operator must stay one.
 */
export function joinTokens(tokens: readonly Token[], blank: () => string): string {
  return tokens.map(({ text, isClose }, at) => (at === 0 || isClose ? text : `${blank()}${text}`)).join('');
}

/** The same text for a parser that takes `standard_conforming_strings` to be on, of one for which it is off; null where that does not end. */
export function withEscapeStrings(sql: string): string | null {
  const tokens = tokensOf(sql, true)?.map((token) => {
    const plain = token.text.replace(/^n(?=')/i, '');
    const isEscaped = token.kind === TokenKind.String && plain.startsWith("'") && plain.includes('\\');
    return isEscaped ? { ...token, text: ` E${plain}`, isClose: false } : token;
  });
  return tokens === undefined ? null : joinTokens(tokens, () => ' ');
}
