/** What a socket has to say. The numbers are those of `host.hh`. */
export const SocketEvent = { Chunk: 0, Drain: 1, End: 2, Error: 3, Connected: 4, Accepted: 5 } as const;
export type SocketEvent = (typeof SocketEvent)[keyof typeof SocketEvent];

/**
 * Hears what a socket has to say: `Chunk` (`a`: offset in the slab, `b`: bytes), `Error` (`a`: the system's number, `text`: its name),
 * `Accepted` (`a`: descriptor, `b`: port of the peer, `text`: its address).
 */
export interface SocketOwner {
  onEvent(event: SocketEvent, a: number, b: number, text: string | undefined): void;
}

/** A TCP socket of the addon. Nothing but its owner's calls opens, reads or closes it; the addon keeps it as long as it is open. */
export interface NativeSocket {
  owner: SocketOwner | null;
  setReading(isReading: boolean): void;
  /** Gives how many bytes wait for the kernel now; they were copied. What cannot be sent any more is told by an event. */
  send(bytes: Buffer): number;
  /** Ends the sending side. */
  shutdown(): void;
  /** No event follows. */
  close(): void;
  /** Keeps no process alive that has nothing else to do. */
  unref(): void;
  /** Its descriptor listens: says `Accepted`. */
  listen(): void;
  /** Its descriptor is connecting: says `Connected` or `Error`. */
  expectConnection(): void;
}

declare const hostBrand: unique symbol;

/** What sockets are made for; it has nothing to ask. */
export interface NativeHost {
  readonly [hostBrand]: true;
}

/** The interface of `switchyard_native.node`. Addresses are numeric. What fails throws the system's error, with its name as `code`. */
export interface NativeAddon {
  /** Whom sockets tell what happens, and what makes the slabs that they read into. A new slab is made when too little of it is left. */
  readonly Host: new (
    dispatch: (socket: NativeSocket, event: SocketEvent, a: number, b: number, text: string | undefined) => void,
    makeSlab: () => Buffer,
  ) => NativeHost;
  /** Takes the descriptor over. */
  readonly Socket: new (
    host: NativeHost,
    descriptor: number,
  ) => NativeSocket;
  /** A descriptor that listens. */
  listen(address: string, port: number, backlog: number): number;
  /** A descriptor that is connecting. */
  connect(address: string, port: number): number;
  /** Its own port. */
  portOf(descriptor: number): number;
  /** No delay, and TCP tests the connection after so much silence; 0: it does not. */
  tune(descriptor: number, keepAliveMs: number): void;
}
