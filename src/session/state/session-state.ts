import { BackendType, TransactionStatus } from '../../protocol/codes.js';
import type { TransactionEnd } from '../../relay/relay.js';
import type { SqlAnalyzer, StatementAnalysis, TextFacts } from '../../sql/analysis.js';
import { PinReason } from '../../sql/pin-reason.js';
import type { Clock } from '../../util/clock.js';
import { Leftovers } from './leftovers.js';
import { hasPin, survivesFailure } from './pin.js';
import type { Pin } from './pin.js';
import { isNothing, isRollback } from './outcome.js';
import { Portals } from './portals.js';
import { entryOf, PreparedStatements } from './prepared.js';
import type { PreparedEntry, PreparedStatement } from './prepared.js';
import { pinned } from './reading.js';
import { planAgain, planReplay } from './replay-plan.js';
import type { SessionReplay } from './replay-plan.js';
import { INSPECTED } from './session-inspection.js';
import type { InspectedStatement, Inspection, InspectionQuestion } from './session-inspection.js';
import { SentSide, unreadStatement } from './sent-side.js';
import { Suspects } from './suspects.js';
import { areAscii, questionOf, takeOver } from './take-over.js';
import type { UnitFacts } from './unit-facts.js';

/** Functions that give back what others may still hold. */
const UNLOCKS: readonly string[] = ['pg_advisory_unlock', 'pg_advisory_unlock_shared', 'pg_advisory_unlock_all'];

/** How deep statements that were prepared by the protocol may execute each other. */
const EXECUTE_DEPTH_MAX = 8;

const unknown = pinned(PinReason.UnknownStatement);
/** What runs where there is no such statement; somebody must have prepared it out of sight. */
const unknownEntry = entryOf(unknown);

/**
 * What a session has left behind on its backend: what can be replayed elsewhere, and what cannot (the pins). Mirrors what the node does,
 * reply by reply: only what surely ran counts, and it counts as long as its transaction lets it.
 */
export class SessionState {
  readonly prepared: PreparedStatements;
  readonly #leftovers: Leftovers;
  readonly #suspects = new Suspects();
  readonly #sent: SentSide;
  /** What each portal runs, as of the replies. */
  readonly #portals: Portals<PreparedEntry>;
  /** An ErrorResponse has come for the oldest unit. */
  #hasFailed = false;

  constructor(preparedMax: number, analyzer: SqlAnalyzer, clock: Clock) {
    this.prepared = new PreparedStatements(preparedMax);
    this.#leftovers = new Leftovers(clock);
    this.#sent = new SentSide(analyzer, this.prepared, this.#leftovers, this.#suspects);
    this.#portals = new Portals(unknownEntry);
  }

  // ---- what others see

  /** Why the session cannot change its backend, or null when it can. */
  get pinReason(): PinReason | null {
    for (const pin of this.#leftovers.pins()) return pin.reason;
    return this.prepared.isOverflowing ? PinReason.TooManyPrepared : null;
  }

  /** All of its pins; too many prepared statements are not listed. */
  get pins(): readonly Pin[] {
    return [...this.#leftovers.pins()];
  }

  /** What it leaves on its backend is taken away without a trace by DISCARD ALL. */
  get isCleanable(): boolean {
    const { lasting, remains, madeUp, isTainted } = this.#leftovers;
    return (
      !isTainted &&
      madeUp.size === 0 &&
      this.#suspects.names.size === 0 &&
      !hasPin(lasting, PinReason.LoadedLibrary) &&
      !hasPin(lasting, PinReason.ForeignSession) &&
      !hasPin(remains.pins, PinReason.Setting)
    );
  }

  /** It listens: when it moves, notifications may be missed. */
  get isListening(): boolean {
    return this.#leftovers.remains.channels.size > 0;
  }

  /** The units that were sent and have not ended, oldest first. */
  get outstanding(): readonly UnitFacts[] {
    return this.#sent.requests.units;
  }

  get oldestUnit(): UnitFacts | undefined {
    return this.#sent.requests.oldestUnit;
  }

  /** Grows whenever something happens that only the node can tell the end of. */
  get doubts(): number {
    return this.#leftovers.doubts;
  }

  /** The node may be asked what there is, and its answer may free the session. */
  get isProvable(): boolean {
    if (this.prepared.isOverflowing && !this.prepared.isUncertain) return false;
    return this.#leftovers.isProvable;
  }

  pin(reason: PinReason): void {
    this.#leftovers.pin(reason);
    this.#leftovers.unitEnded();
  }

  /** See SentSide. */
  peek(type: number, buffer: Buffer, start: number, end: number, facts: () => TextFacts): UnitFacts {
    return this.#sent.peek(type, buffer, start, end, facts);
  }

  /** See RelayOwner. */
  transactionEnd(
    type: number,
    buffer: Buffer,
    start: number,
    end: number,
    facts: () => TextFacts,
  ): TransactionEnd | null {
    return this.#sent.transactionEnd(type, buffer, start, end, facts);
  }

  /** Messages that bring another backend into this state; null when there is nothing to say. `mustBegin`: and into a transaction. */
  replay(mustBegin = false): SessionReplay | null {
    const { remains, madeUp } = this.#leftovers;
    return planReplay({ remains, madeUp, prepared: this.prepared.kept(), mustBegin });
  }

  /**
   * The statement that runs next was refused because its plan does not fit any more: messages that prepare it again, as it was. Null where
   * running its unit once more would not do.
   */
  prepareAgain(): SessionReplay | null {
    const { first } = this.#sent.requests;
    let name: string | null = null;
    if (first?.kind === 'bind') name = first.statement;
    else if (first?.kind === 'query') {
      for (const effect of first.analysis.statements[first.at]?.effects ?? []) {
        if (effect.kind === 'execute') name = effect.name;
      }
    }
    const entry = name === null || name === '' ? null : this.prepared.find(name);
    return entry === null || this.prepared.isChanging ? null : planAgain(entry);
  }

  /** Notes a message of the client that is about to be sent; the body is borrowed. */
  sent(type: number, buffer: Buffer, start: number, end: number, facts: () => TextFacts): void {
    this.#sent.sent(type, buffer, start, end, facts);
  }

  // ---- what the node answers

  /** ParseComplete or CloseComplete came. */
  acknowledged(type: number): void {
    const { requests } = this.#sent;
    // A COPY has ignored a Sync that is still in the list.
    while (requests.first?.kind === 'sync') requests.take();
    this.#passBinds();
    const request = requests.first;
    switch (request?.kind) {
      case 'parse':
        if (type !== BackendType.ParseComplete) return;
        requests.take();
        this.#parsed(request.statement, request.facts);
        return;
      case 'close_statement':
      case 'close_portal':
      case 'close_unread':
        if (type !== BackendType.CloseComplete) return;
        requests.take();
        if (request.kind === 'close_statement') this.#forget(request.name);
        return;
      default:
    }
  }

  /** CommandComplete (with its tag in the body), EmptyQueryResponse or PortalSuspended came. */
  commandEnded(type: number, buffer: Buffer, start: number, end: number): void {
    const { requests } = this.#sent;
    for (let request = requests.first; request !== undefined; request = requests.first) {
      if (request.kind === 'query') {
        const statement = request.analysis.statements[request.at];
        request.at += 1;
        if (statement === undefined || isNothing(statement)) return;
        this.#ran(statement, isRollback(type, buffer, start, end), request.facts);
        return;
      }
      requests.take();
      if (request.kind === 'bind') this.#bound(request.portal, request.statement);
      else if (request.kind === 'execute') {
        const entry = this.#portals.get(request.portal);
        if (entry === null) return;
        for (const statement of entry.statement.analysis.statements) {
          if (isNothing(statement)) continue;
          this.#ran(statement, isRollback(type, buffer, start, end), entry.under.reading);
        }
        return;
      }
    }
  }

  /** An ErrorResponse came for the oldest unit. */
  failed(): void {
    this.#hasFailed = true;
    const { requests } = this.#sent;
    this.#passBinds();
    const request = requests.first;
    switch (request?.kind) {
      case 'query':
        this.#mayHaveRun(request.analysis.statements[request.at]);
        request.at = Number.MAX_SAFE_INTEGER;
        return;
      case undefined:
      case 'function_call':
        return;
      case 'execute':
        for (const statement of this.#portals.get(request.portal)?.statement.analysis.statements ?? []) {
          this.#mayHaveRun(statement);
        }
        break;
      default:
    }
    requests.skipToSync();
  }

  /** ReadyForQuery came: the oldest unit has ended. */
  ended(status: TransactionStatus): void {
    this.#passBinds();
    const last = this.#sent.requests.takeUnit();
    const hasFailed = this.#hasFailed;
    this.#hasFailed = false;
    this.prepared.unitEnded(last?.kind === 'query');
    // It may hold a lock though it has failed.
    if (last?.kind === 'function_call') this.#leftovers.pin(PinReason.Procedure);
    if (status === TransactionStatus.Idle) {
      if (hasFailed) this.#leftovers.rollback();
      else this.#leftovers.commit();
      this.#portals.clear();
    }
    this.#leftovers.unitEnded();
    if (this.#sent.requests.unitCount === 0) this.#sent.settle(status === TransactionStatus.Idle);
  }

  /** Nothing is owed any more. A Sync that a COPY swallowed has left a unit that nobody will end. */
  settle(): void {
    if (this.#sent.requests.unitCount === 0 && this.#sent.requests.first === undefined) return;
    this.#sent.requests.clear();
    this.#hasFailed = false;
    this.#sent.settle(false);
  }

  /**
   * The backend is lost with everything that was under way: an open transaction is rolled back. `isTakenBack`: nothing of the answer to
   * the oldest unit has reached the client, so what it has prepared will be prepared again, or is not known to the client.
   */
  abandon(isTakenBack: boolean): void {
    this.#sent.requests.clear();
    this.#hasFailed = false;
    this.#sent.settle(true);
    this.#portals.clear();
    if (isTakenBack) {
      this.prepared.takeBack();
      this.#leftovers.takeBack();
    }
    this.prepared.unitEnded(false);
    this.#leftovers.rollback();
    this.#leftovers.unitEnded();
  }

  // ---- what the node itself tells

  /** What the node is to be asked. */
  get question(): InspectionQuestion {
    return questionOf(this.#leftovers, this.#suspects.names);
  }

  /** The node has told what there is; nothing may have been sent since. The names are in UTF-8, the session's own are as it wrote them. */
  inspected(inspection: Inspection, clientEncoding: string): void {
    // Names that cannot be compared are left as they are.
    if (clientEncoding !== 'UTF8' && !areAscii(inspection, this.prepared)) return;
    takeOver(inspection, this.#leftovers, this.prepared, (statement) => this.#prepareAgain(statement));
    this.prepared.unitEnded(false);
  }

  // ---- effects

  /** Binds have no answer of their own that would be heard of: what comes behind one says that it was done. */
  #passBinds(): void {
    const { requests } = this.#sent;
    for (let request = requests.first; request?.kind === 'bind'; request = requests.first) {
      this.#bound(request.portal, request.statement);
      requests.take();
    }
  }

  #bound(portal: string | null, statement: string | null): void {
    const entry = statement === null ? this.prepared.any() : this.prepared.find(statement);
    this.#portals.bind(portal, entry ?? unknownEntry);
  }

  #parsed(statement: PreparedStatement, facts: TextFacts): void {
    if (statement === unreadStatement) {
      this.prepared.keepUnread();
      this.#leftovers.doubt();
    } else this.prepared.keep(statement, this.#leftovers.circumstances(facts));
  }

  /** A statement has failed, or was cut short; some of what it does may stay all the same. */
  #mayHaveRun(statement: StatementAnalysis | undefined, depth = 0): void {
    for (const effect of statement?.effects ?? []) {
      if (effect.kind === 'pin' && survivesFailure(effect.reason)) this.#leftovers.pin(effect.reason, effect.name);
      else if (effect.kind === 'execute' && depth < EXECUTE_DEPTH_MAX) {
        for (const inner of this.prepared.analysisOf(effect.name)?.statements ?? []) this.#mayHaveRun(inner, depth + 1);
      }
    }
  }

  /** A statement has ended well; `hasRolledBack` by its tag. */
  #ran(statement: StatementAnalysis, hasRolledBack: boolean, facts: TextFacts, depth = 0): void {
    const { effects, functions } = statement;
    for (const effect of effects) {
      switch (effect.kind) {
        case 'begin':
          break;
        case 'commit':
        case 'rollback':
        case 'prepare_transaction':
          if (hasRolledBack || effect.kind === 'rollback') this.#leftovers.rollback();
          else this.#committed();
          break;
        case 'savepoint':
          this.#leftovers.savepoint(effect.name);
          break;
        case 'release':
          this.#leftovers.release(effect.name);
          break;
        case 'rollback_to':
          this.#leftovers.rollbackTo(effect.name);
          break;
        case 'prepare':
          this.#prepare(effect.name, effect.sql, effect.prepared, facts);
          break;
        case 'execute':
          this.#execute(effect.name, facts, depth + 1);
          break;
        case 'deallocate':
          this.#forget(effect.name);
          break;
        default:
          this.#leftovers.apply(effect, facts);
          if (effect.kind === 'discard' && effect.what === 'all') this.#forget(null);
      }
    }
    if (functions.length > 0 && UNLOCKS.some((name) => functions.includes(name))) this.#unlocked();
  }

  /** Null: all of them. */
  #forget(name: string | null): void {
    if (name === null) this.prepared.forgetAll();
    else this.prepared.forget(name);
    // Of those that only the node has told of.
    this.#leftovers.unpin(PinReason.PreparedInSql, name);
    this.#leftovers.unpin(PinReason.TooManyPrepared, name);
  }

  #committed(): void {
    this.#leftovers.commit();
    const { oldestUnit } = this.#sent.requests;
    if (oldestUnit !== undefined) oldestUnit.hasCommitted = true;
  }

  #unlocked(): void {
    if (hasPin(this.#leftovers.lasting, PinReason.AdvisoryLock)) this.#leftovers.doubt();
  }

  #prepare(name: string, sql: string, prepared: StatementAnalysis, facts: TextFacts): void {
    const analysis = { statements: [prepared] };
    const isRoom = this.prepared.claim(sql.length);
    this.prepared.keep({ name, frame: null, sql: isRoom ? sql : null, analysis }, this.#leftovers.circumstances(facts));
  }

  /** A statement was prepared out of sight, in this string of statements; false: how cannot be told. */
  #prepareAgain({ name, sql }: InspectedStatement): boolean {
    if (sql === null) return false;
    const text = Buffer.from(sql, 'latin1');
    const { statements } = this.#sent.analyze(text, 0, text.length, INSPECTED);
    const [effect] = statements.length === 1 ? (statements[0]?.effects ?? []) : [];
    if (effect?.kind !== 'prepare' || effect.name !== name) return false;
    this.#prepare(name, effect.sql, effect.prepared, INSPECTED);
    return true;
  }

  #execute(name: string, facts: TextFacts, depth: number): void {
    const analysis = depth > EXECUTE_DEPTH_MAX ? unknown : (this.prepared.analysisOf(name) ?? unknown);
    for (const statement of analysis.statements) this.#ran(statement, false, facts, depth);
  }
}
