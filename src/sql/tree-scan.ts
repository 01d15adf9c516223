import type { A_Expr, FuncCall, Node, SubLink } from 'libpg-query';
import { Access } from './analysis.js';
import { isCte } from './cte-scope.js';
import type { CteScope } from './cte-scope.js';
import { stringOf } from './setting-effects.js';

/** What a part of a statement does to rows or relations. */
export type Change = typeof Access.Write | typeof Access.RowLock | typeof Access.Into;

/** What is of interest wherever it stands in a statement. Names come in parts, the last one is not empty. */
export interface TreeVisitor {
  /** A call of a function. */
  onCall(call: FuncCall, parts: readonly string[]): void;
  /** A function that is named without being called like one. */
  onFunction(parts: readonly string[]): void;
  /** A relation that is no WITH query of its scope. */
  onRelation(parts: readonly string[]): void;
  onOperator(parts: readonly string[]): void;
  onType(parts: readonly string[]): void;
  /** `a.name` or `(a).name`. */
  onAttribute(name: string): void;
  /** A relation that is made as a temporary one, or named in the schema of temporary objects. */
  onTemporaryRelation(name: string): void;
  /** Any other name in that schema. */
  onTemporaryName(): void;
  /** A part that writes or locks rows, or makes a table: INSERT and the like, FOR UPDATE, INTO. */
  onChange(change: Change): void;
}

const TEMPORARY_SCHEMA = /^pg_temp(?:_\d+)?$/;
const TEMPORARY = 't';
const DROPPED_ON_COMMIT = 'ONCOMMIT_DROP';

const EQUALS = ['='] as const;
/** The operators behind BETWEEN, whose own name is none. */
const BETWEEN: ReadonlyMap<string, readonly (readonly string[])[]> = new Map([
  ['AEXPR_BETWEEN', [['>='], ['<=']]],
  ['AEXPR_BETWEEN_SYM', [['>='], ['<=']]],
  ['AEXPR_NOT_BETWEEN', [['<'], ['>']]],
  ['AEXPR_NOT_BETWEEN_SYM', [['<'], ['>']]],
]);

/** Whether it is the schema of temporary objects, of this session or of any. */
export function isTemporarySchema(name: string): boolean {
  return TEMPORARY_SCHEMA.test(name);
}

/** The parts of a name from nodes; empty when it is no name. */
export function nameParts(nodes: readonly Node[] | undefined): readonly string[] {
  return nodes === undefined ? [] : nodes.map(stringOf);
}

/**
 * Visits everything below a node. Trees can be some thousands of levels deep, as a chain of operators is, so that this does not call itself.
 */
export function scanTree(root: unknown, visitor: TreeVisitor): void {
  new TreeScan(visitor).scan(root);
}

class TreeScan {
  readonly #visitor: TreeVisitor;
  /** What is still to be visited, and the WITH queries that each of these can see. */
  readonly #open: unknown[] = [];
  readonly #scopes: (CteScope | null)[] = [];

  constructor(visitor: TreeVisitor) {
    this.#visitor = visitor;
  }

  scan(root: unknown): void {
    this.#push(root, null);
    while (this.#open.length > 0) {
      const node = this.#open.pop();
      const scope = this.#scopes.pop() ?? null;
      if (Array.isArray(node)) this.#scanArray(node, scope);
      else if (typeof node === 'object' && node !== null) this.#scanObject(node, scope);
    }
  }

  #push(node: unknown, scope: CteScope | null): void {
    this.#open.push(node);
    this.#scopes.push(scope);
  }

  #scanArray(items: readonly unknown[], scope: CteScope | null): void {
    const first: unknown = items[0];
    if (items.length > 1 && isStringNode(first) && isTemporarySchema(first.String.sval ?? '')) {
      this.#visitor.onTemporaryName();
    }
    for (let i = items.length - 1; i >= 0; i -= 1) this.#push(items[i], scope);
  }

  #scanObject(node: object, outer: CteScope | null): void {
    if ('relname' in node && typeof node.relname === 'string') {
      this.#relation(node, node.relname, outer);
      return;
    }
    const scope = 'withClause' in node ? this.#openScope(node.withClause, outer) : outer;
    const entries = Object.entries(node);
    for (let i = entries.length - 1; i >= 0; i -= 1) {
      const [key, value] = entries[i] as [string, unknown];
      if (typeof value !== 'object' || value === null || key === 'withClause' || isLeft(key, value, node)) continue;
      if (key === 'ColumnRef') this.#column(value);
      else {
        this.#visit(key, value);
        this.#push(value, scope);
      }
    }
  }

  /** Each WITH query sees those before it, of WITH RECURSIVE all of them; gives what the statement itself sees. */
  #openScope(clause: unknown, outer: CteScope | null): CteScope | null {
    const { ctes, recursive } = clause as { readonly ctes?: unknown; readonly recursive?: boolean };
    if (!Array.isArray(ctes)) return outer;
    const all = ctes.reduce<CteScope | null>((scope, cte: unknown) => withQuery(cte, scope), outer);
    let seen = outer;
    for (const cte of ctes as readonly unknown[]) {
      this.#push(cte, recursive === true ? all : seen);
      seen = withQuery(cte, seen);
    }
    return all;
  }

  #relation(node: object, name: string, scope: CteScope | null): void {
    const schema = 'schemaname' in node && typeof node.schemaname === 'string' ? node.schemaname : null;
    const isThere = schema !== null && isTemporarySchema(schema);
    if (isThere || ('relpersistence' in node && node.relpersistence === TEMPORARY)) {
      this.#visitor.onTemporaryRelation(name);
    }
    if (schema !== null) this.#visitor.onRelation([schema, name]);
    else if (!isCte(name, scope)) this.#visitor.onRelation([name]);
  }

  /** The first part of such a name is that of a table or its alias. */
  #column({ fields = [] }: { readonly fields?: readonly Node[] }): void {
    if (fields.length > 1) this.#attribute(fields.at(-1));
  }

  #attribute(field: Node | undefined): void {
    const name = stringOf(field);
    if (name !== '') this.#visitor.onAttribute(name);
  }

  #visit(key: string, value: object): void {
    const visitor = this.#visitor;
    switch (key) {
      case 'FuncCall':
      case 'funccall': {
        const call = value as FuncCall;
        const parts = nameParts(call.funcname);
        if ((parts.at(-1) ?? '') !== '') visitor.onCall(call, parts);
        return;
      }
      case 'InsertStmt':
      case 'UpdateStmt':
      case 'DeleteStmt':
      case 'MergeStmt':
        visitor.onChange(Access.Write);
        return;
      case 'LockingClause':
        visitor.onChange(Access.RowLock);
        return;
      case 'intoClause':
        visitor.onChange(Access.Into);
        return;
      case 'typeName':
      case 'TypeName':
        visitor.onType(nameParts((value as { readonly names?: readonly Node[] }).names));
        return;
      case 'A_Expr':
        this.#expression(value);
        return;
      case 'SubLink':
        this.#subLink(value);
        return;
      case 'useOp':
        visitor.onOperator(nameParts(value as readonly Node[]));
        return;
      case 'CaseExpr':
        if ('arg' in value) visitor.onOperator(EQUALS);
        return;
      case 'JoinExpr':
        if ('usingClause' in value || 'isNatural' in value) visitor.onOperator(EQUALS);
        return;
      case 'indirection':
        for (const field of value as readonly Node[]) this.#attribute(field);
        return;
      case 'method':
        // Of TABLESAMPLE.
        visitor.onFunction(nameParts(value as readonly Node[]));
        return;
      default:
    }
  }

  #expression({ kind, name }: A_Expr): void {
    const hidden = kind === undefined ? undefined : BETWEEN.get(kind);
    if (hidden === undefined) this.#visitor.onOperator(nameParts(name));
    else for (const operator of hidden) this.#visitor.onOperator(operator);
  }

  /** `a IN (SELECT ...)` names no operator; EXISTS and a SELECT in brackets have none. */
  #subLink({ operName, testexpr }: SubLink): void {
    if (operName !== undefined) this.#visitor.onOperator(nameParts(operName));
    else if (testexpr !== undefined) this.#visitor.onOperator(EQUALS);
  }
}

function withQuery(cte: unknown, outer: CteScope | null): CteScope | null {
  const { CommonTableExpr: query } = cte as { readonly CommonTableExpr?: { readonly ctename?: string } };
  return query?.ctename === undefined ? outer : { name: query.ctename, outer };
}

/** What is not looked into: a table that does not outlive its transaction. */
function isLeft(key: string, value: object, parent: object): boolean {
  if (key === 'relation') return 'oncommit' in parent && parent.oncommit === DROPPED_ON_COMMIT;
  return key === 'rel' && 'onCommit' in parent && parent.onCommit === DROPPED_ON_COMMIT && 'relname' in value;
}

function isStringNode(node: unknown): node is { readonly String: { readonly sval?: string } } {
  return typeof node === 'object' && node !== null && 'String' in node;
}
