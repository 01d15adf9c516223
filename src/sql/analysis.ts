import type { PinReason } from './pin-reason.js';

/** What one statement does to the session that runs it. Names are as PostgreSQL folds them, one character for each byte. */
export type Effect =
  /**
   * SET name = ...; `sql` is a whole statement that can be run again elsewhere, one character for each byte. `role` and
   * `session_authorization` are settings too. `isLocal`: for the transaction only.
   */
  | { readonly kind: 'set'; readonly name: string; readonly sql: string; readonly isLocal: boolean }
  /** RESET name, SET name TO DEFAULT. */
  | { readonly kind: 'reset'; readonly name: string; readonly isLocal: boolean }
  | { readonly kind: 'reset_all' }
  | { readonly kind: 'begin' }
  | { readonly kind: 'commit' | 'rollback'; readonly isChained: boolean }
  | { readonly kind: 'prepare_transaction' }
  | { readonly kind: 'savepoint' | 'release' | 'rollback_to'; readonly name: string }
  /** PREPARE name AS ...; `sql` is the whole statement, `prepared` what each EXECUTE of it does. */
  | { readonly kind: 'prepare'; readonly name: string; readonly sql: string; readonly prepared: StatementAnalysis }
  /**
   * EXECUTE of a statement prepared in SQL or by the protocol: beside the effects told here it has those of what was prepared, and it may
   * be repeated only where that may be repeated too.
   */
  | { readonly kind: 'execute'; readonly name: string }
  /** Null: ALL. */
  | { readonly kind: 'deallocate'; readonly name: string | null }
  | { readonly kind: 'listen'; readonly channel: string }
  /** Null: all channels. */
  | { readonly kind: 'unlisten'; readonly channel: string | null }
  | { readonly kind: 'discard'; readonly what: 'all' | 'plans' | 'sequences' | 'temp' }
  /** CLOSE of a cursor; null: ALL. */
  | { readonly kind: 'close_cursor'; readonly name: string | null }
  /** Leaves, or may leave, something behind that cannot be replayed. `name`: of the object, where there is one. */
  | { readonly kind: 'pin'; readonly reason: PinReason; readonly name: string | null }
  /** Takes such a thing away again (DROP, CLOSE, pg_advisory_unlock_all ...), if it is the only one of its kind and name. */
  | { readonly kind: 'unpin'; readonly reason: PinReason; readonly name: string | null };

/** Whether a statement may run once more after the connection that ran it was lost before its end was seen. */
export const Repeat = {
  /** Whatever became of the first run: it did nothing that outlives its connection (BEGIN, SET, SHOW, PREPARE, LISTEN ...). */
  Always: 'always',
  /** If the first run is proven to have been rolled back: SELECT, VALUES, INSERT, UPDATE, DELETE, MERGE. */
  IfRolledBack: 'if_rolled_back',
  /** It is rolled back whole like those, but only its client can run it again, or knows whether it should: COPY, CREATE TABLE ... */
  ByClient: 'by_client',
  /** It may commit on its way, or its effect is not known. */
  Never: 'never',
} as const;
export type Repeat = (typeof Repeat)[keyof typeof Repeat];

/** From what may always run again to what may never. */
const order: readonly Repeat[] = [Repeat.Always, Repeat.IfRolledBack, Repeat.ByClient, Repeat.Never];

/** What holds of two statements together: the stricter of the two. */
export function stricterRepeat(a: Repeat, b: Repeat): Repeat {
  return order.indexOf(a) < order.indexOf(b) ? b : a;
}

/** Whether it can be sent again at all, given the proof where one is needed. */
export function canRunAgain(repeat: Repeat): boolean {
  return repeat === Repeat.Always || repeat === Repeat.IfRolledBack;
}

/** What can be told of one statement from its text. */
export interface StatementAnalysis {
  readonly effects: readonly Effect[];
  readonly repeat: Repeat;
  /** SELECT without INTO, VALUES, TABLE, SHOW, or EXPLAIN of such: where writes are refused it has changed nothing but the session. */
  readonly isQuery: boolean;
  /** Such a query that locks no row, has no INSERT or the like within, and calls only functions that are known to change nothing. */
  readonly isRead: boolean;
  /** Names of the functions that it calls, as written (last part only, folded), each once; empty when unknown too (see `repeat`). */
  readonly functions: readonly string[];
}

/** A string of statements, in order. Immutable, and shared by all texts that differ only in literals. */
export interface Analysis {
  readonly statements: readonly StatementAnalysis[];
}

/** How a text is to be read. */
export interface TextFacts {
  /** `client_encoding` as the node reported it. */
  readonly clientEncoding: string;
  /** `standard_conforming_strings` is off. */
  readonly escapesInStrings: boolean;
}

/** Reads statements. Synchronous; bounded in time and memory. */
export interface SqlAnalyzer {
  /** The text is `buffer[start, end)`, borrowed. */
  analyze(buffer: Buffer, start: number, end: number, facts: TextFacts): Analysis;
}
