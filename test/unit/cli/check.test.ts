import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { AdminServer } from '../../../src/admin/server.js';
import { within } from '../../../src/cli/check/within.js';
import { check } from '../../../src/cli/check.js';
import { freePorts, listenOnLoopback, refusingPort, silentPort } from '../../support/ports.js';
import { proxyOf } from '../admin/proxy-of.js';
import { terminalOf } from './terminal-of.js';

interface Outcome {
  readonly code: number;
  readonly text: string;
  readonly tookMs: number;
}

/** Runs the check on a configuration of this text. */
async function run(t: TestContext, yaml: string): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-check-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const configPath = join(folder, 'switchyard.yaml');
  writeFileSync(configPath, yaml);
  const terminal = terminalOf();
  const startedMs = performance.now();
  const code = await check({ configPath, json: false }, terminal);
  return { code, text: terminal.printed.join('\n'), tookMs: performance.now() - startedMs };
}

interface Ports {
  readonly node: number;
  readonly listener?: number;
  readonly admin?: number;
}

function yamlOf({ node, listener = 0, admin = 0 }: Ports, more = ''): string {
  return `
cluster:
  nodes: [{ name: node1, host: 127.0.0.1, port: ${node} }]
  monitor: { password: never-to-be-shown, timeout: 200ms }
listeners: [{ name: rw, address: "127.0.0.1:${listener}", route: primary }]
admin: { address: "127.0.0.1:${admin}" }
auth: { users: [{ name: app, password: neither-to-be-shown }] }
${more}`;
}

async function listenerThat(t: TestContext, answer: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    answer(socket);
  });
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return listenOnLoopback(server);
}

test('a configuration that cannot be used is told with its places, and nothing else is tried', async (t) => {
  const { code, text } = await run(t, 'cluster: { nodes: [] }\nlistener: []\n');
  assert.equal(code, 78);
  assert.match(text, /^FAIL {2}.*switchyard\.yaml:2:1: listener: /m);
  assert.doesNotMatch(text, /can be bound/);
});

test('a warning of the configuration is told and fails nothing by itself', async (t) => {
  const { text } = await run(t, yamlOf({ node: await refusingPort() }, 'promotion: { hold_timeout: 1s }'));
  assert.match(text, /^warn {2}.*promotion\.hold_timeout: is shorter than a planned switchover/m);
});

test('a dead node fails the check, with what was tried', async (t) => {
  const { code, text } = await run(t, yamlOf({ node: await refusingPort() }));
  assert.equal(code, 1);
  assert.match(text, /^ok {4}listener rw: 127\.0\.0\.1:0 can be bound$/m);
  assert.match(text, /^FAIL {2}node node1 .*ECONNREFUSED/m);
  assert.match(text, /^FAIL {2}cluster: no node could be asked$/m);
  assert.match(text, /\d+ of \d+ checks FAILED/);
});

test('no output shows a secret', async (t) => {
  const { text } = await run(t, yamlOf({ node: await refusingPort() }));
  assert.doesNotMatch(text, /to-be-shown/);
});

test('a node that accepts and says nothing is told apart from one that refuses', async (t) => {
  const { port, close } = await silentPort();
  t.after(close);
  const { code, text } = await run(t, yamlOf({ node: port }));
  assert.equal(code, 1);
  assert.match(text, /^ok {4}node node1 .*can be reached$/m);
  assert.match(
    text,
    /^FAIL {2}node node1: takes the connection and does not let the monitor role in: log-in took longer/m,
  );
});

test('a node that answers with garbage, or hangs up, fails the check and nothing more', async (t) => {
  const garbage = await listenerThat(t, (socket) => void socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'));
  const { code, text } = await run(t, yamlOf({ node: garbage }));
  assert.equal(code, 1);
  assert.match(text, /^FAIL {2}node node1: /m);
  const mute = await listenerThat(t, (socket) => void socket.end());
  assert.match((await run(t, yamlOf({ node: mute }))).text, /^FAIL {2}node node1: takes the connection/m);
});

test('etcd that is dead, silent or talks nonsense is given up host by host', async (t) => {
  const { port: silent, close } = await silentPort();
  t.after(close);
  const nonsense = await listenerThat(t, (socket) => void socket.on('data', () => socket.write('no')));
  const dead = await refusingPort();
  const hosts = [dead, silent, nonsense].map((port) => `"127.0.0.1:${port}"`).join(', ');
  const { code, text, tookMs } = await run(
    t,
    `
cluster: { scope: yard, etcd3: { hosts: [${hosts}], request_timeout: 300ms } }
listeners: [{ name: rw, address: "127.0.0.1:0", route: primary }]
admin: { enabled: false }
auth: { users: [{ name: app, password: x }] }
`,
  );
  assert.equal(code, 1);
  assert.match(text, new RegExp(`^FAIL {2}etcd 127\\.0\\.0\\.1:${dead}: connection refused$`, 'm'));
  assert.match(text, new RegExp(`^FAIL {2}etcd 127\\.0\\.0\\.1:${silent}: no answer in time$`, 'm'));
  assert.match(text, new RegExp(`^FAIL {2}etcd 127\\.0\\.0\\.1:${nonsense}: `, 'm'));
  assert.match(text, /etcdctl --endpoints=127\.0\.0\.1:\d+ endpoint health/);
  assert.doesNotMatch(text, /admin server/);
  assert.ok(tookMs < 10_000, `${tookMs} ms`);
});

test('a port that somebody else has is told, with a guess who it is', async (t) => {
  const node = await refusingPort();
  const quiet = await listenerThat(t, (socket) => void socket.end('SSH-2.0-x\r\n'));
  const other = await run(t, yamlOf({ node, listener: quiet }));
  assert.match(
    other.text,
    new RegExp(`^FAIL {2}listener rw: 127\\.0\\.0\\.1:${quiet} is taken by another program$`, 'm'),
  );
  assert.match(other.text, new RegExp(`ss -ltnp 'sport = :${quiet}'`));
  const postgres = await listenerThat(t, (socket) => void socket.once('data', () => socket.write('N')));
  const pooler = await run(t, yamlOf({ node, listener: postgres }));
  assert.match(pooler.text, /^FAIL {2}listener rw: .* is taken by something that speaks PostgreSQL's protocol/m);
});

test('a port that the running proxy has is as it should be', async (t) => {
  const [listener = 0] = await freePorts(1);
  const taken = createServer().listen(listener, '127.0.0.1');
  t.after(() => taken.close());
  const config = yamlOf({ node: 1, listener });
  const admin = await AdminServer.open(proxyOf({ config }), { host: '127.0.0.1', port: 0 });
  t.after(() => admin.close());
  const { text } = await run(t, yamlOf({ node: await refusingPort(), listener, admin: admin.port }));
  assert.match(text, new RegExp(`^ok {4}listener rw: 127\\.0\\.0\\.1:${listener} is served by the running proxy`, 'm'));
  assert.match(
    text,
    new RegExp(`^ok {4}admin server: 127\\.0\\.0\\.1:${admin.port} is served by the running proxy`, 'm'),
  );
});

test('an address of another machine is told as such', async (t) => {
  const yaml = yamlOf({ node: await refusingPort() }).replace('127.0.0.1:0", route', '192.0.2.1:5000", route');
  assert.match(
    (await run(t, yaml)).text,
    /^FAIL {2}listener rw: 192\.0\.2\.1 is no address of this machine\n.*ip_nonlocal_bind/m,
  );
});

test('a userlist is read, and what is odd about it told by line', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-userlist-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'userlist.txt');
  writeFileSync(path, '"app" "secret-of-app"\nnonsense secret-of-nobody\n');
  const yaml = yamlOf({ node: await refusingPort() }).replace(
    'users: [{ name: app, password: neither-to-be-shown }]',
    `userlist_file: ${path}`,
  );
  const { text } = await run(t, yaml);
  assert.match(text, /^ok {4}auth\.userlist_file: 1 user in /m);
  assert.match(text, /^warn {2}auth\.userlist_file: .*userlist\.txt:2: a line must begin with a quoted user name$/m);
  assert.doesNotMatch(text, /secret-of/);
});

test('a wait that is over is over, also when its answer comes later', async () => {
  let answer: (value: string) => void = () => {};
  const late = new Promise<string>((resolve) => {
    answer = resolve;
  });
  await assert.rejects(within(late, 20, 'gave up'), /^Error: gave up$/);
  answer('too late');
  assert.equal(await within(Promise.resolve('in time'), 20), 'in time');
  await assert.rejects(within(Promise.reject(new Error('its own')), 20), /its own/);
});
