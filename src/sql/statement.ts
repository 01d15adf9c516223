import { lex, TokenKind } from './lexer.js';

/** One statement of a query string, as far as one can tell from its tokens. */
export interface Statement {
  /** Where its first token begins and its last one ends. */
  readonly start: number;
  readonly end: number;
  /**
   * Its first tokens behind opening brackets and EXPLAIN: words in lower case, quoted names with a quote in front (`"Name`), everything
   * else as written. Bytes beyond ASCII are one character each. Of a plain statement (see NameFilter) most are left empty.
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
const TEMPORARY_SCHEMA = /^"?pg_temp(_\d+)?$/;
const UPPER_CASE = /[A-Z]/;
/** With a third argument `true` it lasts for the transaction only. */
const SET_CONFIG = 'set_config';

/** Most bytes of a name that is looked for, and one more. */
const NAME_BYTES_END = 64;

/** What makes names worth a look, so that most words of a statement need not be read. */
export class NameFilter {
  readonly functions: ReadonlySet<string>;
  readonly plain: ReadonlySet<string>;
  /** By length and first letter: there is such a name. */
  readonly #table: Uint8Array;

  /**
   * `functions`: names of functions, in lower case, whose calls are to be noted. `plain`: first words of statements of whose `lead` no
   * more than that word and those names are of interest; the other tokens are left empty.
   */
  constructor(functions: Iterable<string>, plain: ReadonlySet<string>, others: readonly string[]) {
    this.functions = new Set(functions);
    this.plain = plain;
    this.#table = new Uint8Array(NAME_BYTES_END * 128);
    for (const name of [...this.functions, ...others, ...words])
      this.#table[name.length * 128 + name.charCodeAt(0)] = 1;
  }

  /** Whether the name in `text[start, end)` may be one of them, or that of the schema of temporary objects. */
  mayMatch(text: Buffer, start: number, end: number): boolean {
    const first = ((text[start] ?? 0) | 0x20) & 0x7f;
    if (end - start < NAME_BYTES_END && this.#table[(end - start) * 128 + first] === 1) return true;
    // pg_temp and pg_temp_3
    return first === 0x70 && text[start + 2] === 0x5f;
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

/** Of a call: how deep it lies, and what has been seen of its arguments. */
interface Arguments {
  readonly depth: number;
  commas: number;
  /** The last token of the last argument, and how many it has. */
  last: string;
  lastTokens: number;
}

class Reader implements Statement {
  readonly start: number;
  end: number;
  lead: string[] = [];
  tokenCount = 0;
  isExplained = false;
  readonly #calls = new Set<string>();
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
  /** The call of set_config that is being read. */
  #config: Arguments | null = null;
  /** How many tokens of the lead are read. */
  #leadTextMax: number = LEAD_TOKENS_MAX;

  constructor(text: Buffer, start: number, filter: NameFilter) {
    this.#text = text;
    this.start = start;
    this.end = start;
    this.#filter = filter;
  }

  get calls(): ReadonlySet<string> {
    return this.#calls;
  }

  take(kind: TokenKind, from: number, to: number): void {
    this.end = to;
    const token = this.#read(kind, from, to);
    if (token === '(') {
      this.#depth += 1;
      this.#noteCall();
    } else if (this.#config !== null) this.#noteArgument(this.#config, token);
    if (token === ')') this.#depth -= 1;
    if (token.length > 1) this.#noteWord(token);
    if (this.tokenCount === 0) this.#noteBeginning(token);
    else this.#noteLead(token);
    this.#thirdLast = this.#secondLast;
    this.#secondLast = this.#last;
    this.#last = token;
  }

  /** The statement is over. */
  finish(): void {
    if (this.#config !== null) this.#calls.add(SET_CONFIG);
  }

  /** The text of a token that matters; else something that does not. */
  #read(kind: TokenKind, from: number, to: number): string {
    const isWanted = this.lead.length < this.#leadTextMax;
    switch (kind) {
      case TokenKind.Word:
        if (!isWanted && !this.#filter.mayMatch(this.#text, from, to)) return '';
        return lowerAscii(this.#text.toString('latin1', from, to));
      case TokenKind.QuotedName:
        if (this.#text[from] !== 0x22) {
          this.hasEscapedName = true;
          return '"';
        }
        if (!isWanted && !this.#filter.mayMatch(this.#text, from + 1, to - 1)) return '"';
        return `"${this.#text.toString('latin1', from + 1, to - 1).replaceAll('""', '"')}`;
      case TokenKind.Symbol:
        return String.fromCharCode(this.#text[from] ?? 0);
      default:
        return isWanted ? this.#text.toString('latin1', from, Math.min(to, from + LEAD_TOKEN_BYTES_MAX)) : '';
    }
  }

  /** A bracket opens: behind a name it calls a function. */
  #noteCall(): void {
    if (this.#config !== null) this.#config.lastTokens += 1;
    if (this.#last.length < 2) return;
    const name = this.#last.startsWith('"') ? this.#last.slice(1) : this.#last;
    if (!this.#filter.functions.has(name)) return;
    if (name !== SET_CONFIG || this.#config !== null) this.#calls.add(name);
    else this.#config = { depth: this.#depth, commas: 0, last: '', lastTokens: 0 };
  }

  #noteArgument(config: Arguments, token: string): void {
    if (this.#depth > config.depth) {
      config.lastTokens += 1;
    } else if (token === ',') {
      config.commas += 1;
      config.lastTokens = 0;
    } else if (token === ')') {
      if (config.commas !== 2 || config.lastTokens !== 1 || config.last !== 'true') this.#calls.add(SET_CONFIG);
      this.#config = null;
    } else {
      config.lastTokens += 1;
      config.last = token;
    }
  }

  #noteWord(token: string): void {
    switch (token) {
      case 'temp':
      case 'temporary':
        this.#noteTarget();
        return;
      case 'hold':
        if (this.#last === 'with') this.hasWithHold = true;
        return;
      case 'drop':
        if (this.#last === 'commit' && this.#secondLast === 'on' && this.#depth === 0) this.hasOnCommitDrop = true;
        return;
      default:
        if (TEMPORARY_SCHEMA.test(token)) this.namesTemporarySchema = true;
    }
  }

  /** SELECT ... INTO [LOCAL | GLOBAL] TEMP; but INSERT INTO temp means a table of that name. */
  #noteTarget(): void {
    const isScoped = this.#last === 'local' || this.#last === 'global';
    const into = isScoped ? this.#secondLast : this.#last;
    const before = isScoped ? this.#thirdLast : this.#secondLast;
    if (into === 'into' && before !== 'insert' && before !== 'merge') this.hasTemporaryTarget = true;
  }

  /** Brackets and EXPLAIN with its options are no part of the statement. */
  #noteBeginning(token: string): void {
    if (this.#optionsDepth > 0) {
      // EXPLAIN (SELECT ...): these were no options.
      const isStatement = this.#last === '(' && isQueryStart(token);
      const isOver = this.#depth < this.#optionsDepth;
      if (isStatement || isOver) this.#optionsDepth = 0;
      if (!isStatement) return;
    }
    if (token === '(') {
      if (this.isExplained) this.#optionsDepth = this.#depth;
    } else if (token === 'explain') {
      this.isExplained = true;
    } else if (!this.isExplained || (token !== 'analyze' && token !== 'analyse' && token !== 'verbose')) {
      this.#noteLead(token);
      if (this.#filter.plain.has(token)) this.#leadTextMax = 0;
    }
  }

  #noteLead(token: string): void {
    this.tokenCount += 1;
    if (this.lead.length < LEAD_TOKENS_MAX) this.lead.push(token);
  }
}

function isQueryStart(token: string): boolean {
  return token === '(' || token === 'select' || token === 'with' || token === 'values' || token === 'table';
}

/** Folds names as PostgreSQL does in UTF8; bytes of other letters are left alone. */
export function lowerAscii(text: string): string {
  return UPPER_CASE.test(text) ? text.replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase()) : text;
}
