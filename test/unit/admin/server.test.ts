import assert from 'node:assert/strict';
import { request } from 'node:http';
import type { IncomingHttpHeaders } from 'node:http';
import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';
import { once } from 'node:events';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import type { Proxy } from '../../../src/admin/proxy.js';
import { AdminServer } from '../../../src/admin/server.js';
import { sessionsSchema } from '../../../src/admin/sessions-document.js';
import { statusSchema } from '../../../src/admin/status-document.js';
import { viewOf } from '../../support/cluster-fakes.js';
import { listenOnLoopback } from '../../support/ports.js';
import { waitFor } from '../../support/processes.js';
import { parseExposition } from '../metrics/exposition.js';
import { addSession, proxyOf } from './proxy-of.js';

const TIMEOUT_MS = 10_000;
const RESPONSE_TIMEOUT_MS = 10_000;
const LOOPBACK = { host: '127.0.0.1', port: 0 };

async function open(t: TestContext, proxy: Proxy = proxyOf()): Promise<AdminServer> {
  const admin = await AdminServer.open(proxy, LOOPBACK);
  t.after(() => admin.close());
  return admin;
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

function ask(admin: AdminServer, path: string, method = 'GET', body = ''): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const call = request({ host: '127.0.0.1', port: admin.port, path, method, agent: false }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: text }));
      answer.on('error', reject);
    });
    call.on('error', reject);
    call.end(body);
  });
}

/** A client that speaks for itself, and what it has heard. */
async function dial(t: TestContext, admin: AdminServer): Promise<{ socket: Socket; heard: () => string }> {
  const socket = connect(admin.port, '127.0.0.1');
  t.after(() => socket.destroy());
  let text = '';
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    text += chunk;
  });
  socket.on('error', () => {});
  await once(socket, 'connect');
  return { socket, heard: () => text };
}

function ended(socket: Socket): Promise<boolean> {
  return waitFor(() => socket.closed, { timeoutMs: TIMEOUT_MS, what: 'the server to close the connection' });
}

test('each path answers what it is for', async (t) => {
  const admin = await open(t);
  const index = await ask(admin, '/');
  assert.equal(index.status, 200);
  assert.match(index.headers['content-type'] ?? '', /^text\/plain/);
  for (const path of ['/metrics', '/livez', '/readyz', '/api/v1/status', '/api/v1/sessions'])
    assert.match(index.body, new RegExp(path));

  const live = await ask(admin, '/livez');
  assert.equal(live.status, 200);
  assert.deepEqual(JSON.parse(live.body), { status: 'alive' });

  const metrics = await ask(admin, '/metrics');
  assert.equal(metrics.status, 200);
  assert.equal(metrics.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
  assert.ok(parseExposition(metrics.body).has('switchyard_build_info'));

  const status = await ask(admin, '/api/v1/status');
  assert.equal(statusSchema.parse(JSON.parse(status.body)).scope, 'yard');
});

test('readyz answers 200 or 503, with every check, the DCS and the phase', async (t) => {
  const proxy = proxyOf();
  const admin = await open(t, proxy);
  const ready = await ask(admin, '/readyz');
  assert.equal(ready.status, 200);
  proxy.view = viewOf({ primary: null, leader: null });
  proxy.clock.advance(2000);
  const not = await ask(admin, '/readyz');
  assert.equal(not.status, 503);
  const body = JSON.parse(not.body) as Record<string, unknown>;
  assert.equal(body['status'], 'not ready');
  assert.equal(body['reason'], 'the leader key is gone');
  assert.equal(body['phase'], 'stable');
  assert.deepEqual(body['dcs'], { state: 'live', ageSeconds: 2, trouble: null });
  const checks = body['checks'] as { name: string; ok: boolean; reason: string | null }[];
  const failed = checks.filter(({ ok }) => !ok);
  assert.deepEqual(failed, [{ name: 'listener rw', ok: false, required: true, reason: 'the leader key is gone' }]);
  const alive = await ask(admin, '/livez');
  assert.equal(alive.status, 200, 'a proxy that is not ready is alive');
});

test('sessions are listed as they are now, and a filter that is not known is refused', async (t) => {
  const proxy = proxyOf();
  addSession(proxy, { user: 'one', nodes: ['node1'] });
  addSession(proxy, { user: 'two', nodes: ['node2'] });
  const admin = await open(t, proxy);
  const all = sessionsSchema.parse(JSON.parse((await ask(admin, '/api/v1/sessions')).body));
  assert.deepEqual([all.total, all.matching, all.sessions.length, all.next], [2, 2, 2, null]);
  const { body } = await ask(admin, '/api/v1/sessions?node=node2&limit=1');
  assert.deepEqual(
    sessionsSchema.parse(JSON.parse(body)).sessions.map(({ user }) => user),
    ['two'],
  );
  const refused = await ask(admin, '/api/v1/sessions?nodes=node2');
  assert.equal(refused.status, 400);
  assert.match(refused.body, /"nodes\\" is not known/);
  assert.equal((await ask(admin, '/api/v1/sessions', 'POST')).status, 405);
});

test('readyz can be asked about one listener', async (t) => {
  const admin = await open(t, proxyOf({ view: viewOf({ primary: null, leader: null }) }));
  assert.equal((await ask(admin, '/readyz?listener=ro')).status, 200);
  assert.equal((await ask(admin, '/readyz?listener=rw')).status, 503);
  const unknown = await ask(admin, '/readyz?listener=other');
  assert.equal(unknown.status, 404);
  assert.deepEqual((JSON.parse(unknown.body) as Record<string, unknown>)['listeners'], ['rw', 'ro']);
});

test('HEAD answers as GET does, without the body', async (t) => {
  const admin = await open(t, proxyOf({ view: viewOf({ primary: null, leader: null }) }));
  const head = await ask(admin, '/readyz', 'HEAD');
  assert.equal(head.status, 503);
  assert.equal(head.body, '');
  assert.ok(Number(head.headers['content-length']) > 100);
});

test('other methods change nothing and are refused', async (t) => {
  const admin = await open(t);
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']) {
    const answer = await ask(admin, '/metrics', method);
    assert.equal(answer.status, 405, method);
    assert.equal(answer.headers['allow'], 'GET, HEAD');
    assert.match(answer.headers['content-type'] ?? '', /json/);
  }
});

test('unknown paths answer 404 as JSON and name the known ones', async (t) => {
  const admin = await open(t);
  for (const path of ['/nothing', '/metrics/', '//metrics', '/%6detrics', '/api/v1', '/../etc/passwd']) {
    const answer = await ask(admin, path);
    assert.equal(answer.status, 404, path);
    assert.ok((JSON.parse(answer.body) as { paths: string[] }).paths.includes('/metrics'));
  }
  assert.equal((await ask(admin, '/livez?a=b')).status, 200, 'a query changes nothing');
});

test('every answer says that it is no page and not to be kept', async (t) => {
  const admin = await open(t);
  for (const path of ['/', '/metrics', '/readyz', '/api/v1/status', '/nothing']) {
    const { headers } = await ask(admin, path);
    assert.match(String(headers['content-security-policy']), /default-src 'none'/, path);
    assert.equal(headers['x-content-type-options'], 'nosniff');
    assert.equal(headers['cache-control'], 'no-store');
    assert.equal(headers['access-control-allow-origin'], undefined);
  }
});

test('a body is not read: the answer comes at once and the connection ends', async (t) => {
  const admin = await open(t);
  const { socket, heard } = await dial(t, admin);
  socket.write('GET /livez HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n');
  await waitFor(() => heard().includes('alive'), { timeoutMs: TIMEOUT_MS, what: 'the answer' });
  assert.match(heard(), /connection: close/i);
  await ended(socket);
});

test('a header without end is refused', async (t) => {
  const admin = await open(t);
  const { socket, heard } = await dial(t, admin);
  socket.write(`GET /livez HTTP/1.1\r\nx: ${'a'.repeat(20_000)}`);
  await ended(socket);
  assert.match(heard(), /^HTTP\/1\.1 431/);
});

test('garbage is answered with 400, and the next client is served', async (t) => {
  const admin = await open(t);
  const { socket, heard } = await dial(t, admin);
  socket.write('\u0000\u0000\u0000\u0008\u0004\u00d2\u0016\u002f');
  await ended(socket);
  assert.match(heard(), /^HTTP\/1\.1 400/);
  assert.equal((await ask(admin, '/livez')).status, 200);
});

test('a client that begins a request and never ends it is cut off', { timeout: 30_000 }, async (t) => {
  const admin = await open(t);
  const { socket, heard } = await dial(t, admin);
  socket.write('GET /livez HTTP/1.1\r\n');
  await ended(socket);
  assert.match(heard(), /^HTTP\/1\.1 408/);
});

test('a client that does not take its answer is cut off', async (t) => {
  const proxy = proxyOf();
  const admin = await open(t, proxy);
  const { socket } = await dial(t, admin);
  const before = proxy.clock.pendingTimers;
  socket.pause();
  // More answers than the buffers of both kernels hold.
  const ask1000 = 'GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n'.repeat(1000);
  socket.write(ask1000);
  await waitFor(() => proxy.clock.pendingTimers > before, { timeoutMs: TIMEOUT_MS, what: 'an answer to be stuck' });
  const stuck = { timeoutMs: TIMEOUT_MS, what: 'the connection to be destroyed' };
  // Answers go out until the buffers are full; the one that is stuck then is what the limit is for.
  await waitFor(async () => {
    proxy.clock.advance(RESPONSE_TIMEOUT_MS);
    socket.write('\r\n');
    return socket.closed || socket.errored !== null || socket.destroyed;
  }, stuck);
  assert.equal((await ask(admin, '/livez')).status, 200);
});

test('more connections than the most are closed at once, and those that are open go on', async (t) => {
  const admin = await open(t);
  const first = await dial(t, admin);
  const sockets = await Promise.all(Array.from({ length: 200 }, () => dial(t, admin)));
  const most = 128;
  const isCut = (): boolean => sockets.filter(({ socket }) => socket.closed).length === sockets.length + 1 - most;
  await waitFor(isCut, { timeoutMs: TIMEOUT_MS, what: `all but ${most} connections to be closed` });
  first.socket.write('GET /livez HTTP/1.1\r\nhost: a\r\n\r\n');
  await waitFor(() => first.heard().includes('alive'), { timeoutMs: TIMEOUT_MS, what: 'the answer' });
  for (const { socket } of sockets) socket.destroy();
  await waitFor(async () => (await ask(admin, '/livez')).status === 200, {
    timeoutMs: TIMEOUT_MS,
    what: 'room for the next client',
  });
});

test('its end cuts every connection at once, also those kept alive', async () => {
  const admin = await AdminServer.open(proxyOf(), LOOPBACK);
  const socket = connect(admin.port, '127.0.0.1').on('error', () => {});
  let text = '';
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    text += chunk;
  });
  socket.write('GET /livez HTTP/1.1\r\nhost: a\r\n\r\n');
  await waitFor(() => text.includes('alive'), { timeoutMs: TIMEOUT_MS, what: 'the answer' });
  assert.equal(socket.closed, false, 'it is kept alive');
  await admin.close();
  await ended(socket);
});

test('after its end no timer of it is left', async () => {
  const proxy = proxyOf();
  const admin = await AdminServer.open(proxy, LOOPBACK);
  await ask(admin, '/livez');
  await admin.close();
  assert.equal(proxy.clock.pendingTimers, 0);
});

test('an address that is taken is named, and nothing stays behind', async (t) => {
  const other = createServer();
  t.after(() => other.close());
  const port = await listenOnLoopback(other);
  const proxy = proxyOf();
  await assert.rejects(
    AdminServer.open(proxy, { host: '127.0.0.1', port }),
    new RegExp(`the admin server cannot listen on 127.0.0.1:${port}: .*EADDRINUSE`),
  );
  assert.equal(proxy.clock.pendingTimers, 0);
});

test('a failure inside answers 500 without a word about it, and is logged', async (t) => {
  const logged: string[] = [];
  const proxy = proxyOf();
  const logger = { ...proxy.logger, error: (_: unknown, message: string) => void logged.push(message) };
  const broken = Object.defineProperties(
    { ...proxy, logger },
    { listeners: { get: () => assert.fail('secret detail') } },
  );
  const admin = await open(t, broken);
  const answer = await ask(admin, '/readyz');
  assert.equal(answer.status, 500);
  assert.doesNotMatch(answer.body, /secret/);
  assert.deepEqual(logged, ['an admin request failed']);
});
