import { TransactionStatus } from '../../protocol/codes.js';
import type { TextFacts } from '../../sql/analysis.js';
import type { Applied } from './applied.js';
import { planPrepare } from './prepare-plan.js';
import { isKept, underName } from './prepared.js';
import type { PreparedEntry, PreparedStatements } from './prepared.js';
import { joinReplays } from './replay-plan.js';
import type { SessionReplay } from './replay-plan.js';
import type { Standing } from './standing.js';
import { planCloses } from './state-plan.js';

/** Most statements that are closed at once. */
export const CLOSES_MAX = 500;

const noNames: readonly string[] = [];

/** Prepared statements that a unit needs. */
export interface StatementNeeds {
  /** '' is the unnamed one; 'all': which ones cannot be told. */
  readonly names: readonly string[] | 'all';
  /** Those of them that it only binds and describes: what they are called on the backend matters to nobody. */
  readonly used: readonly string[];
}

/** How it is where statements are to be prepared. */
export interface SupplyPlace {
  readonly standing: Standing;
  /** How the backend reads texts; null: not known. */
  readonly reading: TextFacts | null;
}

/**
 * Sees to it that a backend has the prepared statements that a unit needs. Where sessions take turns, a backend keeps what others have
 * prepared, up to a number; if one of them has taken the name, a statement is prepared there under a name of the proxy's, once for all sessions
 * that have the same.
 */
export class StatementSupply {
  readonly #prepared: PreparedStatements;
  /** What was tried to be prepared for the unit that waits: not again, though it may have failed. */
  readonly #tried = new Set<string>();

  constructor(prepared: PreparedStatements) {
    this.#prepared = prepared;
  }

  /** Another unit comes. */
  begin(): void {
    if (this.#tried.size > 0) this.#tried.clear();
  }

  /** Something is to be sent before a unit that needs these. */
  isShort(applied: Applied, needs: StatementNeeds, status: TransactionStatus): boolean {
    const usable = usableOf(applied, needs, status);
    for (const name of this.#wanted(needs)) if (this.#isOff(applied, name, usable.includes(name))) return true;
    return false;
  }

  /** Messages that prepare what is missing, and close what is too much; null: there is nothing to say. */
  plan(
    applied: Applied,
    needs: StatementNeeds,
    place: () => SupplyPlace,
    status: TransactionStatus,
  ): SessionReplay | null {
    const { names } = needs;
    const wanted = this.#wanted(needs);
    if (applied.isShared) for (const name of wanted) this.#touch(applied, name);
    const isSwept = names !== 'all' || applied.sweptAt === this.#prepared.forgotten;
    if (isSwept && applied.excess <= 0 && !this.isShort(applied, needs, status)) return null;
    const closed = new Set(names === 'all' || !applied.isShared ? this.sweep(applied) : noNames);
    const usable = usableOf(applied, needs, status);
    const entries: PreparedEntry[] = [];
    for (const name of new Set(wanted)) {
      const isUsable = usable.includes(name);
      if (!this.#isOff(applied, name, isUsable)) continue;
      const entry = this.#prepared.get(name);
      // Rather none at all than another one of that name.
      if (entry === null || !isKept(entry)) {
        closed.add(name);
        continue;
      }
      this.#tried.add(name);
      const isTaken = applied.markOf(name) > 0 && !closed.has(name);
      if (isUsable && isTaken && entry.statement.frame !== null) {
        entries.push(underName(entry, entry.statement.frame, applied.alias(entry.mark)));
      } else {
        closed.delete(name);
        entries.push(entry);
      }
    }
    for (const name of this.#leastUsed(applied, wanted, entries.length)) closed.add(name);
    const plan = entries.length === 0 ? null : planPrepare({ entries, ...place(), status });
    for (const name of closed) applied.forgot(name);
    return joinReplays([planCloses([...closed]), plan]);
  }

  /** The name that the backend knows the statement by. */
  nameOn(applied: Applied, { statement, mark }: PreparedEntry): string {
    if (applied.markOf(statement.name) === mark) return statement.name;
    return applied.aliasOf(mark) ?? statement.name;
  }

  /** The names of these statements on the backend where they are others; null: all are the same. */
  aliasesOn(applied: Applied, names: readonly string[]): ReadonlyMap<string, string> | null {
    if (!applied.hasAliases) return null;
    let aliases: Map<string, string> | null = null;
    for (const name of names) {
      const entry = this.#prepared.get(name);
      const other = entry === null ? name : this.nameOn(applied, entry);
      if (other === name) continue;
      aliases ??= new Map();
      aliases.set(name, other);
    }
    return aliases;
  }

  /** Takes what the session has closed elsewhere, or never had, off the book of the backend; gives its names, which are to be closed there. */
  sweep(applied: Applied): readonly string[] {
    const { forgotten } = this.#prepared;
    if (applied.sweptAt === forgotten) return noNames;
    const closed: string[] = [];
    for (const name of applied.names()) {
      if (name === '' || this.#prepared.get(name)?.mark === applied.markOf(name)) continue;
      if (closed.length === CLOSES_MAX) return closed;
      closed.push(name);
      applied.forgot(name);
    }
    applied.sweptAt = forgotten;
    return closed;
  }

  // ----

  #wanted({ names }: StatementNeeds): readonly string[] {
    return names === 'all' ? ['', ...this.#prepared.names()] : names;
  }

  /** The backend has something else under this name than the session, and that can be mended. `isUsable`: nor has it under another name. */
  #isOff(applied: Applied, name: string, isUsable: boolean): boolean {
    if (this.#tried.size > 0 && this.#tried.has(name)) return false;
    const entry = this.#prepared.get(name);
    const mark = applied.markOf(name);
    if (entry === null) return mark !== 0;
    if (mark === entry.mark || (isUsable && applied.aliasOf(entry.mark) !== null)) return false;
    return isKept(entry) || mark !== 0;
  }

  /** Those that were used longer ago are closed before it. */
  #touch(applied: Applied, name: string): void {
    const entry = name === '' ? null : this.#prepared.get(name);
    if (entry !== null) applied.touch(this.nameOn(applied, entry));
  }

  /** What the backend has beyond what it may have when so many are `added`, of what the unit does not need. */
  #leastUsed(applied: Applied, wanted: readonly string[], added: number): readonly string[] {
    let excess = applied.excess + added;
    if (!applied.isShared || excess <= 0) return noNames;
    const needed = new Set(wanted);
    for (const name of wanted) {
      const entry = this.#prepared.get(name);
      if (entry !== null) needed.add(this.nameOn(applied, entry));
    }
    const found: string[] = [];
    for (const name of applied.names()) {
      if (excess <= 0 || found.length === CLOSES_MAX) break;
      if (name === '' || needed.has(name)) continue;
      found.push(name);
      excess -= 1;
    }
    return found;
  }
}

/** Those that may have another name there. In a transaction that has failed nothing can be prepared, but what ends it. */
function usableOf(applied: Applied, { used }: StatementNeeds, status: TransactionStatus): readonly string[] {
  return applied.isShared && status !== TransactionStatus.Failed ? used : noNames;
}
