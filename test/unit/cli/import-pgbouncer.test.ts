import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytes, count, haproxyTime, names, seconds, secondsOrLongest } from '../../../src/cli/import/converters.js';
import { readHba } from '../../../src/cli/import/hba.js';
import { iniStatements, readPairs } from '../../../src/cli/import/ini-text.js';
import { DATABASE_TABLE, PGBOUNCER_TABLE, USER_TABLE } from '../../../src/cli/import/pgbouncer-table.js';
import { Verdict } from '../../../src/cli/import/finding.js';
import { parseConfig } from '../../../src/config/load.js';
import type { Config } from '../../../src/config/schema.js';
import { convertTexts } from './import-cases.js';

function statements(text: string): readonly string[] {
  return [...iniStatements(text, 'f')].map((each) => {
    const { line } = each.place;
    switch (each.kind) {
      case 'section':
        return `${line} [${each.name}]`;
      case 'include':
        return `${line} include ${each.path}`;
      case 'mistake':
        return `${line} mistake`;
      case 'value':
        return `${line} ${each.key}=${each.value}`;
    }
  });
}

/** What the loader makes of an import, with the places filled in. */
function configOf(ini: string, cfg?: string): Config {
  const { yaml } = convertTexts(cfg === undefined ? { ini } : { ini, cfg });
  const env = { PATRONI_SCOPE: 's', ETCD_HOSTS: 'h:1', MONITOR_PASSWORD: 'x', PASSWORD_OF_USER_1: 'y' };
  return parseConfig(yaml, { fileName: 'f', env, folder: '/' }).config;
}

/** Findings in short: `broken 3 listen_port`. */
function told(texts: { readonly ini?: string; readonly cfg?: string }): readonly string[] {
  return convertTexts(texts).findings.map(
    ({ verdict, place, subject }) => `${verdict} ${place?.line ?? '-'} ${subject}`,
  );
}

test('an INI file is read as PgBouncer reads it', () => {
  assert.deepEqual(
    statements(
      [
        '\ufeff; comment = 1',
        '  # another',
        "[databases] 'a b'= host=x ; no comment",
        '"c ""d""" =',
        '* = host=1',
        'x.y-z_1*=\thost=2\t',
        '%include  a b.ini ',
        '%includes = 1',
        '[open',
        "'' = 1",
        'key value',
        'last = 1',
      ].join('\r\n'),
    ),
    [
      '3 [databases]',
      '3 a b=host=x ; no comment',
      '4 c "d"=',
      '5 *=host=1',
      '6 x.y-z_1*=host=2',
      '7 include a b.ini',
      '8 mistake',
      '9 mistake',
      '10 mistake',
      '11 mistake',
      '12 last=1',
    ],
  );
});

test('a connection string is read as PgBouncer reads it', () => {
  assert.deepEqual(readPairs(" host=a  port = 5 q='it''s = \\ fine'x=1 "), {
    pairs: [
      ['host', 'a'],
      ['port', '5'],
      ['q', "it's = \\ fine"],
      ['x', '1'],
    ],
    problem: null,
  });
  assert.deepEqual(readPairs('').pairs, []);
  assert.match(readPairs('host=a port').problem ?? '', /not name=value/);
  assert.match(readPairs("a=1 b=''").problem ?? '', /^b has no value/);
  assert.deepEqual(readPairs("a=1 password='open"), {
    pairs: [['a', '1']],
    problem: 'what follows is not name=value; it is passed over',
  });
});

test('numbers and times are read as PgBouncer and HAProxy read them', () => {
  const value = (result: { readonly ok: boolean; readonly value?: unknown }): unknown =>
    result.ok ? result.value : 'bad';
  assert.deepEqual(
    ['7', '010', '0x1F', '-2', '08', '1 2', ''].map((text) => value(count(text))),
    [7, 8, 31, -2, 'bad', 'bad', 'bad'],
  );
  assert.deepEqual(
    ['0', '2.5', '1e3', '.5', '-1', '5min'].map((text) => value(seconds(text))),
    ['0', '2500ms', '1000s', '500ms', 'bad', 'bad'],
  );
  assert.equal(value(secondsOrLongest('0')), '24d');
  assert.deepEqual(
    ['500', '30m', '1d', '200us', 'x', '0'].map((text) => value(haproxyTime(text))),
    ['500ms', '30m', '1d', null, 'bad', null],
  );
  assert.deepEqual(
    ['2147483647', '1048576'].map((text) => value(bytes(text))),
    [null, '1MB'],
  );
  assert.deepEqual(value(names(' a, b,,a ')), ['a', 'b']);
});

test('every parameter of PgBouncer 1.25 has a row', () => {
  // src/main.c of PgBouncer 1.25, bouncer_params, and service_name, which is there on Windows.
  const parameters = `admin_users application_name_add_host auth_dbname auth_file auth_hba_file auth_ident_file auth_ldap_options
    auth_query auth_type auth_user autodb_idle_timeout cancel_wait_timeout client_idle_timeout client_login_timeout
    client_tls13_ciphers client_tls_ca_file client_tls_cert_file client_tls_ciphers client_tls_dheparams client_tls_ecdhcurve
    client_tls_key_file client_tls_protocols client_tls_sslmode conffile default_pool_size disable_pqexec dns_max_ttl
    dns_nxdomain_ttl dns_zone_check_period idle_transaction_timeout ignore_startup_parameters job_name listen_addr
    listen_backlog listen_port log_connections log_disconnections log_pooler_errors log_stats logfile login_notify_message
    max_client_conn max_db_client_connections max_db_connections max_packet_size max_prepared_statements
    max_user_client_connections max_user_connections min_pool_size peer_id pidfile pkt_buf pool_idle_timeout pool_mode
    query_timeout query_wait_notify query_wait_timeout reserve_pool_size reserve_pool_timeout resolv_conf sbuf_loopcnt
    scram_iterations server_check_delay server_check_query server_connect_timeout server_fast_close server_idle_timeout
    server_lifetime server_login_retry server_reset_query server_reset_query_always server_round_robin server_tls13_ciphers
    server_tls_ca_file server_tls_cert_file server_tls_ciphers server_tls_key_file server_tls_protocols server_tls_sslmode
    service_name so_reuseport stats_period stats_users suspend_timeout syslog syslog_facility syslog_ident tcp_defer_accept
    tcp_keepalive tcp_keepcnt tcp_keepidle tcp_keepintvl tcp_socket_buffer tcp_user_timeout track_extra_parameters
    transaction_timeout unix_socket_dir unix_socket_group unix_socket_mode user verbose`;
  assert.deepEqual(Object.keys(PGBOUNCER_TABLE).sort(), parameters.split(/\s+/).sort());
  for (const table of [DATABASE_TABLE, USER_TABLE]) assert.ok(Object.values(table).every((advice) => advice !== ''));
});

test('PgBouncer serves whom its databases lead to', () => {
  const cfg = [
    'listen rw\n bind :5000\n mode tcp\n option httpchk /primary\n server a 10.0.0.1:5432',
    'listen ro\n bind :5001\n mode tcp\n option httpchk /replica\n server a 10.0.0.1:5432',
  ].join('\n');
  const ini = (databases: string): string => `[databases]\n${databases}\n[pgbouncer]\nlisten_addr = *\n`;
  const route = (databases: string): unknown =>
    configOf(ini(databases), cfg).listeners.find(({ name }) => name === 'pgbouncer')?.route;
  assert.equal(route('a = host=127.0.0.1 port=5000'), 'primary');
  assert.equal(route('a = host=127.0.0.1 port=5001\nb = host=127.0.0.1 port=5001'), 'standby');
  assert.equal(route('a = host=127.0.0.1 port=5000\nb = host=127.0.0.1 port=5001'), 'primary');
  assert.ok(told({ ini: ini('a = host=127.0.0.1 port=5001\nb = port=5000'), cfg }).includes('differs 2 [databases] a'));
});

test('a port that HAProxy has already is not listened on twice', () => {
  const cfg = 'listen rw\n bind 10.0.0.1:6432\n mode tcp\n option httpchk /primary\n server a 10.0.0.1:5432';
  const ini = '[databases]\n* = host=10.0.0.1\n[pgbouncer]\nlisten_addr = *\nlisten_port = 6432\n';
  assert.deepEqual(
    configOf(ini, cfg).listeners.map(({ name }) => name),
    ['rw'],
  );
  assert.ok(told({ ini, cfg }).includes('differs 5 listen_port'));
});

test('what PgBouncer does when its file is silent is written, where ours does something else', () => {
  const config = configOf('[databases]\n* =\n[pgbouncer]\n');
  assert.equal(config.pool.size, 20);
  assert.equal(config.limits.maxClients, 100);
  assert.equal(config.pool.waitTimeoutMs, 120_000);
  assert.equal(config.auth.method, 'md5');
  assert.deepEqual(config.listeners[0]?.address, { host: '127.0.0.1', port: 6432 });
});

test('databases that are not named stay refused, unless there is a *', () => {
  assert.deepEqual(
    configOf('[databases]\na = \nb = dbname=c\n[pgbouncer]\n').auth.rules.map(({ databases, method }) => [
      databases?.slice(0, 2),
      method,
    ]),
    [
      [['a', 'c'], 'md5'],
      [undefined, 'reject'],
    ],
  );
  assert.deepEqual(configOf('[databases]\na = \n* = \n[pgbouncer]\n').auth.rules, []);
});

test('auth_user becomes the role that looks users up, with the query that PgBouncer has', () => {
  const { cluster, auth } = configOf('[databases]\n* =\n[pgbouncer]\nauth_user = looker\n');
  assert.equal(cluster.monitor.user, 'looker');
  assert.match(auth.query ?? '', /pg_authid WHERE rolname=\$1/);
  assert.equal(configOf('[databases]\n* =\n[pgbouncer]\nauth_query = SELECT $1\n').auth.query, null);
});

test('passwords of [databases] are asked for, and not what stands behind them in the wrong place', () => {
  const ini = "[databases]\na = user='ann o' password=tell me=hunter2 pool_size=3\n[pgbouncer]\n";
  const { yaml, findings } = convertTexts({ ini });
  assert.ok(!/hunter2|tell/.test(yaml));
  assert.ok(findings.every(({ subject, advice }) => !/hunter2|tell|\bme\b/.test(subject + advice)));
  assert.match(yaml, /- name: "ann o".*\n +password: "\$\{PASSWORD_OF_USER_1\}" +# FILL IN/);
});

test('an HBA file becomes rules, in its order', () => {
  const { rules, remarks } = readHba(
    [
      'local all all peer',
      'host all all all trust # comment',
      'host a, "b c" x,y 10.0.0.0/8 md5',
      'host all all 10.0.0.0 255.255.0.0 scram-sha-256',
      'host all all 10.0.0.0 255.0.255.0 md5',
      'hostssl all all ::/0 cert',
      'hostnossl all all ::1/128 ldap ldapserver=x',
      'host "all" all all md5',
      'host all +g all md5',
      'host all all all md5 map=x',
      'host all all',
      'nonsense',
    ].join('\n'),
  );
  assert.deepEqual(
    rules.map(({ line, databases, users, address, method, instead }) => [
      line,
      databases,
      users,
      address,
      method,
      instead,
    ]),
    [
      [2, null, null, null, 'trust', null],
      [3, ['a', 'b c'], ['x', 'y'], '10.0.0.0/8', 'md5', null],
      [4, null, null, '10.0.0.0/16', 'scram-sha-256', null],
      [7, null, null, '::1/128', 'reject', 'ldap'],
    ],
  );
  assert.deepEqual(
    remarks.map(({ line, isHarmless }) => [line, isHarmless]),
    [
      [1, true],
      [5, false],
      [6, true],
      [8, false],
      [9, false],
      [10, false],
      [11, false],
      [12, false],
    ],
  );
});

test('an HBA file that is not there is no reason to let everybody in unseen', () => {
  const ini = '[databases]\n* =\n[pgbouncer]\nauth_type = hba\nauth_hba_file = hba\n';
  const { findings } = convertTexts({ ini });
  assert.ok(findings.some(({ verdict, subject }) => verdict === Verdict.Broken && subject === 'auth_hba_file'));
  assert.equal(configOf(ini).auth.method, 'scram-sha-256');
  const { yaml } = convertTexts({ ini }, { others: { '/hba': 'host all bob 10.0.0.0/8 md5\n' } });
  assert.match(yaml, /method: reject +# p\.ini:4 auth_type/);
  assert.match(yaml, /user: \[bob\] +# hba:1/);
});

test('includes are read where they stand, and a circle of them ends', () => {
  const ini = '[databases]\n%include /a.ini\n[pgbouncer]\ndefault_pool_size = 7\n%include /b.ini\n';
  const { yaml, findings } = convertTexts(
    { ini },
    { others: { '/a.ini': '* =\n', '/b.ini': 'max_client_conn = 8\ndefault_pool_size = 9\n%include /b.ini\n' } },
  );
  assert.match(yaml, /size: 9 +# \/b\.ini:2 default_pool_size/);
  assert.match(yaml, /max_clients: 8 +# \/b\.ini:1/);
  assert.deepEqual(
    findings.filter(({ verdict }) => verdict === Verdict.Broken).map(({ place }) => place),
    [{ file: '/b.ini', line: 3 }],
  );
});
