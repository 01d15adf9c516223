import type { Socket } from 'node:net';
import { LINGER_MS } from '../wire.js';
import type { Wire, WireHandler } from '../wire.js';

/** A wire on a socket of Node. */
export class StreamWire implements Wire {
  handler: WireHandler;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly #socket: Socket;
  #closed: boolean;
  #error: Error | null;
  #linger: NodeJS.Timeout | null;

  /** Takes the socket over: its listeners are this wire's from now on. The socket must have been made with `allowHalfOpen`. */
  constructor(socket: Socket, handler: WireHandler) {
    this.handler = handler;
    this.remoteAddress = socket.remoteAddress ?? '';
    this.remotePort = socket.remotePort ?? 0;
    this.#socket = socket;
    this.#closed = false;
    this.#error = null;
    this.#linger = null;
    socket.on('data', (chunk: Buffer) => {
      // A broken invariant ends this connection, never the process.
      try {
        this.handler.onChunk(chunk);
      } catch (error) {
        socket.destroy(error instanceof Error ? error : new Error(String(error)));
      }
    });
    socket.on('drain', () => {
      this.handler.onDrain();
    });
    socket.on('end', () => {
      this.handler.onEnd();
    });
    socket.on('error', (error: Error) => {
      this.#error = error;
    });
    socket.on('close', () => {
      this.#closed = true;
      if (this.#linger !== null) clearTimeout(this.#linger);
      this.handler.onClose(this.#error);
    });
  }

  get closed(): boolean {
    return this.#closed || this.#socket.destroyed;
  }

  get bytesRead(): number {
    return this.#socket.bytesRead;
  }

  get bytesWritten(): number {
    return this.#socket.bytesWritten;
  }

  get pendingBytes(): number {
    return this.#socket.writableLength;
  }

  write(bytes: Buffer): boolean {
    // A write behind `end` or a reset is not an error of ours: the close that follows tells the owner.
    return this.#socket.writable ? this.#socket.write(bytes) : true;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(last?: Buffer): void {
    if (this.closed || this.#linger !== null) return;
    if (last !== undefined && this.#socket.writable) this.#socket.write(last);
    this.#socket.end();
    // The peer's end must still be seen, or the socket would stay half open for ever.
    this.#socket.resume();
    // A peer that does not answer must not keep a process alive that has nothing else to do; bytes that are not sent yet still do.
    this.#socket.unref();
    this.#linger = setTimeout(() => this.#socket.destroy(), LINGER_MS).unref();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}
