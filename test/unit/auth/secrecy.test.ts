import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { BackendLogin } from '../../../src/auth/backend-login.js';
import { ClientLogin } from '../../../src/auth/client-login.js';
import {
  Md5Credentials,
  NoCredentials,
  PasswordCredentials,
  ScramKeyCredentials,
  credentialsEqual,
} from '../../../src/auth/credentials.js';
import { KeyDeriver } from '../../../src/auth/key-deriver.js';
import { LoginSecrets } from '../../../src/auth/login-secrets.js';
import { ScramClient } from '../../../src/auth/scram-client.js';
import { ScramServer } from '../../../src/auth/scram-server.js';
import { ScramKeys, deriveScramKeys, verifierOf } from '../../../src/auth/scram.js';
import { parseSecret } from '../../../src/auth/user-secret.js';
import { parseUserlist } from '../../../src/auth/userlist.js';
import { UserDirectory } from '../../../src/auth/users.js';
import { FakeClock } from '../../support/fake-clock.js';

const password = 'correct-horse';
const md5 = 'md500c31446a25b9a88793fcbad6ee5bfea';
const parameters = { salt: Buffer.from('0123456789abcdef'), iterations: 1 };
const keys = await deriveScramKeys(Buffer.from(password), parameters);
const verifier = verifierOf(keys, parameters);

/** Every way in which a secret could be written down. */
const secretTexts = [Buffer.from(password), Buffer.from(md5), keys.clientKey, keys.storedKey, keys.serverKey].flatMap(
  (bytes) => {
    const hexOfInspect = bytes.toString('hex').replace(/(..)(?!$)/g, '$1 ');
    const numbers = [...bytes].join(',');
    return [bytes.toString('latin1'), bytes.toString('base64'), bytes.toString('hex'), hexOfInspect, numbers];
  },
);

function assertSilent(value: unknown): void {
  const shown = [
    inspect(value, { depth: 20, showHidden: true, maxStringLength: null, maxArrayLength: null }),
    JSON.stringify(value) ?? '',
    String(value),
    JSON.stringify({ ...(value as object) }),
  ].join('\n');
  for (const text of secretTexts) {
    assert.ok(!shown.includes(text), `shows ${text}: ${shown}`);
  }
}

test('nothing that holds a secret shows it to inspect, JSON or a template', async () => {
  const clock = new FakeClock();
  const directory = new UserDirectory(
    {
      users: [
        { name: 'a', password, verifier: null },
        { name: 'b', password: null, verifier: verifier.format() },
        { name: 'c', password: null, verifier: md5 },
      ],
      userlist: parseUserlist(`"d" "${password}"`).entries,
      runQuery: async (name) => ({ name, secret: verifier.format() }),
      queryCacheMs: 1000,
    },
    clock,
  );
  const secrets = new LoginSecrets(new KeyDeriver(), keys.clientKey);
  const login = new ClientLogin({
    method: 'md5',
    user: 'a',
    database: 'a',
    directory,
    secrets,
    channelBinding: null,
  });
  await login.begin();
  const credentials = new PasswordCredentials(password);
  await credentials.scramKeys(parameters, deriveScramKeys);
  await directory.lookUp('someone');
  await secrets.scramVerifier('a', await directory.lookUp('a'), true);
  const values = [
    keys,
    verifier,
    credentials,
    new Md5Credentials(md5),
    new ScramKeyCredentials(keys, verifier),
    parseSecret(password),
    parseSecret(md5),
    parseSecret(verifier.format()),
    parseUserlist(`"d" "${password}"`),
    parseUserlist(`"d" "${password}`),
    directory,
    secrets,
    login,
    new BackendLogin('a', credentials),
    new BackendLogin('a', new ScramKeyCredentials(keys, verifier)),
    new ScramClient(async () => keys),
    new ScramServer('SCRAM-SHA-256', { verifier, isDoomed: false, channelBinding: null }),
  ];
  for (const value of values) {
    assertSilent(value);
  }
  assert.equal(JSON.stringify(credentials), '{"kind":"password"}');
});

test('the check above would see a secret', () => {
  assert.throws(() => assertSilent({ password }));
  assert.throws(() => assertSilent({ key: keys.clientKey }));
  assert.throws(() => assertSilent([verifier.format()]));
});

test('credentials are equal when they log in as the same', async () => {
  const scram = new ScramKeyCredentials(keys, verifier);
  const same = new ScramKeyCredentials(
    new ScramKeys(Buffer.from(keys.clientKey), keys.storedKey, keys.serverKey),
    parameters,
  );
  assert.equal(credentialsEqual(scram, same), true);
  assert.equal(credentialsEqual(new PasswordCredentials('x'), new PasswordCredentials(Buffer.from('x'))), true);
  assert.equal(credentialsEqual(new Md5Credentials(md5), new Md5Credentials(md5)), true);
  assert.equal(credentialsEqual(new NoCredentials(), new NoCredentials()), true);

  const other = await deriveScramKeys(Buffer.from('x'), parameters);
  assert.equal(credentialsEqual(scram, new ScramKeyCredentials(other, verifier)), false);
  assert.equal(credentialsEqual(scram, new ScramKeyCredentials(keys, { ...parameters, iterations: 2 })), false);
  assert.equal(credentialsEqual(new PasswordCredentials('x'), new PasswordCredentials('y')), false);
  assert.equal(credentialsEqual(new PasswordCredentials(md5), new Md5Credentials(md5)), false);
  assert.equal(credentialsEqual(new NoCredentials(), new PasswordCredentials('')), false);
});
