import { PinReason } from '../sql/pin-reason.js';

/** What is asked of a session that still has a backend. */
export interface LeftSession {
  readonly id: number;
  readonly pinReason: PinReason | null;
  readonly isAtBoundary: boolean;
}

/** Ids that are named for one reason. */
const IDS_MAX = 5;

/**
 * What a pause waits for, as half a sentence: "2 transactions, 1 session pinned by temporary_object (id 17)". `others`: backends that no
 * session has any more, or has yet.
 */
export function describeLeft(sessions: Iterable<LeftSession>, others: number): string {
  let transactions = 0;
  let statements = 0;
  let idle = 0;
  const pinned = new Map<PinReason, number[]>();
  for (const { id, pinReason, isAtBoundary } of sessions) {
    if (pinReason === PinReason.OpenTransaction) transactions += 1;
    else if (pinReason !== null) pinned.set(pinReason, [...(pinned.get(pinReason) ?? []), id]);
    else if (isAtBoundary) idle += 1;
    else statements += 1;
  }
  const parts = [
    ...(transactions > 0 ? [count(transactions, 'transaction')] : []),
    ...(statements > 0 ? [count(statements, 'statement')] : []),
    ...[...pinned].map(([reason, ids]) => `${count(ids.length, 'session')} pinned by ${reason} (${named(ids)})`),
    ...(idle > 0 ? [`${count(idle, 'session')} on the way out`] : []),
  ];
  if (parts.length === 0 && others > 0) parts.push(`${count(others, 'backend')} being opened or closed`);
  return parts.join(', ');
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}

function named(ids: readonly number[]): string {
  const shown = ids.slice(0, IDS_MAX).join(', ');
  return `id ${shown}${ids.length > IDS_MAX ? ', ...' : ''}`;
}
