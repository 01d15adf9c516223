import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { AdminServer } from '../../../src/admin/server.js';
import { drain } from '../../../src/cli/drain.js';
import type { DrainOptions } from '../../../src/cli/drain.js';
import { forgetPast } from '../../../src/cli/forget-past.js';
import { PinReason } from '../../../src/sql/pin-reason.js';
import { A } from '../../support/cluster-fakes.js';
import { refusingPort, silentPort } from '../../support/ports.js';
import { BOTH_LISTENERS, proxyOf } from '../admin/proxy-of.js';
import type { FakeProxy } from '../admin/proxy-of.js';
import { FakeSession } from '../failover/drain-bench.js';
import { terminalOf } from './terminal-of.js';

const PLAIN: DrainOptions = {
  configPath: '/nowhere/switchyard.yaml',
  json: false,
  admins: [],
  tokenFile: null,
  node: 'node1',
  wait: true,
  cancel: false,
  timeoutMs: 2000,
};

/** A proxy whose clock runs by itself, ten times as fast as ours. */
async function start(t: TestContext, config?: string): Promise<{ proxy: FakeProxy; admin: string }> {
  const proxy = proxyOf(config === undefined ? {} : { config });
  const admin = await AdminServer.open(proxy, { host: '127.0.0.1', port: 0 });
  const timer = setInterval(() => proxy.clock.advance(100), 10);
  t.after(async () => {
    clearInterval(timer);
    await admin.close();
  });
  return { proxy, admin: `127.0.0.1:${admin.port}` };
}

test('an empty node means exit code 0', async (t) => {
  const { proxy, admin } = await start(t);
  const terminal = terminalOf();
  assert.equal(await drain({ ...PLAIN, admins: [admin] }, terminal), 0);
  assert.match(terminal.printed.at(-1) ?? '', /^node1 \(primary\) is empty after /);
  assert.deepEqual(terminal.complaints, []);
  assert.equal(proxy.conductor.drains.get(A)?.isFirm, true);
});

test('whoever is left is told with the reason, and means exit code 3', async (t) => {
  const { proxy, admin } = await start(t);
  for (let i = 0; i < 2; i += 1) {
    Object.assign(new FakeSession(proxy.registry, A), { isAtBoundary: false, pinReason: PinReason.OpenTransaction });
  }
  const terminal = terminalOf();
  assert.equal(await drain({ ...PLAIN, admins: [admin] }, terminal), 3);
  assert.match(terminal.printed[0] ?? '', /waiting for 2 sessions \(2 open transaction\)/);
  assert.match(terminal.printed.at(-1) ?? '', /still has 2 sessions \(2 open transaction\) after 2\.\d s/);
});

test('sessions that cannot move are not waited for, and mean exit code 3', async (t) => {
  const { proxy, admin } = await start(t);
  Object.assign(new FakeSession(proxy.registry, A), { pinReason: PinReason.Listen });
  const terminal = terminalOf();
  assert.equal(await drain({ ...PLAIN, admins: [admin], timeoutMs: 600_000 }, terminal), 3);
  assert.match(terminal.printed.at(-1) ?? '', /1 session \(1 listen\) left that cannot move/);
});

test('several proxies are told at one time, and each is named', async (t) => {
  const [one, two] = [await start(t), await start(t)];
  Object.assign(new FakeSession(two.proxy.registry, A), { isAtBoundary: false });
  const terminal = terminalOf();
  assert.equal(await drain({ ...PLAIN, admins: [one.admin, two.admin] }, terminal), 3);
  assert.ok(terminal.printed.some((line) => line.startsWith(`${one.admin}: node1 (primary) is empty`)));
  assert.ok(terminal.printed.some((line) => line.startsWith(`${two.admin}: node1 (primary) still has 1 session`)));
});

test('a proxy that is not there or does not answer means exit code 1, and the others are told all the same', async (t) => {
  const { proxy, admin } = await start(t);
  const silent = await silentPort();
  t.after(silent.close);
  for (const [bad, why] of [
    [`127.0.0.1:${await refusingPort()}`, /cannot be reached/],
    [`127.0.0.1:${silent.port}`, /silent|does not answer/],
  ] as const) {
    const terminal = terminalOf();
    const beganAt = performance.now();
    assert.equal(await drain({ ...PLAIN, admins: [bad, admin], timeoutMs: 200 }, terminal), 1);
    assert.ok(performance.now() - beganAt < 9000);
    assert.match(terminal.complaints[0] ?? '', why);
    assert.ok(terminal.printed.length > 0);
    assert.ok(proxy.counters.drains > 0);
  }
});

test('without --wait it only tells, and with --cancel it takes that back', async (t) => {
  const { proxy, admin } = await start(t);
  Object.assign(new FakeSession(proxy.registry, A), { isAtBoundary: false });
  const terminal = terminalOf();
  assert.equal(await drain({ ...PLAIN, admins: [admin], node: null, wait: false }, terminal), 0);
  assert.match(terminal.printed[0] ?? '', /^node1 \(primary\): waiting for 1 session/);
  assert.ok(proxy.conductor.drains.get(A) !== null);
  assert.equal(await drain({ ...PLAIN, admins: [admin], node: null, cancel: true }, terminal), 0);
  assert.equal(terminal.printed.at(-1), `${admin}: not drained any more: node1`);
  assert.equal(proxy.conductor.drains.get(A), null);
});

test('with --json every line is an object with the proxy in it', async (t) => {
  const { admin } = await start(t);
  const terminal = terminalOf();
  await drain({ ...PLAIN, admins: [admin], json: true }, terminal);
  const last = JSON.parse(terminal.printed.at(-1) ?? '') as Record<string, unknown>;
  assert.deepEqual([last['admin'], last['node'], last['verdict']], [admin, 'node1', 'empty']);
});

test('a node that is not there means exit code 1, and an address that is none 78', async (t) => {
  const { admin } = await start(t);
  const unknown = terminalOf();
  assert.equal(await drain({ ...PLAIN, admins: [admin], node: 'node9' }, unknown), 1);
  assert.match(unknown.complaints[0] ?? '', /there is no node "node9"/);
  const odd = terminalOf();
  assert.equal(await drain({ ...PLAIN, admins: ['a:b:c'] }, odd), 78);
  assert.match(odd.complaints[0] ?? '', /^--admin: /);
});

test('the token comes from the environment, and without it nobody is heard', async (t) => {
  const { admin } = await start(t, `${BOTH_LISTENERS}admin: { address: "*:9432", token: "open-sesame" }\n`);
  const stranger = terminalOf();
  assert.equal(await drain({ ...PLAIN, admins: [admin] }, stranger), 1);
  assert.match(stranger.complaints[0] ?? '', /token/);
  const known = terminalOf({ env: { SWITCHYARD_ADMIN_TOKEN: 'open-sesame' } });
  assert.equal(await drain({ ...PLAIN, admins: [admin] }, known), 0);
});

test('the past is forgotten only when the name of the cluster is given', async (t) => {
  const { proxy, admin } = await start(t);
  let forgotten = 0;
  Object.assign(proxy.watch.store, { forgetPast: () => (forgotten += 1) });
  const options = { ...PLAIN, admins: [admin], yes: false };
  const answers = [null, '', 'other'];
  for (const answer of answers) {
    assert.equal(await forgetPast(options, terminalOf(), async () => answer), 64);
  }
  assert.equal(forgotten, 0);
  let asked = '';
  const code = await forgetPast(options, terminalOf(), async (question) => {
    asked = question;
    return 'yard\n';
  });
  assert.equal(code, 0);
  assert.match(asked, /name of the cluster \(yard\)/);
  assert.equal(forgotten, 1);
  assert.equal(await forgetPast({ ...options, yes: true }, terminalOf(), async () => assert.fail('asked')), 0);
  assert.equal(forgotten, 2);
});
