/**
 * Settings that any session may set at any time, to any value that one of them could set them to, on any backend; in lower case. They are sent
 * without a look at the answer.
 */
export const FREE_SETTINGS: ReadonlySet<string> = new Set([
  'application_name',
  'bytea_output',
  'client_encoding',
  'client_min_messages',
  'datestyle',
  'default_transaction_deferrable',
  'default_transaction_isolation',
  'default_transaction_read_only',
  'extra_float_digits',
  'geqo',
  'idle_in_transaction_session_timeout',
  'intervalstyle',
  'jit',
  'lock_timeout',
  'search_path',
  'standard_conforming_strings',
  'statement_timeout',
  'synchronous_commit',
  'timezone',
  'work_mem',
]);
