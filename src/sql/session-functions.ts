import { PinReason } from './pin-reason.js';

/** Functions that leave something behind in the session, or may. */
const pins: ReadonlyMap<string, PinReason> = new Map([
  ['setseed', PinReason.Setting],
  // Of pg_trgm.
  ['set_limit', PinReason.Setting],
  ['pg_advisory_lock', PinReason.AdvisoryLock],
  ['pg_advisory_lock_shared', PinReason.AdvisoryLock],
  ['pg_try_advisory_lock', PinReason.AdvisoryLock],
  ['pg_try_advisory_lock_shared', PinReason.AdvisoryLock],
  ['currval', PinReason.SequenceState],
  ['lastval', PinReason.SequenceState],
  ['dblink_connect', PinReason.ForeignSession],
  ['dblink_connect_u', PinReason.ForeignSession],
  ['pg_replication_origin_session_setup', PinReason.ForeignSession],
  ['pg_create_physical_replication_slot', PinReason.ForeignSession],
  ['pg_create_logical_replication_slot', PinReason.ForeignSession],
  ['pg_copy_physical_replication_slot', PinReason.ForeignSession],
  ['pg_copy_logical_replication_slot', PinReason.ForeignSession],
  ['pg_backup_start', PinReason.ForeignSession],
  ['pg_start_backup', PinReason.ForeignSession],
]);

/**
 * Functions of PostgreSQL and its extensions whose work is not undone with the transaction, or that ask for what only their own session
 * has: they are not run once more. Source: PostgreSQL documentation, "System Administration Functions", "Sequence Manipulation Functions",
 * "Server-Side Functions" of large objects, and the pages of the extensions.
 */
const unrepeatable: ReadonlySet<string> = new Set(
  (
    'currval lastval lo_export pg_logical_emit_message pg_terminate_backend pg_cancel_backend pg_promote pg_reload_conf ' +
    'pg_rotate_logfile pg_rotate_logfile_old pg_switch_wal pg_switch_xlog pg_create_restore_point pg_drop_replication_slot ' +
    'pg_replication_slot_advance pg_sync_replication_slots pg_wal_replay_pause pg_wal_replay_resume pg_xlog_replay_pause ' +
    'pg_xlog_replay_resume pg_backup_start pg_backup_stop pg_start_backup pg_stop_backup pg_create_physical_replication_slot ' +
    'pg_create_logical_replication_slot pg_copy_physical_replication_slot pg_copy_logical_replication_slot'
  ).split(' '),
);
const unrepeatablePrefixes = ['dblink', 'pg_file_', 'pg_replication_origin_', 'pg_logical_slot_get_'] as const;

/** Changes a setting, by name and value. */
export const SET_CONFIG = 'set_config';
/** Gives back all session advisory locks. */
export const UNLOCK_ALL = 'pg_advisory_unlock_all';

/** Why a call of the function pins the session; null when it does not. */
export function pinOfFunction(name: string): PinReason | null {
  return pins.get(name) ?? null;
}

/** Whether a statement that calls the function can be run again once its first run was rolled back. */
export function isRepeatableFunction(name: string): boolean {
  return !unrepeatable.has(name) && !unrepeatablePrefixes.some((prefix) => name.startsWith(prefix));
}
