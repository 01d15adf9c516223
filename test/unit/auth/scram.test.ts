import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import * as fc from 'fast-check';
import {
  SCRAM_ITERATIONS_MAX,
  ScramVerifier,
  decodeBase64,
  deriveScramKeys,
  equalSecrets,
  proofOrKey,
  serverSignature,
  storedKeyOf,
  verifierOf,
} from '../../../src/auth/scram.js';

/** The example of RFC 7677, section 3. */
const rfc7677 = {
  password: 'pencil',
  parameters: { salt: Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64'), iterations: 4096 },
  authMessage:
    'n=user,r=rOprNGfwEbeRWgbNEkqO,' +
    'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,' +
    'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0',
  proof: 'dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
  serverSignature: '6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=',
};

test('the example of RFC 7677 comes out', async () => {
  const keys = await deriveScramKeys(Buffer.from(rfc7677.password), rfc7677.parameters);
  const proof = proofOrKey(keys.clientKey, keys.storedKey, rfc7677.authMessage);
  assert.equal(proof.toString('base64'), rfc7677.proof);
  assert.equal(serverSignature(keys.serverKey, rfc7677.authMessage).toString('base64'), rfc7677.serverSignature);
  assert.deepEqual(keys.storedKey, createHash('sha256').update(keys.clientKey).digest());
});

test('the ClientKey comes back out of a proof with the StoredKey alone', async () => {
  const keys = await deriveScramKeys(Buffer.from(rfc7677.password), rfc7677.parameters);
  const recovered = proofOrKey(Buffer.from(rfc7677.proof, 'base64'), keys.storedKey, rfc7677.authMessage);
  assert.deepEqual(recovered, keys.clientKey);
  assert.deepEqual(storedKeyOf(recovered), keys.storedKey);
});

test('more iterations than the bound are refused without computing them', async () => {
  const parameters = { salt: Buffer.alloc(16), iterations: SCRAM_ITERATIONS_MAX + 1 };
  await assert.rejects(deriveScramKeys(Buffer.from('x'), parameters), RangeError);
});

test('writing and reading a verifier are inverse', () => {
  const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 1, maxLength: 64 }),
      fc.integer({ min: 1, max: 2_147_483_647 }),
      bytes(32),
      bytes(32),
      (salt, iterations, storedKey, serverKey) => {
        const parameters = { salt: Buffer.from(salt), iterations };
        const verifier = new ScramVerifier(parameters, Buffer.from(storedKey), Buffer.from(serverKey));
        const read = ScramVerifier.parse(verifier.format());
        assert.ok(read);
        assert.deepEqual(read.salt, parameters.salt);
        assert.equal(read.iterations, iterations);
        assert.deepEqual(read.storedKey, Buffer.from(storedKey));
        assert.deepEqual(read.serverKey, Buffer.from(serverKey));
        assert.equal(read.format(), verifier.format());
      },
    ),
  );
});

test('what is no verifier is not read as one', async () => {
  const good = verifierOf(await deriveScramKeys(Buffer.from('x'), rfc7677.parameters), rfc7677.parameters).format();
  assert.ok(ScramVerifier.parse(good));
  const bad = [
    '',
    'md5d41d8cd98f00b204e9800998ecf8427e',
    good.toLowerCase(),
    good.slice(0, -1),
    `${good}=`,
    ` ${good}`,
    `${good}\n`,
    good.replace('4096', '0'),
    good.replace('4096', '-1'),
    good.replace('4096', '2147483648'),
    good.replace('4096', '04096'),
    good.replace('4096:', '4096:!'),
    good.replace('4096:W22ZaJ0SNY7soEsUEjb6gQ==', '4096:'),
    good.replace(/:[^:]*$/, ':AAAA'),
  ];
  for (const text of bad) {
    assert.equal(ScramVerifier.parse(text), null, text);
  }
});

test('only the one right base64 form is decoded', () => {
  assert.deepEqual(decodeBase64('AAE='), Buffer.from([0, 1]));
  for (const text of ['AAE', 'AAF=', 'AA E=', 'AAE=\n', 'AA_=', 'A']) {
    assert.equal(decodeBase64(text), null, text);
  }
});

test('secrets of different lengths are different', () => {
  assert.equal(equalSecrets(Buffer.from('ab'), Buffer.from('abc')), false);
  assert.equal(equalSecrets(Buffer.from('abc'), Buffer.from('abd')), false);
  assert.equal(equalSecrets(Buffer.from('abc'), Buffer.from('abc')), true);
});
