import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sql } from '../support/postgres-server.js';
import { waitFor } from '../support/processes.js';
import { RawClient, RawError } from '../support/raw-client.js';
import type { RawLoginOptions } from '../support/raw-client.js';
import { LoginError } from '../support/raw-login.js';
import { PROTOCOL_3_0, PROTOCOL_3_2, backend, frontend, untypedMessage } from '../support/raw-messages.js';
import { roles } from '../support/roles.js';
import { CoreProxy, TIMEOUT_MS, nodeOf, sharedCluster } from './core-lab.js';

// In both pool modes.
// With both engines.

const cluster = sharedCluster({ standbys: 1 });
const app = { user: roles.app.user, database: roles.app.database };
const PROTOCOL_3_1 = 196_609;
const PROTOCOL_GREASE = 196_608 + 9999;

/** What a connection hears last, as the fields of an error; null when it is closed without a word. */
async function lastWords(client: RawClient): Promise<{ severity: string; code: string; message: string } | null> {
  const last = (await client.closed()).at(-1);
  return last?.type === 'E' ? backend.errorFields(last.body) : null;
}

for (const [title, version, options, newest, unknown, keyBytes] of [
  ['3.0 is spoken as it is', PROTOCOL_3_0, {}, null, [], 4],
  ['3.1, which never was, comes to 3.0', PROTOCOL_3_1, {}, PROTOCOL_3_0, [], 4],
  ['3.2 is spoken as it is, with a long cancel key', PROTOCOL_3_2, {}, null, [], 32],
  ['3.9999 comes to 3.2', PROTOCOL_GREASE, {}, PROTOCOL_3_2, [], 32],
  [
    'an unknown protocol option is named and does no harm',
    PROTOCOL_3_0,
    { '_pq_.x': '1' },
    PROTOCOL_3_0,
    ['_pq_.x'],
    4,
  ],
  [
    'the newest version with options, as libpq tries it',
    PROTOCOL_GREASE,
    { '_pq_.test_protocol_negotiation': '', '_pq_.y': '2' },
    PROTOCOL_3_2,
    ['_pq_.test_protocol_negotiation', '_pq_.y'],
    32,
  ],
] as const) {
  test(`protocol ${title}`, async (t) => {
    const proxy = await CoreProxy.start(t, cluster().nodes);
    const client = await proxy.login('primary', { version, parameters: options });
    assert.deepEqual(client.negotiated, newest === null ? null : { newest, unknownOptions: unknown });
    assert.equal(client.key?.secret.length, keyBytes);
    assert.deepEqual(await client.rows('select 1'), [['1']]);
  });
}

test('protocols that are no longer or not yet spoken are refused', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  for (const [version, name] of [
    [0x0002_0000, '2.0'],
    [0x0004_0000, '4.0'],
  ] as const) {
    const client = await proxy.connect();
    client.send(frontend.startup(app, version));
    const error = await lastWords(client);
    assert.equal(error?.severity, 'FATAL');
    assert.equal(error.code, '0A000');
    assert.match(error.message, new RegExp(`unsupported frontend protocol ${name}`));
  }
  await proxy.checkAfterAbuse();
});

test('encryption is declined, whatever is asked first, and the log-in goes on in the clear', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  const { sslRequest, gssEncRequest } = frontend;
  for (const requests of [
    [sslRequest()],
    [gssEncRequest()],
    [gssEncRequest(), sslRequest()],
    [sslRequest(), gssEncRequest()],
  ]) {
    const client = await proxy.connect();
    for (const request of requests) {
      client.send(request);
      assert.equal(String(await client.readBytes(1)), 'N');
    }
    client.send(frontend.startup(app));
    await client.authenticate(app.user, roles.app.password);
    assert.deepEqual(await client.rows('select 1'), [['1']]);
    await client.end();
  }
  await proxy.waitForRest();
});

for (const [title, first, second] of [
  ['bytes stuffed behind an SSLRequest', [frontend.sslRequest(), frontend.startup(app)], []],
  ['one byte stuffed behind a GSSENCRequest', [frontend.gssEncRequest(), Buffer.from([0])], []],
  ['a second SSLRequest', [frontend.sslRequest()], [frontend.sslRequest()]],
  ['a second GSSENCRequest', [frontend.gssEncRequest()], [frontend.gssEncRequest()]],
  ['an SSLRequest that is too long', [untypedMessage(80_877_103, Buffer.from([0]))], []],
  ['a CancelRequest without a key', [untypedMessage(80_877_102, Buffer.alloc(4))], []],
  ['a packet of 10,001 bytes', [Buffer.concat([int32(10_001), int32(PROTOCOL_3_0), Buffer.alloc(9_993)])], []],
  ['the header alone of a packet of a gigabyte', [int32(0x4000_0000)], []],
  ['a length of four', [Buffer.concat([int32(4), int32(PROTOCOL_3_0)])], []],
  ['a packet without its last zero', [untypedMessage(PROTOCOL_3_0, Buffer.from('user\0app\0'))], []],
  ['a packet with more behind its last zero', [untypedMessage(PROTOCOL_3_0, Buffer.from('user\0app\0\0x\0'))], []],
  ['HTTP', [Buffer.from('GET / HTTP/1.1\r\nHost: db\r\n\r\n')], []],
  ['a password before it is asked for', [frontend.startup(app), frontend.query('select 1')], []],
] as const) {
  test(`${title}: FATAL 08P01`, async (t) => {
    const proxy = await CoreProxy.start(t, cluster().nodes);
    const client = await proxy.connect();
    client.send(...first);
    if (second.length > 0) {
      assert.equal(String(await client.readBytes(1)), 'N');
      client.send(...second);
    }
    const error = await lastWords(client);
    assert.equal(error?.severity, 'FATAL');
    assert.equal(error.code, '08P01');
    await proxy.checkAfterAbuse();
  });
}

test('a packet of exactly 10,000 bytes is taken, and one without a user is refused', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  const bare = frontend.startup({ ...app, 'test.filler': '' }).length;
  const filler = 'x'.repeat(10_000 - bare);
  const client = await proxy.login('primary', { parameters: { 'test.filler': filler } });
  assert.deepEqual(await client.rows('show test.filler'), [[filler]]);
  const nobody = await proxy.connect();
  nobody.send(frontend.startup({ database: 'app' }));
  assert.equal((await lastWords(nobody))?.code, '28000');
});

test('a client that begins with TLS at once is hung up on', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  const options = { port: proxy.port(), directTls: true, tls: {}, timeoutMs: TIMEOUT_MS };
  await assert.rejects(RawClient.connect(options));
  await proxy.checkAfterAbuse();
});

test('a client that dawdles, wherever it does, is told so after startup_timeout', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes, { limits: { startup_timeout: '400ms' } });
  const whole = frontend.startup(app);
  const drip = async (client: RawClient): Promise<void> => {
    for (const byte of whole.subarray(0, -1)) {
      await client.sendFlushed(Buffer.from([byte])).catch(() => {});
    }
  };
  for (const begin of [
    async () => {},
    drip,
    async (client: RawClient) => client.send(frontend.sslRequest()),
    async (client: RawClient) => client.send(whole),
    async (client: RawClient) => client.send(whole, Buffer.from('p\0')),
  ]) {
    const client = await proxy.connect();
    const startedAtMs = performance.now();
    await begin(client);
    if (begin.toString().includes('sslRequest')) assert.equal(String(await client.readBytes(1)), 'N');
    const error = await lastWords(client);
    assert.equal(error?.severity, 'FATAL');
    assert.equal(error.code, '08P01');
    assert.match(error.message, /longer than 400 ms/);
    assert.ok(performance.now() - startedAtMs < 5_000);
  }
  await proxy.checkAfterAbuse();
});

test('clients that leave during the log-in leave nothing behind', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  const whole = frontend.startup(app);
  for (const bytes of [
    null,
    whole.subarray(0, 5),
    whole,
    frontend.sslRequest(),
    Buffer.concat([whole, frontend.terminate()]),
  ]) {
    for (const leave of ['reset', 'halfClose', 'destroy'] as const) {
      const client = await proxy.connect();
      if (bytes !== null) await client.sendFlushed(bytes);
      client[leave]();
      await waitFor(() => proxy.app.startups === 0, { timeoutMs: TIMEOUT_MS, what: 'the client to be forgotten' });
    }
  }
  await proxy.checkAfterAbuse();
});

test('a log-in sent byte by byte works', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  const client = await proxy.connect();
  for (const byte of frontend.startup(app)) await client.sendFlushed(Buffer.from([byte]));
  await client.authenticate(app.user, roles.app.password);
  assert.deepEqual(await client.rows('select current_user, current_database()'), [['app', 'app']]);
});

test('the parameters that a client is told are those of the node itself', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  const parameters = { client_encoding: 'LATIN1', timezone: 'Asia/Tokyo', application_name: 'told' };
  for (const [listener, node] of [
    ['primary', cluster().node(1)],
    ['standby', cluster().node(2)],
  ] as const) {
    const direct = await RawClient.login({ port: node.port, ...roles.app, parameters });
    // The second log-in is greeted without a backend.
    for (let n = 0; n < 2; n += 1) {
      const client = await proxy.login(listener, { parameters });
      assert.deepEqual(Object.fromEntries(client.parameters), Object.fromEntries(direct.parameters));
      assert.equal(client.parameters.get('in_hot_standby'), listener === 'standby' ? 'on' : 'off');
      assert.equal(client.status, 'I');
    }
    await direct.end();
  }
});

test('startup parameters and options reach the node', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  const parameters = {
    application_name: `it's "me"`,
    search_path: 'one, "Two"',
    options: String.raw`-c work_mem=5MB -c statement_timeout=1234 --geqo=off -c test.spaced=a\ b\\c`,
  };
  const client = await proxy.login('primary', { parameters });
  const show = async (name: string): Promise<unknown> => (await client.rows(`show ${name}`))[0]?.[0];
  assert.equal(await show('work_mem'), '5MB');
  assert.equal(await show('statement_timeout'), '1234ms');
  assert.equal(await show('geqo'), 'off');
  assert.equal(await show('test.spaced'), String.raw`a b\c`);
  assert.equal(await show('search_path'), 'one, "Two"');
  const seen = await sql(cluster().primary, `select application_name from pg_stat_activity where usename = 'app'`);
  assert.deepEqual(seen, [{ application_name: `it's "me"` }]);
  // They are the session's defaults: what RESET and DISCARD go back to.
  await client.rows('set work_mem = 123');
  await client.rows('discard all');
  assert.equal(await show('work_mem'), '5MB');
});

/** What a refused log-in says: the SQLSTATE and the message. */
async function wordsOf(login: Promise<RawClient>): Promise<string> {
  const error = await login.then(
    () => assert.fail('it was let in'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof RawError || error instanceof LoginError, String(error));
  return error.message;
}

test('what a node refuses at log-in reaches the client as the node says it', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  for (const [more, code] of [
    [{ database: 'nowhere' }, '3D000'],
    [{ parameters: { nonsense: '1' } }, '42704'],
    [{ parameters: { options: '-c work_mem=much' } }, '22023'],
    [{ parameters: { options: '-x' } }, '42601'],
  ] as const satisfies readonly (readonly [Partial<RawLoginOptions>, string])[]) {
    const direct = await wordsOf(RawClient.login({ port: cluster().primary.port, ...roles.app, ...more }));
    assert.match(direct, new RegExp(`^${code}: `));
    assert.equal(await wordsOf(proxy.login('primary', more)), direct);
  }
  await proxy.checkAfterAbuse();
});

test('a client can name the route of its listener, and neither another one nor another option of ours', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  const asking = (options: string): Partial<RawLoginOptions> => ({ parameters: { options } });
  const client = await proxy.login('standby', asking('-c switchyard.route=standby -c work_mem=5MB'));
  assert.equal(await nodeOf(client), 'node2');
  assert.deepEqual(await client.rows('show work_mem'), [['5MB']]);
  for (const [listener, options] of [
    ['standby', '-c switchyard.route=primary'],
    ['primary', '--switchyard.route=standby'],
    ['primary', '-c switchyard.route=split'],
    ['primary', '-c switchyard.rout=primary'],
    ['primary', '-cswitchyard.route='],
  ] as const) {
    await assert.rejects(proxy.login(listener, asking(options)), /22023: /, options);
  }
  await proxy.waitForRest(1);
});

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
