import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { findPostgres } from '../../src/cli/demo/postgres/binaries.js';
import { childPids, isAlive } from '../../src/cli/demo/postgres/process-tree.js';
import { PostgresCluster } from '../support/postgres-cluster.js';
import { createPostgres, sql, startPostgres, testBinaries } from '../support/postgres-server.js';
import { waitFor } from '../support/processes.js';
import { RawClient } from '../support/raw-client.js';
import { frontend } from '../support/raw-messages.js';
import { roles } from '../support/roles.js';

const TIMEOUT_MS = 20_000;

test('a server keeps its port and its data over a restart, and leaves nothing behind', async (t) => {
  const server = await startPostgres(t);
  const { port, dataDirectory } = server;
  await sql(server, 'create table kept as select 1 as a', { ...roles.app });
  await server.stop('fast');
  assert.equal(server.isRunning, false);
  await assert.rejects(sql(server, 'select 1'), /ECONNREFUSED/);
  await server.start();
  assert.equal(server.port, port);
  assert.deepEqual(await sql(server, 'select a from kept', { ...roles.app }), [{ a: 1 }]);
  const postmaster = server.pid ?? 0;
  const pids = [postmaster, ...childPids(postmaster)];
  assert.ok(pids.length > 3);
  await server.close();
  assert.equal(pids.some(isAlive), false);
  assert.equal(existsSync(dataDirectory), false);
});

test('the monitor role may look up verifiers and the application may not', async (t) => {
  const server = await startPostgres(t);
  const lookUp = `select rolname, rolpassword from switchyard.user_lookup('app')`;
  const [row] = await sql(server, lookUp, { ...roles.monitor });
  assert.equal(row?.['rolname'], 'app');
  assert.match(String(row?.['rolpassword']), /^SCRAM-SHA-256\$4096:/);
  await assert.rejects(sql(server, lookUp, { ...roles.app, database: 'postgres' }), /permission denied/);
});

test('each way to stop tells its sessions what PostgreSQL tells them', async (t) => {
  const server = await startPostgres(t);
  const login = { port: server.port, ...roles.app, timeoutMs: TIMEOUT_MS };
  for (const [mode, severity] of [
    ['fast', 'FATAL'],
    ['immediate', 'WARNING'],
  ] as const) {
    const client = await RawClient.login(login);
    // A backend that has just answered may still hold the lock of its output, and would then go without a word.
    const isWaiting = `select 1 from pg_stat_activity where pid = ${client.key?.pid} and wait_event = 'ClientRead'`;
    const what = 'the backend to wait for its client';
    await waitFor(async () => (await sql(server, isWaiting)).length === 1, { timeoutMs: TIMEOUT_MS, what });
    const last = client.reply();
    await server.stop(mode);
    const { error, notices, closed } = await last;
    assert.equal((error ?? notices[0])?.severity, severity);
    assert.equal((error ?? notices[0])?.code, '57P01');
    assert.equal(closed, true);
    await server.start();
  }
});

test('a killed server ends without a word and recovers what was committed', async (t) => {
  const server = await startPostgres(t);
  await sql(server, 'create table t as select 1 as a');
  const client = await RawClient.login({ port: server.port, ...roles.app });
  const pids = [server.pid ?? 0, ...childPids(server.pid ?? 0)];
  await server.kill();
  assert.equal(pids.some(isAlive), false);
  const { messages, closed } = await client.reply();
  assert.deepEqual([messages.length, closed], [0, true]);
  await server.start();
  assert.deepEqual(await sql(server, 'select a from t'), [{ a: 1 }]);
  assert.match(await server.log(), /automatic recovery in progress/);
});

test('a frozen server keeps its connections and says nothing until it is thawed', async (t) => {
  const server = await startPostgres(t);
  const client = await RawClient.login({ port: server.port, ...roles.app });
  server.freeze();
  client.send(frontend.query('select 1'));
  assert.equal(await client.isSilentFor(200), true);
  const late = await RawClient.connect({ port: server.port });
  server.thaw();
  assert.deepEqual((await client.reply()).rows, [['1']]);
  late.destroy();
  await client.end();
});

test('a frozen postmaster serves old sessions and no new ones', async (t) => {
  const server = await startPostgres(t);
  const client = await RawClient.login({ port: server.port, ...roles.app });
  server.freezePostmaster();
  assert.deepEqual(await client.rows('select 1'), [['1']]);
  await assert.rejects(RawClient.login({ port: server.port, ...roles.app, timeoutMs: 200 }), /waited 200 ms/);
  server.thaw();
  await (await RawClient.login({ port: server.port, ...roles.app })).end();
  server.freezePostmaster();
  await server.stop('fast');
  assert.equal(server.isRunning, false, 'a frozen server can be stopped');
});

test('settings and rules for log-ins change with a reload', async (t) => {
  const server = await startPostgres(t, { settings: { work_mem: '5MB' } });
  assert.deepEqual(await sql(server, 'show work_mem'), [{ work_mem: '5MB' }]);
  server.configure({ settings: { work_mem: '6MB' }, hba: ['host all postgres 127.0.0.1/32 trust'] });
  await server.reload();
  await waitFor(async () => (await sql(server, 'show work_mem', { password: 'none' }))[0]?.['work_mem'] === '6MB', {
    timeoutMs: TIMEOUT_MS,
    what: 'the reload',
  });
  await assert.rejects(sql(server, 'select 1', { ...roles.app }), /no pg_hba.conf entry/);
});

test('a server that cannot start says why', async (t) => {
  const server = await createPostgres();
  t.after(() => server.close());
  server.configure({ settings: { max_connections: 'many' } });
  await assert.rejects(server.start(), /ended during its start\n[^]*max_connections/);
  assert.equal(server.isRunning, false);
});

test('SQL in single-user mode stops at the first error', async (t) => {
  const server = await createPostgres();
  t.after(() => server.close());
  await assert.rejects(server.runSingleUser(['create table a()', 'create table', 'create table b()']), /syntax error/);
  await server.start();
  await assert.rejects(server.runSingleUser(['select 1']), /must be stopped/);
  assert.deepEqual(await sql(server, `select relname from pg_class where relname in ('a', 'b')`), [{ relname: 'a' }]);
});

test('standbys stream, lag when their replay is paused, and catch up', async (t) => {
  const cluster = await PostgresCluster.start(t, {
    appStatements: ['create table t (a int)', 'grant all on t to app'],
  });
  const [first, second] = cluster.standbys;
  assert.ok(first !== undefined && second !== undefined);
  assert.deepEqual(await sql(first, 'select pg_is_in_recovery() as standby'), [{ standby: true }]);
  first.pauseReplay();
  await cluster.sql('insert into t values (1)', { ...roles.app });
  await cluster.waitUntilReplayed([second]);
  const count = async (): Promise<unknown> =>
    (await sql(first, 'select count(*)::int as n from t', { database: 'app' }))[0]?.['n'];
  assert.equal(await count(), 0);
  first.resumeReplay();
  await cluster.waitUntilReplayed();
  assert.equal(await count(), 1);
  assert.throws(() => cluster.primary.pauseReplay(), /node1 replays nothing/);
});

test('a switchover keeps every row and every node', async (t) => {
  const cluster = await PostgresCluster.start(t);
  const old = cluster.primary;
  await cluster.sql('create table t (a int)', { ...roles.app });
  await cluster.switchover(cluster.node(2));
  assert.equal(cluster.primary.name, 'node2');
  await cluster.sql('insert into t values (1)', { ...roles.app });
  await cluster.waitUntilReplayed();
  for (const node of cluster.standbys)
    assert.deepEqual(await sql(node, 'select a from t', { database: 'app' }), [{ a: 1 }]);
  assert.deepEqual(await sql(old, 'select pg_is_in_recovery() as standby'), [{ standby: true }]);
});

test('after the death of the primary a standby takes over, and the dead node is built anew', async (t) => {
  const cluster = await PostgresCluster.start(t);
  const [dead, next] = [cluster.primary, cluster.node(3)];
  const { port } = dead;
  await dead.kill();
  await cluster.promote(next);
  await cluster.waitUntilStreaming();
  await cluster.sql('create table t as select 1 as a');
  await cluster.rebuild(dead);
  assert.equal(dead.port, port);
  await cluster.waitUntilReplayed();
  assert.deepEqual(await sql(dead, 'select a from t'), [{ a: 1 }]);
  assert.match(await dead.log(), /started streaming WAL from primary/);
});

test('a running server is copied without pg_basebackup by a short stop', async (t) => {
  const binaries = await testBinaries();
  const bare = {
    ...binaries,
    program: (name: Parameters<typeof binaries.program>[0]) =>
      name === 'pg_basebackup' ? null : binaries.program(name),
  };
  const server = await startPostgres(t, { binaries: bare, name: 'origin' });
  await sql(server, 'create table t as select 1 as a');
  const standby = await server.cloneStandby({ name: 'copy' });
  t.after(() => standby.close());
  assert.equal(server.isRunning, true);
  await standby.start();
  await standby.waitUntilStreaming();
  assert.deepEqual(await sql(standby, 'select a from t'), [{ a: 1 }]);
});

test('the binaries of the npm package serve a primary and a standby', async (t) => {
  const binaries = await findPostgres({ origin: 'npm' });
  assert.equal(binaries.origin, 'npm');
  assert.equal(binaries.program('pg_basebackup'), null);
  const server = await startPostgres(t, { binaries });
  const standby = await server.cloneStandby({ name: 'copy' });
  t.after(() => standby.close());
  await standby.start();
  await standby.waitUntilStreaming();
  await server.kill();
  await standby.promote();
  assert.deepEqual(await sql(standby, 'select pg_is_in_recovery() as standby'), [{ standby: false }]);
  assert.match(
    String((await sql(standby, 'show server_version'))[0]?.['server_version']),
    new RegExp(`^${binaries.major}\\.`),
  );
});

test('a folder without PostgreSQL is refused', async () => {
  await assert.rejects(findPostgres({ directory: '/usr/share' }), /holds no usable PostgreSQL/);
});
