import type { RawKey } from './patroni-keys.js';
import type { KeyEvent } from './patroni-store.js';

/** What every answer of etcd says about where it comes from. */
export interface EtcdHeader {
  readonly clusterId: string;
  readonly raftTerm: bigint;
  readonly revision: bigint;
}

/** A complete reading of a prefix. */
export interface EtcdReading {
  readonly header: EtcdHeader;
  readonly keys: readonly RawKey[];
}

/** What a watch tells. Nothing follows `onBroken`, and nothing at all follows `close()`. */
export interface EtcdWatchHandler {
  onCreated(header: EtcdHeader): void;
  /** Events of whole revisions, in order; never none. */
  onEvents(header: EtcdHeader, events: readonly KeyEvent[]): void;
  onBroken(error: Error): void;
}

/** A running watch. */
export interface EtcdWatch {
  close(): void;
}

/** One member of etcd, as the claims see it. */
export interface EtcdEndpoint {
  /** `host:port`, for people. */
  readonly name: string;
  /** A linearizable read of every key under `prefix`, from a member that has a leader. Logs in when that is needed. */
  read(prefix: string, timeoutMs: number): Promise<EtcdReading>;
  /** Watches `prefix` from `fromRevision` on; ends by itself when the member loses its leader. */
  watch(prefix: string, fromRevision: bigint, handler: EtcdWatchHandler): EtcdWatch;
  /** Ends every request and closes the connection. */
  close(): void;
}
