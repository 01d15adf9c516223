import { SinkMode } from '../backend/backend.js';
import { deafSink } from '../backend/idle-sink.js';
import type { Backend, BackendSink } from '../backend/backend.js';
import type { Counters } from '../metrics/counters.js';
import type { Wire, WireHandler } from '../net/wire.js';
import { BackendType, Frontend, TransactionStatus } from '../protocol/codes.js';
import { decodeErrorFields, isFatal } from '../protocol/error-fields.js';
import type { ErrorFields } from '../protocol/error-fields.js';
import { FrameScanner, NOT_READ, Verdict } from '../protocol/frame-scanner.js';
import type { CollectTable, FrameHandler } from '../protocol/frame-scanner.js';
import { Reply } from '../protocol/request-tracker.js';
import type { AbandonedRequests } from '../protocol/request-tracker.js';
import { Admission } from './relay.js';
import type { Relay, RelayOwner, Replay } from './relay.js';
import { SubstituteAnswers } from './substitute-answers.js';

/** The relay on Node's streams. Hot path: plain calls, no allocation per message. */
export class StreamRelay implements Relay, WireHandler, FrameHandler, BackendSink {
  askAtUnit: boolean;
  readonly #client: Wire;
  readonly #owner: RelayOwner;
  readonly #counters: Counters;
  readonly #scanner: FrameScanner;
  #backend: Backend | null;
  /** Extended-protocol messages were sent whose Sync has not come yet. */
  #unitOpen: boolean;
  readonly #answers: SubstituteAnswers;
  /** ReadyForQuery messages still to come for what we sent ourselves. */
  #replaysLeft: number;
  #farewell: ErrorFields | null;
  #clientFull: boolean;
  #backendFull: boolean;
  #waitsForReplies: boolean;
  /** The client has ended its sending side. */
  #clientEnded: boolean;
  /** The node streams and listens at the same time (replication). */
  #copyBoth: boolean;

  /** Takes the client's wire over; `rest` are bytes of it that were read during start-up. The client is read after `resume`. */
  constructor(
    client: Wire,
    rest: Buffer,
    owner: RelayOwner,
    collect: CollectTable,
    messageBytesMax: number,
    counters: Counters,
  ) {
    this.askAtUnit = false;
    this.#client = client;
    this.#owner = owner;
    this.#counters = counters;
    this.#scanner = new FrameScanner(collect, messageBytesMax, this);
    this.#backend = null;
    this.#unitOpen = false;
    this.#answers = new SubstituteAnswers((messages) => this.say(messages));
    this.#replaysLeft = 0;
    this.#farewell = null;
    this.#clientFull = false;
    this.#backendFull = false;
    this.#waitsForReplies = false;
    this.#clientEnded = false;
    this.#copyBoth = false;
    client.pause();
    client.handler = this;
    this.#scanner.pause();
    if (rest.length > 0) this.#scanner.push(rest);
  }

  get backend(): Backend | null {
    return this.#backend;
  }

  get isAtBoundary(): boolean {
    return !this.#isUnitOpen && (this.#backend === null || this.#backend.isAtBoundary);
  }

  get isQuiet(): boolean {
    return !this.#isUnitOpen && (this.#backend === null || this.#backend.tracker.isEmpty);
  }

  /** The Sync that ends the unit is still to come: none was sent, or a COPY has ignored it. */
  get #isUnitOpen(): boolean {
    return this.#unitOpen || (this.#backend !== null && this.#backend.tracker.isUnitOpen);
  }

  get isWaiting(): boolean {
    return this.#scanner.isStopped && !this.#waitsForReplies;
  }

  attach(backend: Backend, replay: Replay | null): void {
    this.#backend = backend;
    this.#farewell = null;
    this.#backendFull = false;
    this.#replaysLeft = 0;
    backend.attach(this, SinkMode.Relay);
    if (replay === null) return;
    for (const type of replay.types) {
      backend.tracker.sent(type, true);
      if (type === Frontend.Query || type === Frontend.Sync) this.#replaysLeft += 1;
    }
    backend.send(replay.bytes);
  }

  detach(): Backend | null {
    const backend = this.#backend;
    this.#backend = null;
    this.#releaseFlow(backend);
    return backend;
  }

  cut(error: Error): void {
    this.#lose(error);
  }

  resume(): void {
    this.#waitsForReplies = false;
    this.#scanner.resume();
    this.#regulateClient();
  }

  rejectUnit(error: Buffer): void {
    this.#answers.rejectNext(error);
    this.resume();
  }

  failUnits(error: Buffer, owed: AbandonedRequests): void {
    this.#answers.fail(error, owed, this.#unitOpen);
    this.#unitOpen = false;
  }

  say(messages: Buffer): void {
    this.#counters.clientBytesOut += messages.length;
    if (!this.#client.write(messages)) this.#pauseBackend();
  }

  close(last: Buffer | null): void {
    this.#scanner.close();
    if (last === null) this.#client.end();
    else this.#client.end(last);
  }

  destroy(): void {
    this.#scanner.close();
    this.#client.destroy();
  }

  // ---- the client's wire

  onChunk(chunk: Buffer): void {
    this.#counters.clientBytesIn += chunk.length;
    this.#scanner.push(chunk);
    if (this.#scanner.isStopped) this.#regulateClient();
  }

  onDrain(): void {
    this.#clientFull = false;
    this.#backend?.wire.resume();
  }

  onEnd(): void {
    this.#clientEnded = true;
    this.#owner.onClientEnd();
    this.#endOrphan();
  }

  onClose(error: Error | null): void {
    this.#scanner.close();
    this.#owner.onClientClose(error);
  }

  onFrame(type: number, buffer: Buffer, start: number, end: number): Verdict {
    if (this.#answers.isSkipping && type !== Frontend.Terminate) {
      this.#answers.skip(type);
      return Verdict.Drop;
    }
    switch (type) {
      case Frontend.CopyData:
        return this.#backend === null ? Verdict.Drop : Verdict.Forward;
      case Frontend.Query:
      case Frontend.Parse:
      case Frontend.Bind:
      case Frontend.Describe:
      case Frontend.Execute:
      case Frontend.Close:
      case Frontend.Sync:
      case Frontend.FunctionCall:
        break;
      case Frontend.CopyDone:
      case Frontend.CopyFail:
      case Frontend.Flush:
        if (this.#backend === null) return Verdict.Drop;
        this.#backend.tracker.sent(type, false);
        return Verdict.Forward;
      case Frontend.Terminate:
        return Verdict.Drop;
      default:
        this.#scanner.close();
        this.#owner.onClientViolation(`invalid frontend message type ${type}`);
        return Verdict.Drop;
    }
    if (!this.#isUnitOpen) {
      if (this.#answers.isRejecting) {
        this.#answers.reject(type);
        return Verdict.Drop;
      }
      if (this.#backend === null && type === Frontend.Sync) {
        this.#answers.ready();
        return Verdict.Drop;
      }
      if (this.#backend === null || this.askAtUnit) {
        if (this.#owner.onUnitStart(type, buffer, start, end) === Admission.Wait) return Verdict.Stop;
      }
    }
    const backend = this.#backend;
    if (backend === null) return Verdict.Stop;
    if (backend.tracker.isFull) {
      this.#waitsForReplies = true;
      return Verdict.Stop;
    }
    switch (type) {
      case Frontend.Query:
      case Frontend.FunctionCall:
        this.#counters.statements += 1;
        this.#owner.onClientFrame(type, buffer, start, end);
        this.#unitOpen = false;
        break;
      case Frontend.Sync:
        this.#owner.onClientFrame(type, buffer, start, end);
        this.#unitOpen = false;
        break;
      case Frontend.Execute:
        this.#counters.statements += 1;
        this.#owner.onClientFrame(type, buffer, start, end);
        this.#unitOpen = true;
        break;
      case Frontend.Parse:
      case Frontend.Bind:
      case Frontend.Close:
        this.#owner.onClientFrame(type, buffer, start, end);
        this.#unitOpen = true;
        break;
      default:
        this.#unitOpen = true;
    }
    backend.tracker.sent(type, false);
    return Verdict.Forward;
  }

  onRun(buffer: Buffer, start: number, end: number): void {
    const backend = this.#backend;
    if (backend === null) return;
    const bytes = start === 0 && end === buffer.length ? buffer : buffer.subarray(start, end);
    if (!backend.send(bytes)) {
      this.#backendFull = true;
      this.#client.pause();
    }
  }

  onFlushed(type: number): void {
    if (type === Frontend.Terminate) {
      this.#scanner.close();
      this.#owner.onTerminate();
    }
  }

  onViolation(message: string): void {
    this.#owner.onClientViolation(message);
  }

  // ---- the backend

  onBackendFrame(type: number, reply: Reply, buffer: Buffer, start: number, end: number): Verdict {
    if (type === BackendType.DataRow && reply === Reply.Forward) return Verdict.Forward;
    if (type === BackendType.ParameterStatus) {
      if (end === NOT_READ) return Verdict.Forward;
      return this.#owner.onParameter(buffer, start, end) && this.#replaysLeft === 0 ? Verdict.Forward : Verdict.Drop;
    }
    if (type === BackendType.ErrorResponse) return this.#onError(reply, buffer, start, end);
    switch (reply) {
      case Reply.Swallow:
        return Verdict.Drop;
      case Reply.Violation:
        this.#lose(new Error(`unexpected message type 0x${type.toString(16)} from the node`));
        return Verdict.Drop;
      case Reply.Unsolicited:
        return Verdict.Forward;
      case Reply.Forward:
      default:
    }
    switch (type) {
      case BackendType.ReadyForQuery:
        this.#copyBoth = false;
        this.#owner.onUnitEnd();
        return this.isQuiet || this.#clientEnded ? Verdict.ForwardAndFlush : Verdict.Forward;
      case BackendType.CopyBothResponse:
        this.#copyBoth = true;
        return this.#clientEnded ? Verdict.ForwardAndFlush : Verdict.Forward;
      case BackendType.CopyInResponse:
        return this.#clientEnded ? Verdict.ForwardAndFlush : Verdict.Forward;
      case BackendType.ParseComplete:
      case BackendType.CloseComplete:
        this.#owner.onAcknowledged(type);
        return Verdict.Forward;
      case BackendType.CommandComplete:
      case BackendType.EmptyQueryResponse:
      case BackendType.PortalSuspended:
        this.#owner.onCommandEnd(type, buffer, start, end);
        return Verdict.Forward;
      default:
        return Verdict.Forward;
    }
  }

  onBackendRun(buffer: Buffer, start: number, end: number): void {
    this.#counters.clientBytesOut += end - start;
    const bytes = start === 0 && end === buffer.length ? buffer : buffer.subarray(start, end);
    if (!this.#client.write(bytes)) this.#pauseBackend();
    // Not at the end of a unit only: one unit may hold more requests than may be outstanding.
    if (this.#waitsForReplies && this.#backend?.tracker.isHalfEmpty === true) this.resume();
  }

  onBackendFlushed(type: number): void {
    if (type === BackendType.ReadyForQuery) {
      if (this.#replaysLeft > 0) {
        this.#replaysLeft -= 1;
        if (this.#replaysLeft === 0) this.#owner.onReplayDone();
        return;
      }
      if (this.isQuiet) this.#owner.onQuiet();
      else this.#endOrphan();
    } else if (type === BackendType.ErrorResponse) {
      if (this.#farewell !== null) this.#lose(null);
    } else this.#endOrphan();
  }

  onBackendDrain(): void {
    this.#backendFull = false;
    this.#regulateClient();
  }

  onBackendClose(error: Error | null): void {
    this.#lose(error);
  }

  // ----

  /** A client that has ended its sending side can never say what the node still waits for. */
  #endOrphan(): void {
    const backend = this.#backend;
    if (!this.#clientEnded || backend === null || this.isQuiet) return;
    if (this.#copyBoth || backend.tracker.needsClient) this.#owner.onClientClose(null);
  }

  #onError(reply: Reply, buffer: Buffer, start: number, end: number): Verdict {
    if (end === NOT_READ) return reply === Reply.Swallow ? Verdict.Drop : Verdict.Forward;
    const fields = decodeErrorFields(buffer, start, end);
    if (isFatal(fields) || reply === Reply.Unsolicited) {
      this.#farewell = fields;
      return Verdict.Drop;
    }
    if (reply === Reply.Swallow) {
      this.#owner.onReplayError(fields);
      return Verdict.Drop;
    }
    this.#owner.onBackendError(fields);
    return Verdict.Forward;
  }

  #lose(error: Error | null): void {
    const backend = this.#backend;
    if (backend === null) return;
    const isStreamBroken = backend.isInsideForwardedFrame;
    const abandoned = backend.tracker.abandon();
    // The node's farewell counts as an answer for the tracker, but the client has not had it.
    const owed = this.#farewell === null ? abandoned : { ...abandoned, isErrorSent: false };
    const wasInTransaction = backend.transactionStatus !== TransactionStatus.Idle;
    const isUnitCut = owed.readies > 0 || owed.openUnit || this.#unitOpen;
    const farewell = this.#farewell;
    this.#backend = null;
    this.#replaysLeft = 0;
    this.#waitsForReplies = false;
    this.#releaseFlow(backend);
    backend.destroy();
    backend.attach(deafSink, SinkMode.Own);
    this.#owner.onBackendLost({ backend, farewell, error, owed, isStreamBroken, isUnitCut, wasInTransaction });
  }

  #pauseBackend(): void {
    this.#clientFull = true;
    this.#backend?.wire.pause();
  }

  /** The backend leaves: nobody must stay paused for its sake, nor it for the client's. */
  #releaseFlow(backend: Backend | null): void {
    if (this.#clientFull) backend?.wire.resume();
    this.#backendFull = false;
    this.#regulateClient();
  }

  #regulateClient(): void {
    if (this.#scanner.isStopped || this.#backendFull) this.#client.pause();
    else this.#client.resume();
  }
}
