import type { Node } from 'libpg-query';

/** Utility statements that run in one transaction whatever their options are. */
const ATOMIC = [
  'CreateTableAsStmt',
  'CreateStmt',
  'CreateSeqStmt',
  'CreateSchemaStmt',
  'CreateFunctionStmt',
  'CreateTrigStmt',
  'RuleStmt',
  'ViewStmt',
  'RefreshMatViewStmt',
  'TruncateStmt',
  'RenameStmt',
  'CommentStmt',
  'GrantStmt',
  'LockStmt',
  'NotifyStmt',
  'DeclareCursorStmt',
  'FetchStmt',
] as const;

/** Whether a utility statement is rolled back whole when it does not complete, and does nothing outside of the database. */
export function isAtomic(node: Node): boolean {
  if ('CopyStmt' in node) return node.CopyStmt.is_program !== true && node.CopyStmt.filename === undefined;
  if ('IndexStmt' in node) return node.IndexStmt.concurrent !== true;
  if ('DropStmt' in node) return node.DropStmt.concurrent !== true;
  return ATOMIC.some((kind) => kind in node);
}
