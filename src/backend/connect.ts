import type { BackendCredentials } from '../auth/credentials.js';
import { BackendLogin } from '../auth/backend-login.js';
import { SwitchyardError } from '../errors.js';
import type { Engine } from '../net/engine.js';
import { BackendType } from '../protocol/codes.js';
import { NOT_READ, Verdict } from '../protocol/frame-scanner.js';
import { startupMessage } from '../protocol/frontend-messages.js';
import type { Clock } from '../util/clock.js';
import { Backend, SinkMode } from './backend.js';
import type { BackendIdentity, BackendSink } from './backend.js';
import { NodeError } from './node-error.js';

/** How every connection to a node is opened. */
export interface ConnectLimits {
  /** What opens the connection. */
  readonly engine: Engine;
  /** Time limit for TCP and log-in together, in milliseconds. */
  readonly connectTimeoutMs: number;
  /** Idle time after which TCP tests the connection; 0: it does not. Read anew for each connection. */
  readonly keepAliveMs: () => number;
  readonly bufferBytes: number;
  readonly messageBytesMax: number;
}

export interface ConnectRequest extends BackendIdentity {
  /** Startup parameters but for `user` and `database`. */
  readonly parameters: Iterable<readonly [string, string]>;
  readonly credentials: BackendCredentials;
}

/** Takes part in the log-in until the first ReadyForQuery. */
class LoginSink implements BackendSink {
  readonly #login: BackendLogin;
  readonly #done: (error: Error | null) => void;
  /** Steps of the log-in in their order; a step may compute for a while. */
  #chain: Promise<void>;
  backend: Backend | null;

  constructor(login: BackendLogin, done: (error: Error | null) => void) {
    this.#login = login;
    this.#done = done;
    this.#chain = Promise.resolve();
    this.backend = null;
  }

  onBackendFrame(type: number, _reply: number, buffer: Buffer, start: number, end: number): Verdict {
    switch (type) {
      case BackendType.Authentication:
        if (end === NOT_READ)
          this.#done(new SwitchyardError('backend_protocol_violation', 'authentication message too long'));
        else this.#step(Buffer.from(buffer.subarray(start, end)));
        break;
      case BackendType.BackendKeyData:
        if (this.backend !== null && end - start >= 8) {
          this.backend.processId = buffer.readInt32BE(start);
          this.backend.cancelKey = Buffer.from(buffer.subarray(start + 4, end));
        }
        break;
      case BackendType.ErrorResponse:
        if (end !== NOT_READ) this.#done(NodeError.read(buffer, start, end));
        break;
      case BackendType.ReadyForQuery:
        this.#chain = this.#chain.then(() => {
          this.#done(
            this.#login.isDone
              ? null
              : new SwitchyardError('backend_protocol_violation', 'the node did not end the log-in'),
          );
        });
        break;
      default:
    }
    return Verdict.Drop;
  }

  onBackendRun(): void {}
  onBackendFlushed(): void {}
  onBackendDrain(): void {}

  onBackendClose(error: Error | null): void {
    this.#done(
      new SwitchyardError('backend_connect_failed', 'the node closed the connection during log-in', { cause: error }),
    );
  }

  #step(body: Buffer): void {
    this.#chain = this.#chain
      .then(async () => {
        const step = await this.#login.onAuthentication(body);
        if (step.kind === 'send') this.backend?.send(step.bytes);
      })
      .catch((error: unknown) => {
        this.#done(error instanceof Error ? error : new Error(String(error)));
      });
  }
}

/**
 * Opens a backend: TCP, startup packet, log-in, up to the first ReadyForQuery. Whoever gets it must attach a sink at once.
 * Fails with a `NodeError` (the node refused) or a `SwitchyardError` (`backend_connect_failed`, `backend_login_failed`).
 */
export async function connectBackend(
  request: ConnectRequest,
  limits: ConnectLimits,
  clock: Clock,
  signal?: AbortSignal,
): Promise<Backend> {
  const startedAtMs = clock.nowMs();
  const wire = await limits.engine.dial(
    {
      host: request.host,
      port: request.port,
      timeoutMs: limits.connectTimeoutMs,
      keepAliveMs: limits.keepAliveMs(),
      bufferBytes: limits.bufferBytes,
    },
    signal,
  );
  return new Promise((resolve, reject) => {
    const identity: BackendIdentity = {
      node: request.node,
      host: request.host,
      port: request.port,
      user: request.user,
      database: request.database,
    };
    let isDone = false;
    const sink = new LoginSink(new BackendLogin(request.user, request.credentials), (error) => {
      if (isDone) return;
      isDone = true;
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      if (error === null) resolve(backend);
      else {
        backend.destroy();
        reject(error);
      }
    });
    const giveUp = (why: string): void => {
      sink.onBackendClose(new Error(why));
    };
    const onAbort = (): void => giveUp('given up');
    const leftMs = Math.max(1, limits.connectTimeoutMs - (clock.nowMs() - startedAtMs));
    const timer = setTimeout(() => giveUp(`log-in took longer than ${limits.connectTimeoutMs} ms`), leftMs);
    signal?.addEventListener('abort', onAbort);
    const backend = new Backend(identity, wire, sink, limits.messageBytesMax, clock.nowMs());
    sink.backend = backend;
    backend.attach(sink, SinkMode.Own);
    backend.send(startupMessage([['user', request.user], ['database', request.database], ...request.parameters]));
  });
}
