import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { SwitchyardError } from '../../../src/errors.js';
import { ScramClient } from '../../../src/auth/scram-client.js';
import { ScramServer, type ScramServerOptions } from '../../../src/auth/scram-server.js';
import { type ScramKeys, deriveScramKeys, proofOrKey, verifierOf } from '../../../src/auth/scram.js';

const parameters = { salt: Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64'), iterations: 4096 };
const keys = await deriveScramKeys(Buffer.from('pencil'), parameters);
const verifier = verifierOf(keys, parameters);
const hash = Buffer.alloc(32, 7);

function server(options: Partial<ScramServerOptions> = {}, mechanism = 'SCRAM-SHA-256'): ScramServer {
  return new ScramServer(mechanism, { verifier, isDoomed: false, channelBinding: null, ...options });
}

function fails(run: () => unknown, sqlState: string, text: RegExp): void {
  assert.throws(run, (error) => {
    assert.ok(error instanceof SwitchyardError, String(error));
    assert.equal(error.sqlState, sqlState, error.message);
    assert.match(`${error.message}: ${error.detail}`, text);
    return true;
  });
}

/** A client-final-message with a right proof, whatever else it says. */
function finalMessage(bare: string, serverFirst: string, withoutProof: string, of: ScramKeys = keys): string {
  const proof = proofOrKey(of.clientKey, of.storedKey, `${bare},${serverFirst},${withoutProof}`);
  return `${withoutProof},p=${proof.toString('base64')}`;
}

function nonceOf(serverFirst: string): string {
  return /^r=([^,]*),/.exec(serverFirst)?.[1] ?? '';
}

test('the server says what the example of RFC 7677 says', () => {
  const exchange = server({ nonce: '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0' });
  assert.equal(
    exchange.first('n,,n=user,r=rOprNGfwEbeRWgbNEkqO'),
    'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
  );
  const accepted = exchange.final(
    'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
  );
  assert.equal(accepted?.serverFinal, 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=');
  assert.deepEqual(accepted.clientKey, keys.clientKey);
});

test('our client logs in to our server, which learns the ClientKey', async () => {
  const client = new ScramClient(async () => keys);
  const exchange = server();
  const accepted = exchange.final(await client.final(exchange.first(client.first())));
  assert.ok(accepted);
  client.verify(accepted.serverFinal);
  assert.deepEqual(accepted.clientKey, keys.clientKey);
});

test('every exchange has its own nonce', () => {
  assert.notEqual(server().first('n,,n=,r=abc'), server().first('n,,n=,r=abc'));
});

test('a wrong password and a mock exchange fail at the proof, and only there', async () => {
  const wrong = await deriveScramKeys(Buffer.from('pencil2'), parameters);
  const client = new ScramClient(async () => wrong);
  const exchange = server();
  assert.equal(exchange.final(await client.final(exchange.first(client.first()))), null);

  const rightClient = new ScramClient(async () => keys);
  const doomed = server({ isDoomed: true });
  assert.equal(doomed.final(await rightClient.final(doomed.first(rightClient.first()))), null);
});

test('no change of any bit of a proof is let in', () => {
  const exchange = server();
  const bare = 'n=,r=abc';
  const serverFirst = exchange.first(`n,,${bare}`);
  const withoutProof = `c=biws,r=${nonceOf(serverFirst)}`;
  const right = proofOrKey(keys.clientKey, keys.storedKey, `${bare},${serverFirst},${withoutProof}`);
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 31 }), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const proof = Buffer.from(right);
      proof[at] = (proof[at] ?? 0) ^ change;
      assert.equal(exchange.final(`${withoutProof},p=${proof.toString('base64')}`), null);
    }),
  );
  assert.ok(exchange.final(`${withoutProof},p=${right.toString('base64')}`));
});

test('no change of any character of the last message is let in', () => {
  const exchange = server();
  const bare = 'n=,r=abc';
  const serverFirst = exchange.first(`n,,${bare}`);
  const right = finalMessage(bare, serverFirst, `c=biws,r=${nonceOf(serverFirst)}`);
  fc.assert(
    fc.property(fc.nat({ max: right.length - 1 }), fc.integer({ min: 0, max: 255 }), (at, code) => {
      const changed = right.slice(0, at) + String.fromCharCode(code) + right.slice(at + 1);
      fc.pre(changed !== right);
      try {
        assert.equal(exchange.final(changed), null);
      } catch (error) {
        assert.ok(error instanceof SwitchyardError);
        assert.equal(error.code, 'protocol_violation');
      }
    }),
    { numRuns: 2000 },
  );
});

test('no garbage in place of the first message does more than a refusal', () => {
  const piece = fc.constantFrom('n', 'y', 'p', 'a', 'm', 'r', 'c', '=', ',', ',,', 'n,,n=,r=', 'x', '\0', '\xff', ' ');
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      try {
        server().first(pieces.join(''));
      } catch (error) {
        assert.ok(error instanceof SwitchyardError, String(error));
      }
    }),
    { numRuns: 2000 },
  );
});

test('the first message is read as strictly as PostgreSQL reads it', () => {
  const refusals: readonly (readonly [string, string, RegExp])[] = [
    ['', '08P01', /message is empty/],
    ['n,,n=,r=a\0b', '08P01', /length does not match/],
    ['x,,n=,r=a', '08P01', /Unexpected channel-binding flag "x"/],
    ['\x01,,n=,r=a', '08P01', /Unexpected channel-binding flag "0x01"/],
    ['n', '08P01', /Comma expected, but found character "0x00"/],
    ['n;,n=,r=a', '08P01', /Comma expected, but found character ";"/],
    ['n,a=other,n=,r=a', '0A000', /authorization identity/],
    ['n,x,n=,r=a', '08P01', /Unexpected attribute "x" in client-first-message/],
    ['n,', '08P01', /Unexpected attribute "0x00" in client-first-message/],
    ['n,,m=1,n=,r=a', '0A000', /unsupported SCRAM extension/],
    ['n,,', '08P01', /Expected attribute "n" but found "0x00"/],
    ['n,,r=a', '08P01', /Expected attribute "n" but found "r"/],
    ['n,,n,r=a', '08P01', /Expected character "=" for attribute "n"/],
    ['n,,n=,s=a', '08P01', /Expected attribute "r" but found "s"/],
    ['n,,n=,r=a b', '08P01', /non-printable characters in SCRAM nonce/],
    ['n,,n=,r=a,1=x', '08P01', /Attribute expected, but found invalid character "1"/],
    ['n,,n=,r=a,x', '08P01', /Expected character "=" for attribute "x"/],
    ['p=tls-server-end-point,,n=,r=a', '08P01', /without channel binding, but .* includes channel binding data/],
  ];
  for (const [message, sqlState, text] of refusals) {
    fails(() => server().first(message), sqlState, text);
  }
  assert.match(server().first('n,,n=somebody=2Celse,r=abc,x=ignored'), /^r=abc/);
});

test('the last message is read as strictly as PostgreSQL reads it', () => {
  const bare = 'n=,r=abc';
  const begun = () => {
    const exchange = server();
    const serverFirst = exchange.first(`n,,${bare}`);
    return { exchange, serverFirst, nonce: nonceOf(serverFirst) };
  };
  const proof = Buffer.alloc(32).toString('base64');
  const refusals: readonly (readonly [(nonce: string) => string, RegExp])[] = [
    [() => '', /message is empty/],
    [(nonce) => `r=${nonce},p=${proof}`, /Expected attribute "c" but found "r"/],
    [(nonce) => `c=eSws,r=${nonce},p=${proof}`, /unexpected SCRAM channel-binding attribute/],
    [(nonce) => `c=biws,r=${nonce}`, /Attribute expected, but found end of string/],
    [(nonce) => `c=biws,r=${nonce},p=${proof.slice(4)}`, /Malformed proof/],
    [(nonce) => `c=biws,r=${nonce},p=`, /Malformed proof/],
    [(nonce) => `c=biws,r=${nonce},p=${proof},x=y`, /Garbage found at the end/],
    [(nonce) => `c=biws,r=${nonce}x,p=${proof}`, /Nonce does not match/],
    [(nonce) => `c=biws,r=${nonce.slice(0, -1)},p=${proof}`, /Nonce does not match/],
    [() => `c=biws,r=abc,p=${proof}`, /Nonce does not match/],
  ];
  for (const [message, text] of refusals) {
    const { exchange, nonce } = begun();
    fails(() => exchange.final(message(nonce)), '08P01', text);
  }
  const { exchange, serverFirst, nonce } = begun();
  assert.ok(exchange.final(finalMessage(bare, serverFirst, `c=biws,r=${nonce},x=ignored`)));
});

test('a client that could bind the channel is let in when we did not offer it', () => {
  const exchange = server();
  const serverFirst = exchange.first('y,,n=,r=abc');
  assert.ok(exchange.final(finalMessage('n=,r=abc', serverFirst, `c=eSws,r=${nonceOf(serverFirst)}`)));
});

test('a client that says the flag anew in the last message must say the same', () => {
  const exchange = server();
  const serverFirst = exchange.first('y,,n=,r=abc');
  const message = finalMessage('n=,r=abc', serverFirst, `c=biws,r=${nonceOf(serverFirst)}`);
  fails(() => exchange.final(message), '08P01', /unexpected SCRAM channel-binding attribute/);
});

test('the channel binding is checked where it is offered', () => {
  const plus = () => server({ channelBinding: hash }, 'SCRAM-SHA-256-PLUS');
  const gs2 = Buffer.from('p=tls-server-end-point,,');
  const bound = (data: Buffer) => {
    const exchange = plus();
    const serverFirst = exchange.first('p=tls-server-end-point,,n=,r=abc');
    const binding = Buffer.concat([gs2, data]).toString('base64');
    return { exchange, message: finalMessage('n=,r=abc', serverFirst, `c=${binding},r=${nonceOf(serverFirst)}`) };
  };
  const right = bound(hash);
  assert.ok(right.exchange.final(right.message));
  const wrong = bound(Buffer.alloc(32, 8));
  fails(() => wrong.exchange.final(wrong.message), '28000', /channel binding check failed/);

  fails(() => plus().first('n,,n=,r=a'), '08P01', /does not include channel binding data/);
  fails(() => plus().first('y,,n=,r=a'), '08P01', /does not include channel binding data/);
  fails(() => plus().first('p=tls-unique,,n=,r=a'), '08P01', /unsupported SCRAM channel-binding type "tls-unique"/);
  fails(() => plus().first('p=tls-server-end-point'), '08P01', /Unexpected attribute "0x00"/);
  // Somebody has taken the better mechanism off our list.
  fails(() => server({ channelBinding: hash }).first('y,,n=,r=a'), '28000', /negotiation error/);
  assert.match(server({ channelBinding: hash }).first('n,,n=,r=a'), /^r=a/);
});

test('a mechanism that was not offered is refused', () => {
  fails(() => server({}, 'SCRAM-SHA-256-PLUS'), '08P01', /invalid SASL authentication mechanism/);
  fails(() => server({}, 'PLAIN'), '08P01', /invalid SASL authentication mechanism/);
});
