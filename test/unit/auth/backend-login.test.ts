import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BackendLogin, type BackendLoginStep } from '../../../src/auth/backend-login.js';
import {
  type BackendCredentials,
  Md5Credentials,
  NoCredentials,
  PasswordCredentials,
  ScramKeyCredentials,
} from '../../../src/auth/credentials.js';
import { md5Hash, md5Response } from '../../../src/auth/md5.js';
import { ScramServer } from '../../../src/auth/scram-server.js';
import { SCRAM_ITERATIONS_MAX, type ScramVerifier, deriveScramKeys, verifierOf } from '../../../src/auth/scram.js';
import { SwitchyardError } from '../../../src/errors.js';

const parameters = { salt: Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64'), iterations: 4096 };
const keys = await deriveScramKeys(Buffer.from('pencil'), parameters);
const verifier = verifierOf(keys, parameters);

const credentials = {
  password: new PasswordCredentials('pencil'),
  md5: new Md5Credentials(md5Hash(Buffer.from('pencil'), 'app')),
  scramKeys: new ScramKeyCredentials(keys, verifier),
  none: new NoCredentials(),
};

function body(code: number, data: Buffer | string = ''): Buffer {
  const head = Buffer.alloc(4);
  head.writeInt32BE(code);
  return Buffer.concat([head, typeof data === 'string' ? Buffer.from(data, 'latin1') : data]);
}

const ok = body(0);
const cleartext = body(3);
const md5 = body(5, 'salt');
const sasl = body(10, 'SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0');

/** Body of the password message of a step. */
function sent(step: BackendLoginStep): Buffer {
  assert.ok(step.kind === 'send', step.kind);
  assert.equal(step.bytes.toString('latin1', 0, 1), 'p');
  assert.equal(step.bytes.readInt32BE(1), step.bytes.length - 1);
  return step.bytes.subarray(5);
}

function refusal(code: string, text: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof SwitchyardError, String(error));
    assert.equal(error.code, code);
    assert.match(`${error.message} | ${error.detail} | ${error.hint}`, text);
    return true;
  };
}

/** The node's side of a SCRAM log-in; returns its last message, or null when it refuses. */
async function scram(login: BackendLogin, of: ScramVerifier = verifier): Promise<Buffer | null> {
  const initial = sent(await login.onAuthentication(sasl));
  assert.equal(initial.toString('latin1', 0, 14), 'SCRAM-SHA-256\0');
  assert.equal(initial.readInt32BE(14), initial.length - 18);
  const server = new ScramServer('SCRAM-SHA-256', { verifier: of, isDoomed: false, channelBinding: null });
  const serverFirst = server.first(initial.toString('latin1', 18));
  const final = sent(await login.onAuthentication(body(11, serverFirst)));
  const accepted = server.final(final.toString('latin1'));
  return accepted === null ? null : body(12, accepted.serverFinal);
}

test('a node that trusts us asks for nothing', async () => {
  for (const each of Object.values(credentials)) {
    const login = new BackendLogin('app', each);
    assert.equal(login.isDone, false);
    assert.deepEqual(await login.onAuthentication(ok), { kind: 'ok' });
    assert.equal(login.isDone, true);
  }
});

test('a password is sent as its very bytes', async () => {
  const bytes = Buffer.from([0x70, 0xe9, 0xff]);
  const login = new BackendLogin('app', new PasswordCredentials(bytes));
  assert.deepEqual(sent(await login.onAuthentication(cleartext)), Buffer.concat([bytes, Buffer.from([0])]));
  assert.deepEqual(await login.onAuthentication(ok), { kind: 'ok' });
});

test('md5 is answered from a password and from a hash', async () => {
  const expected = `${md5Response(md5Hash(Buffer.from('pencil'), 'app'), Buffer.from('salt'))}\0`;
  for (const each of [credentials.password, credentials.md5]) {
    const login = new BackendLogin('app', each);
    assert.equal(sent(await login.onAuthentication(md5)).toString('latin1'), expected);
    assert.deepEqual(await login.onAuthentication(ok), { kind: 'ok' });
  }
});

test('SCRAM is answered from a password and from recovered keys', async () => {
  for (const each of [credentials.password, credentials.scramKeys]) {
    const login = new BackendLogin('app', each);
    const final = await scram(login);
    assert.ok(final);
    assert.deepEqual(await login.onAuthentication(final), { kind: 'wait' });
    assert.equal(login.isDone, false);
    assert.deepEqual(await login.onAuthentication(ok), { kind: 'ok' });
  }
});

test('what the node asks for and what we have is said when they do not fit', async () => {
  const cases: readonly (readonly [Buffer, BackendCredentials, RegExp])[] = [
    [cleartext, credentials.md5, /asks for method password for user "app", but only its md5 hash is known/],
    [
      cleartext,
      credentials.scramKeys,
      /method password .* keys of its SCRAM log-in .*Use scram-sha-256 in pg_hba.conf/,
    ],
    [cleartext, credentials.none, /method password .* no password of it is known .*auth.users/],
    [md5, credentials.scramKeys, /method md5 .* keys of its SCRAM log-in are known .*Use scram-sha-256 in pg_hba.conf/],
    [md5, credentials.none, /method md5 .* no password of it is known/],
    [sasl, credentials.md5, /method scram-sha-256 .* only its md5 hash is known .*store a SCRAM verifier/],
    [sasl, credentials.none, /method scram-sha-256 .* no password of it is known/],
  ];
  for (const [message, each, text] of cases) {
    await assert.rejects(
      new BackendLogin('app', each).onAuthentication(message),
      refusal('backend_login_failed', text),
    );
  }
});

test('methods that are not supported are named', async () => {
  const names: readonly (readonly [number, RegExp])[] = [
    [2, /Kerberos V5/],
    [6, /SCM credentials/],
    [7, /GSSAPI/],
    [9, /SSPI/],
    [77, /number 77/],
  ];
  for (const [code, name] of names) {
    const login = new BackendLogin('app', credentials.password);
    await assert.rejects(login.onAuthentication(body(code)), refusal('backend_login_failed', name));
  }
});

test('a node without a mechanism of ours is refused', async () => {
  for (const [list, text] of [
    ['SCRAM-SHA-256-PLUS\0\0', /offers SCRAM-SHA-256-PLUS; supported is SCRAM-SHA-256/],
    ['OAUTHBEARER\0\0', /offers OAUTHBEARER/],
  ] as const) {
    const login = new BackendLogin('app', credentials.password);
    await assert.rejects(login.onAuthentication(body(10, list)), refusal('backend_login_failed', text));
  }
  for (const list of ['', 'SCRAM-SHA-256', 'SCRAM-SHA-256\0']) {
    const login = new BackendLogin('app', credentials.password);
    await assert.rejects(login.onAuthentication(body(10, list)), refusal('backend_protocol_violation', /list/));
  }
});

test('a node that skips its own proof is not believed', async () => {
  const skipping = new BackendLogin('app', credentials.password);
  await scram(skipping);
  await assert.rejects(skipping.onAuthentication(ok), refusal('backend_login_failed', /without proving itself/));
  assert.equal(skipping.isDone, false);

  const earlier = new BackendLogin('app', credentials.password);
  await earlier.onAuthentication(sasl);
  await assert.rejects(earlier.onAuthentication(ok), refusal('backend_login_failed', /without proving itself/));

  const forging = new BackendLogin('app', credentials.scramKeys);
  await scram(forging);
  const forged = body(12, `v=${Buffer.alloc(32, 1).toString('base64')}`);
  await assert.rejects(forging.onAuthentication(forged), refusal('backend_login_failed', /could not prove/));
});

test('a node cannot ask for the password after it has begun with SCRAM', async () => {
  for (const message of [cleartext, md5, sasl]) {
    const login = new BackendLogin('app', credentials.password);
    await login.onAuthentication(sasl);
    await assert.rejects(login.onAuthentication(message), refusal('backend_protocol_violation', /unexpected/));
  }
});

test('messages out of their order, or broken, are violations', async () => {
  const fresh = () => new BackendLogin('app', credentials.password);
  for (const message of [
    body(11, 'r=a'),
    body(12, 'v=a'),
    Buffer.alloc(0),
    Buffer.alloc(3),
    Buffer.alloc(2000),
    body(5, 'abc'),
    body(5, 'abcde'),
  ]) {
    await assert.rejects(fresh().onAuthentication(message), refusal('backend_protocol_violation', /./));
  }
  const done = fresh();
  await done.onAuthentication(ok);
  await assert.rejects(done.onAuthentication(ok), refusal('backend_protocol_violation', /unexpected AuthenticationOk/));
  const asked = fresh();
  await asked.onAuthentication(cleartext);
  await assert.rejects(asked.onAuthentication(cleartext), refusal('backend_protocol_violation', /unexpected/));
});

test('keys of another verifier than the node has are refused before a proof is made', async () => {
  const otherParameters = { salt: Buffer.alloc(16, 1), iterations: 4096 };
  const other = verifierOf(await deriveScramKeys(Buffer.from('pencil'), otherParameters), otherParameters);
  const login = new BackendLogin('app', credentials.scramKeys);
  await assert.rejects(scram(login, other), refusal('backend_login_failed', /differs on this node/));
});

test('a node that names too many iterations is refused to a password, not to keys', async () => {
  const serverFirst = (initial: Buffer) =>
    `${initial.toString('latin1').replace(/^.*,r=/s, 'r=')}x,s=AAAA,i=${SCRAM_ITERATIONS_MAX + 1}`;
  const byPassword = new BackendLogin('app', credentials.password);
  const initial = sent(await byPassword.onAuthentication(sasl));
  await assert.rejects(
    byPassword.onAuthentication(body(11, serverFirst(initial))),
    refusal('backend_login_failed', /too many SCRAM iterations/),
  );
  const costly = { salt: Buffer.from('AAAA', 'base64'), iterations: SCRAM_ITERATIONS_MAX + 1 };
  const byKeys = new BackendLogin('app', new ScramKeyCredentials(keys, costly));
  const step = await byKeys.onAuthentication(body(10, 'SCRAM-SHA-256\0\0'));
  assert.equal((await byKeys.onAuthentication(body(11, serverFirst(sent(step))))).kind, 'send');
});
