import { connect as connectTcp } from 'node:net';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import { logIn } from './raw-login.js';
import { BodyReader, PROTOCOL_3_0, backend, frontend } from './raw-messages.js';
import type { ErrorFields, RawMessage } from './raw-messages.js';
import { summarize, transactionStatus } from './raw-reply.js';
import type { RawReply } from './raw-reply.js';

const DEFAULT_TIMEOUT_MS = 10_000;

export interface RawConnectOptions {
  readonly port: number;
  readonly host?: string;
  /** Longest wait for any one message; 10 s by default. */
  readonly timeoutMs?: number;
  /** Ask for TLS with an SSLRequest, or (`directTls`) begin with it and ALPN `postgresql`. The certificate is not checked by default. */
  readonly tls?: ConnectionOptions;
  readonly directTls?: boolean;
}

export interface RawLoginOptions extends RawConnectOptions {
  readonly user: string;
  readonly password?: string;
  readonly database?: string;
  /** Further parameters of the startup packet. */
  readonly parameters?: Readonly<Record<string, string>>;
  readonly version?: number;
  /** Bind SCRAM to the TLS channel. */
  readonly channelBinding?: boolean;
}

/** An ErrorResponse as an exception, for the calls that expect success. */
export class RawError extends Error {
  readonly fields: ErrorFields;

  constructor(fields: ErrorFields) {
    super(`${fields.code}: ${fields.message}`);
    this.name = 'RawError';
    this.fields = fields;
  }
}

/**
 * A client that speaks the protocol message by message and hides nothing. Every wait has a time limit.
 *
 *     const client = await RawClient.login({ port, user: 'app', password: 'apppass', database: 'app' });
 *     const reply = await client.query('SELECT 1');           // never throws for an error of the server: see reply.error
 *     const rows = await client.rows('SELECT a, b FROM t');   // throws RawError
 *     const batch = await client.unit(frontend.parse('SELECT $1'), frontend.bind({ values: ['x'] }), frontend.execute(), frontend.sync());
 */
export class RawClient {
  readonly timeoutMs: number;
  /** Last value of each ParameterStatus. */
  readonly parameters: Map<string, string>;
  /** Notifications that came, in order. */
  readonly notifications: { readonly pid: number; readonly channel: string; readonly payload: string }[];
  /** From BackendKeyData; null before the log-in. */
  key: { readonly pid: number; readonly secret: Buffer } | null;
  /** From NegotiateProtocolVersion; null when none came. */
  negotiated: { readonly newest: number; readonly unknownOptions: readonly string[] } | null;
  /** How the log-in went: `trust`, `password`, `md5`, `scram-sha-256`, `scram-sha-256-plus`. */
  loginMethod: string | null;
  /** Transaction status of the last ReadyForQuery. */
  status: 'I' | 'T' | 'E' | null;
  /** What broke the connection, when it was not closed in order. */
  socketError: Error | null;
  #socket: Socket;
  #chunks: Buffer[];
  #unreadBytes: number;
  #ended: boolean;
  #wake: (() => void) | null;

  private constructor(socket: Socket, timeoutMs: number) {
    this.timeoutMs = timeoutMs;
    this.parameters = new Map();
    this.notifications = [];
    this.key = null;
    this.negotiated = null;
    this.loginMethod = null;
    this.status = null;
    this.socketError = null;
    this.#socket = socket;
    this.#chunks = [];
    this.#unreadBytes = 0;
    this.#ended = false;
    this.#wake = null;
    this.#listen();
  }

  /** Opens a connection, with TLS when asked; sends nothing more. */
  static async connect(options: RawConnectOptions): Promise<RawClient> {
    const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    const address = { host: options.host ?? '127.0.0.1', port: options.port };
    const tls = { rejectUnauthorized: false, ...options.tls };
    if (options.directTls === true) {
      const socket = connectTls({ ALPNProtocols: ['postgresql'], ...address, ...tls });
      await opened(socket, 'secureConnect', timeoutMs);
      return new RawClient(socket, timeoutMs);
    }
    const socket = connectTcp(address);
    await opened(socket, 'connect', timeoutMs);
    const client = new RawClient(socket.setNoDelay(true), timeoutMs);
    if (options.tls !== undefined) await client.#upgrade(tls);
    return client;
  }

  /** Opens a connection and logs in, up to the first ReadyForQuery. Throws LoginError or RawError when the server refuses. */
  static async login(options: RawLoginOptions): Promise<RawClient> {
    const client = await RawClient.connect(options);
    try {
      const database = options.database === undefined ? {} : { database: options.database };
      const parameters = { user: options.user, ...database, ...options.parameters };
      client.send(frontend.startup(parameters, options.version ?? PROTOCOL_3_0));
      await client.authenticate(options.user, options.password ?? '', options.channelBinding ?? false);
      return client;
    } catch (error) {
      client.destroy();
      throw error;
    }
  }

  /** Sends a CancelRequest on a connection of its own and waits until the server has closed it. */
  static async cancel(
    options: RawConnectOptions,
    key: { readonly pid: number; readonly secret: Buffer },
  ): Promise<void> {
    const client = await RawClient.connect(options);
    client.send(frontend.cancelRequest(key.pid, key.secret));
    await client.closed();
  }

  /** Answers the log-in after a startup packet was sent, up to the first ReadyForQuery. */
  async authenticate(user: string, password: string, channelBinding = false): Promise<void> {
    const boundCertificate = channelBinding ? (this.#socket as TLSSocket).getPeerCertificate().raw : null;
    this.loginMethod = await logIn(this, { user, password, boundCertificate }, (body) => {
      this.negotiated = backend.negotiateProtocolVersion(body);
    });
    const reply = await this.reply();
    if (reply.error !== null) throw new RawError(reply.error);
    if (reply.status === null) throw new Error('the connection was closed after the log-in');
  }

  /** Sends bytes as they are. */
  send(...bytes: readonly Buffer[]): void {
    this.#socket.write(Buffer.concat(bytes));
  }

  /** Sends bytes as they are and waits until the kernel has taken them, to send much without keeping it. */
  async sendFlushed(bytes: Buffer): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#socket.write(bytes, (error) => (error instanceof Error ? reject(error) : resolve()));
    });
  }

  /** Sends a unit and returns what comes back for it. */
  async unit(...bytes: readonly Buffer[]): Promise<RawReply> {
    this.send(...bytes);
    return this.reply();
  }

  /** A simple Query. */
  async query(sql: string): Promise<RawReply> {
    return this.unit(frontend.query(sql));
  }

  /** A simple Query that must succeed; returns its rows. */
  async rows(sql: string): Promise<readonly (readonly (string | null)[])[]> {
    const reply = await this.query(sql);
    if (reply.error !== null) throw new RawError(reply.error);
    if (reply.closed) throw new Error(`the connection was closed during ${sql}`);
    return reply.rows;
  }

  /** A statement through the extended protocol: Parse, Bind, Describe, Execute, Sync with unnamed statement and portal. */
  async extended(sql: string, values: readonly (string | null)[] = []): Promise<RawReply> {
    return this.unit(
      frontend.parse(sql),
      frontend.bind({ values }),
      frontend.describe('P'),
      frontend.execute(),
      frontend.sync(),
    );
  }

  /** COPY ... FROM STDIN with these chunks of data. */
  async copyIn(sql: string, chunks: readonly (string | Buffer)[]): Promise<RawReply> {
    const begun = await this.query(sql);
    if (!begun.types.endsWith('G')) return begun;
    return this.unit(...chunks.map((chunk) => frontend.copyData(chunk)), frontend.copyDone());
  }

  /** Reads up to ReadyForQuery, CopyInResponse, or the end of the connection. */
  async reply(timeoutMs: number = this.timeoutMs): Promise<RawReply> {
    const messages: RawMessage[] = [];
    for (;;) {
      const message = await this.read(timeoutMs);
      if (message === null) return summarize(messages, true);
      messages.push(message);
      if (message.type === 'Z' || message.type === 'G') return summarize(messages, false);
    }
  }

  /** The next message; null when the connection has ended. Throws when none comes in time. */
  async read(timeoutMs: number = this.timeoutMs): Promise<RawMessage | null> {
    const header = await this.#take(5, timeoutMs, 'a message');
    if (header === null) return null;
    const body = await this.#take(header.readInt32BE(1) - 4, timeoutMs, 'the rest of a message');
    if (body === null) throw new Error('the connection ended inside a message');
    const message = { type: header.toString('latin1', 0, 1), body };
    this.#note(message);
    return message;
  }

  /** The next bytes as they come, for what is not a message (the answer to an SSLRequest); null at the end of the connection. */
  async readBytes(length: number): Promise<Buffer | null> {
    return this.#take(length, this.timeoutMs, `${length} bytes`);
  }

  /** True when nothing arrives for this long: no message and no end. */
  async isSilentFor(durationMs: number): Promise<boolean> {
    if (this.#unreadBytes > 0 || this.#ended) return false;
    return !(await this.#moreWithin(durationMs));
  }

  /** Waits until the connection has ended and returns the messages that came before. */
  async closed(timeoutMs: number = this.timeoutMs): Promise<readonly RawMessage[]> {
    const messages: RawMessage[] = [];
    for (;;) {
      const message = await this.read(timeoutMs);
      if (message === null) return messages;
      messages.push(message);
    }
  }

  /** Stops and restarts reading from the socket, to be a client that takes nothing. */
  stopReading(): void {
    this.#socket.pause();
  }

  startReading(): void {
    this.#socket.resume();
  }

  /** Ends our sending side only. */
  halfClose(): void {
    this.#socket.end();
  }

  /** Terminate and close, in order. */
  async end(): Promise<void> {
    if (!this.#ended) this.#socket.end(frontend.terminate());
    await this.closed().finally(() => this.destroy());
  }

  /** Closes at once. */
  destroy(): void {
    this.#socket.destroy();
  }

  /** Closes with a RST. */
  reset(): void {
    this.#socket.resetAndDestroy();
  }

  #listen(): void {
    this.#socket.on('data', this.#onData).on('error', this.#onError).on('end', this.#onEnd).on('close', this.#onEnd);
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#chunks.push(chunk);
    this.#unreadBytes += chunk.length;
    this.#wakeUp();
  };

  readonly #onError = (error: Error): void => {
    this.socketError = error;
  };

  readonly #onEnd = (): void => {
    this.#ended = true;
    this.#wakeUp();
  };

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }

  /** Waits for bytes or the end; false when the time was up first. */
  #moreWithin(timeoutMs: number): Promise<boolean> {
    if (this.#wake !== null) throw new Error('somebody else is already reading from this client');
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#wake = null;
        resolve(false);
      }, timeoutMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve(true);
      };
    });
  }

  /** Takes this many bytes; null when the connection ended before the first of them. */
  async #take(length: number, timeoutMs: number, what: string): Promise<Buffer | null> {
    const deadlineMs = performance.now() + timeoutMs;
    while (this.#unreadBytes < length) {
      if (this.#ended) {
        if (this.#unreadBytes === 0) return null;
        throw new Error(`the connection ended inside ${what}`);
      }
      const leftMs = deadlineMs - performance.now();
      if (leftMs <= 0 || !(await this.#moreWithin(leftMs))) throw new Error(`waited ${timeoutMs} ms for ${what}`);
    }
    const first = this.#chunks[0] ?? Buffer.alloc(0);
    const joined = first.length >= length ? first : Buffer.concat(this.#chunks);
    if (first.length >= length) this.#chunks.shift();
    else this.#chunks = [];
    if (joined.length > length) this.#chunks.unshift(joined.subarray(length));
    this.#unreadBytes -= length;
    return joined.subarray(0, length);
  }

  #note({ type, body }: RawMessage): void {
    if (type === 'S') this.parameters.set(...backend.parameterStatus(body));
    else if (type === 'A') this.notifications.push(backend.notification(body));
    else if (type === 'K') this.key = readKey(body);
    else if (type === 'Z') this.status = transactionStatus(body);
  }

  async #upgrade(tls: ConnectionOptions): Promise<void> {
    this.send(frontend.sslRequest());
    const answer = await this.readBytes(1);
    if (answer?.toString('latin1') !== 'S') throw new Error(`the server answered ${String(answer)} to an SSLRequest`);
    const plain = this.#socket;
    plain.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onEnd);
    const socket = connectTls({ ...tls, socket: plain });
    await opened(socket, 'secureConnect', this.timeoutMs);
    this.#socket = socket;
    this.#listen();
  }
}

function opened(socket: Socket, event: 'connect' | 'secureConnect', timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => socket.destroy(new Error(`waited ${timeoutMs} ms for ${event}`)), timeoutMs);
    // Both stay on the socket: rejecting a promise that is resolved does nothing.
    socket.on('error', reject);
    socket.on('close', () => {
      clearTimeout(timer);
      reject(new Error(`the connection was closed before ${event}`));
    });
    socket.once(event, () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

function readKey(body: Buffer): { readonly pid: number; readonly secret: Buffer } {
  const reader = new BodyReader(body);
  return { pid: reader.int32(), secret: reader.rest() };
}
