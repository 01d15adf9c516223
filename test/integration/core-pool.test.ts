import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sendSignal } from '../../src/cli/demo/postgres/process-tree.js';
import { waitFor } from '../support/processes.js';
import { RawClient, RawError } from '../support/raw-client.js';
import type { RawLoginOptions } from '../support/raw-client.js';
import { LoginError } from '../support/raw-login.js';
import { frontend } from '../support/raw-messages.js';
import { roles } from '../support/roles.js';
import { CoreProxy, TIMEOUT_MS, backendPid, sessionsOn, sharedCluster } from './core-lab.js';

const cluster = sharedCluster({
  standbys: 1,
  appStatements: [
    'create sequence counter',
    'grant all on sequence counter to app',
    `create role other login password 'otherpass'`,
    'grant all on database app to other',
  ],
});
const other = { user: 'other', password: 'otherpass', database: 'app' };

/** Ends a client and waits until its backend is back in the pool or gone. */
async function leave(proxy: CoreProxy, client: RawClient, sessions = 0): Promise<void> {
  await client.end();
  await proxy.waitForRest(sessions);
}

/** Logs in, does something, leaves; gives the pid of the backend. */
async function visit(proxy: CoreProxy, more: Partial<RawLoginOptions> = {}, statement = 'select 1'): Promise<string> {
  const client = await proxy.login('primary', more);
  const pid = await backendPid(client);
  await client.rows(statement);
  await leave(proxy, client);
  return pid;
}

async function waitForIdle(proxy: CoreProxy, count: number): Promise<void> {
  const what = `${count} idle backends, here and by the node's account`;
  await waitFor(async () => proxy.backends.idle === count && (await sessionsOn(cluster().primary)) === count, {
    timeoutMs: TIMEOUT_MS,
    what,
  });
}

/** What a session may leave behind that the reset of a backend takes away. */
const cleanable = [
  `set work_mem = '7MB'`,
  'set search_path = elsewhere',
  'set session characteristics as transaction read only',
  'set role pg_signal_backend',
  'reset role',
  'prepare leftover as select 1',
  'select pg_advisory_lock(4711)',
  'begin',
  'declare leftover cursor with hold for select 1',
  'commit',
  'set default_transaction_read_only = off',
  `select nextval('public.counter')`,
  'listen leftover',
];

/** What it does not take away for certain, each with the role that may do it. */
const uncleanable = [
  [roles.app, 'create temp table leftover as select 1'],
  [roles.app, `select set_config('app.secret', 'of the first', false)`],
  [roles.app, `set app.secret = 'of the first'; set timezone = 'Asia/Tokyo'`],
  [roles.superuser, `load 'plpgsql'`],
] as const;

const settings = `select name, setting from pg_settings where name <> 'transaction_read_only' order by 1`;
const leftovers = `select (select count(*) from pg_prepared_statements), (select count(*) from pg_cursors),
  (select count(*) from pg_listening_channels()), to_regclass('pg_temp.leftover'), pg_my_temp_schema(),
  (select count(*) from pg_locks where locktype = 'advisory'), current_setting('app.secret', true)`;

test('a backend is given on, and nothing that a session leaves behind on it reaches the next', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  const first = await proxy.login();
  const pid = await backendPid(first);
  const defaults = await first.rows(settings);
  for (const statement of cleanable) await first.rows(statement);
  await first.unit(frontend.parse('select 2', { name: 'named' }), frontend.parse('select 3'), frontend.sync());
  await leave(proxy, first);

  const heir = await proxy.login();
  assert.equal(await backendPid(heir), pid);
  assert.deepEqual(await heir.rows(settings), defaults);
  assert.deepEqual(await heir.rows(leftovers), [['0', '0', '0', null, '0', '0', null]]);
  assert.equal((await heir.query(`select currval('counter')`)).error?.code, '55000');
  assert.equal((await heir.unit(frontend.bind({ statement: 'named' }), frontend.sync())).error?.code, '26000');
  assert.equal((await heir.unit(frontend.bind(), frontend.sync())).error?.code, '26000');
  await cluster().sql(`notify leftover, 'for nobody'`, { database: 'app' });
  assert.equal((await heir.query('select 1')).types, 'TDCZ');
  assert.deepEqual(heir.notifications, []);
});

for (const [role, statement] of uncleanable) {
  test(`a backend is closed, not given on, behind a session that ran: ${statement}`, async (t) => {
    const proxy = await CoreProxy.start(t, cluster().nodes);
    const pid = await visit(proxy, role, statement);
    assert.equal(proxy.backends.idle, 0);
    const next = await visit(proxy, role);
    assert.notEqual(next, pid);
    const heir = await proxy.login('primary', role);
    assert.equal(await backendPid(heir), next);
    assert.deepEqual(await heir.rows(leftovers), [['0', '0', '0', null, '0', '0', null]]);
  });
}

test('backends are shared by sessions of the same user, database and startup parameters only', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  const kinds: readonly Partial<RawLoginOptions>[] = [
    {},
    { parameters: { application_name: 'a' } },
    { parameters: { application_name: 'b' } },
    { parameters: { options: '-c work_mem=5MB' } },
    { parameters: { client_encoding: 'LATIN1' } },
    { database: 'postgres' },
    other,
  ];
  const pids: string[] = [];
  for (const kind of kinds) pids.push(await visit(proxy, kind));
  assert.equal(new Set(pids).size, kinds.length);
  for (const [i, kind] of kinds.entries()) assert.equal(await visit(proxy, kind), pids[i]);
});

test('without reuse every session has a backend of its own', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes, { pool: { reuse: false } });
  assert.notEqual(await visit(proxy), await visit(proxy));
  await waitForIdle(proxy, 0);
});

test('a session beyond pool.size waits for a backend, and is told 53300 and what the limit is after wait_timeout', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes, { pool: { size: 2, wait_timeout: '300ms' } });
  const inUse = [await proxy.login(), await proxy.login()];
  for (const client of inUse) await client.rows('begin');
  // One that is known how to greet is let in and waits with its first statement.
  const greeted = await proxy.login();
  const { error, status } = await greeted.query('select 1');
  assert.equal(error?.severity, 'ERROR');
  assert.equal(error.code, '53300');
  assert.match(error.hint ?? '', /pool\.size is 2/);
  assert.equal(status, 'I');
  // One that is not waits with its log-in.
  const refused = await proxy
    .login('primary', { parameters: { application_name: 'new' } })
    .catch((reason: unknown) => reason);
  assert.ok(refused instanceof RawError || refused instanceof LoginError, String(refused));
  assert.match(refused.message, /^53300: /);
  assert.equal(await sessionsOn(cluster().primary), 2);
  const waiting = greeted.query('select 2');
  await waitFor(() => proxy.app.pool.waiting === 1, { timeoutMs: TIMEOUT_MS, what: 'the session to wait' });
  for (const client of inUse) await client.end();
  assert.deepEqual((await waiting).rows, [['2']]);
  await leave(proxy, greeted);
});

test('waiting sessions are served in the order in which they came', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes, { pool: { size: 1 } });
  const holder = await proxy.login();
  await holder.rows('begin');
  const served: number[] = [];
  const waiters: Promise<void>[] = [];
  for (let n = 0; n < 6; n += 1) {
    // Every other one asks for something else, so that the backend cannot just be given on.
    const client = await RawClient.connect({ port: proxy.port(), timeoutMs: TIMEOUT_MS });
    t.after(() => client.destroy());
    const { user, password, database } = roles.app;
    client.send(frontend.startup({ user, database, application_name: n % 2 === 0 ? 'even' : 'odd' }));
    waiters.push(
      client.authenticate(user, password).then(async () => {
        served.push(n);
        await client.rows('select 1');
        await client.end();
      }),
    );
    await waitFor(() => proxy.app.pool.waiting === n + 1, { timeoutMs: TIMEOUT_MS, what: `waiter ${n}` });
  }
  await holder.end();
  await Promise.all(waiters);
  assert.deepEqual(served, [0, 1, 2, 3, 4, 5]);
  await proxy.waitForRest();
});

test('a client that leaves while it waits gives its place up', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes, { pool: { size: 1 } });
  const holder = await proxy.login();
  await holder.rows('begin');
  const [impatient, patient] = [await proxy.login(), await proxy.login()];
  impatient.send(frontend.query('select 1'));
  await waitFor(() => proxy.app.pool.waiting === 1, { timeoutMs: TIMEOUT_MS, what: 'the first waiter' });
  const reply = patient.query('select 2');
  await waitFor(() => proxy.app.pool.waiting === 2, { timeoutMs: TIMEOUT_MS, what: 'the second waiter' });
  impatient.reset();
  await waitFor(() => proxy.app.registry.size === 2, { timeoutMs: TIMEOUT_MS, what: 'the client to be gone' });
  await holder.end();
  assert.deepEqual((await reply).rows, [['2']]);
  await leave(proxy, patient);
  assert.equal(proxy.app.pool.waiting, 0);
});

test('max_backends_per_node counts all users: idle backends of one make room for another, used ones do not', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes, {
    pool: { max_backends_per_node: 1, wait_timeout: '300ms' },
  });
  await visit(proxy);
  await waitForIdle(proxy, 1);
  const client = await proxy.login('primary', other);
  await client.rows('begin');
  await waitFor(async () => (await sessionsOn(cluster().primary)) === 0, {
    timeoutMs: TIMEOUT_MS,
    what: 'room to be made',
  });
  const late = await proxy.login();
  assert.match((await late.query('select 1')).error?.hint ?? '', /max_backends_per_node is 1/);
  await client.end();
  assert.deepEqual(await late.rows('select 1'), [['1']]);
});

test('idle backends are closed after idle_timeout and above max_idle', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes, { pool: { idle_timeout: '1s', max_idle: 2 } });
  const clients = await Promise.all(Array.from({ length: 4 }, () => proxy.login()));
  await Promise.all(clients.map((client) => client.rows('select 1')));
  for (const client of clients) await client.end();
  await proxy.waitForRest();
  await waitForIdle(proxy, 2);
  await waitForIdle(proxy, 0);
});

test('a backend that is older than max_lifetime serves its session to the end and nobody else', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes, { pool: { max_lifetime: '1s' } });
  const client = await proxy.login();
  const pid = await backendPid(client);
  await client.rows('select pg_sleep(1.1)');
  assert.equal(await backendPid(client), pid);
  await leave(proxy, client);
  await waitForIdle(proxy, 0);
  assert.notEqual(await visit(proxy), pid);
});

test('a backend that died while it was idle is not handed out', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  const kill = `select count(pg_terminate_backend(pid)) from pg_stat_activity where usename = 'app'`;
  for (let n = 0; n < 5; n += 1) {
    const pid = await visit(proxy);
    await cluster().sql(kill);
    await waitFor(() => proxy.backends.idle === 0, { timeoutMs: TIMEOUT_MS, what: 'the death to be seen' });
    assert.notEqual(await visit(proxy), pid);
  }
});

test('a backend that does not answer the reset is given up, and keeps nobody waiting', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes, { pool: { size: 2 } });
  const client = await proxy.login();
  const pid = Number(await backendPid(client));
  t.after(() => sendSignal(pid, 'SIGCONT'));
  sendSignal(pid, 'SIGSTOP');
  await client.end();
  assert.notEqual(await visitBeside(proxy), String(pid));
  assert.deepEqual(proxy.backends, { used: 1, idle: 1 });
  await proxy.waitForRest();
  assert.deepEqual(proxy.backends, { used: 0, idle: 1 });
});

/** As `visit`, while another backend is still being reset. */
async function visitBeside(proxy: CoreProxy): Promise<string> {
  const client = await proxy.login();
  const pid = await backendPid(client);
  await client.end();
  await waitFor(() => proxy.backends.idle === 1, { timeoutMs: TIMEOUT_MS, what: 'the backend to be back' });
  return pid;
}

test('what the pool counts is what the node has, after clients that come and go in every way', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes, { pool: { size: 5 } });
  const ways: readonly ((client: RawClient) => Promise<unknown> | void)[] = [
    (client) => client.end(),
    (client) => client.reset(),
    (client) => client.rows('begin').then(() => client.destroy()),
    (client) => client.query('select 1/0').then(() => client.end()),
    (client) => {
      client.send(frontend.query('select pg_sleep(0.01)'));
      client.reset();
    },
    (client) => {
      client.send(frontend.parse('select 1'), frontend.bind());
      client.destroy();
    },
    (client) => client.query('select pg_terminate_backend(pg_backend_pid())').then(() => client.destroy()),
  ];
  const churn = async (seed: number): Promise<void> => {
    for (let n = 0; n < 21; n += 1) {
      const client = await proxy.login();
      const way = ways[(n * 3 + seed) % ways.length];
      await way?.(client);
    }
  };
  await Promise.all(Array.from({ length: 8 }, (_, seed) => churn(seed)));
  await proxy.waitForRest();
  assert.ok(proxy.backends.idle <= 5);
  await waitForIdle(proxy, proxy.backends.idle);
  await proxy.checkAfterAbuse();
});
