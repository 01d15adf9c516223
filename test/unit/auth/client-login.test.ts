import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serialize } from 'pg-protocol';
import { ClientLogin, type LoginStep } from '../../../src/auth/client-login.js';
import { LoginSecrets } from '../../../src/auth/login-secrets.js';
import { md5Hash, md5Response } from '../../../src/auth/md5.js';
import { ScramClient } from '../../../src/auth/scram-client.js';
import { SCRAM_ITERATIONS_MAX, type ScramParameters, deriveScramKeys, verifierOf } from '../../../src/auth/scram.js';
import { UserDirectory, type UserQuery } from '../../../src/auth/users.js';
import type { AuthMethod } from '../../../src/config/auth-schema.js';
import { FakeClock } from '../../support/fake-clock.js';

const parameters = { salt: Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64'), iterations: 4096 };
const scramKeys = await deriveScramKeys(Buffer.from('pencil'), parameters);
const verifier = verifierOf(scramKeys, parameters);

const users = [
  { name: 'plain', password: 'pencil', verifier: null },
  { name: 'md5', password: null, verifier: md5Hash(Buffer.from('pencil'), 'md5') },
  { name: 'scram', password: null, verifier: verifier.format() },
];
const known = users.map((user) => user.name);

interface World {
  readonly directory: UserDirectory;
  readonly secrets: LoginSecrets;
  readonly login: (method: AuthMethod, user: string, channelBinding?: Buffer | null) => ClientLogin;
  derivations: number;
}

function world(from: { readonly names?: readonly string[]; readonly runQuery?: UserQuery } = {}): World {
  const names = from.names ?? known;
  const directory = new UserDirectory(
    {
      users: users.filter((user) => names.includes(user.name)),
      userlist: [],
      runQuery: from.runQuery ?? null,
      queryCacheMs: 30_000,
    },
    new FakeClock(),
  );
  const made: World = {
    directory,
    secrets: new LoginSecrets({
      derive: (password: Buffer, given: ScramParameters) => {
        made.derivations += 1;
        return deriveScramKeys(password, given);
      },
    }),
    login: (method, user, channelBinding = null) =>
      new ClientLogin({ method, user, database: 'db', directory, secrets: made.secrets, channelBinding }),
    derivations: 0,
  };
  return made;
}

/** Code and data of the Authentication message of a step. */
function sent(step: LoginStep): { readonly code: number; readonly data: Buffer } {
  assert.ok(step.kind === 'send', step.kind === 'fail' ? `${step.error.message} (${step.logDetail})` : step.kind);
  return messageOf(step.bytes);
}

function messageOf(bytes: Buffer): { readonly code: number; readonly data: Buffer } {
  assert.equal(bytes.toString('latin1', 0, 1), 'R');
  assert.equal(bytes.readInt32BE(1), bytes.length - 1);
  return { code: bytes.readInt32BE(5), data: bytes.subarray(9) };
}

function failed(step: LoginStep, sqlState: string, message: RegExp, logDetail: RegExp = /./): void {
  assert.ok(step.kind === 'fail', step.kind);
  assert.equal(step.error.sqlState, sqlState);
  assert.match(step.error.message, message);
  assert.match(step.logDetail, logDetail);
}

function wrongPassword(step: LoginStep, user: string, logDetail: RegExp): void {
  failed(step, '28P01', new RegExp(`^password authentication failed for user "${user}"$`), logDetail);
  assert.ok(step.kind === 'fail');
  assert.equal(step.error.detail, null);
  assert.equal(step.error.hint, null);
}

const bodyOf = (message: Buffer): Buffer => message.subarray(5);
const passwordBody = (text: string): Buffer => bodyOf(serialize.password(text));

/** Goes through a SCRAM exchange as libpq does. */
async function scramLogin(login: ClientLogin, password: string): Promise<LoginStep> {
  const client = new ScramClient((given) => deriveScramKeys(Buffer.from(password), given));
  const list = sent(await login.begin());
  assert.equal(list.code, 10);
  assert.equal(list.data.toString('latin1'), 'SCRAM-SHA-256\0\0');
  const initial = serialize.sendSASLInitialResponseMessage('SCRAM-SHA-256', client.first());
  const serverFirst = sent(await login.onPasswordMessage(bodyOf(initial)));
  assert.equal(serverFirst.code, 11);
  const final = await client.final(serverFirst.data.toString('latin1'));
  const step = await login.onPasswordMessage(bodyOf(serialize.sendSCRAMClientFinalMessage(final)));
  if (step.kind === 'ok') {
    assert.ok(step.bytes);
    const serverFinal = messageOf(step.bytes);
    assert.equal(serverFinal.code, 12);
    client.verify(serverFinal.data.toString('latin1'));
  }
  return step;
}

async function md5Login(login: ClientLogin, user: string, password: string): Promise<LoginStep> {
  const asked = sent(await login.begin());
  assert.equal(asked.code, 5);
  assert.equal(asked.data.length, 4);
  return login.onPasswordMessage(passwordBody(md5Response(md5Hash(Buffer.from(password), user), asked.data)));
}

async function passwordLogin(login: ClientLogin, password: string): Promise<LoginStep> {
  const asked = sent(await login.begin());
  assert.equal(asked.code, 3);
  assert.equal(asked.data.length, 0);
  return login.onPasswordMessage(passwordBody(password));
}

test('SCRAM gives the recovered keys of a verifier, and the password where it is known', async () => {
  const { login } = world();
  const byVerifier = await scramLogin(login('scram-sha-256', 'scram'), 'pencil');
  assert.ok(byVerifier.kind === 'ok' && byVerifier.credentials.kind === 'scram-keys');
  assert.deepEqual(byVerifier.credentials.keys.clientKey, scramKeys.clientKey);
  assert.deepEqual(byVerifier.credentials.keys.serverKey, scramKeys.serverKey);
  assert.deepEqual(byVerifier.credentials.parameters.salt, parameters.salt);
  assert.equal(byVerifier.credentials.parameters.iterations, 4096);

  const byPassword = await scramLogin(login('scram-sha-256', 'plain'), 'pencil');
  assert.ok(byPassword.kind === 'ok' && byPassword.credentials.kind === 'password');
  assert.equal(byPassword.credentials.password.toString(), 'pencil');
});

test('SCRAM fails in the same way for a wrong password, an md5 hash and a user who does not exist', async () => {
  const { login } = world();
  wrongPassword(await scramLogin(login('scram-sha-256', 'scram'), 'x'), 'scram', /Password does not match/);
  wrongPassword(await scramLogin(login('scram-sha-256', 'plain'), 'x'), 'plain', /Password does not match/);
  wrongPassword(await scramLogin(login('scram-sha-256', 'md5'), 'pencil'), 'md5', /not have a valid SCRAM secret/);
  wrongPassword(await scramLogin(login('scram-sha-256', 'who'), 'x'), 'who', /Role "who" does not exist/);
});

async function serverFirstOf(login: ClientLogin): Promise<string> {
  await login.begin();
  const initial = serialize.sendSASLInitialResponseMessage('SCRAM-SHA-256', 'n,,n=,r=abc');
  return sent(await login.onPasswordMessage(bodyOf(initial))).data.toString('latin1');
}

test('the salt of a user is the same at every try, and another for every user, known or not', async () => {
  const { login } = world();
  const saltOf = async (user: string) => {
    const match = /,s=([^,]{24}),i=4096$/.exec(await serverFirstOf(login('scram-sha-256', user)));
    assert.ok(match, user);
    return match[1];
  };
  const names = ['plain', 'md5', 'scram', 'who', 'whoelse'];
  const first = await Promise.all(names.map(saltOf));
  assert.deepEqual(await Promise.all(names.map(saltOf)), first);
  assert.equal(new Set(first).size, names.length);
  const otherProcess = world();
  assert.ok(!(await serverFirstOf(otherProcess.login('scram-sha-256', 'who'))).includes(String(first[3])));
});

test('every first SCRAM exchange of a name derives once where passwords are known, none where they are not', async () => {
  const mixed = world();
  for (const [index, user] of ['plain', 'scram', 'md5', 'who'].entries()) {
    await serverFirstOf(mixed.login('scram-sha-256', user));
    await serverFirstOf(mixed.login('scram-sha-256', user));
    assert.equal(mixed.derivations, index + 1, user);
  }
  const verifiers = world({ names: ['scram', 'md5'] });
  for (const user of ['scram', 'md5', 'who']) {
    await serverFirstOf(verifiers.login('scram-sha-256', user));
  }
  assert.equal(verifiers.derivations, 0);
});

test('a changed password is derived anew', async () => {
  const w = world();
  await scramLogin(w.login('scram-sha-256', 'plain'), 'pencil');
  w.directory.replace({
    users: [{ name: 'plain', password: 'changed', verifier: null }],
    userlist: [],
    runQuery: null,
    queryCacheMs: 0,
  });
  wrongPassword(await scramLogin(w.login('scram-sha-256', 'plain'), 'pencil'), 'plain', /does not match/);
  assert.equal((await scramLogin(w.login('scram-sha-256', 'plain'), 'changed')).kind, 'ok');
});

test('a client may name the mechanism first and begin the exchange afterwards', async () => {
  const { login } = world();
  const exchange = login('scram-sha-256', 'scram');
  await exchange.begin();
  const challenge = sent(await exchange.onPasswordMessage(Buffer.from('SCRAM-SHA-256\0\xff\xff\xff\xff', 'latin1')));
  assert.deepEqual([challenge.code, challenge.data.length], [11, 0]);
  const client = new ScramClient(async () => scramKeys);
  const serverFirst = sent(await exchange.onPasswordMessage(Buffer.from(client.first())));
  const final = await client.final(serverFirst.data.toString('latin1'));
  assert.equal((await exchange.onPasswordMessage(Buffer.from(final))).kind, 'ok');
});

test('SCRAM-SHA-256-PLUS is offered where the channel can be bound', async () => {
  const { login } = world();
  const list = sent(await login('scram-sha-256', 'scram', Buffer.alloc(32)).begin());
  assert.equal(list.data.toString('latin1'), 'SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0');
});

test('md5 is checked against a hash and against a password', async () => {
  const { login } = world();
  const byHash = await md5Login(login('md5', 'md5'), 'md5', 'pencil');
  assert.ok(byHash.kind === 'ok' && byHash.bytes === null && byHash.credentials.kind === 'md5');
  assert.equal(byHash.credentials.hash, md5Hash(Buffer.from('pencil'), 'md5'));
  const byPassword = await md5Login(login('md5', 'plain'), 'plain', 'pencil');
  assert.ok(byPassword.kind === 'ok' && byPassword.credentials.kind === 'password');

  wrongPassword(await md5Login(login('md5', 'md5'), 'md5', 'x'), 'md5', /does not match/);
  wrongPassword(await md5Login(login('md5', 'plain'), 'plain', 'x'), 'plain', /does not match/);
});

test('method md5 is SCRAM for a user with a SCRAM verifier', async () => {
  const step = await scramLogin(world().login('md5', 'scram'), 'pencil');
  assert.ok(step.kind === 'ok' && step.credentials.kind === 'scram-keys');
});

test('method md5 asks an unknown user for what it asks most of the known ones', async () => {
  wrongPassword(await md5Login(world().login('md5', 'who'), 'who', 'x'), 'who', /does not exist/);
  const { login } = world({ names: ['scram'] });
  wrongPassword(await scramLogin(login('md5', 'who'), 'x'), 'who', /does not exist/);
});

test('every md5 request has its own salt', async () => {
  const { login } = world();
  const salts = await Promise.all(
    [1, 2, 3, 4].map(async () => sent(await login('md5', 'md5').begin()).data.toString('hex')),
  );
  assert.equal(new Set(salts).size, 4);
});

test('a password in clear is checked against every kind of secret, and kept for the nodes', async () => {
  const { login } = world();
  for (const user of known) {
    const step = await passwordLogin(login('password', user), 'pencil');
    assert.ok(step.kind === 'ok' && step.bytes === null && step.credentials.kind === 'password', user);
    assert.equal(step.credentials.password.toString(), 'pencil');
  }
  for (const user of known) {
    wrongPassword(await passwordLogin(login('password', user), 'pencil2'), user, /does not match/);
  }
  wrongPassword(await passwordLogin(login('password', 'who'), 'pencil'), 'who', /does not exist/);
});

test('the kept password does not depend on the message that it came in', async () => {
  const login = world().login('password', 'md5');
  await login.begin();
  const body = passwordBody('pencil');
  const step = await login.onPasswordMessage(body);
  body.fill(0);
  assert.ok(step.kind === 'ok' && step.credentials.kind === 'password');
  assert.equal(step.credentials.password.toString(), 'pencil');
});

test('every refused password takes one derivation', async () => {
  for (const user of [...known, 'who']) {
    const w = world();
    await passwordLogin(w.login('password', user), 'wrong');
    assert.equal(w.derivations, 1, user);
  }
});

test('a verifier with too many iterations is not computed for a password in clear', async () => {
  const costly = verifier.format().replace('4096', String(SCRAM_ITERATIONS_MAX + 1));
  const w = world({ runQuery: async (name) => ({ name, secret: costly }) });
  wrongPassword(await passwordLogin(w.login('password', 'costly'), 'pencil'), 'costly', /more than 2000000 iterations/);
});

test('an empty password is refused as PostgreSQL refuses it', async () => {
  failed(await passwordLogin(world().login('password', 'plain'), ''), '28P01', /empty password returned by client/);
});

test('trust asks nothing and gives what is known', async () => {
  const { login } = world();
  const kinds = await Promise.all(
    ['plain', 'md5', 'scram', 'who'].map(async (user) => {
      const step = await login('trust', user).begin();
      assert.ok(step.kind === 'ok');
      return step.credentials.kind;
    }),
  );
  assert.deepEqual(kinds, ['password', 'md5', 'none', 'none']);
});

test('reject refuses at once', async () => {
  failed(await world().login('reject', 'plain').begin(), '28000', /user "plain" to database "db" is rejected/);
});

test('a look-up that fails is not a wrong password', async () => {
  for (const method of ['scram-sha-256', 'md5', 'password', 'trust'] as const) {
    const { login } = world({ runQuery: () => Promise.reject(new Error('no node answers')) });
    failed(await login(method, 'who').begin(), '57P03', /^cannot look up user "who"$/, /no node answers/);
  }
});

test('a password that was changed in the cluster works at the next try', async () => {
  const clock = new FakeClock();
  let secret = 'old';
  const directory = new UserDirectory(
    { users: [], userlist: [], runQuery: async (name) => ({ name, secret }), queryCacheMs: 60_000 },
    clock,
  );
  const { secrets } = world();
  const login = () =>
    new ClientLogin({ method: 'scram-sha-256', user: 'a', database: 'a', directory, secrets, channelBinding: null });
  assert.equal((await scramLogin(login(), 'old')).kind, 'ok');
  secret = 'new';
  clock.advance(1_000);
  assert.equal((await scramLogin(login(), 'new')).kind, 'fail');
  assert.equal((await scramLogin(login(), 'new')).kind, 'ok');
});

test('broken messages end the log-in with a protocol violation', async () => {
  const sasl = ['', 'SCRAM-SHA-256', 'SCRAM-SHA-256\0', 'SCRAM-SHA-256\0\0\0\0\x05abc', 'SCRAM-SHA-256\0\0\0\0\x01abc'];
  const { login } = world();
  for (const text of [...sasl, 'SCRAM-SHA-256\0\xff\xff\xff\xfe', 'PLAIN\0\0\0\0\0', 'x'.repeat(1025)]) {
    const exchange = login('scram-sha-256', 'scram');
    await exchange.begin();
    failed(await exchange.onPasswordMessage(Buffer.from(text, 'latin1')), '08P01', /./);
    failed(await exchange.onPasswordMessage(Buffer.from('x\0')), '08P01', /unexpected password message/);
  }
  for (const text of ['', 'x', 'a\0b\0', `${'x'.repeat(65_535)}\0`]) {
    for (const method of ['password', 'md5'] as const) {
      const exchange = login(method, 'md5');
      await exchange.begin();
      failed(await exchange.onPasswordMessage(Buffer.from(text, 'latin1')), '08P01', /invalid password packet size/);
    }
  }
});

test('messages that come when none is due end the log-in', async () => {
  const { login } = world();
  const early = login('password', 'plain');
  failed(await early.onPasswordMessage(passwordBody('pencil')), '08P01', /unexpected password message/);
  failed(await early.begin(), '08P01', /unexpected/);

  const twice = login('password', 'plain');
  await twice.begin();
  failed(await twice.begin(), '08P01', /unexpected/);

  const late = login('password', 'plain');
  assert.equal((await passwordLogin(late, 'pencil')).kind, 'ok');
  failed(await late.onPasswordMessage(passwordBody('pencil')), '08P01', /unexpected/);

  // The second message comes while the first one is being checked.
  const eager = login('password', 'scram');
  await eager.begin();
  const both = await Promise.all([
    eager.onPasswordMessage(passwordBody('pencil')),
    eager.onPasswordMessage(passwordBody('pencil')),
  ]);
  for (const step of both) {
    failed(step, '08P01', /unexpected/);
  }
  failed(await eager.onPasswordMessage(passwordBody('pencil')), '08P01', /unexpected/);
});
