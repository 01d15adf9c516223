import { serialize } from 'pg-protocol';
import { forwardCancel } from '../backend/forward-cancel.js';
import { SinkMode } from '../backend/backend.js';
import type { Backend, BackendSink } from '../backend/backend.js';
import { messageOf } from '../errors.js';
import { BackendType, Frontend } from '../protocol/codes.js';
import { decodeErrorFields, isFatal } from '../protocol/error-fields.js';
import { NOT_READ, Verdict } from '../protocol/frame-scanner.js';
import { Reply } from '../protocol/request-tracker.js';
import type { Relay } from '../relay/relay.js';
import type { ClockTimer } from '../util/clock.js';
import type { SessionContext } from './context.js';
import { INSPECTION_NAME, INSPECTION_SQL, inspectionValues, readInspection } from './state/session-inspection.js';
import type { SessionState } from './state/session-state.js';

/** So long a session with something in doubt is idle before its node is asked. */
export const INSPECTION_IDLE_MS = 200;
/** So long the answer may take; behind that it is cancelled. */
export const INSPECTION_TIMEOUT_MS = 2_000;
/** ReadyForQuery messages that end an inspection: of the question, and of its tidying up. */
const READIES = 2;

/** What an inspector needs of its session. */
export interface InspectorOwner {
  readonly relay: Relay;
  readonly state: SessionState;
}

/**
 * Asks the node of an idle session what the session has there, when that may free it of its pins. Whatever the client sends meanwhile
 * waits for the answer. An error leaves everything as it was.
 */
export class Inspector {
  readonly #owner: InspectorOwner;
  readonly #context: SessionContext;
  /** The doubts that the node was asked about last. */
  #asked = 0;
  #quietSinceMs = 0;
  #timer: ClockTimer | null = null;
  #running: Inspecting | null = null;

  constructor(owner: InspectorOwner, context: SessionContext) {
    this.#owner = owner;
    this.#context = context;
  }

  /** The node is being asked: nothing of the client may be sent. */
  get isRunning(): boolean {
    return this.#running !== null;
  }

  /** Nothing is owed to the client any more. */
  onQuiet(): void {
    const { state } = this.#owner;
    if (state.doubts === this.#asked) return;
    if (state.isAskedAtOnce) {
      this.inspect();
      return;
    }
    this.#quietSinceMs = this.#context.clock.nowMs();
    this.#timer ??= this.#wait(INSPECTION_IDLE_MS);
  }

  /** Asks now, if there is anything to ask. */
  inspect(): void {
    const { relay, state } = this.#owner;
    const { backend } = relay;
    if (backend === null || this.#running !== null || !relay.isAtBoundary) return;
    if (state.doubts === this.#asked || !state.isProvable) return;
    this.#asked = state.doubts;
    this.#stopTimer();
    relay.askAtUnit = true;
    const running = new Inspecting(backend, this.#context, () => this.#end(running));
    this.#running = running;
    running.ask(state.question);
  }

  /** The backend is gone. */
  drop(): void {
    this.#stopTimer();
    this.#running?.stop();
    this.#running = null;
  }

  #end(running: Inspecting): void {
    if (this.#running !== running) return;
    this.#running = null;
    const { error, rows } = running;
    const { relay, state } = this.#owner;
    if (error === null) state.inspected(readInspection(rows), relay.backend?.parameters.get('client_encoding') ?? '');
    else this.#context.logger.debug({ error }, 'a session could not be inspected');
  }

  #wait(ms: number): ClockTimer {
    const { clock } = this.#context;
    return clock.setTimer(ms, () => {
      this.#timer = null;
      if (!this.#owner.relay.isAtBoundary) return;
      const leftMs = this.#quietSinceMs + INSPECTION_IDLE_MS - clock.nowMs();
      if (leftMs > 0) this.#timer = this.#wait(leftMs);
      else this.inspect();
    });
  }

  #stopTimer(): void {
    if (this.#timer !== null) this.#context.clock.clearTimer(this.#timer);
    this.#timer = null;
  }
}

/**
 * One question under way. It stands between the backend and the relay: answers to the question end here, everything else goes on to the
 * relay as ever (notifications, parameters, the node's farewell).
 */
class Inspecting implements BackendSink {
  readonly rows: (string | null)[][] = [];
  error: string | null = null;
  readonly #backend: Backend;
  readonly #relay: BackendSink;
  readonly #context: SessionContext;
  readonly #done: () => void;
  readonly #timer: ClockTimer;
  #readiesLeft = READIES;
  #isCancelling = false;

  constructor(backend: Backend, context: SessionContext, done: () => void) {
    this.#backend = backend;
    this.#relay = backend.sink;
    this.#context = context;
    this.#done = done;
    this.#timer = context.clock.setTimer(INSPECTION_TIMEOUT_MS, () => void this.#cancel());
  }

  ask(question: Parameters<typeof inspectionValues>[0]): void {
    const { Parse, Bind, Execute, Sync, Close } = Frontend;
    this.#backend.attach(this, SinkMode.Own);
    // The unnamed statement is the client's, and an error would leave out a Close before the Sync.
    for (const type of [Parse, Bind, Execute, Sync, Close, Sync]) this.#backend.tracker.sent(type, true);
    this.#backend.send(
      Buffer.concat([
        serialize.parse({ name: INSPECTION_NAME, text: INSPECTION_SQL }),
        serialize.bind({ statement: INSPECTION_NAME, values: inspectionValues(question) }),
        serialize.execute(),
        serialize.sync(),
        serialize.close({ type: 'S', name: INSPECTION_NAME }),
        serialize.sync(),
      ]),
    );
  }

  /** Nothing is to be heard of it any more. */
  stop(): void {
    this.#context.clock.clearTimer(this.#timer);
  }

  onBackendFrame(type: number, reply: Reply, buffer: Buffer, start: number, end: number, bodyBytes: number): Verdict {
    if (type === BackendType.ErrorResponse && reply === Reply.Swallow && end !== NOT_READ) {
      const fields = decodeErrorFields(buffer, start, end);
      if (!isFatal(fields)) {
        this.error ??= `${fields.sqlState}: ${fields.message}`;
        return Verdict.Drop;
      }
    }
    const isOurs = reply === Reply.Swallow && type !== BackendType.ErrorResponse;
    if (!isOurs) return this.#relay.onBackendFrame(type, reply, buffer, start, end, bodyBytes);
    if (type === BackendType.DataRow) {
      if (end === NOT_READ) this.error ??= 'a row is too large';
      else this.rows.push(readRow(buffer, start));
    }
    return Verdict.Drop;
  }

  onBackendRun(buffer: Buffer, start: number, end: number): void {
    this.#relay.onBackendRun(buffer, start, end);
  }

  onBackendFlushed(type: number): void {
    if (type !== BackendType.ReadyForQuery) {
      this.#relay.onBackendFlushed(type);
      return;
    }
    this.#readiesLeft -= 1;
    if (this.#readiesLeft === 0 && !this.#isCancelling) this.#finish();
  }

  onBackendDrain(): void {
    this.#relay.onBackendDrain();
  }

  onBackendClose(error: Error | null): void {
    this.#relay.onBackendClose(error);
  }

  /** It takes too long. What the client says next must not be hit, so it waits until the node has closed the request. */
  async #cancel(): Promise<void> {
    this.#isCancelling = true;
    this.error ??= `no answer within ${INSPECTION_TIMEOUT_MS} ms`;
    try {
      await forwardCancel(this.#backend, this.#context.limits.connectTimeoutMs);
    } catch (error) {
      this.#context.logger.debug({ error: messageOf(error) }, 'an inspection could not be cancelled');
    }
    this.#isCancelling = false;
    if (this.#readiesLeft === 0 && !this.#backend.closed) this.#finish();
  }

  #finish(): void {
    this.stop();
    this.#backend.attach(this.#relay, SinkMode.Relay);
    this.#done();
    // To the relay it is the end of nothing; but whoever waits for the backend to be quiet hears of it.
    this.#relay.onBackendFlushed(BackendType.ReadyForQuery);
  }
}

/** The columns of a DataRow; all of them are ASCII. */
function readRow(buffer: Buffer, start: number): (string | null)[] {
  const columns: (string | null)[] = [];
  let at = start + 2;
  for (let left = buffer.readInt16BE(start); left > 0; left -= 1) {
    const length = buffer.readInt32BE(at);
    at += 4;
    columns.push(length < 0 ? null : buffer.toString('latin1', at, at + length));
    at += Math.max(length, 0);
  }
  return columns;
}
