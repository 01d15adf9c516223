import { rootCertificates } from 'node:tls';
import { Etcd3, type IOptions, Range } from 'etcd3';
import type { EtcdEndpoint, EtcdReading, EtcdWatch, EtcdWatchHandler } from './etcd3-endpoint.js';
import { isAuthDisabled, isTokenError } from './etcd3-errors.js';
import { GrpcWatch, headerOf, rawKey } from './etcd3-grpc-watch.js';

/** TLS towards etcd; PEM texts. */
export interface EtcdTls {
  /** Certificate authorities to trust; null: those that Node.js trusts. */
  readonly ca: string | null;
  /** Client certificate and its key; both or none. */
  readonly cert: string | null;
  readonly key: string | null;
  /** The name to expect in the certificate instead of the host's. */
  readonly serverName: string | null;
}

/** How to talk to one member of etcd. */
export interface EtcdEndpointOptions {
  readonly host: string;
  readonly port: number;
  readonly username: string | null;
  readonly password: string | null;
  readonly tls: EtcdTls | null;
  /** How long an answer to an HTTP/2 ping may take, and (at least {@link PING_INTERVAL_MIN_MS}) how often one is sent. */
  readonly keepaliveMs: number;
}

/**
 * etcd ends a connection that pings more often than its `--grpc-keepalive-min-time` (5 s by default) while no data flows. A
 * silence is found earlier than by the ping: by the reads, which use the same connection.
 */
const PING_INTERVAL_MIN_MS = 6000;
/** The gRPC client of its own accord waits up to two minutes before it tries a dead address again. */
const RECONNECT_FIRST_MS = 100;
const RECONNECT_CEILING_MS = 1000;
/** Largest answer that is taken; etcd itself takes no value above 1.5 MB. */
const ANSWER_BYTES_MAX = 16 * 1024 * 1024;
/** A prefix with more keys is not a Patroni cluster. */
const KEYS_MAX = 10_000;

type CallOptions = NonNullable<Parameters<Etcd3['kv']['range']>[1]>;
type Interceptor = NonNullable<CallOptions['interceptors']>[number];
type FaultPolicy = NonNullable<NonNullable<IOptions['faultHandling']>['global']>;

/** A gRPC status code (grpc.io, "Status codes and their use in gRPC"). */
const CANCELLED = 1;

/** A call under way. */
interface Call {
  cancelWithStatus(status: number, details: string): void;
}

/**
 * One member of etcd behind a client of its own, so that it is known which member answered what.
 *
 * The client's services are used directly. Its watcher is not: after a break it goes on from the last revision without a new
 * reading, does not ask for a leader, and cannot be used again after a refused watch. Neither is its log-in, which opens a
 * connection per attempt and never closes it.
 */
export class GrpcEtcdEndpoint implements EtcdEndpoint {
  readonly name: string;
  readonly #client: Etcd3;
  readonly #username: string | null;
  readonly #password: string | null;
  readonly #calls = new Set<Call>();
  readonly #watches = new Set<EtcdWatch>();
  /** Null: not logged in. Empty: etcd asks for no log-in. */
  #token: string | null = null;
  #closed = false;

  /** Throws on certificates that are none. Does not connect yet. */
  constructor(options: EtcdEndpointOptions) {
    this.name = `${options.host.includes(':') ? `[${options.host}]` : options.host}:${options.port}`;
    this.#username = options.username;
    this.#password = options.password;
    this.#client = new Etcd3(clientOptions(this.name, options));
  }

  async read(prefix: string, timeoutMs: number): Promise<EtcdReading> {
    const range = Range.prefix(prefix);
    const deadline = Date.now() + timeoutMs;
    const ask = async () => {
      await this.#logIn(deadline);
      const request = { key: range.start, range_end: range.end, limit: KEYS_MAX };
      return this.#client.kv.range(request, this.#callOptions(deadline));
    };
    let answer: Awaited<ReturnType<typeof ask>>;
    try {
      answer = await ask();
    } catch (error) {
      if (this.#username === null || !isTokenError(error)) {
        throw error;
      }
      this.#token = null;
      answer = await ask();
    }
    if (answer.more) {
      throw new Error(`more than ${KEYS_MAX} keys below ${prefix}`);
    }
    return { header: headerOf(answer.header), keys: answer.kvs.map((kv) => rawKey(prefix, kv)) };
  }

  watch(prefix: string, fromRevision: bigint, handler: EtcdWatchHandler): EtcdWatch {
    const watch = new GrpcWatch(prefix, fromRevision, {
      onCreated: (header) => handler.onCreated(header),
      onEvents: (header, events) => handler.onEvents(header, events),
      onBroken: (error) => {
        this.#watches.delete(watch);
        if (isTokenError(error) || /permission denied/.test(error.message)) {
          // etcd refuses a watch with an old token in the words of a missing permission; the next read logs in again.
          this.#token = null;
        }
        handler.onBroken(error);
      },
      onClosed: () => this.#watches.delete(watch),
    });
    this.#watches.add(watch);
    watch.run(this.#client.watchClient.watch(this.#callOptions(null)));
    return watch;
  }

  close(): void {
    this.#closed = true;
    for (const watch of this.#watches) {
      watch.close();
    }
    for (const call of this.#calls) {
      call.cancelWithStatus(CANCELLED, 'closed');
    }
    this.#client.close();
  }

  async #logIn(deadline: number): Promise<void> {
    if (this.#username === null || this.#token !== null || this.#closed) {
      return;
    }
    try {
      const request = { name: this.#username, password: this.#password ?? '' };
      const answer = await this.#client.auth.authenticate(request, this.#callOptions(deadline));
      this.#token = answer.token;
    } catch (error) {
      if (!isAuthDisabled(error)) {
        throw error;
      }
      this.#token = '';
    }
  }

  #callOptions(deadline: number | null): CallOptions {
    const interceptors = [this.#intercept];
    return deadline === null ? { interceptors } : { interceptors, deadline };
  }

  /** Adds the metadata of etcd to a call, and keeps the call so that it can be ended. */
  readonly #intercept: Interceptor = (options, nextCall) => {
    const call = nextCall(options);
    const start = call.start.bind(call);
    this.#calls.add(call);
    call.start = (metadata, listener) => {
      metadata.set('hasleader', 'true');
      if (this.#token !== null && this.#token !== '') {
        metadata.set('token', this.#token);
      }
      start(metadata, {
        onReceiveMetadata: (received) => listener?.onReceiveMetadata?.(received),
        onReceiveMessage: (message: unknown) => listener?.onReceiveMessage?.(message),
        onReceiveStatus: (status) => {
          this.#calls.delete(call);
          // Under etcd's own words the client would log in and ask again by itself, without end.
          const isToken = status.details.includes('invalid auth token');
          listener?.onReceiveStatus?.(isToken ? { ...status, details: 'the token is not valid' } : status);
        },
      });
    };
    // The type asks for a class whose constructor this package does not see; the client only uses the interface.
    return call as ReturnType<Interceptor>;
  };
}

function clientOptions(address: string, options: EtcdEndpointOptions): IOptions {
  const { tls } = options;
  const names = tls === null || tls.serverName === null ? {} : { 'grpc.ssl_target_name_override': tls.serverName };
  return {
    hosts: `${tls === null ? 'http' : 'https'}://${address}`,
    ...(tls === null ? {} : { credentials: credentialsOf(tls) }),
    grpcOptions: {
      'grpc.keepalive_time_ms': Math.max(options.keepaliveMs, PING_INTERVAL_MIN_MS),
      'grpc.keepalive_timeout_ms': options.keepaliveMs,
      'grpc.keepalive_permit_without_calls': 1,
      'grpc.initial_reconnect_backoff_ms': RECONNECT_FIRST_MS,
      'grpc.max_reconnect_backoff_ms': RECONNECT_CEILING_MS,
      'grpc.max_receive_message_length': ANSWER_BYTES_MAX,
      // etcd is not on the far side of a web proxy that happens to be set for other programs.
      'grpc.enable_http_proxy': 0,
      ...names,
    },
    // The default opens a circuit breaker for five seconds after three failures, and retries behind our back.
    faultHandling: { host: () => passThrough(), global: passThrough() },
  };
}

function credentialsOf(tls: EtcdTls): NonNullable<IOptions['credentials']> {
  const { cert, key } = tls;
  const rootCertificate = Buffer.from(tls.ca ?? rootCertificates.join('\n'));
  if (cert === null && key === null) {
    return { rootCertificate };
  }
  if (cert === null || key === null) {
    throw new TypeError('etcd3: a client certificate needs its key, and a key its certificate');
  }
  return { rootCertificate, privateKey: Buffer.from(key), certChain: Buffer.from(cert) };
}

/** A fault policy that does nothing: what failed, failed. */
function passThrough(): FaultPolicy {
  const silent = () => ({ dispose: () => {} });
  return {
    _altReturn: undefined as never,
    onSuccess: silent,
    onFailure: silent,
    execute: async (run, signal) => run({ signal: signal ?? new AbortController().signal }),
  };
}
