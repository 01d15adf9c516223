import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import type { Socket } from 'node:net';
import { TLSSocket, createSecureContext } from 'node:tls';
import type { TestContext } from 'node:test';
import { ClientLogin, type LoginStep } from '../../src/auth/client-login.js';
import type { BackendCredentials } from '../../src/auth/credentials.js';
import { KeyDeriver } from '../../src/auth/key-deriver.js';
import { LoginSecrets } from '../../src/auth/login-secrets.js';
import type { UserDirectory } from '../../src/auth/users.js';
import type { AuthMethod } from '../../src/config/auth-schema.js';
import {
  authenticationOk,
  errorResponse,
  parameterStatus,
  readyForQuery,
} from '../../src/protocol/backend-messages.js';
import { TransactionStatus } from '../../src/protocol/codes.js';
import { readStartupPacket } from '../../src/protocol/startup-packet.js';
import { cString, message } from '../support/raw-messages.js';

export interface LoginServerOptions {
  readonly method: AuthMethod;
  readonly directory: UserDirectory;
  /** With it SSLRequest is answered with S, and SCRAM-SHA-256-PLUS is offered unless the hash is null. */
  readonly tls?: { readonly key: string; readonly cert: string; readonly channelBinding: Buffer | null };
}

/**
 * A server that lets real clients log in through `ClientLogin`, answers every query with nothing, and keeps what it learned. Just
 * enough of a server for that; it lives on the loopback address and ends with the test.
 */
export class LoginServer {
  readonly #options: LoginServerOptions;
  readonly #secrets: LoginSecrets;
  readonly #sockets: Set<Socket>;
  readonly #server: ReturnType<typeof createServer>;
  /** Of the log-ins that went well, in their order. */
  readonly accepted: BackendCredentials[];
  /** For our own log, of those that did not. */
  readonly refusals: string[];
  /** Mechanisms that clients chose. */
  readonly mechanisms: string[];

  private constructor(options: LoginServerOptions) {
    this.#options = options;
    this.#secrets = new LoginSecrets(new KeyDeriver());
    this.#sockets = new Set();
    this.accepted = [];
    this.refusals = [];
    this.mechanisms = [];
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => {});
      this.#serve(socket).catch((error: unknown) => {
        this.refusals.push(String(error));
        socket.destroy();
      });
    });
  }

  static async start(t: TestContext, options: LoginServerOptions): Promise<LoginServer> {
    const server = new LoginServer(options);
    t.after(() => {
      for (const socket of server.#sockets) socket.destroy();
      server.#server.close();
    });
    server.#server.listen(0, '127.0.0.1');
    await once(server.#server, 'listening');
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async #serve(plain: Socket): Promise<void> {
    let reader = new SocketReader(plain);
    let socket = plain;
    let packet = readStartupPacket(await reader.startupPacket()).packet;
    while (packet.kind === 'ssl' || packet.kind === 'gssenc') {
      const { tls } = this.#options;
      const isTls = packet.kind === 'ssl' && tls !== undefined;
      socket.write(isTls ? 'S' : 'N');
      if (isTls) {
        reader.release();
        socket = new TLSSocket(plain, { isServer: true, secureContext: createSecureContext(tls) });
        socket.on('error', () => {});
        reader = new SocketReader(socket);
      }
      packet = readStartupPacket(await reader.startupPacket()).packet;
    }
    if (packet.kind !== 'startup') throw new Error(`a ${packet.kind} packet came`);
    if (await this.#logIn(reader, socket, packet.user, packet.database)) await answerQueries(reader, socket);
    socket.end();
  }

  async #logIn(reader: SocketReader, socket: Socket, user: string, database: string): Promise<boolean> {
    const login = new ClientLogin({
      method: this.#options.method,
      user,
      database,
      directory: this.#options.directory,
      secrets: this.#secrets,
      channelBinding: this.#options.tls?.channelBinding ?? null,
    });
    let step: LoginStep = await login.begin();
    while (step.kind === 'send') {
      socket.write(step.bytes);
      const { type, body } = await reader.message();
      if (type !== 'p') throw new Error(`a message of type ${type} came`);
      if (body.toString('latin1').startsWith('SCRAM'))
        this.mechanisms.push(body.toString('latin1').split('\0')[0] ?? '');
      step = await login.onPasswordMessage(body);
    }
    if (step.kind === 'fail') {
      this.refusals.push(step.logDetail);
      const { sqlState, message: text, detail, hint } = step.error;
      socket.write(errorResponse({ severity: 'FATAL', sqlState, message: text, detail, hint }));
      return false;
    }
    this.accepted.push(step.credentials);
    if (step.bytes !== null) socket.write(step.bytes);
    const parameters = [parameterStatus('server_version', '15.0'), parameterStatus('client_encoding', 'UTF8')];
    socket.write(Buffer.concat([authenticationOk(), ...parameters, readyForQuery(TransactionStatus.Idle)]));
    return true;
  }
}

async function answerQueries(reader: SocketReader, socket: Socket): Promise<void> {
  for (;;) {
    const { type } = await reader.message();
    if (type === 'X') return;
    socket.write(Buffer.concat([message('C', cString('SELECT 0')), readyForQuery(TransactionStatus.Idle)]));
  }
}

/** Takes whole messages from a socket, as they come. */
class SocketReader {
  readonly #socket: Socket;
  #bytes: Buffer;
  #wake: () => void;
  #isOver: boolean;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.#bytes = Buffer.alloc(0);
    this.#wake = () => {};
    this.#isOver = false;
    socket.on('data', this.#onData);
    socket.on('close', () => {
      this.#isOver = true;
      this.#wake();
    });
  }

  release(): void {
    this.#socket.off('data', this.#onData);
  }

  async startupPacket(): Promise<Buffer> {
    await this.#atLeast(4);
    return this.#take(this.#bytes.readInt32BE(0));
  }

  async message(): Promise<{ readonly type: string; readonly body: Buffer }> {
    await this.#atLeast(5);
    const whole = await this.#take(1 + this.#bytes.readInt32BE(1));
    return { type: whole.toString('latin1', 0, 1), body: whole.subarray(5) };
  }

  async #take(length: number): Promise<Buffer> {
    await this.#atLeast(length);
    const taken = this.#bytes.subarray(0, length);
    this.#bytes = this.#bytes.subarray(length);
    return taken;
  }

  async #atLeast(length: number): Promise<void> {
    while (this.#bytes.length < length) {
      if (this.#isOver) throw new Error('the client went away');
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    this.#wake();
  };
}
