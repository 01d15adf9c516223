import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { BackendLogin } from '../../src/auth/backend-login.js';
import {
  type BackendCredentials,
  Md5Credentials,
  NoCredentials,
  PasswordCredentials,
} from '../../src/auth/credentials.js';
import { md5Hash } from '../../src/auth/md5.js';
import { ScramVerifier, deriveScramKeys, verifierOf } from '../../src/auth/scram.js';
import { UserDirectory, type UserQueryRow } from '../../src/auth/users.js';
import type { PostgresServer } from '../../src/cli/demo/postgres/server.js';
import { SwitchyardError } from '../../src/errors.js';
import { systemClock } from '../../src/util/clock.js';
import { createPostgres, sql } from '../support/postgres-server.js';
import { RawClient, RawError } from '../support/raw-client.js';
import { backend, frontend } from '../support/raw-messages.js';
import { LoginServer, type LoginServerOptions } from './auth-login-server.js';

const run = promisify(execFile);
const PROGRAM_TIMEOUT_MS = 20_000;
const password = 'pässword with "quotes" and \u2168';

let postgres: PostgresServer;

before(async () => {
  const method = (user: string, name: string) => `host all ${user} 127.0.0.1/32 ${name}`;
  postgres = await createPostgres({
    hba: [
      method('by_trust', 'trust'),
      method('by_password', 'password'),
      method('by_md5', 'md5'),
      method('by_reject', 'reject'),
      'host all all 127.0.0.1/32 scram-sha-256',
    ],
  });
  await postgres.start();
  for (const user of ['by_trust', 'by_password', 'by_scram', 'by_reject', 'changed']) {
    await sql(postgres, `create role ${user} login password '${password}'`);
  }
  await sql(postgres, `set password_encryption = md5; create role by_md5 login password '${password}'`);
});

after(async () => {
  await postgres.close();
});

/** Logs in to PostgreSQL with these credentials and says as whom. */
async function logIn(user: string, credentials: BackendCredentials): Promise<string> {
  const client = await RawClient.connect({ port: postgres.port });
  try {
    client.send(frontend.startup({ user, database: 'postgres' }));
    const login = new BackendLogin(user, credentials);
    while (!login.isDone) {
      const message = await client.read();
      assert.ok(message);
      if (message.type === 'E') throw new RawError(backend.errorFields(message.body));
      assert.equal(message.type, 'R');
      const step = await login.onAuthentication(message.body);
      if (step.kind === 'send') client.send(step.bytes);
    }
    const greeting = await client.reply();
    assert.equal(greeting.status, 'I');
    const rows = await client.rows('select current_user');
    return String(rows[0]?.[0]);
  } finally {
    client.destroy();
  }
}

async function storedSecret(user: string): Promise<UserQueryRow | null> {
  const rows = await sql(postgres, 'select rolname, rolpassword from pg_authid where rolname = $1', { values: [user] });
  const row = rows[0];
  return row === undefined ? null : { name: String(row['rolname']), secret: row['rolpassword'] as string | null };
}

function directoryOfCluster(): UserDirectory {
  return new UserDirectory({ users: [], userlist: [], runQuery: storedSecret, queryCacheMs: 0 }, systemClock);
}

async function psql(port: number, user: string, given: string, options = ''): Promise<{ readonly output: string }> {
  const conninfo = `host=127.0.0.1 port=${port} user=${user} dbname=postgres ${options}`;
  const env = { ...process.env, PGPASSWORD: given };
  try {
    const { stdout } = await run('psql', ['-X', '-c', 'select', conninfo], { env, timeout: PROGRAM_TIMEOUT_MS });
    return { output: stdout };
  } catch (error) {
    return { output: (error as { stderr: string }).stderr };
  }
}

async function nodePostgres(port: number, user: string, given: string): Promise<string> {
  const client = new Client({ host: '127.0.0.1', port, user, password: given, database: 'postgres' });
  client.on('error', () => {});
  try {
    await client.connect();
    return 'in';
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    return `${code}: ${message}`;
  } finally {
    await client.end().catch(() => {});
  }
}

test('a password logs in to a node by every method', async () => {
  for (const user of ['by_trust', 'by_password', 'by_md5', 'by_scram']) {
    assert.equal(await logIn(user, new PasswordCredentials(password)), user);
  }
});

test('an md5 hash logs in where the node asks for md5, and nothing is enough where it trusts us', async () => {
  const stored = await storedSecret('by_md5');
  assert.equal(stored?.secret, md5Hash(Buffer.from(password), 'by_md5'));
  assert.equal(await logIn('by_md5', new Md5Credentials(stored.secret)), 'by_md5');
  assert.equal(await logIn('by_trust', new NoCredentials()), 'by_trust');
});

test('the refusal of a node comes through, and what we cannot answer is said', async () => {
  const refused = (code: string) => (error: unknown) => error instanceof RawError && error.fields.code === code;
  for (const user of ['by_password', 'by_md5', 'by_scram']) {
    await assert.rejects(logIn(user, new PasswordCredentials('wrong')), refused('28P01'), user);
  }
  await assert.rejects(logIn('by_reject', new PasswordCredentials(password)), refused('28000'));
  await assert.rejects(
    logIn('by_scram', new NoCredentials()),
    (error) => error instanceof SwitchyardError && /asks for method scram-sha-256/.test(error.message),
  );
});

test('a verifier of PostgreSQL is read, written back the same, and is what we derive', async () => {
  const text = (await storedSecret('by_scram'))?.secret ?? '';
  const stored = ScramVerifier.parse(text);
  assert.ok(stored);
  assert.equal(stored.format(), text);
  const derived = verifierOf(await deriveScramKeys(Buffer.from(password), stored), stored);
  assert.equal(derived.format(), text);
});

test('passwords are prepared as PostgreSQL prepares them', async () => {
  const passwords = [
    'I\u00adX',
    '\u2168',
    '\u00aa',
    'a\u00a0b\u3000c\u200bd\ufeff',
    'e\u0301\u00e9',
    '\u00ad',
    '\u0627\u0031',
    '\u0627\u0031\u0628',
    'a\u0627',
    'tab\tbell\u0007',
    'x\u0340y',
    'x\u{1f100}',
    'x\u{1f600}',
    'x\u{1e030}',
    'x\u2c7c',
    'x\ufa6c',
    '\u2F868',
    '\ue000',
    '\ufb01',
    'ﷺ',
    '가각',
    '\u1100\u1161',
    'パスワード',
    '\u{10ffff}',
    '\ufdd0',
    '\u06dd',
    'é\u0080',
  ];
  await sql(postgres, 'create role unicode login');
  for (const each of passwords) {
    const quoted = `'${each.replaceAll("'", "''")}'`;
    await sql(postgres, `alter role unicode password ${quoted}`);
    const text = (await storedSecret('unicode'))?.secret ?? '';
    const stored = ScramVerifier.parse(text);
    assert.ok(stored);
    const derived = verifierOf(await deriveScramKeys(Buffer.from(each), stored), stored);
    assert.equal(derived.format(), text, `password ${JSON.stringify(each)}`);
  }
});

test('the ClientKey that a real client proves logs in to the node', async (t) => {
  const server = await LoginServer.start(t, { method: 'scram-sha-256', directory: directoryOfCluster() });
  assert.equal(await nodePostgres(server.port, 'by_scram', password), 'in');
  await psql(server.port, 'by_scram', password);
  assert.equal(server.accepted.length, 2, server.refusals.join());
  for (const credentials of server.accepted) {
    assert.equal(credentials.kind, 'scram-keys');
    assert.equal(await logIn('by_scram', credentials), 'by_scram');
  }
});

test('keys of a password that was changed meanwhile are refused with the reason', async (t) => {
  const server = await LoginServer.start(t, { method: 'scram-sha-256', directory: directoryOfCluster() });
  assert.equal(await nodePostgres(server.port, 'changed', password), 'in');
  const [credentials] = server.accepted;
  assert.ok(credentials);
  await sql(postgres, `alter role changed password 'other'`);
  await assert.rejects(
    logIn('changed', credentials),
    (error) =>
      error instanceof SwitchyardError && /verifier of user "changed" differs on this node/.test(error.message),
  );
});

test('real clients log in with every method, and are refused alike whether the user exists or not', async (t) => {
  const directory = new UserDirectory(
    {
      users: [{ name: 'plain', password, verifier: null }],
      userlist: [],
      runQuery: storedSecret,
      queryCacheMs: 1000,
    },
    systemClock,
  );
  for (const method of ['password', 'md5', 'scram-sha-256'] as const) {
    const server = await LoginServer.start(t, { method, directory });
    const users = method === 'scram-sha-256' ? ['plain', 'by_scram'] : ['plain', 'by_scram', 'by_md5'];
    for (const user of users) {
      assert.equal(await nodePostgres(server.port, user, password), 'in', `${method} ${user}`);
      const { output } = await psql(server.port, user, password);
      assert.ok(!output.includes('failed'), `${method} ${user}: ${output}`);
    }
    assert.equal(server.accepted.length, 2 * users.length, server.refusals.join());
    for (const user of ['plain', 'by_scram', 'by_md5', 'nobody']) {
      const refusal = `28P01: password authentication failed for user "${user}"`;
      assert.equal(await nodePostgres(server.port, user, 'wrong'), refusal, method);
      const { output } = await psql(server.port, user, 'wrong');
      assert.match(output, new RegExp(`FATAL: +password authentication failed for user "${user}"`), method);
    }
    assert.equal(server.accepted.length, 2 * users.length);
  }
});

test('libpq binds the channel where it can, and is refused when somebody else ended its TLS connection', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'switchyard-auth-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const files = ['-keyout', join(folder, 'key.pem'), '-out', join(folder, 'cert.pem')];
  const made = ['req', '-x509', '-newkey', 'rsa:2048', '-sha256', '-nodes', '-days', '2', '-subj', '/CN=localhost'];
  await run('openssl', [...made, ...files], { timeout: PROGRAM_TIMEOUT_MS });
  const key = await readFile(join(folder, 'key.pem'), 'utf8');
  const cert = await readFile(join(folder, 'cert.pem'), 'utf8');
  const hash = createHash('sha256').update(new X509Certificate(cert).raw).digest();
  const start = (channelBinding: Buffer | null) => {
    const options: LoginServerOptions = {
      method: 'scram-sha-256',
      directory: directoryOfCluster(),
      tls: { key, cert, channelBinding },
    };
    return LoginServer.start(t, options);
  };

  const bound = await start(hash);
  await psql(bound.port, 'by_scram', password, 'sslmode=require channel_binding=require');
  assert.equal(bound.accepted.length, 1, bound.refusals.join());
  assert.deepEqual(bound.mechanisms, ['SCRAM-SHA-256-PLUS']);
  const [credentials] = bound.accepted;
  assert.ok(credentials);
  assert.equal(await logIn('by_scram', credentials), 'by_scram');

  const unbound = await start(null);
  await psql(unbound.port, 'by_scram', password, 'sslmode=require channel_binding=prefer');
  assert.equal(unbound.accepted.length, 1, unbound.refusals.join());
  assert.deepEqual(unbound.mechanisms, ['SCRAM-SHA-256']);

  const between = await start(Buffer.alloc(32, 1));
  const { output } = await psql(between.port, 'by_scram', password, 'sslmode=require channel_binding=require');
  assert.match(output, /SCRAM channel binding check failed/);
  assert.equal(between.accepted.length, 0);
});
