import type { FuncCall, Node } from 'libpg-query';
import { stringOf } from './setting-effects.js';

/** What is of interest wherever it stands in a statement. */
export interface TreeVisitor {
  /** A call of a function; its name is not empty. */
  onCall(call: FuncCall, name: string): void;
  /** A relation that is made as a temporary one, or named in the schema of temporary objects. */
  onTemporaryRelation(name: string): void;
  /** Any other name in that schema. */
  onTemporaryName(): void;
  /** A part that writes or locks rows: INSERT and the like within WITH, FOR UPDATE. */
  onChange(): void;
}

const CHANGES: ReadonlySet<string> = new Set(['InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt', 'LockingClause']);

const TEMPORARY_SCHEMA = /^pg_temp(?:_\d+)?$/;
const TEMPORARY = 't';
const DROPPED_ON_COMMIT = 'ONCOMMIT_DROP';

/** Whether it is the schema of temporary objects, of this session or of any. */
export function isTemporarySchema(name: string): boolean {
  return TEMPORARY_SCHEMA.test(name);
}

/** The parts of a name from nodes; empty when it is no name. */
export function nameParts(nodes: readonly Node[] | undefined): readonly string[] {
  return nodes === undefined ? [] : nodes.map(stringOf);
}

/**
 * Visits everything below a node, in the order of the text. Trees can be some thousands of levels deep, as a chain of operators is, so that
 * this does not call itself.
 */
export function scanTree(root: unknown, visitor: TreeVisitor): void {
  const open: unknown[] = [root];
  while (open.length > 0) {
    const node = open.pop();
    if (Array.isArray(node)) scanArray(node, open, visitor);
    else if (typeof node === 'object' && node !== null) scanObject(node, open, visitor);
  }
}

function scanArray(items: readonly unknown[], open: unknown[], visitor: TreeVisitor): void {
  const first: unknown = items[0];
  if (items.length > 1 && isStringNode(first) && isTemporarySchema(first.String.sval ?? '')) visitor.onTemporaryName();
  for (let i = items.length - 1; i >= 0; i -= 1) open.push(items[i]);
}

function scanObject(node: object, open: unknown[], visitor: TreeVisitor): void {
  if ('relname' in node && typeof node.relname === 'string') {
    const isThere = 'schemaname' in node && isTemporarySchema(String(node.schemaname));
    if (isThere || ('relpersistence' in node && node.relpersistence === TEMPORARY))
      visitor.onTemporaryRelation(node.relname);
    return;
  }
  const entries = Object.entries(node);
  for (let i = entries.length - 1; i >= 0; i -= 1) {
    const [key, value] = entries[i] as [string, unknown];
    if (typeof value !== 'object' || value === null || isLeft(key, value, node)) continue;
    if (CHANGES.has(key)) visitor.onChange();
    if (key === 'FuncCall' || key === 'funccall') {
      const call = value as FuncCall;
      const name = nameParts(call.funcname).at(-1) ?? '';
      if (name !== '') visitor.onCall(call, name);
    }
    open.push(value);
  }
}

/** What is not looked into. */
function isLeft(key: string, value: object, parent: object): boolean {
  // The first part of such a name is that of a table or its alias.
  if (key === 'ColumnRef') return true;
  // A table that does not outlive its transaction.
  if (key === 'relation') return 'oncommit' in parent && parent.oncommit === DROPPED_ON_COMMIT;
  return key === 'rel' && 'onCommit' in parent && parent.onCommit === DROPPED_ON_COMMIT && 'relname' in value;
}

function isStringNode(node: unknown): node is { readonly String: { readonly sval?: string } } {
  return typeof node === 'object' && node !== null && 'String' in node;
}
