import assert from 'node:assert/strict';
import { serialize } from 'pg-protocol';
import { TransactionStatus } from '../../src/protocol/codes.js';
import { Applied } from '../../src/session/state/applied.js';
import { addNeededNames } from '../../src/session/state/needed-names.js';
import { isIndispensable, joinReplays } from '../../src/session/state/replay-plan.js';
import type { SessionReplay } from '../../src/session/state/replay-plan.js';
import {
  INSPECTION_NAME,
  INSPECTION_SQL,
  inspectionValues,
  readInspection,
} from '../../src/session/state/session-inspection.js';
import { SessionState } from '../../src/session/state/session-state.js';
import { canRunAgain } from '../../src/sql/analysis.js';
import type { SqlAnalyzer, TextFacts } from '../../src/sql/analysis.js';
import { PinReason } from '../../src/sql/pin-reason.js';
import { systemClock } from '../../src/util/clock.js';
import type { RawClient } from '../support/raw-client.js';
import type { RawMessage } from '../support/raw-messages.js';
import type { RawReply } from '../support/raw-reply.js';
import { summarize } from '../support/raw-reply.js';
import { ask, essence, messagesOf, questions } from './session-moves-lab.js';
import type { Step } from './session-moves-lab.js';

const HEADER_BYTES = 5;
/** Only there can it be said what the session listens to. */
const OF_LISTENERS = /listen|discard all/i;

const PROGRAM = /\b(?:do \$\$|call )/;

const statuses = {
  I: TransactionStatus.Idle,
  T: TransactionStatus.InTransaction,
  E: TransactionStatus.Failed,
} as const;

/** A unit, or what happens to the backends. */
export type DividedStep =
  | Step
  /** To the other backend, and no more; `move` also compares. */
  | { readonly kind: 'switch' }
  /** The next unit that could be sent again is refused where it fails, and runs on the other backend. */
  | { readonly kind: 'refuse' }
  /** The backend that is not attached is replaced by a new one. */
  | { readonly kind: 'lose' };

export interface DividedCounts {
  steps: number;
  switches: number;
  /** Replays that had something to say, and those that had not. */
  replays: number;
  silent: number;
  prepares: number;
  preparesInside: number;
  refused: number;
  lost: number;
  skipped: number;
  pinned: number;
}

interface Side {
  client: RawClient;
  applied: Applied;
  /** False: as on a standby, it never listens. */
  readonly listens: boolean;
}

/** What divides a session, and how. */
export interface DividedParts {
  readonly direct: RawClient;
  readonly sides: readonly [RawClient, RawClient];
  readonly areBothListening: boolean;
  readonly preparedMax: number;
  readonly analyzer: SqlAnalyzer;
  readonly counts: DividedCounts;
  /** Another connection such as the two. */
  connect(): Promise<RawClient>;
}

/** The same client twice: on a server, and as a session with two backends that are used by turns. */
export class Divided {
  readonly #parts: DividedParts;
  readonly #state: SessionState;
  readonly #sides: readonly [Side, Side];
  #at: 0 | 1 = 0;
  #isRefusing = false;
  #doubtsAsked = 0;
  #hasProgram = false;
  #hasDiscarded = false;
  /** What the attached backend is to be sent first. */
  #arriving: SessionReplay | null = null;
  /** As the client was told last: as it is on either backend when it is brought there. */
  #told: TextFacts = { clientEncoding: 'UTF8', escapesInStrings: false };
  readonly #facts = (): TextFacts => this.#told;

  constructor(parts: DividedParts) {
    this.#parts = parts;
    this.#state = new SessionState(parts.preparedMax, parts.analyzer, systemClock);
    const [a, b] = parts.sides;
    this.#sides = [
      { client: a, applied: new Applied(), listens: true },
      { client: b, applied: new Applied(), listens: parts.areBothListening },
    ];
    this.#state.use(this.#side.applied);
  }

  get #side(): Side {
    return this.#sides[this.#at];
  }

  get #other(): Side {
    return this.#sides[this.#at === 0 ? 1 : 0];
  }

  get #isAtBoundary(): boolean {
    return this.#parts.direct.status === 'I';
  }

  get clients(): readonly RawClient[] {
    return this.#sides.map(({ client }) => client);
  }

  async take(step: DividedStep): Promise<void> {
    const { counts } = this.#parts;
    if (step.kind === 'refuse') this.#isRefusing = true;
    else if (step.kind === 'lose') {
      if (!this.#mayLose()) return;
      counts.lost += 1;
      await this.#replace(this.#other);
    } else if (step.kind === 'switch' || step.kind === 'move') {
      await this.#inspect();
      if (!this.#maySwitch()) return;
      await this.#switch();
      if (step.kind === 'move') await this.compare();
    } else await this.#run(step);
  }

  /** Both have the same in the end. */
  async compare(): Promise<void> {
    if (!this.#isAtBoundary) return;
    const { direct } = this.#parts;
    await this.#bring(this.#state.prepared.isOverflowing ? [] : 'all');
    for (const question of questions) {
      if (question.includes('prepared_statements') && this.#state.prepared.isOverflowing) continue;
      if (question.includes('listening') && !this.#side.listens) continue;
      const [expected, found] = await Promise.all([ask(direct, question), ask(this.#side.client, question)]);
      // That a program has mentioned a name, and DISCARD ALL has taken its value away, is nowhere to be seen.
      const isLost = this.#hasProgram && this.#hasDiscarded && question.includes('current_setting');
      assert.deepEqual(isLost ? blanked(found) : found, isLost ? blanked(expected) : expected, question);
    }
  }

  async #run(step: Step): Promise<void> {
    const { direct, counts } = this.#parts;
    const bytes = messagesOf(step);
    const text = JSON.stringify(step);
    if (OF_LISTENERS.test(text) && !this.#side.listens) {
      await this.#inspect();
      if (!this.#maySwitch()) return this.#skip();
      await this.#switch();
    }
    const names = this.#namesOf(bytes);
    if (!(await this.#seat(names))) return this.#skip();
    counts.steps += 1;
    this.#hasProgram ||= PROGRAM.test(text);
    this.#hasDiscarded ||= text.includes('discard all');
    const isIdle = this.#isAtBoundary;
    await this.#bring(names);
    const [expected, first] = await Promise.all([direct.unit(...bytes), this.#side.client.unit(...bytes)]);
    const found = (await this.#hear(bytes, names, first, isIdle)) ?? first;
    assert.deepEqual(essence(found), essence(expected), text);
  }

  #skip(): void {
    this.#parts.counts.skipped += 1;
  }

  /** Notes a unit and its answer. Gives another answer where it was refused and run elsewhere. */
  async #hear(
    bytes: readonly Buffer[],
    names: readonly string[] | 'all',
    reply: RawReply,
    isIdle: boolean,
  ): Promise<RawReply | null> {
    const state = this.#state;
    for (const message of bytes) state.sent(message.readUInt8(0), message, HEADER_BYTES, message.length, this.#facts);
    const repeat = state.oldestUnit?.repeat;
    const isRefused =
      this.#isRefusing &&
      isIdle &&
      reply.status === 'I' &&
      reply.error !== null &&
      repeat !== undefined &&
      canRunAgain(repeat) &&
      names !== 'all' &&
      state.canRunOn(this.#other.applied, names) &&
      this.#maySwitch();
    for (const message of reply.messages) {
      if (message.type === 'E' && isRefused && !this.#mayLock(bytes)) return this.#runElsewhere(bytes);
      this.#note(message, reply);
    }
    state.settle();
    const { parameters } = this.#side.client;
    this.#told = {
      clientEncoding: parameters.get('client_encoding') ?? '',
      escapesInStrings: parameters.get('standard_conforming_strings') === 'off',
    };
    return null;
  }

  async #runElsewhere(bytes: readonly Buffer[]): Promise<RawReply> {
    this.#isRefusing = false;
    this.#parts.counts.refused += 1;
    this.#state.refused();
    const names = this.#namesOf(bytes);
    await this.#switch();
    await this.#bring(names);
    const reply = await this.#side.client.unit(...bytes);
    await this.#hear(bytes, names, reply, false);
    return reply;
  }

  /** What fails may leave a lock where it was run. */
  #mayLock(bytes: readonly Buffer[]): boolean {
    if (bytes.some((message) => message.includes('advisory'))) return true;
    const statements = this.#state.failing?.statements ?? [];
    return statements.some(({ functions }) => functions.some((name) => name.includes('advisory')));
  }

  #note({ type, body }: RawMessage, { status }: RawReply): void {
    const state = this.#state;
    if (type === '1' || type === '3') state.acknowledged(type.charCodeAt(0));
    else if (type === 'C' || type === 'I' || type === 's') state.commandEnded(type.charCodeAt(0), body, 0, body.length);
    else if (type === 'E') state.failed();
    else if (type === 'Z') state.ended(statuses[status ?? 'I']);
  }

  /** The statements that a unit needs; 'all': it may be any. */
  #namesOf(bytes: readonly Buffer[]): readonly string[] | 'all' {
    const names: string[] = [];
    const analysisOf = (name: string) => this.#state.analysisOf(name);
    let isTold = true;
    const add = (name: string): void => {
      if (!names.includes(name)) names.push(name);
    };
    const read = (message: Buffer, start: number, end: number): void => {
      const analysis = this.#state.analyze(message, start, end, this.#facts());
      if (!addNeededNames(analysis, analysisOf, names)) isTold = false;
    };
    const parsed = new Set<string>();
    for (const message of bytes) {
      const type = String.fromCharCode(message.readUInt8(0));
      const nameEnd = message.indexOf(0, HEADER_BYTES);
      const name = message.toString('latin1', HEADER_BYTES, nameEnd);
      if (type === 'Q') read(message, HEADER_BYTES, message.length - 1);
      else if (type === 'P') {
        if (name !== '') add(name);
        parsed.add(name);
        read(message, nameEnd + 1, message.indexOf(0, nameEnd + 1));
      } else if (type === 'B') {
        const statement = message.toString('latin1', nameEnd + 1, message.indexOf(0, nameEnd + 1));
        if (parsed.has(statement)) continue;
        add(statement);
        const analysis = analysisOf(statement);
        if (analysis !== null && !addNeededNames(analysis, analysisOf, names)) isTold = false;
      }
    }
    return isTold ? names : 'all';
  }

  /** Goes where the statements can be had; false: that cannot be now. */
  async #seat(names: readonly string[] | 'all'): Promise<boolean> {
    const state = this.#state;
    if (names === 'all') return !state.prepared.isOverflowing;
    if (state.canRunOn(this.#side.applied, names)) return true;
    if (!state.canRunOn(this.#other.applied, names) || !this.#maySwitch()) return false;
    await this.#switch();
    return true;
  }

  #maySwitch(): boolean {
    const { pinReason } = this.#state;
    return this.#isAtBoundary && (pinReason === null || pinReason === PinReason.TooManyPrepared);
  }

  /** Nothing is only there. */
  #mayLose(): boolean {
    return this.#state.canRunOn(this.#side.applied, this.#state.prepared.names()) && this.#maySwitch();
  }

  async #switch(): Promise<void> {
    if (this.#arriving !== null) await this.#bring([]);
    this.#parts.counts.switches += 1;
    this.#at = this.#at === 0 ? 1 : 0;
    this.#state.use(this.#side.applied);
    this.#arriving = this.#state.replay({ statements: 'on_demand', listens: this.#side.listens });
    if (this.#arriving === null) this.#parts.counts.silent += 1;
    else this.#parts.counts.replays += 1;
  }

  /** Brings to the attached backend what it has not, in one write. */
  async #bring(names: readonly string[] | 'all'): Promise<void> {
    const { counts } = this.#parts;
    const side = this.#side;
    const replay = this.#arriving ?? this.#state.replay({ statements: 'on_demand', listens: side.listens });
    this.#arriving = null;
    const prepare = this.#state.prepareFor({ names, used: [] }, this.#facts);
    if (prepare !== null) {
      counts.prepares += 1;
      if (!this.#isAtBoundary) counts.preparesInside += 1;
    }
    const both = joinReplays([replay, prepare]);
    if (both === null) {
      assert.ok(side.applied.isKnown);
      return;
    }
    assert.ok(!side.applied.isKnown, 'it is under way');
    side.client.send(both.bytes);
    const failed = new Set<number>();
    const messages: RawMessage[] = [];
    for (let at = 0; at < both.parts.length; ) {
      const message = await side.client.read();
      assert.ok(message !== null, 'the connection was closed');
      messages.push(message);
      if (message.type === 'E') failed.add(at);
      if (message.type === 'Z') at += 1;
    }
    const types = both.types.map((type) => String.fromCharCode(type)).join('');
    const { error } = summarize(messages, false);
    this.#state.replayed(both, failed);
    const isBroken = [...failed].some((at) => {
      const part = both.parts[at];
      return part !== undefined && isIndispensable(part);
    });
    assert.equal(side.applied.isKnown, !isBroken, `${types} ${error?.message}`);
    const what = [...failed].map((at) => JSON.stringify(both.parts[at])).join();
    assert.ok(!isBroken, `${what}: ${error?.message}`);
    assert.equal(this.#state.prepareFor({ names, used: [] }), null, 'not twice for one unit');
  }

  async #replace(side: Side): Promise<void> {
    side.client.destroy();
    side.client = await this.#parts.connect();
    side.applied = new Applied();
  }

  /** Asks the node what is there, as an idle session does. */
  async #inspect(): Promise<void> {
    const state = this.#state;
    if (!this.#isAtBoundary || state.doubts === this.#doubtsAsked || !state.isProvable) return;
    this.#doubtsAsked = state.doubts;
    await this.#bring([]);
    const { client } = this.#side;
    const reply = await client.unit(
      serialize.parse({ name: INSPECTION_NAME, text: INSPECTION_SQL }),
      serialize.bind({ statement: INSPECTION_NAME, values: inspectionValues(state.question) }),
      serialize.execute(),
      serialize.close({ type: 'S', name: INSPECTION_NAME }),
      serialize.sync(),
    );
    assert.equal(reply.error, null);
    state.inspected(readInspection(reply.rows), this.#facts().clientEncoding);
    if (state.pinReason !== null) this.#parts.counts.pinned += 1;
  }
}

/** An empty value is as good as none. */
function blanked(rows: RawReply['rows']): RawReply['rows'] {
  return rows.map((row) => row.map((value) => value ?? ''));
}
