import type { FuncCall, Node, VariableSetStmt } from 'libpg-query';
import type { EffectList } from './effect-list.js';
import { PinReason } from './pin-reason.js';
import type { SourceText } from './source-text.js';
import { modesOf } from './transaction-effects.js';

/** Longest statement that is kept so as to bring a setting back, in bytes. */
export const SETTING_BYTES_MAX = 4096;

/** Settings whose value belongs to the present transaction. */
const ofTransaction: ReadonlySet<string> = new Set([
  'transaction_isolation',
  'transaction_read_only',
  'transaction_deferrable',
]);
/** What transactions begin with that do not say otherwise, as far as it decides where they can run. */
const ofNextTransactions: ReadonlySet<string> = new Set([
  'default_transaction_isolation',
  'default_transaction_read_only',
]);
/** Names of settings of the proxy itself. */
const OWN_PREFIX = 'switchyard.';
/** Spellings of false (documentation, "Boolean Type"). */
const NO_VALUES = /^(?:0|of|off|n|no|f|fa|fal|fals|false)$/;
const TEMPORARY_SCHEMA = /pg_temp/i;
const UPPER_CASE = /[A-Z]+/g;

/** Whether the value of a setting is told, because the proxy goes by it; the name in lower case. */
export function isOwnValue(name: string): boolean {
  return name.startsWith(OWN_PREFIX) || ofNextTransactions.has(name);
}

/** Effects of SET and RESET. Source: PostgreSQL documentation, "SET", and the pages it refers to. */
export function noteSetting(statement: VariableSetStmt, source: SourceText, found: EffectList): void {
  const isLocal = statement.is_local === true;
  const name = settingName(statement.name ?? '');
  switch (statement.kind) {
    case 'VAR_RESET_ALL':
      found.add({ kind: 'reset_all' });
      return;
    case 'VAR_RESET':
    case 'VAR_SET_DEFAULT':
      noteReset(name, isLocal, found);
      return;
    case 'VAR_SET_MULTI':
      if (statement.name === 'SESSION CHARACTERISTICS') noteCharacteristics(statement.args ?? [], found);
      else if (statement.name === 'TRANSACTION') {
        found.add({ kind: 'set_transaction', ...modesOf(statement.args ?? []), hasSnapshot: false });
      } else found.add({ kind: 'set_transaction', isReadOnly: null, isolation: null, hasSnapshot: true });
      return;
    case 'VAR_SET_CURRENT':
      // The value that it has may be one that was set for the transaction.
      if (!isLocal) found.pin(PinReason.Setting);
      return;
    case 'VAR_SET_VALUE':
      noteValue(name, source.statement(), isLocal, found, () => writtenValue(statement.args ?? [], source));
      return;
    default:
      found.pin(PinReason.Setting);
  }
}

/**
 * Effects of set_config(), `isOnce` when the call surely runs exactly once. Where the setting, its value or its scope is not written in the
 * statement, there is no telling.
 */
export function noteSetConfig(call: FuncCall, isOnce: boolean, source: SourceText, found: EffectList): void {
  const { funcname = [], args = [] } = call;
  const schema = funcname.length > 1 ? stringOf(funcname.at(-2)) : 'pg_catalog';
  const [nameNode, valueNode, scope] = args;
  const isLocal = booleanOf(scope);
  if (schema !== 'pg_catalog' || args.length !== 3 || call.func_variadic === true || isLocal === null) {
    found.pin(PinReason.Setting);
    return;
  }
  const name = literal(nameNode, source);
  const value = literal(valueNode, source);
  const setting = name === null ? null : source.valueOf(name);
  const isKnown = name !== null && setting !== null && (value !== null || isNull(valueNode));
  if (!isKnown || !isOnce) {
    // What was set for the transaction is gone with it.
    if (!isLocal) found.pin(PinReason.Setting);
    else if (setting !== null && value !== null) noteTemporaryPath(settingName(setting), value, found);
    return;
  }
  if (value === null) {
    noteReset(settingName(setting), isLocal, found);
    return;
  }
  const sql = `SELECT pg_catalog.set_config(${name}, ${value}, ${isLocal ? 'true' : 'false'})`;
  noteValue(settingName(setting), sql, isLocal, found, () => source.valueOf(value));
}

function noteValue(name: string, sql: string, isLocal: boolean, found: EffectList, value: () => string | null): void {
  if (ofTransaction.has(name)) {
    noteMode(name, value(), found);
    return;
  }
  noteTemporaryPath(name, sql, found);
  if (name === 'seed' || sql.length > SETTING_BYTES_MAX) {
    if (!isLocal || name === 'seed') found.pin(PinReason.Setting);
    return;
  }
  // Another session user takes the role with it.
  if (name === 'session_authorization') found.add({ kind: 'reset', name: 'role', isLocal });
  found.add({ kind: 'set', name, sql, isLocal, value: isOwnValue(name) ? value() : null });
}

/** SET of a mode of the present transaction by its name as a setting. */
function noteMode(name: string, value: string | null, found: EffectList): void {
  const folded = value?.toLowerCase() ?? null;
  const isReadOnly = name === 'transaction_read_only' && folded !== null ? !NO_VALUES.test(folded) : null;
  const isolation = name === 'transaction_isolation' ? folded : null;
  found.add({ kind: 'set_transaction', isReadOnly, isolation, hasSnapshot: false });
}

function noteReset(name: string, isLocal: boolean, found: EffectList): void {
  if (ofTransaction.has(name)) return;
  if (name === 'session_authorization') found.add({ kind: 'reset', name: 'role', isLocal });
  found.add({ kind: 'reset', name, isLocal });
}

/** What is created from then on without a schema may be temporary. */
function noteTemporaryPath(name: string, text: string, found: EffectList): void {
  if (name === 'search_path' && TEMPORARY_SCHEMA.test(text)) found.pin(PinReason.TemporaryObject);
}

/** SET SESSION CHARACTERISTICS AS TRANSACTION: each mode has a setting of its own. */
function noteCharacteristics(modes: readonly Node[], found: EffectList): void {
  for (const mode of modes) {
    if (!('DefElem' in mode)) continue;
    const { defname = '', arg } = mode.DefElem;
    const constant = arg !== undefined && 'A_Const' in arg ? arg.A_Const : undefined;
    const value = constant?.sval === undefined ? String(constant?.ival?.ival === 1) : `'${constant.sval.sval ?? ''}'`;
    const name = `default_${defname}`;
    const plain = constant?.sval?.sval ?? value;
    found.add({ kind: 'set', name, sql: `SET ${name} = ${value}`, isLocal: false, value: plain });
  }
}

/** Names of settings are compared without case, quoted or not. */
export function settingName(name: string): string {
  return name.replaceAll(UPPER_CASE, (letters) => letters.toLowerCase());
}

/** What SET gives a setting: one string, number or word; null when it is something else. A word is as PostgreSQL folds it. */
function writtenValue(args: readonly Node[], source: SourceText): string | null {
  const [arg, ...others] = args;
  if (arg === undefined || others.length > 0 || !('A_Const' in arg)) return null;
  const { sval, location = 0 } = arg.A_Const;
  const token = source.token(location);
  if (sval === undefined) return /^\d/.test(token) ? token : null;
  return /^(?:['$]|[enu]&?')/i.test(token) ? source.valueOf(token) : (sval.sval ?? '');
}

/** A string constant as it was written, also one that is cast to text; null when it is none. */
function literal(node: Node | undefined, source: SourceText): string | null {
  const inner =
    node !== undefined && 'TypeCast' in node && isText(node.TypeCast.typeName?.names) ? node.TypeCast.arg : node;
  if (inner === undefined || !('A_Const' in inner) || inner.A_Const.sval === undefined) return null;
  const token = source.token(inner.A_Const.location ?? 0);
  // With Unicode escapes UESCAPE may stand behind it.
  return token === '' || /^u/i.test(token) ? null : token;
}

function isText(names: readonly Node[] | undefined): boolean {
  return (
    names !== undefined &&
    stringOf(names.at(-1)) === 'text' &&
    (names.length === 1 || stringOf(names[0]) === 'pg_catalog')
  );
}

function isNull(node: Node | undefined): boolean {
  return node !== undefined && 'A_Const' in node && node.A_Const.isnull === true;
}

/** The value of TRUE or FALSE; null when it is something else. */
function booleanOf(node: Node | undefined): boolean | null {
  if (node === undefined || !('A_Const' in node) || node.A_Const.boolval === undefined) return null;
  return node.A_Const.boolval.boolval === true;
}

/** Of the node of a name. */
export function stringOf(node: Node | undefined): string {
  return node !== undefined && 'String' in node ? (node.String.sval ?? '') : '';
}
