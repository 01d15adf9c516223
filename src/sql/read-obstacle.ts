import { Access } from './analysis.js';

/** What keeps a statement from being a proven read. */
export const ReadObstacle = {
  // What its grammar says.
  RowLock: 'row_lock',
  Write: 'write',
  Into: 'into',
  Transaction: 'transaction',
  Session: 'session',
  Show: 'show',
  ExplainAnalyze: 'explain_analyze',
  /** What was prepared decides; whoever knows that asks about it, and about the arguments. */
  Execute: 'execute',
  Definition: 'definition',
  Utility: 'utility',
  Unknown: 'unknown',
  // What the names in it mean.
  /** A function that may change something, in one of its forms. */
  VolatileFunction: 'volatile_function',
  /** There is no such function, as far as is known. */
  UnknownFunction: 'unknown_function',
  /** The configuration says that it writes. */
  WriteFunction: 'write_function',
  /** Its answer belongs to the node, or to the backend. */
  NodeBoundFunction: 'node_bound_function',
  /** The same of a relation: statistics, locks, sequences, foreign tables. */
  NodeBoundRelation: 'node_bound_relation',
  UnloggedRelation: 'unlogged_relation',
  VolatileOperator: 'volatile_operator',
  VolatileCast: 'volatile_cast',
  /** A view that is no read itself. */
  ViewNotRead: 'view_not_read',
  /** What the names mean is not known (yet). */
  NoCatalog: 'no_catalog',
} as const;
export type ReadObstacle = (typeof ReadObstacle)[keyof typeof ReadObstacle];

/** Whether a statement may run on a standby. `name`: what stands in the way, for people, where it has a name. */
export type ReadVerdict =
  | { readonly isRead: true }
  | { readonly isRead: false; readonly obstacle: ReadObstacle; readonly name: string | null };

/** The verdict that something stands in the way. */
export type Refused = ReadVerdict & { readonly isRead: false };

/** What the grammar alone puts in the way; null: nothing, and its names decide. */
export function obstacleOfAccess(access: Access): ReadObstacle | null {
  switch (access) {
    case Access.Read:
      return null;
    case Access.RowLock:
      return ReadObstacle.RowLock;
    case Access.Write:
      return ReadObstacle.Write;
    case Access.Into:
      return ReadObstacle.Into;
    case Access.Transaction:
      return ReadObstacle.Transaction;
    case Access.Session:
      return ReadObstacle.Session;
    case Access.Show:
      return ReadObstacle.Show;
    case Access.ExplainAnalyze:
      return ReadObstacle.ExplainAnalyze;
    case Access.Execute:
      return ReadObstacle.Execute;
    case Access.Definition:
      return ReadObstacle.Definition;
    case Access.Utility:
      return ReadObstacle.Utility;
    case Access.Unknown:
    default:
      return ReadObstacle.Unknown;
  }
}
