import type { Node, TransactionStmt } from 'libpg-query';
import type { EffectList } from './effect-list.js';
import { PinReason } from './pin-reason.js';

const SERIALIZABLE = 'serializable';

/** Modes of a transaction as a statement names them; null: it does not. */
export interface TransactionModes {
  readonly isReadOnly: boolean | null;
  /** In lower case, with one blank between its words. */
  readonly isolation: string | null;
}

/** Effects of BEGIN, COMMIT and the like. Gives whether it does nothing that outlives its connection. */
export function noteTransaction(statement: TransactionStmt, found: EffectList): boolean {
  const { kind, chain: isChained = false, savepoint_name: name = '' } = statement;
  switch (kind) {
    case 'TRANS_STMT_BEGIN':
    case 'TRANS_STMT_START':
      found.add({ kind: 'begin', ...modesOf(statement.options ?? []) });
      return true;
    case 'TRANS_STMT_COMMIT':
      found.add({ kind: 'commit', isChained });
      return false;
    case 'TRANS_STMT_ROLLBACK':
      found.add({ kind: 'rollback', isChained });
      return false;
    case 'TRANS_STMT_SAVEPOINT':
      found.add({ kind: 'savepoint', name });
      return false;
    case 'TRANS_STMT_RELEASE':
      found.add({ kind: 'release', name });
      return false;
    case 'TRANS_STMT_ROLLBACK_TO':
      found.add({ kind: 'rollback_to', name });
      return false;
    case 'TRANS_STMT_PREPARE':
      found.add({ kind: 'prepare_transaction' });
      return false;
    case 'TRANS_STMT_COMMIT_PREPARED':
    case 'TRANS_STMT_ROLLBACK_PREPARED':
      // They belong to the cluster, not to the session.
      return false;
    default:
      found.pin(PinReason.UnknownStatement);
      return false;
  }
}

/**
 * Reads a list of modes. Where one is named twice the last one counts, but for READ WRITE and SERIALIZABLE: each mode is set in its turn, and a
 * standby refuses these two whatever comes behind them.
 */
export function modesOf(modes: readonly Node[]): TransactionModes {
  let isReadOnly: boolean | null = null;
  let isolation: string | null = null;
  for (const mode of modes) {
    if (!('DefElem' in mode)) continue;
    const { defname, arg } = mode.DefElem;
    const constant = arg !== undefined && 'A_Const' in arg ? arg.A_Const : undefined;
    if (defname === 'transaction_read_only') isReadOnly = isReadOnly !== false && constant?.ival?.ival === 1;
    else if (defname === 'transaction_isolation')
      isolation = isolation === SERIALIZABLE ? isolation : (constant?.sval?.sval ?? null);
  }
  return { isReadOnly, isolation };
}
