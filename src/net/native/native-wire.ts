import { LINGER_MS, noHandler } from '../wire.js';
import type { Wire, WireHandler } from '../wire.js';
import { SocketEvent } from './addon.js';
import type { NativeSocket, SocketOwner } from './addon.js';
import type { Slabs } from './slab.js';

/** A wire on a connected socket of the addon. */
export class NativeWire implements Wire, SocketOwner {
  handler: WireHandler;
  readonly remoteAddress: string;
  readonly remotePort: number;
  closed: boolean;
  bytesRead: number;
  bytesWritten: number;
  pendingBytes: number;
  readonly #socket: NativeSocket;
  readonly #slabs: Slabs;
  readonly #bufferBytes: number;
  #isReading: boolean;
  #isFull: boolean;
  #isEnding: boolean;
  /** The peer has ended its sending side. */
  #hasEnded: boolean;
  #linger: NodeJS.Timeout | null;

  /** Takes the socket over, and reads it. */
  constructor(socket: NativeSocket, slabs: Slabs, address: string, port: number, bufferBytes: number) {
    this.handler = noHandler;
    this.remoteAddress = address;
    this.remotePort = port;
    this.closed = false;
    this.bytesRead = 0;
    this.bytesWritten = 0;
    this.pendingBytes = 0;
    this.#socket = socket;
    this.#slabs = slabs;
    this.#bufferBytes = bufferBytes;
    this.#isReading = true;
    this.#isFull = false;
    this.#isEnding = false;
    this.#hasEnded = false;
    this.#linger = null;
    socket.owner = this;
    socket.setReading(true);
  }

  write(bytes: Buffer): boolean {
    // Behind `end` or a loss: the close that follows tells the owner.
    if (this.closed || this.#isEnding || bytes.length === 0) return true;
    this.bytesWritten += bytes.length;
    this.pendingBytes = this.#socket.send(bytes);
    if (this.pendingBytes < this.#bufferBytes) return true;
    this.#isFull = true;
    return false;
  }

  pause(): void {
    if (this.#isReading && !this.#isEnding) this.#read(false);
  }

  resume(): void {
    if (!this.#isReading) this.#read(true);
  }

  end(last?: Buffer): void {
    if (this.closed || this.#isEnding) return;
    if (last !== undefined) this.write(last);
    this.#isEnding = true;
    // The peer's end must still be seen, or the socket would stay half open for ever.
    this.#read(true);
    // A peer that does not answer must not keep a process alive that has nothing else to do.
    this.#socket.unref();
    this.#linger = setTimeout(() => this.#close(null), LINGER_MS).unref();
    if (this.pendingBytes === 0) this.#endSending();
  }

  destroy(): void {
    this.#close(null);
  }

  /** See SocketOwner. */
  onEvent(event: SocketEvent, a: number, b: number, text: string | undefined): void {
    // A broken invariant ends this connection, never the process.
    try {
      this.#onEvent(event, a, b, text);
    } catch (error) {
      this.#close(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #onEvent(event: SocketEvent, a: number, b: number, text: string | undefined): void {
    switch (event) {
      case SocketEvent.Chunk:
        this.bytesRead += b;
        this.handler.onChunk(this.#slabs.cut(a, b));
        return;
      case SocketEvent.Drain:
        this.pendingBytes = 0;
        if (this.#isEnding) this.#endSending();
        else if (this.#isFull) {
          this.#isFull = false;
          this.handler.onDrain();
        }
        return;
      case SocketEvent.End:
        this.#hasEnded = true;
        this.handler.onEnd();
        if (this.#isEnding && this.pendingBytes === 0) this.#close(null);
        return;
      case SocketEvent.Error:
        this.#close(Object.assign(new Error(`the connection is lost: ${text}`), { code: text, errno: -a }));
        return;
      default:
    }
  }

  #read(isReading: boolean): void {
    this.#isReading = isReading;
    if (!this.closed && !this.#hasEnded) this.#socket.setReading(isReading);
  }

  /** Everything is with the kernel, and nothing more comes. */
  #endSending(): void {
    this.#socket.shutdown();
    if (this.#hasEnded) this.#close(null);
  }

  #close(error: Error | null): void {
    if (this.closed) return;
    this.closed = true;
    if (this.#linger !== null) clearTimeout(this.#linger);
    this.#socket.owner = null;
    this.#socket.close();
    // Never from inside a call of the owner's.
    process.nextTick(() => this.handler.onClose(error));
  }
}
