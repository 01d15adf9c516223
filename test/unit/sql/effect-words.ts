import type { Analysis, Effect, StatementAnalysis } from '../../../src/sql/analysis.js';
import type { TransactionModes } from '../../../src/sql/transaction-effects.js';

/**
 * An analysis in words, statement by statement:
 *
 *     set "work_mem"; always
 *     pin temporary_object "x1"; never
 *     query; if_rolled_back
 *
 * A star stands for all, or for no name.
 */
export function inWords({ statements }: Analysis): string {
  return statements.map(statementInWords).join(' | ');
}

function statementInWords({ effects, isQuery, repeat }: StatementAnalysis): string {
  return [...effects.map(effectInWords), ...(isQuery ? ['query'] : []), repeat].join('; ');
}

function effectInWords(effect: Effect): string {
  switch (effect.kind) {
    case 'set':
    case 'reset':
      return `${effect.kind}${effect.isLocal ? ' local' : ''} ${named(effect.name)}`;
    case 'commit':
    case 'rollback':
      return effect.isChained ? `${effect.kind} and chain` : effect.kind;
    case 'prepare':
      return `prepare ${named(effect.name)} (${statementInWords(effect.prepared)})`;
    case 'listen':
    case 'unlisten':
      return `${effect.kind} ${named(effect.channel)}`;
    case 'discard':
      return `discard ${effect.what}`;
    case 'pin':
    case 'unpin':
      return `${effect.kind} ${effect.reason}${effect.name === null ? '' : ` ${named(effect.name)}`}`;
    case 'begin':
      return ['begin', ...modesInWords(effect)].join(' ');
    case 'set_transaction':
      return ['set transaction', ...modesInWords(effect), ...(effect.hasSnapshot ? ['snapshot'] : [])].join(' ');
    case 'reset_all':
    case 'prepare_transaction':
      return effect.kind;
    default:
      return `${effect.kind} ${named(effect.name)}`;
  }
}

function modesInWords({ isReadOnly, isolation }: TransactionModes): readonly string[] {
  const access = isReadOnly === null ? [] : [isReadOnly ? 'read only' : 'read write'];
  return isolation === null ? access : [isolation, ...access];
}

function named(name: string | null): string {
  return name === null ? '*' : JSON.stringify(name);
}
