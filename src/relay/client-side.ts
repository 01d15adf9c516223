import type { Backend } from '../backend/backend.js';
import type { Counters } from '../metrics/counters.js';
import type { SessionTraffic } from '../metrics/traffic.js';
import type { Wire, WireHandler } from '../net/wire.js';
import { Frontend } from '../protocol/codes.js';
import { FrameScanner, NOT_READ, Verdict } from '../protocol/frame-scanner.js';
import type { CollectTable, FrameHandler } from '../protocol/frame-scanner.js';
import type { AbandonedRequests } from '../protocol/request-tracker.js';
import type { AnswerKeeper } from './answer-keeper.js';
import type { Flow } from './flow.js';
import { LostTransaction } from './lost-transaction.js';
import { Admission } from './relay.js';
import type { RelayOwner } from './relay.js';
import { SubstituteAnswers } from './substitute-answers.js';
import { UnitRecord } from './unit-record.js';

const HEADER_BYTES = 5;
const NOTHING = Buffer.alloc(0);

/** What both sides of a relay share. */
export interface RelayParts {
  readonly client: Wire;
  readonly owner: RelayOwner;
  readonly counters: Counters;
  readonly traffic: SessionTraffic;
  readonly flow: Flow;
  readonly keeper: AnswerKeeper;
}

/** The side of a relay that hears the client: cuts its bytes into units and sends them on, or answers them in a node's place. */
export class ClientSide implements WireHandler, FrameHandler {
  askAtUnit: boolean;
  substitutes: boolean;
  readonly scanner: FrameScanner;
  readonly record: UnitRecord;
  readonly answers: SubstituteAnswers;
  readonly lost: LostTransaction;
  /** Extended-protocol messages were sent whose Sync has not come yet. */
  unitOpen: boolean;
  /** A Flush was sent in the open unit, and nothing was bound or executed in it. */
  #onlyPrepares: boolean;
  #hasFlushed: boolean;
  /** The backend owes so many replies that no more is read before some have come. */
  waitsForReplies: boolean;
  /** The unit cannot be admitted before more of it is there. */
  wantsMore: boolean;
  /** The client has ended its sending side. */
  hasEnded: boolean;
  /** Where units go. */
  backend: Backend | null;
  /** What goes in place of the message that is being left out. */
  #substitute: Buffer | null;
  readonly #parts: RelayParts;

  constructor(parts: RelayParts, collect: CollectTable, messageBytesMax: number, replayBytesMax: () => number) {
    const say = (messages: Buffer): void => this.say(messages);
    this.askAtUnit = false;
    this.substitutes = false;
    this.#substitute = null;
    this.scanner = new FrameScanner(collect, messageBytesMax, this);
    this.record = new UnitRecord(replayBytesMax);
    this.answers = new SubstituteAnswers(say);
    this.lost = new LostTransaction(parts.owner, say);
    this.unitOpen = false;
    this.#onlyPrepares = true;
    this.#hasFlushed = false;
    this.waitsForReplies = false;
    this.wantsMore = false;
    this.hasEnded = false;
    this.backend = null;
    this.#parts = parts;
  }

  /** The Sync that ends the unit is still to come: none was sent, or a COPY has ignored it. */
  get isUnitOpen(): boolean {
    return this.unitOpen || (this.backend !== null && this.backend.tracker.isUnitOpen);
  }

  /** Nothing is owed and no unit is open. */
  get isQuiet(): boolean {
    return !this.isUnitOpen && (this.backend === null || this.backend.tracker.isEmpty);
  }

  /** Its input is left unread until somebody else says to go on. */
  get isWaiting(): boolean {
    return this.scanner.isStopped && !this.waitsForReplies && !this.wantsMore;
  }

  /** Nothing more of it is wanted now. */
  get isHeld(): boolean {
    return this.scanner.isStopped && !this.wantsMore;
  }

  /** The record holds exactly the units that are owed, and all frames of them but for the first `skipped` units. */
  isRecordWhole(owed: AbandonedRequests, skipped: number): boolean {
    const count = owed.readies + (owed.openUnit || this.unitOpen ? 1 : 0);
    return this.record.length === count && !this.scanner.isInsideFrame && this.record.isWhole(skipped);
  }

  say(messages: Buffer): void {
    this.#parts.counters.clientBytesOut += messages.length;
    this.#parts.traffic.counts.bytesOut += messages.length;
    this.#parts.flow.toClient(messages, this.backend);
  }

  /** Leaves its input unread until `resume`, whatever it has waited for. */
  hold(): void {
    this.waitsForReplies = false;
    this.wantsMore = false;
    this.scanner.pause();
  }

  resume(): void {
    this.waitsForReplies = false;
    this.wantsMore = false;
    this.scanner.resume();
    this.#parts.flow.regulateClient(this.isHeld);
  }

  /** The open unit is over; what comes next is another one. */
  endUnit(): void {
    this.unitOpen = false;
    this.record.ended();
    const kept = this.#parts.keeper.complete(NOTHING);
    if (kept.length > 0) this.say(kept);
  }

  /** A client that has ended its sending side can never say what the node still waits for. `isCopyBoth`: nor when it may stop. */
  endOrphan(isCopyBoth: boolean): void {
    if (!this.hasEnded || this.backend === null || this.isQuiet) return;
    if (isCopyBoth || this.backend.tracker.needsClient) this.#parts.owner.onClientClose(null);
  }

  // ---- the client's wire

  onChunk(chunk: Buffer): void {
    this.#parts.counters.clientBytesIn += chunk.length;
    this.#parts.traffic.counts.bytesIn += chunk.length;
    const hasMore = this.wantsMore;
    this.scanner.push(chunk);
    if (hasMore) this.resume();
    if (this.isHeld) this.#parts.flow.regulateClient(true);
  }

  onDrain(): void {
    this.#parts.flow.clientDrained(this.backend, this.isHeld);
  }

  onEnd(): void {
    this.hasEnded = true;
    this.#parts.owner.onClientEnd();
  }

  onClose(error: Error | null): void {
    this.scanner.close();
    this.#parts.owner.onClientClose(error);
  }

  // ---- the client's frames

  onFrame(type: number, buffer: Buffer, start: number, end: number): Verdict {
    if (this.answers.isSkipping && type !== Frontend.Terminate) {
      this.answers.skip(type);
      return Verdict.Drop;
    }
    if (this.lost.isActive && this.lost.take(type, buffer, start, end)) return Verdict.Drop;
    switch (type) {
      case Frontend.Query:
      case Frontend.Parse:
      case Frontend.Bind:
      case Frontend.Describe:
      case Frontend.Execute:
      case Frontend.Close:
      case Frontend.Sync:
      case Frontend.FunctionCall:
        return this.#onRequest(type, buffer, start, end);
      case Frontend.CopyData:
        this.record.forget();
        return this.backend === null ? Verdict.Drop : Verdict.ForwardAlike;
      case Frontend.CopyDone:
      case Frontend.CopyFail:
        this.record.forget();
        if (this.backend === null) return Verdict.Drop;
        this.backend.tracker.sent(type, false);
        return Verdict.Forward;
      case Frontend.Flush:
        if (this.backend === null) return Verdict.Drop;
        this.#parts.keeper.flush();
        this.#hasFlushed = true;
        this.#keep(buffer, start, end);
        return Verdict.Forward;
      case Frontend.Terminate:
        return Verdict.Drop;
      default:
        this.scanner.close();
        this.#parts.owner.onClientViolation(`invalid frontend message type ${type}`);
        return Verdict.Drop;
    }
  }

  onRun(buffer: Buffer, start: number, end: number): void {
    if (this.backend === null) return;
    const bytes = start === 0 && end === buffer.length ? buffer : buffer.subarray(start, end);
    this.#parts.flow.toBackend(bytes, this.backend);
  }

  onFlushed(type: number): void {
    if (this.#substitute !== null) {
      // Nothing of it is wanted before the Sync or Flush behind it.
      this.#parts.flow.aheadOfClient(this.#substitute);
      this.#substitute = null;
      return;
    }
    if (type !== Frontend.Terminate) return;
    this.scanner.close();
    this.#parts.owner.onTerminate();
  }

  onViolation(message: string): void {
    this.#parts.owner.onClientViolation(message);
  }

  /** A frame that the node answers. */
  #onRequest(type: number, buffer: Buffer, start: number, end: number): Verdict {
    const { owner, counters, traffic } = this.#parts;
    const isFirst = !this.isUnitOpen;
    if (isFirst) {
      if (this.answers.isRejecting) {
        this.answers.reject(type);
        return Verdict.Drop;
      }
      if (this.backend === null && type === Frontend.Sync) {
        this.answers.ready();
        return Verdict.Drop;
      }
      // A Sync behind others has nothing to be asked about, and may be what ends one of them: a COPY ignores those that come before its data.
      const isLate = type === Frontend.Sync && this.record.length > 0;
      if (this.backend === null || (this.askAtUnit && !isLate)) {
        const admission = owner.onUnitStart(type, buffer, start, end);
        this.wantsMore = admission === Admission.More;
        if (admission !== Admission.Go) return Verdict.Stop;
      }
    }
    const { backend } = this;
    if (backend === null) return Verdict.Stop;
    if (!isFirst && this.#goesOn(type, backend) && owner.onUnitGoesOn()) return Verdict.Stop;
    if (backend.tracker.isFull) {
      this.waitsForReplies = true;
      return Verdict.Stop;
    }
    if (isFirst) {
      this.record.begin();
      traffic.begins();
      this.#onlyPrepares = true;
      this.#hasFlushed = false;
    }
    if (type === Frontend.Bind || type === Frontend.Execute) this.#onlyPrepares = false;
    this.#keep(buffer, start, end);
    if (type !== Frontend.Describe) owner.onClientFrame(type, buffer, start, end);
    switch (type) {
      case Frontend.Query:
      case Frontend.FunctionCall:
        counters.statements += 1;
        this.unitOpen = false;
        break;
      case Frontend.Sync:
        this.unitOpen = false;
        break;
      case Frontend.Execute:
        counters.statements += 1;
        this.unitOpen = true;
        break;
      case Frontend.Parse:
        traffic.counts.parses += 1;
        this.unitOpen = true;
        break;
      case Frontend.Bind:
        traffic.counts.binds += 1;
        this.unitOpen = true;
        break;
      default:
        this.unitOpen = true;
    }
    backend.tracker.sent(type, false);
    if (this.substitutes && end !== NOT_READ && (type === Frontend.Bind || type === Frontend.Describe)) {
      this.#substitute = owner.substituteFor(type, buffer, start, end);
      if (this.#substitute !== null) return Verdict.Drop;
    }
    return Verdict.Forward;
  }

  /** The open unit has only prepared statements, up to a Flush, and all of that is answered well. */
  #goesOn(type: number, { tracker }: Backend): boolean {
    if (!this.askAtUnit || !this.#hasFlushed || !this.#onlyPrepares || type === Frontend.Sync) return false;
    return tracker.isEmpty && !tracker.isSkipping;
  }

  #keep(buffer: Buffer, start: number, end: number): void {
    if (end === NOT_READ) this.record.forget();
    else this.record.add(buffer, start - HEADER_BYTES, end);
  }
}
