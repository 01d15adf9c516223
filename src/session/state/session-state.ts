import { BackendType, Frontend, TransactionStatus } from '../../protocol/codes.js';
import type { TransactionEnd } from '../../relay/relay.js';
import type { Analysis, SqlAnalyzer, TextFacts } from '../../sql/analysis.js';
import { readHint } from '../../sql/hint.js';
import type { RouteHint } from '../../sql/hint.js';
import { PinReason } from '../../sql/pin-reason.js';
import type { Clock } from '../../util/clock.js';
import { AnsweredSide } from './answered-side.js';
import type { Applied } from './applied.js';
import { Attachment } from './attachment.js';
import type { ReplayOptions } from './attachment.js';
import { Leftovers } from './leftovers.js';
import { nothingInCommon } from './common.js';
import type { FunctionTrust } from './function-trust.js';
import type { Identities } from './identities.js';
import { areSame } from './kept.js';
import type { Kept } from './kept.js';
import { hasPin, holdsReads } from './pin.js';
import type { Pin } from './pin.js';
import { OwnValues } from './own-values.js';
import { copyFrame, PreparedStatements, readParse } from './prepared.js';
import type { SessionReplay } from './replay-plan.js';
import { INSPECTED } from './session-inspection.js';
import type { InspectedStatement, Inspection, InspectionQuestion } from './session-inspection.js';
import { SentSide } from './sent-side.js';
import type { StatementNeeds } from './statement-supply.js';
import { StartSettings } from './start-settings.js';
import { planAgain } from './state-plan.js';
import { Suspects } from './suspects.js';
import { areAscii, questionOf, takeOver } from './take-over.js';
import type { UnitFacts } from './unit-facts.js';

const nothing: ReadonlyMap<string, string> = new Map();
/** Of a statement that is only looked for. */
const unheard: Analysis = { statements: [], template: null };

/**
 * What a session has left behind on its backend: what can be replayed elsewhere, and what cannot (the pins). Mirrors what the node does,
 * reply by reply: only what surely ran counts, and it counts as long as its transaction lets it.
 *
 * The state is one, also where the session has two backends; `use` tells which of them is attached, and what that one has of the state is
 * noted with it (see Applied).
 */
export class SessionState {
  readonly prepared: PreparedStatements;
  readonly #leftovers: Leftovers;
  readonly #suspects = new Suspects();
  readonly #sent: SentSide;
  readonly #attachment: Attachment;
  readonly #answered: AnsweredSide;
  readonly #own: OwnValues;
  readonly #identities: Identities;
  readonly #trust: FunctionTrust;

  /**
   * `ownSettings`: values of the proxy's own settings that the session begins with, by their names without the prefix. `common`: where
   * the session shares its backends, what all have in common that do. `start`: settings that it has from the beginning there.
   */
  constructor(
    preparedMax: number,
    analyzer: SqlAnalyzer,
    clock: Clock,
    ownSettings = nothing,
    common = nothingInCommon(),
    start: ReadonlyMap<string, Kept> = new Map(),
  ) {
    const { identities, trust } = common;
    this.#identities = identities;
    this.#trust = trust;
    this.prepared = new PreparedStatements(preparedMax, identities);
    this.#leftovers = new Leftovers(clock, identities, new StartSettings(start));
    this.#sent = new SentSide(analyzer, this.prepared, this.#leftovers, this.#suspects);
    this.#attachment = new Attachment(this.#leftovers, this.prepared);
    this.#answered = new AnsweredSide(this.#sent, this.prepared, this.#leftovers, this.#attachment, trust);
    this.#own = new OwnValues(this.#leftovers, ownSettings);
  }

  // ---- what others see

  /** Why the session cannot change its backend, or null when it can. */
  get pinReason(): PinReason | null {
    const [pin] = this.#leftovers.pins;
    return pin?.reason ?? (this.prepared.isOverflowing ? PinReason.TooManyPrepared : null);
  }

  /** Why not even reads may run on another backend; null: they may. */
  get pinsReadsToPrimary(): PinReason | null {
    for (const { reason } of this.#leftovers.pins) if (holdsReads(reason)) return reason;
    return null;
  }

  /** All of its pins; too many prepared statements are not listed. */
  get pins(): readonly Pin[] {
    return this.#leftovers.pins;
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

  /** Settings with made-up names that it has mentioned. */
  get madeUp(): ReadonlySet<string> {
    return this.#leftovers.madeUp;
  }

  /** All of its prepared statements can be had on another backend, also if a unit makes so many more with so many bytes. */
  canKeep(count: number, bytes: number): boolean {
    return this.prepared.hasRoomFor(count + this.#sent.parsing, bytes);
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

  /** What the statement runs that an error would be about which comes now; null: not known. */
  get failing(): Analysis | null {
    return this.#answered.awaited;
  }

  /** Grows whenever something happens that only the node can tell the end of. */
  get doubts(): number {
    return this.#leftovers.doubts;
  }

  /** The node may be asked what there is, and its answer may free the session. */
  get isProvable(): boolean {
    if (this.prepared.isOverflowing && !this.prepared.isUncertain) return false;
    return this.#attachment.isHome && this.#leftovers.isProvable;
  }

  /** The client gives the session on with DISCARD ALL: what is asked then is quickly answered, and its next reads may go anywhere. */
  get isAskedAtOnce(): boolean {
    return this.#leftovers.isDiscarded;
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

  /** See UnitAhead. */
  analyze(buffer: Buffer, start: number, end: number, facts: TextFacts): Analysis {
    return this.#sent.analyzeAhead(buffer, start, end, facts);
  }

  /** What running a prepared statement does, also one on its way to be prepared; null: there is none, or it cannot be told yet. */
  analysisOf(name: string): Analysis | null {
    return this.#sent.analysisOf(name);
  }

  /** What the text of a prepared statement asks of the proxy; null: nothing, or it was not kept. */
  hintOf(name: string, { escapesInStrings }: TextFacts): RouteHint | null {
    const text = this.prepared.textOf(name);
    return text === null ? null : readHint(text, 0, text.length, escapesInStrings);
  }

  // ---- settings that the proxy goes by

  /** The present value of `switchyard.<name>`; null: not set. */
  ownSetting(name: string): string | null {
    return this.#own.of(name);
  }

  /** New transactions are serializable, or may be; null: the session has not said. */
  get isSerializable(): boolean | null {
    return this.#own.isSerializable;
  }

  /** New transactions are surely read only; null: the session has not said. */
  get isReadOnlyByDefault(): boolean | null {
    return this.#own.isReadOnlyByDefault;
  }

  /** The session has reset that setting, and goes back to what it was at the start with its next unit. */
  hasLost(name: string): boolean {
    return this.#leftovers.hasLost(name);
  }

  /** Units under way may make it lose some of these. */
  get mayLose(): boolean {
    return this.#leftovers.hasStart && this.outstanding.some(({ resets }) => resets);
  }

  // ---- the backends

  /** A backend is attached, outside of any transaction: one that the session has used before, or a new one with a new Applied. */
  use(applied: Applied): void {
    this.#attachment.use(applied);
  }

  /** The session has that backend no more. */
  leave(applied: Applied): void {
    this.#attachment.leave(applied);
  }

  /**
   * Takes a Parse for answered, nothing being attached or under way, because another session has prepared the same: it will be prepared
   * where it is needed. False: it must be asked of a node. The body is borrowed.
   */
  prepareUnheard(buffer: Buffer, start: number, end: number, facts: () => TextFacts): boolean {
    const parse = readParse(buffer, start, end);
    if (parse === null || parse.name === '' || this.prepared.has(parse.name)) return false;
    if (!this.canKeep(1, end - start)) return false;
    const statement = { name: parse.name, frame: copyFrame(buffer, start, end), sql: null, analysis: unheard };
    if (!this.#identities.isKnown(statement, this.#leftovers.circumstances(facts()))) return false;
    this.sent(Frontend.Parse, buffer, start, end, facts);
    this.sent(Frontend.Sync, buffer, end, end, facts);
    this.acknowledged(BackendType.ParseComplete);
    this.ended(TransactionStatus.Idle);
    return true;
  }

  /**
   * The backend on which the session has its pins, and what is in doubt; null: none, or wherever it is. Losing the other one loses nothing.
   */
  get pinnedTo(): Applied | null {
    return this.#attachment.home;
  }

  /**
   * Messages that bring the attached backend into this state, or without `use` one that nobody has used; null when there is nothing to say.
   * What they achieve is to be told to `replayed`.
   */
  replay(options: ReplayOptions = {}): SessionReplay | null {
    return this.#attachment.replay(options);
  }

  /** `prepareFor` has something to say about these. */
  needsPreparing(needs: StatementNeeds): boolean {
    return this.#attachment.needsPreparing(needs);
  }

  /** What these prepared statements are called on the attached backend, where that is something else; null: all have their names. */
  aliasesOf(names: readonly string[]): ReadonlyMap<string, string> | null {
    return this.#attachment.aliasesOf(names);
  }

  /**
   * Messages behind which the attached backend has, of these names ('' is the unnamed statement), the statements that the session has, and
   * none where it has none; null when there is nothing to say. To be asked behind `replay`, also in transactions; what they achieve is to
   * be told to `replayed`. A unit needs the names that it binds, describes, parses or prepares, executes and deallocates, but for those
   * that it closes first; 'all' where that cannot be told. `reading`: how the attached backend reads texts; saves messages.
   */
  prepareFor(needs: StatementNeeds, reading: (() => TextFacts) | null = null): SessionReplay | null {
    return this.#attachment.prepareFor(needs, reading);
  }

  /**
   * A unit that needs these statements can run on that backend: it has them, or they can be prepared there. Where false, one of them could
   * not be kept and is only on the other one.
   */
  canRunOn(applied: Applied, names: Iterable<string>): boolean {
    return this.#attachment.canRunOn(applied, names);
  }

  /** All that was planned for the attached backend is answered; `failed`: the parts that it has refused, counted from 0. */
  replayed(replay: SessionReplay, failed: ReadonlySet<number>): void {
    this.#attachment.replayed(replay, failed);
  }

  /**
   * The statement that runs next was refused because its plan does not fit any more: messages that prepare it again, as it was. Null where
   * running its unit once more would not do, and for EXECUTE, where whoever wrote PREPARE can write it again.
   */
  prepareAgain(): SessionReplay | null {
    const { first } = this.#sent.requests;
    const name = first?.kind === 'bind' ? first.statement : null;
    const entry = name === null || name === '' ? null : this.prepared.find(name);
    if (entry === null || this.prepared.isChanging) return null;
    const there = this.#attachment.asThere(entry);
    const replay = planAgain(there);
    if (replay !== null) this.#attachment.preparedAgain(there.statement.name);
    return replay;
  }

  /** Notes a message of the client that is about to be sent; the body is borrowed. */
  sent(type: number, buffer: Buffer, start: number, end: number, facts: () => TextFacts): void {
    this.#sent.sent(type, buffer, start, end, facts);
  }

  // ---- what the node answers

  /** ParseComplete or CloseComplete came. */
  acknowledged(type: number): void {
    this.#answered.acknowledged(type);
  }

  /** CommandComplete (with its tag in the body), EmptyQueryResponse or PortalSuspended came. */
  commandEnded(type: number, buffer: Buffer, start: number, end: number): void {
    this.#answered.commandEnded(type, buffer, start, end);
  }

  /** An ErrorResponse came for the oldest unit. */
  failed(): void {
    this.#answered.failed();
  }

  /** ReadyForQuery came: the oldest unit has ended. */
  ended(status: TransactionStatus): void {
    this.#answered.ended(status);
  }

  /** Nothing is owed any more. A Sync that a COPY swallowed has left a unit that nobody will end. */
  settle(): void {
    this.#answered.settle();
  }

  /**
   * The backend is lost with everything that was under way: an open transaction is rolled back. `isTakenBack`: nothing of the answer to
   * the oldest unit has reached the client, so what it has prepared will be prepared again, or is not known to the client.
   */
  abandon(isTakenBack: boolean): void {
    this.#attachment.lose();
    this.#answered.undo(isTakenBack);
    this.#answered.runner.trustSuspected();
  }

  /**
   * The attached backend has refused the oldest unit, nothing of whose answer has reached the client: all units have ended there, and are
   * going to be sent again. What the first one has prepared there is noted with the backend, but to the session nothing has happened.
   */
  refused(): void {
    const { requests } = this.#sent;
    this.#attachment.refused(requests.unitCount > 1);
    this.#answered.undo(true);
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
    const { settings, channels } = this.#leftovers.remains;
    takeOver(inspection, this.#leftovers, this.prepared, this.#attachment.applied, (statement) =>
      this.#prepareAgain(statement),
    );
    this.prepared.unitEnded(false);
    this.#attachment.inspected();
    const now = this.#leftovers.remains;
    const isSame = areSame(settings, now.settings) && areSame(channels, now.channels);
    this.#trust.judged(this.#answered.runner.takeSuspected(), isSame && this.pinReason === null);
  }

  // ----

  /** A statement was prepared out of sight, in this string of statements; false: how cannot be told. */
  #prepareAgain({ name, sql }: InspectedStatement): boolean {
    if (sql === null) return false;
    const text = Buffer.from(sql, 'latin1');
    const { statements } = this.#sent.analyze(text, 0, text.length, INSPECTED);
    const [effect] = statements.length === 1 ? (statements[0]?.effects ?? []) : [];
    if (effect?.kind !== 'prepare' || effect.name !== name) return false;
    this.#answered.runner.prepare(name, effect.sql, effect.prepared, INSPECTED);
    return true;
  }
}
