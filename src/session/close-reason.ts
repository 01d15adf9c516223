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
  NoPrimary: 'no_primary',
  NoStandby: 'no_standby',
  BackendRefused: 'backend_refused',
  ReplayFailed: 'replay_failed',
  Drained: 'drained',
  Shutdown: 'shutdown',
  Killed: 'killed',
} as const;
export type CloseReason = (typeof CloseReason)[keyof typeof CloseReason];
