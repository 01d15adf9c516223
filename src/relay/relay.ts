import type { Backend } from '../backend/backend.js';
import type { Wire } from '../net/wire.js';
import type { ErrorFields } from '../protocol/error-fields.js';
import type { TransactionStatus } from '../protocol/codes.js';
import type { AbandonedRequests } from '../protocol/request-tracker.js';
import type { LostWords } from './lost-transaction.js';

/** Whether a unit may go to the attached backend. */
export const Admission = {
  Go: 0,
  /** Leave it, and everything behind it, unread until `resume` or `rejectUnit`. */
  Wait: 1,
  /** Ask once more when more of the client's input is there. */
  More: 2,
} as const;
export type Admission = (typeof Admission)[keyof typeof Admission];

/** Whether, and how, a text ends the transaction that it runs in. */
export const TransactionEnd = {
  /** COMMIT, END and nothing else. */
  Commit: 'commit',
  /** ROLLBACK, ABORT and nothing else. */
  Rollback: 'rollback',
  /** One of them, AND CHAIN. */
  Chained: 'chained',
  /** A string of several statements that begins with one of them. */
  CommitFirst: 'commit_first',
  RollbackFirst: 'rollback_first',
} as const;
export type TransactionEnd = (typeof TransactionEnd)[keyof typeof TransactionEnd];

/** How a backend was lost. */
export interface Loss {
  /** Detached and being destroyed; the pool still counts it. */
  readonly backend: Backend;
  /** The FATAL that the node said before it closed the connection, if it did. */
  readonly farewell: ErrorFields | null;
  readonly error: Error | null;
  readonly owed: AbandonedRequests;
  /** Nothing of the answer to the oldest unit is on its way to the client, and every unit is kept: `replayUnits` can be called. */
  readonly canReplay: boolean;
  /** Part of a message has reached the client: the stream cannot be mended. */
  readonly isStreamBroken: boolean;
  /** A unit had been sent at least in part and its ReadyForQuery had not come. */
  readonly isUnitCut: boolean;
  /** Of the last ReadyForQuery. */
  readonly status: TransactionStatus;
}

/** The decisions that a relay asks for. All calls are synchronous and may not call back into `resume`. */
export interface RelayOwner {
  /**
   * The first message of a unit, before it is sent; asked when nothing is attached or `askAtUnit` is set. The body is
   * `buffer[start, end)`, borrowed, for Query, Parse and Close up to the inspection limit; else `end` is NOT_READ. What lies behind it in
   * `buffer` is what the client has sent next, as far as it is there.
   */
  onUnitStart(type: number, buffer: Buffer, start: number, end: number): Admission;
  /**
   * More of a unit comes behind a Flush, and nothing was executed in it so far; all of it is answered. True: end that part as a unit of its
   * own with `endUnit`, and ask for the rest as for another one. Only asked where `askAtUnit` is set.
   */
  onUnitGoesOn(): boolean;
  /** A Query, Parse, Bind, Execute, Close, Sync or FunctionCall that is about to be sent; body as above. */
  onClientFrame(type: number, buffer: Buffer, start: number, end: number): void;
  /** The whole message that is sent in place of this Bind or Describe; null: as it is. Only asked where `substitutes` is set; body as above. */
  substituteFor(type: number, buffer: Buffer, start: number, end: number): Buffer | null;
  /** The client said Terminate. */
  onTerminate(): void;
  onClientViolation(message: string): void;
  /** The client ended its sending side without Terminate. */
  onClientEnd(): void;
  onClientClose(error: Error | null): void;

  /** The node reported a parameter. True: tell the client. */
  onParameter(buffer: Buffer, start: number, end: number): boolean;
  /** ParseComplete or CloseComplete that the client asked for. */
  onAcknowledged(type: number): void;
  /** CommandComplete (the body, with the command tag, is `buffer[start, end)`, borrowed), EmptyQueryResponse or PortalSuspended. */
  onCommandEnd(type: number, buffer: Buffer, start: number, end: number): void;
  /** An ErrorResponse (not FATAL) on its way to the client. Gives a whole one that goes in its place; null: it goes as it is. */
  onBackendError(fields: ErrorFields): Buffer | null;
  /** A ReadyForQuery on its way to the client: a unit has ended. */
  onUnitEnd(): void;
  /** Nothing is owed any more and the client has the last ReadyForQuery. The transaction may still be open. */
  onQuiet(): void;
  /** An answer to something that we sent ourselves is an error; `part` counts the ReadyForQuery before it. */
  onReplayError(fields: ErrorFields, part: number): void;
  /** Everything that we sent ourselves at `attach` is answered. */
  onReplayDone(): void;
  /** The backend is gone and detached. */
  onBackendLost(loss: Loss): void;
  /** Whether the answer to the oldest unit is to be kept back until it is complete, because it may have to be taken back. */
  mayTakeBack(): boolean;

  /**
   * The plan of a prepared statement does not fit any more, and nothing of the unit has been said: messages that prepare it again, so
   * that the unit can be run once more; null where the client must know.
   */
  onStalePlan(): Replay | null;
  /** The unit that failed so has ended, and its frames are read again. */
  onUnitTakenBack(): void;
  /**
   * The node has refused the oldest unit, and nothing of its answer is with the client. True: all units under way are to run again
   * elsewhere; nothing of their answers is passed on.
   */
  onRefusal(fields: ErrorFields): boolean;
  /** These units have ended on the node; behind this their frames are read again. The backend is at a boundary, and may be detached. */
  onUnitsRefused(): void;

  /** How this Query or Parse (by its text) or Bind (by its statement) ends a transaction; null: it does not, or cannot be read. */
  transactionEnd(type: number, buffer: Buffer, start: number, end: number): TransactionEnd | null;
  /** A statement was refused in place of a node. */
  onCommandFailed(): void;
  /** A unit was answered in place of a node. */
  onSubstituteEnd(): void;
  /** The next unit rolls a lost transaction back and goes on in the same string: its backend must be in a transaction when it comes. */
  onTransactionReopened(): void;
}

/** Messages of our own to be sent to a backend before anything of the client. */
export interface Replay {
  readonly bytes: Buffer;
  /** Their types, in order. */
  readonly types: readonly number[];
}

/**
 * Moves bytes between one client and the backend attached to it. Sessions talk to this interface only; the engine behind it is chosen
 * when the session begins.
 */
export interface Relay {
  /** Ask the owner at the next unit though a backend is attached. */
  askAtUnit: boolean;
  /** Some messages of the client are not sent as they are: see `substituteFor`. */
  substitutes: boolean;
  readonly backend: Backend | null;
  /** What went over the wire of the client. */
  readonly client: Pick<Wire, 'bytesRead' | 'bytesWritten' | 'pendingBytes'>;
  /** Nothing is owed, no unit is open, nothing is half read from the node, and no transaction is open. */
  readonly isAtBoundary: boolean;
  /** Nothing is owed and no unit is open; a transaction may be. */
  readonly isQuiet: boolean;
  /** The client is left unread after `Admission.Wait`. */
  readonly isWaiting: boolean;
  /** The client is in a transaction that ended with its node, and has not ended it yet. */
  readonly isTransactionLost: boolean;

  /** Binds a backend that is at a boundary. */
  attach(backend: Backend, replay: Replay | null): void;
  /** Gives the backend back; only at a boundary. */
  detach(): Backend | null;
  /** Sends messages of our own to the attached backend, which owes nothing; `onReplayDone` tells when they are answered. */
  replay(replay: Replay): void;
  /** The same from inside `onUnitStart`, for a unit that is admitted: it goes right behind them, in one write. */
  replayAhead(replay: Replay): void;
  /** Ends the open unit with a Sync of our own, of which the client does not hear; `onReplayDone` tells when it is answered. */
  endUnit(): void;
  /** Takes the backend away at once and ends it: the owner hears `onBackendLost` before this returns. */
  cut(error: Error): void;
  /** Goes on with the client after `Admission.Wait`. Not from inside a call of the relay. */
  resume(): void;
  /** Answers the waiting unit with `error` (a whole ErrorResponse) and ReadyForQuery (by default of no transaction), and goes on. */
  rejectUnit(error: Buffer, status?: TransactionStatus): void;
  /** Puts the units cut by a loss back to where they are read from; they are admitted again after `resume`. */
  replayUnits(): void;
  /**
   * Answers the oldest of the units cut by a loss with `error` and `status`, and puts the others back as `replayUnits` does. Where these
   * are not kept, they are answered like the first.
   */
  failFirstUnit(error: Buffer, owed: AbandonedRequests, status: TransactionStatus): void;
  /** Answers all units cut by a loss with `error`; no transaction is open behind them. */
  failUnits(error: Buffer, owed: AbandonedRequests): void;
  /** The client's transaction is gone: its units are answered in the node's place until it ends it. */
  loseTransaction(words: LostWords): void;
  /** Says whole messages to the client; only where no message is half sent. */
  say(messages: Buffer): void;
  /** Says the last words, if any, and closes the client in order. */
  close(last: Buffer | null): void;
  /** Closes the client at once. */
  destroy(): void;
}
