import { BackendType, TransactionStatus } from '../../../src/protocol/codes.js';
import { NOT_READ } from '../../../src/protocol/frame-scanner.js';
import { SessionState } from '../../../src/session/session-state.js';
import type { TextFacts } from '../../../src/session/session-state.js';
import { frontend } from '../../support/raw-messages.js';

const HEADER_BYTES = 5;
const defaults: TextFacts = { clientEncoding: 'UTF8', escapesInStrings: false, isInTransaction: false };

/** A session's state, told of what a client sends and of what comes back for it. */
export class Talk {
  readonly state: SessionState;
  facts: TextFacts = defaults;

  constructor(preparedMax = 10) {
    this.state = new SessionState(preparedMax);
  }

  get pins(): readonly string[] {
    return [...this.state.pins];
  }

  /** What another backend would be sent: the types and texts of the messages. */
  get replayed(): readonly string[] {
    const { bytes, types } = this.state.replay() ?? { bytes: Buffer.alloc(0), types: [] };
    const texts: string[] = [];
    for (let at = 0; at < bytes.length; ) {
      const length = bytes.readUInt32BE(at + 1);
      const type = bytes.toString('latin1', at, at + 1);
      if (types[texts.length] !== type.charCodeAt(0)) throw new Error('the types do not say what is in the bytes');
      const body = bytes.toString('utf8', at + HEADER_BYTES, at + 1 + length);
      texts.push(`${type} ${body.replaceAll('\0', '|')}`.trim());
      at += 1 + length;
    }
    return texts;
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

  /** `1` ParseComplete, `3` CloseComplete, `E` ErrorResponse, and ReadyForQuery as `I`, `T` or `F` (failed transaction). */
  hear(answers: string): this {
    for (const answer of answers) {
      if (answer === '1') this.state.prepared.acknowledged(BackendType.ParseComplete);
      else if (answer === '3') this.state.prepared.acknowledged(BackendType.CloseComplete);
      else if (answer === 'E') this.state.failed();
      else if (answer === 'I') this.state.ended(TransactionStatus.Idle);
      else if (answer === 'T') this.state.ended(TransactionStatus.InTransaction);
      else this.state.ended(TransactionStatus.Failed);
    }
    return this;
  }

  /** A simple Query that succeeds outside of a transaction, or with another answer. */
  query(sql: string, answers = 'I'): this {
    return this.send(frontend.query(sql)).hear(answers);
  }

  /** Prepares a statement. */
  prepare(name: string, sql: string, answers = '1I'): this {
    return this.send(frontend.parse(sql, { name }), frontend.sync()).hear(answers);
  }

  /** Runs an unnamed statement. */
  execute(sql: string, answers = '1I'): this {
    return this.send(frontend.parse(sql), frontend.bind(), frontend.execute(), frontend.sync()).hear(answers);
  }
}
