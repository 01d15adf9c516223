import { readyForQuery } from '../protocol/backend-messages.js';
import { Frontend, TransactionStatus } from '../protocol/codes.js';
import type { AbandonedRequests } from '../protocol/request-tracker.js';

const idleReady = readyForQuery(TransactionStatus.Idle);
const failedReady = readyForQuery(TransactionStatus.Failed);

/** Answers units in a node's place, so that their client gets as many ReadyForQuery as it waits for. */
export class SubstituteAnswers {
  readonly #say: (messages: Buffer) => void;
  /** The unit was answered with an error: what follows is left out until its Sync. */
  #skippingToSync = false;
  /** What the client is told at that Sync. */
  #skippedReady = idleReady;
  /** The error that answers the unit that is read next. */
  #rejection: Buffer | null = null;
  /** How its transaction is then. */
  #rejectedReady = idleReady;

  constructor(say: (messages: Buffer) => void) {
    this.#say = say;
  }

  get isSkipping(): boolean {
    return this.#skippingToSync;
  }

  get isRejecting(): boolean {
    return this.#rejection !== null;
  }

  /** The next unit is answered with this ErrorResponse, and behind it the transaction has this status. */
  rejectNext(error: Buffer, status: TransactionStatus = TransactionStatus.Idle): void {
    this.#rejection = error;
    this.#rejectedReady = status === TransactionStatus.Idle ? idleReady : failedReady;
  }

  /** Answers the first message of the unit that is rejected. */
  reject(type: number): void {
    const error = this.#rejection;
    this.#rejection = null;
    const ready = this.#rejectedReady;
    if (error === null || type === Frontend.Sync) this.#say(ready);
    else if (type === Frontend.Query || type === Frontend.FunctionCall) this.#say(Buffer.concat([error, ready]));
    else {
      this.#say(error);
      this.#skippingToSync = true;
      this.#skippedReady = ready;
    }
  }

  /** A message of a unit that was answered already. */
  skip(type: number): void {
    if (type !== Frontend.Sync) return;
    this.#skippingToSync = false;
    this.#say(this.#skippedReady);
    this.#skippedReady = idleReady;
  }

  /** Answers a Sync that ends nothing. */
  ready(): void {
    this.#say(idleReady);
  }

  /** Answers everything that a lost backend still owed. `isUnitOpen`: messages were sent whose Sync has not come yet. */
  fail(error: Buffer, owed: AbandonedRequests, isUnitOpen: boolean, status: TransactionStatus): void {
    const ready = status === TransactionStatus.Idle ? idleReady : failedReady;
    const answers: Buffer[] = [];
    for (let i = 0; i < owed.readies; i += 1) {
      if (i > 0 || !owed.isErrorSent) answers.push(error);
      answers.push(ready);
    }
    if (owed.openUnit || isUnitOpen) {
      if (!(owed.isErrorSent && owed.readies === 0)) answers.push(error);
      this.#skippingToSync = true;
      this.#skippedReady = ready;
    }
    if (answers.length > 0) this.#say(Buffer.concat(answers));
  }
}
