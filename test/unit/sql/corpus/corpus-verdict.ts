import { Access } from '../../../../src/sql/analysis.js';
import type { StatementAnalysis } from '../../../../src/sql/analysis.js';
import type { Catalog } from '../../../../src/sql/catalog.js';
import { readHint } from '../../../../src/sql/hint.js';
import { ReadObstacle } from '../../../../src/sql/read-obstacle.js';
import type { StatementReader } from '../read-statements.js';

/**
 * What stands in the way of running a text on a standby, outside of a transaction: a hint, or the first obstacle with its name; null when
 * nothing does.
 */
export function obstacleOf(text: string, reader: StatementReader, catalog: Catalog): string | null {
  const bytes = Buffer.from(text);
  if (readHint(bytes, 0, bytes.length, false) !== null) return 'hint';
  let isOpen = false;
  for (const statement of reader.analyze(text).statements) {
    if (statement.access === Access.Transaction) {
      isOpen ||= beginsReadOnly(statement);
      if (!isOpen) return ReadObstacle.Transaction;
    } else {
      const verdict = catalog.verdictOf(statement);
      if (!verdict.isRead) return verdict.name === null ? verdict.obstacle : `${verdict.obstacle} ${verdict.name}`;
    }
  }
  return null;
}

function beginsReadOnly({ effects }: StatementAnalysis): boolean {
  return effects.some(
    (effect) => effect.kind === 'begin' && effect.isReadOnly === true && effect.isolation !== 'serializable',
  );
}
