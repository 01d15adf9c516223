import { createServer, connect } from 'node:net';
import type { Server, Socket } from 'node:net';
import { freePort } from '../../src/cli/demo/postgres/free-port.js';

/** The way of the bytes, seen from the proxy. */
export type Direction = 'to-server' | 'to-client';
type Directions = Direction | 'both';

/** Bytes that a delayed or frozen direction keeps before it stops reading. */
const QUEUE_BYTES_MAX = 1 << 20;
const LISTEN_TRIES_MAX = 5;

/** How the connection ends when a cut is reached: FIN, or RST. */
export type CutKind = 'close' | 'reset';

interface Faults {
  latencyMs: number;
  readonly frozen: Set<Direction>;
  cut: { readonly direction: Direction; readonly afterBytes: number; readonly kind: CutKind } | null;
}

/** One direction of one connection: a queue whose head leaves when it is due, unless the direction is frozen. */
class Lane {
  readonly #direction: Direction;
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #faults: Faults;
  readonly #cutOff: (kind: CutKind) => void;
  readonly #queue: { readonly dueAtMs: number; readonly bytes: Buffer | null }[];
  #queuedBytes: number;
  #passedBytes: number;
  #isCut: boolean;
  #timer: NodeJS.Timeout | null;

  constructor(direction: Direction, from: Socket, to: Socket, faults: Faults, cutOff: (kind: CutKind) => void) {
    this.#direction = direction;
    this.#from = from;
    this.#to = to;
    this.#faults = faults;
    this.#cutOff = cutOff;
    this.#queue = [];
    this.#queuedBytes = 0;
    this.#passedBytes = 0;
    this.#isCut = false;
    this.#timer = null;
    from.on('data', (bytes: Buffer) => this.#enqueue(bytes));
    from.on('end', () => this.#enqueue(null));
    to.on('drain', () => this.flush());
  }

  /** Starts the count towards a cut from here. */
  countFromHere(): void {
    this.#passedBytes = 0;
  }

  /** Sends what is due. To be called again after a fault has changed. */
  flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    while (!this.#faults.frozen.has(this.#direction) && !this.#to.writableNeedDrain && !this.#to.destroyed) {
      const head = this.#queue[0];
      if (head === undefined) break;
      const waitMs = head.dueAtMs - performance.now();
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.flush(), waitMs);
        break;
      }
      this.#queue.shift();
      if (head.bytes === null) this.#to.end();
      else this.#pass(head.bytes);
    }
    if (this.#queuedBytes < QUEUE_BYTES_MAX && this.#from.isPaused()) this.#from.resume();
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#queue.length = 0;
  }

  #enqueue(bytes: Buffer | null): void {
    this.#queue.push({ dueAtMs: performance.now() + this.#faults.latencyMs, bytes });
    this.#queuedBytes += bytes?.length ?? 0;
    if (this.#queuedBytes >= QUEUE_BYTES_MAX) this.#from.pause();
    this.flush();
  }

  #pass(bytes: Buffer): void {
    this.#queuedBytes -= bytes.length;
    // Nothing follows a cut, nor the FIN of a half-close.
    if (this.#isCut || this.#to.writableEnded) return;
    const { cut } = this.#faults;
    const left = cut?.direction === this.#direction ? cut.afterBytes - this.#passedBytes : Infinity;
    this.#passedBytes += bytes.length;
    if (cut === null || bytes.length < left) {
      this.#to.write(bytes);
      return;
    }
    this.#isCut = true;
    // The bytes before the cut must be on their way before the connection goes.
    this.#to.write(bytes.subarray(0, left), () => this.#cutOff(cut.kind));
  }
}

interface Connection {
  readonly client: Socket;
  readonly server: Socket;
  readonly lanes: readonly [toServer: Lane, toClient: Lane];
  /** One side broke while a freeze kept that from the other. */
  isBroken: boolean;
}

/**
 * A TCP proxy on the loopback address that can be told to fail. Faults count for the connections that are open and for those that come
 * later, until `heal`. It keeps its port when it refuses connections and listens again.
 */
export class FaultProxy {
  readonly port: number;
  readonly #upstreamPort: number;
  readonly #connections: Set<Connection>;
  readonly #waiting: Set<Socket>;
  readonly #faults: Faults;
  #server: Server;
  #accepted: number;

  private constructor(port: number, upstreamPort: number, server: Server) {
    this.port = port;
    this.#upstreamPort = upstreamPort;
    this.#server = server;
    this.#connections = new Set();
    this.#waiting = new Set();
    this.#faults = { latencyMs: 0, frozen: new Set(), cut: null };
    this.#accepted = 0;
    server.on('connection', this.#onConnection);
  }

  static async start(upstreamPort: number): Promise<FaultProxy> {
    for (let tries = 1; ; tries += 1) {
      const port = await freePort();
      try {
        return new FaultProxy(port, upstreamPort, await listen(port));
      } catch (error) {
        if (tries >= LISTEN_TRIES_MAX) throw error;
      }
    }
  }

  /** Connections that are open now. */
  get connections(): number {
    return this.#connections.size + this.#waiting.size;
  }

  /** Connections accepted since the start. */
  get accepted(): number {
    return this.#accepted;
  }

  /** Delays every byte that comes from now on, in both directions; 0 ends it. */
  delay(latencyMs: number): void {
    this.#faults.latencyMs = latencyMs;
  }

  /** Nothing passes any more, and ends do not pass either. While both directions are frozen, new connections are accepted and no more. */
  freeze(directions: Directions = 'both'): void {
    for (const direction of directions === 'both' ? BOTH : [directions]) this.#faults.frozen.add(direction);
  }

  /** Ends a freeze: what was kept goes on its way. */
  thaw(): void {
    this.#faults.frozen.clear();
    for (const client of this.#waiting) this.#dial(client);
    this.#waiting.clear();
    for (const connection of this.#connections) {
      for (const lane of connection.lanes) lane.flush();
      if (connection.isBroken) sever(connection, 'reset');
    }
  }

  /** Ends every connection when this many more bytes have passed in the direction; counted from now, or from the connection's start. */
  cutAfter(direction: Direction, afterBytes: number, kind: CutKind = 'reset'): void {
    this.#faults.cut = { direction, afterBytes, kind };
    for (const { lanes } of this.#connections) for (const lane of lanes) lane.countFromHere();
  }

  /** Resets every open connection on both sides (RST). */
  reset(): void {
    for (const connection of this.#connections) sever(connection, 'reset');
    for (const client of this.#waiting) client.resetAndDestroy();
  }

  /** Sends FIN to one side of every open connection and leaves the other direction alone. */
  halfClose(side: 'client' | 'server'): void {
    for (const connection of this.#connections) connection[side].end();
  }

  /** Refuses new connections; those that are open live on. */
  refuse(): void {
    if (!this.#server.listening) return;
    // `close` waits for connections to end, but the port is closed at once.
    this.#server.close();
  }

  /** Ends every fault: connections are accepted again, nothing is delayed, frozen or cut. */
  async heal(): Promise<void> {
    this.#faults.latencyMs = 0;
    this.#faults.cut = null;
    this.thaw();
    if (this.#server.listening) return;
    this.#server = await listen(this.port);
    this.#server.on('connection', this.#onConnection);
  }

  /** Closes everything. */
  close(): void {
    this.#server.close();
    for (const connection of this.#connections) sever(connection, 'close');
    for (const client of this.#waiting) client.destroy();
  }

  readonly #onConnection = (client: Socket): void => {
    this.#accepted += 1;
    client.on('error', () => {});
    if (this.#faults.frozen.size < BOTH.length) return this.#dial(client);
    client.pause();
    this.#waiting.add(client);
    client.once('close', () => this.#waiting.delete(client));
  };

  #dial(client: Socket): void {
    const server = connect({ host: '127.0.0.1', port: this.#upstreamPort, allowHalfOpen: true });
    server.setNoDelay(true).on('error', () => {});
    const cutOff = (kind: CutKind): void => sever(connection, kind);
    const lanes = [
      new Lane('to-server', client, server, this.#faults, cutOff),
      new Lane('to-client', server, client, this.#faults, cutOff),
    ] as const;
    const connection: Connection = { client, server, lanes, isBroken: false };
    this.#connections.add(connection);
    // A side that breaks (and not just ends) breaks the other side too, unless bytes are being kept from it.
    for (const [socket, other] of [[client, server] as const, [server, client] as const]) {
      socket.once('close', (hadError) => {
        connection.isBroken ||= hadError;
        if (hadError && this.#faults.frozen.size === 0) other.resetAndDestroy();
        if (!client.destroyed || !server.destroyed) return;
        this.#connections.delete(connection);
        for (const lane of lanes) lane.stop();
      });
    }
    client.resume();
  }
}

const BOTH: readonly Direction[] = ['to-server', 'to-client'];

function sever(connection: Connection, kind: CutKind): void {
  for (const socket of [connection.client, connection.server]) {
    if (kind === 'reset') socket.resetAndDestroy();
    else socket.destroy();
  }
}

function listen(port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer({ allowHalfOpen: true, noDelay: true });
    server.once('error', reject);
    server.listen({ host: '127.0.0.1', port }, () => {
      server.off('error', reject);
      resolve(server);
    });
  });
}
