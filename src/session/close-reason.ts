/** Why a session ended. */
export const CloseReason = {
  /** The client said Terminate. */
  Terminated: 'terminated',
  /** The client closed the connection without a word. */
  ClientGone: 'client_gone',
  ClientViolation: 'client_violation',
  /** The node's own FATAL was passed on. */
  EndedByNode: 'ended_by_node',
  /** The backend was lost inside a transaction, or in the middle of a message. */
  BackendLost: 'backend_lost',
  CannotMove: 'cannot_move',
  /** The log-in waited for a node in vain. */
  NoNode: 'no_node',
  BackendRefused: 'backend_refused',
  /** It said nothing for `limits.client_idle_timeout`. */
  ClientIdle: 'client_idle_timeout',
  IdleTransaction: 'idle_transaction_timeout',
  Transaction: 'transaction_timeout',
  /** A statement was cut off that its node did not cancel, and the session could not go on without that backend. */
  Query: 'query_timeout',
  /** The client took no bytes for `limits.tcp_user_timeout`. */
  ClientStuck: 'client_stuck',
  Drained: 'drained',
  /** An operator has ended it. */
  Killed: 'killed',
  Shutdown: 'shutdown',
} as const;
export type CloseReason = (typeof CloseReason)[keyof typeof CloseReason];
