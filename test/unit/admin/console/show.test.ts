import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SHOWN } from '../../../../src/admin/console/command.js';
import type { Shown } from '../../../../src/admin/console/command.js';
import { TABLES } from '../../../../src/admin/console/show/tables.js';
import { SessionTraffic } from '../../../../src/metrics/traffic.js';
import { Wait } from '../../../../src/session/wait.js';
import { PinReason } from '../../../../src/sql/pin-reason.js';
import { A, B, nodeViewOf, viewOf } from '../../../support/cluster-fakes.js';
import { fakeBackend } from '../../relay/relay-bench.js';
import { addSession } from '../proxy-of.js';
import { ConsoleBench, clientOf } from './bench.js';

type Shot = Readonly<Record<string, unknown>>;

function show(bench: ConsoleBench, what: Shown, isAdmin = true): Shot[] {
  const { columns } = TABLES[what];
  return [...TABLES[what].rows(bench.facts, { isAdmin })].map((row) => {
    assert.equal(row.length, columns.length, what);
    return Object.fromEntries(columns.map(({ name }, i) => [name, row[i]]));
  });
}

function find(rows: readonly Shot[], key: string, value: unknown): Shot {
  const row = rows.find((each) => each[key] === value);
  assert.ok(row, `${key} ${String(value)}`);
  return row;
}

/** Two users, one of them waiting, with backends attached, parked and idle. */
function busyBench(): ConsoleBench {
  const bench = new ConsoleBench();
  const { proxy } = bench;
  const [one, two] = [fakeBackend(A).backend, fakeBackend(B).backend];
  one.processId = 11;
  two.processId = 22;
  two.cancelsInFlight = 1;
  addSession(proxy, {
    user: 'app',
    nodes: [A, B],
    berths: [
      { backend: one, target: 'primary' },
      { backend: two, target: 'standby' },
    ],
    isAtBoundary: false,
    pinReason: PinReason.OpenTransaction,
    lastBeginMs: 400,
    pendingBytes: 7,
    prepared: [{ name: 's1', frame: Buffer.alloc(30), sql: null }],
  });
  addSession(proxy, {
    user: 'app',
    wait: Wait.Hold,
    waitReason: 'there is no primary',
    waitSinceMs: 999,
    target: null,
  });
  addSession(proxy, { user: 'other', listener: 'split', route: 'split', target: null });
  bench.talking = [
    { client: clientOf('root'), startedAtMs: 1, lastBeginMs: 2, isBusy: true, prepared: 3, pendingBytes: 0 },
  ];
  proxy.clock.advance(1_500.25);
  return bench;
}

test('every table has as many cells in a row as columns, also where there is nothing', () => {
  for (const bench of [
    new ConsoleBench(),
    busyBench(),
    new ConsoleBench({ view: viewOf({ primary: null, nodes: [] }) }),
  ]) {
    for (const what of SHOWN) show(bench, what);
  }
});

test('no two columns of a table have the same name', () => {
  for (const what of SHOWN) {
    const names = TABLES[what].columns.map(({ name }) => name);
    assert.deepEqual([...new Set(names)], names, what);
  }
});

test('CLIENTS tells who is there, what he waits for, and with which backend he is paired', () => {
  const [busy, waiting, idle, talking] = show(busyBench(), 'CLIENTS');
  assert.deepEqual(
    [
      busy?.['state'],
      busy?.['link'],
      busy?.['prepared_statements'],
      busy?.['pin'],
      busy?.['activity'],
      busy?.['local_port'],
    ],
    ['active', 'node1-11', 1, 'open_transaction', 'active', 5000],
  );
  assert.equal(busy?.['request_time'], '2025-12-31 23:59:59 UTC');
  assert.deepEqual(
    [waiting?.['state'], waiting?.['wait'], waiting?.['wait_us'], waiting?.['waits_for']],
    ['waiting', 1, 501_250, 'hold: there is no primary'],
  );
  assert.deepEqual(
    [idle?.['state'], idle?.['link'], idle?.['request_time'], idle?.['route']],
    ['idle', '', '', 'split'],
  );
  assert.deepEqual(
    [talking?.['database'], talking?.['user'], talking?.['state'], talking?.['id'], talking?.['prepared_statements']],
    ['switchyard', 'root', 'active', 900, 3],
  );
});

test('SERVERS and SOCKETS are paired with their clients', () => {
  const bench = busyBench();
  assert.deepEqual(
    show(bench, 'SERVERS').map((row) => [
      row['node'],
      row['state'],
      row['use'],
      row['link'],
      row['remote_pid'],
      row['target'],
    ]),
    [
      ['node1', 'active', 'attached', 'client-1', 11, 'primary'],
      ['node2', 'active', 'parked', 'client-1', 22, 'standby'],
    ],
  );
  assert.deepEqual(
    show(bench, 'SOCKETS').map((row) => row['state']),
    ['cl_active', 'cl_waiting', 'cl_idle', 'cl_active', 'sv_active', 'sv_active'],
  );
  assert.deepEqual(
    show(bench, 'ACTIVE_SOCKETS').map((row) => [row['ptr'], row['send_avail']]),
    [['client-1', 7]],
  );
});

test('POOLS counts by database and user, and tells how long somebody has waited', () => {
  const pools = show(busyBench(), 'POOLS');
  const { cl_active, cl_waiting, sv_active, sv_active_cancel, maxwait, maxwait_us, cl_pinned, pool_mode } = find(
    pools,
    'user',
    'app',
  );
  assert.deepEqual(
    [cl_active, cl_waiting, sv_active, sv_active_cancel, maxwait, maxwait_us, cl_pinned, pool_mode],
    [1, 1, 2, 1, 1, 501_250, 1, 'session'],
  );
  assert.equal(find(pools, 'user', 'other')['cl_active'], 1);
  assert.equal(find(pools, 'database', 'switchyard')['pool_mode'], 'statement');
});

test('DATABASES tells what is paused and what is disabled, also where nobody is', () => {
  const bench = busyBench();
  bench.controls.pausedDatabases = ['app'];
  bench.controls.disabledDatabases = ['gone'];
  const databases = show(bench, 'DATABASES');
  const flags = (name: string) => [find(databases, 'name', name)['paused'], find(databases, 'name', name)['disabled']];
  assert.deepEqual(
    [flags('app'), flags('gone'), flags('switchyard')],
    [
      [1, 0],
      [0, 1],
      [0, 0],
    ],
  );
  assert.equal(find(databases, 'name', 'app')['current_client_connections'], 3);
  bench.controls.isPaused = true;
  assert.deepEqual(
    show(bench, 'DATABASES').map((row) => row['paused']),
    [1, 1, 0],
  );
});

test('USERS are those of the configuration and those who are there', () => {
  const users = show(busyBench(), 'USERS');
  assert.deepEqual(
    users.map(({ name, current_client_connections: clients, console: may }) => [name, clients, may]),
    [
      ['app', 2, null],
      ['root', 1, 'admin'],
      ['watcher', 0, 'stats'],
      ['other', 1, null],
    ],
  );
});

test('LISTS counts', () => {
  const lists = new Map(show(busyBench(), 'LISTS').map(({ list, items }) => [list, items]));
  assert.deepEqual(
    ['databases', 'users', 'pools', 'used_clients', 'login_clients', 'nodes', 'listeners'].map((name) =>
      lists.get(name),
    ),
    [2, 4, 3, 4, 0, 3, 2],
  );
});

test('STATS tells totals and averages of each database, TOTALS those of all', () => {
  const bench = new ConsoleBench();
  const { clock } = bench.proxy;
  for (const [database, user] of [
    ['app', 'one'],
    ['app', 'two'],
    ['web', 'one'],
  ] as const) {
    const traffic = new SessionTraffic(bench.traffic.enter(database, user), clock);
    traffic.counts.bytesIn += 100;
    for (let i = 0; i < 10; i += 1) {
      traffic.begins();
      clock.advance(2);
      traffic.ends(i % 2 === 1, true);
    }
  }
  clock.advance(10_000 - 60);
  const { total_query_count, total_xact_count, total_query_time, avg_query_count, avg_query_time, avg_recv } = find(
    show(bench, 'STATS'),
    'database',
    'app',
  );
  assert.deepEqual(
    [total_query_count, total_xact_count, total_query_time, avg_query_count, avg_query_time, avg_recv],
    [20, 10, 40_000, 2, 2000, 20],
  );
  assert.equal(find(show(bench, 'STATS_TOTALS'), 'database', 'web')['query_count'], 10);
  assert.equal(find(show(bench, 'STATS_AVERAGES'), 'database', 'web')['query_count'], 1);
  const totals = new Map(show(bench, 'TOTALS').map(({ name, value }) => [name, value]));
  assert.deepEqual(
    [totals.get('total_query_count'), totals.get('avg_query_count'), totals.get('total_client_login_count')],
    [30, 3, 3],
  );
});

test('CONFIG lists every key with its default, and behind them what tools for PgBouncer ask for', () => {
  const config = show(new ConsoleBench(), 'CONFIG');
  assert.deepEqual(find(config, 'key', 'pool.size'), {
    key: 'pool.size',
    value: '100',
    default: '100',
    changeable: 'yes',
  });
  assert.equal(find(config, 'key', 'max_client_conn')['value'], find(config, 'key', 'limits.max_clients')['value']);
  assert.equal(find(config, 'key', 'listeners[rw].route')['changeable'], 'no');
  assert.ok(
    !config.some(({ value }) => String(value).includes('secret') && value !== 'app (secret)'),
    'no secret is shown',
  );
});

test('what statements say is shown to those who may do everything', () => {
  const bench = busyBench();
  const row = { id: 1, user: 'app', database: 'app', name: 's1', origin: 'protocol', bytes: 30 };
  assert.deepEqual(show(bench, 'PREPARED_STATEMENTS'), [{ ...row, statement: 'text of s1' }]);
  assert.deepEqual(show(bench, 'PREPARED_STATEMENTS', false), [{ ...row, statement: null }]);
});

test('STATE, VERSION and MEM tell of the program', () => {
  const bench = new ConsoleBench({ isStopping: true });
  const state = new Map(show(bench, 'STATE').map(({ key, value }) => [key, value]));
  assert.deepEqual(
    ['active', 'paused', 'suspended', 'stopping', 'promotion', 'primary'].map((key) => state.get(key)),
    ['yes', 'no', 'no', 'yes', 'stable', 'node1'],
  );
  bench.controls.isPaused = true;
  assert.equal(find(show(bench, 'STATE'), 'key', 'paused')['value'], 'yes');
  assert.deepEqual(show(bench, 'VERSION'), [{ version: 'Switchyard 1.2.3' }]);
  assert.ok(Number(find(show(bench, 'MEM'), 'name', 'heap')['memtotal']) > 1_000_000);
});

test('NODES and LAG tell how far each node is, and nothing where that is not known', () => {
  const figures = new Map([
    [B, { lagBytes: 5_000_000_000, lagMs: 1_500, caughtUpTick: 1, sampledAtMs: 900, roundTripMs: 1 }],
  ]);
  const bench = new ConsoleBench({
    figures,
    view: viewOf({
      nodes: [nodeViewOf(A, { role: 'primary' }), nodeViewOf(B, { health: 'lagging', reason: 'too far behind' })],
    }),
  });
  const node = find(show(bench, 'NODES'), 'name', 'node2');
  assert.deepEqual(
    [node['role'], node['health'], node['lag_bytes'], node['lag_ms']],
    ['standby', 'lagging', 5_000_000_000, 1500],
  );
  const lag = find(show(bench, 'LAG'), 'node', 'node2');
  assert.deepEqual([lag['sample_age_ms'], lag['max_lag_ms'], lag['reason']], [100, 10_000, 'too far behind']);
  assert.equal(find(show(bench, 'LAG'), 'node', 'node1')['lag_ms'], null);
});

test('ROUTES, LISTENERS and PINS tell where units went, come in, and cannot leave', () => {
  const bench = busyBench();
  bench.proxy.counters.routed.add('split', 'standby', 'read');
  bench.proxy.counters.routed.add('split', 'standby', 'read');
  assert.deepEqual(show(bench, 'ROUTES'), [{ route: 'split', target: 'standby', reason: 'read', units: 2 }]);
  const [rw, split] = show(bench, 'LISTENERS');
  assert.deepEqual(
    [rw?.['sessions'], rw?.['ready'], rw?.['fallback'], split?.['consistency']],
    [2, 1, null, 'session'],
  );
  const [pin, ...others] = show(bench, 'PINS');
  assert.deepEqual([pin?.['id'], pin?.['node'], pin?.['pin'], others.length], [1, 'node1', 'open_transaction', 0]);
});

test('EVENTS tells of the promotion that is under way, and of those before it', () => {
  const bench = new ConsoleBench();
  const counts = {
    held: 3,
    holdTimeouts: 0,
    moved: 3,
    replayed: { query: 2 },
    transactionsLost: 0,
    inDoubt: 0,
    unitsCut: {},
    closed: {},
  };
  const record = {
    id: 4,
    outcome: 'promoted',
    from: A,
    to: B,
    timelineFrom: 1,
    timelineTo: 2,
    startedAtEpochMs: 0,
    disturbedMs: 1_234.4,
    pauseMs: 1_400,
    phases: [{ phase: 'announced', startedAtEpochMs: 0, durationMs: 500 }],
    counts,
  };
  const { conductor } = bench.proxy;
  Object.defineProperty(conductor, 'records', {
    value: {
      current: { ...record, id: 5, outcome: null, to: null, phases: [{ ...record.phases[0], durationMs: null }] },
      records: [record],
    },
  });
  const [current, last] = show(bench, 'EVENTS');
  assert.deepEqual(
    [current?.['id'], current?.['outcome'], current?.['phases'], current?.['to_node']],
    [5, 'under way', 'announced now', null],
  );
  assert.deepEqual(
    [last?.['started_at'], last?.['disturbed_ms'], last?.['pause_ms'], last?.['phases'], last?.['replayed']],
    ['1970-01-01T00:00:00.000Z', 1234, 1400, 'announced 0.5s', 2],
  );
});
