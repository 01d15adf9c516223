import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { DcsState } from '../../src/dcs/claims.js';
import { type EtcdServer, startEtcd } from '../support/etcd-server.js';
import { PREFIX, followEtcd } from '../support/follow-etcd.js';
import { requirePrograms } from '../support/install.js';
import { waitFor } from '../support/processes.js';

const run = promisify(execFile);
const USER = 'switchyard';
const PASSWORD = 'Geheimnis-1';
/** etcd spends a tenth of a second on a password, and the machine may have other things to do. */
const REQUEST_MS = 3000;

function loginTo(etcd: EtcdServer) {
  return {
    hosts: [etcd.address],
    username: USER,
    password: PASSWORD,
    requestTimeoutMs: REQUEST_MS,
    staleAfterMs: 8000,
  };
}

test('logs in where etcd asks for it, with the right to read these keys only', async (t) => {
  const etcd = await startEtcd(t);
  await etcd.enableAuth(USER, PASSWORD, PREFIX);
  const { until, log } = followEtcd(t, loginTo(etcd));
  await until('the first answer', ({ state }) => state === DcsState.Live);
  await etcd.put(`${PREFIX}leader`, 'node1');
  await until('news by the watch', ({ leader }) => leader?.name === 'node1');
  assert.ok(!JSON.stringify(log).includes(PASSWORD));
});

test('a token that has run out is replaced before anybody notices', async (t) => {
  const etcd = await startEtcd(t, { args: ['--auth-token-ttl=1'] });
  await etcd.enableAuth(USER, PASSWORD, PREFIX);
  // The readings are further apart than the token lives.
  const { until, pictures, provider, log } = followEtcd(t, { ...loginTo(etcd), watchdogIntervalMs: 3000 });
  const first = await until('the first answer', ({ state }) => state === DcsState.Live);
  await until('three more readings', ({ confirmedAtMs }) => (confirmedAtMs ?? 0) > (first.confirmedAtMs ?? 0) + 8500);
  assert.equal(provider.claims.state, DcsState.Live);
  assert.equal(pictures.length, 1);
  assert.deepEqual(
    log.filter(({ level }) => level === 'warn' || level === 'error'),
    [],
  );
  await etcd.logInAsRoot(PASSWORD);
  await etcd.put(`${PREFIX}leader`, 'node1');
  await until('news by the watch', ({ leader }) => leader?.name === 'node1');
});

test('after a restart of etcd the news come again', async (t) => {
  const etcd = await startEtcd(t);
  await etcd.enableAuth(USER, PASSWORD, PREFIX);
  const { until, provider } = followEtcd(t, loginTo(etcd));
  await until('the first answer', ({ state }) => state === DcsState.Live);
  for (let round = 0; round < 2; round += 1) {
    await etcd.kill();
    await etcd.launch();
    await waitFor(() => etcd.logInAsRoot(PASSWORD).then(() => true), { timeoutMs: 20_000, what: 'etcd' });
    await etcd.put(`${PREFIX}leader`, `node${round}`);
    await until('news', ({ leader, state }) => leader?.name === `node${round}` && state === DcsState.Live);
  }
  assert.deepEqual(provider.claims.problems, []);
});

test('a signed token that runs out, or is older than the newest change of the users, is replaced before anybody notices', async (t) => {
  const [openssl = ''] = await requirePrograms('openssl');
  const folder = await mkdtemp(join(tmpdir(), 'switchyard-jwt-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const [privateKey, publicKey] = [join(folder, 'private.pem'), join(folder, 'public.pem')];
  await run(openssl, ['genrsa', '-out', privateKey, '2048']);
  await run(openssl, ['rsa', '-in', privateKey, '-pubout', '-out', publicKey]);
  const token = `jwt,pub-key=${publicKey},priv-key=${privateKey},sign-method=RS256,ttl=2s`;
  const etcd = await startEtcd(t, { args: [`--auth-token=${token}`] });
  await etcd.enableAuth(USER, PASSWORD, PREFIX);
  const { until, pictures, log } = followEtcd(t, { ...loginTo(etcd), watchdogIntervalMs: 300 });
  const first = await until('the first answer', ({ state }) => state === DcsState.Live);
  await until('tokens that ran out', ({ confirmedAtMs }) => (confirmedAtMs ?? 0) > (first.confirmedAtMs ?? 0) + 5000);
  for (let round = 0; round < 3; round += 1) {
    await etcd.logInAsRoot(PASSWORD);
    await etcd.call('auth/user/add', { name: `other${round}`, password: 'x' });
    await etcd.logInAsRoot(PASSWORD);
    await etcd.put(`${PREFIX}leader`, `node${round}`);
    const { confirmedAtMs } = await until('news', ({ leader }) => leader?.name === `node${round}`);
    await until('more readings', (claims) => (claims.confirmedAtMs ?? 0) > (confirmedAtMs ?? 0) + 700);
  }
  assert.ok(pictures.every(({ state }) => state === DcsState.Live));
  assert.deepEqual(
    log.filter(({ level }) => level === 'warn' || level === 'error'),
    [],
  );
});

test('a wrong password is trouble with a reason, costs no connections, and heals when it is set right', async (t) => {
  const etcd = await startEtcd(t);
  await etcd.enableAuth(USER, 'another one', PREFIX);
  const { until, log } = followEtcd(t, loginTo(etcd));
  const { state } = await until(
    'trouble',
    ({ trouble }) =>
      trouble === `etcd cannot be read: 127.0.0.1:${etcd.port} (log-in refused: wrong user name or password)`,
  );
  assert.equal(state, DcsState.Unknown);
  const sockets = () => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;
  const before = sockets();
  const startedAtMs = performance.now();
  await waitFor(() => performance.now() - startedAtMs > 4000, { timeoutMs: 10_000, what: 'more attempts' });
  assert.ok(sockets() <= before + 1, `${before} sockets have become ${sockets()}`);
  assert.ok(!JSON.stringify(log).includes(PASSWORD));
  await etcd.call('auth/user/changepw', { name: USER, password: PASSWORD });
  await until('live claims', (claims) => claims.state === DcsState.Live);
});

test('says so when etcd asks for a user and none is given, or the user may not read', async (t) => {
  const etcd = await startEtcd(t);
  await etcd.enableAuth(USER, PASSWORD, '/service/other/');
  const nobody = followEtcd(t, { hosts: [etcd.address] });
  await nobody.until(
    'trouble',
    ({ trouble }) => trouble?.endsWith('(etcd asks for a user name and password)') ?? false,
  );
  const stranger = followEtcd(t, loginTo(etcd));
  await stranger.until(
    'trouble',
    ({ trouble }) => trouble?.endsWith('(permission denied: the user may not read these keys)') ?? false,
  );
  assert.equal(stranger.provider.claims.state, DcsState.Unknown);
});

test('with a user and an etcd that asks for none, follows; and goes on when it begins to ask', async (t) => {
  const etcd = await startEtcd(t);
  const { until, pictures } = followEtcd(t, loginTo(etcd));
  await etcd.put(`${PREFIX}leader`, 'node1');
  await until('the leader', ({ leader }) => leader !== null);
  await etcd.enableAuth(USER, PASSWORD, PREFIX);
  const { confirmedAtMs } = await until('the rights', () => true);
  await until('two more readings', (claims) => (claims.confirmedAtMs ?? 0) > (confirmedAtMs ?? 0) + 1000);
  await etcd.put(`${PREFIX}leader`, 'node2');
  await until('news', ({ leader }) => leader?.name === 'node2');
  assert.ok(pictures.every(({ state }) => state === DcsState.Live));
});
