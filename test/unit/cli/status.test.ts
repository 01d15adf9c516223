import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { AdminServer } from '../../../src/admin/server.js';
import { findAdminAddress } from '../../../src/cli/status/admin-address.js';
import { fetchStatus } from '../../../src/cli/status/fetch-status.js';
import { status } from '../../../src/cli/status.js';
import { viewOf } from '../../support/cluster-fakes.js';
import { listenOnLoopback, refusingPort, silentPort } from '../../support/ports.js';
import { proxyOf } from '../admin/proxy-of.js';
import type { ProxyWishes } from '../admin/proxy-of.js';
import { terminalOf } from './terminal-of.js';

const NO_FILE = '/nowhere/switchyard.yaml';

function fileWith(t: TestContext, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-status-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'switchyard.yaml');
  writeFileSync(path, text);
  return path;
}

async function adminPort(t: TestContext, wishes: ProxyWishes = {}): Promise<number> {
  const admin = await AdminServer.open(proxyOf(wishes), { host: '127.0.0.1', port: 0 });
  t.after(() => admin.close());
  return admin.port;
}

async function httpPort(t: TestContext, answer: RequestListener): Promise<number> {
  const server = createServer(answer);
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return listenOnLoopback(server);
}

function found(configPath: string, env: Record<string, string> = {}): string {
  const result = findAdminAddress(configPath, env);
  return result.ok ? `${result.value.host} ${result.value.port}` : `! ${result.problem.replace(configPath, 'FILE')}`;
}

test('the address comes from the environment, the configuration, or is the default', (t) => {
  const file = fileWith(t, 'admin: { address: "10.1.2.3:9999" }\n');
  assert.equal(found(file, { SWITCHYARD_ADMIN: '10.0.0.7:1234' }), '10.0.0.7 1234');
  assert.equal(found(file, { SWITCHYARD_ADMIN: 'http://proxy.example:1234/' }), 'proxy.example 1234');
  assert.equal(found(file, { SWITCHYARD_ADMIN: '[::1]' }), '::1 9432');
  assert.match(found(file, { SWITCHYARD_ADMIN: 'a:b:c' }), /^! SWITCHYARD_ADMIN: "a:b:c" is not an address/);
  assert.equal(found(file), '10.1.2.3 9999');
  assert.equal(found(fileWith(t, 'cluster: {}\n')), '127.0.0.1 9432');
  assert.equal(found(NO_FILE), '127.0.0.1 9432');
});

test('who listens on every interface is asked on the loopback', (t) => {
  for (const address of ['*:9432', '0.0.0.0:9432', '[::]:9432', ':9432']) {
    assert.equal(found(fileWith(t, `admin: { address: "${address}" }\n`)), '127.0.0.1 9432', address);
  }
});

test('nothing but the address of the configuration is needed, not even its secrets', (t) => {
  const file = fileWith(
    t,
    'cluster: { monitor: { password: "${NOT_SET}" } }\nadmin: { address: "${HOST}:9000" }\nwrong: key\n',
  );
  assert.equal(found(file, { HOST: '10.9.9.9' }), '10.9.9.9 9000');
  assert.match(found(file), /^! FILE: admin\.address: the environment variable HOST is not set/);
});

test('an address that cannot be known is said to be so', (t) => {
  assert.match(found(fileWith(t, 'admin: { address: "127.0.0.1:0" }\n')), /^! FILE: .*port 0.*SWITCHYARD_ADMIN/);
  assert.match(found(fileWith(t, 'admin: { enabled: false }\n')), /^! FILE: admin\.enabled is false/);
  assert.match(found(fileWith(t, 'admin: { address: 5 }\n')), /^! FILE: admin\.address: must be host:port/);
  assert.match(
    found(fileWith(t, 'admin: { address: nonsense }\n')),
    /^! FILE: admin\.address: "nonsense" is not an address/,
  );
  assert.match(found(fileWith(t, 'admin: [\n')), /^! FILE: line \d+: /);
});

test('a proxy that is ready is shown, with exit code 0', async (t) => {
  const terminal = terminalOf({ env: { SWITCHYARD_ADMIN: `127.0.0.1:${await adminPort(t)}` } });
  assert.equal(await status({ configPath: NO_FILE, json: false }, terminal), 0);
  assert.match(terminal.printed.join('\n'), /^Cluster yard: ready/);
  assert.match(terminal.printed.join('\n'), /\| node1 \|/);
  assert.deepEqual(terminal.complaints, []);
});

test('a proxy without a primary is shown as well, with exit code 1', async (t) => {
  const port = await adminPort(t, { view: viewOf({ primary: null, leader: null }) });
  const terminal = terminalOf({ env: { SWITCHYARD_ADMIN: `127.0.0.1:${port}` } });
  assert.equal(await status({ configPath: NO_FILE, json: false }, terminal), 1);
  assert.match(terminal.printed.join('\n'), /Not ready: the leader key is gone/);
});

test('with --json the answer is passed on as it came', async (t) => {
  const terminal = terminalOf({ env: { SWITCHYARD_ADMIN: `127.0.0.1:${await adminPort(t)}` } });
  assert.equal(await status({ configPath: NO_FILE, json: true }, terminal), 0);
  assert.equal(terminal.printed.length, 1);
  assert.equal((JSON.parse(terminal.printed[0] ?? '') as { scope: string }).scope, 'yard');
});

test('nobody there means exit code 2, and a file that cannot be used 78', async (t) => {
  const nobody = terminalOf({ env: { SWITCHYARD_ADMIN: `127.0.0.1:${await refusingPort()}` } });
  assert.equal(await status({ configPath: NO_FILE, json: false }, nobody), 2);
  assert.match(nobody.complaints[0] ?? '', /cannot be reached: .*ECONNREFUSED/);
  assert.deepEqual(nobody.printed, []);
  const broken = terminalOf();
  assert.equal(await status({ configPath: fileWith(t, 'admin: {\n'), json: false }, broken), 78);
});

test('whoever answers with something else is told apart', async (t) => {
  const cases: [RequestListener, RegExp][] = [
    [(_, answer) => answer.writeHead(404).end('no'), /HTTP status 404/],
    [(_, answer) => answer.end('<html>'), /not as an admin server of switchyard/],
    [(_, answer) => answer.end('{"version":"9"}'), /cannot be understood \(nodeVersion\): another version/],
    [(request) => request.socket.destroy(), /cannot be reached: socket hang up/],
    [
      (_, answer) => {
        answer.writeHead(200, { 'content-length': '100' });
        answer.write('{', () => answer.destroy());
      },
      /broke off/,
    ],
  ];
  for (const [answer, pattern] of cases) {
    await assert.rejects(fetchStatus({ host: '127.0.0.1', port: await httpPort(t, answer) }, 5000), pattern);
  }
});

test('an answer that does not come, does not end, or drips is given up in time', async (t) => {
  const { port, close } = await silentPort();
  t.after(close);
  await assert.rejects(fetchStatus({ host: '127.0.0.1', port }, 100), /does not answer within 0.1 s/);
  const drip = await httpPort(t, (_, answer) => {
    const timer = setInterval(() => answer.write(' '), 10);
    answer.on('close', () => clearInterval(timer));
  });
  await assert.rejects(fetchStatus({ host: '127.0.0.1', port: drip }, 200), /does not answer within 0.2 s/);
  const flood = await httpPort(t, (_, answer) => {
    const block = Buffer.alloc(1024 * 1024, ' ');
    const more = (): void => void (answer.writable && answer.write(block, more));
    answer.on('error', () => {});
    more();
  });
  await assert.rejects(fetchStatus({ host: '127.0.0.1', port: flood }, 10_000), /answers without end/);
});
