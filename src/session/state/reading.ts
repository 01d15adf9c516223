import { unreadFacts } from '../../sql/analysis.js';
import type { Analysis, Effect } from '../../sql/analysis.js';
import type { PinReason } from '../../sql/pin-reason.js';
import { isUnread } from './pin.js';
import { Circumstance } from './remains.js';

/** A text that is not read, for a reason. */
export function pinned(reason: PinReason): Analysis {
  return { statements: [{ ...unreadFacts, effects: [{ kind: 'pin', reason, name: null }] }], template: null };
}

/**
 * Whether texts behind these statements may be read in another way. `isTransient`: it was changed already in the transaction that they
 * run in, whose end may change it back.
 */
export function changesReading({ statements }: Analysis, isTransient: boolean): boolean {
  for (const { effects } of statements) {
    for (const effect of effects) if (isChange(effect, isTransient)) return true;
  }
  return false;
}

function isChange(effect: Effect, isTransient: boolean): boolean {
  switch (effect.kind) {
    case 'set':
    case 'reset':
      return effect.name === Circumstance.Encoding || effect.name === Circumstance.StandardStrings;
    case 'reset_all':
      return true;
    case 'discard':
      return effect.what === 'all';
    case 'commit':
    case 'rollback':
    case 'rollback_to':
    case 'prepare_transaction':
      return isTransient;
    case 'pin':
      return isUnread(effect.reason);
    default:
      return false;
  }
}
