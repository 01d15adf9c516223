import { Frontend, TransactionStatus } from '../../protocol/codes.js';
import type { TextFacts } from '../../sql/analysis.js';
import { PinReason } from '../../sql/pin-reason.js';
import { Applied } from './applied.js';
import { areSame } from './kept.js';
import type { Leftovers } from './leftovers.js';
import { hasPin } from './pin.js';
import type { Pins } from './pin.js';
import { isKept, underName } from './prepared.js';
import type { PreparedEntry, PreparedStatements } from './prepared.js';
import { noRemains } from './remains.js';
import { isIndispensable, joinReplays, ReplayKind } from './replay-plan.js';
import type { SessionReplay } from './replay-plan.js';
import { standingOf } from './standing.js';
import { planCloses, planReplay, planStart } from './state-plan.js';
import type { StateThere } from './state-plan.js';
import { StatementSupply } from './statement-supply.js';
import type { StatementNeeds, SupplyPlace } from './statement-supply.js';

/** So many statements may have been closed elsewhere before they are closed here though there is nothing else to say. */
export const STALE_MAX = 100;

/** What is on a backend of another session's has yet to be looked through. */
const NOT_SWEPT = -1;

/** What a backend that nobody has used has. */
const nothingThere: StateThere = { settings: noRemains.settings, channels: noRemains.channels, madeUp: new Set() };

/** How a backend is to be brought into the session's state. */
export interface ReplayOptions {
  /** The text that begins the transaction which is to be open there in the end; null, the default: none. */
  readonly begin?: string | null;
  /** All prepared statements at once (the default), or each when it is needed: see `prepareFor`. */
  readonly statements?: 'all' | 'on_demand';
  /** It is to listen as the session does, which a standby cannot; by default it is. */
  readonly listens?: boolean;
}

/**
 * The session's state and the one backend that is attached: what it has of it already, and what is still to be brought there. Without a
 * backend that is made known by `use`, it is as if a new one was attached each time, and then had everything.
 */
export class Attachment {
  readonly #leftovers: Leftovers;
  readonly #prepared: PreparedStatements;
  readonly #supply: StatementSupply;
  /** Null: none that was made known, or it was left. */
  #attached: Applied | null = null;
  /** The backend was given to another session, and no other one is attached yet. */
  #isAway = false;
  #status: TransactionStatus = TransactionStatus.Idle;
  /** Where the pins and doubts of the session came about. */
  #home: Applied | null = null;
  #lasting: Pins;
  #pins: Pins;
  #doubts: number;

  constructor(leftovers: Leftovers, prepared: PreparedStatements) {
    this.#leftovers = leftovers;
    this.#prepared = prepared;
    this.#supply = new StatementSupply(prepared);
    this.#lasting = leftovers.lasting;
    this.#pins = leftovers.remains.pins;
    this.#doubts = leftovers.doubts;
  }

  get applied(): Applied | null {
    return this.#applied;
  }

  /** Where the session has what pins it, and what is in doubt; null: nowhere, or wherever it is. */
  get home(): Applied | null {
    return this.#home;
  }

  /** The node of the attached backend can tell what is in doubt. */
  get isHome(): boolean {
    return this.#home === null || this.#home === this.#attached;
  }

  /** Another backend is attached; no transaction is open. */
  use(applied: Applied): void {
    this.#attached = applied;
    this.#isAway = false;
    this.#begin();
    if (applied.size === 0) applied.sweptAt = this.#prepared.forgotten;
  }

  /** That backend is given to another session: whatever is noted from now on is not about it. */
  leave(applied: Applied): void {
    if (this.#attached === applied) {
      this.#attached = null;
      this.#isAway = true;
    }
    applied.sweptAt = NOT_SWEPT;
    this.#begin();
  }

  /** The attached backend is lost. */
  lose(): void {
    this.#applied?.fail();
    this.#begin();
  }

  /** Its units have ended unheard: what the first of them has prepared was noted; more of them are `several`. */
  refused(several: boolean): void {
    const applied = this.#applied;
    if (applied === null) return;
    if (several) applied.fail();
    // A simple Query has destroyed it.
    applied.doubts('');
    this.#begin();
  }

  // ---- what happens there

  /** A statement was prepared under this name by the client. */
  prepared(name: string): void {
    const applied = this.#applied;
    if (applied === null) return;
    const entry = this.#prepared.get(name);
    if (entry !== null) applied.prepared(name, entry.mark);
    else {
      applied.doubts(name);
      applied.hasUnread = true;
    }
  }

  /** One whose name is not known. */
  preparedUnread(): void {
    if (this.#applied === null) return;
    this.#applied.doubts('');
    this.#applied.hasUnread = true;
  }

  /** It was prepared once more under that name there, and nobody tells whether that went well. */
  preparedAgain(name: string): void {
    if (this.#applied?.isAlias(name) === true) this.#applied.forgot(name);
    else this.#applied?.doubts(name);
  }

  /** Null: all but the unnamed one. */
  forgot(name: string | null): void {
    if (name === null) this.#applied?.forgotAll();
    else this.#applied?.forgot(name);
  }

  /** Units have ended, and this is how. */
  ended(status: TransactionStatus): void {
    this.#status = status;
    this.#supply.begin();
    this.#notePins();
    if (status === TransactionStatus.Idle) this.#note();
  }

  /** The node has told what there is. */
  inspected(): void {
    this.#notePins();
    this.#note();
  }

  // ---- what is to be brought there

  replay({ begin = null, statements = 'all', listens = true }: ReplayOptions): SessionReplay | null {
    const applied = this.#applied;
    if (applied === null) {
      const { remains, madeUp } = this.#leftovers;
      const prepared = this.#prepared.kept();
      return planReplay({ there: nothingThere, remains, madeUp, prepared, listens, begin });
    }
    // In a transaction it has what the session has: it was there when it began.
    if (this.#status !== TransactionStatus.Idle) return this.#restoreStart(applied);
    if (this.#leftovers.hasLostStart) this.#leftovers.restoreStart(false);
    const { remains, madeUp } = this.#leftovers;
    applied.listens = listens;
    const { forgotten } = this.#prepared;
    const isSame =
      areSame(applied.settings, remains.settings) &&
      (!listens || areSame(applied.channels, remains.channels)) &&
      applied.madeUp.size >= madeUp.size;
    // What others have prepared is left alone, as long as it is in nobody's way.
    const sweeps = !applied.isShared || statements === 'all';
    const isSwept = !sweeps || forgotten - applied.sweptAt < STALE_MAX;
    if (isSame && isSwept && begin === null && statements === 'on_demand') return null;
    const prepared = statements === 'all' ? [...this.#prepared.kept()].filter((entry) => !hasIt(applied, entry)) : [];
    const plan = planReplay({ there: applied, remains, madeUp, prepared, listens, begin });
    // Of one name there may be another statement, which is in the way.
    const replay =
      plan === null && isSwept ? null : joinReplays([planCloses(sweeps ? this.#supply.sweep(applied) : []), plan]);
    if (replay === null) {
      this.#note();
      return null;
    }
    // Each simple Query destroys it.
    if (replay.types.includes(Frontend.Query)) applied.forgot('');
    this.#expect(applied, replay);
    if (begin !== null) this.#status = TransactionStatus.InTransaction;
    return replay;
  }

  /** Something is to be sent before a unit that needs these statements. */
  needsPreparing(needs: StatementNeeds): boolean {
    return this.#applied !== null && this.#supply.isShort(this.#applied, needs, this.#status);
  }

  /** `reading`: how the attached backend reads texts, where that is known. */
  prepareFor(needs: StatementNeeds, reading: (() => TextFacts) | null): SessionReplay | null {
    const applied = this.#applied;
    if (applied === null) return null;
    const place = (): SupplyPlace => ({
      standing: standingOf((name) => this.#leftovers.setting(name)),
      reading: reading?.() ?? null,
    });
    const replay = this.#supply.plan(applied, needs, place, this.#status);
    if (replay !== null) this.#expect(applied, replay);
    return replay;
  }

  /** The names of these statements on the attached backend where they are others; null: all are the same. */
  aliasesOf(names: readonly string[]): ReadonlyMap<string, string> | null {
    return this.#applied === null ? null : this.#supply.aliasesOn(this.#applied, names);
  }

  /** The statement under the name that the attached backend knows it by. */
  asThere(entry: PreparedEntry): PreparedEntry {
    const { frame, name } = entry.statement;
    const there = this.#applied === null ? name : this.#supply.nameOn(this.#applied, entry);
    return there === name || frame === null ? entry : underName(entry, frame, there);
  }

  /** What was planned for the attached backend is answered; `failed`: the parts that were refused there, counted from 0. */
  replayed({ parts }: SessionReplay, failed: ReadonlySet<number>): void {
    const applied = this.#applied;
    if (applied === null) return;
    applied.arrived();
    for (const [at, part] of parts.entries()) {
      if (part.kind === ReplayKind.Shown) this.#leftovers.noteName(part.name);
      if (failed.has(at)) {
        if (isIndispensable(part)) applied.fail();
        else if (applied.isAlias(part.name)) applied.forgot(part.name);
      } else if (part.mark !== 0) applied.prepared(part.name, part.mark);
    }
    if (this.#status === TransactionStatus.Idle) this.#note();
  }

  /** Statements of these names can be had on that backend, or cannot be had anywhere. */
  canRunOn(applied: Applied, names: Iterable<string>): boolean {
    for (const name of names) {
      const entry = this.#prepared.get(name);
      if (entry === null) {
        if (this.#prepared.hasUnread && !applied.hasUnread) return false;
        if (this.#isPinnedByName && this.#home !== null && this.#home !== applied) return false;
      } else if (!isKept(entry) && !hasIt(applied, entry)) return false;
    }
    return true;
  }

  // ----

  /** What is noted is about this. Between two backends it is about none: made only if there is anything to note, for with each unit it is costly. */
  get #applied(): Applied | null {
    if (this.#isAway) {
      this.#isAway = false;
      this.#attached = new Applied();
    }
    return this.#attached;
  }

  /** It has statements of which only the node has told. */
  get #isPinnedByName(): boolean {
    const { lasting } = this.#leftovers;
    return lasting.size > 0 && (hasPin(lasting, PinReason.PreparedInSql) || hasPin(lasting, PinReason.TooManyPrepared));
  }

  /** What the open transaction has reset and the session goes back to. */
  #restoreStart(applied: Applied): SessionReplay | null {
    if (!this.#leftovers.hasLostStart || this.#status !== TransactionStatus.InTransaction) return null;
    const standing = standingOf((name) => this.#leftovers.setting(name));
    const replay = planStart(this.#leftovers.restoreStart(true), standing);
    if (replay !== null) this.#expect(applied, replay);
    return replay;
  }

  /** Nothing is under way, and no transaction open. */
  #begin(): void {
    this.#status = TransactionStatus.Idle;
    this.#supply.begin();
  }

  #expect(applied: Applied, { parts }: SessionReplay): void {
    applied.expects();
    for (const { name, mark } of parts) if (mark !== 0) applied.doubts(name);
  }

  #note(): void {
    this.#applied?.note(this.#leftovers.remains, this.#leftovers.madeUp);
  }

  #notePins(): void {
    const { lasting, remains, doubts } = this.#leftovers;
    if (lasting === this.#lasting && remains.pins === this.#pins && doubts === this.#doubts) return;
    this.#lasting = lasting;
    this.#pins = remains.pins;
    this.#doubts = doubts;
    this.#home = this.#applied;
  }
}

function hasIt(applied: Applied, { statement, mark }: PreparedEntry): boolean {
  return applied.markOf(statement.name) === mark;
}
