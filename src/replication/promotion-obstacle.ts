import type { Lsn } from '../dcs/claims.js';
import { parseLsn } from './lsn.js';
import type { ProbeRows } from './probe-sql.js';

/** `wait_event` carries recovery conflicts over snapshots and tablespaces since PostgreSQL 13 (release notes of 13). */
const CONFLICT_EVENTS_VERSION = 130_000;
/** Most rows that are read of one answer. */
const ROWS_MAX = 10_000;

/**
 * Asks a node in recovery what its replay waits for, and who is in the way of it. One row of kind `node`: version, replayed and received
 * position. One of kind `startup` for the startup process: what it waits for; only a role with `pg_read_all_stats` sees it. And one of
 * kind `reader` for each client backend that keeps a snapshot or a lock that the startup process waits for, with the start of its
 * transaction, which tells one statement of a session from its next.
 */
export const OBSTACLE_SQL = `WITH a AS (SELECT * FROM pg_catalog.pg_stat_get_activity(NULL)), k AS (SELECT l.* FROM pg_catalog.pg_locks AS l)
 SELECT 'node', NULL, pg_catalog.current_setting('server_version_num'),
 pg_catalog.pg_last_wal_replay_lsn()::pg_catalog.text, pg_catalog.pg_last_wal_receive_lsn()::pg_catalog.text
 UNION ALL SELECT 'startup', a.pid::pg_catalog.text, a.wait_event_type, a.wait_event, NULL
 FROM a WHERE a.backend_type OPERATOR(pg_catalog.=) 'startup'
 UNION ALL SELECT 'reader', a.pid::pg_catalog.text, pg_catalog.date_part('epoch', a.xact_start)::pg_catalog.text, NULL, NULL
 FROM a WHERE a.backend_type OPERATOR(pg_catalog.=) 'client backend'
 AND a.pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid()
 AND (a.backend_xmin IS NOT NULL OR EXISTS (SELECT 1 FROM a AS s CROSS JOIN k AS w CROSS JOIN k AS h
 WHERE s.backend_type OPERATOR(pg_catalog.=) 'startup' AND w.pid OPERATOR(pg_catalog.=) s.pid AND NOT w.granted
 AND h.pid OPERATOR(pg_catalog.=) a.pid AND h.granted AND h.locktype OPERATOR(pg_catalog.=) w.locktype
 AND h.database IS NOT DISTINCT FROM w.database AND h.relation IS NOT DISTINCT FROM w.relation
 AND h.classid IS NOT DISTINCT FROM w.classid AND h.objid IS NOT DISTINCT FROM w.objid))`;

/** Whether replay waits for readers. */
export const ReplayWait = {
  /** The startup process says so itself. */
  Readers: 'readers',
  None: 'none',
  /** The node does not show it: it is too old, or the monitor role may not look. */
  Hidden: 'hidden',
} as const;
export type ReplayWait = (typeof ReplayWait)[keyof typeof ReplayWait];

/** A backend in the way of replay. */
export interface ObstacleReader {
  readonly processId: number;
  /** Start of its transaction, by the node's clock, as text; tells one from the next. Empty: not known. */
  readonly transaction: string;
}

/** What {@link OBSTACLE_SQL} found. */
export interface Obstacle {
  readonly wait: ReplayWait;
  /** Null: nothing replayed, or nothing received by streaming. */
  readonly replayLsn: Lsn | null;
  readonly receiveLsn: Lsn | null;
  /** Null: whoever reads cannot be told apart. */
  readonly readers: readonly ObstacleReader[] | null;
}

/** Reads the answer to {@link OBSTACLE_SQL}; null when it makes no sense. */
export function decodeObstacle(rows: ProbeRows): Obstacle | null {
  const readers: ObstacleReader[] = [];
  let node: readonly (string | null)[] | null = null;
  let startup: readonly (string | null)[] | null = null;
  for (const row of rows.slice(0, ROWS_MAX)) {
    if (row[0] === 'node') node = row;
    else if (row[0] === 'startup') startup = row;
    else if (row[0] === 'reader') readers.push({ processId: Number(row[1]), transaction: row[2] ?? '' });
  }
  if (node === null) return null;
  return {
    wait: waitOf(Number(node[2]), startup),
    replayLsn: parseLsn(node[3] ?? ''),
    receiveLsn: parseLsn(node[4] ?? ''),
    readers: startup === null ? null : readers,
  };
}

function waitOf(version: number, startup: readonly (string | null)[] | null): ReplayWait {
  if (startup === null) return ReplayWait.Hidden;
  const [, , type, event] = startup;
  // Locks and buffer pins were always shown; a startup process waits for nobody but readers with them.
  if (event?.startsWith('RecoveryConflict') === true || type === 'Lock' || type === 'BufferPin') {
    return ReplayWait.Readers;
  }
  return version >= CONFLICT_EVENTS_VERSION ? ReplayWait.None : ReplayWait.Hidden;
}
