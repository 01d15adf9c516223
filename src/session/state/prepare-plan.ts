import { TransactionStatus } from '../../protocol/codes.js';
import type { Analysis, TextFacts } from '../../sql/analysis.js';
import { UNSURE } from './applied.js';
import { isSameReading } from './kept.js';
import { emptyParse } from './own-messages.js';
import { PlanWriter } from './plan-writer.js';
import { isPlainStatement, readFrame } from './prepared.js';
import type { PreparedEntry, PreparedStatement } from './prepared.js';
import { ReplayKind } from './replay-plan.js';
import type { SessionReplay } from './replay-plan.js';
import { isSameUser } from './standing.js';
import type { Standing } from './standing.js';

const SAVEPOINT = 'switchyard_prepare';

/** What is to be prepared where the session is attached, and how it is there. */
export interface PrepareMatter {
  /** All of them can be prepared again. */
  readonly entries: readonly PreparedEntry[];
  /** As the session is now, in its transaction. */
  readonly standing: Standing;
  /** Null: not known. */
  readonly reading: TextFacts | null;
  readonly status: TransactionStatus;
}

/**
 * Plans how statements are prepared when they are needed: each under its own circumstances, in place of whatever the backend has under its
 * name. In a transaction nothing of it stays but the statements, and an error does not end it any sooner than the use of the statement
 * would; in one that has failed only what ends it can be prepared, and in place of all others something that is refused as they would be.
 */
export function planPrepare({ entries, standing, reading, status }: PrepareMatter): SessionReplay | null {
  const plan = new PlanWriter({ standing, reading }, true);
  if (status === TransactionStatus.Failed) {
    for (const { statement, mark } of entries) {
      const { name, frame, analysis } = statement;
      if (frame !== null && endsTransaction(analysis)) plan.addParse(name, frame, mark, true);
      else plan.addParse(name, emptyParse(name, parametersOf(statement)), UNSURE, true);
    }
    return plan.replay();
  }
  const isChanging = entries.some((entry) => !isAtHome(entry, standing, reading));
  const isWrapped = isChanging && status === TransactionStatus.InTransaction;
  if (isWrapped) plan.query(ReplayKind.Circumstance, '', `SAVEPOINT ${SAVEPOINT}`);
  for (const entry of entries) plan.addStatement(entry, true);
  if (isWrapped) {
    plan.query(ReplayKind.Setting, '', `ROLLBACK TO ${SAVEPOINT}`);
    plan.query(ReplayKind.Setting, '', `RELEASE ${SAVEPOINT}`);
  } else plan.finish(standing);
  plan.tidyUp();
  return plan.replay();
}

/** The circumstances are those of the statement, as far as it matters to it. */
function isAtHome({ statement, under }: PreparedEntry, standing: Standing, reading: TextFacts | null): boolean {
  if (!isSameUser(under, standing)) return false;
  return (reading !== null && isSameReading(reading, under.reading)) || isPlainStatement(statement);
}

/** What may run in a failed transaction (`src/backend/tcop/postgres.c` of PostgreSQL, `IsTransactionExitStmt`). */
function endsTransaction({ statements }: Analysis): boolean {
  const [first] = statements;
  if (statements.length !== 1) return false;
  return first?.effects.some(({ kind }) => /^(?:commit|rollback|rollback_to|prepare_transaction)$/.test(kind)) === true;
}

const PARAMETER = /\$(\d{1,5})/g;
/** Parameters are counted in 16 bits. */
const PARAMETERS_MAX = 65_535;

/** How many parameters a statement takes: the highest one that it mentions, or as many as have a type. */
function parametersOf({ frame, sql }: PreparedStatement): number {
  const { text, types } = frame === null ? { text: sql ?? '', types: 0 } : readFrame(frame);
  let count = types;
  for (const [, digits] of text.matchAll(PARAMETER)) count = Math.max(count, Number(digits));
  return Math.min(count, PARAMETERS_MAX);
}
