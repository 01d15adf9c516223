import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClusterView, NodeView } from '../../../src/cluster/view.js';
import { DrainOrders } from '../../../src/failover/drain-orders.js';
import { silentLogger } from '../../../src/log.js';
import { Counters } from '../../../src/metrics/counters.js';
import { PinReason } from '../../../src/sql/pin-reason.js';
import type { NodeName } from '../../../src/util/brand.js';
import { A, B, C, nodeViewOf, viewOf } from '../../support/cluster-fakes.js';
import { FakeClock } from '../../support/fake-clock.js';
import { FakeSession, emptyRegistry } from './drain-bench.js';

const KEEP_MS = 30_000;
const LOOK_MS = 20;

/** Orders before a cluster whose primary is node1, told what the test says. */
class Bench {
  readonly clock = new FakeClock();
  readonly registry = emptyRegistry();
  readonly counters = new Counters();
  readonly closedIdle: NodeName[] = [];
  readonly recorded: [NodeName, boolean][] = [];
  readonly orders: DrainOrders;
  view: ClusterView = viewOf();
  changes = 0;

  constructor() {
    this.orders = new DrainOrders({
      clock: this.clock,
      logger: silentLogger,
      counters: this.counters,
      registry: this.registry,
      pool: { closeIdle: (node) => void this.closedIdle.push(node) },
      view: () => this.view,
      keepMs: () => KEEP_MS,
      onChange: () => {
        this.changes += 1;
      },
      onStandby: (node) => (isEmpty) => void this.recorded.push([node, isEmpty]),
    });
  }

  session(node: NodeName, over: Partial<Pick<FakeSession, 'isAtBoundary' | 'pinReason'>> = {}): FakeSession {
    return Object.assign(new FakeSession(this.registry, node), over);
  }

  setNode(name: NodeName, over: Partial<NodeView>): void {
    const node = this.view.nodes.get(name) ?? nodeViewOf(name);
    this.view = { ...this.view, nodes: new Map([...this.view.nodes, [name, { ...node, ...over }]]) };
  }
}

test('sessions that are idle leave at once, those in the middle of something at their boundary', () => {
  const bench = new Bench();
  const idle = bench.session(A);
  const busy = bench.session(A, { isAtBoundary: false });
  const elsewhere = bench.session(B);
  const order = bench.orders.begin({ node: A, isFirm: true, timeoutMs: 5000 });
  assert.equal(idle.node, null);
  assert.equal(busy.node, A);
  assert.equal(elsewhere.node, B);
  assert.deepEqual(order.left(bench.registry), { sessions: 1, reasons: { unit: 1 } });
  assert.equal(order.verdict, null);
  busy.isAtBoundary = true;
  bench.clock.advance(LOOK_MS);
  assert.equal(busy.node, null);
  assert.equal(order.verdict, 'empty');
  assert.ok(bench.closedIdle.includes(A) && !bench.closedIdle.includes(B));
  assert.equal(bench.counters.drains, 1);
});

test('nobody there: it is empty from the start', () => {
  const bench = new Bench();
  assert.equal(bench.orders.begin({ node: A, isFirm: true, timeoutMs: 5000 }).verdict, 'empty');
});

test('a session on its way to the node is waited for', () => {
  const bench = new Bench();
  bench.registry.attached(A);
  const order = bench.orders.begin({ node: A, isFirm: true, timeoutMs: 5000 });
  assert.deepEqual(order.left(bench.registry), { sessions: 1, reasons: { arriving: 1 } });
  bench.registry.detached(A);
  bench.clock.advance(LOOK_MS);
  assert.equal(order.verdict, 'empty');
});

test('a transaction that does not end is waited for as long as was said, and told by its reason', () => {
  const bench = new Bench();
  bench.session(A, { isAtBoundary: false, pinReason: PinReason.OpenTransaction });
  bench.session(A, { isAtBoundary: false, pinReason: PinReason.OpenTransaction });
  const order = bench.orders.begin({ node: A, isFirm: true, timeoutMs: 5000 });
  bench.clock.advance(4999);
  assert.equal(order.verdict, null);
  bench.clock.advance(LOOK_MS);
  assert.equal(order.verdict, 'timed_out');
  assert.deepEqual(order.left(bench.registry), { sessions: 2, reasons: { open_transaction: 2 } });
  assert.equal(order.end, null, 'what was waited for comes now');
});

test('when all that are left on the primary are pinned between two transactions, nobody waits any longer', () => {
  const bench = new Bench();
  const other = bench.session(A, { isAtBoundary: false });
  bench.session(A, { pinReason: PinReason.TemporaryObject });
  const order = bench.orders.begin({ node: A, isFirm: true, timeoutMs: 5000 });
  assert.equal(order.verdict, null, 'the other one may still leave');
  other.isAtBoundary = true;
  bench.clock.advance(LOOK_MS);
  assert.equal(order.verdict, 'unmovable');
  assert.deepEqual(order.left(bench.registry).reasons, { temporary_object: 1 });
});

test('a pinned session of a standby goes on there, and may lose its pin', () => {
  const bench = new Bench();
  const pinned = bench.session(B, { pinReason: PinReason.TemporaryObject });
  const order = bench.orders.begin({ node: B, isFirm: true, timeoutMs: 5000 });
  bench.clock.advance(1000);
  assert.equal(order.verdict, null);
  pinned.pinReason = null;
  bench.clock.advance(LOOK_MS);
  assert.equal(order.verdict, 'empty');
});

test('without being firm it waits for what had begun before, and makes nobody leave', () => {
  const bench = new Bench();
  const idle = bench.session(A);
  const inTransaction = bench.session(A, { isAtBoundary: false, pinReason: PinReason.OpenTransaction });
  const order = bench.orders.begin({ node: A, isFirm: false, timeoutMs: 5000 });
  assert.equal(idle.node, A);
  assert.deepEqual(order.left(bench.registry), { sessions: 1, reasons: { open_transaction: 1 } });
  inTransaction.isAtBoundary = true;
  inTransaction.pinReason = null;
  bench.clock.advance(LOOK_MS);
  assert.equal(order.verdict, 'empty');
  inTransaction.isAtBoundary = false;
  idle.isAtBoundary = false;
  bench.clock.advance(1000);
  assert.equal(order.left(bench.registry).sessions, 0, 'what began since then can be sent again');
  assert.deepEqual(bench.closedIdle, []);
  assert.deepEqual(bench.orders.claimOf(A), { node: A, isFirm: false });
});

test('a session that ends while it is waited for is not waited for any more', () => {
  const bench = new Bench();
  const gone = bench.session(A, { isAtBoundary: false });
  const order = bench.orders.begin({ node: A, isFirm: false, timeoutMs: 5000 });
  gone.isClosed = true;
  bench.clock.advance(LOOK_MS);
  assert.equal(order.verdict, 'empty');
});

test('the stop that never comes: it ends by itself, and says so', () => {
  const bench = new Bench();
  const order = bench.orders.begin({ node: A, isFirm: true, timeoutMs: 5000 });
  const { changes } = bench;
  bench.clock.advance(KEEP_MS - LOOK_MS);
  assert.deepEqual(bench.orders.claimOf(A), { node: A, isFirm: true });
  bench.clock.advance(2 * LOOK_MS);
  assert.equal(order.end, 'expired');
  assert.equal(bench.orders.claimOf(A), null);
  assert.ok(bench.changes > changes);
  assert.equal(bench.clock.pendingTimers, 0);
});

test('the time after which it ends counts from the end of the wait, and from when nobody waits any more', () => {
  const bench = new Bench();
  bench.session(A, { isAtBoundary: false });
  const order = bench.orders.begin({ node: A, isFirm: true, timeoutMs: 60_000 });
  bench.clock.advance(10_000);
  assert.equal(order.keepUntilMs - bench.clock.nowMs(), 50_000 + KEEP_MS);
  bench.orders.abandonWait(order);
  assert.equal(order.keepUntilMs - bench.clock.nowMs(), KEEP_MS);
  bench.clock.advance(KEEP_MS);
  assert.equal(order.end, 'expired');
});

test('asked for again it is the same one, with new limits; what is firm stays so', () => {
  const bench = new Bench();
  const first = bench.orders.begin({ node: A, isFirm: true, timeoutMs: 1000 });
  bench.clock.advance(KEEP_MS / 2);
  bench.session(A, { isAtBoundary: false });
  const again = bench.orders.begin({ node: A, isFirm: false, timeoutMs: 2000 });
  assert.equal(again, first);
  assert.equal(again.isFirm, true);
  assert.equal(again.verdict, null, 'who has come since is waited for');
  assert.equal(again.keepUntilMs - bench.clock.nowMs(), 2000 + KEEP_MS);
  assert.equal(bench.counters.drains, 1);
});

const ends: readonly (readonly [what: string, change: (bench: Bench) => void])[] = [
  ['is out of reach', (bench) => bench.setNode(A, { health: 'unreachable' })],
  ['has another role', (bench) => bench.setNode(A, { role: 'standby' })],
  ['does not prove its role any more', (bench) => bench.setNode(A, { role: 'unknown' })],
  ['is not the primary any more', (bench) => (bench.view = { ...bench.view, primary: B })],
  ['is no node of the cluster any more', (bench) => (bench.view = viewOf({ nodes: [nodeViewOf(B)] }))],
];

for (const [what, change] of ends) {
  test(`it is over when the node ${what}: what was to come has come`, () => {
    const bench = new Bench();
    const order = bench.orders.begin({ node: A, isFirm: true, timeoutMs: 5000 });
    change(bench);
    bench.clock.advance(LOOK_MS);
    assert.equal(order.end, 'gone');
    assert.deepEqual(bench.orders.all, []);
  });
}

test('a primary without a leader key is still one: its drain goes on', () => {
  const bench = new Bench();
  const order = bench.orders.begin({ node: A, isFirm: true, timeoutMs: 5000 });
  bench.view = { ...bench.view, primary: null };
  bench.clock.advance(1000);
  assert.equal(order.end, null);
});

test('it can be called off, one node or all', () => {
  const bench = new Bench();
  const [a, b] = [A, B].map((node) => bench.orders.begin({ node, isFirm: true, timeoutMs: 5000 }));
  assert.deepEqual(bench.orders.cancel(C), []);
  assert.deepEqual(bench.orders.cancel(B), [B]);
  assert.equal(b?.end, 'cancelled');
  assert.deepEqual(bench.orders.cancel(null), [A]);
  assert.equal(a?.end, 'cancelled');
});

test('standbys are taken out of every choice, the primary is told to the machine, and the drain of a standby is recorded', () => {
  const bench = new Bench();
  bench.session(C, { isAtBoundary: false });
  for (const node of [A, B, C]) bench.orders.begin({ node, isFirm: true, timeoutMs: 1000 });
  assert.deepEqual([...bench.orders.standbys], [B, C]);
  assert.deepEqual(bench.orders.claimOf(A), { node: A, isFirm: true });
  assert.equal(bench.orders.claimOf(B), null);
  assert.equal(bench.orders.claimOf(null), null);
  bench.setNode(B, { health: 'unreachable' });
  bench.clock.advance(LOOK_MS);
  bench.orders.cancel(null);
  assert.deepEqual(bench.recorded, [
    [B, true],
    [C, false],
  ]);
});

test('closed, it leaves no timer', () => {
  const bench = new Bench();
  bench.orders.begin({ node: A, isFirm: true, timeoutMs: 1000 });
  bench.orders.close();
  assert.equal(bench.clock.pendingTimers, 0);
});
