import { lex, TokenKind } from './lexer.js';

/** One statement of a query string, as far as one can tell from its tokens. */
export interface Statement {
  /** Where its first token begins and its last one ends. */
  readonly start: number;
  readonly end: number;
  /**
   * Its first tokens behind opening brackets and EXPLAIN: words in lower case, quoted names with a quote in front (`"Name`), everything
   * else as written. Bytes beyond ASCII are one character each.
   */
  readonly lead: readonly string[];
  /** How many tokens there are in all, those in front of `lead` not counted. */
  readonly tokenCount: number;
  /** EXPLAIN stands in front: what follows may run, or may not. */
  readonly isExplained: boolean;
  /** Names of functions, out of those asked for, that are called anywhere in it. */
  readonly calls: ReadonlySet<string>;
  /** SELECT ... INTO TEMPORARY, anywhere. */
  readonly hasTemporaryTarget: boolean;
  readonly hasWithHold: boolean;
  readonly hasOnCommitDrop: boolean;
  /** It names the schema of temporary objects. */
  readonly namesTemporarySchema: boolean;
  /** It has a name in Unicode escapes, whose meaning is not read here. */
  readonly hasEscapedName: boolean;
}

/** How many tokens of a statement are kept in order: enough for the longest SET that is understood. */
export const LEAD_TOKENS_MAX = 16;
/** Longest token kept in `lead`; no name or keyword of interest is longer. */
const LEAD_TOKEN_BYTES_MAX = 256;

/** Words that mean something wherever they stand. */
const words = [
  'into',
  'insert',
  'merge',
  'temp',
  'temporary',
  'local',
  'global',
  'with',
  'hold',
  'on',
  'commit',
  'drop',
  'true',
] as const;
const TEMPORARY_SCHEMA = /^pg_temp(_\d+)?$/;
/** With a third argument `true` it lasts for the transaction only. */
const SET_CONFIG = 'set_config';

/** What makes names worth a look, so that most words of a statement need not be read. */
export class NameFilter {
  readonly functions: ReadonlySet<string>;
  readonly #keys: ReadonlySet<number>;

  /** `functions`: names of functions, in lower case, whose calls are to be noted. */
  constructor(functions: Iterable<string>) {
    this.functions = new Set(functions);
    this.#keys = new Set([...this.functions, ...words].map((name) => name.charCodeAt(0) | (name.length << 8)));
  }

  /** Whether the name in `text[start, end)` may be one of them, or that of the schema of temporary objects. */
  mayMatch(text: Buffer, start: number, end: number): boolean {
    const first = (text[start] ?? 0) | 0x20;
    // pg_temp and pg_temp_3
    return this.#keys.has(first | ((end - start) << 8)) || (first === 0x70 && text[start + 2] === 0x5f);
  }
}

/** Takes a query string apart; null when it ends inside a string, name or comment, so that nothing of it will run. */
export function readStatements(
  text: Buffer,
  start: number,
  end: number,
  escapesInStrings: boolean,
  filter: NameFilter,
): readonly Statement[] | null {
  const statements: Reader[] = [];
  let open: Reader | null = null;
  const isComplete = lex(text, start, end, escapesInStrings, (kind, from, to) => {
    if (kind === TokenKind.Semicolon) {
      open = null;
      return;
    }
    if (open === null) {
      open = new Reader(text, from, filter);
      statements.push(open);
    }
    open.take(kind, from, to);
  });
  if (!isComplete) return null;
  for (const statement of statements) statement.finish();
  return statements;
}

class Reader implements Statement {
  readonly start: number;
  end: number;
  lead: string[] = [];
  tokenCount = 0;
  isExplained = false;
  readonly calls = new Set<string>();
  hasTemporaryTarget = false;
  hasWithHold = false;
  hasOnCommitDrop = false;
  namesTemporarySchema = false;
  hasEscapedName = false;
  readonly #text: Buffer;
  readonly #filter: NameFilter;
  /** The three tokens before, where they are words of interest. */
  #last = '';
  #secondLast = '';
  #thirdLast = '';
  #depth = 0;
  /** Depth of the options of EXPLAIN; 0 outside of them. */
  #optionsDepth = 0;
  /** The call of set_config that is being read: its depth, arguments so far, and the tokens of the last one. */
  #config: { depth: number; commas: number; last: string; lastTokens: number } | null = null;

  constructor(text: Buffer, start: number, filter: NameFilter) {
    this.#text = text;
    this.start = start;
    this.end = start;
    this.#filter = filter;
  }

  take(kind: TokenKind, from: number, to: number): void {
    this.end = to;
    const token = this.#read(kind, from, to);
    if (token === '(') this.#depth += 1;
    this.#noteCall(token);
    if (token === ')') this.#depth -= 1;
    this.#noteWords(token);
    this.#noteLead(token);
    this.#thirdLast = this.#secondLast;
    this.#secondLast = this.#last;
    this.#last = token;
  }

  /** The statement is over. */
  finish(): void {
    if (this.#config !== null) this.calls.add(SET_CONFIG);
  }

  /** The text of a token that matters; else something that does not. */
  #read(kind: TokenKind, from: number, to: number): string {
    switch (kind) {
      case TokenKind.Word:
        if (!this.#wantsLead && !this.#filter.mayMatch(this.#text, from, to)) return '';
        return lowerAscii(this.#text.toString('latin1', from, to));
      case TokenKind.QuotedName:
        if (this.#text[from] !== 0x22) {
          this.hasEscapedName = true;
          return '"';
        }
        if (!this.#wantsLead && !this.#filter.mayMatch(this.#text, from + 1, to - 1)) return '"';
        return `"${this.#text.toString('latin1', from + 1, to - 1).replaceAll('""', '"')}`;
      case TokenKind.Symbol:
        return String.fromCharCode(this.#text[from] ?? 0);
      default:
        if (!this.#wantsLead) return '';
        return this.#text.toString('latin1', from, Math.min(to, from + LEAD_TOKEN_BYTES_MAX));
    }
  }

  get #wantsLead(): boolean {
    return this.lead.length < LEAD_TOKENS_MAX;
  }

  #noteCall(token: string): void {
    const config = this.#config;
    if (config !== null && this.#depth === config.depth) this.#noteArgument(config, token);
    else if (config !== null) config.lastTokens += 1;
    if (token !== '(') return;
    const name = this.#last.startsWith('"') ? this.#last.slice(1) : this.#last;
    if (!this.#filter.functions.has(name)) return;
    if (name !== SET_CONFIG || config !== null) this.calls.add(name);
    else this.#config = { depth: this.#depth, commas: 0, last: '', lastTokens: 0 };
  }

  #noteArgument(config: { commas: number; last: string; lastTokens: number }, token: string): void {
    if (token === ',') {
      config.commas += 1;
      config.lastTokens = 0;
    } else if (token === ')') {
      if (config.commas !== 2 || config.lastTokens !== 1 || config.last !== 'true') this.calls.add(SET_CONFIG);
      this.#config = null;
    } else {
      config.lastTokens += 1;
      config.last = token;
    }
  }

  #noteWords(token: string): void {
    const isName = token.startsWith('"');
    if (token.startsWith('pg_temp', isName ? 1 : 0) && TEMPORARY_SCHEMA.test(isName ? token.slice(1) : token)) {
      this.namesTemporarySchema = true;
    }
    if (isName) return;
    if (token === 'temp' || token === 'temporary') {
      const isScoped = this.#last === 'local' || this.#last === 'global';
      const into = isScoped ? this.#secondLast : this.#last;
      const before = isScoped ? this.#thirdLast : this.#secondLast;
      // INSERT INTO temp means a table of that name.
      if (into === 'into' && before !== 'insert' && before !== 'merge') this.hasTemporaryTarget = true;
    } else if (token === 'hold') {
      if (this.#last === 'with') this.hasWithHold = true;
    } else if (token === 'drop' && this.#last === 'commit' && this.#secondLast === 'on' && this.#depth === 0) {
      this.hasOnCommitDrop = true;
    }
  }

  #noteLead(token: string): void {
    if (this.#optionsDepth > 0) {
      if (this.#depth < this.#optionsDepth) this.#optionsDepth = 0;
      // EXPLAIN (SELECT ...): these were no options.
      else if (this.#last === '(' && isQueryStart(token)) this.#optionsDepth = 0;
      else return;
      if (token === ')') return;
    }
    if (this.tokenCount === 0) {
      if (token === '(') {
        if (this.isExplained) this.#optionsDepth = this.#depth;
        return;
      }
      if (token === 'explain') {
        this.isExplained = true;
        return;
      }
      if (this.isExplained && (token === 'analyze' || token === 'analyse' || token === 'verbose')) return;
    }
    this.tokenCount += 1;
    if (this.#wantsLead) this.lead.push(token);
  }
}

function isQueryStart(token: string): boolean {
  return token === '(' || token === 'select' || token === 'with' || token === 'values' || token === 'table';
}

/** Folds names as PostgreSQL does in UTF8; bytes of other letters are left alone. */
export function lowerAscii(text: string): string {
  return text.replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase());
}
