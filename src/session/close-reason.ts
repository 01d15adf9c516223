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
  Drained: 'drained',
  Shutdown: 'shutdown',
} as const;
export type CloseReason = (typeof CloseReason)[keyof typeof CloseReason];
