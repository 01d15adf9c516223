import type { FuncCall, SelectStmt } from 'libpg-query';
import { SET_CONFIG, UNLOCK_ALL } from './session-functions.js';
import { nameParts } from './tree-scan.js';

/** Calls of set_config and pg_advisory_unlock_all that surely run exactly once each: the SELECT consists of such calls and constants. */
export function callsOnce(select: SelectStmt): ReadonlySet<FuncCall> {
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
