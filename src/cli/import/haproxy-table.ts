import { countUnless0, haproxyTime } from './converters.js';
import type { Row } from './pgbouncer-table.js';
import { Verdict } from './finding.js';

const WATCHED = 'nodes are watched through etcd and probed every cluster.monitor.interval';
const LOGS = 'logs are JSON lines on standard output: leave them to the service manager';
const HTTP = 'it is about HTTP';
const SERVICE = 'leave it to the service manager';
const NO_TLS = 'there is no TLS in this version: keep the networks private';

/** Settings of proxies that become keys of ours; of several proxies the largest counts. */
export const PROXY_TABLE: Readonly<Record<string, Extract<Row, { readonly to: readonly string[] }>>> = {
  'timeout connect': { to: ['pool.connect_timeout'], as: haproxyTime },
  'timeout client': {
    to: ['limits.client_idle_timeout'],
    as: haproxyTime,
    otherwise: 'idle clients are kept; TCP keep-alive finds those that are dead',
  },
};

/** Settings of `global`. */
export const GLOBAL_TABLE: Readonly<Record<string, Extract<Row, { readonly to: readonly string[] }>>> = {
  maxconn: { to: ['limits.max_clients'], as: countUnless0 },
};

/** Lines that the code for listeners and clusters reads. */
export const HAPROXY_READ: ReadonlySet<string> = new Set([
  ...[
    'bind',
    'server',
    'default-server',
    'mode',
    'default_backend',
    'maxconn',
    'backlog',
    'option httpchk',
    'http-check send',
  ],
  ...['timeout connect', 'timeout client'],
]);

/** Every other line of global, defaults, frontend, backend and listen that stands in files for Patroni: its first word, or two. */
export const HAPROXY_TABLE: Readonly<Record<string, readonly [Verdict, string]>> = {
  acl: [
    Verdict.None,
    'a listener has one route for all of its clients; auth.rules lets clients in by address, database and user',
  ],
  balance: [Verdict.Needless, 'standbys are taken by their weight and the sessions they have, as leastconn does'],
  'ca-base': [Verdict.None, NO_TLS],
  chroot: [Verdict.Needless, SERVICE],
  compression: [Verdict.Needless, HTTP],
  'cpu-map': [Verdict.Needless, 'one process, one event loop'],
  'crt-base': [Verdict.None, NO_TLS],
  daemon: [Verdict.Needless, 'it stays in the foreground: leave it to the service manager'],
  description: [Verdict.Needless, 'it is a comment'],
  dispatch: [Verdict.None, 'nodes come from etcd, or from cluster.nodes'],
  'email-alert': [Verdict.None, 'let alerts come from /metrics'],
  errorfile: [Verdict.Needless, HTTP],
  'external-check': [Verdict.None, `no program runs: ${WATCHED}`],
  fullconn: [Verdict.Needless, 'pool.size and pool.wait_timeout bound what a node gets'],
  group: [Verdict.Needless, SERVICE],
  'hard-stop-after': [Verdict.Needless, 'shutdown.timeout is what bounds the end'],
  'http-check connect': [Verdict.Needless, WATCHED],
  'http-check disable-on-404': [Verdict.Needless, WATCHED],
  'http-check expect': [Verdict.Needless, WATCHED],
  'http-request': [Verdict.Needless, HTTP],
  'http-response': [Verdict.Needless, HTTP],
  log: [Verdict.Needless, LOGS],
  'log-format': [Verdict.Needless, LOGS],
  'log-tag': [Verdict.Needless, LOGS],
  lua: [Verdict.None, 'no Lua runs'],
  'lua-load': [Verdict.None, 'no Lua runs'],
  'master-worker': [Verdict.Needless, SERVICE],
  monitor: [Verdict.Needless, '/livez and /readyz of the admin address are for monitors'],
  'monitor-uri': [Verdict.Needless, '/livez and /readyz of the admin address are for monitors'],
  nbproc: [Verdict.None, 'one process, one event loop: start several instances'],
  nbthread: [Verdict.None, 'one process, one event loop: start several instances'],
  'no option': [Verdict.Needless, 'what it turns off is not here'],
  node: [Verdict.Needless, 'it is a name for pages of statistics'],
  option: [Verdict.None, 'this option is unknown here'],
  'option clitcpka': [Verdict.Needless, 'TCP keep-alive is on: limits.tcp_keepalive'],
  'option dontlog-normal': [Verdict.Needless, LOGS],
  'option dontlognull': [Verdict.Needless, LOGS],
  'option external-check': [Verdict.None, `no program runs: ${WATCHED}`],
  'option httplog': [Verdict.Needless, LOGS],
  'option log-health-checks': [Verdict.Needless, LOGS],
  'option logasap': [Verdict.Needless, LOGS],
  'option pgsql-check': [Verdict.Needless, WATCHED],
  'option redispatch': [Verdict.Needless, 'a session whose node is gone gets another one'],
  'option srvtcpka': [Verdict.Needless, 'TCP keep-alive is on: limits.tcp_keepalive'],
  'option tcp-check': [Verdict.Needless, WATCHED],
  'option tcp-smart-accept': [Verdict.Needless, 'the system does it'],
  'option tcp-smart-connect': [Verdict.Needless, 'the system does it'],
  'option tcpka': [Verdict.Needless, 'TCP keep-alive is on: limits.tcp_keepalive'],
  'option tcplog': [Verdict.Needless, LOGS],
  pidfile: [Verdict.Needless, SERVICE],
  'rate-limit': [Verdict.None, 'new clients are not limited by rate'],
  retries: [Verdict.Needless, 'a statement waits for a node instead: pool.wait_timeout, promotion.hold_timeout'],
  'server-state-file': [Verdict.Needless, 'no state outlives a restart: it is read from etcd and asked of the nodes'],
  'server-template': [Verdict.None, 'members are read from etcd; a fixed list names each: cluster.nodes'],
  setenv: [Verdict.Needless, 'the environment is that of the service'],
  'ssl-default-bind-ciphers': [Verdict.None, NO_TLS],
  'ssl-default-bind-ciphersuites': [Verdict.None, NO_TLS],
  'ssl-default-bind-options': [Verdict.None, NO_TLS],
  stats: [
    Verdict.Needless,
    'the admin address has /metrics, /api/v1/status and health; "switchyard status" shows them',
  ],
  stick: [Verdict.Needless, 'routing.stickiness keeps a session on its standby'],
  'stick-table': [Verdict.Needless, 'routing.stickiness keeps a session on its standby'],
  'tcp-check': [Verdict.Needless, WATCHED],
  'tcp-request': [Verdict.None, 'auth.rules lets clients in by address, database and user'],
  'timeout check': [Verdict.Needless, `${WATCHED}; cluster.monitor.timeout bounds the wait for an answer`],
  'timeout client-fin': [Verdict.Needless, 'half-closed connections are closed'],
  'timeout http-keep-alive': [Verdict.Needless, HTTP],
  'timeout http-request': [Verdict.Needless, HTTP],
  'timeout queue': [Verdict.Needless, 'pool.wait_timeout is the longest wait for a backend'],
  'timeout server': [
    Verdict.Needless,
    'a node that is silent is found by its probes and by TCP keep-alive; a long query is not cut',
  ],
  'timeout server-fin': [Verdict.Needless, 'half-closed connections are closed'],
  'timeout tunnel': [
    Verdict.Needless,
    'a node that is silent is found by its probes and by TCP keep-alive; a long query is not cut',
  ],
  'tune.': [Verdict.Needless, 'it tunes HAProxy itself'],
  ulimit: [Verdict.Needless, SERVICE],
  'ulimit-n': [Verdict.Needless, SERVICE],
  'unix-bind': [Verdict.None, 'there are no Unix sockets: programs on this machine connect to 127.0.0.1'],
  use_backend: [
    Verdict.None,
    'a listener has one route for all of its clients: give each purpose a listener of its own',
  ],
  'use-server': [Verdict.None, 'a listener has one route for all of its clients; tags choose among standbys'],
  user: [Verdict.Needless, SERVICE],
  zone: [Verdict.Needless, 'it tunes HAProxy itself'],
};

/** Options of server and bind lines that are worth a word; every other one is about checks, TLS or HAProxy itself. */
export const HAPROXY_OPTIONS: Readonly<Record<string, readonly [Verdict, string]>> = {
  'accept-proxy': [Verdict.None, 'the PROXY protocol is not read: the address of a client is that of whoever connects'],
  'send-proxy': [Verdict.None, 'the PROXY protocol is not spoken'],
  'send-proxy-v2': [Verdict.None, 'the PROXY protocol is not spoken'],
  ssl: [Verdict.None, NO_TLS],
  backup: [Verdict.Differs, 'there are no spare servers: fallback says what takes a session while no standby may'],
  inter: [Verdict.Needless, WATCHED],
  fall: [Verdict.Needless, 'routing.lag_samples and the proof on every connection take its place'],
  rise: [Verdict.Needless, 'routing.warm_up, min_dwell and slow_start take its place'],
  slowstart: [Verdict.Needless, 'routing.slow_start does it'],
  'on-marked-down': [
    Verdict.Needless,
    'sessions leave a node that is gone or has changed its role by themselves, and most stay open',
  ],
  'on-marked-up': [Verdict.Needless, 'routing.rebalance brings sessions back at their next boundary'],
  transparent: [Verdict.None, 'nodes see the address of the proxy'],
  interface: [Verdict.None, 'a listener is bound to an address'],
};
