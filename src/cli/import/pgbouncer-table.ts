import {
  bytes,
  count,
  countUnless0,
  millisecondsUnless0,
  names,
  seconds,
  secondsOrLongest,
  secondsUnless0,
  word,
} from './converters.js';
import type { Convert } from './converters.js';
import { Verdict } from './finding.js';

/** What becomes of one setting. */
export type Row =
  /** It is a key of ours: the first of `to` that this version has. */
  | {
      readonly to: readonly string[];
      readonly as: Convert;
      /** Written also where the file is silent: what the other program does then is not what ours does. */
      readonly implied?: string;
      /** Said beside the line that is written. */
      readonly note?: string;
      /** Said where this version has no such key. */
      readonly otherwise?: string;
    }
  /** It is read by the code for `part`, together with others. */
  | { readonly part: 'listeners' | 'auth' | 'pool' }
  /** It is only told of, unless it has one of these values, which turn it off. */
  | { readonly say: Verdict; readonly advice: string; readonly unless?: readonly string[] };

const OFF = ['0', ''] as const;
const NO_TLS_IN = 'there is no TLS between clients and this version: keep that network private';
const NO_TLS_OUT = 'there is no TLS between this version and the nodes: keep that network private';
const NO_UNIX = 'there are no Unix sockets: programs on this machine connect to 127.0.0.1';
const LOGS = 'logs are JSON lines on standard output: leave them to the service manager';
const LINES = 'log.level: info has a line for each; warn has none';
const NAMES = 'the system resolves names, for each new connection';
const CONSOLE = '"switchyard status" and the admin address show what runs';

/** Every parameter of [pgbouncer] in PgBouncer 1.25, in the order of its source. A row more is all that a new one needs. */
export const PGBOUNCER_TABLE: Readonly<Record<string, Row>> = {
  admin_users: {
    to: ['admin.users'],
    as: names,
    note: 'The console is the database switchyard, on every listener.',
    otherwise: CONSOLE,
  },
  application_name_add_host: none('the address of each client is in the log and at /api/v1/sessions', OFF),
  auth_dbname: { part: 'auth' },
  auth_file: { part: 'auth' },
  auth_hba_file: { part: 'auth' },
  auth_ident_file: none('there are no log-ins by certificate or peer'),
  auth_ldap_options: none('there are no log-ins through LDAP: let the roles have passwords in PostgreSQL'),
  auth_query: { part: 'auth' },
  auth_type: { part: 'auth' },
  auth_user: { part: 'auth' },
  autodb_idle_timeout: needless('a database costs nothing while nobody uses it'),
  cancel_wait_timeout: needless('a cancel request waits for no pool'),
  client_idle_timeout: { to: ['limits.client_idle_timeout'], as: secondsUnless0 },
  client_login_timeout: { to: ['limits.startup_timeout'], as: secondsOrLongest },
  client_tls13_ciphers: none(NO_TLS_IN),
  client_tls_ca_file: none(NO_TLS_IN),
  client_tls_cert_file: none(NO_TLS_IN),
  client_tls_ciphers: none(NO_TLS_IN),
  client_tls_dheparams: none(NO_TLS_IN),
  client_tls_ecdhcurve: none(NO_TLS_IN),
  client_tls_key_file: none(NO_TLS_IN),
  client_tls_protocols: none(NO_TLS_IN),
  client_tls_sslmode: none(`clients that insist on TLS cannot connect: ${NO_TLS_IN}`, ['disable']),
  conffile: needless('the configuration is named by --config'),
  default_pool_size: {
    to: ['pool.size'],
    as: count,
    implied: '20',
    note: 'Per node, user and database; with standbys there is such a pool on each of them.',
  },
  disable_pqexec: none('simple queries cannot be turned off', OFF),
  dns_max_ttl: needless(NAMES),
  dns_nxdomain_ttl: needless(NAMES),
  dns_zone_check_period: needless(NAMES),
  idle_transaction_timeout: { to: ['limits.idle_transaction_timeout'], as: secondsUnless0 },
  ignore_startup_parameters: needless(
    'startup parameters are passed on to PostgreSQL, and follow a session to its next node',
  ),
  job_name: needless('it is for services of Windows'),
  listen_addr: { part: 'listeners' },
  listen_backlog: { part: 'listeners' },
  listen_port: { part: 'listeners' },
  log_connections: needless(LINES),
  log_disconnections: needless(LINES),
  log_pooler_errors: needless(LINES),
  log_stats: needless('/metrics and /api/v1/status have them'),
  logfile: needless(LOGS),
  login_notify_message: none('clients get no notice when they have logged in', ['']),
  max_client_conn: { to: ['limits.max_clients'], as: count, implied: '100' },
  max_db_client_connections: none('clients are counted together: limits.max_clients', OFF),
  max_db_connections: {
    to: ['pool.max_backends_per_database'],
    as: countUnless0,
    note: 'On each node.',
    otherwise: 'pool.max_backends_per_node is near',
  },
  max_packet_size: { to: ['limits.message'], as: bytes },
  max_prepared_statements: {
    to: ['pool.max_prepared_statements'],
    as: countUnless0,
    otherwise: 'prepared statements follow their session to every backend, and are not refused',
  },
  max_user_client_connections: none('clients are counted together: limits.max_clients', OFF),
  max_user_connections: {
    to: ['pool.max_backends_per_user'],
    as: countUnless0,
    note: 'On each node.',
    otherwise: 'pool.max_backends_per_node is near',
  },
  min_pool_size: { part: 'pool' },
  peer_id: none(
    'a cancel request must reach the instance that gave the key: send the clients of one host to one instance',
    OFF,
  ),
  pidfile: needless('it stays in the foreground: leave it to the service manager'),
  pkt_buf: needless('buffers grow with what is sent, up to limits.client_buffer'),
  pool_idle_timeout: needless('a pool without backends costs nothing'),
  pool_mode: { part: 'pool' },
  query_timeout: {
    to: ['limits.query_timeout'],
    as: secondsUnless0,
    otherwise: 'statement_timeout of PostgreSQL does it',
  },
  query_wait_notify: none('clients that wait get no notice', OFF),
  query_wait_timeout: {
    to: ['pool.wait_timeout'],
    as: secondsOrLongest,
    implied: '120',
    note: 'While there is no primary a unit waits for promotion.hold_timeout instead, and the session stays open behind it.',
  },
  reserve_pool_size: { part: 'pool' },
  reserve_pool_timeout: { part: 'pool' },
  resolv_conf: none('names are resolved with the settings of the system'),
  sbuf_loopcnt: needless('every connection gets its turn by itself'),
  scram_iterations: needless('passwords are stored by PostgreSQL alone'),
  server_check_delay: needless(
    'the role of a node is proved on every backend, and a backend that is gone is noticed at once',
  ),
  server_check_query: needless(
    'the role of a node is proved on every backend, and a backend that is gone is noticed at once',
  ),
  server_connect_timeout: { to: ['pool.connect_timeout'], as: secondsOrLongest },
  server_fast_close: none('sessions leave a node at their next boundary', OFF),
  server_idle_timeout: { to: ['pool.idle_timeout'], as: secondsOrLongest },
  server_lifetime: {
    to: ['pool.max_lifetime'],
    as: seconds,
  },
  server_login_retry: needless(
    'a node is tried again as soon as the cluster changes, and with growing pauses otherwise',
  ),
  server_reset_query: {
    say: Verdict.Differs,
    advice: 'a backend that changes hands is cleaned of what its session is known to have left; no query of yours runs',
    unless: ['discard all', 'discard all;'],
  },
  server_reset_query_always: needless('state is tracked per session in every mode'),
  server_round_robin: none('of idle backends the one that was used last is taken', OFF),
  server_tls13_ciphers: none(NO_TLS_OUT),
  server_tls_ca_file: none(NO_TLS_OUT),
  server_tls_cert_file: none(NO_TLS_OUT),
  server_tls_ciphers: none(NO_TLS_OUT),
  server_tls_key_file: none(NO_TLS_OUT),
  server_tls_protocols: none(NO_TLS_OUT),
  server_tls_sslmode: none(`nodes that insist on TLS cannot be reached: ${NO_TLS_OUT}`, ['disable', 'allow', 'prefer']),
  service_name: needless('it is for services of Windows'),
  so_reuseport: none('one process, one event loop: start several instances on ports or addresses of their own', OFF),
  stats_period: needless('rates are computed where /metrics is read'),
  stats_users: { to: ['admin.stats_users'], as: names, otherwise: CONSOLE },
  suspend_timeout: needless('there is no SUSPEND; shutdown.timeout bounds the wait for sessions at the end'),
  syslog: { say: Verdict.Needless, advice: LOGS, unless: OFF },
  syslog_facility: needless(LOGS),
  syslog_ident: needless(LOGS),
  tcp_defer_accept: none('connections are accepted as they come', OFF),
  tcp_keepcnt: { to: ['limits.tcp_keepalive_count'], as: countUnless0, otherwise: 'the system has a setting for it' },
  tcp_keepidle: { to: ['limits.tcp_keepalive'], as: secondsUnless0 },
  // Behind tcp_keepidle, which counts for nothing when it is off.
  tcp_keepalive: { to: ['limits.tcp_keepalive'], as: offAt0 },
  tcp_keepintvl: {
    to: ['limits.tcp_keepalive_interval'],
    as: secondsUnless0,
    otherwise: 'the system has a setting for it',
  },
  tcp_socket_buffer: needless('the system sizes them'),
  tcp_user_timeout: {
    to: ['limits.tcp_user_timeout'],
    as: millisecondsUnless0,
    otherwise: 'the system has a setting for it',
  },
  track_extra_parameters: needless('every setting of a session is tracked'),
  transaction_timeout: {
    to: ['limits.transaction_timeout'],
    as: secondsUnless0,
    otherwise: 'transaction_timeout of PostgreSQL 17 does it; limits.idle_transaction_timeout is near',
  },
  unix_socket_dir: none(NO_UNIX, ['']),
  unix_socket_group: none(NO_UNIX, ['']),
  unix_socket_mode: needless(NO_UNIX),
  user: needless('start it as the user that it is to run as'),
  verbose: { to: ['log.level'], as: logLevel },
};

/** Three settings that only make sense together. */
export const RESERVE_ROWS = {
  min_pool_size: { to: ['pool.min_size'], as: countUnless0 },
  reserve_pool_size: { to: ['pool.reserve_size'], as: countUnless0 },
  reserve_pool_timeout: { to: ['pool.reserve_timeout'], as: seconds },
} as const satisfies Readonly<Record<string, Row>>;

/** Keys of an entry of [databases] beside host, port, dbname, user, password and those of the log-in, which the code for clusters and log-ins reads. */
export const DATABASE_TABLE: Readonly<Record<string, string>> = {
  application_name: 'ALTER DATABASE ... SET application_name does it',
  client_encoding: 'ALTER DATABASE ... SET client_encoding does it',
  connect_query:
    'no query runs on a new backend: ALTER DATABASE or ALTER ROLE ... SET does it where it is about settings',
  datestyle: 'ALTER DATABASE ... SET datestyle does it',
  load_balance_hosts: 'the route of the listener decides about nodes',
  max_db_client_connections: 'clients are counted together: limits.max_clients',
  max_db_connections: 'limits are the same for all databases: pool.max_backends_per_database',
  min_pool_size: 'pools are alike: pool.min_size',
  pool_mode: 'listeners[].pool_mode sets it for a listener, pool.mode for all',
  pool_size: 'pools are alike: pool.size',
  query_wait_timeout: 'it is the same for all databases: pool.wait_timeout',
  reserve_pool: 'pools are alike: pool.reserve_size',
  reserve_pool_size: 'pools are alike: pool.reserve_size',
  server_lifetime: 'it is the same for all databases: pool.max_lifetime',
  timezone: 'ALTER DATABASE ... SET timezone does it',
};

/** Keys of an entry of [users]. */
export const USER_TABLE: Readonly<Record<string, string>> = {
  client_idle_timeout: 'it is the same for all users: limits.client_idle_timeout',
  idle_transaction_timeout: 'ALTER ROLE ... SET idle_in_transaction_session_timeout does it',
  max_user_client_connections: 'clients are counted together: limits.max_clients',
  max_user_connections: 'ALTER ROLE ... CONNECTION LIMIT does it, but for all that connects as that role',
  pool_mode: 'listeners[].pool_mode sets it for a listener, pool.mode for all',
  pool_size: 'pools are alike: pool.size',
  query_timeout: 'ALTER ROLE ... SET statement_timeout does it',
  query_wait_timeout: 'it is the same for all users: pool.wait_timeout',
  reserve_pool_size: 'pools are alike: pool.reserve_size',
  transaction_timeout: 'ALTER ROLE ... SET transaction_timeout does it from PostgreSQL 17 on',
};

function none(advice: string, unless?: readonly string[]): Row {
  return { say: Verdict.None, advice, ...(unless === undefined ? {} : { unless }) };
}

function needless(advice: string): Row {
  return { say: Verdict.Needless, advice };
}

/** 0 is what turns it off, here as there. */
function offAt0(value: string): ReturnType<Convert> {
  const read = count(value);
  return read.ok ? { ok: true, value: read.value === 0 ? '0' : null } : read;
}

/** PgBouncer says more with each step; two of them are as much as anybody reads. */
function logLevel(value: string): ReturnType<Convert> {
  const read = count(value);
  if (!read.ok || read.value <= 0) return read.ok ? { ok: true, value: null } : read;
  return word(read.value === 1 ? 'debug' : 'trace');
}
