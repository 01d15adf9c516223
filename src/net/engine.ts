import type { Wire } from './wire.js';

/** How connections are made and their bytes moved. */
export const EngineName = { Stream: 'stream', Native: 'native' } as const;
export type EngineName = (typeof EngineName)[keyof typeof EngineName];

export interface ListenOptions {
  /** Address or name; null: every address of the machine. */
  readonly host: string | null;
  /** 0: any that is free. */
  readonly port: number;
  readonly backlog: number;
  /** Idle time after which TCP tests a connection, in milliseconds; 0: it does not. Read anew for each connection. */
  readonly keepAliveMs: () => number;
  /** Bytes that may wait in a wire before `write` says that it is full. */
  readonly bufferBytes: number;
}

export interface Listener {
  /** The bound port, also when 0 was asked for. */
  readonly port: number;
  /** Accepts no more; connections that are open stay. */
  close(): void;
}

export interface DialOptions {
  readonly host: string;
  readonly port: number;
  /** Time limit for the TCP connection, in milliseconds. */
  readonly timeoutMs: number;
  /** See ListenOptions. */
  readonly keepAliveMs: number;
  readonly bufferBytes: number;
}

/** Makes wires. There is one for each program. */
export interface Engine {
  readonly name: EngineName;
  /**
   * Listens, or fails with the system's error (`EADDRINUSE`, `EACCES`...). Wires come reading, with a handler that ignores everything: whoever
   * gets one sets its handler before it returns.
   */
  listen(options: ListenOptions, onWire: (wire: Wire) => void): Promise<Listener>;
  /**
   * Connects to a node. The wire comes paused until `resume`, with a handler that ignores everything.
   * Fails with `backend_connect_failed`; `cause` is the system's error. An aborted dial fails the same way.
   */
  dial(options: DialOptions, signal?: AbortSignal): Promise<Wire>;
}
