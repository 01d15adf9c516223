/** Why a unit of a split session goes where it goes, apart from what stands in its statements. */
export const SplitReason = {
  /** Every statement of it is a proven read. */
  Read: 'read',
  /** It has no statement that would have to go anywhere. */
  Neutral: 'neutral',
  /** A transaction is open, and stays where it began. */
  Transaction: 'transaction',
  /** The client has narrowed the route. */
  Narrowed: 'narrowed',
  /** A comment of the statement says so. */
  Hint: 'hint',
  /** The session listens, and does so on the primary. */
  Listening: 'listening',
  /** The session has something on the primary that its reads may need. */
  Pinned: 'pinned',
  /** A standby cannot run serializable transactions. */
  Serializable: 'serializable',
  /** It is too long to be read ahead, or runs something that is not known. */
  Unread: 'unread',
  /** Some of it is to be answered before the rest is known: it may go on with anything in the same transaction. */
  Flushed: 'flushed',
  /** A standby has refused such a statement before. */
  RefusedBefore: 'refused_before',
  /** A standby has refused it just now. */
  Refused: 'refused',
  /** A statement that it runs can only be found on the primary, or was prepared before the session changed a definition. */
  PreparedThere: 'prepared_there',
  /** The units before it are under way on the primary. */
  Pipelined: 'pipelined',
  /** The session's state cannot be brought to a standby. */
  StateRefused: 'state_refused',
} as const;
export type SplitReason = (typeof SplitReason)[keyof typeof SplitReason];
