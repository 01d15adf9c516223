import { NodeError } from '../../backend/node-error.js';
import { SwitchyardError } from '../../errors.js';
import { errorResponse } from '../../protocol/backend-messages.js';
import type { ErrorText } from '../../protocol/backend-messages.js';
import { TransactionStatus } from '../../protocol/codes.js';
import type { ErrorFields } from '../../protocol/error-fields.js';
import type { LostWords } from '../../relay/lost-transaction.js';
import type { Loss } from '../../relay/relay.js';
import { canRunAgain, Repeat } from '../../sql/analysis.js';
import { describePin } from '../../sql/pin-reason.js';
import type { PinReason } from '../../sql/pin-reason.js';
import { CloseReason } from '../close-reason.js';
import type { UnitFacts } from '../state/unit-facts.js';

/** Why a unit is sent again. */
export const ReplayReason = {
  /** The node said that it was stopped before the unit was complete, and so has rolled it back. */
  RolledBack: 'rolled_back',
  /** It does nothing that outlives its connection. */
  Repeatable: 'repeatable',
  /** A query that has changed nothing: any on a standby, a plain read on the primary. */
  Query: 'query',
} as const;
export type ReplayReason = (typeof ReplayReason)[keyof typeof ReplayReason];

/** What a session does about a lost backend. */
export type LossVerdict =
  /** The client notices nothing. */
  | { readonly kind: 'keep' }
  /** All units that were cut are sent again. */
  | { readonly kind: 'replay'; readonly why: ReplayReason }
  /** The oldest unit is answered with `error` and `status`; the others did not begin. In state E the transaction is lost. */
  | {
      readonly kind: 'fail_first';
      readonly error: Buffer;
      readonly sqlState: string;
      readonly status: typeof TransactionStatus.Idle | typeof TransactionStatus.Failed;
    }
  /** The oldest unit has done what it was to do, and only its ReadyForQuery is missing. `error` is for the others, where they are not kept. */
  | { readonly kind: 'finish_first'; readonly error: Buffer }
  /** What became of the units is not known: each is answered with `error`. */
  | { readonly kind: 'fail_all'; readonly error: Buffer; readonly sqlState: string }
  /** The open transaction is gone, and nothing of it is answered yet: units that were cut are put back, and answered by its stand-in. */
  | { readonly kind: 'lose_transaction'; readonly words: LostWords }
  | { readonly kind: 'close'; readonly error: Buffer; readonly reason: CloseReason; readonly pin: PinReason | null }
  /** Part of a message is out: nothing can be said any more. */
  | { readonly kind: 'destroy' };

/** What the verdict hangs on besides the loss itself. */
export interface LossFacts {
  /** What the session leaves behind on the backend. */
  readonly pin: PinReason | null;
  /** What the node was used as. */
  readonly target: 'primary' | 'standby';
  readonly isClusterChanging: boolean;
  /** Notifications are delivered between a commit and its ReadyForQuery, so the node may be stopped there (PostgreSQL, postgres.c). */
  readonly isListening: boolean;
  /** The unit was sent again so often already that something must be wrong with it. */
  readonly isTired: boolean;
  /** Units that were sent and have not ended, oldest first. */
  readonly units: readonly UnitFacts[];
}

/** A node says these because it stops or changes its role; with any other FATAL it means this very session. */
const NODE_FAREWELLS: ReadonlySet<string> = new Set(['57P01', '57P02', '57P03']);
const ADMIN_SHUTDOWN = '57P01';
/** FATAL 40001: the session stood in the way of replay on a standby. */
const SERIALIZATION_FAILURE = '40001';
const OUTCOME_UNKNOWN = '08007';
const QUERY_CANCELED = '57014';
const NOT_OBEYED = 'The node did not cancel it in time, and its connection was cut.';

const unread: UnitFacts = {
  repeat: Repeat.Never,
  isQuery: false,
  isRead: false,
  begins: false,
  mayCommit: true,
  hasCommitted: false,
  beginning: null,
  goesOn: false,
  endsTransaction: false,
  resets: false,
};

/** Pure: decides what becomes of the session and of what it was doing. */
export function judgeLoss(loss: Loss, facts: LossFacts): LossVerdict {
  const { farewell } = loss;
  if (loss.isStreamBroken) return { kind: 'destroy' };
  const isMeantForSession = farewell !== null && !isOfNode(farewell);
  const hasMuch =
    facts.pin !== null || loss.status !== TransactionStatus.Idle || facts.units.some((unit) => unit.begins);
  if (farewell !== null && (!facts.isClusterChanging || (isMeantForSession && hasMuch))) {
    return { kind: 'close', error: fatalText(farewell), reason: CloseReason.EndedByNode, pin: null };
  }
  if (facts.pin !== null) {
    const reason = isOverdue(loss) ? CloseReason.Query : CloseReason.CannotMove;
    return { kind: 'close', error: unmovable(loss, facts.pin), reason, pin: facts.pin };
  }
  if (loss.status !== TransactionStatus.Idle) return judgeTransaction(loss, facts);
  if (!loss.isUnitCut) return { kind: 'keep' };
  return isMeantForSession ? failAll(textOfNode(farewell)) : judgeStatement(loss, facts);
}

/** A transaction was open at the last ReadyForQuery. */
function judgeTransaction(loss: Loss, facts: LossFacts): LossVerdict {
  const hasFailed = loss.status === TransactionStatus.Failed;
  const text = lostText(loss);
  const news = hasFailed ? null : errorResponse(text);
  if (!loss.isUnitCut) return { kind: 'lose_transaction', words: { news, onCommit: null } };
  const units = facts.units.length === 0 ? [unread] : facts.units;
  const [first = unread] = units;
  const isProven = isProof(loss, facts);
  if (first.goesOn && isProven) return failFirst(doubtText(loss, 'a statement'), TransactionStatus.Idle);
  if (first.hasCommitted && !first.goesOn && (isProven || units.length === 1)) {
    return { kind: 'finish_first', error: errorResponse(doubtText(loss, 'a statement')) };
  }
  if (!isProven && facts.target === 'primary' && mayHaveCommitted(units, hasFailed)) {
    return failAll(doubtText(loss, 'a COMMIT'));
  }
  if (loss.canReplay) return { kind: 'lose_transaction', words: { news, onCommit: null } };
  return failFirst(text, first.endsTransaction ? TransactionStatus.Idle : TransactionStatus.Failed);
}

/** Something of these units may have outlived the transaction that was open before them. */
function mayHaveCommitted(units: readonly UnitFacts[], hasFailed: boolean): boolean {
  const endsAt = units.findIndex((unit) => unit.endsTransaction);
  const areOthersBehind =
    endsAt >= 0 && units.slice(endsAt + 1).some((unit) => unit.repeat !== Repeat.Always && !unit.isRead);
  // A transaction that has failed is rolled back by its COMMIT too.
  return areOthersBehind || units.some((unit) => unit.goesOn || (unit.mayCommit && !hasFailed));
}

/** Outside of a transaction block. */
function judgeStatement(loss: Loss, facts: LossFacts): LossVerdict {
  const units = facts.units.length === 0 ? [unread] : facts.units;
  const [first = unread] = units;
  const isProven = isProof(loss, facts);
  const hasNoEffect = (unit: UnitFacts): boolean =>
    unit.repeat === Repeat.Always ||
    unit.isRead ||
    // Its transaction was still open when the connection was lost: BEGIN and a first statement in one batch.
    (unit.begins && !unit.mayCommit) ||
    (facts.target === 'standby' && unit.isQuery && canRunAgain(unit.repeat));
  const haveNoEffect = units.every(hasNoEffect);
  // Without a proof, what was sent behind the first unit may have been done as well as the first.
  if (!isProven && !haveNoEffect) return failAll(doubtText(loss, 'a statement'));
  // What was cut because it took too long would take as long elsewhere.
  if (loss.canReplay && !facts.isTired && !isOverdue(loss)) {
    if (units.every((unit) => unit.repeat === Repeat.Always)) return { kind: 'replay', why: ReplayReason.Repeatable };
    if (isProven && canRunAgain(first.repeat)) return { kind: 'replay', why: ReplayReason.RolledBack };
    if (haveNoEffect && units.every((unit) => canRunAgain(unit.repeat)))
      return { kind: 'replay', why: reasonOf(units) };
  }
  const isUndone = hasNoEffect(first) || first.repeat !== Repeat.Never;
  const text = isUndone ? undoneText(loss) : doubtText(loss, 'a statement');
  return failFirst(text, first.begins ? TransactionStatus.Failed : TransactionStatus.Idle);
}

function reasonOf(units: readonly UnitFacts[]): ReplayReason {
  return units.some((unit) => unit.begins) ? ReplayReason.Repeatable : ReplayReason.Query;
}

/**
 * What the node said proves that the oldest unit was rolled back and that nothing behind it has begun: a commit and its ReadyForQuery are
 * sent before a backend looks at the signal that ends it.
 */
function isProof(loss: Loss, facts: LossFacts): boolean {
  const sqlState = loss.farewell?.sqlState;
  return sqlState === SERIALIZATION_FAILURE || (sqlState === ADMIN_SHUTDOWN && !facts.isListening);
}

function isOfNode({ sqlState }: ErrorFields): boolean {
  return NODE_FAREWELLS.has(sqlState) || sqlState === SERIALIZATION_FAILURE;
}

function failFirst(text: ErrorText, status: (LossVerdict & { readonly kind: 'fail_first' })['status']): LossVerdict {
  return { kind: 'fail_first', error: errorResponse(text), sqlState: text.sqlState, status };
}

function failAll(text: ErrorText): LossVerdict {
  return { kind: 'fail_all', error: errorResponse(text), sqlState: text.sqlState };
}

/** We have cut it because its node did not cancel in time what had run for too long. */
function isOverdue({ error }: Loss): boolean {
  return error instanceof SwitchyardError && error.code === 'query_timeout';
}

function unmovable(loss: Loss, pin: PinReason): Buffer {
  if (isOverdue(loss)) {
    return errorResponse({
      severity: 'FATAL',
      sqlState: QUERY_CANCELED,
      message: causeOf(loss),
      detail: `${NOT_OBEYED} The session could not go on without it: ${describePin(pin)}.`,
    });
  }
  return errorResponse({
    severity: 'FATAL',
    sqlState: '57P01',
    message: `terminating connection because its node is no longer available: ${causeOf(loss)}`,
    detail: `The session could not be moved to another node: ${describePin(pin)}.`,
  });
}

function lostText(loss: Loss): ErrorText {
  if (isOverdue(loss)) {
    const detail = `${NOT_OBEYED} The transaction was rolled back; the session goes on.`;
    return { severity: 'ERROR', sqlState: QUERY_CANCELED, message: causeOf(loss), detail, hint: 'Send ROLLBACK.' };
  }
  return {
    severity: 'ERROR',
    sqlState: SERIALIZATION_FAILURE,
    message: `the transaction was rolled back because its node is no longer available: ${causeOf(loss)}`,
    detail: 'The session goes on.',
    hint: 'Send ROLLBACK, and run the transaction again.',
  };
}

function undoneText(loss: Loss): ErrorText {
  if (isOverdue(loss)) {
    const detail = `${NOT_OBEYED} It took no effect. The session goes on.`;
    return { severity: 'ERROR', sqlState: QUERY_CANCELED, message: causeOf(loss), detail };
  }
  return {
    severity: 'ERROR',
    sqlState: SERIALIZATION_FAILURE,
    message: `the statement was cut off because its node is no longer available: ${causeOf(loss)}`,
    detail: 'It took no effect. The session goes on.',
    hint: 'Run the statement again.',
  };
}

function doubtText(loss: Loss, what: string): ErrorText {
  return {
    severity: 'ERROR',
    sqlState: OUTCOME_UNKNOWN,
    message: `connection to the node was lost while ${what} was under way: ${causeOf(loss)}`,
    detail: 'Whether it took effect is unknown. The session goes on.',
  };
}

function textOfNode(farewell: ErrorFields): ErrorText {
  return {
    severity: 'ERROR',
    sqlState: farewell.sqlState,
    message: farewell.message,
    detail: 'The node ended the statement before it was complete. The session goes on.',
  };
}

function causeOf(loss: Loss): string {
  return loss.farewell?.message ?? loss.error?.message ?? 'the node closed the connection';
}

function fatalText(farewell: ErrorFields): Buffer {
  return errorResponse({ ...pick(farewell), severity: 'FATAL' });
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
