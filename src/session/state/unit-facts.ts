import type { Repeat } from '../../sql/analysis.js';

/** What is known of one unit from its texts. */
export interface UnitFacts {
  readonly repeat: Repeat;
  /** Nothing but queries: where writes are refused it has changed nothing. */
  readonly isQuery: boolean;
  /** Nothing but queries that change nothing anywhere. */
  readonly isRead: boolean;
  /** It begins a transaction that lasts beyond it. */
  readonly begins: boolean;
  /** The text of a BEGIN as it would be written, where the unit is nothing but that; null: it is something else. */
  readonly beginning: string | null;
  /** It may commit the transaction that it runs in: COMMIT, PREPARE TRANSACTION, or something that cannot be read. */
  readonly mayCommit: boolean;
  /** Its COMMIT was answered with CommandComplete: that is said behind the commit, whatever comes before ReadyForQuery. */
  readonly hasCommitted: boolean;
  /** Something stands behind the end of the transaction in the same unit, and may have been committed by itself. */
  readonly goesOn: boolean;
  /** It ends the transaction that it runs in, one way or the other. */
  readonly endsTransaction: boolean;
  /** It gives settings back the values that they had after log-in. */
  readonly resets: boolean;
}

/** What can be seen of a unit by its first message. */
export type UnitGlance = Pick<UnitFacts, 'repeat' | 'begins'>;
