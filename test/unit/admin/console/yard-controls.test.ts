import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import type { ProgramControls } from '../../../../src/admin/console/program-controls.js';
import { YardControls } from '../../../../src/admin/console/yard-controls.js';
import { SwitchyardError } from '../../../../src/errors.js';
import type { Session } from '../../../../src/session/session.js';
import { PinReason } from '../../../../src/sql/pin-reason.js';
import { viewOf } from '../../../support/cluster-fakes.js';
import { proxyOf } from '../proxy-of.js';
import type { FakeProxy } from '../proxy-of.js';

let proxy: FakeProxy;
let controls: YardControls;
let told: string[];
/** What the pool has. */
let backends: number;
let abort: AbortController;

beforeEach(() => {
  proxy = proxyOf();
  controls = new YardControls(proxy);
  told = [];
  backends = 1;
  abort = new AbortController();
  Object.defineProperty(proxy.pool, 'figures', { get: () => [{ database: 'app', total: backends }] });
});

function pause(database: string | null = 'app'): Promise<string> {
  return outcome(controls.pause(database, (sentence) => told.push(sentence), abort.signal));
}

async function outcome(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return 'done';
  } catch (error) {
    return error instanceof SwitchyardError ? `${error.sqlState} ${error.message}` : String(error);
  }
}

function addPinned(): { pinReason: PinReason } {
  const id = proxy.registry.nextId();
  const session = {
    id,
    identity: { user: 'app', database: 'app', cancelKey: { processId: id, key: Buffer.alloc(4) } },
    nodes: ['node1'],
    isAtBoundary: true,
    pinReason: PinReason.OpenTransaction as PinReason,
    reconsider: () => {},
    askAnew: () => {},
    leaveOld: () => {},
  };
  proxy.registry.add(session as unknown as Session);
  return session;
}

test('a pause that is over soon is not told of', async () => {
  const paused = pause();
  proxy.clock.advance(100);
  backends = 0;
  proxy.clock.advance(100);
  assert.equal(await paused, 'done');
  assert.deepEqual(told, []);
  assert.deepEqual([controls.isPaused, controls.pausedDatabases], [false, ['app']]);
});

test('what a pause waits for is told when it changes, and not more often than can be read', async () => {
  const session = addPinned();
  const paused = pause();
  proxy.clock.advance(3000);
  assert.deepEqual(told, ['waiting for 1 transaction']);
  session.pinReason = PinReason.TemporaryObject;
  proxy.clock.advance(300);
  assert.deepEqual(told.slice(1), ['waiting for 1 session pinned by temporary_object (id 1)']);
  backends = 0;
  proxy.clock.advance(100);
  assert.equal(await paused, 'done');
});

test('a resume ends the wait of a pause, with an error', async () => {
  const paused = pause();
  controls.resume('app');
  proxy.clock.advance(100);
  assert.equal(await paused, '55000 resumed before all backends were given back');
});

test('a client that cancels its pause ends it; one that goes away leaves it behind', async () => {
  const left = pause();
  abort.abort();
  proxy.clock.advance(100);
  assert.match(await left, /^57014/);
  assert.deepEqual(controls.pausedDatabases, ['app']);
  abort = new AbortController();
  const cancelled = pause(null);
  assert.equal(controls.isPaused, true);
  abort.abort(new SwitchyardError('query_canceled', 'canceling statement due to user request'));
  proxy.clock.advance(100);
  assert.match(await cancelled, /^57014/);
  assert.deepEqual([controls.isPaused, controls.pausedDatabases], [false, ['app']]);
  assert.deepEqual(told, []);
});

test('what the program has to do is refused where there is none around the proxy', async () => {
  assert.match(await outcome(controls.reload()), /^0A000 the proxy runs inside another program/);
  assert.match(await outcome(controls.set('pool.size', '3')), /^0A000/);
  assert.throws(() => controls.shutdown('now'), /inside another program/);
});

test('and is done by the program where there is one', async () => {
  const asked: string[] = [];
  const program: ProgramControls = {
    reload: () => ['read'],
    set: (key, value) => [`${key} is ${value}`],
    shutdown: (mode) => void asked.push(mode),
    patroni: { user: null, password: null },
  };
  const whole = new YardControls(proxy, program);
  assert.deepEqual(await whole.reload(), ['read']);
  assert.deepEqual(await whole.set('pool.size', '3'), ['pool.size is 3']);
  whole.shutdown('wait_for_clients');
  assert.deepEqual(asked, ['wait_for_clients']);
});

test('nodes are drained by name, once, and not while the proxy stops', () => {
  controls.drain('node1');
  assert.throws(() => controls.drain('nowhere'), /there is no node "nowhere"/);
  controls.undrain('node1');
  assert.throws(() => controls.undrain('node1'), /not drained/);
  proxy.isStopping = true;
  assert.throws(() => controls.drain('node1'), /shutting down/);
});

test('a switchover that cannot be is refused before anything is done', async () => {
  proxy.view = viewOf({ primary: null, leader: null });
  assert.match(await outcome(controls.switchover('node2')), /^55000 no switchover: /);
  assert.deepEqual(proxy.conductor.drains.all, []);
});
