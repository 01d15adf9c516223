/** What a wire tells its owner. All calls are synchronous and come from the event loop, never from inside `write`. */
export interface WireHandler {
  /** Bytes from the peer. The buffer is the owner's from now on. */
  onChunk(chunk: Buffer): void;
  /** A write that returned false has been taken whole: the wire has room again. */
  onDrain(): void;
  /** The peer has ended its sending side in order. The wire can still be written to. */
  onEnd(): void;
  /** The wire is gone, once; `error` is null after an orderly close. No call follows. */
  onClose(error: Error | null): void;
}

/**
 * One connection to a peer, client or node. Sessions and backends move bytes through this interface only, so that another engine
 * than Node's streams can serve it.
 */
export interface Wire {
  handler: WireHandler;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly closed: boolean;
  /** Total bytes since the wire was made. */
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /** Bytes written but not yet taken by the kernel. */
  readonly pendingBytes: number;
  /** Sends `bytes`, which must not be changed afterwards. False: full, wait for `onDrain` before more (nothing is lost). */
  write(bytes: Buffer): boolean;
  /**
   * Stops and restarts reading; at most one chunk more can come after a pause. A reset is told all the same, and so is the end of a peer
   * that has sent nothing more.
   */
  pause(): void;
  resume(): void;
  /** Sends what is pending (and `last`), then closes; destroys the wire when the peer does not take it within a few seconds. */
  end(last?: Buffer): void;
  /** Closes at once; pending bytes are lost. */
  destroy(): void;
}

/** What a wire has before it has an owner. */
export const noHandler: WireHandler = { onChunk: () => {}, onDrain: () => {}, onEnd: () => {}, onClose: () => {} };

/** How long a peer may take to accept the last bytes before the wire is destroyed. */
export const LINGER_MS = 5_000;
