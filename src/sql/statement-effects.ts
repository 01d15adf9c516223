import type { ExplainStmt, FuncCall, Node, SelectStmt, TransactionStmt } from 'libpg-query';
import { Repeat } from './analysis.js';
import type { Effect, StatementAnalysis } from './analysis.js';
import { EffectList } from './effect-list.js';
import { noteDrop, noteRename } from './object-effects.js';
import { PinReason } from './pin-reason.js';
import { isAtomic } from './atomic-statements.js';
import { isHarmlessFunction } from './harmless-functions.js';
import { isRepeatableFunction, pinOfFunction, SET_CONFIG, UNLOCK_ALL } from './session-functions.js';
import { noteSetConfig, noteSetting } from './setting-effects.js';
import type { SourceText } from './source-text.js';
import { nameParts, scanTree } from './tree-scan.js';
import type { TreeVisitor } from './tree-scan.js';

/** DECLARE ... WITH HOLD among the options of a cursor, in the tree of this version of the parser. */
const CURSOR_HOLD = 0x20;
/** Values of an option that turn it off. */
const NO_WORDS: ReadonlySet<string> = new Set(['false', 'off']);

const discards = {
  DISCARD_ALL: 'all',
  DISCARD_PLANS: 'plans',
  DISCARD_SEQUENCES: 'sequences',
  DISCARD_TEMP: 'temp',
} as const;

/** Tells what one statement does to its session, from its tree and, where that is not enough, from its text. */
export function analyzeStatement(statement: Node, source: SourceText): StatementAnalysis {
  const reading = new StatementReading(source);
  reading.read(statement);
  return reading.result();
}

class StatementReading implements TreeVisitor {
  readonly #source: SourceText;
  readonly #found = new EffectList();
  readonly #functions = new Set<string>();
  /** Calls that surely run exactly once. */
  #once: ReadonlySet<FuncCall> = new Set();
  #repeat: Repeat = Repeat.Never;
  #isQuery = false;
  #changesRows = false;

  constructor(source: SourceText) {
    this.#source = source;
  }

  result(): StatementAnalysis {
    const functions = [...this.#functions];
    const isRolledBack = this.#repeat === Repeat.Always || functions.every(isRepeatableFunction);
    return {
      effects: this.#found.effects,
      repeat: isRolledBack ? this.#repeat : Repeat.Never,
      isQuery: this.#isQuery,
      isRead: this.#isQuery && !this.#changesRows && isRolledBack && functions.every(isHarmlessFunction),
      functions,
    };
  }

  onCall(call: FuncCall, name: string): void {
    this.#functions.add(name);
    const isOnce = this.#once.has(call);
    if (name === SET_CONFIG) noteSetConfig(call, isOnce, this.#source, this.#found);
    else if (name === UNLOCK_ALL && isOnce) this.#found.unpin(PinReason.AdvisoryLock);
    else {
      const reason = pinOfFunction(name);
      if (reason !== null) this.#found.pin(reason);
    }
  }

  onTemporaryRelation(name: string): void {
    this.#found.pin(PinReason.TemporaryObject, name);
  }

  onChange(): void {
    this.#changesRows = true;
  }

  onTemporaryName(): void {
    this.#found.pin(PinReason.TemporaryObject);
  }

  read(node: Node): void {
    if ('SelectStmt' in node) this.#readSelect(node.SelectStmt);
    else if ('InsertStmt' in node || 'UpdateStmt' in node || 'DeleteStmt' in node || 'MergeStmt' in node) {
      this.#repeat = Repeat.IfRolledBack;
      scanTree(node, this);
    } else if ('VariableSetStmt' in node)
      this.#always(() => noteSetting(node.VariableSetStmt, this.#source, this.#found));
    else if ('TransactionStmt' in node) this.#readTransaction(node.TransactionStmt);
    else if ('ExplainStmt' in node) this.#readExplain(node.ExplainStmt);
    else if (!this.#readPrepared(node) && !this.#readSession(node)) this.#readObject(node);
  }

  #readSelect(select: SelectStmt): void {
    const isInto = makesTable(select);
    this.#isQuery = !isInto;
    this.#repeat = isInto ? Repeat.ByClient : Repeat.IfRolledBack;
    this.#once = callsOnce(select);
    scanTree(select, this);
  }

  /** PREPARE and what belongs to it. */
  #readPrepared(node: Node): boolean {
    const found = this.#found;
    if ('PrepareStmt' in node) {
      const { name = '', query } = node.PrepareStmt;
      const sql = this.#source.statement();
      if (query === undefined) found.pin(PinReason.UnknownStatement);
      else found.add({ kind: 'prepare', name, sql, prepared: analyzeStatement(query, this.#source) });
      this.#repeat = Repeat.Always;
    } else if ('ExecuteStmt' in node) {
      found.add({ kind: 'execute', name: node.ExecuteStmt.name ?? '' });
      this.#repeat = Repeat.IfRolledBack;
      scanTree(node, this);
    } else if ('DeallocateStmt' in node) {
      const { name = '', isall: isAll = false } = node.DeallocateStmt;
      found.add({ kind: 'deallocate', name: isAll ? null : name });
      this.#repeat = Repeat.Always;
    } else return false;
    return true;
  }

  /** What is about nothing but the session. */
  #readSession(node: Node): boolean {
    const found = this.#found;
    if ('VariableShowStmt' in node) {
      this.#repeat = Repeat.Always;
      this.#isQuery = true;
    } else if ('ListenStmt' in node) {
      this.#repeat = Repeat.Always;
      found.add({ kind: 'listen', channel: node.ListenStmt.conditionname ?? '' });
    } else if ('UnlistenStmt' in node) {
      this.#repeat = Repeat.Always;
      found.add({ kind: 'unlisten', channel: node.UnlistenStmt.conditionname ?? null });
    } else if ('DiscardStmt' in node) {
      this.#repeat = Repeat.Always;
      found.add({ kind: 'discard', what: discards[node.DiscardStmt.target ?? 'DISCARD_ALL'] });
    } else if ('ConstraintsSetStmt' in node) {
      // For the transaction only.
      this.#repeat = Repeat.Always;
    } else if ('ClosePortalStmt' in node) {
      const name = node.ClosePortalStmt.portalname ?? null;
      // Elsewhere there is no such cursor.
      this.#repeat = name === null ? Repeat.Always : Repeat.Never;
      found.add({ kind: 'close_cursor', name });
    } else if ('LoadStmt' in node) found.pin(PinReason.LoadedLibrary);
    else if ('DoStmt' in node) found.pin(PinReason.Procedure);
    else if ('CallStmt' in node) {
      found.pin(PinReason.Procedure);
      scanTree(node, this);
    } else return false;
    return true;
  }

  /** Everything else. It is not repeated by us. */
  #readObject(node: Node): void {
    const found = this.#found;
    if (isAtomic(node)) this.#repeat = Repeat.ByClient;
    if ('DropStmt' in node) noteDrop(node.DropStmt, found);
    else if ('RenameStmt' in node) noteRename(node.RenameStmt, found);
    else if ('DeclareCursorStmt' in node) {
      const { portalname: name = '', options = 0 } = node.DeclareCursorStmt;
      scanTree(node, this);
      if ((options & CURSOR_HOLD) !== 0) found.pin(PinReason.CursorWithHold, name);
    } else if ('CreateTableAsStmt' in node) {
      const { query } = node.CreateTableAsStmt;
      if (query !== undefined && 'ExecuteStmt' in query) {
        found.add({ kind: 'execute', name: query.ExecuteStmt.name ?? '' });
      }
      scanTree(node, this);
    } else if ('ViewStmt' in node) scanTree(node.ViewStmt.view, this);
    else if ('CreateFunctionStmt' in node) scanTree(node.CreateFunctionStmt.funcname, this);
    // Their bodies do not run.
    else if (!('RuleStmt' in node || 'CreateTrigStmt' in node || 'CreatePolicyStmt' in node)) scanTree(node, this);
  }

  #readTransaction({ kind, chain: isChained = false, savepoint_name: name = '' }: TransactionStmt): void {
    const found = this.#found;
    switch (kind) {
      case 'TRANS_STMT_BEGIN':
      case 'TRANS_STMT_START':
        this.#repeat = Repeat.Always;
        found.add({ kind: 'begin' });
        return;
      case 'TRANS_STMT_COMMIT':
        found.add({ kind: 'commit', isChained });
        return;
      case 'TRANS_STMT_ROLLBACK':
        found.add({ kind: 'rollback', isChained });
        return;
      case 'TRANS_STMT_SAVEPOINT':
        found.add({ kind: 'savepoint', name });
        return;
      case 'TRANS_STMT_RELEASE':
        found.add({ kind: 'release', name });
        return;
      case 'TRANS_STMT_ROLLBACK_TO':
        found.add({ kind: 'rollback_to', name });
        return;
      case 'TRANS_STMT_PREPARE':
        found.add({ kind: 'prepare_transaction' });
        return;
      case 'TRANS_STMT_COMMIT_PREPARED':
      case 'TRANS_STMT_ROLLBACK_PREPARED':
        // They belong to the cluster, not to the session.
        return;
      default:
        found.pin(PinReason.UnknownStatement);
    }
  }

  /** What is explained runs with ANALYZE only. */
  #readExplain({ query, options = [] }: ExplainStmt): void {
    const runs = isAnalyzed(options, this.#source);
    if (query === undefined) return;
    const inner = analyzeStatement(query, this.#source);
    for (const name of inner.functions) this.#functions.add(name);
    this.#isQuery = inner.isQuery;
    this.#changesRows = !inner.isRead;
    this.#repeat = runs === false ? Repeat.Always : inner.repeat;
    if (runs === false) return;
    for (const effect of inner.effects) {
      // The cursor is not made: its query runs, and that is all.
      if (effect.kind === 'pin' && effect.reason === PinReason.CursorWithHold) continue;
      if (runs || effect.kind === 'pin' || effect.kind === 'execute') this.#found.add(effect);
      else if (isOfSetting(effect)) this.#found.pin(PinReason.Setting);
    }
  }

  #always(note: () => void): void {
    this.#repeat = Repeat.Always;
    note();
  }
}

function isOfSetting({ kind }: Effect): boolean {
  return kind === 'set' || kind === 'reset';
}

/** SELECT INTO: the word stands in the first branch of a UNION. */
function makesTable(select: SelectStmt): boolean {
  let branch: SelectStmt | undefined = select;
  while (branch !== undefined) {
    if (branch.intoClause !== undefined) return true;
    branch = branch.larg;
  }
  return false;
}

/** Calls of set_config and pg_advisory_unlock_all that surely run exactly once each: the SELECT consists of such calls and constants. */
function callsOnce(select: SelectStmt): ReadonlySet<FuncCall> {
  const { targetList = [], op = 'SETOP_NONE', limitOption, ...rest } = select;
  const calls = new Set<FuncCall>();
  if (op !== 'SETOP_NONE' || limitOption === 'LIMIT_OPTION_WITH_TIES' || Object.keys(rest).length > 0) return calls;
  for (const target of targetList) {
    const value = 'ResTarget' in target ? target.ResTarget.val : undefined;
    if (value !== undefined && 'FuncCall' in value && isPlainCall(value.FuncCall)) calls.add(value.FuncCall);
    // Another function may give no row at all.
    else if (value === undefined || !('A_Const' in value)) return new Set();
  }
  return calls;
}

/** One of those two, as PostgreSQL has them: each gives exactly one value. */
function isPlainCall({
  funcname,
  agg_filter: filter,
  over,
  agg_order: order,
  agg_distinct: distinct,
}: FuncCall): boolean {
  const parts = nameParts(funcname);
  const isOurs = parts.length === 1 || (parts.length === 2 && parts[0] === 'pg_catalog');
  const name = parts.at(-1);
  const isPlain = filter === undefined && over === undefined && order === undefined && distinct !== true;
  return isOurs && isPlain && (name === SET_CONFIG || name === UNLOCK_ALL);
}

/** Whether EXPLAIN runs the statement: ANALYZE is the last of that name, and not off. Null when a literal says so. */
function isAnalyzed(options: readonly Node[], source: SourceText): boolean | null {
  let runs: boolean | null = false;
  for (const option of options) {
    if (!('DefElem' in option) || option.DefElem.defname !== 'analyze') continue;
    const { arg, location = 0 } = option.DefElem;
    if (arg === undefined) runs = true;
    else if (/^[a-z]/i.test(source.tokenBehind(location)))
      runs = !('String' in arg && NO_WORDS.has(arg.String.sval ?? ''));
    else runs = null;
  }
  return runs;
}
