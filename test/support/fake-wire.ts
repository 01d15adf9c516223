import type { Wire, WireHandler } from '../../src/net/wire.js';

const nobody: WireHandler = { onChunk: () => {}, onDrain: () => {}, onEnd: () => {}, onClose: () => {} };

/** A connection without a peer: what is written is kept, and tests say what comes. */
export class FakeWire implements Wire {
  handler: WireHandler = nobody;
  readonly remoteAddress = '127.0.0.1';
  readonly remotePort = 5432;
  closed = false;
  bytesRead = 0;
  bytesWritten = 0;
  pendingBytes = 0;
  isPaused = false;
  /** False: each write says that it was one too many. */
  hasRoom = true;
  /** It was ended in order. */
  hasEnded = false;
  #written: Buffer[] = [];
  /** What the peer has sent while it was not read. */
  #unread: Buffer[] = [];

  write(bytes: Buffer): boolean {
    this.bytesWritten += bytes.length;
    this.#written.push(bytes);
    return this.hasRoom;
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }

  end(last?: Buffer): void {
    if (last !== undefined) this.write(last);
    this.hasEnded = true;
    this.closed = true;
  }

  destroy(): void {
    this.closed = true;
  }

  /** One chunk of the peer. It is read now, or when the wire is not paused any more and the peer says something again. */
  hear(...parts: readonly Buffer[]): void {
    this.#unread.push(...parts);
    this.read();
  }

  /** Reads what has come, unless the wire is paused. */
  read(): void {
    if (this.isPaused || this.closed || this.#unread.length === 0) return;
    const chunk = Buffer.concat(this.#unread);
    this.#unread = [];
    this.bytesRead += chunk.length;
    this.handler.onChunk(chunk);
  }

  /** There is room again. */
  drain(): void {
    this.hasRoom = true;
    this.handler.onDrain();
  }

  /** The peer is gone. */
  lose(error: Error | null = null): void {
    this.closed = true;
    this.handler.onClose(error);
  }

  /** What was written since the last look. */
  take(): Buffer {
    return Buffer.concat(this.takeWrites());
  }

  /** The same, write by write. */
  takeWrites(): readonly Buffer[] {
    const written = this.#written;
    this.#written = [];
    return written;
  }
}
