import { BackendType, TransactionStatus } from '../protocol/codes.js';
import { collectAll, collectTable, FrameScanner, NOT_READ } from '../protocol/frame-scanner.js';
import type { CollectTable, FrameHandler, Verdict } from '../protocol/frame-scanner.js';
import type { Reply } from '../protocol/request-tracker.js';
import { RequestTracker } from '../protocol/request-tracker.js';
import type { NodeName } from '../util/brand.js';
import type { Wire, WireHandler } from '../net/wire.js';

/** Longest ErrorResponse, NoticeResponse or ParameterStatus that is read; a longer one is passed on unread. */
const NOTED_BODY_BYTES_MAX = 64 * 1024;
/** Longest row or message of an answer to a question of our own. */
const OWN_BODY_BYTES_MAX = 1024 * 1024;

const relayCollect: CollectTable = collectTable({
  [BackendType.ReadyForQuery]: 1,
  [BackendType.ErrorResponse]: NOTED_BODY_BYTES_MAX,
  [BackendType.NoticeResponse]: NOTED_BODY_BYTES_MAX,
  [BackendType.ParameterStatus]: NOTED_BODY_BYTES_MAX,
  [BackendType.CommandComplete]: 256,
});
const ownCollect: CollectTable = collectAll(OWN_BODY_BYTES_MAX);

/** Who gets what a backend says. One at a time. Calls are synchronous; see FrameHandler for the buffers. */
export interface BackendSink {
  /** `reply` says whether the client asked for it, we did, or nobody. The tracker has already taken note. */
  onBackendFrame(type: number, reply: Reply, buffer: Buffer, start: number, end: number, bodyBytes: number): Verdict;
  onBackendRun(buffer: Buffer, start: number, end: number): void;
  onBackendFlushed(type: number): void;
  /** The wire to the node has room again. */
  onBackendDrain(): void;
  /** The connection is gone; no call follows. `error` is null after an orderly close. */
  onBackendClose(error: Error | null): void;
}

/** How many bytes of which messages the sink wants to read. */
export const SinkMode = { Relay: 'relay', Own: 'own' } as const;
export type SinkMode = (typeof SinkMode)[keyof typeof SinkMode];

/** Where a backend is connected to and as whom. */
export interface BackendIdentity {
  readonly node: NodeName;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
}

/**
 * One connection of ours to a node. It owns the wire, the scanner of what the node says and the FIFO of what the node owes; whoever is
 * attached is its sink.
 */
export class Backend implements WireHandler, FrameHandler {
  readonly identity: BackendIdentity;
  readonly wire: Wire;
  readonly tracker: RequestTracker;
  /** What the node reported with ParameterStatus. */
  readonly parameters: Map<string, string>;
  readonly openedAtMs: number;
  /** From BackendKeyData; 0 and empty before log-in. */
  processId: number;
  cancelKey: Buffer;
  transactionStatus: TransactionStatus;
  /** ReadyForQuery messages outside of a transaction: tells one transaction from the next, a single statement being one too. */
  transactionsEnded: number;
  /** It proved on this very connection that it is off recovery, of the right cluster and on no old timeline. */
  isProvenPrimary: boolean;
  /**
   * Cancel requests that are aimed at it and under way, or of which nobody knows what became: it is not given on before they are over, and
   * with the latter never.
   */
  cancelsInFlight: number;
  #sink: BackendSink;
  readonly #scanner: FrameScanner;
  #closed: boolean;

  constructor(identity: BackendIdentity, wire: Wire, sink: BackendSink, messageBytesMax: number, openedAtMs: number) {
    this.identity = identity;
    this.wire = wire;
    this.tracker = new RequestTracker();
    this.parameters = new Map();
    this.openedAtMs = openedAtMs;
    this.processId = 0;
    this.cancelKey = Buffer.alloc(0);
    this.transactionStatus = TransactionStatus.Idle;
    this.transactionsEnded = 0;
    this.isProvenPrimary = false;
    this.cancelsInFlight = 0;
    this.#sink = sink;
    this.#scanner = new FrameScanner(ownCollect, messageBytesMax, this);
    this.#closed = false;
    wire.handler = this;
    wire.resume();
  }

  get closed(): boolean {
    return this.#closed || this.wire.closed;
  }

  /** Nothing is owed, no transaction is open and no message is half read: it can change its owner. */
  get isAtBoundary(): boolean {
    return this.tracker.isEmpty && this.transactionStatus === TransactionStatus.Idle && this.#scanner.isAtRest;
  }

  /** True when the client has got a message of this backend only in part. */
  get isInsideForwardedFrame(): boolean {
    return this.#scanner.isInsideForwardedFrame;
  }

  /** Who hears what the node says. */
  get sink(): BackendSink {
    return this.#sink;
  }

  /** Gives what the node says to `sink` from the next message on. */
  attach(sink: BackendSink, mode: SinkMode): void {
    this.#sink = sink;
    this.#scanner.collect = mode === SinkMode.Relay ? relayCollect : ownCollect;
  }

  /** Sends whole messages; the caller has told the tracker. False: full, wait for `onBackendDrain`. */
  send(bytes: Buffer): boolean {
    return this.wire.write(bytes);
  }

  /** Ends the connection in order, with a Terminate message. */
  terminate(): void {
    if (this.closed) return;
    this.wire.end(Buffer.from([0x58, 0, 0, 0, 4]));
  }

  /** Ends the connection at once. */
  destroy(): void {
    this.wire.destroy();
  }

  onChunk(chunk: Buffer): void {
    this.#scanner.push(chunk);
  }

  onDrain(): void {
    this.#sink.onBackendDrain();
  }

  onEnd(): void {
    this.wire.end();
  }

  onClose(error: Error | null): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#scanner.close();
    this.#sink.onBackendClose(error);
  }

  onFrame(type: number, buffer: Buffer, start: number, end: number, bodyBytes: number): Verdict {
    const reply = this.tracker.received(type);
    if (end !== NOT_READ) {
      if (type === BackendType.ReadyForQuery && bodyBytes === 1) this.#noteStatus(buffer.readUInt8(start));
      else if (type === BackendType.ParameterStatus) this.#noteParameter(buffer, start, end);
    }
    return this.#sink.onBackendFrame(type, reply, buffer, start, end, bodyBytes);
  }

  onRun(buffer: Buffer, start: number, end: number): void {
    this.#sink.onBackendRun(buffer, start, end);
  }

  onFlushed(type: number): void {
    this.#sink.onBackendFlushed(type);
  }

  onViolation(message: string): void {
    this.onClose(new Error(message));
    this.wire.destroy();
  }

  #noteStatus(status: number): void {
    if (status === TransactionStatus.Idle) this.transactionsEnded += 1;
    if (
      status === TransactionStatus.Idle ||
      status === TransactionStatus.InTransaction ||
      status === TransactionStatus.Failed
    ) {
      this.transactionStatus = status;
    }
  }

  #noteParameter(buffer: Buffer, start: number, end: number): void {
    const nameEnd = buffer.indexOf(0, start);
    if (nameEnd < 0 || nameEnd >= end) return;
    const valueEnd = buffer.indexOf(0, nameEnd + 1);
    if (valueEnd < 0 || valueEnd >= end) return;
    this.parameters.set(buffer.toString('utf8', start, nameEnd), buffer.toString('utf8', nameEnd + 1, valueEnd));
  }
}
