import type { Catalogs } from '../../cluster/catalogs.js';
import type { SwitchyardError } from '../../errors.js';
import { Access } from '../../sql/analysis.js';
import type { Effect, StatementAnalysis, TextFacts } from '../../sql/analysis.js';
import { verdictWithoutCatalog } from '../../sql/catalog.js';
import type { Catalog } from '../../sql/catalog.js';
import { ReadObstacle } from '../../sql/read-obstacle.js';
import type { Target } from '../berths.js';
import type { SessionState } from '../state/session-state.js';
import { OwnSettings } from './own-settings.js';
import type { RefusedTemplates } from './refused-templates.js';
import type { SessionFence } from './session-fence.js';
import { SplitReason } from './split-reason.js';
import { Extent, UnitAhead } from './unit-ahead.js';

/** How deep EXECUTE may run statements that run others. */
const EXECUTE_DEPTH_MAX = 4;

/** Where a unit wants to go, and what it needs there. Good until the next one is chosen for. */
export interface UnitChoice {
  readonly target: Target;
  readonly reason: string;
  /** Prepared statements that must be on its backend as the session has them. */
  readonly names: readonly string[] | 'all';
  /** Those of them that may have another name there. */
  readonly used: readonly string[];
  /** The client asked something of the proxy itself that it cannot have. */
  readonly mistake: SwitchyardError | null;
  /** A setting of the proxy that is shown: the node must be told its value first. */
  readonly shows: string | null;
  /** It is not fit for the standby that the open transaction is on. */
  readonly leaves: boolean;
  /** It asks what numbers the session was given by sequences: no other session's must be left there. */
  readonly asksSequences: boolean;
  /** It takes numbers of sequences, for which the session may ask later. */
  readonly takesNumbers: boolean;
  /** Wherever it runs: it is proven to change nothing. */
  readonly isRead: boolean;
}

/** What stands for the greeting of a session that has no primary to ask. */
export const greeting: UnitChoice = {
  target: 'standby',
  reason: SplitReason.Neutral,
  names: [],
  used: [],
  mistake: null,
  shows: null,
  leaves: false,
  asksSequences: false,
  takesNumbers: false,
  isRead: true,
};

/** What a chooser is given of its session. */
export interface ChooserParts {
  readonly state: SessionState;
  readonly fence: SessionFence;
  readonly database: string;
  readonly catalogs: Catalogs;
  readonly refused: RefusedTemplates;
  readonly bytesMax: () => number;
}

/** What is true of the session at the moment. */
export interface ChooserFacts {
  /** As what the attached backend was chosen; null: there is none. */
  readonly target: Target | null;
  readonly isInTransaction: boolean;
}

/** Decides for each unit of a split session whether it is a proven read, and may go to a standby. */
export class Chooser {
  readonly ahead: UnitAhead;
  readonly settings: OwnSettings;
  readonly #parts: ChooserParts;
  /** The arguments of an EXECUTE, as if they were a statement of their own: the catalogue remembers verdicts by statement. */
  readonly #argumentsOf = new WeakMap<StatementAnalysis, StatementAnalysis>();
  /** Units that are run again because a standby has refused them. */
  #again = 0;
  /** The newest prepared statement that is older than what the session has defined last: their plans may not fit any more. */
  #definedBehind = 0;
  /** Why nothing of the session can run on a standby; null: it can. */
  #barred: SplitReason | null = null;

  constructor(parts: ChooserParts) {
    this.#parts = parts;
    this.ahead = new UnitAhead(parts.state, parts.bytesMax);
    this.settings = new OwnSettings(parts.state);
  }

  /** The next `count` units are for the primary, whatever they are. */
  refuse(count: number): void {
    this.#again = count;
  }

  /** The session has changed a definition. What it had prepared must not be prepared anew, as if that had not been. */
  defined(): void {
    this.#definedBehind = this.#parts.state.prepared.newestSerial;
  }

  /** From now on everything is for the primary. */
  bar(reason: SplitReason): void {
    this.#barred = reason;
  }

  /** One of the units that run again was admitted. */
  admitted(): void {
    if (this.#again > 0) this.#again -= 1;
  }

  /** Null: more of the unit must be there first. The body is as for RelayOwner.onUnitStart. */
  choose(
    type: number,
    buffer: Buffer,
    start: number,
    end: number,
    textFacts: TextFacts,
    facts: ChooserFacts,
  ): UnitChoice | null {
    const { ahead } = this;
    ahead.read(type, buffer, start, end, textFacts);
    if (ahead.extent === Extent.Partial) return null;
    const mistake = this.settings.mistakeIn(ahead.analyses);
    const shows = this.settings.shownBy(ahead.analyses);
    if (facts.isInTransaction) {
      const isRead = this.#obstacle(true) === null;
      const target = facts.target ?? 'primary';
      const choice = this.#choice(target, SplitReason.Transaction, mistake, shows, isRead);
      return { ...choice, leaves: target === 'standby' && !isRead };
    }
    const narrowed = this.settings.route;
    // A standby does not listen, and what the primary's backend hears there would be lost.
    const isDeaf = narrowed === 'standby' && this.#parts.state.isListening;
    if (narrowed !== null && !isDeaf) return this.#choice(narrowed, SplitReason.Narrowed, mistake, shows);
    const reason = this.#reasonForPrimary();
    if (reason !== null) return this.#choice('primary', reason, mistake, shows);
    const isNeutral = ahead.analyses.every(({ statements }) => statements.length === 0);
    if (isNeutral) return this.#choice(facts.target ?? 'standby', SplitReason.Neutral, mistake, shows, true);
    return this.#choice('standby', SplitReason.Read, mistake, shows, true);
  }

  #choice(
    target: Target,
    reason: string,
    mistake: SwitchyardError | null,
    shows: string | null,
    isRead = false,
  ): UnitChoice {
    const { ahead } = this;
    // Behind a Flush a standby is left, if need be, and the primary is not.
    const isOpen = ahead.extent === Extent.Flushed && target === 'standby' && !ahead.needsAll;
    const names = isOpen ? ahead.names : ahead.namesAtHand;
    const { used, asksSequences, takesNumbers } = ahead;
    return { target, reason, names, used, mistake, shows, leaves: false, asksSequences, takesNumbers, isRead };
  }

  #reasonForPrimary(): string | null {
    const { state } = this.#parts;
    const { ahead } = this;
    if (this.#barred !== null) return this.#barred;
    if (this.#again > 0) return SplitReason.Refused;
    if (state.isListening) return SplitReason.Listening;
    if (state.pinsReadsToPrimary !== null) return SplitReason.Pinned;
    if (state.isSerializable === true) return SplitReason.Serializable;
    if (ahead.hint !== null) return SplitReason.Hint;
    // What cannot be kept is on one backend only, and writes and transactions need the primary.
    if (!state.canKeep(ahead.parses, ahead.parseBytes)) return SplitReason.PreparedThere;
    return this.#obstacle(false);
  }

  /** What stands in the way of running the unit on a standby; `isInside`: in a transaction that is read only. */
  #obstacle(isInside: boolean): string | null {
    const { ahead } = this;
    if (ahead.extent === Extent.TooLong || ahead.hasUnknown) return SplitReason.Unread;
    if (ahead.extent === Extent.Flushed && ahead.executes) return SplitReason.Flushed;
    if (this.#isOutdated()) return SplitReason.PreparedThere;
    const catalog = this.#parts.catalogs.of(this.#parts.database);
    let isOpen = isInside;
    for (const analysis of ahead.analyses) {
      for (const statement of analysis.statements) {
        if (statement.access === Access.Transaction) {
          const transaction = statement.effects.find(isOfTransaction);
          if (transaction?.kind === 'begin') {
            if (!this.#isReadOnly(transaction)) return ReadObstacle.Transaction;
            isOpen = true;
          } else if (!isOpen) return ReadObstacle.Transaction;
          continue;
        }
        const obstacle = this.#obstacleOf(statement, catalog, 0);
        if (obstacle !== null) return obstacle;
      }
      if (analysis.template !== null && this.#parts.refused.has(this.#parts.database, analysis.template)) {
        return SplitReason.RefusedBefore;
      }
    }
    return null;
  }

  #isOutdated(): boolean {
    if (this.#definedBehind === 0) return false;
    const { prepared } = this.#parts.state;
    return this.ahead.names.some((name) => (prepared.get(name)?.serial ?? Infinity) <= this.#definedBehind);
  }

  #obstacleOf(statement: StatementAnalysis, catalog: Catalog | null, depth: number): string | null {
    if (statement.access !== Access.Execute) {
      const verdict = catalog === null ? verdictWithoutCatalog(statement) : catalog.verdictOf(statement);
      if (verdict.isRead) return null;
      if (verdict.obstacle === ReadObstacle.UnknownFunction) this.#parts.catalogs.missed(this.#parts.database);
      return verdict.obstacle;
    }
    for (const effect of statement.effects) {
      if (effect.kind !== 'execute') continue;
      const inner = depth < EXECUTE_DEPTH_MAX ? this.#parts.state.analysisOf(effect.name) : null;
      if (inner === null) return SplitReason.Unread;
      // Its arguments are expressions, and what it runs is what was prepared.
      const own = this.#obstacleOfArguments(statement, catalog);
      if (own !== null) return own;
      for (const each of inner.statements) {
        const obstacle = this.#obstacleOf(each, catalog, depth + 1);
        if (obstacle !== null) return obstacle;
      }
    }
    return null;
  }

  #obstacleOfArguments(statement: StatementAnalysis, catalog: Catalog | null): string | null {
    let asRead = this.#argumentsOf.get(statement);
    if (asRead === undefined) {
      asRead = { ...statement, access: Access.Read, effects: [] };
      this.#argumentsOf.set(statement, asRead);
    }
    const verdict = catalog === null ? verdictWithoutCatalog(asRead) : catalog.verdictOf(asRead);
    return verdict.isRead ? null : verdict.obstacle;
  }

  /** A transaction that may begin on a standby. */
  #isReadOnly({ isReadOnly, isolation }: Effect & { readonly kind: 'begin' }): boolean {
    const { state } = this.#parts;
    // It may want what is on the primary's backend only: a held cursor.
    if (state.pinReason !== null) return false;
    if (isolation === 'serializable' || (isolation === null && state.isSerializable === true)) return false;
    return isReadOnly ?? state.isReadOnlyByDefault === true;
  }
}

function isOfTransaction({ kind }: Effect): boolean {
  return kind !== 'execute';
}
