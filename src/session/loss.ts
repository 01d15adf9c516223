import { NodeError } from '../backend/node-error.js';
import { SwitchyardError } from '../errors.js';
import { errorResponse } from '../protocol/backend-messages.js';
import type { ErrorText } from '../protocol/backend-messages.js';
import type { Loss } from '../relay/relay.js';
import { describePin, PinReason } from '../sql/pin-reason.js';
import { CloseReason } from './close-reason.js';

/** A node says these because it stops or changes its role; with any other FATAL it means this very session. */
const NODE_FAREWELLS: ReadonlySet<string> = new Set(['57P01', '57P02', '57P03']);

/** What a session does about a lost backend. */
export type LossVerdict =
  /** The client notices nothing. */
  | { readonly kind: 'keep' }
  /** The units that were cut are answered with `error`; the session goes on. */
  | { readonly kind: 'fail'; readonly error: Buffer; readonly sqlState: string }
  | { readonly kind: 'close'; readonly error: Buffer; readonly reason: CloseReason; readonly pin: PinReason | null }
  /** Part of a message is out: nothing can be said any more. */
  | { readonly kind: 'destroy' };

/**
 * Pure: decides what becomes of the session. `pin` is what it leaves behind on the backend; `mayBeginTransaction`: a unit that was cut
 * begins a transaction, so what the client sends next is not meant to run without it.
 */
export function judgeLoss(
  loss: Loss,
  pin: PinReason | null,
  mayBeginTransaction: boolean,
  isClusterChanging: boolean,
): LossVerdict {
  if (loss.isStreamBroken) return { kind: 'destroy' };
  if (!isClusterChanging && loss.farewell !== null) {
    return { kind: 'close', error: fatalText(loss.farewell), reason: CloseReason.EndedByNode, pin: null };
  }
  const isPipelined = loss.owed.readies > 1 || (loss.owed.readies > 0 && loss.owed.openUnit);
  const reason =
    pin ?? (loss.wasInTransaction || (loss.isUnitCut && mayBeginTransaction) ? PinReason.OpenTransaction : null);
  if (reason !== null || (loss.isUnitCut && isPipelined)) {
    if (loss.farewell !== null && !NODE_FAREWELLS.has(loss.farewell.sqlState)) {
      return { kind: 'close', error: fatalText(loss.farewell), reason: CloseReason.EndedByNode, pin: null };
    }
    return { kind: 'close', error: unmovable(loss, reason), reason: CloseReason.CannotMove, pin: reason };
  }
  if (!loss.isUnitCut) return { kind: 'keep' };
  const text = cutText(loss);
  return { kind: 'fail', error: errorResponse(text), sqlState: text.sqlState };
}

function unmovable(loss: Loss, pin: PinReason | null): Buffer {
  const why = pin === null ? 'several statements were under way' : describePin(pin);
  return errorResponse({
    severity: 'FATAL',
    sqlState: '57P01',
    message: `terminating connection because its node is no longer available: ${causeOf(loss)}`,
    detail: `The session could not be moved to another node: ${why}.`,
  });
}

/** The unit ran outside a transaction block, and its end was not seen. */
function cutText(loss: Loss): ErrorText {
  if (loss.farewell !== null) {
    return {
      severity: 'ERROR',
      sqlState: loss.farewell.sqlState,
      message: loss.farewell.message,
      detail: 'The node ended the statement before it was complete. The session goes on.',
    };
  }
  return {
    severity: 'ERROR',
    sqlState: '08007',
    message: `connection to the node was lost while a statement was under way: ${causeOf(loss)}`,
    detail: 'Whether the statement took effect is unknown. The session goes on.',
  };
}

function causeOf(loss: Loss): string {
  return loss.farewell?.message ?? loss.error?.message ?? 'the node closed the connection';
}

function fatalText(fields: {
  readonly sqlState: string;
  readonly message: string;
  readonly detail: string | null;
  readonly hint: string | null;
}): Buffer {
  return errorResponse({ ...fields, severity: 'FATAL' });
}

function textOf(error: Error): Omit<ErrorText, 'severity'> {
  if (error instanceof NodeError) return error.fields;
  if (error instanceof SwitchyardError) return error;
  return { sqlState: 'XX000', message: error.message };
}

/** The error as the last message of a connection. */
export function fatalOf(error: Error): Buffer {
  return errorResponse({ ...pick(textOf(error)), severity: 'FATAL' });
}

/** The error as the answer to a unit; the connection goes on. */
export function errorOf(error: Error): Buffer {
  return errorResponse({ ...pick(textOf(error)), severity: 'ERROR' });
}

function pick(text: Omit<ErrorText, 'severity'>): Omit<ErrorText, 'severity'> {
  return { sqlState: text.sqlState, message: text.message, detail: text.detail ?? null, hint: text.hint ?? null };
}
