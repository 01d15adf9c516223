import type { NodeName } from '../../util/brand.js';
import type { Bucket } from './bucket.js';

/** What a node, user and database have in the pool at this moment. */
export interface PoolFigures {
  readonly node: NodeName;
  readonly database: string;
  readonly user: string;
  /** In whatever state. */
  readonly total: number;
  readonly idle: number;
  /** On their way: log-ins under way, or waiting for their turn. */
  readonly opening: number;
  /** Sessions that wait, and for whom no log-in is under way. */
  readonly waiting: number;
  /** For how long the first of those has waited; 0 when there is none. */
  readonly oldestWaitMs: number;
  /** What the first of them cannot get past: a key of `pool`, or `failing_logins`; null: nothing. */
  readonly blockedBy: string | null;
}

export function figuresOf(buckets: Iterable<Bucket>, nowMs: number): readonly PoolFigures[] {
  const figures: PoolFigures[] = [];
  for (const { node, database, user, count, idle, openings, waiters, queued, blockedBy } of buckets) {
    figures.push({
      node,
      database,
      user,
      total: count,
      idle,
      opening: openings.length,
      waiting: queued,
      oldestWaitMs: waiters.first === null ? 0 : nowMs - waiters.first.sinceMs,
      blockedBy: waiters.first === null ? null : blockedBy,
    });
  }
  return figures;
}
