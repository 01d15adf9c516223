import type { Applied } from '../../../../src/session/state/applied.js';
import type { ReplayOptions } from '../../../../src/session/state/attachment.js';
import { BackendType, TransactionStatus } from '../../../../src/protocol/codes.js';
import { NOT_READ } from '../../../../src/protocol/frame-scanner.js';
import type { SessionReplay } from '../../../../src/session/state/replay-plan.js';
import { nothingInCommon } from '../../../../src/session/state/common.js';
import { SessionState } from '../../../../src/session/state/session-state.js';
import type { SqlAnalyzer, TextFacts } from '../../../../src/sql/analysis.js';
import { TreeAnalyzer } from '../../../../src/sql/sql-analyzer.js';
import { SqlParser } from '../../../../src/sql/sql-parser.js';
import { VerdictCache } from '../../../../src/sql/verdict-cache.js';
import { FakeClock } from '../../../support/fake-clock.js';
import { frontend } from '../../../support/raw-messages.js';

const HEADER_BYTES = 5;
const defaults: TextFacts = { clientEncoding: 'UTF8', escapesInStrings: false };

export const analyzer: SqlAnalyzer = new TreeAnalyzer(await SqlParser.load(), new VerdictCache());

/** The types and texts of the messages. */
export function textsOf(replay: SessionReplay | null): readonly string[] {
  const { bytes, types, parts } = replay ?? { bytes: Buffer.alloc(0), types: [], parts: [] };
  const texts: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt32BE(at + 1);
    const type = bytes.toString('latin1', at, at + 1);
    if (types[texts.length] !== type.charCodeAt(0)) throw new Error('the types do not say what is in the bytes');
    const body = bytes.toString('latin1', at + HEADER_BYTES, at + 1 + length);
    texts.push(`${type} ${body.replaceAll('\0', '|')}`.trim());
    at += 1 + length;
  }
  const ends = types.filter((type) => type === 0x51 || type === 0x53).length;
  if (ends !== parts.length) throw new Error('there is not one part for each ReadyForQuery');
  return texts;
}

/** A session's state, told of what a client sends and of what comes back for it. */
export class Talk {
  readonly clock = new FakeClock();
  readonly state: SessionState;
  facts: TextFacts = defaults;

  constructor(preparedMax = 10, ownSettings: ReadonlyMap<string, string> = new Map(), common = nothingInCommon()) {
    this.state = new SessionState(preparedMax, analyzer, this.clock, ownSettings, common);
  }

  /** The reasons, each with its name where it has one. */
  get pins(): readonly string[] {
    return this.state.pins.map(({ reason, name }) => (name === null ? reason : `${reason} ${name}`));
  }

  /** What another backend would be sent: the types and texts of the messages, but for the Sync behind each Parse. */
  get replayed(): readonly string[] {
    return this.replayedAll.filter((text) => text !== 'S');
  }

  get replayedAll(): readonly string[] {
    return textsOf(this.state.replay());
  }

  /** What each part of the replay is for. */
  get parts(): readonly string[] {
    return (this.state.replay()?.parts ?? []).map(({ kind, name }) => `${kind} ${name}`.trim());
  }

  /** Sends messages; nothing comes back yet. */
  send(...messages: readonly Buffer[]): this {
    for (const message of messages) {
      this.state.sent(message.readUInt8(0), message, HEADER_BYTES, message.length, () => this.facts);
    }
    return this;
  }

  /** Sends a message whose body is too large to be read. */
  sendUnread(message: Buffer): this {
    this.state.sent(message.readUInt8(0), message, HEADER_BYTES, NOT_READ, () => this.facts);
    return this;
  }

  /**
   * `1` ParseComplete, `3` CloseComplete, `C` CommandComplete, `R` the same with the tag ROLLBACK, `s` PortalSuspended, `0`
   * EmptyQueryResponse, `E` ErrorResponse, and ReadyForQuery as `I`, `T` or `F` (failed transaction).
   */
  hear(answers: string): this {
    const { state } = this;
    for (const answer of answers) {
      if (answer === '1') state.acknowledged(BackendType.ParseComplete);
      else if (answer === '3') state.acknowledged(BackendType.CloseComplete);
      else if (answer === 'C' || answer === 'R') {
        const tag = Buffer.from(answer === 'C' ? 'DONE\0' : 'ROLLBACK\0');
        state.commandEnded(BackendType.CommandComplete, tag, 0, tag.length);
      } else if (answer === 's') state.commandEnded(BackendType.PortalSuspended, Buffer.alloc(0), 0, 0);
      else if (answer === '0') state.commandEnded(BackendType.EmptyQueryResponse, Buffer.alloc(0), 0, 0);
      else if (answer === 'E') state.failed();
      else if (answer === 'I') state.ended(TransactionStatus.Idle);
      else if (answer === 'T') state.ended(TransactionStatus.InTransaction);
      else state.ended(TransactionStatus.Failed);
    }
    return this;
  }

  /** A simple Query with one statement that succeeds outside of a transaction, or with another answer. */
  query(sql: string, answers = 'CI'): this {
    return this.send(frontend.query(sql)).hear(answers);
  }

  /** Prepares a statement. */
  prepare(name: string, sql: string, answers = '1I'): this {
    return this.send(frontend.parse(sql, { name }), frontend.sync()).hear(answers);
  }

  /** Runs an unnamed statement. */
  execute(sql: string, answers = '1CI'): this {
    return this.send(frontend.parse(sql), frontend.bind(), frontend.execute(), frontend.sync()).hear(answers);
  }

  /** Runs a prepared statement. */
  run(statement: string, answers = 'CI'): this {
    return this.send(frontend.bind({ statement }), frontend.execute(), frontend.sync()).hear(answers);
  }

  /** Another backend is attached, and takes whatever it is sent. Gives the texts, but for the Syncs. */
  attach(applied: Applied, options: ReplayOptions = {}): readonly string[] {
    this.state.use(applied);
    return this.#take(this.state.replay({ statements: 'on_demand', ...options }));
  }

  /** Statements are needed there. `failed`: parts that are refused. `used`: those that may have other names there. */
  need(
    names: readonly string[] | 'all',
    failed: readonly number[] = [],
    used: readonly string[] = [],
  ): readonly string[] {
    return this.#take(
      this.state.prepareFor({ names, used }, () => this.facts),
      failed,
    );
  }

  #take(replay: SessionReplay | null, failed: readonly number[] = []): readonly string[] {
    if (replay !== null) this.state.replayed(replay, new Set(failed));
    return textsOf(replay).filter((text) => text !== 'S');
  }
}
