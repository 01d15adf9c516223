import { SwitchyardError, messageOf } from '../../errors.js';
import type { Logger } from '../../log.js';
import type { Wire, WireHandler } from '../../net/wire.js';
import {
  authenticationOk,
  backendKeyData,
  commandComplete,
  emptyMessage,
  errorResponse,
  noParameters,
  noticeResponse,
  parameterStatus,
  readyForQuery,
} from '../../protocol/backend-messages.js';
import { BodyReader } from '../../protocol/body-reader.js';
import { BackendType, Frontend, TransactionStatus } from '../../protocol/codes.js';
import { FrameScanner, Verdict, collectAll } from '../../protocol/frame-scanner.js';
import type { FrameHandler } from '../../protocol/frame-scanner.js';
import { Format, rowDescription } from '../../protocol/row-messages.js';
import type { ConsoleClient } from '../../session/console-door.js';
import type { Clock } from '../../util/clock.js';
import { CommandReader } from './command.js';
import { Extended } from './extended.js';
import type { Portal } from './extended.js';
import type { TalkingClient } from './facts.js';
import { RowPieces } from './row-pieces.js';
import type { RowSource } from './row-pieces.js';
import { columnsOf } from './runner.js';
import type { Outcome, Runner } from './runner.js';

/** Longest message of a client. */
const MESSAGE_BYTES_MAX = 1024 * 1024;
/** Input that is read ahead while a command runs; what is beyond it waits in the system. */
const AHEAD_BYTES_MAX = 64 * 1024;

export interface ConversationParts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly runner: Runner;
  /** What the client is told with ParameterStatus. */
  readonly parameters: readonly (readonly [name: string, value: string])[];
  readonly onClosed: (conversation: Conversation) => void;
}

/**
 * One client of the console, from its greeting to the end. Commands run one at a time, in their order; while one runs, the next wait.
 * There are no transactions: the status is always idle.
 */
export class Conversation implements TalkingClient, WireHandler, FrameHandler {
  readonly client: ConsoleClient;
  readonly startedAtMs: number;
  lastBeginMs = 0;
  readonly #wire: Wire;
  readonly #parts: ConversationParts;
  readonly #scanner: FrameScanner;
  readonly #extended = new Extended();
  /** Of the command that runs; null: none does. */
  #running: AbortController | null = null;
  /** What waits until the wire has room. */
  #onRoom: (() => void) | null = null;
  /** A message of the extended protocol was answered with an error: those up to the Sync are left out. */
  #isSkipping = false;
  #aheadBytes = 0;
  /** The client takes its answers slower than they come: nothing more of it is read. */
  #isFull = false;
  #isClosed = false;

  constructor(wire: Wire, client: ConsoleClient, parts: ConversationParts) {
    this.client = client;
    this.startedAtMs = parts.clock.nowMs();
    this.#wire = wire;
    this.#parts = parts;
    this.#scanner = new FrameScanner(collectAll(MESSAGE_BYTES_MAX), MESSAGE_BYTES_MAX, this);
  }

  get isBusy(): boolean {
    return this.#running !== null;
  }

  get prepared(): number {
    return this.#extended.prepared;
  }

  get pendingBytes(): number {
    return this.#wire.pendingBytes;
  }

  /** Greets the client; `rest`: what it has said already. */
  begin(rest: Buffer): void {
    const { processId, key } = this.client.cancelKey;
    this.#wire.handler = this;
    this.#wire.write(
      Buffer.concat([
        authenticationOk(),
        ...this.#parts.parameters.map(([name, value]) => parameterStatus(name, value)),
        backendKeyData(processId, key),
        readyForQuery(TransactionStatus.Idle),
      ]),
    );
    this.#wire.resume();
    if (rest.length > 0) this.onChunk(rest);
  }

  /** Cancels the command that runs. */
  cancel(): Promise<void> {
    this.#running?.abort(cancellation());
    return Promise.resolve();
  }

  /** Tells the client why, and ends. */
  end(error: SwitchyardError): void {
    if (this.#isClosed) return;
    this.#wire.end(errorMessage('FATAL', error));
    this.#close();
  }

  // ---- the wire

  onChunk(chunk: Buffer): void {
    if (this.#isClosed) return;
    if (this.#isHeld) this.#aheadBytes += chunk.length;
    this.#scanner.push(chunk);
    if (this.#aheadBytes > AHEAD_BYTES_MAX) this.#wire.pause();
  }

  onDrain(): void {
    this.#isFull = false;
    this.#onRoom?.();
    this.#goOn();
  }

  onEnd(): void {
    this.#wire.end();
    this.#close();
  }

  onClose(): void {
    this.#close();
  }

  // ---- the messages

  onFrame(type: number, buffer: Buffer, start: number, end: number): Verdict {
    if (this.#isHeld) return Verdict.Stop;
    if (type === Frontend.Terminate) {
      this.#wire.end();
      this.#close();
      return Verdict.Drop;
    }
    if (this.#isSkipping && type !== Frontend.Sync) return Verdict.Drop;
    const body = new BodyReader(buffer, start, end);
    try {
      this.#take(type, body);
    } catch (error) {
      this.#fail(error, type);
    }
    return Verdict.Drop;
  }

  onRun(): void {}

  onFlushed(): void {}

  onViolation(message: string): void {
    this.end(new SwitchyardError('protocol_violation', message));
  }

  #take(type: number, body: BodyReader): void {
    switch (type) {
      case Frontend.Query: {
        const text = body.text();
        body.finish();
        this.#extended.forgetUnnamed();
        this.#run(type, (signal) => this.#query(text, signal));
        return;
      }
      case Frontend.Parse:
        this.#extended.parse(body);
        this.#say(emptyMessage(BackendType.ParseComplete));
        return;
      case Frontend.Bind:
        this.#extended.bind(body);
        this.#say(emptyMessage(BackendType.BindComplete));
        return;
      case Frontend.Describe:
        this.#describe(body);
        return;
      case Frontend.Execute: {
        const portal = this.#extended.portal(body.text());
        const rowsMax = body.int32();
        body.finish();
        this.#run(type, (signal) => this.#execute(portal, rowsMax, signal));
        return;
      }
      case Frontend.Close:
        this.#extended.close(body);
        this.#say(emptyMessage(BackendType.CloseComplete));
        return;
      case Frontend.Sync:
        body.finish();
        this.#isSkipping = false;
        this.#ready();
        return;
      case Frontend.Flush:
      case Frontend.CopyData:
      case Frontend.CopyDone:
      case Frontend.CopyFail:
        // Nothing is kept back; and what is left of a COPY is for nobody, as on a server.
        return;
      case Frontend.FunctionCall:
        throw new SwitchyardError('not_available', 'the console has no functions to be called');
      default:
        this.end(new SwitchyardError('protocol_violation', `invalid frontend message type ${type}`));
    }
  }

  #describe(body: BodyReader): void {
    const { columns, formatOf, isStatement } = this.#extended.described(body);
    this.#say(
      Buffer.concat([
        ...(isStatement ? [noParameters()] : []),
        columns === null ? emptyMessage(BackendType.NoData) : rowDescription(columns, formatOf),
      ]),
    );
  }

  /** Runs a command; messages that come meanwhile are left unread. */
  #run(type: number, what: (signal: AbortSignal) => Promise<void>): void {
    const running = new AbortController();
    this.#running = running;
    this.lastBeginMs = this.#parts.clock.nowMs();
    void what(running.signal)
      .catch((error: unknown) => this.#fail(error, type))
      .finally(() => {
        this.#running = null;
        if (this.#isClosed) return;
        if (type === Frontend.Query) this.#ready();
        this.#goOn();
      });
  }

  get #isHeld(): boolean {
    return this.#running !== null || this.#isFull;
  }

  /** Reads on where it was left, if nothing is in the way any more. */
  #goOn(): void {
    if (this.#isClosed || this.#isHeld) return;
    this.#aheadBytes = 0;
    this.#wire.resume();
    this.#scanner.resume();
  }

  #say(messages: Buffer): void {
    if (!this.#isClosed && !this.#wire.write(messages)) this.#isFull = true;
  }

  async #query(text: string, signal: AbortSignal): Promise<void> {
    const reader = new CommandReader(text);
    let command = reader.next();
    if (command === null) this.#say(emptyMessage(BackendType.EmptyQueryResponse));
    for (; command !== null; command = reader.next()) {
      const columns = columnsOf(command);
      const { rows, tag } = await this.#ask(command, signal);
      if (columns !== null && rows !== null) {
        const formatOf = (): Format => Format.Text;
        this.#say(rowDescription(columns, formatOf));
        await this.#sendRows({ rows: rows[Symbol.iterator](), columns, formatOf }, 0, signal);
      }
      this.#say(commandComplete(tag));
    }
  }

  async #execute(portal: Portal, rowsMax: number, signal: AbortSignal): Promise<void> {
    const { statement, columns, formatOf } = portal;
    if (statement === null) {
      this.#say(emptyMessage(BackendType.EmptyQueryResponse));
      return;
    }
    if (portal.rows === null && !portal.isDone) {
      const { rows, tag } = await this.#ask(statement, signal);
      portal.rows = rows?.[Symbol.iterator]() ?? null;
      portal.tag = tag;
    }
    if (portal.rows !== null && columns !== null) {
      const isLast = await this.#sendRows({ rows: portal.rows, columns, formatOf }, rowsMax, signal);
      if (!isLast) {
        this.#say(emptyMessage(BackendType.PortalSuspended));
        return;
      }
    }
    portal.rows = null;
    portal.isDone = true;
    this.#say(commandComplete(portal.tag));
  }

  /** Whatever it waits for, a cancel request ends the wait. */
  async #ask(command: Parameters<Runner['run']>[0], signal: AbortSignal): Promise<Outcome> {
    const { user, clientAddress, clientPort } = this.client;
    if (signal.aborted) throw cancellation();
    const asked = this.#parts.runner.run(command, {
      user,
      address: `${clientAddress}:${clientPort}`,
      signal,
      notice: (message, detail) => this.#notice(message, detail),
    });
    const cancelled = new Promise<never>((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(cancellation()), { once: true });
    });
    return Promise.race([asked, cancelled]);
  }

  /** Sends `rowsMax` rows, 0: all, each piece when the one before it has gone out. False: there may be more. */
  async #sendRows(source: RowSource, rowsMax: number, signal: AbortSignal): Promise<boolean> {
    const pieces = new RowPieces(source, rowsMax);
    for (let piece = pieces.next(); piece !== null; piece = pieces.next()) {
      this.#say(piece);
      if (this.#isFull) await this.#room(signal);
      if (signal.aborted) throw cancellation();
    }
    return pieces.isLast;
  }

  async #room(signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#onRoom = resolve;
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    this.#onRoom = null;
  }

  #notice(message: string, detail?: string): void {
    this.#say(noticeResponse('NOTICE', { sqlState: '00000', message, detail: detail ?? null }));
  }

  #ready(): void {
    this.#say(readyForQuery(TransactionStatus.Idle));
  }

  #fail(error: unknown, type: number): void {
    if (this.#isClosed) return;
    let told: SwitchyardError;
    if (error instanceof SwitchyardError) told = error;
    else {
      this.#parts.logger.error({ user: this.client.user, error: messageOf(error) }, 'a console command failed');
      told = new SwitchyardError('internal', 'internal error', { cause: error });
    }
    this.#say(errorMessage('ERROR', told));
    // A query that has begun is followed by its end in any case.
    const isWhole = type === Frontend.FunctionCall || type === Frontend.Sync || type === Frontend.Query;
    if (!isWhole) this.#isSkipping = true;
    else if (this.#running === null) this.#ready();
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#scanner.close();
    this.#running?.abort();
    this.#parts.onClosed(this);
  }
}

function errorMessage(severity: 'ERROR' | 'FATAL', error: SwitchyardError): Buffer {
  const { sqlState, message, detail, hint } = error;
  return errorResponse({ severity, sqlState, message, detail, hint });
}

function cancellation(): SwitchyardError {
  return new SwitchyardError('query_canceled', 'canceling statement due to user request');
}
