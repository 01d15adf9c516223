/**
 * The WebAssembly program inside of libpg-query, of which its own entry makes one instance for the whole process. See `SqlParser` for why
 * it has several here. Layouts: `PgQueryParseResult` and `PgQueryError` in the package's own entry.
 */
declare module 'libpg-query/wasm/libpg-query.js' {
  export interface ParserInstance {
    /** Another object whenever the memory grows. */
    readonly HEAPU8: Uint8Array;
    _malloc(bytes: number): number;
    _free(at: number): void;
    /** Takes where a text lies that ends in a zero byte, gives where the result lies, or 0. */
    _wasm_parse_query_raw(text: number): number;
    _wasm_free_parse_result(result: number): void;
    getValue(at: number, type: 'i32'): number;
  }
  export default function createInstance(): Promise<ParserInstance>;
}
