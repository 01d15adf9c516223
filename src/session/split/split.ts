import type { Catalogs } from '../../cluster/catalogs.js';
import type { Freshness } from '../../cluster/freshness.js';
import type { ErrorFields } from '../../protocol/error-fields.js';
import { TransactionStatus } from '../../protocol/codes.js';
import { formatLsn, parseLsn, recordEnd } from '../../replication/lsn.js';
import { Access, Repeat } from '../../sql/analysis.js';
import type { Analysis, TextFacts } from '../../sql/analysis.js';
import type { Berth, Target } from '../berths.js';
import type { SessionIntent } from '../context.js';

import type { SessionState } from '../state/session-state.js';
import type { UnitFacts } from '../state/unit-facts.js';
import { Chooser } from './chooser.js';
import type { UnitChoice } from './chooser.js';
import { Homecoming } from './homecoming.js';
import { ProgressWait } from './progress-wait.js';
import type { RefusedTemplates } from './refused-templates.js';
import { SessionFence } from './session-fence.js';
import type { Consistency } from './session-fence.js';
import type { SplitContext } from './split-context.js';
import { SplitReason } from './split-reason.js';

/**
 * Errors that any node would give for the same statement and parameters, and those that its client wants: of all others the primary is
 * asked too. Classes and codes of appendix A of the documentation of PostgreSQL: data exceptions, RAISE, cancelled by its client or a
 * time limit.
 */
const NO_REFUSAL = /^(22|P0|57014)/;
/** By these a hot standby says that such a statement is not for it. Others hang on the moment: a conflict with replay, DDL not replayed yet. */
const FOR_GOOD = /^(25006|0A000|55000|XX000)/;
/** What any write is told there. */
const READ_ONLY = '25006';
/** Errors that another standby would not give: the statement stood in the way of replay, or the node lacks something. */
const OF_THE_NODE = /^(40|53|58)/;
/** Where "cannot use serializable mode in a hot standby" comes from (`src/backend/storage/lmgr/predicate.c` of PostgreSQL). */
const SERIALIZABLE_ROUTINE = 'GetSerializableTransactionSnapshot';
/** "cached plan must not change result type" (plancache.c): what the client knows of the answer is not true any more, wherever it runs. */
const STALE_PLAN_ROUTINE = 'RevalidateCachedQuery';

/** What becomes of units that a standby has refused. */
export const Refusal = {
  /** They run on the primary. */
  Primary: 'primary',
  /** They run on another standby, or on the primary. */
  Elsewhere: 'elsewhere',
} as const;
export type Refusal = (typeof Refusal)[keyof typeof Refusal];

/** What a session of a split route knows beyond any other: where each unit may go, and what the session has seen. */
export class Split {
  readonly chooser: Chooser;
  readonly fence: SessionFence;
  readonly homecoming: Homecoming;
  /** For standbys that have what the session has seen, and for tokens. */
  readonly progress: ProgressWait;
  readonly #state: SessionState;
  readonly #intent: SessionIntent;
  readonly #freshness: Freshness;
  readonly #catalogs: Catalogs;
  readonly #database: string;
  readonly #templates: RefusedTemplates;
  /** The tick whose position is to be shown as the fence; null: none is asked for. */
  #tokenTick: number | null = null;
  /** The newest text of `switchyard.fence` that was taken over. */
  #token: string | null = null;
  /** How the transaction has begun that is open on a standby, as long as nothing else was done in it; null: something was. */
  #begun: string | null = null;
  /** A transaction is open on the standby. */
  #isInside = false;
  /** Of the transaction on the primary, or the unit. */
  #hasSeen = false;
  #hasWritten = false;
  #hasDefined = false;
  /** The unit that was chosen for last is proven to change nothing; so are all that are under way. */
  #isRead = false;
  #areReads = false;
  /** What a standby has refused, and the primary is running now: if it can, such statements are writes from then on. */
  #refused: { readonly template: string | null; readonly sqlState: string; readonly message: string } | null = null;
  /** A standby is given back when this is still false at the next look. */
  #usesStandby = false;

  constructor(state: SessionState, database: string, intent: SessionIntent, context: SplitContext) {
    const { freshness, catalogs, refused, fences, clock, bytesMax, fenceWaitMs } = context;
    this.#state = state;
    this.#intent = intent;
    this.#freshness = freshness;
    this.#catalogs = catalogs;
    this.#database = database;
    this.#templates = refused;
    this.fence = new SessionFence(freshness, database, fences, () => this.consistency);
    this.chooser = new Chooser({ state, fence: this.fence, database, catalogs, refused, bytesMax });
    this.homecoming = new Homecoming(clock, fenceWaitMs);
    this.progress = new ProgressWait(freshness, clock, context.onFenceWait);
  }

  get consistency(): Consistency {
    return this.chooser.settings.consistency ?? this.#intent.consistency;
  }

  /** The client wants to be told where each unit goes. */
  get explains(): boolean {
    return this.chooser.settings.explains;
  }

  /** A position is known behind everything that the session has seen; asking begins to look for one. */
  get isTokenKnown(): boolean {
    this.#tokenTick ??= this.#freshness.fence();
    return this.#freshness.lsnOf(this.#tokenTick) !== null;
  }

  /** What SHOW is to say of `switchyard.<name>`; null: as the node has it. */
  shown(name: string): string | null {
    const { settings } = this.chooser;
    switch (name) {
      case 'fence': {
        const lsn = this.#tokenTick === null ? null : this.#freshness.lsnOf(this.#tokenTick);
        return lsn === null ? '' : formatLsn(lsn);
      }
      case 'route':
        return settings.route ?? this.#intent.route;
      case 'consistency':
        return this.consistency;
      case 'explain':
        return settings.explains ? 'on' : 'off';
      default:
        return null;
    }
  }

  /** All that is under way is proven to change nothing. */
  get areReads(): boolean {
    return this.#areReads;
  }

  /** Nothing was done yet in the transaction that is open on a standby. */
  get canLeaveTransaction(): boolean {
    return this.#begun !== null;
  }

  /** See Chooser. */
  choose(
    type: number,
    buffer: Buffer,
    start: number,
    end: number,
    facts: TextFacts,
    target: Target | null,
    isInTransaction: boolean,
  ): UnitChoice | null {
    this.#takeToken();
    const choice = this.chooser.choose(type, buffer, start, end, facts, { target, isInTransaction });
    this.#isRead = choice?.isRead === true;
    if (choice !== null) this.#hasDefined ||= this.chooser.ahead.analyses.some(isDefinition);
    return choice;
  }

  /** A unit may be sent behind others that have not been answered, on a backend that was chosen as `target`; the primary's gate `isOpen`. */
  canFollow(choice: UnitChoice, target: Target, isOpen: boolean): boolean {
    if (choice.mistake !== null || choice.shows !== null || choice.leaves || this.chooser.settings.explains)
      return false;
    if (target === 'standby' ? choice.target === 'primary' : !isOpen) return false;
    return choice.names !== 'all' && !this.#state.needsPreparing(choice);
  }

  /** How the open transaction is to begin on the primary in place of the standby. */
  takeBegun(): string | null {
    const begun = this.#begun;
    this.#begun = null;
    this.#isInside = false;
    return begun;
  }

  /** The unit that was chosen for goes to its backend. `isAlone`: no other is under way there. */
  admitted(isAlone: boolean): void {
    this.#tokenTick = null;
    this.#areReads = this.#isRead && (isAlone || this.#areReads);
    this.#isRead = false;
    this.chooser.admitted();
  }

  /** A unit has ended, with this status of the transaction. */
  unitEnded(unit: UnitFacts | undefined, { target, backend }: Berth, status: TransactionStatus): void {
    // What does nothing that outlives its connection has seen nothing either: BEGIN, SET, PREPARE.
    const isBlind = unit?.repeat === Repeat.Always;
    if (target === 'standby') {
      this.#usesStandby = true;
      // A BEGIN within a transaction begins nothing.
      this.#begun = this.#isInside ? null : (unit?.beginning ?? null);
      this.#isInside = status !== TransactionStatus.Idle;
      if (status !== TransactionStatus.InTransaction) this.#begun = null;
      if (!isBlind) this.fence.sawStandby(backend.identity.node);
      return;
    }
    this.#remember();
    this.#hasSeen ||= !isBlind;
    this.#hasWritten ||= !isBlind && unit?.isRead !== true && !this.#areReads;
    if (status !== TransactionStatus.Idle) return;
    if (this.#hasSeen) this.fence.sawPrimary(this.#hasWritten);
    if (this.#hasWritten) this.homecoming.wrote();
    if (this.#hasDefined) {
      this.#catalogs.changed(this.#database);
      this.chooser.defined();
    }
    this.#forget();
  }

  /** The connection to the primary is gone with whatever was under way. */
  primaryLost(): void {
    this.fence.sawPrimary(true);
    this.#refused = null;
    this.#forget();
  }

  /** The backend on the standby is gone, or was given back. */
  standbyLeft(): void {
    this.#isInside = false;
    this.#begun = null;
  }

  /** Looks whether a standby was used since the last look. */
  wasStandbyUsed(): boolean {
    const wasUsed = this.#usesStandby;
    this.#usesStandby = false;
    return wasUsed;
  }

  /**
   * What becomes of the units under way, of which the oldest ended in this error on a standby; null: the client gets the error. All of them
   * are reads, and can run again.
   */
  refusal(fields: ErrorFields, failing: Analysis | null): Refusal | null {
    const { sqlState, message, routine } = fields;
    if (this.chooser.settings.route === 'standby' || NO_REFUSAL.test(sqlState) || routine === STALE_PLAN_ROUTINE)
      return null;
    if (routine === SERIALIZABLE_ROUTINE) this.chooser.bar(SplitReason.Serializable);
    else if (FOR_GOOD.test(sqlState) && failing !== null)
      this.#refused = { template: failing.template, sqlState, message };
    return OF_THE_NODE.test(sqlState) ? Refusal.Elsewhere : Refusal.Primary;
  }

  /**
   * The same where it is too late to run it elsewhere: the client has the error, and the next of its like is not for a standby. `failing` is
   * null in a transaction, of which a standby says 25006 like any other node.
   */
  refusedLate({ sqlState, message, routine }: ErrorFields, failing: Analysis | null): void {
    if (this.chooser.settings.route === 'standby') return;
    if (routine === SERIALIZABLE_ROUTINE) this.chooser.bar(SplitReason.Serializable);
    else if (sqlState === READ_ONLY && failing !== null && failing.template !== null) {
      this.#templates.add(this.#database, failing.template, sqlState, message);
    }
  }

  /** The unit under way on the primary has failed: what a standby has said of it was not a standby's alone. */
  failed(): void {
    this.#refused = null;
  }

  #remember(): void {
    if (this.#refused === null) return;
    const { template, sqlState, message } = this.#refused;
    this.#refused = null;
    if (template !== null) this.#templates.add(this.#database, template, sqlState, message);
  }

  #forget(): void {
    this.#hasSeen = false;
    this.#hasWritten = false;
    this.#hasDefined = false;
  }

  /** What another process has handed over with SET switchyard.fence. */
  #takeToken(): void {
    const token = this.chooser.settings.fence;
    if (token === this.#token) return;
    this.#token = token;
    const position = token === null ? null : parseLsn(token);
    this.fence.token = position === null ? null : recordEnd(position);
  }
}

function isDefinition({ statements }: Analysis): boolean {
  return statements.some(({ access }) => access === Access.Definition);
}
