import { Repeat, stricterRepeat } from '../../sql/analysis.js';
import type { Analysis, Effect, StatementAnalysis } from '../../sql/analysis.js';
import { PinReason } from '../../sql/pin-reason.js';
import type { UnitFacts } from './unit-facts.js';

/** Statements that were not read: any of them may stand there, COMMIT too. */
const UNREAD: ReadonlySet<PinReason> = new Set([
  PinReason.UnknownStatement,
  PinReason.StatementTooLarge,
  PinReason.ClientEncoding,
]);

/** What was prepared under a name; null when that is not known. */
export type PreparedLookup = (name: string) => Analysis | null;

/** What is known of a unit; grows with each of its statements. */
export class UnitNote implements UnitFacts {
  repeat: Repeat;
  isQuery: boolean;
  isRead: boolean;
  begins: boolean;
  beginning: string | null;
  mayCommit: boolean;
  hasCommitted: boolean;
  goesOn: boolean;
  endsTransaction: boolean;
  resets: boolean;
  /** Nothing was added yet. */
  #isEmpty = true;

  constructor() {
    this.repeat = Repeat.Always;
    this.isQuery = true;
    this.isRead = true;
    this.begins = false;
    this.beginning = null;
    this.mayCommit = false;
    this.hasCommitted = false;
    this.goesOn = false;
    this.endsTransaction = false;
    this.resets = false;
  }

  /** A string of statements in one simple Query. */
  addString(analysis: Analysis, prepared: PreparedLookup): void {
    for (const statement of analysis.statements) this.add(statement, prepared);
    // How far it had come is not known; what could have committed on the way is strictest anyway.
    if (analysis.statements.length > 1 && this.repeat !== Repeat.Always) {
      this.repeat = stricterRepeat(this.repeat, Repeat.ByClient);
    }
  }

  /** What an Execute runs; null: not known. In one batch all statements share a transaction. */
  addExecuted(analysis: Analysis | null, prepared: PreparedLookup): void {
    if (analysis === null) {
      this.addUnread();
      this.mayCommit = true;
    } else for (const statement of analysis.statements) this.add(statement, prepared);
  }

  /** Something that is no query and must not run twice. */
  addUnread(): void {
    this.#isEmpty = false;
    this.beginning = null;
    this.repeat = Repeat.Never;
    this.isQuery = false;
    this.isRead = false;
  }

  add(statement: StatementAnalysis, prepared: PreparedLookup): void {
    let { repeat, isQuery, isRead } = statement;
    const isFirst = this.#isEmpty;
    this.#isEmpty = false;
    this.beginning = null;
    if (this.endsTransaction) {
      this.goesOn = true;
      this.mayCommit = true;
    }
    for (const effect of statement.effects) {
      switch (effect.kind) {
        case 'begin':
          this.begins = true;
          if (isFirst) this.beginning = textOf(effect);
          break;
        case 'commit':
        case 'rollback':
          this.endsTransaction = true;
          this.begins = effect.isChained;
          if (effect.kind === 'commit') this.mayCommit = true;
          break;
        case 'prepare_transaction':
          this.endsTransaction = true;
          this.mayCommit = true;
          this.begins = false;
          break;
        case 'execute': {
          const inner = prepared(effect.name)?.statements[0];
          // One that executes another one in its turn is not followed.
          const isKnown = inner !== undefined && !inner.effects.some(({ kind }) => kind === 'execute');
          repeat = isKnown ? stricterRepeat(repeat, inner.repeat) : Repeat.Never;
          isQuery = isKnown && inner.isQuery;
          isRead = isKnown && inner.isRead;
          break;
        }
        case 'reset':
        case 'reset_all':
        case 'discard':
          this.resets = true;
          break;
        case 'pin':
          if (UNREAD.has(effect.reason)) this.mayCommit = true;
          break;
        default:
      }
    }
    if (!isQuery) this.isQuery = false;
    if (!isRead) this.isRead = false;
    this.repeat = stricterRepeat(this.repeat, repeat);
  }
}

function textOf({ isolation, isReadOnly }: Effect & { readonly kind: 'begin' }): string {
  const level = isolation === null ? '' : ` ISOLATION LEVEL ${isolation}`;
  const mode = isReadOnly === null ? '' : isReadOnly ? ' READ ONLY' : ' READ WRITE';
  return `BEGIN${level}${mode}`;
}
