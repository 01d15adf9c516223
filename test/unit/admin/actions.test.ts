import assert from 'node:assert/strict';
import { request } from 'node:http';
import type { IncomingHttpHeaders } from 'node:http';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { drainSchema } from '../../../src/admin/drain-document.js';
import type { DrainDocument } from '../../../src/admin/drain-document.js';
import { promotionsSchema } from '../../../src/admin/promotion-document.js';
import { AdminServer } from '../../../src/admin/server.js';
import { BODY_BYTES_MAX } from '../../../src/admin/request-body.js';
import { PinReason } from '../../../src/sql/pin-reason.js';
import { A, B, viewOf } from '../../support/cluster-fakes.js';
import { waitFor } from '../../support/processes.js';
import { FakeSession } from '../failover/drain-bench.js';
import { BOTH_LISTENERS, proxyOf } from './proxy-of.js';
import type { FakeProxy } from './proxy-of.js';

const TIMEOUT_MS = 10_000;
const JSON_HEADERS = { 'content-type': 'application/json' };

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

interface Call {
  /** The lines so far. */
  readonly lines: readonly string[];
  readonly answer: Promise<Answer>;
  hangUp(): void;
}

function call(
  port: number,
  path: string,
  body: string | object,
  headers: Record<string, string> = JSON_HEADERS,
  method = 'POST',
): Call {
  const state = { text: '' };
  let hangUp = (): void => {};
  const answer = new Promise<Answer>((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path, method, headers, agent: false }, (got) => {
      got.setEncoding('utf8').on('data', (chunk: string) => {
        state.text += chunk;
      });
      got.on('end', () => resolve({ status: got.statusCode ?? 0, headers: got.headers, text: state.text }));
      got.on('error', reject);
    });
    sent.on('error', reject);
    hangUp = () => void sent.destroy();
    sent.end(typeof body === 'string' ? body : JSON.stringify(body));
  });
  answer.catch(() => {});
  return {
    get lines() {
      return state.text.split('\n').filter((line) => line !== '');
    },
    answer,
    hangUp,
  };
}

async function start(t: TestContext, proxy: FakeProxy = proxyOf()): Promise<{ proxy: FakeProxy; port: number }> {
  const admin = await AdminServer.open(proxy, { host: '127.0.0.1', port: 0 });
  t.after(() => admin.close());
  return { proxy, port: admin.port };
}

function read(text: string): DrainDocument {
  return drainSchema.parse(JSON.parse(text));
}

/** The clock of the proxy goes on until something is true. */
async function runUntil(proxy: FakeProxy, isTrue: () => boolean, what: string): Promise<void> {
  await waitFor(
    () => {
      proxy.clock.advance(25);
      return isTrue();
    },
    { timeoutMs: TIMEOUT_MS, what },
  );
}

test('a drain that nobody waits for is answered at once', async (t) => {
  const { proxy, port } = await start(t);
  const { status, text } = await call(port, '/api/v1/drain', { primary: true }).answer;
  assert.equal(status, 202);
  assert.deepEqual(read(text), {
    id: 1,
    node: 'node1',
    target: 'primary',
    firm: true,
    sinceSeconds: 0,
    sessions: 0,
    reasons: {},
    verdict: 'empty',
    end: null,
  });
  assert.equal(proxy.conductor.drains.get(A)?.isFirm, true);
});

test('a drain that is waited for is told line by line until the node is empty', async (t) => {
  const { proxy, port } = await start(t);
  const session = Object.assign(new FakeSession(proxy.registry, A), {
    isAtBoundary: false,
    pinReason: PinReason.OpenTransaction,
  });
  const drain = call(port, '/api/v1/drain', { node: 'node1', wait: true, timeoutMs: 60_000 });
  await runUntil(proxy, () => drain.lines.length >= 3, 'three lines');
  assert.deepEqual(read(drain.lines[0] ?? '').reasons, { open_transaction: 1 });
  assert.equal(read(drain.lines[2] ?? '').verdict, null);
  Object.assign(session, { isAtBoundary: true, pinReason: null });
  let isAnswered = false;
  void drain.answer.then(() => (isAnswered = true));
  await runUntil(proxy, () => isAnswered, 'the end');
  const { status, headers } = await drain.answer;
  assert.equal(status, 200);
  assert.match(headers['content-type'] ?? '', /ndjson/);
  const last = read(drain.lines.at(-1) ?? '');
  assert.deepEqual([last.verdict, last.sessions], ['empty', 0]);
});

test('a wait that takes too long ends with who is left', async (t) => {
  const { proxy, port } = await start(t);
  Object.assign(new FakeSession(proxy.registry, A), { isAtBoundary: false });
  const drain = call(port, '/api/v1/drain', { node: 'node1', wait: true, timeoutMs: 2000 });
  let isAnswered = false;
  void drain.answer.then(() => (isAnswered = true));
  await runUntil(proxy, () => isAnswered, 'the end');
  const last = read(drain.lines.at(-1) ?? '');
  assert.deepEqual([last.verdict, last.sessions, last.reasons, last.end], ['timed_out', 1, { unit: 1 }, null]);
  assert.ok(proxy.conductor.drains.get(A) !== null, 'what was waited for comes now');
});

test('whoever hangs up while waiting leaves nothing behind, and the node is kept for its stop', async (t) => {
  const { proxy, port } = await start(t);
  Object.assign(new FakeSession(proxy.registry, A), { isAtBoundary: false });
  const drain = call(port, '/api/v1/drain', { node: 'node1', wait: true, timeoutMs: 600_000 });
  await runUntil(proxy, () => drain.lines.length > 0, 'a line');
  const keepMs = proxy.config.promotion.announceTimeoutMs;
  const order = proxy.conductor.drains.get(A);
  assert.ok(order !== null && order.keepUntilMs > proxy.clock.nowMs() + keepMs);
  drain.hangUp();
  await runUntil(proxy, () => order.keepUntilMs <= proxy.clock.nowMs() + keepMs, 'the wait to be abandoned');
  proxy.clock.advance(keepMs);
  assert.equal(order.end, 'expired');
});

test('only so many wait at one time', async (t) => {
  const { proxy, port } = await start(t);
  Object.assign(new FakeSession(proxy.registry, A), { isAtBoundary: false });
  const body = { node: 'node1', wait: true, timeoutMs: 600_000 };
  const calls = Array.from({ length: 16 }, () => call(port, '/api/v1/drain', body));
  await runUntil(proxy, () => calls.every(({ lines }) => lines.length > 0), 'all to wait');
  assert.equal((await call(port, '/api/v1/drain', body).answer).status, 429);
  for (const each of calls) each.hangUp();
  await waitFor(async () => (await call(port, '/api/v1/drain', { node: 'node1' }).answer).status === 202, {
    timeoutMs: TIMEOUT_MS,
    what: 'room again',
  });
});

test('a drain is called off, one or all', async (t) => {
  const { proxy, port } = await start(t);
  for (const node of ['node1', 'node2']) await call(port, '/api/v1/drain', { node }).answer;
  const one = await call(port, '/api/v1/drain/cancel', { node: 'node2' }).answer;
  assert.deepEqual([one.status, JSON.parse(one.text)], [200, { cancelled: ['node2'] }]);
  const all = await call(port, '/api/v1/drain/cancel', {}).answer;
  assert.deepEqual(JSON.parse(all.text), { cancelled: ['node1'] });
  assert.deepEqual(proxy.conductor.drains.all, []);
});

test('what cannot be done is said, and nothing is drained', async (t) => {
  const { proxy, port } = await start(t);
  const cases: readonly (readonly [body: string | object, status: number, error: RegExp])[] = [
    [{ node: 'node9' }, 404, /no node "node9"/],
    [{}, 400, /either a node or the primary/],
    [{ node: 'node1', primary: true }, 400, /either a node or the primary/],
    [{ node: 'node1', timeoutMs: 600_001 }, 400, /timeoutMs/],
    [{ node: 'node1', timeoutMs: -1 }, 400, /timeoutMs/],
    [{ node: 'node1', sudden: true }, 400, /sudden/],
    [[], 400, /object/],
    ['null', 400, /object/],
    ['', 400, /no JSON/],
    ['{"node":', 400, /no JSON/],
    [`{"node":"${'x'.repeat(BODY_BYTES_MAX)}"}`, 400, /longer than/],
  ];
  for (const [body, status, error] of cases) {
    const answer = await call(port, '/api/v1/drain', body).answer;
    assert.equal(answer.status, status, JSON.stringify(body).slice(0, 60));
    assert.match((JSON.parse(answer.text) as { error: string }).error, error);
  }
  assert.deepEqual(proxy.conductor.drains.all, []);
  proxy.view = viewOf({ primary: null, leader: null });
  const answer = await call(port, '/api/v1/drain', { primary: true }).answer;
  assert.equal(answer.status, 409);
  assert.match(answer.text, /there is no primary: the leader key is gone/);
});

test('nothing is changed by GET, by a form, or through a name that is not ours', async (t) => {
  const { proxy, port } = await start(t);
  const body = { node: 'node1' };
  const got = await call(port, '/api/v1/drain', '', {}, 'GET').answer;
  assert.deepEqual([got.status, got.headers['allow']], [405, 'POST']);
  assert.equal((await call(port, '/api/v1/drain', '', {}, 'OPTIONS').answer).status, 405);
  assert.equal((await call(port, '/api/v1/drain', body, { 'content-type': 'text/plain' }).answer).status, 415);
  const rebound = { ...JSON_HEADERS, host: `evil.example:${port}` };
  assert.equal((await call(port, '/api/v1/drain', body, rebound).answer).status, 403);
  assert.deepEqual(proxy.conductor.drains.all, []);
});

test('with a token only whoever knows it is heard, and everybody may look', async (t) => {
  const config = `${BOTH_LISTENERS}admin: { address: "0.0.0.0:9432", token: "open-sesame" }\n`;
  const { proxy, port } = await start(t, proxyOf({ config }));
  const without = await call(port, '/api/v1/drain', { node: 'node1' }).answer;
  assert.deepEqual([without.status, without.headers['www-authenticate']], [401, 'Bearer']);
  assert.doesNotMatch(without.text, /sesame/);
  assert.deepEqual(proxy.conductor.drains.all, []);
  const headers = { ...JSON_HEADERS, authorization: 'Bearer open-sesame' };
  assert.equal((await call(port, '/api/v1/drain', { node: 'node1' }, headers).answer).status, 202);
  assert.equal((await call(port, '/api/v1/status', '', {}, 'GET').answer).status, 200);
});

test('the past is forgotten only by the name of the cluster', async (t) => {
  const { proxy, port } = await start(t);
  let forgotten = 0;
  Object.assign(proxy.watch.store, { forgetPast: () => (forgotten += 1) });
  for (const body of [{}, { cluster: '' }]) {
    assert.equal((await call(port, '/api/v1/forget-past', body).answer).status, 400);
  }
  const other = await call(port, '/api/v1/forget-past', { cluster: 'other' }).answer;
  assert.equal(other.status, 409);
  assert.match(other.text, /proxy of cluster \\"yard\\"/);
  assert.equal(forgotten, 0);
  assert.equal((await call(port, '/api/v1/forget-past', { cluster: 'yard' }).answer).status, 200);
  assert.equal(forgotten, 1);
});

test('promotions are listed, the newest first, and the status tells of them and of what is drained', async (t) => {
  const { proxy, port } = await start(t);
  await call(port, '/api/v1/drain', { node: 'node2' }).answer;
  await call(port, '/api/v1/drain/cancel', {}).answer;
  await call(port, '/api/v1/drain', { node: 'node1' }).answer;
  const listed = await call(port, '/api/v1/promotions', '', {}, 'GET').answer;
  const { current, promotions } = promotionsSchema.parse(JSON.parse(listed.text));
  assert.equal(current, null);
  assert.deepEqual(
    promotions.map(({ outcome, from, to, phases }) => [outcome, from, to, phases.map(({ phase }) => phase)]),
    [['emptied', B, null, ['draining']]],
  );
  const status = JSON.parse((await call(port, '/api/v1/status', '', {}, 'GET').answer).text) as {
    drains: DrainDocument[];
    promotions: unknown[];
  };
  assert.deepEqual(
    status.drains.map(({ node, verdict }) => [node, verdict]),
    [['node1', 'empty']],
  );
  assert.equal(status.promotions.length, 1);
  assert.equal(proxy.conductor.drains.all.length, 1);
});

test('databases are paused, resumed, disabled and enabled by name, with the reason where that cannot be', async (t) => {
  const { proxy, port } = await start(t);
  const ask = async (path: string, body: object): Promise<{ status: number; body: unknown }> => {
    const { status, text } = await call(port, `/api/v1/${path}`, body).answer;
    return { status, body: JSON.parse(text) };
  };
  assert.deepEqual(await ask('pause', { database: 'app' }), { status: 200, body: { paused: 'app', waitsFor: null } });
  assert.deepEqual(await ask('resume', {}), {
    status: 409,
    body: { error: 'pooler is not paused/suspended', hint: 'Paused by name: "app"; RESUME them by name.' },
  });
  assert.deepEqual(await ask('resume', { database: 'app' }), { status: 200, body: { resumed: 'app', released: 0 } });
  assert.equal((await ask('disable', {})).status, 400);
  assert.deepEqual(await ask('disable', { database: 'app' }), { status: 200, body: { disabled: ['app'] } });
  assert.equal(proxy.pauses.isDisabled('app'), true);
  assert.deepEqual(await ask('enable', { database: 'app' }), { status: 200, body: { disabled: [] } });
  assert.deepEqual(await ask('pause', { database: 'switchyard' }), {
    status: 400,
    body: { error: 'database: is the console itself' },
  });
  assert.deepEqual(await ask('reconnect', {}), { status: 202, body: { reconnecting: 'all', backends: 0 } });
});
