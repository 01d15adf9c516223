import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import type { PostgresServer } from '../../src/cli/demo/postgres/server.js';
import { createPostgres } from '../support/postgres-server.js';
import { waitFor } from '../support/processes.js';
import { RawClient, RawError } from '../support/raw-client.js';
import type { RawLoginOptions } from '../support/raw-client.js';
import { LoginError } from '../support/raw-login.js';
import { PROTOCOL_3_0, PROTOCOL_3_2, frontend } from '../support/raw-messages.js';
import { roles } from '../support/roles.js';

const TIMEOUT_MS = 10_000;
let server: PostgresServer;

before(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'switchyard-certificate-'));
  const [key, certificate] = [join(folder, 'key'), join(folder, 'certificate')];
  const subject = ['-subj', '/CN=localhost', '-out', certificate];
  await promisify(execFile)('openssl', [
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-sha256',
    '-nodes',
    '-keyout',
    key,
    ...subject,
  ]);
  server = await createPostgres({
    hba: [
      'host all trusted 127.0.0.1/32 trust',
      'host all plain 127.0.0.1/32 password',
      'host all old 127.0.0.1/32 md5',
      'host all all 127.0.0.1/32 scram-sha-256',
    ],
  });
  const certFile = await server.putFile('server.crt', await readFile(certificate, 'utf8'));
  const keyFile = await server.putFile('server.key', await readFile(key, 'utf8'));
  await rm(folder, { recursive: true });
  server.configure({ settings: { ssl: true, ssl_cert_file: certFile, ssl_key_file: keyFile } });
  await server.runSingleUser([
    'create role trusted login',
    `create role plain login password 'secret'`,
    `set password_encryption = 'md5'`,
    `create role old login password 'secret'`,
  ]);
  await server.start();
});

after(() => server.close());

function asApp(more: Partial<RawLoginOptions> = {}): RawLoginOptions {
  return { port: server.port, ...roles.app, timeoutMs: TIMEOUT_MS, ...more };
}

for (const [user, method] of [
  ['trusted', 'trust'],
  ['plain', 'password'],
  ['old', 'md5'],
] as const) {
  test(`logs in with ${method}`, async () => {
    const client = await RawClient.login({ port: server.port, user, password: 'secret', database: 'postgres' });
    assert.equal(client.loginMethod, method);
    assert.deepEqual(await client.rows('select current_user'), [[user]]);
    await client.end();
  });
}

test('logs in with SCRAM and learns parameters, key and status', async () => {
  const client = await RawClient.login(asApp({ parameters: { application_name: 'raw' } }));
  assert.equal(client.loginMethod, 'scram-sha-256');
  assert.equal(client.parameters.get('application_name'), 'raw');
  assert.equal(client.parameters.get('in_hot_standby'), 'off');
  assert.equal(client.key?.secret.length, 4);
  assert.equal(client.status, 'I');
  assert.deepEqual(await client.rows('select pg_backend_pid()'), [[String(client.key?.pid)]]);
  await client.end();
});

test('binds a SCRAM log-in to the TLS channel', async () => {
  const client = await RawClient.login(asApp({ tls: {}, channelBinding: true }));
  assert.equal(client.loginMethod, 'scram-sha-256-plus');
  assert.deepEqual(await client.rows('select ssl from pg_stat_ssl where pid = pg_backend_pid()'), [['t']]);
  await client.end();
});

test('a refused log-in carries the SQLSTATE', async () => {
  const isRefusal = (code: string) => (error: unknown) => error instanceof LoginError && error.code === code;
  await assert.rejects(RawClient.login(asApp({ password: 'wrong' })), isRefusal('28P01'));
  await assert.rejects(
    RawClient.login(asApp({ database: 'nowhere' })),
    (error) => error instanceof RawError && error.fields.code === '3D000',
  );
});

test('reports the protocol version that the server settles on', async () => {
  const asked = server.binaries.major >= 18 ? PROTOCOL_3_2 + 7_000 : PROTOCOL_3_2;
  const client = await RawClient.login(asApp({ version: asked, parameters: { '_pq_.unheard_of': 'x' } }));
  const newest = server.binaries.major >= 18 ? PROTOCOL_3_2 : PROTOCOL_3_0;
  assert.deepEqual(client.negotiated, { newest, unknownOptions: ['_pq_.unheard_of'] });
  await client.end();
});

test('a reply has rows, columns, tags, notices and status', async () => {
  const client = await RawClient.login(asApp());
  const reply = await client.query(`select 1 as a, null as b; do $$ begin raise notice 'heard'; end $$; begin`);
  assert.deepEqual(reply.rows, [['1', null]]);
  assert.deepEqual(reply.columns, ['a', 'b']);
  assert.deepEqual(reply.tags, ['SELECT 1', 'DO', 'BEGIN']);
  assert.equal(reply.notices[0]?.message, 'heard');
  assert.equal(reply.types, 'TDCNCCZ');
  assert.equal(reply.status, 'T');
  assert.equal(reply.error, null);
  assert.equal(reply.closed, false);
  await client.end();
});

test('an error of the server is a part of the reply, and an exception where rows were wanted', async () => {
  const client = await RawClient.login(asApp());
  const reply = await client.query('select 1/0');
  assert.equal(reply.error?.code, '22012');
  assert.equal(reply.error.severity, 'ERROR');
  assert.match(reply.error.message, /division by zero/);
  await assert.rejects(
    client.rows('select 1/0'),
    (error) => error instanceof RawError && error.fields.code === '22012',
  );
  assert.deepEqual(await client.rows('select 2'), [['2']]);
  await client.end();
});

test('speaks the extended protocol, alone and in batches', async () => {
  const client = await RawClient.login(asApp());
  const single = await client.extended('select $1::int + 1, $2::text', ['41', null]);
  assert.deepEqual(single.rows, [['42', null]]);
  assert.equal(single.types, '12TDCZ');
  const batch = await client.unit(
    frontend.parse('select g from generate_series(1, 5) g', { name: 's' }),
    frontend.bind({ statement: 's', portal: 'p' }),
    frontend.execute('p', 2),
    frontend.execute('p', 0),
    frontend.describe('S', 's'),
    frontend.close('S', 's'),
    frontend.sync(),
  );
  assert.equal(batch.types, '12DDsDDDCtT3Z');
  await client.end();
});

test('copies in and out', async () => {
  const client = await RawClient.login(asApp());
  await client.rows('create temp table t (a int, b text)');
  const copied = await client.copyIn('copy t from stdin', ['1\tone\n2\t', 'two\n']);
  assert.deepEqual(copied.tags, ['COPY 2']);
  const out = await client.query('copy (select * from t order by a) to stdout');
  assert.equal(out.copied.toString(), '1\tone\n2\ttwo\n');
  const refused = await client.copyIn('copy nowhere from stdin', []);
  assert.equal(refused.error?.code, '42P01');
  await client.end();
});

test('collects notifications', async () => {
  const client = await RawClient.login(asApp());
  await client.rows('listen news');
  await client.rows(`select pg_notify('news', 'hello')`);
  assert.deepEqual(client.notifications, [{ pid: client.key?.pid, channel: 'news', payload: 'hello' }]);
  await client.end();
});

test('cancels the query of another connection', async () => {
  const client = await RawClient.login(asApp());
  const sleeping = client.query('select pg_sleep(60)');
  const { key } = client;
  assert.ok(key !== null);
  await waitFor(
    async () => {
      const observer = await RawClient.login(asApp());
      const rows = await observer.rows(`select 1 from pg_stat_activity where pid = ${key.pid} and state = 'active'`);
      await observer.end();
      return rows.length === 1;
    },
    { timeoutMs: TIMEOUT_MS, what: 'the query to run' },
  );
  await RawClient.cancel({ port: server.port }, key);
  assert.equal((await sleeping).error?.code, '57014');
  await client.end();
});

test('a terminated connection is a reply with its error and the end', async () => {
  const client = await RawClient.login(asApp());
  const reply = await client.query('select pg_terminate_backend(pg_backend_pid())');
  assert.equal(reply.error?.code, '57P01');
  assert.equal(reply.error.severity, 'FATAL');
  assert.equal(reply.closed, true);
  assert.equal(reply.status, null);
  assert.equal(await client.read(), null);
});

test('every wait has a limit', async () => {
  const client = await RawClient.login(asApp({ timeoutMs: 150 }));
  assert.equal(await client.isSilentFor(50), true);
  await assert.rejects(client.query('select pg_sleep(5)'), /waited 150 ms for a message/);
  client.destroy();
});

test('an answer of several megabytes comes whole', async () => {
  const client = await RawClient.login(asApp());
  const [row] = await client.rows(`select repeat('x', 30000000)`);
  assert.equal(row?.[0]?.length, 30_000_000);
  await client.end();
});

test('raw bytes can be sent and read before any log-in', async () => {
  const client = await RawClient.connect({ port: server.port });
  client.send(frontend.gssEncRequest());
  assert.match(String(await client.readBytes(1)), /^[NG]$/);
  client.destroy();
  const garbage = await RawClient.connect({ port: server.port });
  garbage.send(Buffer.from('GET / HTTP/1.0\r\n\r\n'));
  assert.deepEqual(await garbage.closed(), []);
});
