import type { Analysis, StatementAnalysis, TextFacts } from '../../sql/analysis.js';
import { PinReason } from '../../sql/pin-reason.js';
import type { Attachment } from './attachment.js';
import { isPlain } from './kept.js';
import type { FunctionTrust } from './function-trust.js';
import type { Leftovers } from './leftovers.js';
import { hasPin, survivesFailure } from './pin.js';
import type { PreparedStatement, PreparedStatements } from './prepared.js';
import { pinned } from './reading.js';
import { unreadStatement } from './sent-side.js';

/** Functions that give back what others may still hold. */
const UNLOCKS: readonly string[] = ['pg_advisory_unlock', 'pg_advisory_unlock_shared', 'pg_advisory_unlock_all'];

/** How deep statements that were prepared by the protocol may execute each other. */
const EXECUTE_DEPTH_MAX = 8;

const unknown = pinned(PinReason.UnknownStatement);

/** Carries out in the session's state what statements have done on the node. */
export class EffectRunner {
  readonly #prepared: PreparedStatements;
  readonly #leftovers: Leftovers;
  readonly #attachment: Attachment;
  readonly #trust: FunctionTrust;
  /** What has called functions of which nobody knows what they leave, since the node was asked last. */
  #suspected = new Set<StatementAnalysis>();
  readonly #onCommit: () => void;

  constructor(
    prepared: PreparedStatements,
    leftovers: Leftovers,
    attachment: Attachment,
    trust: FunctionTrust,
    onCommit: () => void,
  ) {
    this.#prepared = prepared;
    this.#leftovers = leftovers;
    this.#attachment = attachment;
    this.#trust = trust;
    this.#onCommit = onCommit;
  }

  /** What the node is being asked about, but for what the texts tell. */
  takeSuspected(): ReadonlySet<StatementAnalysis> {
    const suspected = this.#suspected;
    this.#suspected = new Set();
    return suspected;
  }

  /** The backend is gone, and with it whatever they have left: they are trusted as in a session that has its backends to itself. */
  trustSuspected(): void {
    this.#suspected.clear();
    this.#leftovers.unpin(PinReason.CalledFunction, null);
    this.#leftovers.unitEnded();
  }

  /** A Parse has ended well. */
  parsed(statement: PreparedStatement, facts: TextFacts): void {
    if (statement === unreadStatement) {
      this.#prepared.keepUnread();
      this.#attachment.preparedUnread();
      this.#leftovers.doubt();
      return;
    }
    this.#keep(statement, facts);
  }

  /** A Parse has failed. Where it is one of the unnamed statement, the former one was gone by then. */
  parseFailed(statement: PreparedStatement): void {
    if (statement !== unreadStatement && statement.name === '') this.forget('');
  }

  /** A statement has failed, or was cut short; some of what it does may stay all the same. */
  mayHaveRun(statement: StatementAnalysis | undefined, depth = 0): void {
    if (statement === undefined) return;
    this.#suspect(statement);
    for (const effect of statement.effects) {
      if (effect.kind === 'pin' && survivesFailure(effect.reason)) this.#leftovers.pin(effect.reason, effect.name);
      else if (effect.kind === 'execute' && depth < EXECUTE_DEPTH_MAX) {
        for (const inner of this.#prepared.analysisOf(effect.name)?.statements ?? []) this.mayHaveRun(inner, depth + 1);
      }
    }
  }

  /** A statement has ended well; `hasRolledBack` by its tag. */
  ran(statement: StatementAnalysis, hasRolledBack: boolean, facts: TextFacts, depth = 0): void {
    const { effects, functions } = statement;
    for (const effect of effects) {
      switch (effect.kind) {
        case 'begin':
          break;
        case 'commit':
        case 'rollback':
        case 'prepare_transaction':
          if (hasRolledBack || effect.kind === 'rollback') this.#leftovers.rollback();
          else {
            this.#leftovers.commit();
            this.#onCommit();
          }
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
          this.prepare(effect.name, effect.sql, effect.prepared, facts);
          break;
        case 'execute':
          this.#execute(effect.name, facts, depth + 1);
          break;
        case 'deallocate':
          this.forget(effect.name);
          break;
        default:
          this.#leftovers.apply(effect, facts);
          if (effect.kind === 'discard' && effect.what === 'all') this.forget(null);
      }
    }
    this.#suspect(statement);
    if (functions.length > 0 && UNLOCKS.some((name) => functions.includes(name))) this.#unlocked();
  }

  /** PREPARE has ended well. */
  prepare(name: string, sql: string, prepared: StatementAnalysis, facts: TextFacts): void {
    const analysis: Analysis = { statements: [prepared], template: null };
    const isRoom = this.#prepared.claim(sql.length);
    const statement = { name, frame: null, sql: isRoom ? sql : null, analysis };
    this.#keep(statement, facts);
  }

  /** A statement was closed. Null: all of them but the unnamed one. */
  forget(name: string | null): void {
    if (name === null) this.#prepared.forgetAll();
    else this.#prepared.forget(name);
    this.#attachment.forgot(name);
    // Of those that only the node has told of.
    this.#leftovers.unpin(PinReason.PreparedInSql, name);
    this.#leftovers.unpin(PinReason.TooManyPrepared, name);
  }

  #suspect(statement: StatementAnalysis): void {
    if (this.#trust.isTrusted(statement)) return;
    this.#suspected.add(statement);
    this.#leftovers.pin(PinReason.CalledFunction);
  }

  #keep(statement: PreparedStatement, facts: TextFacts): void {
    const { name } = statement;
    // There cannot be two of one name: it was written in another encoding, and so is another one to the node.
    if (name !== '' && this.#prepared.has(name) && !isPlain(name)) this.#leftovers.pin(PinReason.ClientEncoding);
    this.#prepared.keep(statement, this.#leftovers.circumstances(facts));
    this.#attachment.prepared(name);
  }

  #execute(name: string, facts: TextFacts, depth: number): void {
    const analysis = depth > EXECUTE_DEPTH_MAX ? unknown : (this.#prepared.analysisOf(name) ?? unknown);
    for (const statement of analysis.statements) this.ran(statement, false, facts, depth);
  }

  #unlocked(): void {
    if (hasPin(this.#leftovers.lasting, PinReason.AdvisoryLock)) this.#leftovers.doubt();
  }
}
