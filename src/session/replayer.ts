import { NodeError } from '../backend/node-error.js';
import { SwitchyardError } from '../errors.js';
import { noticeResponse } from '../protocol/backend-messages.js';
import type { ErrorFields } from '../protocol/error-fields.js';
import type { SessionContext } from './context.js';
import { isIndispensable, ReplayKind } from './state/replay-plan.js';
import type { SessionReplay } from './state/replay-plan.js';

const mayHaveMissed = noticeResponse('WARNING', {
  sqlState: '01000',
  message: 'the session has moved to another node: notifications may have been missed',
  detail: 'It listens there now.',
});

/** Watches how the state of a session arrives on another backend. */
export class Replayer {
  readonly #sessionId: number;
  readonly #context: SessionContext;
  #replay: SessionReplay | null = null;
  #failure: Error | null = null;
  #isLogin = false;
  #refused = new Set<number>();

  constructor(sessionId: number, context: SessionContext) {
    this.#sessionId = sessionId;
    this.#context = context;
  }

  /** Why the session cannot go on, once everything is answered; null when it can. */
  get failure(): Error | null {
    return this.#failure;
  }

  /** What is on its way, or has just arrived. */
  get replay(): SessionReplay | null {
    return this.#replay;
  }

  /** Its parts that were refused, counted from 0. */
  get refused(): ReadonlySet<number> {
    return this.#refused;
  }

  /** Not everything is answered yet. */
  get isRunning(): boolean {
    return this.#replay !== null;
  }

  /** What the client is to be told of the move: a whole message, or null. */
  get notice(): Buffer | null {
    return this.#replay?.parts.some(({ kind }) => kind === ReplayKind.Listen) === true ? mayHaveMissed : null;
  }

  /** `isLogin`: it is what the client has asked for in its startup packet, and the log-in is not over. */
  begin(replay: SessionReplay | null, isLogin = false): void {
    this.#replay = replay;
    this.#isLogin = isLogin;
    this.#failure = null;
    if (this.#refused.size > 0) this.#refused = new Set();
  }

  /** The node has refused this part, counted from 0. */
  failed(fields: ErrorFields, index: number): void {
    const { sqlState, message } = fields;
    this.#refused.add(index);
    const part = this.#replay?.parts[index];
    if (part?.kind === ReplayKind.Failure) return;
    const what = part === undefined ? 'a message' : `${part.kind} ${part.name}`.trimEnd();
    this.#context.logger.info({ session: this.#sessionId, sqlState, what }, 'a replayed message failed');
    // Of what is not here the client hears when it uses it, as after any DDL.
    if (part === undefined || !isIndispensable(part)) return;
    if (this.#isLogin) {
      this.#failure ??= new NodeError(fields);
      return;
    }
    this.#failure ??= new SwitchyardError(
      'replay_failed',
      'terminating connection because its state could not be brought back on another node',
      { detail: `Replay of ${what} failed there: ${message} (${sqlState}).` },
    );
  }
}
