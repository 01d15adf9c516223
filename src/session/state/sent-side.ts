import { Frontend } from '../../protocol/codes.js';
import { NOT_READ } from '../../protocol/frame-scanner.js';
import { TransactionEnd } from '../../relay/relay.js';
import type { Analysis, SqlAnalyzer, TextFacts } from '../../sql/analysis.js';
import { PinReason } from '../../sql/pin-reason.js';
import { readBindNames, readName } from './bind-names.js';
import { isPlainText } from './kept.js';
import type { Leftovers } from './leftovers.js';
import { Portals } from './portals.js';
import { copyFrame, readParse } from './prepared.js';
import type { PreparedStatement, PreparedStatements } from './prepared.js';
import { changesReading, pinned } from './reading.js';
import { bindUnnamed, bindUnread, executeUnnamed, functionCall, SentRequests, sync } from './sent-requests.js';
import type { Suspects } from './suspects.js';
import type { UnitFacts } from './unit-facts.js';
import { UnitNote } from './unit-note.js';

const HEADER_BYTES = 5;
/** The first byte of a Close of a statement. */
const STATEMENT = 0x53;

const tooLarge = pinned(PinReason.StatementTooLarge);
const unknown = pinned(PinReason.UnknownStatement);

/** Stands for a statement whose Parse was too large to be read. */
export const unreadStatement: PreparedStatement = { name: '', frame: null, sql: null, analysis: tooLarge };

/**
 * What the client has sent and the node has not answered: reads the texts, and tells of each unit what is known before it has run.
 */
export class SentSide {
  readonly requests: SentRequests;
  readonly #analyzer: SqlAnalyzer;
  readonly #prepared: PreparedStatements;
  readonly #leftovers: Leftovers;
  readonly #suspects: Suspects;
  readonly #portals = new Portals<Analysis | null>(null);
  /** Statements on their way to be prepared, by name; null where the name may mean another one. */
  readonly #parses = new Map<string, Analysis | null>();
  readonly #lookup = (name: string): Analysis | null => this.analysisOf(name);
  /** The text that was read last, as long as it may still be sent; its buffer is not kept longer than that. */
  #ahead: {
    readonly buffer: Buffer;
    readonly start: number;
    readonly end: number;
    readonly facts: TextFacts;
    readonly analysis: Analysis;
  } | null = null;
  /** The number of the newest unit that changes how texts are read. */
  #readingChangedBy = -1;

  constructor(analyzer: SqlAnalyzer, prepared: PreparedStatements, leftovers: Leftovers, suspects: Suspects) {
    this.#analyzer = analyzer;
    this.#prepared = prepared;
    this.#leftovers = leftovers;
    this.#suspects = suspects;
    this.requests = new SentRequests((request) => {
      if (request.kind === 'parse') prepared.release(request.statement);
    });
  }

  /** How many statements are on their way to be prepared. */
  get parsing(): number {
    return this.#parses.size;
  }

  /** What is known of the unit that would begin with this message, which is not noted. */
  peek(type: number, buffer: Buffer, start: number, end: number, facts: () => TextFacts): UnitFacts {
    const note = new UnitNote();
    if (type === Frontend.FunctionCall) note.addUnread();
    else if (
      type === Frontend.Query ||
      type === Frontend.Parse ||
      type === Frontend.Bind ||
      type === Frontend.Execute
    ) {
      const analysis = this.#textOf(type, buffer, start, end, facts);
      if (type === Frontend.Query && analysis !== null) note.addString(analysis, this.#lookup);
      else note.addExecuted(analysis, this.#lookup);
    }
    return note;
  }

  /** See RelayOwner. */
  transactionEnd(
    type: number,
    buffer: Buffer,
    start: number,
    end: number,
    facts: () => TextFacts,
  ): TransactionEnd | null {
    const statements = this.#textOf(type, buffer, start, end, facts)?.statements ?? [];
    for (const effect of statements[0]?.effects ?? []) {
      if (effect.kind !== 'commit' && effect.kind !== 'rollback' && effect.kind !== 'prepare_transaction') continue;
      if (effect.kind !== 'prepare_transaction' && effect.isChained) return TransactionEnd.Chained;
      const isRollback = effect.kind === 'rollback';
      if (statements.length > 1) return isRollback ? TransactionEnd.RollbackFirst : TransactionEnd.CommitFirst;
      return isRollback ? TransactionEnd.Rollback : TransactionEnd.Commit;
    }
    return null;
  }

  /** Notes a message of the client that is about to be sent; the body is borrowed. */
  sent(type: number, buffer: Buffer, start: number, end: number, facts: () => TextFacts): void {
    const { requests } = this;
    switch (type) {
      case Frontend.Query:
        this.#sentQuery(buffer, start, end, facts());
        return;
      case Frontend.Parse:
        this.#sentParse(buffer, start, end, facts());
        return;
      case Frontend.Bind:
        this.#sentBind(buffer, start, end);
        return;
      case Frontend.Execute:
        this.#sentExecute(buffer, start, end);
        return;
      case Frontend.Close: {
        const name = end === NOT_READ || end <= start ? null : buffer.toString('latin1', start + 1, end - 1);
        if (name === null) requests.add({ kind: 'close_unread' });
        else requests.add(buffer[start] === STATEMENT ? { kind: 'close_statement', name } : { kind: 'close_portal' });
        return;
      }
      case Frontend.FunctionCall:
        requests.openUnit.addUnread();
        requests.add(functionCall);
        return;
      case Frontend.Sync:
        requests.add(sync);
        return;
      default:
    }
  }

  /** Reads a text that is probably going to be sent at once, so that it is not read twice. */
  analyzeAhead(buffer: Buffer, start: number, end: number, facts: TextFacts): Analysis {
    const analysis = this.analyze(buffer, start, end, facts);
    // In doubt it is read again: until it is sent, the doubt may be over.
    if (!this.#isReadingInDoubt) this.#ahead = { buffer, start, end, facts, analysis };
    return analysis;
  }

  /** Reads a text. */
  analyze(buffer: Buffer, start: number, end: number, facts: TextFacts): Analysis {
    const ahead = this.#ahead;
    this.#ahead = null;
    const isSame = ahead?.buffer === buffer && ahead.start === start && ahead.end === end;
    if (isSame && ahead.facts === facts) return ahead.analysis;
    const isRead = !this.#isReadingInDoubt || isPlainText(buffer.subarray(start, end));
    const analysis = isRead ? this.#analyzer.analyze(buffer, start, end, facts) : unknown;
    return this.#suspects.note(analysis, () => buffer.toString('latin1', start, end));
  }

  /** What running a prepared statement does, also one on its way to be prepared; null: there is none, or it cannot be told yet. */
  analysisOf(name: string): Analysis | null {
    const sent = this.#parses.get(name);
    return sent === undefined ? this.#prepared.analysisOf(name) : sent;
  }

  /** Nothing is under way any more. `isTransactionOver`: nor is a transaction open. */
  settle(isTransactionOver: boolean): void {
    if (this.#parses.size > 0) this.#parses.clear();
    if (isTransactionOver) this.#portals.clear();
  }

  /** How a text will be read depends on a unit that has not been answered. */
  get #isReadingInDoubt(): boolean {
    return this.requests.unitsEnded <= this.#readingChangedBy;
  }

  #sentQuery(buffer: Buffer, start: number, end: number, facts: TextFacts): void {
    const analysis = end === NOT_READ ? tooLarge : this.analyze(buffer, start, end - 1, facts);
    this.requests.openUnit.addString(analysis, this.#lookup);
    this.#noteReading(analysis);
    this.requests.add({ kind: 'query', analysis, facts, at: 0 });
  }

  #sentParse(buffer: Buffer, start: number, end: number, facts: TextFacts): void {
    const parse = end === NOT_READ ? null : readParse(buffer, start, end);
    if (parse === null) {
      this.#parses.set('', tooLarge);
      this.requests.add({ kind: 'parse', statement: unreadStatement, facts });
      return;
    }
    const { name, textStart, textEnd } = parse;
    const analysis = this.analyze(buffer, textStart, textEnd, facts);
    const isRoom = this.#prepared.claim(end - start + HEADER_BYTES);
    const frame = isRoom ? copyFrame(buffer, start, end) : null;
    // If there is one of that name already, this Parse fails, unless a Close goes before it.
    const isAmbiguous = name !== '' && (this.#parses.has(name) || this.#prepared.has(name));
    this.#parses.set(name, isAmbiguous ? null : analysis);
    this.requests.add({ kind: 'parse', statement: { name, frame, sql: null, analysis }, facts });
  }

  #sentBind(buffer: Buffer, start: number, end: number): void {
    if (end !== NOT_READ && end - start > 1 && buffer[start] === 0 && buffer[start + 1] === 0) {
      this.requests.add(bindUnnamed);
      this.#portals.bind('', this.analysisOf(''));
      return;
    }
    const names = end === NOT_READ ? null : readBindNames(buffer, start, end);
    if (names === null) {
      this.requests.add(bindUnread);
      this.#portals.bind(null, null);
      return;
    }
    const [portal, statement] = names;
    this.requests.add({ kind: 'bind', portal, statement });
    this.#portals.bind(portal, this.analysisOf(statement));
  }

  #sentExecute(buffer: Buffer, start: number, end: number): void {
    const portal = end === NOT_READ ? null : readName(buffer, start, end);
    const analysis = this.#portals.get(portal);
    this.requests.openUnit.addExecuted(analysis, this.#lookup);
    if (analysis !== null) this.#noteReading(analysis);
    this.requests.add(portal === '' ? executeUnnamed : { kind: 'execute', portal });
  }

  #noteReading(analysis: Analysis): void {
    const { requests } = this;
    const isTransient = this.#isReadingInDoubt || this.#leftovers.isReadingTransient;
    if (!changesReading(analysis, isTransient)) return;
    this.#readingChangedBy = requests.unitsEnded + requests.unitCount - 1;
  }

  /** What a message that is not noted yet runs; null when that is not known. */
  #textOf(type: number, buffer: Buffer, start: number, end: number, facts: () => TextFacts): Analysis | null {
    if (end === NOT_READ) return null;
    switch (type) {
      case Frontend.Query:
        return this.analyze(buffer, start, end - 1, facts());
      case Frontend.Parse: {
        const parse = readParse(buffer, start, end);
        return parse === null ? null : this.analyze(buffer, parse.textStart, parse.textEnd, facts());
      }
      case Frontend.Bind: {
        const names = readBindNames(buffer, start, end);
        return names === null ? null : this.analysisOf(names[1]);
      }
      case Frontend.Execute:
        return this.#portals.get(readName(buffer, start, end));
      default:
        return null;
    }
  }
}
