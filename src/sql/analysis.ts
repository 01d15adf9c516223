import type { PinReason } from './pin-reason.js';

/** What one statement does to the session that runs it. Names are as PostgreSQL folds them, one character for each byte. */
export type Effect =
  /**
   * SET name = ...; `sql` is a whole statement that can be run again elsewhere, one character for each byte. `role` and
   * `session_authorization` are settings too. `isLocal`: for the transaction only. `value`: what it is set to, of the settings that the proxy
   * itself goes by (see `isOwnValue`); null for every other one, and where it cannot be told.
   */
  | {
      readonly kind: 'set';
      readonly name: string;
      readonly sql: string;
      readonly isLocal: boolean;
      readonly value: string | null;
    }
  /** RESET name, SET name TO DEFAULT. */
  | { readonly kind: 'reset'; readonly name: string; readonly isLocal: boolean }
  | { readonly kind: 'reset_all' }
  /** `isolation` in lower case ("repeatable read"). Null: BEGIN says nothing of it, and the session's default holds. */
  | { readonly kind: 'begin'; readonly isReadOnly: boolean | null; readonly isolation: string | null }
  /** SET TRANSACTION, or a setting that is about the present transaction only; as with `begin`. `hasSnapshot`: it takes that of another one. */
  | {
      readonly kind: 'set_transaction';
      readonly isReadOnly: boolean | null;
      readonly isolation: string | null;
      readonly hasSnapshot: boolean;
    }
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

/** What kind of thing a statement does, as far as its grammar tells. */
export const Access = {
  /**
   * SELECT, VALUES, TABLE; EXPLAIN of such without ANALYZE; COPY of such, or of a table, TO STDOUT. Nothing is said of the functions,
   * operators, casts and relations in it: see `names`.
   */
  Read: 'read',
  /** A query that locks rows: FOR UPDATE, FOR NO KEY UPDATE, FOR SHARE, FOR KEY SHARE, anywhere in it. */
  RowLock: 'row_lock',
  /** INSERT, UPDATE, DELETE, MERGE, also somewhere within WITH; EXPLAIN and COPY of such. */
  Write: 'write',
  /** SELECT ... INTO. */
  Into: 'into',
  /** BEGIN, COMMIT, SAVEPOINT, PREPARE TRANSACTION ... */
  Transaction: 'transaction',
  /** SET, RESET, PREPARE, DEALLOCATE, LISTEN, UNLISTEN, DISCARD, LOAD, SET CONSTRAINTS, and cursors: DECLARE, FETCH, MOVE, CLOSE. */
  Session: 'session',
  Show: 'show',
  /** EXPLAIN ANALYZE of whatever, or what may be one. */
  ExplainAnalyze: 'explain_analyze',
  /** EXECUTE, and EXPLAIN of it: what was prepared decides, and its arguments, whose `names` are told here. */
  Execute: 'execute',
  /** CREATE, ALTER, DROP, GRANT, COMMENT ...: what catalogues tell may be another thing afterwards. */
  Definition: 'definition',
  /** Everything else: VACUUM, LOCK, TRUNCATE, CALL, DO, NOTIFY, COPY FROM, COPY TO a file or a program ... */
  Utility: 'utility',
  /** It was not read. */
  Unknown: 'unknown',
} as const;
export type Access = (typeof Access)[keyof typeof Access];

/** A name as written. `schema` null: it is found by the session's search path. A name of a database before it is left out. */
export interface QualifiedName {
  readonly schema: string | null;
  readonly name: string;
}

/**
 * The names that decide what a statement does beyond its grammar, each once. What does not run is not looked into: the body of PREPARE, of a
 * view, of a rule.
 */
export interface NamesUsed {
  /**
   * Functions that are called, aggregates and window functions too; what the grammar itself makes of special forms stands in `pg_catalog`
   * (`extract`, `AT TIME ZONE`, `LIKE ... ESCAPE`). Methods of TABLESAMPLE are functions too. CURRENT_USER, CURRENT_TIMESTAMP and their like are no calls.
   */
  readonly functions: readonly QualifiedName[];
  /** Tables, views and the like; not where the name is that of a WITH query whose scope it stands in. */
  readonly relations: readonly QualifiedName[];
  /** Also those that stand behind IN, BETWEEN, LIKE, SIMILAR TO, NULLIF, IS DISTINCT FROM, CASE x WHEN, USING and NATURAL. */
  readonly operators: readonly QualifiedName[];
  /** Targets of casts and types of columns that are defined in the query; of an array, that of its elements. */
  readonly types: readonly QualifiedName[];
  /** Last parts of `a.b` and `(a).b`: PostgreSQL calls a function of that name, `b(a)`, where `a` is a row without such a column. */
  readonly attributes: readonly string[];
}

export const noNames: NamesUsed = { functions: [], relations: [], operators: [], types: [], attributes: [] };

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
  readonly access: Access;
  readonly names: NamesUsed;
  /** The name of the setting that SHOW asks for, in lower case ("all" for ALL); null for every other statement. */
  readonly show: string | null;
  /** SELECT without INTO, VALUES, TABLE, SHOW, EXPLAIN or COPY TO STDOUT of such: where writes are refused it has changed nothing but the session. */
  readonly isQuery: boolean;
  /** Such a query that locks no row, has no INSERT or the like within, and calls only functions that are known to change nothing. */
  readonly isRead: boolean;
  /** Names of the functions that it calls, as written (last part only, folded), each once; empty when unknown too (see `repeat`). */
  readonly functions: readonly string[];
}

/** A string of statements, in order. Immutable, and shared by all texts that differ only in literals. */
export interface Analysis {
  readonly statements: readonly StatementAnalysis[];
  /** The text without its literals, the same for all texts of its kind; one character for each byte. Null: it was not read. */
  readonly template: string | null;
}

/** What is said of a statement that was not read. */
export const unreadFacts = {
  repeat: Repeat.Never,
  access: Access.Unknown,
  names: noNames,
  show: null,
  isQuery: false,
  isRead: false,
  functions: [],
} as const satisfies Omit<StatementAnalysis, 'effects'>;

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
