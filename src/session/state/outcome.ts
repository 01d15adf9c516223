import { BackendType } from '../../protocol/codes.js';
import { NOT_READ } from '../../protocol/frame-scanner.js';
import type { StatementAnalysis } from '../../sql/analysis.js';

/** A transaction was rolled back: by COMMIT too, where it had failed. */
export function isRollback(type: number, buffer: Buffer, start: number, end: number): boolean {
  return (
    type === BackendType.CommandComplete && end !== NOT_READ && buffer.toString('latin1', start, end - 1) === 'ROLLBACK'
  );
}

/** It leaves nothing behind, and calls nothing that might give something back. */
export function isNothing({ effects, functions }: StatementAnalysis): boolean {
  return effects.length === 0 && functions.length === 0;
}
