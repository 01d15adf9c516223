import type { CopyStmt, Node } from 'libpg-query';
import { Access } from './analysis.js';

/** Beginnings of the kinds of nodes that make, change or take away what catalogues tell. */
const DEFINITIONS =
  /^(?:Alter|Comment|CompositeType|Create|Define|Drop|Grant|ImportForeignSchema|Index|ReassignOwned|Rename|Rule|SecLabel|View)/;
/** Of sessions alone, beside those that `StatementReading` knows more about. */
const SESSION = [
  'VariableSetStmt',
  'PrepareStmt',
  'DeallocateStmt',
  'ListenStmt',
  'UnlistenStmt',
  'DiscardStmt',
  'LoadStmt',
  'ConstraintsSetStmt',
  'DeclareCursorStmt',
  'FetchStmt',
  'ClosePortalStmt',
] as const;

/** What a statement is that is neither a query nor a change of rows, by the kind of its node. */
export function accessOfUtility(node: Node): Access {
  if ('TransactionStmt' in node) return Access.Transaction;
  if ('VariableShowStmt' in node) return Access.Show;
  if ('ExecuteStmt' in node) return Access.Execute;
  if (SESSION.some((kind) => kind in node)) return Access.Session;
  const kind = Object.keys(node)[0] ?? '';
  return DEFINITIONS.test(kind) ? Access.Definition : Access.Utility;
}

/** Whether COPY sends rows to the client and does nothing else. */
export function isCopyOut({ is_from: isFrom, is_program: isProgram, filename }: CopyStmt): boolean {
  return isFrom !== true && isProgram !== true && filename === undefined;
}
