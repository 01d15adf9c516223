/** Why a node turned one away that had been let go, and will let it in later. */
export interface HoldRefusal {
  /** One sentence, with what the node said. */
  readonly message: string;
  /** The node has no connection free. */
  readonly isFull: boolean;
  /** It is about this user or database alone: all others may go on. */
  readonly isOwn: boolean;
}

/** One waiting session, as the queue of the held sees it. */
export interface HoldEntry {
  /** Monotonic time since when the unit waits; the oldest goes first, and the time limit counts from here. */
  readonly sinceMs: number;
  /** It comes back because it was turned away; left out: it was not. */
  readonly refusal?: HoldRefusal;
  /** How often in a row that has happened. */
  readonly refusals?: number;
  /** It is its turn to try again. */
  onRelease(): void;
  /** The time limit is over. */
  onExpire(): void;
}

export interface HoldTicket {
  /**
   * The session does not wait any more (it was closed or cancelled), or, once released, has its backend (`isServed`), waits for one
   * elsewhere, or has failed. Idempotent.
   */
  leave(isServed?: boolean): void;
  /** Leaves because the node turned it away; those behind it are not let go in its place for a while. It may enter again. */
  refused(refusal: HoldRefusal): void;
}

/** Where units wait that no node can take now. */
export interface Hold {
  /** A node turns those away that are let go, and some still wait: whoever comes now goes behind them. */
  readonly isBusy: boolean;
  /** Why the waiting do not get on though they are being let go; null: nothing is wrong. */
  readonly trouble: HoldRefusal | null;
  /** Enters the queue; null when it is full. */
  enter(entry: HoldEntry): HoldTicket | null;
}
