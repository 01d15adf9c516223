import { ClientLogin, PASSWORD_BODY_BYTES_MAX } from '../auth/client-login.js';
import type { LoginStep } from '../auth/client-login.js';
import type { BackendCredentials } from '../auth/credentials.js';
import { messageOf, SwitchyardError } from '../errors.js';
import type { Wire, WireHandler } from '../net/wire.js';
import { errorResponse, negotiateProtocolVersion } from '../protocol/backend-messages.js';
import { Frontend } from '../protocol/codes.js';
import type { CollectTable } from '../protocol/frame-scanner.js';
import { readStartupPacket } from '../protocol/startup-packet.js';
import type { StartupMessage } from '../protocol/startup-packet.js';
import type { ClockTimer } from '../util/clock.js';
import { makeCancelKey } from './cancel-key.js';
import type { CancelKey } from './cancel-key.js';
import { CONSOLE_DATABASE } from './console-door.js';
import type { ConsoleDoor } from './console-door.js';
import type { Door, Doorkeeper } from './doorkeeper.js';
import type { SessionIntent } from './context.js';
import { readOwnOptions } from './own-options.js';
import { sharesBackends, splitParameters } from './pooled/startup-settings.js';
import { Session } from './session.js';
import { readStartupOptions } from './startup-options.js';

const noSettings: ReadonlyMap<string, string> = new Map();
const NO = Buffer.from('N');
/** First byte of a TLS record: a client that begins with TLS at once. */
const TLS_HANDSHAKE = 0x16;
const EMPTY = Buffer.alloc(0);
const HEADER_BYTES = 5;

/** One client from accept to the end of its log-in. Then the wire belongs to its session. */
export class Startup implements WireHandler {
  readonly #wire: Wire;
  readonly #door: Door;
  readonly #keeper: Doorkeeper;
  readonly #collect: CollectTable;
  readonly #timer: ClockTimer;
  #buffer: Buffer = EMPTY;
  #message: StartupMessage | null = null;
  #login: ClientLogin | null = null;
  #isBusy = false;
  #isDone = false;
  #sawSsl = false;
  #sawGss = false;

  private constructor(wire: Wire, door: Door, keeper: Doorkeeper, collect: CollectTable) {
    this.#wire = wire;
    this.#door = door;
    this.#keeper = keeper;
    this.#collect = collect;
    keeper.startups += 1;
    this.#timer = keeper.clock.setTimer(keeper.rules.startupTimeoutMs, () => {
      const { startupTimeoutMs } = keeper.rules;
      const message = `log-in took longer than ${startupTimeoutMs} ms (startup_timeout of the proxy)`;
      this.#fail(new SwitchyardError('startup_timeout', message));
    });
  }

  /** Takes the wire of a client that was just accepted. It looks after itself from here on. */
  static begin(wire: Wire, door: Door, keeper: Doorkeeper, collect: CollectTable): void {
    wire.handler = new Startup(wire, door, keeper, collect);
  }

  onChunk(chunk: Buffer): void {
    if (this.#isDone) return;
    this.#buffer = this.#buffer.length === 0 ? chunk : Buffer.concat([this.#buffer, chunk]);
    this.#advance();
  }

  onDrain(): void {}

  onEnd(): void {
    this.#finish();
    this.#wire.end();
  }

  onClose(): void {
    this.#finish();
  }

  #advance(): void {
    while (!this.#isDone && !this.#isBusy) {
      const goesOn = this.#message === null ? this.#readPacket() : this.#readPassword();
      if (!goesOn) return;
    }
    // While a step is computed nothing more is read than one chunk; what is there waits.
    if (this.#isBusy && this.#buffer.length > PASSWORD_BODY_BYTES_MAX) this.#wire.pause();
  }

  #readPacket(): boolean {
    if (this.#buffer[0] === TLS_HANDSHAKE && !this.#sawSsl) {
      this.#keeper.logger.info(this.#who(), 'client began with TLS, which this listener does not speak');
      this.#finish();
      this.#wire.destroy();
      return false;
    }
    const { packet, end } = readStartupPacket(this.#buffer);
    switch (packet.kind) {
      case 'incomplete':
        return false;
      case 'violation':
        this.#failWith(packet.sqlState, packet.message);
        return false;
      case 'ssl':
      case 'gssenc':
        return this.#refuseEncryption(packet.kind, end);
      case 'cancel':
        this.#cancel(packet.processId, packet.key);
        return false;
      case 'startup':
      default:
        this.#buffer = this.#buffer.subarray(end);
        this.#begin(packet);
        return true;
    }
  }

  /** No encryption here. Bytes that were sent before our answer could have been put there by somebody in between. */
  #refuseEncryption(kind: 'ssl' | 'gssenc', end: number): boolean {
    const isSecond = kind === 'ssl' ? this.#sawSsl : this.#sawGss;
    if (isSecond || this.#buffer.length > end) {
      const what = kind === 'ssl' ? 'SSL' : 'GSSAPI encryption';
      this.#failWith(
        '08P01',
        isSecond ? `${what} was already refused` : `received unencrypted data after ${what} request`,
      );
      return false;
    }
    if (kind === 'ssl') this.#sawSsl = true;
    else this.#sawGss = true;
    this.#buffer = EMPTY;
    this.#wire.write(NO);
    return true;
  }

  #cancel(processId: number, key: Buffer): void {
    const { context, counters, logger } = this.#keeper;
    const session =
      context.registry.findByCancelKey(processId, key) ?? context.console?.findByCancelKey(processId, key) ?? null;
    this.#finish();
    if (session === null) {
      counters.cancels.add('unknown_key');
      logger.info(this.#who(), 'cancel request with a key that is not ours');
      this.#wire.end();
      return;
    }
    // No answer, whatever becomes of it, but the end of the connection says that it is over (documentation, "Canceling Requests in
    // Progress"): what the client sends then is not hit.
    void session.cancel().finally(() => this.#wire.end());
  }

  #begin(message: StartupMessage): void {
    const { rules, context, directory, secrets } = this.#keeper;
    if (this.#keeper.isClosing) {
      this.#fail(new SwitchyardError('not_accepting', 'the proxy is shutting down'));
      return;
    }
    // Whoever comes to see why there are so many has a place of his own.
    if (context.registry.size >= rules.maxClients && this.#consoleFor(message) === null) {
      this.#keeper.counters.clientsRefused += 1;
      this.#fail(
        new SwitchyardError('too_many_clients', 'sorry, too many clients already', { hint: 'limits.max_clients' }),
      );
      return;
    }
    if (context.pauses.isDisabled(message.database)) {
      this.#fail(new SwitchyardError('not_accepting', `database "${message.database}" is disabled`));
      return;
    }
    this.#message = message;
    // Never a version above the one asked for: libpq takes that for a broken server.
    if (message.mustNegotiate) this.#wire.write(negotiateProtocolVersion(message.spoken, message.unsupportedOptions));
    const { user, database } = message;
    const match = rules.rules.match({ address: this.#wire.remoteAddress, database, user });
    this.#login = new ClientLogin({ method: match.method, user, database, directory, secrets, channelBinding: null });
    this.#take(this.#login.begin());
  }

  #readPassword(): boolean {
    const buffer = this.#buffer;
    if (buffer.length < HEADER_BYTES) return false;
    const type = buffer.readUInt8(0);
    const length = buffer.readUInt32BE(1);
    if (type !== Frontend.Password) {
      if (type === Frontend.Terminate) {
        this.#finish();
        this.#wire.end();
      } else this.#failWith('08P01', `expected password response, got message type ${type}`);
      return false;
    }
    if (length < 4 || length - 4 > PASSWORD_BODY_BYTES_MAX) {
      this.#failWith('08P01', 'invalid password message length');
      return false;
    }
    const end = 1 + length;
    if (buffer.length < end) return false;
    this.#buffer = buffer.subarray(end);
    if (this.#login !== null)
      this.#take(this.#login.onPasswordMessage(Buffer.from(buffer.subarray(HEADER_BYTES, end))));
    return true;
  }

  #take(step: Promise<LoginStep>): void {
    this.#isBusy = true;
    step.then(
      (taken) => {
        this.#isBusy = false;
        if (this.#isDone) return;
        this.#wire.resume();
        this.#onStep(taken);
      },
      (error: unknown) => {
        this.#isBusy = false;
        this.#fail(
          error instanceof SwitchyardError ? error : new SwitchyardError('internal', 'log-in failed', { cause: error }),
        );
      },
    );
  }

  #onStep(step: LoginStep): void {
    switch (step.kind) {
      case 'send':
        this.#wire.write(step.bytes);
        this.#advance();
        return;
      case 'fail':
        this.#fail(step.error, step.logDetail);
        return;
      case 'ok':
      default:
        if (step.bytes !== null) this.#wire.write(step.bytes);
        this.#enter(step.credentials);
    }
  }

  /** The client is in. */
  #enter(credentials: BackendCredentials): void {
    const message = this.#message;
    if (message === null) return;
    const consoleDoor = this.#consoleFor(message);
    if (consoleDoor !== null) {
      this.#enterConsole(message, consoleDoor);
      return;
    }
    const { registry } = this.#keeper.context;
    const options = readStartupOptions(message.parameters.get('options') ?? '');
    const parameters = new Map(message.parameters);
    if (options.rest === null) parameters.delete('options');
    else parameters.set('options', options.rest);
    const isReplication = isReplicationRequest(parameters.get('replication'));
    if (!isReplication) parameters.delete('replication');
    const { listener } = this.#door;
    const ownSettings = readOwnOptions(options.own, this.#door);
    if (ownSettings instanceof SwitchyardError) {
      this.#fail(ownSettings);
      return;
    }
    const intent = narrowed(this.#door.intent, ownSettings);
    if (isReplication && intent.route !== 'primary') {
      const served = 'replication connections are served on listeners with route primary only';
      this.#fail(new SwitchyardError('unsupported_protocol', served));
      return;
    }
    this.#finish();
    const isPooled = sharesBackends(intent, isReplication);
    const { settings, rest } = isPooled ? splitParameters(parameters) : { settings: noSettings, rest: parameters };
    const session = new Session(
      registry.nextId(),
      {
        user: message.user,
        database: message.database,
        applicationName: parameters.get('application_name') ?? '',
        clientAddress: this.#wire.remoteAddress,
        clientPort: this.#wire.remotePort,
        listener,
        credentials,
        parameters: rest,
        startupKey: JSON.stringify([...rest]),
        startSettings: settings,
        ownSettings,
        isReplication,
        protocol: message.spoken,
        cancelKey: this.#makeCancelKey(message),
      },
      intent,
      this.#wire,
      this.#buffer,
      this.#collect,
      this.#keeper.context,
    );
    registry.add(session);
    this.#keeper.logger.debug({ ...this.#who(), session: session.id, protocol: message.spoken }, 'session begins');
    session.open();
  }

  /** Null: it wants to talk to a node. */
  #consoleFor({ database }: StartupMessage): ConsoleDoor | null {
    return database === CONSOLE_DATABASE ? this.#keeper.context.console : null;
  }

  #enterConsole(message: StartupMessage, door: ConsoleDoor): void {
    const refusal = door.refusalOf(message.user);
    if (refusal !== null) {
      this.#fail(refusal);
      return;
    }
    this.#finish();
    door.open(this.#wire, this.#buffer, {
      id: this.#keeper.context.registry.nextId(),
      user: message.user,
      applicationName: message.parameters.get('application_name') ?? '',
      clientAddress: this.#wire.remoteAddress,
      clientPort: this.#wire.remotePort,
      listener: this.#door.listener,
      cancelKey: this.#makeCancelKey(message),
    });
  }

  #makeCancelKey({ spoken }: StartupMessage): CancelKey {
    const { registry, console: door } = this.#keeper.context;
    return makeCancelKey(spoken, (id) => registry.isProcessIdTaken(id) || door?.isProcessIdTaken(id) === true);
  }

  #failWith(sqlState: string, message: string): void {
    if (this.#isDone) return;
    this.#keeper.counters.loginFailures.add('protocol_violation');
    this.#keeper.logger.info({ ...this.#who(), sqlState, error: message }, 'client refused');
    this.#finish();
    this.#wire.end(errorResponse({ severity: 'FATAL', sqlState, message }));
  }

  #fail(error: SwitchyardError, logDetail?: string): void {
    if (this.#isDone) return;
    this.#keeper.counters.loginFailures.add(error.code);
    const cause = error.cause === undefined ? undefined : messageOf(error.cause);
    this.#keeper.logger[error.level](
      { ...this.#who(), code: error.code, error: error.message, detail: logDetail, cause },
      'client refused',
    );
    this.#finish();
    this.#wire.end(
      errorResponse({
        severity: 'FATAL',
        sqlState: error.sqlState,
        message: error.message,
        detail: error.detail,
        hint: error.hint,
      }),
    );
  }

  #who(): Record<string, unknown> {
    return {
      listener: this.#door.listener,
      client: `${this.#wire.remoteAddress}:${this.#wire.remotePort}`,
      user: this.#message?.user,
      database: this.#message?.database,
    };
  }

  #finish(): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#keeper.startups -= 1;
    this.#keeper.clock.clearTimer(this.#timer);
  }
}

/** What a client asks of the router that has narrowed the route at its log-in: it is as if there were a listener for that. */
function narrowed(intent: SessionIntent, ownSettings: ReadonlyMap<string, string>): SessionIntent {
  const route = ownSettings.get('route');
  return route === 'primary' || route === 'standby' ? { ...intent, route, stickiness: 'session' } : intent;
}

/** As PostgreSQL reads the parameter: a boolean, or `database` for logical replication. */
function isReplicationRequest(value: string | undefined): boolean {
  return value !== undefined && /^(true|on|yes|1|t|y|tr|tru|ye|database)$/i.test(value);
}
