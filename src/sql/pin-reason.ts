/** Why a session cannot change its backend. */
export const PinReason = {
  TemporaryObject: 'temporary_object',
  AdvisoryLock: 'advisory_lock',
  CursorWithHold: 'cursor_with_hold',
  Listen: 'listen',
  /** A setting whose replay is not certain: set in a transaction, in a string of several statements, by a function, or the like. */
  Setting: 'setting',
  SessionAuthorization: 'session_authorization',
  /** PREPARE in SQL. */
  PreparedInSql: 'prepared_in_sql',
  TooManyPrepared: 'too_many_prepared',
  /** currval or lastval was used. */
  SequenceState: 'sequence_state',
  LoadedLibrary: 'loaded_library',
  /** DO, CALL or a FunctionCall of the protocol: anything may have happened. */
  Procedure: 'procedure',
  /** Functions were called, in a session that shares its backends, of which nobody knows what they leave there. */
  CalledFunction: 'called_function',
  /** dblink connections, replication origins and slots, a backup, and the like. */
  ForeignSession: 'foreign_session',
  UnknownStatement: 'unknown_statement',
  StatementTooLarge: 'statement_too_large',
  ClientEncoding: 'client_encoding',
  Replication: 'replication',
  OpenTransaction: 'open_transaction',
} as const;
export type PinReason = (typeof PinReason)[keyof typeof PinReason];

const sentences: Readonly<Record<PinReason, string>> = {
  temporary_object: 'it has a temporary object',
  advisory_lock: 'it may hold a session advisory lock',
  cursor_with_hold: 'it has a cursor WITH HOLD',
  listen: 'it listens for notifications',
  setting: 'it changed a setting in a way that cannot be replayed',
  session_authorization: 'it changed its role or session authorization',
  prepared_in_sql: 'it has a statement prepared with PREPARE',
  too_many_prepared: 'it has too many or too large prepared statements',
  sequence_state: 'it used currval or lastval',
  loaded_library: 'it loaded a library',
  procedure: 'it ran DO, CALL or a function call, whose effects on the session are unknown',
  called_function: 'it called a function that may have left something in the session',
  foreign_session: 'it may hold a connection, a replication origin or slot, or a backup of its own on the node',
  unknown_statement: 'it ran a statement whose effect on the session is unknown',
  statement_too_large: 'it ran a statement too large to be inspected',
  client_encoding: 'its client encoding cannot be inspected',
  replication: 'it is a replication connection',
  open_transaction: 'it is in a transaction',
};

/** The reason as half a sentence: "the session cannot move: ...". */
export function describePin(reason: PinReason): string {
  return sentences[reason];
}
