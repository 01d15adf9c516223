/**
 * Cuts a stream of protocol-3 messages into frames without copying what is only passed on.
 *
 *   +------+-----------------------+------------------+
 *   | type | length (4, incl. own) | body (length - 4) |
 *   +------+-----------------------+------------------+
 *
 * The handler is asked once per frame, as soon as its header is there, or as soon as it is there whole when its type is one whose body
 * is wanted (`collect`). Forwarded frames that lie side by side go out as one run. The sequence of `onFrame` and `onFlushed` calls, and
 * the bytes of all runs put together, are the same for every way of cutting the input
 * (but for frames that `ForwardAlike` spares the handler).
 */

/** What becomes of a frame. */
export const Verdict = {
  /** Goes out with the run it lies in. */
  Forward: 0,
  /** Goes out, and the run with it, before anything else happens; then `onFlushed` is called. */
  ForwardAndFlush: 1,
  /** Is left out; the run before it has gone out when `onFlushed` is called. */
  Drop: 2,
  /** Is left unread, with all that follows, until `resume`. */
  Stop: 3,
  /** Goes out, and so do those of its type that follow it whole in the same input: the handler need not be asked, for it has no more to note. */
  ForwardAlike: 4,
} as const;
export type Verdict = (typeof Verdict)[keyof typeof Verdict];

/** Passed as `end` when the body was not read: not wanted for this type, or longer than the wanted size. */
export const NOT_READ = -1;

const HEADER_BYTES = 5;

export interface FrameHandler {
  /**
   * `buffer` is borrowed until return. The body is `buffer[start, end)`, or was not read when `end` is `NOT_READ`; `bodyBytes` is its
   * length either way.
   */
  onFrame(type: number, buffer: Buffer, start: number, end: number, bodyBytes: number): Verdict;
  /** Bytes to pass on: `buffer[start, end)`. They do not change afterwards and may be kept. */
  onRun(buffer: Buffer, start: number, end: number): void;
  /** Follows a frame that was answered with `ForwardAndFlush` or `Drop`. */
  onFlushed(type: number): void;
  /** The input is not the protocol. The scanner takes no more. */
  onViolation(message: string): void;
}

/** For each type byte, up to how many bytes of body are wanted; 0: never. */
export type CollectTable = Uint32Array;

/** Makes a table that wants `bytesMax` of the given types. */
export function collectTable(entries: Readonly<Record<number, number>>): CollectTable {
  const table = new Uint32Array(256);
  for (const [type, bytesMax] of Object.entries(entries)) table[Number(type)] = bytesMax;
  return table;
}

/** Makes a table that wants every body up to `bytesMax`. */
export function collectAll(bytesMax: number): CollectTable {
  return new Uint32Array(256).fill(bytesMax);
}

export class FrameScanner {
  /** May be changed between two frames of which none is half read (at a boundary). */
  collect: CollectTable;
  handler: FrameHandler;
  readonly #lengthMax: number;
  /** Input not yet scanned: an incomplete frame, or what lies behind a stop. */
  #carry: Buffer[];
  #carryBytes: number;
  /** Bytes that must be there before scanning is worth it. */
  #needBytes: number;
  /** Bytes still missing of a frame that is being passed on or left out. */
  #bodyLeft: number;
  #bodyType: number;
  #bodyVerdict: Verdict;
  #stopped: boolean;
  #closed: boolean;

  /** `lengthMax`: longest message in bytes (its length field). */
  constructor(collect: CollectTable, lengthMax: number, handler: FrameHandler) {
    this.collect = collect;
    this.handler = handler;
    this.#lengthMax = lengthMax;
    this.#carry = [];
    this.#carryBytes = 0;
    this.#needBytes = 0;
    this.#bodyLeft = 0;
    this.#bodyType = 0;
    this.#bodyVerdict = Verdict.Forward;
    this.#stopped = false;
    this.#closed = false;
  }

  get isStopped(): boolean {
    return this.#stopped;
  }

  /** True when a frame was passed on only in part: nothing may be put in between. */
  get isInsideForwardedFrame(): boolean {
    return this.#bodyLeft > 0 && this.#bodyVerdict !== Verdict.Drop;
  }

  /** A frame is being passed on or left out whose end has not come. */
  get isInsideFrame(): boolean {
    return this.#bodyLeft > 0;
  }

  /** True when nothing is kept and no frame is half read. */
  get isAtRest(): boolean {
    return this.#bodyLeft === 0 && this.#carryBytes === 0;
  }

  /** Takes a chunk; it is the scanner's from now on. */
  push(chunk: Buffer): void {
    if (this.#closed) return;
    if (this.#carryBytes === 0 && !this.#stopped) {
      this.#scan(chunk);
      return;
    }
    this.#carry.push(chunk);
    this.#carryBytes += chunk.length;
    if (!this.#stopped && this.#carryBytes >= this.#needBytes) this.#scan(this.#takeCarry());
  }

  /** Leaves everything unread until `resume`. Not to be called from inside a handler: answer `Stop` there. */
  pause(): void {
    this.#stopped = true;
  }

  /** Goes on after a stop, from the frame that was left unread. Not to be called from inside a handler. */
  resume(): void {
    if (!this.#stopped || this.#closed) return;
    this.#stopped = false;
    if (this.#carryBytes > 0) this.#scan(this.#takeCarry());
  }

  /**
   * Puts whole frames in front of what is unread, and stops: they are read at `resume`. Only where no frame is half passed on. Not to be
   * called from inside a handler.
   */
  unread(frames: Buffer): void {
    if (this.#closed) return;
    this.#stopped = true;
    if (frames.length === 0) return;
    this.#carry.unshift(frames);
    this.#carryBytes += frames.length;
  }

  /** Takes no more input; what was kept is forgotten. Allowed from inside a handler. */
  close(): void {
    this.#closed = true;
    this.#carry = [];
    this.#carryBytes = 0;
  }

  #takeCarry(): Buffer {
    const bytes = this.#carryBytes;
    this.#carryBytes = 0;
    const only = this.#carry.length === 1 ? this.#carry.pop() : undefined;
    return only ?? Buffer.concat(this.#carry.splice(0), bytes);
  }

  #keep(buffer: Buffer, from: number, needBytes: number): void {
    if (this.#closed || from >= buffer.length) return;
    this.#carry.push(from === 0 ? buffer : buffer.subarray(from));
    this.#carryBytes = buffer.length - from;
    this.#needBytes = needBytes;
  }

  /** Where the frames of this type end that lie behind `from` and are whole and as long as they may be. */
  #endOfAlike(type: number, buffer: Buffer, from: number): number {
    const end = buffer.length;
    let at = from;
    while (end - at >= HEADER_BYTES && buffer[at] === type) {
      const length = buffer.readUInt32BE(at + 1);
      const next = at + 1 + length;
      if (length < 4 || length > this.#lengthMax || next > end) break;
      at = next;
    }
    return at;
  }

  #scan(buffer: Buffer): void {
    const end = buffer.length;
    let at = 0;
    let runStart = 0;
    if (this.#bodyLeft > 0) {
      at = Math.min(this.#bodyLeft, end);
      this.#bodyLeft -= at;
      if (this.#bodyVerdict === Verdict.Drop) runStart = at;
      if (this.#bodyLeft === 0 && this.#bodyVerdict !== Verdict.Forward) {
        if (runStart < at) this.handler.onRun(buffer, runStart, at);
        if (this.#closed) return;
        runStart = at;
        this.handler.onFlushed(this.#bodyType);
        if (this.#closed) return;
      }
    }
    while (at < end) {
      if (end - at < HEADER_BYTES) {
        if (runStart < at) this.handler.onRun(buffer, runStart, at);
        this.#keep(buffer, at, HEADER_BYTES);
        return;
      }
      const type = buffer.readUInt8(at);
      const length = buffer.readUInt32BE(at + 1);
      if (length < 4 || length > this.#lengthMax) {
        if (runStart < at) this.handler.onRun(buffer, runStart, at);
        if (this.#closed) return;
        this.close();
        this.handler.onViolation(`invalid message length ${length} of message type 0x${type.toString(16)}`);
        return;
      }
      const bodyBytes = length - 4;
      const wanted = this.collect[type] ?? 0;
      const isRead = wanted > 0 && bodyBytes <= wanted;
      const next = at + 1 + length;
      if (isRead && next > end) {
        if (runStart < at) this.handler.onRun(buffer, runStart, at);
        this.#keep(buffer, at, 1 + length);
        return;
      }
      const verdict = this.handler.onFrame(type, buffer, at + HEADER_BYTES, isRead ? next : NOT_READ, bodyBytes);
      if (this.#closed) return;
      if (verdict === Verdict.Stop) {
        if (runStart < at) this.handler.onRun(buffer, runStart, at);
        this.#stopped = true;
        this.#keep(buffer, at, 0);
        return;
      }
      if (next > end) {
        if (verdict === Verdict.Drop) {
          if (runStart < at) this.handler.onRun(buffer, runStart, at);
        } else this.handler.onRun(buffer, runStart, end);
        this.#bodyLeft = next - end;
        this.#bodyType = type;
        this.#bodyVerdict = verdict === Verdict.ForwardAlike ? Verdict.Forward : verdict;
        return;
      }
      if (verdict === Verdict.Drop) {
        if (runStart < at) this.handler.onRun(buffer, runStart, at);
        if (this.#closed) return;
        runStart = next;
        this.handler.onFlushed(type);
        if (this.#closed) return;
      } else if (verdict === Verdict.ForwardAndFlush) {
        this.handler.onRun(buffer, runStart, next);
        if (this.#closed) return;
        runStart = next;
        this.handler.onFlushed(type);
        if (this.#closed) return;
      }
      at = verdict === Verdict.ForwardAlike ? this.#endOfAlike(type, buffer, next) : next;
    }
    if (runStart < end) this.handler.onRun(buffer, runStart, end);
  }
}
