import type { CopyStmt, ExplainStmt, FuncCall, Node, SelectStmt } from 'libpg-query';
import { Access, Repeat } from './analysis.js';
import type { Effect, StatementAnalysis } from './analysis.js';
import { isAtomic } from './atomic-statements.js';
import { EffectList } from './effect-list.js';
import { isAnalyzed } from './explained.js';
import { isHarmlessFunction } from './harmless-functions.js';
import { NameCollector } from './names-used.js';
import { noteDrop, noteRename } from './object-effects.js';
import { PinReason } from './pin-reason.js';
import { isRepeatableFunction, pinOfFunction, SET_CONFIG, UNLOCK_ALL } from './session-functions.js';
import { noteSetConfig, noteSetting, settingName } from './setting-effects.js';
import { callsOnce } from './single-calls.js';
import type { SourceText } from './source-text.js';
import { accessOfUtility, isCopyOut } from './statement-access.js';
import { noteTransaction } from './transaction-effects.js';
import { scanTree } from './tree-scan.js';
import type { Change, TreeVisitor } from './tree-scan.js';

/** DECLARE ... WITH HOLD among the options of a cursor, in the tree of this version of the parser. */
const CURSOR_HOLD = 0x20;

const discards = {
  DISCARD_ALL: 'all',
  DISCARD_PLANS: 'plans',
  DISCARD_SEQUENCES: 'sequences',
  DISCARD_TEMP: 'temp',
} as const;

/** From what matters least to what matters most. */
const gravity: readonly Change[] = [Access.RowLock, Access.Into, Access.Write];

/** Tells what one statement does, to its session and altogether, from its tree and, where that is not enough, from its text. */
export function analyzeStatement(statement: Node, source: SourceText): StatementAnalysis {
  const reading = new StatementReading(source);
  reading.read(statement);
  return reading.result();
}

class StatementReading implements TreeVisitor {
  readonly #source: SourceText;
  readonly #found = new EffectList();
  readonly #names = new NameCollector();
  /** Last parts of the names of functions that are called. */
  readonly #called = new Set<string>();
  /** Calls that surely run exactly once. */
  #once: ReadonlySet<FuncCall> = new Set();
  #access: Access = Access.Unknown;
  /** The gravest that was found. */
  #change: Change | null = null;
  #repeat: Repeat = Repeat.Never;
  #isQuery = false;
  #isChangeWithin = false;
  #show: string | null = null;

  constructor(source: SourceText) {
    this.#source = source;
  }

  result(): StatementAnalysis {
    const functions = [...this.#called];
    const isRolledBack = this.#repeat === Repeat.Always || functions.every(isRepeatableFunction);
    const changes = this.#change !== null || this.#isChangeWithin;
    return {
      effects: this.#found.effects,
      repeat: isRolledBack ? this.#repeat : Repeat.Never,
      access: this.#access,
      names: this.#names.result(),
      show: this.#show,
      isQuery: this.#isQuery,
      isRead: this.#isQuery && !changes && isRolledBack && functions.every(isHarmlessFunction),
      functions,
    };
  }

  onCall(call: FuncCall, parts: readonly string[]): void {
    this.#names.addFunction(parts);
    const name = parts.at(-1) ?? '';
    this.#called.add(name);
    const isOnce = this.#once.has(call);
    if (name === SET_CONFIG) noteSetConfig(call, isOnce, this.#source, this.#found);
    else if (name === UNLOCK_ALL && isOnce) this.#found.unpin(PinReason.AdvisoryLock);
    else {
      const reason = pinOfFunction(name);
      if (reason !== null) this.#found.pin(reason);
    }
  }

  onFunction(parts: readonly string[]): void {
    this.#names.addFunction(parts);
  }

  onRelation(parts: readonly string[]): void {
    this.#names.addRelation(parts);
  }

  onOperator(parts: readonly string[]): void {
    this.#names.addOperator(parts);
  }

  onType(parts: readonly string[]): void {
    this.#names.addType(parts);
  }

  onAttribute(name: string): void {
    this.#names.addAttribute(name);
  }

  onTemporaryRelation(name: string): void {
    this.#found.pin(PinReason.TemporaryObject, name);
  }

  onChange(change: Change): void {
    if (this.#change === null || gravity.indexOf(change) > gravity.indexOf(this.#change)) this.#change = change;
  }

  onTemporaryName(): void {
    this.#found.pin(PinReason.TemporaryObject);
  }

  read(node: Node): void {
    if ('SelectStmt' in node) this.#readSelect(node.SelectStmt);
    else if ('InsertStmt' in node || 'UpdateStmt' in node || 'DeleteStmt' in node || 'MergeStmt' in node) {
      this.#access = Access.Write;
      this.#repeat = Repeat.IfRolledBack;
      scanTree(node, this);
    } else if ('ExplainStmt' in node) this.#readExplain(node.ExplainStmt);
    else if ('CopyStmt' in node) this.#readCopy(node.CopyStmt, node);
    else this.#readUtility(node);
  }

  #readSelect(select: SelectStmt): void {
    const isInto = makesTable(select);
    this.#isQuery = !isInto;
    this.#repeat = isInto ? Repeat.ByClient : Repeat.IfRolledBack;
    this.#once = callsOnce(select);
    scanTree(select, this);
    this.#access = this.#change ?? Access.Read;
  }

  #readCopy(copy: CopyStmt, node: Node): void {
    scanTree(node, this);
    const isOut = isCopyOut(copy);
    const isQuery = isOut && (copy.query === undefined || 'SelectStmt' in copy.query) && this.#change !== Access.Into;
    this.#access = isOut ? (this.#change ?? Access.Read) : Access.Utility;
    this.#isQuery = isQuery;
    if (isQuery) this.#repeat = Repeat.IfRolledBack;
    else if (isAtomic(node)) this.#repeat = Repeat.ByClient;
  }

  #readUtility(node: Node): void {
    this.#access = accessOfUtility(node);
    if ('TransactionStmt' in node) {
      if (noteTransaction(node.TransactionStmt, this.#found)) this.#repeat = Repeat.Always;
    } else if ('VariableSetStmt' in node) {
      this.#repeat = Repeat.Always;
      noteSetting(node.VariableSetStmt, this.#source, this.#found);
    } else if (!this.#readPrepared(node) && !this.#readSession(node)) this.#readObject(node);
  }

  /** PREPARE and what belongs to it. */
  #readPrepared(node: Node): boolean {
    const found = this.#found;
    if ('PrepareStmt' in node) {
      const { name = '', query } = node.PrepareStmt;
      const sql = this.#source.statementAsKept();
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
      this.#show = settingName(node.VariableShowStmt.name ?? '');
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

  /** What is explained runs with ANALYZE only. */
  #readExplain({ query, options = [] }: ExplainStmt): void {
    const runs = isAnalyzed(options, this.#source);
    if (query === undefined) return;
    const inner = analyzeStatement(query, this.#source);
    this.#access = runs === false ? inner.access : Access.ExplainAnalyze;
    this.#names.addAll(inner.names);
    for (const name of inner.functions) this.#called.add(name);
    this.#isQuery = inner.isQuery;
    this.#isChangeWithin = !inner.isRead;
    this.#repeat = runs === false ? Repeat.Always : inner.repeat;
    if (runs === false) return;
    for (const effect of inner.effects) {
      // The cursor is not made: its query runs, and that is all.
      if (effect.kind === 'pin' && effect.reason === PinReason.CursorWithHold) continue;
      if (runs || effect.kind === 'pin' || effect.kind === 'execute') this.#found.add(effect);
      else if (isOfSetting(effect)) this.#found.pin(PinReason.Setting);
    }
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
