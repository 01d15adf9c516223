import type { Catalog } from '../../sql/catalog.js';
import type { StatementAnalysis } from '../../sql/analysis.js';
import type { Clock } from '../../util/clock.js';

/** So often a node must have been asked in vain what the functions of a statement have left behind, before they are trusted. */
const CLEAN_MIN = 3;
/** For so long; then they are looked at again, because functions change. */
const TRUST_MS = 10 * 60_000;

/** Which statements call functions that may leave something behind in the session, without a word of it in their text. */
export interface FunctionTrust {
  isTrusted(statement: StatementAnalysis): boolean;
  /** A node was asked what these have left: nothing, if `isClean`. */
  judged(statements: Iterable<StatementAnalysis>, isClean: boolean): void;
}

/** For a session whose backends are its own: whatever it leaves there is there for itself. */
export const trustAll: FunctionTrust = {
  isTrusted: () => true,
  judged: () => {},
};

/** Learns from what nodes say, for all sessions of one database. */
export class LearnedTrust implements FunctionTrust {
  readonly #catalog: () => Catalog | null;
  readonly #clock: Clock;
  /** How often each has left nothing, and when that was found last. */
  readonly #findings = new WeakMap<StatementAnalysis, { clean: number; atMs: number }>();

  constructor(catalog: () => Catalog | null, clock: Clock) {
    this.#catalog = catalog;
    this.#clock = clock;
  }

  isTrusted(statement: StatementAnalysis): boolean {
    if (statement.names.functions.length === 0) return true;
    if (this.#catalog()?.callsOut(statement) === false) return true;
    const finding = this.#findings.get(statement);
    return finding !== undefined && finding.clean >= CLEAN_MIN && this.#clock.nowMs() - finding.atMs < TRUST_MS;
  }

  judged(statements: Iterable<StatementAnalysis>, isClean: boolean): void {
    const atMs = this.#clock.nowMs();
    for (const statement of statements) {
      const clean = isClean ? (this.#findings.get(statement)?.clean ?? 0) + 1 : 0;
      this.#findings.set(statement, { clean, atMs });
    }
  }
}
