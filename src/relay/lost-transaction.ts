import {
  commandComplete,
  emptyMessage,
  errorResponse,
  noParameters,
  readyForQuery,
} from '../protocol/backend-messages.js';
import { BackendType, Frontend, TransactionStatus } from '../protocol/codes.js';
import { TransactionEnd } from './relay.js';
import type { RelayOwner } from './relay.js';

const rollbackTag = commandComplete('ROLLBACK');
const HEADER_BYTES = 5;

const aborted = errorResponse({
  severity: 'ERROR',
  sqlState: '25P02',
  message: 'current transaction is aborted, commands ignored until end of transaction block',
  detail: 'The transaction ended with the node that ran it.',
});
const cannotChain = errorResponse({
  severity: 'ERROR',
  sqlState: '25P02',
  message: 'the transaction ended with the node that ran it, and cannot be continued with AND CHAIN',
  hint: 'Send ROLLBACK, and begin a new transaction.',
});

/** What a client hears of a transaction that ended with its node. */
export interface LostWords {
  /** The error that says so; null when the client knows already. A whole ErrorResponse. */
  readonly news: Buffer | null;
  /** The answer to COMMIT where its outcome is not known; null: it surely did not happen. */
  readonly onCommit: Buffer | null;
}

/**
 * Stands in for the node of a transaction that is gone, as a node does with a transaction that has failed: the client is told once, then
 * waits in state E, and ROLLBACK ends it. No node is needed for any of this.
 */
export class LostTransaction {
  readonly #owner: RelayOwner;
  readonly #say: (messages: Buffer) => void;
  #isActive = false;
  #news: Buffer | null = null;
  #onCommit: Buffer | null = null;
  /** An error was said in the extended protocol: what follows is left out until its Sync. */
  #isSkipping = false;
  /** The transaction was ended; the client hears so at the end of the unit. */
  #isOver = false;
  /** What the portal that was bound last does. */
  #bound: TransactionEnd | null = null;

  constructor(owner: RelayOwner, say: (messages: Buffer) => void) {
    this.#owner = owner;
    this.#say = say;
  }

  get isActive(): boolean {
    return this.#isActive;
  }

  begin({ news, onCommit }: LostWords): void {
    this.#isActive = true;
    this.#news = news;
    this.#onCommit = onCommit;
    this.#isSkipping = false;
    this.#isOver = false;
    this.#bound = null;
  }

  /** Answers a frame of the client. False: it goes to a node, the transaction is not in its way any more. */
  take(type: number, buffer: Buffer, start: number, end: number): boolean {
    if (type === Frontend.Terminate) return false;
    if (this.#isSkipping) {
      if (type === Frontend.Sync) this.#endUnit();
      return true;
    }
    switch (type) {
      case Frontend.Query:
        return this.#takeQuery(buffer, start, end);
      case Frontend.FunctionCall:
        this.#owner.onClientFrame(type, buffer, start, end);
        this.#tell();
        this.#endUnit();
        return true;
      case Frontend.Parse:
        this.#take(type, buffer, start, end, emptyMessage(BackendType.ParseComplete));
        return true;
      case Frontend.Bind:
        this.#take(type, buffer, start, end, emptyMessage(BackendType.BindComplete));
        return true;
      case Frontend.Describe: {
        const noData = emptyMessage(BackendType.NoData);
        this.#say(buffer[start] === 0x53 ? Buffer.concat([noParameters(), noData]) : noData);
        return true;
      }
      case Frontend.Execute:
        this.#owner.onClientFrame(type, buffer, start, end);
        this.#execute(this.#bound);
        return true;
      case Frontend.Close:
        this.#owner.onClientFrame(type, buffer, start, end);
        this.#say(emptyMessage(BackendType.CloseComplete));
        this.#owner.onAcknowledged(BackendType.CloseComplete);
        return true;
      case Frontend.Sync:
        this.#owner.onClientFrame(type, buffer, start, end);
        this.#endUnit();
        return true;
      default:
        return true;
    }
  }

  #takeQuery(buffer: Buffer, start: number, end: number): boolean {
    const what = this.#owner.transactionEnd(Frontend.Query, buffer, start, end);
    if (what === TransactionEnd.RollbackFirst) {
      this.#isActive = false;
      this.#owner.onTransactionReopened();
      return false;
    }
    this.#owner.onClientFrame(Frontend.Query, buffer, start, end);
    this.#execute(what);
    this.#endUnit();
    return true;
  }

  /** Parse or Bind: only what ends the transaction is accepted. */
  #take(type: number, buffer: Buffer, start: number, end: number, answer: Buffer): void {
    const what = this.#isOver ? null : this.#owner.transactionEnd(type, buffer, start, end);
    if (what === null || what === TransactionEnd.Chained) {
      this.#refuse(what);
      this.#isSkipping = true;
      return;
    }
    this.#owner.onClientFrame(type, buffer, start, end);
    this.#say(answer);
    if (type === Frontend.Bind) this.#bound = what;
    else this.#owner.onAcknowledged(BackendType.ParseComplete);
  }

  #execute(what: TransactionEnd | null): void {
    const isCommit = what === TransactionEnd.Commit || what === TransactionEnd.CommitFirst;
    const error = isCommit ? (this.#onCommit ?? this.#news) : null;
    if (what === TransactionEnd.CommitFirst || error !== null) {
      this.#say(error ?? aborted);
      this.#owner.onCommandFailed();
      this.#isSkipping = true;
    } else if (what === null || what === TransactionEnd.Chained) {
      this.#refuse(what);
      this.#isSkipping = true;
      return;
    } else {
      this.#say(rollbackTag);
      this.#owner.onCommandEnd(BackendType.CommandComplete, rollbackTag, HEADER_BYTES, rollbackTag.length);
    }
    this.#isOver = true;
  }

  #refuse(what: TransactionEnd | null): void {
    if (what === TransactionEnd.Chained && this.#news === null) this.#say(cannotChain);
    else this.#tell();
    this.#owner.onCommandFailed();
  }

  /** The error of a statement that does not end the transaction. */
  #tell(): void {
    this.#say(this.#news ?? aborted);
    this.#news = null;
  }

  #endUnit(): void {
    this.#isSkipping = false;
    this.#bound = null;
    this.#isActive = !this.#isOver;
    this.#say(readyForQuery(this.#isOver ? TransactionStatus.Idle : TransactionStatus.Failed));
    this.#owner.onSubstituteEnd();
  }
}
