import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { PostgresCluster } from '../support/postgres-cluster.js';
import type { RawClient } from '../support/raw-client.js';
import { frontend } from '../support/raw-messages.js';
import { CONSOLE, TIMEOUT_MS, people } from './console-lab.js';
import { ControlsYard, beginPause, controlsConfig, noticesOf } from './controls-lab.js';

const run = promisify(execFile);
const closers: (() => unknown)[] = [];
let cluster: PostgresCluster;

before(async () => {
  cluster = await PostgresCluster.start({ after: (close) => void closers.unshift(close) });
});

after(async () => {
  for (const close of closers) await close();
});

test('DISABLE refuses new clients and leaves those who are in; ENABLE lets them in again', async (t) => {
  const lab = await ControlsYard.start(t, cluster, 'session');
  const [client, admin] = [await lab.client(), await lab.admin()];
  assert.deepEqual((await admin.query('DISABLE app')).tags, ['DISABLE']);
  await assert.rejects(lab.client(), /57P03: database "app" is disabled/);
  assert.equal((await client.query('select 1')).error, null);
  assert.equal((await lab.show('databases')).find(({ name }) => name === 'app')?.['disabled'], '1');
  const own = await admin.query(`DISABLE ${CONSOLE}`);
  assert.equal(own.error?.code, '0A000');
  assert.deepEqual((await admin.query('ENABLE app')).tags, ['ENABLE']);
  await (await lab.client()).rows('select 1');
});

test('SET changes one key until the next RELOAD, and says why it does not', async (t) => {
  const lab = await ControlsYard.start(t, cluster, 'session');
  const admin = await lab.admin();
  const value = async (key: string) => (await lab.show('config')).find((row) => row['key'] === key)?.['value'];
  const size = await admin.query('SET pool.size = 3');
  assert.deepEqual([size.error, size.tags], [null, ['SET pool.size=3']]);
  assert.equal(noticesOf(size), 'pool.size 10 -> 3: applied');
  const wait = await admin.query("SET pool.wait_timeout TO '1s'");
  assert.equal(noticesOf(wait), 'pool.wait_timeout 30s -> 1s: applied');
  assert.equal((await admin.query('set "listeners[split].consistency" = eventual')).error, null);
  assert.equal((await admin.query("set admin.stats_users = '[monitor, app]'")).error, null);
  assert.deepEqual([await value('pool.size'), await value('pool.wait_timeout')], ['3', '1s']);
  assert.equal(await value('listeners[split].consistency'), 'eventual');
  assert.equal(noticesOf(await admin.query('SET pool.size = 3')), 'pool.size has this value already');
  // The bound holds: with three backends in use the fourth client waits in vain.
  const clients = [await lab.client(), await lab.client(), await lab.client(), await lab.client()];
  for (const client of clients.slice(0, 3)) await client.query('begin');
  assert.equal((await clients[3]?.query('select 1'))?.error?.code, '53300');
  for (const [command, code, words] of [
    ['SET pool.size = many', 'F0000', /pool\.size was not changed/],
    ['SET pool.sise = 3', '42704', /no key "pool\.sise"; did you mean "pool\.size"/],
    ['SET admin.address = "127.0.0.1:1"', '42704', /"admin\.address" takes effect after a restart only/],
  ] as const) {
    const { error } = await admin.query(command);
    assert.equal(error?.code, code);
    assert.match(error?.message ?? '', words);
  }
  const refused = await admin.query('SET pool.size = 0');
  assert.match(refused.error?.detail ?? '', /pool\.size/);
  assert.equal(await value('pool.size'), '3');
  await lab.yard.rewriteConfig(controlsConfig(cluster, 'session', { pool: { mode: 'session', size: 12 } }));
  assert.match(noticesOf(await admin.query('RELOAD')), /pool\.size 3 -> 12: applied/);
  assert.deepEqual([await value('pool.size'), await value('pool.wait_timeout')], ['12', '30s']);
  assert.equal(noticesOf(await admin.query('RELOAD')), 'nothing has changed');
});

test('psql sees what a PAUSE waits for while it does', async (t) => {
  const lab = await ControlsYard.start(t, cluster, 'transaction');
  const client = await lab.client();
  await client.query('begin');
  const { user, password } = people.admin;
  const address = ['-h', '127.0.0.1', '-p', String(lab.yard.port('rw')), '-U', user, CONSOLE];
  const psql = run('psql', ['-XAt', ...address, '-c', 'PAUSE app', '-c', 'RESUME app'], {
    timeout: TIMEOUT_MS,
    env: { ...process.env, PGPASSWORD: password },
  });
  await new Promise((resolve) => psql.child.stderr?.once('data', resolve));
  await client.query('commit');
  const { stdout, stderr } = await psql;
  assert.equal(stdout, 'PAUSE\nRESUME\n');
  assert.match(stderr, /^NOTICE: {2}waiting for 1 transaction$/m);
});

test('the same can be asked for over HTTP', async (t) => {
  const lab = await ControlsYard.start(t, cluster, 'session');
  const client = await lab.client();
  await client.query('begin');
  const post = async (path: string, body: object): Promise<{ status: number; body: unknown }> => {
    const answer = await fetch(`http://127.0.0.1:${lab.yard.adminPort}/api/v1/${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    return { status: answer.status, body: await answer.json() };
  };
  const status = async (): Promise<unknown> => {
    const answer = await fetch(`http://127.0.0.1:${lab.yard.adminPort}/api/v1/status`);
    return ((await answer.json()) as { readonly pauses: unknown }).pauses;
  };
  assert.deepEqual(await post('pause', { database: 'app' }), {
    status: 202,
    body: { paused: 'app', waitsFor: '1 transaction' },
  });
  assert.equal((await post('pause', { databse: 'app' })).status, 400);
  await client.query('commit');
  await lab.until(async () => (await lab.backends()) === 0, 'the backend to be closed');
  const held = client.query('select 1');
  await lab.untilPaused(1);
  assert.deepEqual(await status(), { all: false, databases: ['app'], disabled: [], waiting: 1 });
  assert.equal((await post('resume', {})).status, 409);
  assert.equal((await post('resume', { database: 'app' })).status, 200);
  assert.equal((await held).error, null);
  assert.deepEqual(await post('reconnect', {}), { status: 202, body: { reconnecting: 'all', backends: 0 } });
  assert.deepEqual(await post('disable', { database: 'app' }), { status: 200, body: { disabled: ['app'] } });
  assert.deepEqual(await post('enable', { database: 'app' }), { status: 200, body: { disabled: [] } });
});

test('SHUTDOWN ends everything at once', async (t) => {
  const lab = await ControlsYard.start(t, cluster, 'session');
  const [client, admin] = [await lab.client(), await lab.admin()];
  await client.query('begin');
  const answer = await admin.query('SHUTDOWN');
  assert.deepEqual(answer.tags, ['SHUTDOWN']);
  assert.equal((await client.reply()).error?.code, '57P01');
  assert.equal(await lab.yard.process.ended(TIMEOUT_MS), 0);
});

test('SHUTDOWN WAIT_FOR_SERVERS ends when no backend is in use, however long that takes', async (t) => {
  const lab = await ControlsYard.start(t, cluster, 'session', { shutdown: { timeout: '100ms' } });
  const [busy, idle, admin] = [await lab.client(), await lab.client(), await lab.admin()];
  await busy.query('begin');
  assert.deepEqual((await admin.query('SHUTDOWN WAIT_FOR_SERVERS')).tags, ['SHUTDOWN']);
  assert.equal((await idle.reply()).error?.code, '57P01');
  await assert.rejects(lab.client());
  assert.equal((await fetch(`http://127.0.0.1:${lab.yard.adminPort}/readyz`)).status, 503);
  assert.equal(await busy.isSilentFor(500), true, 'no time limit of a stop by a signal');
  assert.deepEqual((await busy.query('select 1')).status, 'T');
  const last = await busy.query('commit');
  assert.deepEqual(last.tags, ['COMMIT']);
  assert.equal(await lab.yard.process.ended(TIMEOUT_MS), 0);
});

test('SHUTDOWN WAIT_FOR_CLIENTS ends when the last client has gone; a signal means it otherwise', async (t) => {
  for (const isSignalled of [false, true]) {
    const lab = await ControlsYard.start(t, cluster, 'session', { shutdown: { timeout: '100ms' } });
    const [client, admin] = [await lab.client(), await lab.admin()];
    assert.deepEqual((await admin.query('SHUTDOWN WAIT_FOR_CLIENTS')).tags, ['SHUTDOWN']);
    await lab.until(async () => (await fetch(`http://127.0.0.1:${lab.yard.adminPort}/readyz`)).status === 503, 'it');
    for (let turn = 0; turn < 3; turn += 1) assert.equal((await client.query('select 1')).error, null);
    if (isSignalled) lab.yard.process.signal('SIGTERM');
    else await client.end();
    assert.equal(await lab.yard.process.ended(TIMEOUT_MS), 0);
    assert.equal(lab.yard.records('told to stop again: ending now').length, 0);
  }
});

test('a pause is not waited for by those who are not there any more: it stays when its client goes', async (t) => {
  const lab = await ControlsYard.start(t, cluster, 'session');
  const [client, admin] = [await lab.client(), await lab.admin()];
  await client.query('begin');
  await beginPause(admin, 'PAUSE');
  admin.destroy();
  await client.query('commit');
  await lab.until(async () => (await lab.backends()) === 0, 'the backend to be closed');
  const held = client.unit(frontend.query('select 1'));
  await lab.untilPaused(1);
  assert.equal((await (await lab.admin()).query('RESUME')).error, null);
  assert.equal((await held).error, null);
});

test('a Parse that is answered without a backend works during a pause too, and is counted', async (t) => {
  const lab = await ControlsYard.start(t, cluster, 'transaction');
  const [first, second, admin] = [await lab.client(), await lab.client(), await lab.admin()];
  const prepare = (client: RawClient) =>
    client.unit(frontend.parse('select $1::int + 40', { name: 'plus' }), frontend.sync());
  await second.rows('select 1');
  assert.equal((await prepare(first)).types, '1Z');
  assert.equal((await admin.query('PAUSE')).error, null);
  assert.equal((await prepare(second)).types, '1Z');
  const stats = (await lab.show('stats_totals')).find(({ database }) => database === 'app');
  assert.equal(stats?.['client_parse_count'], '2', JSON.stringify(stats));
  await admin.query('RESUME');
  const bound = [frontend.bind({ statement: 'plus', values: ['2'] }), frontend.execute(), frontend.sync()];
  assert.deepEqual((await second.unit(...bound)).rows, [['42']]);
});
