import { messageOf } from '../../../src/errors.js';

/** What became of a write, as far as its client can know. */
export const Fate = { Open: 0, Acknowledged: 1, Refused: 2, Unknown: 3 } as const;
export type Fate = (typeof Fate)[keyof typeof Fate];

/** What a client was doing when something went wrong. */
export type Activity =
  | 'connect'
  /** Nothing: the connection ended between two statements. */
  | 'idle'
  /** A write that is its own transaction. */
  | 'autocommit'
  | 'begin'
  /** A statement inside an explicit transaction. */
  | 'statement'
  | 'commit'
  | 'rollback'
  /** A read of which nothing arrives before its end. */
  | 'read'
  /** A read whose rows arrive one after the other. */
  | 'stream'
  | 'copy_in'
  | 'copy_out'
  | 'listen'
  /** A statement that uses what the session has set up and what a proxy can set up again elsewhere. */
  | 'session'
  /** A statement that uses what cannot move: a temporary table. */
  | 'pinned';

/** What the server said, when it said anything: all empty when the connection just broke. */
export interface ServerWords {
  /** Empty when no server said this: the client's own words are no proof of anything. */
  readonly sqlState: string;
  readonly severity: string;
  readonly message: string;
  readonly detail: string;
}

/** One error that a client saw. */
export interface SeenError extends ServerWords {
  readonly worker: string;
  readonly during: Activity;
  /** The connection went with it. */
  readonly connectionLost: boolean;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
}

/** SQLSTATEs that do not say whether the statement took effect: class 08 is about connections. */
function leavesOpen(sqlState: string): boolean {
  return sqlState === '' || sqlState.startsWith('08');
}

/** What an error says about the writes that it was the answer to. */
export function fateOf(words: ServerWords): Fate {
  return leavesOpen(words.sqlState) ? Fate.Unknown : Fate.Refused;
}

/** The words of an error of node-postgres or postgres.js: both give errors of the server a severity, and their own none. */
export function wordsOf(error: unknown): ServerWords {
  const fields = error as { readonly [key in 'code' | 'severity' | 'detail']?: unknown };
  const text = (value: unknown): string => (typeof value === 'string' ? value : '');
  const isServers = text(fields.severity) !== '';
  return {
    sqlState: isServers ? text(fields.code) : '',
    severity: text(fields.severity),
    message: messageOf(error),
    detail: isServers ? text(fields.detail) : '',
  };
}

/** The same as one short line. */
export function describeError(error: SeenError): string {
  const code = error.sqlState === '' ? 'no SQLSTATE' : `${error.severity} ${error.sqlState}`;
  const detail = error.detail === '' ? '' : ` (${error.detail})`;
  const lost = error.connectionLost ? ', connection lost' : '';
  return `${error.worker} during ${error.during}: ${code}${lost}: ${error.message}${detail}`;
}
