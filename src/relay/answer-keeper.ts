/**
 * Below this a node sends nothing of an answer on its own account before the answer is complete (PostgreSQL's send buffer, PqSendBuffer
 * in src/backend/libpq/pqcomm.c, is 8 kB and is sent when it is full, at ReadyForQuery, with a notice, and with the last words of a
 * connection). So to keep less than that costs the client no time.
 */
const KEPT_BYTES_END = 8 * 1024;

/**
 * Keeps the beginning of an answer back, so that it can be taken back: CommandComplete may come before the FATAL that says that the
 * transaction was rolled back (the batch of the extended protocol commits at its Sync).
 */
export class AnswerKeeper {
  #kept: Buffer[] = [];
  #keptBytes = 0;
  /** Whether this answer is to be kept; null: not asked yet. */
  #isWanted: boolean | null = null;
  #isOut = false;
  /** The client has asked for what there is of this answer. */
  #isFlushed = false;

  /** Part of the answer is on its way to the client. */
  get isOut(): boolean {
    return this.#isOut;
  }

  /** All that has come of the answer is kept. */
  get isKeeping(): boolean {
    return this.#keptBytes > 0;
  }

  /** Takes the end of an answer; gives what is to be sent to the client. */
  complete(bytes: Buffer): Buffer {
    const out = this.#release(bytes);
    this.#reset();
    return out;
  }

  /**
   * Takes a part of an answer that is not its end. `isLast`: the node will say no more of it. `isWanted` is asked once for each answer.
   * Null: nothing is to be sent now.
   */
  part(bytes: Buffer, isLast: boolean, isWanted: () => boolean): Buffer | null {
    if (!this.#isOut && (isLast || !this.#isFlushed)) {
      this.#isWanted ??= isWanted();
      if (this.#isWanted && this.#keptBytes + bytes.length < KEPT_BYTES_END) {
        this.#kept.push(bytes);
        this.#keptBytes += bytes.length;
        return null;
      }
    }
    this.#isOut = true;
    return this.#release(bytes);
  }

  /** The client waits for what there is of this answer. */
  flush(): void {
    this.#isFlushed = true;
  }

  /** This answer cannot be taken back. */
  hurry(): void {
    this.#isWanted = false;
  }

  /** Takes the answer back; the next one is another unit's. */
  drop(): void {
    this.#forget();
    this.#reset();
  }

  #reset(): void {
    this.#isWanted = null;
    this.#isOut = false;
    this.#isFlushed = false;
  }

  #release(bytes: Buffer): Buffer {
    if (this.#keptBytes === 0) return bytes;
    const out = Buffer.concat([...this.#kept, bytes]);
    this.#forget();
    return out;
  }

  #forget(): void {
    this.#kept = [];
    this.#keptBytes = 0;
  }
}
