/**
 * What the catalogue of PostgreSQL does not tell of PostgreSQL's own functions and relations: volatile functions that are reads all the same,
 * others that are none although they are not volatile, and those whose answer belongs to the node. Gone through for the functions of
 * PostgreSQL 10 to 18 that `pg_proc` calls volatile, and for the stable ones; what is volatile and stands nowhere here is no read.
 * Source: PostgreSQL documentation, "Functions and Operators", "System Views", "System Catalogs", "The Cumulative Statistics System".
 */

/** Volatile functions that change nothing, and whose answer another node could give just as well. */
const reads: ReadonlySet<string> = new Set(
  // Chance, clocks and waits.
  (
    'random random_normal array_sample array_shuffle gen_random_uuid uuidv4 uuidv7 clock_timestamp timeofday ' +
    'pg_sleep pg_sleep_for pg_sleep_until ' +
    // Up to PostgreSQL 13 its form for a time with a zone is volatile.
    'timezone current_query ' +
    // How large something is: a standby has the same files.
    'pg_relation_size pg_table_size pg_indexes_size pg_total_relation_size pg_database_size pg_tablespace_size ' +
    'pg_partition_tree pg_partition_ancestors pg_get_wait_events amvalidate ' +
    // Methods of TABLESAMPLE.
    'bernoulli system'
  ).split(' '),
);

/** Stable functions that give the transaction an identifier, which a standby has none of. */
const assigning: ReadonlySet<string> = new Set(['txid_current', 'pg_current_xact_id']);

/** Functions that run a query which they are given as text, or read relations that they are given by name; of PostgreSQL and its extensions. */
const textRunning: ReadonlySet<string> = new Set(
  (
    'query_to_xml query_to_xmlschema query_to_xml_and_xmlschema cursor_to_xml cursor_to_xmlschema ' +
    'table_to_xml table_to_xmlschema table_to_xml_and_xmlschema schema_to_xml schema_to_xmlschema schema_to_xml_and_xmlschema ' +
    'database_to_xml database_to_xmlschema database_to_xml_and_xmlschema ts_stat ' +
    'crosstab crosstab2 crosstab3 crosstab4 crosstabn connectby xpath_table'
  ).split(' '),
);

/** Functions of PostgreSQL whose answer belongs to the node, to its backend or to the moment of its recovery. */
const nodeBound: ReadonlySet<string> = new Set(
  // The connection and the backend.
  (
    'inet_client_addr inet_client_port inet_server_addr inet_server_port pg_backend_pid pg_my_temp_schema pg_is_other_temp_schema ' +
    'pg_cursor pg_prepared_statement pg_listening_channels pg_notification_queue_usage pg_blocking_pids ' +
    'pg_safe_snapshot_blocking_pids pg_isolation_test_session_is_blocked ' +
    // Settings, which the node has in its own files: `transaction_read_only`, `in_hot_standby`, `primary_conninfo` ...
    'current_setting pg_show_all_settings pg_show_all_file_settings pg_hba_file_rules pg_ident_file_mappings pg_conf_load_time ' +
    // The server, its files and its machine.
    'pg_postmaster_start_time pg_jit_available pg_config pg_current_logfile pg_stat_file pg_tablespace_location pg_numa_available ' +
    'pg_available_extensions pg_available_extension_versions pg_extension_update_paths pg_collation_actual_version ' +
    'pg_database_collation_actual_version pg_lock_status pg_stat_have_stats ' +
    // Recovery, the WAL and transactions.
    'pg_is_in_recovery pg_is_wal_replay_paused pg_is_in_backup pg_backup_start_time pg_available_wal_summaries pg_wal_summary_contents ' +
    'pg_prepared_xact txid_current_snapshot txid_current_if_assigned txid_status pg_current_snapshot pg_current_xact_id_if_assigned ' +
    'pg_xact_status pg_xact_commit_timestamp pg_xact_commit_timestamp_origin pg_get_multixact_members ' +
    'pg_replication_origin_progress pg_replication_origin_session_is_setup pg_replication_origin_session_progress ' +
    'pg_show_replication_origin_status ' +
    // A standby shows sequences as they were written ahead: some dozens of values further.
    'pg_sequence_last_value pg_get_sequence_data ' +
    'pg_get_replication_slots pg_get_backend_memory_contexts pg_get_shmem_allocations pg_get_shmem_allocations_numa pg_get_aios ' +
    'pg_get_loaded_modules'
  ).split(' '),
);
const NODE_BOUND_PREFIX =
  /^pg_(?:stat_get|last|ls|control|current_wal|current_xlog|get_wal|read_file|read_binary_file)(?:_|$)/;

/** Relations of PostgreSQL of the same kind. */
const nodeBoundRelations: ReadonlySet<string> = new Set(
  (
    'pg_locks pg_settings pg_file_settings pg_hba_file_rules pg_ident_file_mappings pg_config pg_cursors pg_prepared_statements ' +
    'pg_prepared_xacts pg_replication_slots pg_replication_origin_status pg_shmem_allocations pg_shmem_allocations_numa ' +
    'pg_backend_memory_contexts pg_aios pg_available_extensions pg_available_extension_versions pg_sequences'
  ).split(' '),
);
/** Not `pg_statistic` and `pg_stats`, which are replicated. */
const STATISTICS_VIEW = /^pg_stat(?:io)?_/;

/** PostgreSQL's own schema, the first of every search path that does not name it. */
export const SYSTEM_SCHEMA = 'pg_catalog';

/** Whether the function of `pg_catalog` is a read although it is volatile. */
export function isReadBuiltIn(name: string): boolean {
  return reads.has(name);
}

/** Whether the function of `pg_catalog` is no read although it is not volatile. */
export function isAssigningBuiltIn(name: string): boolean {
  return assigning.has(name);
}

/** Whether a function of this name, in whatever schema, runs what no catalogue can tell. */
export function isTextRunning(name: string): boolean {
  return textRunning.has(name);
}

/** Whether the answer of the function of `pg_catalog` belongs to the node. */
export function isNodeBoundBuiltIn(name: string): boolean {
  return nodeBound.has(name) || NODE_BOUND_PREFIX.test(name);
}

/** Whether what the relation of `pg_catalog` shows belongs to the node. */
export function isNodeBoundSystemRelation(name: string): boolean {
  return nodeBoundRelations.has(name) || STATISTICS_VIEW.test(name);
}
