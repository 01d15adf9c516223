import { SinkMode } from '../backend/backend.js';
import { deafSink } from '../backend/idle-sink.js';
import type { Backend, BackendSink } from '../backend/backend.js';
import { BackendType, Frontend, TransactionStatus } from '../protocol/codes.js';
import { decodeErrorFields, isFatal } from '../protocol/error-fields.js';
import type { ErrorFields } from '../protocol/error-fields.js';
import { NOT_READ, Verdict } from '../protocol/frame-scanner.js';
import { Reply } from '../protocol/request-tracker.js';
import type { ClientSide, RelayParts } from './client-side.js';
import { isDescribed } from './described.js';
import type { Replay } from './relay.js';

/**
 * "cached plan must not change result type": the message may be in any language, the function is not (`src/backend/utils/cache/plancache.c`
 * of PostgreSQL).
 */
const STALE_PLAN = { sqlState: '0A000', routine: 'RevalidateCachedQuery' } as const;

/** The side of a relay that hears the node: passes its answers on, and tells the owner when units end or the backend is lost. */
export class BackendSide implements BackendSink {
  readonly #parts: RelayParts;
  readonly #client: ClientSide;
  #backend: Backend | null;
  /** ReadyForQuery messages still to come for what we sent ourselves. */
  #replaysLeft: number;
  /** Those that have come. */
  #replaysDone: number;
  #farewell: ErrorFields | null;
  /** The node streams and listens at the same time (replication). */
  #copyBoth: boolean;
  /** What prepares a statement again whose plan did not fit any more, once its unit has ended. */
  #remedy: Replay | null;
  /** The units under way were refused and run again elsewhere: nothing of their answers is passed on. */
  #isRefused: boolean;
  /** The oldest unit was run again already for that reason. */
  #isSecondRun: boolean;
  /** Where the last ReadyForQuery ends in the buffer whose bytes go out next; 0: there is none. */
  #readyEnd: number;
  /** What the client hears in place of the error that was just read. */
  #instead: Buffer | null;

  constructor(parts: RelayParts, client: ClientSide) {
    this.#parts = parts;
    this.#client = client;
    this.#backend = null;
    this.#replaysLeft = 0;
    this.#replaysDone = 0;
    this.#farewell = null;
    this.#copyBoth = false;
    this.#remedy = null;
    this.#isRefused = false;
    this.#isSecondRun = false;
    this.#readyEnd = 0;
    this.#instead = null;
  }

  get isCopyBoth(): boolean {
    return this.#copyBoth;
  }

  attach(backend: Backend, replay: Replay | null): void {
    this.#bind(backend);
    this.#farewell = null;
    this.#replaysLeft = 0;
    this.#remedy = null;
    backend.attach(this, SinkMode.Relay);
    this.#parts.traffic.counts.assignments += 1;
    if (replay !== null) this.#send(backend, replay);
  }

  replay(replay: Replay): void {
    if (this.#backend !== null) this.#send(this.#backend, replay);
  }

  replayAhead(replay: Replay): void {
    if (this.#backend === null) return;
    this.#expect(this.#backend, replay);
    this.#parts.flow.aheadOfClient(replay.bytes);
  }

  detach(): Backend | null {
    const backend = this.#backend;
    this.#bind(null);
    this.#parts.flow.release(backend, this.#client.isHeld);
    return backend;
  }

  /** Takes the backend away, ends it, and tells the owner. */
  lose(error: Error | null): void {
    const backend = this.#backend;
    if (backend === null) return;
    const client = this.#client;
    const { keeper, flow, owner } = this.#parts;
    const isStreamBroken = backend.isInsideForwardedFrame && !keeper.isKeeping;
    const abandoned = backend.tracker.abandon();
    // Those of the refused units that have ended on the node have not for the client.
    const readies = this.#isRefused ? client.record.length : abandoned.readies;
    // The node's farewell, and what is kept back, count as answers for the tracker, but the client has not had them.
    const isKept = this.#remedy !== null || this.#isRefused || keeper.isKeeping;
    const isAnswered = this.#farewell === null && !isKept;
    const owed = isAnswered ? abandoned : { ...abandoned, readies, isErrorSent: false };
    const canReplay = !keeper.isOut && client.isRecordWhole(owed, 0);
    const isUnitCut = owed.readies > 0 || owed.openUnit || client.unitOpen;
    const farewell = this.#farewell;
    this.#bind(null);
    this.#replaysLeft = 0;
    this.#remedy = null;
    this.#isRefused = false;
    client.waitsForReplies = false;
    // It is asked again behind what comes back.
    client.wantsMore = false;
    keeper.drop();
    flow.release(backend, client.isHeld);
    backend.destroy();
    backend.attach(deafSink, SinkMode.Own);
    owner.onBackendLost({
      backend,
      farewell,
      error,
      owed,
      canReplay,
      isStreamBroken,
      isUnitCut,
      status: backend.transactionStatus,
    });
  }

  onBackendFrame(type: number, reply: Reply, buffer: Buffer, start: number, end: number): Verdict {
    const { owner, keeper } = this.#parts;
    if ((type === BackendType.DataRow || type === BackendType.CopyData) && reply === Reply.Forward)
      return this.#isRefused ? Verdict.Drop : Verdict.ForwardAlike;
    if (type === BackendType.ParameterStatus) {
      // The backend has noted it, and the client is told when it is next on this backend.
      if (this.#isRefused) return Verdict.Drop;
      // What we have changed may not be what it comes to in the end.
      if (this.#replaysLeft > 0) return Verdict.Drop;
      keeper.hurry();
      if (end === NOT_READ) return Verdict.Forward;
      return owner.onParameter(buffer, start, end) ? Verdict.Forward : Verdict.Drop;
    }
    if (type === BackendType.ErrorResponse) return this.#onError(reply, buffer, start, end);
    switch (reply) {
      case Reply.Swallow:
        return Verdict.Drop;
      case Reply.Violation:
        this.lose(new Error(`unexpected message type 0x${type.toString(16)} from the node`));
        return Verdict.Drop;
      case Reply.Unsolicited:
        // What nobody asked for cannot be taken back: it would be said twice, or not at all. But not everything is meant for the client.
        if (!isLastWord(type, buffer, start, end)) keeper.hurry();
        return Verdict.Forward;
      case Reply.Forward:
      default:
    }
    if (this.#isRefused) return Verdict.Drop;
    switch (type) {
      case BackendType.ReadyForQuery:
        if (this.#remedy !== null) return Verdict.Drop;
        this.#copyBoth = false;
        this.#readyEnd = end;
        this.#isSecondRun = false;
        this.#client.record.ended();
        owner.onUnitEnd();
        return this.#client.isQuiet || this.#client.hasEnded ? Verdict.ForwardAndFlush : Verdict.Forward;
      case BackendType.CopyBothResponse:
        this.#copyBoth = true;
        return this.#client.hasEnded ? Verdict.ForwardAndFlush : Verdict.Forward;
      case BackendType.CopyInResponse:
        return this.#client.hasEnded ? Verdict.ForwardAndFlush : Verdict.Forward;
      case BackendType.ParseComplete:
      case BackendType.CloseComplete:
        owner.onAcknowledged(type);
        return Verdict.Forward;
      case BackendType.CommandComplete:
      case BackendType.EmptyQueryResponse:
      case BackendType.PortalSuspended:
        owner.onCommandEnd(type, buffer, start, end);
        return Verdict.Forward;
      default:
        return Verdict.Forward;
    }
  }

  onBackendRun(buffer: Buffer, start: number, end: number): void {
    const readyEnd = this.#readyEnd;
    this.#readyEnd = 0;
    // What lies behind the end of a unit is the beginning of the answer to the next one.
    if (readyEnd > start) this.#client.say(this.#parts.keeper.complete(slice(buffer, start, readyEnd)));
    // What came of a refused unit before its error is said by the node that runs it next.
    if (readyEnd < end && !this.#isRefused) {
      const out = this.#part(slice(buffer, Math.max(start, readyEnd), end));
      if (out !== null) this.#client.say(out);
    }
    // Not at the end of a unit only: one unit may hold more requests than may be outstanding.
    if (this.#client.waitsForReplies && this.#backend?.tracker.isHalfEmpty === true) this.#client.resume();
  }

  onBackendFlushed(type: number): void {
    if (type === BackendType.ReadyForQuery) {
      if (this.#replaysLeft > 0) {
        this.#replaysLeft -= 1;
        this.#replaysDone += 1;
        if (this.#replaysLeft === 0) this.#parts.owner.onReplayDone();
        return;
      }
      if (this.#remedy !== null) this.#runAgain(this.#remedy);
      else if (this.#isRefused) this.#runElsewhere();
      else if (this.#client.isQuiet) {
        // What a Sync has begun that a COPY has ignored.
        if (this.#client.record.length > 0) this.#client.record.clear();
        this.#parts.owner.onQuiet();
      } else this.#client.endOrphan(this.#copyBoth);
    } else if (type === BackendType.ErrorResponse) {
      if (this.#farewell !== null) this.lose(null);
      else if (this.#instead !== null) this.#sayInstead(this.#instead);
    } else this.#client.endOrphan(this.#copyBoth);
  }

  onBackendDrain(): void {
    this.#parts.flow.backendDrained(this.#client.isHeld);
  }

  onBackendClose(error: Error | null): void {
    this.lose(error);
  }

  #send(backend: Backend, replay: Replay): void {
    this.#expect(backend, replay);
    backend.send(replay.bytes);
  }

  #expect(backend: Backend, { types }: Replay): void {
    this.#replaysDone = 0;
    for (const type of types) {
      backend.tracker.sent(type, true);
      if (type === Frontend.Parse) this.#parts.traffic.counts.ownParses += 1;
      if (type === Frontend.Query || type === Frontend.Sync) this.#replaysLeft += 1;
    }
  }

  #bind(backend: Backend | null): void {
    this.#backend = backend;
    this.#client.backend = backend;
  }

  /** Takes a part of an answer that is not its end; gives what goes to the client now, null: nothing yet. */
  #part(bytes: Buffer): Buffer | null {
    if (this.#client.record.length === 0) return bytes;
    return this.#parts.keeper.part(bytes, this.#farewell !== null, () => this.#parts.owner.mayTakeBack());
  }

  #onError(reply: Reply, buffer: Buffer, start: number, end: number): Verdict {
    if (end === NOT_READ) return reply === Reply.Swallow ? Verdict.Drop : Verdict.Forward;
    const fields = decodeErrorFields(buffer, start, end);
    if (isFatal(fields) || reply === Reply.Unsolicited) {
      this.#farewell = fields;
      return Verdict.Drop;
    }
    if (reply === Reply.Swallow) {
      this.#parts.owner.onReplayError(fields, this.#replaysDone);
      return Verdict.Drop;
    }
    if (this.#isRefused) return Verdict.Drop;
    if (this.#isStalePlan(fields)) {
      this.#remedy = this.#parts.owner.onStalePlan();
      if (this.#remedy !== null) {
        // Nothing of the next unit may reach the node before this one is run again.
        this.#client.hold();
        return Verdict.Drop;
      }
    }
    if (this.#canRunElsewhere() && this.#parts.owner.onRefusal(fields)) {
      this.#isRefused = true;
      this.#client.hold();
      return Verdict.Drop;
    }
    this.#instead = this.#parts.owner.onBackendError(fields);
    return this.#instead === null ? Verdict.Forward : Verdict.Drop;
  }

  /** What lay before the error has gone out; this goes where it would have gone. */
  #sayInstead(error: Buffer): void {
    this.#instead = null;
    this.onBackendRun(error, 0, error.length);
  }

  /** The client has part of the answer to the oldest unit. Behind a ReadyForQuery in the same chunk nothing has gone out yet. */
  get #isOut(): boolean {
    return this.#readyEnd === 0 && this.#parts.keeper.isOut;
  }

  /** An error that is mended by preparing the statement again, in a unit that can be run again as if nothing had been. */
  #isStalePlan(fields: ErrorFields): boolean {
    if (fields.sqlState !== STALE_PLAN.sqlState || fields.routine !== STALE_PLAN.routine) return false;
    const { record, unitOpen, scanner } = this.#client;
    return (
      !this.#isSecondRun &&
      this.#backend?.transactionStatus === TransactionStatus.Idle &&
      record.length === 1 &&
      !unitOpen &&
      !scanner.isInsideFrame &&
      record.isWhole(0) &&
      !this.#isOut &&
      isDescribed(record.frames(0))
    );
  }

  /** Every unit under way is kept whole, and the client has nothing of the answer to the oldest. */
  #canRunElsewhere(): boolean {
    const { record, unitOpen, scanner } = this.#client;
    return (
      this.#backend?.transactionStatus !== TransactionStatus.Failed &&
      !unitOpen &&
      !scanner.isInsideFrame &&
      record.length > 0 &&
      record.isWhole(0) &&
      !this.#isOut
    );
  }

  /** One of the refused units has ended; when it is the last one, all of them are read again. */
  #runElsewhere(): void {
    if (!this.#client.isQuiet) return;
    this.#isRefused = false;
    this.#parts.keeper.drop();
    this.#parts.owner.onUnitsRefused();
    this.#client.scanner.unread(this.#client.record.take(0));
    this.#client.resume();
  }

  #runAgain(remedy: Replay): void {
    const backend = this.#backend;
    this.#remedy = null;
    this.#isSecondRun = true;
    if (backend === null) return;
    this.#parts.keeper.drop();
    this.#parts.owner.onUnitTakenBack();
    this.#send(backend, remedy);
    this.#client.scanner.unread(this.#client.record.take(0));
    this.#client.resume();
  }
}

/**
 * WARNING of a backend whose server is stopped at once (57P01), or has crashed (57P02): its connection ends without another word, and
 * that is all it is about (`quickdie` in `src/backend/tcop/postgres.c` of PostgreSQL).
 */
function isLastWord(type: number, buffer: Buffer, start: number, end: number): boolean {
  if (type !== BackendType.NoticeResponse || end === NOT_READ) return false;
  const { severity, sqlState } = decodeErrorFields(buffer, start, end);
  return severity === 'WARNING' && (sqlState === '57P01' || sqlState === '57P02');
}

function slice(buffer: Buffer, start: number, end: number): Buffer {
  return start === 0 && end === buffer.length ? buffer : buffer.subarray(start, end);
}
