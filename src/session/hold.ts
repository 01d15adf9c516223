/** One waiting session, as the queue of the held sees it. */
export interface HoldEntry {
  /** Monotonic time since when the unit waits; the oldest goes first, and the time limit counts from here. */
  readonly sinceMs: number;
  /** It is its turn to try again. */
  onRelease(): void;
  /** The time limit is over. */
  onExpire(): void;
}

export interface HoldTicket {
  /** The session does not wait any more (it was closed or cancelled), or, once released, has its backend or has failed. Idempotent. */
  leave(): void;
}

/** Where units wait that no node can take now. */
export interface Hold {
  /** Enters the queue; null when it is full. */
  enter(entry: HoldEntry): HoldTicket | null;
}
