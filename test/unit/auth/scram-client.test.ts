import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SwitchyardError } from '../../../src/errors.js';
import { PasswordCredentials, ScramKeyCredentials } from '../../../src/auth/credentials.js';
import { ScramClient, keysOfPassword, recoveredKeys } from '../../../src/auth/scram-client.js';
import {
  SCRAM_ITERATIONS_MAX,
  type ScramKeys,
  type ScramParameters,
  deriveScramKeys,
  serverSignature,
} from '../../../src/auth/scram.js';

const parameters = { salt: Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64'), iterations: 4096 };
const keys = await deriveScramKeys(Buffer.from('pencil'), parameters);
const known = async (): Promise<ScramKeys> => keys;

function refusal(code: string, text: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof SwitchyardError, String(error));
    assert.equal(error.code, code);
    assert.match(`${error.message}: ${error.detail}`, text);
    return true;
  };
}

test('the first message names no user and binds no channel', () => {
  assert.equal(new ScramClient(known, 'abc').first(), 'n,,n=,r=abc');
});

test('broken first messages of a node are refused', async () => {
  const messages: readonly (readonly [string, RegExp])[] = [
    ['', /message is empty/],
    ['s=AAAA,r=abcd,i=1', /Expected attribute "r"/],
    ['r=abX,s=AAAA,i=1', /Nonce does not match/],
    ['r=abc,s=AAAA,i=1', /Nonce does not match/],
    ['r=xabcd,s=AAAA,i=1', /Nonce does not match/],
    ['r=abc d,s=AAAA,i=1', /Nonce does not match/],
    ['r=abcd,s=,i=1', /Invalid salt/],
    ['r=abcd,s=A*AA,i=1', /Invalid salt/],
    ['r=abcd,s=AAAA', /Expected attribute "i" but found "0x00"/],
    ['r=abcd,s=AAAA,i=0', /Invalid iteration count/],
    ['r=abcd,s=AAAA,i=-5', /Invalid iteration count/],
    ['r=abcd,s=AAAA,i=99999999999', /Invalid iteration count/],
    ['m=x,r=abcd,s=AAAA,i=1', /Expected attribute "r"/],
  ];
  for (const [message, text] of messages) {
    await assert.rejects(new ScramClient(known, 'abc').final(message), refusal('backend_protocol_violation', text));
  }
});

test('a node that does not know the verifier is not believed', async () => {
  const serverFirst = 'r=abcd,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096';
  const begun = async () => {
    const client = new ScramClient(known, 'abc');
    const final = await client.final(serverFirst);
    return { client, authMessage: `n=,r=abc,${serverFirst},${final.slice(0, final.lastIndexOf(',p='))}` };
  };
  const right = await begun();
  right.client.verify(`v=${serverSignature(keys.serverKey, right.authMessage).toString('base64')}`);

  const wrong = await begun();
  const forged = serverSignature(Buffer.alloc(32, 1), wrong.authMessage).toString('base64');
  assert.throws(() => wrong.client.verify(`v=${forged}`), refusal('backend_login_failed', /could not prove/));
  assert.throws(
    () => wrong.client.verify('e=other-error'),
    refusal('backend_login_failed', /refused the SCRAM exchange: other-error/),
  );
  assert.throws(() => wrong.client.verify('v=AAAA'), refusal('backend_protocol_violation', /Invalid server signature/));
  assert.throws(() => wrong.client.verify(''), refusal('backend_protocol_violation', /empty/));
  const early = new ScramClient(known, 'abc');
  assert.throws(() => early.verify(`v=${forged}`), refusal('backend_login_failed', /could not prove/));
});

test('a node that asks for too much work is refused before any is done', async () => {
  let derivations = 0;
  const source = keysOfPassword(new PasswordCredentials('x'), async () => {
    derivations += 1;
    return keys;
  });
  const client = new ScramClient(source, 'abc');
  await assert.rejects(
    client.final(`r=abcd,s=AAAA,i=${SCRAM_ITERATIONS_MAX + 1}`),
    refusal('backend_login_failed', /too many SCRAM iterations: It asks for 2000001/),
  );
  assert.equal(derivations, 0);
});

test('keys of a log-in are used for the very verifier that they come from, and for no other', async () => {
  const source = recoveredKeys(new ScramKeyCredentials(keys, parameters), 'app');
  assert.equal(await source({ salt: Buffer.from(parameters.salt), iterations: 4096 }), keys);
  for (const other of [
    { ...parameters, iterations: 4097 },
    { ...parameters, salt: Buffer.alloc(16) },
  ]) {
    await assert.rejects(source(other), refusal('backend_login_failed', /verifier of user "app" differs on this node/));
  }
});

test('the keys of a password are derived once for all nodes that name the same salt', async () => {
  let derivations = 0;
  const derive = async (password: Buffer, given: ScramParameters) => {
    derivations += 1;
    return deriveScramKeys(password, given);
  };
  const credentials = new PasswordCredentials('pencil');
  const source = keysOfPassword(credentials, derive);
  const [one, two] = await Promise.all([source(parameters), source({ ...parameters })]);
  assert.equal(one, two);
  assert.deepEqual(one.clientKey, keys.clientKey);
  assert.equal(derivations, 1);
  const other = await source({ ...parameters, iterations: 2 });
  assert.notDeepEqual(other.clientKey, keys.clientKey);
  assert.equal(derivations, 2);
});

test('a derivation that failed is tried again', async () => {
  let derivations = 0;
  const credentials = new PasswordCredentials('pencil');
  const source = keysOfPassword(credentials, async () => {
    derivations += 1;
    if (derivations === 1) throw new Error('busy');
    return keys;
  });
  await assert.rejects(source(parameters), /busy/);
  assert.equal(await source(parameters), keys);
});
