import { BackendType, Frontend } from './codes.js';

/**
 * What a backend still owes us: one FIFO of requests that were sent to it, each marked *forward* (the client asked) or *swallow* (we
 * asked). Source of the rules: PostgreSQL documentation, "Message Flow"; of the handling of Sync during COPY: "COPY Operations".
 *
 * A Sync that reaches a backend while it reads COPY data is ignored, unless the COPY fails before the backend has come to it ("cannot copy
 * to view", a trigger BEFORE STATEMENT). Which of the two happened cannot be seen from outside at once, so after a failed COPY such a Sync
 * is *late*: its ReadyForQuery may still come, and is then taken for what it is, until the first reply to a later request ends the doubt.
 */

/** What to do with a message of the backend. */
export const Reply = {
  Forward: 0,
  Swallow: 1,
  /** Nobody asked: a notice, a notification, a parameter, or the FATAL of a backend that is being ended. */
  Unsolicited: 2,
  /** It does not answer what was asked: the backend does not speak the protocol, or we lost count. */
  Violation: 3,
} as const;
export type Reply = (typeof Reply)[keyof typeof Reply];

const Kind = {
  Query: 1,
  Parse: 2,
  Bind: 3,
  Describe: 4,
  Execute: 5,
  Close: 6,
  Sync: 7,
  FunctionCall: 8,
  /** CopyDone or CopyFail: answers nothing, marks where a COPY ends among the requests sent behind it. */
  CopyEnd: 9,
} as const;

const SWALLOW = 0x10;
const KIND_MASK = 0x0f;
const INITIAL_CAPACITY = 16;

/** Most requests that may be outstanding on one backend; behind it the client is not read until replies come. */
export const OUTSTANDING_MAX = 1 << 14;

/** What the client of a lost backend waits for. */
export interface AbandonedRequests {
  /** How many ReadyForQuery. */
  readonly readies: number;
  /** Requests were sent behind the last Sync, whose own Sync is still to come from the client. */
  readonly openUnit: boolean;
  /** The client has had the ErrorResponse of the oldest unit, and not yet its ReadyForQuery. */
  readonly isErrorSent: boolean;
}

export class RequestTracker {
  /** A ring; its size is a power of two. */
  #ring: Uint8Array;
  #head: number;
  #length: number;
  /** After an error in the extended protocol: the backend skips everything until the next Sync. */
  #skippingToSync: boolean;
  /** The backend reads COPY data and ignores Sync and Flush until CopyDone or CopyFail. */
  #copyIn: boolean;
  /** The end of the running COPY was already sent. */
  #copyEndSent: boolean;
  /** Syncs that were sent behind the request of the running (or just failed) COPY and before its end. */
  #ignoredSyncs: number;
  /** ReadyForQuery messages that may come, or may not, for Syncs sent before a COPY failed. */
  #lateReadies: number;
  /** The Sync of the unit was ignored, and no other one has been sent. */
  #isReopened: boolean;
  /** An ErrorResponse was forwarded whose ReadyForQuery has not come. */
  #isErrorSent: boolean;

  constructor() {
    this.#ring = new Uint8Array(INITIAL_CAPACITY);
    this.#head = 0;
    this.#length = 0;
    this.#skippingToSync = false;
    this.#copyIn = false;
    this.#copyEndSent = false;
    this.#ignoredSyncs = 0;
    this.#lateReadies = 0;
    this.#isReopened = false;
    this.#isErrorSent = false;
  }

  /** Nothing is owed. */
  get isEmpty(): boolean {
    return this.#length === 0;
  }

  /**
   * The backend waits for a Sync though one was sent: a COPY has ignored it, or the backend has skipped a Query. Its transaction is not
   * ended before that Sync.
   */
  get isUnitOpen(): boolean {
    return this.#isReopened || (this.#copyIn && this.#ignoredSyncs > 0 && !this.#hasUnitEnd());
  }

  /** An error has come in the extended protocol: the backend leaves everything out until the Sync. */
  get isSkipping(): boolean {
    return this.#skippingToSync;
  }

  get length(): number {
    return this.#length;
  }

  get isFull(): boolean {
    return this.#length >= OUTSTANDING_MAX;
  }

  /** There is room for many more: after it was full, the moment to go on. */
  get isHalfEmpty(): boolean {
    return this.#length <= OUTSTANDING_MAX / 2;
  }

  /** The backend waits for COPY data. */
  get isCopyIn(): boolean {
    return this.#copyIn;
  }

  /** The backend waits for COPY data, and their end was not sent yet. */
  get lacksCopyData(): boolean {
    return this.#copyIn && !this.#copyEndSent;
  }

  /** The backend will not come to a ReadyForQuery by what was sent: it lacks COPY data, or the Sync of every unit. */
  get needsClient(): boolean {
    return this.lacksCopyData || !this.#hasUnitEnd();
  }

  /** Notes that a frontend message of `type` is sent to the backend. Types that are never answered are ignored. */
  sent(type: number, swallow: boolean): void {
    const kind = kindOf(type);
    if (kind === 0 || (kind === Kind.CopyEnd && (this.#length === 0 || this.isFull))) return;
    if (this.#skippingToSync) {
      if (kind !== Kind.Sync) return;
      this.#skippingToSync = false;
    } else if (this.#copyIn && !this.#copyEndSent) {
      if (kind === Kind.Sync) {
        this.#ignoredSyncs += 1;
        return;
      }
      if (kind === Kind.CopyEnd) this.#copyEndSent = true;
    }
    if (endsUnit(kind)) this.#isReopened = false;
    if (this.#length === this.#ring.length) this.#grow();
    this.#ring[(this.#head + this.#length) & (this.#ring.length - 1)] = swallow ? kind | SWALLOW : kind;
    this.#length += 1;
  }

  /** Takes note of a message of the backend and says what to do with it. */
  received(type: number): Reply {
    switch (type) {
      case BackendType.NoticeResponse:
        return this.#length > 0 && this.#isHeadSwallowed() ? Reply.Swallow : Reply.Unsolicited;
      case BackendType.ParameterStatus:
      case BackendType.NotificationResponse:
        return Reply.Unsolicited;
      default:
    }
    if (this.#lateReadies > 0) {
      if (type === BackendType.ReadyForQuery) {
        if (this.#isLateReady()) return this.#takeLateReady();
      } else this.#lateReadies = 0;
    }
    if (this.#length === 0) return type === BackendType.ErrorResponse ? Reply.Unsolicited : Reply.Violation;
    const entry = this.#at(0);
    const kind = entry & KIND_MASK;
    const reply = (entry & SWALLOW) === 0 ? Reply.Forward : Reply.Swallow;
    switch (type) {
      case BackendType.DataRow:
      case BackendType.CopyData:
      case BackendType.CopyDone:
      case BackendType.CopyOutResponse:
      case BackendType.CopyBothResponse:
        return kind === Kind.Query || kind === Kind.Execute ? reply : Reply.Violation;
      case BackendType.CommandComplete:
      case BackendType.EmptyQueryResponse:
        if (kind === Kind.Query) this.#endCopyOfQuery();
        else if (kind === Kind.Execute) this.#endExecute();
        else return Reply.Violation;
        return reply;
      case BackendType.PortalSuspended:
        return this.#endIf(kind === Kind.Execute, reply);
      case BackendType.RowDescription:
        if (kind === Kind.Query) return reply;
        return this.#endIf(kind === Kind.Describe, reply);
      case BackendType.NoData:
        return this.#endIf(kind === Kind.Describe, reply);
      case BackendType.ParameterDescription:
        return kind === Kind.Describe ? reply : Reply.Violation;
      case BackendType.ParseComplete:
        return this.#endIf(kind === Kind.Parse, reply);
      case BackendType.BindComplete:
        return this.#endIf(kind === Kind.Bind, reply);
      case BackendType.CloseComplete:
        return this.#endIf(kind === Kind.Close, reply);
      case BackendType.FunctionCallResponse:
        return kind === Kind.FunctionCall ? reply : Reply.Violation;
      case BackendType.CopyInResponse:
        if (kind !== Kind.Query && kind !== Kind.Execute) return Reply.Violation;
        this.#beginCopyIn();
        return reply;
      case BackendType.ErrorResponse:
        this.#endCopy();
        if (reply === Reply.Forward) this.#isErrorSent = true;
        if (!endsUnit(kind)) this.#skipToSync();
        return reply;
      case BackendType.ReadyForQuery:
        if (!endsUnit(kind)) return Reply.Violation;
        this.#isErrorSent = false;
        this.#noteLateSyncs();
        this.#endRequest();
        return reply;
      default:
        return Reply.Violation;
    }
  }

  /** Forgets everything that is owed, because the backend is gone, and says how the client is still to be answered. */
  abandon(): AbandonedRequests {
    let readies = 0;
    let openUnit = this.#isReopened;
    const isErrorSent = this.#isErrorSent;
    for (let i = 0; i < this.#length; i += 1) {
      const entry = this.#at(i);
      const kind = entry & KIND_MASK;
      if ((entry & SWALLOW) !== 0 || kind === Kind.CopyEnd) continue;
      if (endsUnit(kind)) {
        readies += 1;
        openUnit = false;
      } else openUnit = true;
    }
    this.#length = 0;
    this.#skippingToSync = false;
    this.#endCopy();
    this.#ignoredSyncs = 0;
    this.#lateReadies = 0;
    this.#isReopened = false;
    this.#isErrorSent = false;
    return { readies, openUnit, isErrorSent };
  }

  #at(index: number): number {
    return this.#ring[(this.#head + index) & (this.#ring.length - 1)] ?? 0;
  }

  #isHeadSwallowed(): boolean {
    return (this.#at(0) & SWALLOW) !== 0;
  }

  #shift(): void {
    this.#head = (this.#head + 1) & (this.#ring.length - 1);
    this.#length -= 1;
  }

  #endIf(isAnswer: boolean, reply: Reply): Reply {
    if (!isAnswer) return Reply.Violation;
    this.#endRequest();
    return reply;
  }

  #endRequest(): void {
    this.#shift();
    this.#endCopy();
    // Marks left behind by a COPY that has ended, or that never began.
    while (this.#length > 0 && (this.#at(0) & KIND_MASK) === Kind.CopyEnd) this.#shift();
  }

  #endCopy(): void {
    this.#copyIn = false;
    this.#copyEndSent = false;
  }

  /** An Execute has ended well. A COPY has read everything up to its end, and so has ignored the Syncs before it. */
  #endExecute(): void {
    const hasIgnoredSyncs = this.#copyIn && this.#ignoredSyncs > 0;
    this.#ignoredSyncs = 0;
    this.#endRequest();
    if (hasIgnoredSyncs && !this.#hasUnitEnd()) this.#isReopened = true;
  }

  /** A statement of a simple Query has ended well; another COPY may follow. */
  #endCopyOfQuery(): void {
    this.#ignoredSyncs = 0;
    if (!this.#copyIn) return;
    this.#endCopy();
    if (this.#length < 2 || (this.#at(1) & KIND_MASK) !== Kind.CopyEnd) return;
    this.#put(1, this.#at(0));
    this.#shift();
  }

  #hasUnitEnd(): boolean {
    for (let i = 0; i < this.#length; i += 1) if (endsUnit(this.#at(i) & KIND_MASK)) return true;
    return false;
  }

  /** A ReadyForQuery that no request at the head of the queue can have: each one but Sync is answered with something else before it. */
  #isLateReady(): boolean {
    return this.#length === 0 || (this.#at(0) & KIND_MASK) !== Kind.Sync;
  }

  #takeLateReady(): Reply {
    this.#lateReadies -= 1;
    if (this.#length > 0) return this.#isHeadSwallowed() ? Reply.Swallow : Reply.Forward;
    this.#skippingToSync = false;
    this.#isReopened = false;
    this.#isErrorSent = false;
    return Reply.Forward;
  }

  /** The COPY has failed, and with it the doubt begins. */
  #noteLateSyncs(): void {
    this.#lateReadies += this.#ignoredSyncs;
    this.#ignoredSyncs = 0;
  }

  /** A COPY begins: Syncs sent before its end are ignored by the backend, so they are not owed. */
  #beginCopyIn(): void {
    this.#copyIn = true;
    this.#copyEndSent = false;
    let kept = 1;
    for (let i = 1; i < this.#length; i += 1) {
      const entry = this.#at(i);
      const kind = entry & KIND_MASK;
      if (kind === Kind.CopyEnd) this.#copyEndSent = true;
      if (kind === Kind.Sync && !this.#copyEndSent) {
        this.#ignoredSyncs += 1;
        continue;
      }
      this.#put(kept, entry);
      kept += 1;
    }
    this.#length = kept;
  }

  /** An error in the extended protocol: nothing is answered before the next Sync. */
  #skipToSync(): void {
    let hasUnitEnd = this.#isReopened || this.#ignoredSyncs > 0;
    for (; this.#length > 0; this.#shift()) {
      const kind = this.#at(0) & KIND_MASK;
      if (kind === Kind.Sync) break;
      if (endsUnit(kind)) hasUnitEnd = true;
    }
    this.#skippingToSync = this.#length === 0;
    this.#isReopened = this.#skippingToSync && hasUnitEnd;
    this.#noteLateSyncs();
  }

  #put(index: number, entry: number): void {
    this.#ring[(this.#head + index) & (this.#ring.length - 1)] = entry;
  }

  #grow(): void {
    const bigger = new Uint8Array(this.#ring.length * 2);
    for (let i = 0; i < this.#length; i += 1) bigger[i] = this.#at(i);
    this.#ring = bigger;
    this.#head = 0;
  }
}

/** Kinds that are answered with ReadyForQuery. */
function endsUnit(kind: number): boolean {
  return kind === Kind.Query || kind === Kind.Sync || kind === Kind.FunctionCall;
}

function kindOf(type: number): number {
  switch (type) {
    case Frontend.Query:
      return Kind.Query;
    case Frontend.Parse:
      return Kind.Parse;
    case Frontend.Bind:
      return Kind.Bind;
    case Frontend.Describe:
      return Kind.Describe;
    case Frontend.Execute:
      return Kind.Execute;
    case Frontend.Close:
      return Kind.Close;
    case Frontend.Sync:
      return Kind.Sync;
    case Frontend.FunctionCall:
      return Kind.FunctionCall;
    case Frontend.CopyDone:
    case Frontend.CopyFail:
      return Kind.CopyEnd;
    default:
      return 0;
  }
}
