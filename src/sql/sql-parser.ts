import type { RawStmt } from 'libpg-query';
import createInstance from 'libpg-query/wasm/libpg-query.js';
import type { ParserInstance } from 'libpg-query/wasm/libpg-query.js';

/** Longest text that is parsed, in bytes. */
export const PARSED_BYTES_MAX = 131_072;

/** What came of a text. */
export type Parsed =
  /** Its statements; names and strings are one character for each byte, locations are bytes. `treeBytes`: length of the tree as JSON. */
  | { readonly kind: 'tree'; readonly statements: readonly RawStmt[]; readonly treeBytes: number }
  /** It is no SQL of the version of PostgreSQL whose grammar this is. */
  | { readonly kind: 'refused' }
  /** It is too long, or there is no parser at the moment. */
  | { readonly kind: 'not_read' };

/** Why a text is no SQL. */
export interface SqlMistake {
  /** In the parser's words. */
  readonly message: string;
  /** Characters before the place in question; null: there is none. */
  readonly at: number | null;
}

const refused: Parsed = { kind: 'refused' };
const notRead: Parsed = { kind: 'not_read' };

/** Where the fields of PgQueryParseResult lie. */
const TREE_AT = 0;
const ERROR_AT = 8;
/** The same of PgQueryError: its message, and the place, counted from 1. */
const MESSAGE_AT = 0;
const PLACE_AT = 16;

export interface SqlParserOptions {
  /** Called when the parser has broken, or could not be made again. What it was reading is not told. */
  readonly onFault?: (error: Error) => void;
}

/**
 * PostgreSQL's own parser, in WebAssembly. An instance that has thrown anything but a refusal (its stack ran out in the depths of a tree,
 * say) has lost part of its stack and memory, and refuses everything after some dozens of these; so it is thrown away and another one is
 * made, in some hundredths of a second, in which nothing is parsed. That is why the package's own entry, which has one instance for ever,
 * is not used.
 */
export class SqlParser {
  #instance: ParserInstance | null;
  #isLoading: boolean;
  #faults: number;
  readonly #onFault: ((error: Error) => void) | undefined;

  private constructor(instance: ParserInstance, options: SqlParserOptions) {
    this.#instance = instance;
    this.#isLoading = false;
    this.#faults = 0;
    this.#onFault = options.onFault;
  }

  /** Compiles the parser, which takes some hundredths of a second; rejects when that fails. */
  static async load(options: SqlParserOptions = {}): Promise<SqlParser> {
    return new SqlParser(await createInstance(), options);
  }

  /** How often the parser broke. */
  get faults(): number {
    return this.#faults;
  }

  /** Parses `text[start, end)`, which is borrowed, with standard_conforming_strings on. */
  parse(text: Uint8Array, start: number, end: number): Parsed {
    const instance = this.#instance;
    if (end - start > PARSED_BYTES_MAX) return notRead;
    if (instance === null) {
      void this.#reload();
      return notRead;
    }
    try {
      return parseWith(instance, text.subarray(start, end)).parsed;
    } catch (error) {
      this.#broke(error);
      return notRead;
    }
  }

  /** What is wrong with a text that is refused; null for every other one. For people: what is parsed all the time need not know. */
  mistakeIn(text: Uint8Array): SqlMistake | null {
    const instance = this.#instance;
    if (text.length > PARSED_BYTES_MAX || instance === null) return null;
    try {
      return parseWith(instance, text).mistake;
    } catch (error) {
      this.#broke(error);
      return null;
    }
  }

  #broke(error: unknown): void {
    this.#instance = null;
    this.#fault(error);
    void this.#reload();
  }

  async #reload(): Promise<void> {
    if (this.#isLoading) return;
    this.#isLoading = true;
    try {
      this.#instance = await createInstance();
    } catch (error) {
      // The next text tries again.
      this.#fault(error);
    } finally {
      this.#isLoading = false;
    }
  }

  #fault(error: unknown): void {
    this.#faults += 1;
    this.#onFault?.(error instanceof Error ? error : new Error('the SQL parser broke', { cause: error }));
  }
}

/** Throws when the instance is of no more use. */
function parseWith(
  instance: ParserInstance,
  text: Uint8Array,
): { readonly parsed: Parsed; readonly mistake: SqlMistake | null } {
  const at = instance._malloc(text.length + 1);
  if (at === 0) throw new Error('the SQL parser is out of memory');
  instance.HEAPU8.set(text, at);
  instance.HEAPU8[at + text.length] = 0;
  const result = instance._wasm_parse_query_raw(at);
  if (result === 0) throw new Error('the SQL parser gave no result');
  const error = instance.getValue(result + ERROR_AT, 'i32');
  const mistake = error === 0 ? null : mistakeAt(instance, error);
  const json = error === 0 ? textAt(instance, instance.getValue(result + TREE_AT, 'i32')) : null;
  instance._free(at);
  instance._wasm_free_parse_result(result);
  if (json === null) return { parsed: refused, mistake };
  const tree: unknown = JSON.parse(json);
  if (typeof tree !== 'object' || tree === null || !('stmts' in tree) || !Array.isArray(tree.stmts)) {
    throw new Error('the SQL parser gave no statements');
  }
  const statements = tree.stmts as readonly RawStmt[];
  return { parsed: { kind: 'tree', statements, treeBytes: json.length }, mistake };
}

function mistakeAt(instance: ParserInstance, error: number): SqlMistake {
  const message = textAt(instance, instance.getValue(error + MESSAGE_AT, 'i32'));
  const place = instance.getValue(error + PLACE_AT, 'i32');
  return { message: Buffer.from(message, 'latin1').toString('utf8'), at: place > 0 ? place - 1 : null };
}

/** A text that ends in a zero byte. */
function textAt(instance: ParserInstance, at: number): string {
  const heap = instance.HEAPU8;
  const end = heap.indexOf(0, at);
  return Buffer.from(heap.buffer, heap.byteOffset + at, end - at).toString('latin1');
}
