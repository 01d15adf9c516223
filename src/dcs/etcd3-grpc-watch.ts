import { type Etcd3, type IKeyValue, type IResponseHeader, type IWatchResponse, Range } from 'etcd3';
import type { EtcdHeader, EtcdWatch, EtcdWatchHandler } from './etcd3-endpoint.js';
import type { RawKey } from './patroni-keys.js';
import type { KeyEvent } from './patroni-store.js';

/** Also hears of an end that was asked for. */
export interface GrpcWatchHandler extends EtcdWatchHandler {
  onClosed(): void;
}

type WatchStream = Awaited<ReturnType<Etcd3['watchClient']['watch']>>;

/** One gRPC stream with one watch on it. */
export class GrpcWatch implements EtcdWatch {
  readonly #prefix: string;
  readonly #fromRevision: bigint;
  readonly #handler: GrpcWatchHandler;
  #stream: WatchStream | null = null;
  #over = false;

  constructor(prefix: string, fromRevision: bigint, handler: GrpcWatchHandler) {
    this.#prefix = prefix;
    this.#fromRevision = fromRevision;
    this.#handler = handler;
  }

  run(opening: Promise<WatchStream>): void {
    opening.then(
      (stream) => this.#opened(stream),
      (error: unknown) => this.#break(error instanceof Error ? error : new Error(String(error))),
    );
  }

  close(): void {
    if (!this.#over) {
      this.#end();
      this.#handler.onClosed();
    }
  }

  #opened(stream: WatchStream): void {
    // Listened to for ever: a late error of a stream that nobody listens to would end the process.
    stream.on('error', (error) => this.#break(error));
    this.#stream = stream;
    if (this.#over) {
      this.#end();
      return;
    }
    stream.on('end', () => this.#break(new Error('etcd ended the watch')));
    stream.on('data', (response) => {
      try {
        this.#respond(response);
      } catch (error) {
        // An answer without a header, say. Thrown from here it would end the process.
        this.#break(error instanceof Error ? error : new Error(String(error)));
      }
    });
    const range = Range.prefix(this.#prefix);
    stream.write({
      create_request: { key: range.start, range_end: range.end, start_revision: this.#fromRevision.toString() },
    });
  }

  #respond(response: IWatchResponse): void {
    if (this.#over) {
      return;
    }
    if (response.canceled) {
      const compacted = BigInt(response.compact_revision);
      const why =
        compacted > 0n ? `compacted up to revision ${compacted}` : response.cancel_reason || 'no reason given';
      this.#break(new Error(`etcd cancelled the watch: ${why}`));
      return;
    }
    const header = headerOf(response.header);
    if (response.created) {
      this.#handler.onCreated(header);
    }
    if (response.events.length > 0 && !this.#over) {
      const events = response.events.map((event): KeyEvent => {
        const key = rawKey(this.#prefix, event.kv);
        const revision = key.modRevision;
        return event.type === 'Delete'
          ? { kind: 'delete', revision, suffix: key.suffix }
          : { kind: 'put', revision, key };
      });
      this.#handler.onEvents(header, events);
    }
  }

  #break(error: Error): void {
    if (!this.#over) {
      this.#end();
      this.#handler.onBroken(error);
    }
  }

  /** Half-closed first: the client takes the cancelling of an open stream for a fault of the host and drops its connection. */
  #end(): void {
    this.#over = true;
    this.#stream?.end();
    this.#stream?.cancel();
  }
}

/** What the header of an answer says. Throws when there is none. */
export function headerOf(header: IResponseHeader): EtcdHeader {
  return {
    clusterId: header.cluster_id,
    raftTerm: BigInt(header.raft_term),
    revision: BigInt(header.revision),
  };
}

/** A key of etcd without its prefix. */
export function rawKey(prefix: string, kv: IKeyValue): RawKey {
  return {
    suffix: kv.key.toString('utf8').slice(prefix.length),
    value: kv.value.toString('utf8'),
    createRevision: BigInt(kv.create_revision),
    modRevision: BigInt(kv.mod_revision),
  };
}
