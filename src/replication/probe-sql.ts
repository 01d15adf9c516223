import type { Lsn } from '../dcs/claims.js';
import { isPageStart, parseLsn, recordEnd, timelineOfWalFile } from './lsn.js';
import { ProbeProtocolError } from './probe-failure.js';

/** Rows of text as a probe connection gives them; null is SQL's NULL. */
export type ProbeRows = readonly (readonly (string | null)[])[];

/**
 * Asked once per connection: nothing in it can change while the connection lives. Works from PostgreSQL 10 on, for any role that may log
 * in; every name is qualified, so that no `search_path` can put another function in its place.
 */
export const IDENTITY_SQL = `SELECT pg_catalog.current_setting('server_version_num'), s.system_identifier,
 pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) pg_catalog.pg_postmaster_start_time()),
 pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE'), pg_catalog.quote_ident(current_user)
 FROM pg_catalog.pg_control_system() AS s`;

/** The same for a role from which `pg_control_system()` was taken away. */
export const IDENTITY_WITHOUT_CONTROL_SQL = IDENTITY_SQL.replace('s.system_identifier', 'NULL').replace(
  'pg_catalog.pg_control_system() AS s',
  '(VALUES (1)) AS s',
);

/**
 * One sample: a fifth of a millisecond on an idle server. Recovery only ever ends, so a function that must not run in recovery is safe
 * behind `NOT pg_is_in_recovery()`. The timeline of a primary comes from the name of its current WAL file, since the control file keeps
 * the old one until the first checkpoint after a promotion; the timeline of a standby from its WAL receiver, and only without one (or
 * without the right to see it) from the control file, where it is a lower bound that moves with the restart points.
 *
 * A primary says both what it has flushed and what it has inserted (see `Ticks`). The flushed position is taken first: when it is at the
 * end of a page and the inserted one is not, the end may be in the middle of a record.
 */
export const SAMPLE_SQL = `SELECT pg_catalog.pg_is_in_recovery(),
 CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_current_wal_flush_lsn() END,
 CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()) END,
 CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() END,
 CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_receive_lsn() END,
 w.pid, w.status, w.received_tli,
 CASE WHEN w.received_tli IS NULL AND pg_catalog.pg_is_in_recovery() THEN
 (SELECT GREATEST(c.timeline_id, r.min_recovery_end_timeline)
 FROM pg_catalog.pg_control_checkpoint() AS c CROSS JOIN pg_catalog.pg_control_recovery() AS r) END,
 CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_is_wal_replay_paused() END,
 CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_current_wal_insert_lsn() END
 FROM pg_catalog.pg_stat_get_wal_receiver() AS w`;

/**
 * {@link SAMPLE_SQL} with one more column: how many connections a primary still has for ordinary roles (`max_connections` less what is
 * reserved and what is taken). Costs as much as there are backends, so it is asked now and then. The slots of autovacuum, of background
 * workers and, since PostgreSQL 12, of WAL senders are not among `max_connections` (documentation, "max_wal_senders"; release notes of
 * 12). A role without `pg_read_all_stats` does not see what kind of backend another one is: there everything with a role and a database
 * counts, parallel workers too, so that it errs on the safe side.
 */
export const SAMPLE_AND_COUNT_SQL = SAMPLE_SQL.replace(
  ' FROM pg_catalog.pg_stat_get_wal_receiver() AS w',
  `,
 CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN pg_catalog.current_setting('max_connections')::pg_catalog.int4
 OPERATOR(pg_catalog.-) pg_catalog.current_setting('superuser_reserved_connections')::pg_catalog.int4
 OPERATOR(pg_catalog.-) COALESCE(pg_catalog.current_setting('reserved_connections', true)::pg_catalog.int4, 0)
 OPERATOR(pg_catalog.-) (SELECT pg_catalog.count(*)::pg_catalog.int4 FROM pg_catalog.pg_stat_get_activity(NULL) AS a
 CROSS JOIN (SELECT pg_catalog.current_setting('server_version_num')::pg_catalog.int4 OPERATOR(pg_catalog.<) 120000) AS v (is_old)
 WHERE CASE WHEN a.backend_type IS NULL THEN a.usesysid IS NOT NULL AND (a.datid IS NOT NULL OR v.is_old)
 ELSE a.backend_type OPERATOR(pg_catalog.=) 'client backend'
 OR (v.is_old AND a.backend_type OPERATOR(pg_catalog.=) 'walsender') END) END
 FROM pg_catalog.pg_stat_get_wal_receiver() AS w`,
);

/** What a connection proved about its node once and for all. */
export interface NodeIdentity {
  /** `server_version_num`, for example 150018. */
  readonly serverVersion: number;
  /** Null: the monitor role may not see it. */
  readonly systemIdentifier: string | null;
  /** Monotonic time (of this process) at which the postmaster started, by its own clock's uptime; null: not said. */
  readonly startedAtMs: number | null;
  /** False: the role cannot see the details of the WAL receiver. */
  readonly seesReceiver: boolean;
  /** The monitor role, quoted as in SQL. */
  readonly role: string;
}

/** What one sample said. */
export interface SampleFields {
  readonly inRecovery: boolean;
  /** Up to where the primary has flushed its WAL; null on a standby. */
  readonly flushedLsn: Lsn | null;
  /** The flushed WAL may end in the middle of a record. */
  readonly isFlushCut: boolean;
  /** The end of the last record that the primary has inserted, flushed or not; null on a standby. */
  readonly insertedLsn: Lsn | null;
  /** What a standby replayed, and what it received by streaming; null on a primary, and where nothing was. */
  readonly replayLsn: Lsn | null;
  readonly receiveLsn: Lsn | null;
  /** Null: not known. */
  readonly timeline: number | null;
  /** True while a WAL receiver streams; null: the role may not see it. False on a primary. */
  readonly streaming: boolean | null;
  readonly replayPaused: boolean;
  /** Connections that ordinary roles can still have; null on a standby, and where it was not asked. Below 0: what is reserved is used. */
  readonly freeConnections: number | null;
}

const IDENTITY_COLUMNS = 5;
const SAMPLE_COLUMNS = 11;
const MS_PER_S = 1000;

/** Reads the answer to {@link IDENTITY_SQL}, which came at `answeredAtMs`. Throws ProbeProtocolError. */
export function decodeIdentity(rows: ProbeRows, answeredAtMs: number): NodeIdentity {
  const row = onlyRow(rows, IDENTITY_COLUMNS);
  const serverVersion = wholeNumber(row[0]);
  if (serverVersion === null) {
    throw new ProbeProtocolError('the node does not say its version');
  }
  const uptimeS = Number(row[2] ?? Number.NaN);
  return {
    serverVersion,
    systemIdentifier: row[1] ?? null,
    startedAtMs: Number.isFinite(uptimeS) ? answeredAtMs - Math.max(0, uptimeS) * MS_PER_S : null,
    seesReceiver: row[3] === 't',
    role: row[4] ?? 'the monitor role',
  };
}

/** Reads the answer to {@link SAMPLE_SQL}, or with `isCounted` to {@link SAMPLE_AND_COUNT_SQL}. Throws ProbeProtocolError. */
export function decodeSample(rows: ProbeRows, isCounted = false): SampleFields {
  const row = onlyRow(rows, SAMPLE_COLUMNS + (isCounted ? 1 : 0));
  const inRecovery = truth(row[0]);
  if (!inRecovery) {
    const flushedLsn = position(row[1]);
    const inserted = position(row[10]);
    const insertedLsn = inserted === null ? null : recordEnd(inserted);
    return {
      inRecovery,
      flushedLsn,
      isFlushCut: flushedLsn !== null && isPageStart(flushedLsn) && insertedLsn !== flushedLsn,
      insertedLsn,
      replayLsn: null,
      receiveLsn: null,
      timeline: typeof row[2] === 'string' ? timelineOfWalFile(row[2]) : null,
      streaming: false,
      replayPaused: false,
      freeConnections: signedNumber(row[11]),
    };
  }
  const hasReceiver = typeof row[5] === 'string';
  const status = row[6] ?? null;
  return {
    inRecovery,
    flushedLsn: null,
    isFlushCut: false,
    insertedLsn: null,
    replayLsn: position(row[3]),
    receiveLsn: position(row[4]),
    timeline: wholeNumber(row[7]) ?? wholeNumber(row[8]),
    streaming: hasReceiver && status === null ? null : status === 'streaming',
    replayPaused: row[9] === 't',
    freeConnections: null,
  };
}

function onlyRow(rows: ProbeRows, columns: number): readonly (string | null)[] {
  const row = rows[0];
  if (rows.length !== 1 || row === undefined || row.length !== columns) {
    throw new ProbeProtocolError(`expected one row of ${columns} columns, got ${rows.length} of ${row?.length ?? 0}`);
  }
  return row;
}

function truth(text: string | null | undefined): boolean {
  if (text !== 't' && text !== 'f') {
    throw new ProbeProtocolError('the node does not say whether it is in recovery');
  }
  return text === 't';
}

function position(text: string | null | undefined): Lsn | null {
  if (text === null || text === undefined) {
    return null;
  }
  const lsn = parseLsn(text);
  if (lsn === null) {
    throw new ProbeProtocolError('a WAL position is not one');
  }
  return lsn;
}

function wholeNumber(text: string | null | undefined): number | null {
  return typeof text === 'string' && /^\d{1,10}$/.test(text) ? Number(text) : null;
}

function signedNumber(text: string | null | undefined): number | null {
  return typeof text === 'string' && /^-?\d{1,10}$/.test(text) ? Number(text) : null;
}
