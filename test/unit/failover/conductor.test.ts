import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pool } from '../../../src/backend/pool.js';
import type { ClusterView } from '../../../src/cluster/view.js';
import { Conductor } from '../../../src/failover/conductor.js';
import type { ConductorParts } from '../../../src/failover/conductor.js';
import { HoldQueue } from '../../../src/failover/hold-queue.js';
import { silentLogger } from '../../../src/log.js';
import { Counters } from '../../../src/metrics/counters.js';
import { Admits } from '../../../src/session/context.js';
import { Greetings } from '../../../src/session/greetings.js';
import type { NodeName } from '../../../src/util/brand.js';
import { A, B, C, nodeViewOf, viewOf } from '../../support/cluster-fakes.js';
import { FakeClock } from '../../support/fake-clock.js';
import { FakeSession, emptyRegistry } from './drain-bench.js';

const LIMITS = { holdTimeoutMs: 60_000, maxHeld: 100, releaseWave: 8 };
const LOOK_MS = 100;

/** A real conductor with real queues; what it would do to the rest of the program is noted. */
class Bench {
  readonly clock = new FakeClock();
  readonly registry = emptyRegistry();
  readonly primaryHold = new HoldQueue(LIMITS, this.clock);
  readonly drained: (readonly NodeName[])[] = [];
  readonly poolHears: string[] = [];
  readonly conductor: Conductor;
  /** Units that were let try again, and what was admitted at that moment. */
  readonly released: Admits[] = [];
  view: ClusterView = viewOf();

  constructor() {
    const parts: Partial<ConductorParts> = {
      clock: this.clock,
      logger: silentLogger,
      counters: new Counters(),
      registry: this.registry,
      pool: {
        closeIdle: () => {},
        forgetFailures: (node: NodeName | null) => void this.poolHears.push(`forget ${node ?? 'all'}`),
        noteLoss: (node: NodeName) => void this.poolHears.push(`lost ${node}`),
        warmUp: (node: NodeName) => void this.poolHears.push(`warm up ${node}`),
      } as unknown as Pool,
      greetings: new Greetings(),
      primaryHold: this.primaryHold,
      standbyHold: new HoldQueue(LIMITS, this.clock),
      drain: { begin: () => {}, cancel: () => {} } as unknown as ConductorParts['drain'],
      hurrier: { hurry: () => {} },
      announceTimeoutMs: () => 30_000,
      setDrained: (nodes) => void this.drained.push([...nodes]),
    };
    this.conductor = new Conductor(parts as ConductorParts);
    this.conductor.start();
    this.conductor.onView(this.view);
  }

  see(over: Partial<ClusterView>): void {
    this.view = { ...this.view, ...over, epoch: this.view.epoch + 1 };
    this.conductor.onView(this.view);
  }

  hold(): void {
    this.primaryHold.enter({
      sinceMs: this.clock.nowMs(),
      onRelease: () => void this.released.push(this.conductor.admits),
      onExpire: () => assert.fail('nobody waits so long here'),
    });
  }
}

const switchover = { leader: A, candidate: B, scheduledAtEpochMs: null, revision: 1n };

test('the gate narrows with the announcement, is shut from the loss on, and opens with the release', () => {
  const bench = new Bench();
  assert.equal(bench.conductor.admits, Admits.All);
  assert.ok(bench.conductor.isOpen);
  bench.see({ switchover });
  assert.equal(bench.conductor.admits, Admits.Repeatable);
  assert.ok(!bench.conductor.isOpen);
  assert.match(bench.conductor.reason, /a switchover from node1 to node2 was announced/);
  bench.hold();
  bench.see({ primary: null, noPrimaryReason: 'the leader key is gone', leader: null });
  assert.equal(bench.conductor.admits, Admits.None);
  assert.deepEqual(bench.released, []);
  bench.see({ primary: B, leader: { name: B, term: 2n }, noPrimaryReason: null, switchover: null });
  assert.deepEqual(bench.released, [Admits.All]);
});

test('an announcement that becomes due by the clock alone narrows the gate', () => {
  const bench = new Bench();
  bench.see({ switchover: { ...switchover, scheduledAtEpochMs: bench.clock.epochMs() + 5000 } });
  bench.clock.advance(5000 - LOOK_MS);
  assert.equal(bench.conductor.admits, Admits.All);
  bench.clock.advance(2 * LOOK_MS);
  assert.equal(bench.conductor.admits, Admits.Repeatable);
  bench.clock.advance(30_000 + LOOK_MS);
  assert.equal(bench.conductor.admits, Admits.All, 'and it is given up in time');
});

test('while its node still answers, a session there is looked at for what pins it', () => {
  const bench = new Bench();
  const [here, there] = [new FakeSession(bench.registry, A), new FakeSession(bench.registry, B)];
  bench.see({ switchover });
  assert.deepEqual([here.inspections, there.inspections], [1, 0]);
});

test('a firm drain shuts the gate at once, and lets go who is at a boundary', () => {
  const bench = new Bench();
  const idle = new FakeSession(bench.registry, A);
  const busy = Object.assign(new FakeSession(bench.registry, A), { isAtBoundary: false });
  const order = bench.conductor.drains.begin({ node: A, isFirm: true, timeoutMs: 1000 });
  assert.equal(bench.conductor.admits, Admits.None);
  assert.match(bench.conductor.reason, /node1 is about to be stopped/);
  assert.equal(idle.node, null);
  assert.equal(busy.node, A);
  busy.isAtBoundary = true;
  bench.clock.advance(LOOK_MS);
  assert.equal(order.verdict, 'empty');
  assert.equal(bench.conductor.admits, Admits.None, 'until the node is stopped');
  bench.see({ primary: null, leader: null, noPrimaryReason: 'gone', nodes: without(bench.view, A) });
  bench.clock.advance(LOOK_MS);
  assert.equal(order.end, 'gone');
  bench.see({ primary: B, leader: { name: B, term: 2n }, noPrimaryReason: null });
  assert.equal(bench.conductor.admits, Admits.All);
  bench.clock.advance(2000);
  const [record] = bench.conductor.records.records;
  assert.deepEqual(
    [record?.outcome, record?.phases.map(({ phase }) => phase)],
    ['promoted', ['draining', 'leader_lost', 'releasing']],
  );
});

test('a primary that is restarted behind its drain is released as soon as it is back', () => {
  const bench = new Bench();
  bench.conductor.drains.begin({ node: A, isFirm: true, timeoutMs: 1000 });
  const { nodes } = bench.view;
  bench.see({ primary: null, noPrimaryReason: 'node1 does not answer', nodes: without(bench.view, A) });
  bench.clock.advance(LOOK_MS);
  bench.see({ primary: A, noPrimaryReason: null, nodes });
  assert.equal(bench.conductor.admits, Admits.All);
});

test('a drain whose stop never comes is called off, and what was held goes on', () => {
  const bench = new Bench();
  bench.conductor.drains.begin({ node: A, isFirm: true, timeoutMs: 1000 });
  bench.hold();
  bench.clock.advance(30_000 - LOOK_MS);
  assert.deepEqual(bench.released, []);
  bench.clock.advance(2 * LOOK_MS);
  assert.deepEqual(bench.released, [Admits.All]);
  bench.clock.advance(2000);
  assert.equal(bench.conductor.records.records[0]?.outcome, 'called_off');
});

test('a drain that is called off while a switchover is announced lets go what may be sent again', () => {
  const bench = new Bench();
  bench.see({ switchover });
  bench.conductor.drains.begin({ node: A, isFirm: true, timeoutMs: 1000 });
  bench.hold();
  bench.conductor.drains.cancel(A);
  assert.equal(bench.conductor.admits, Admits.Repeatable);
  assert.deepEqual(bench.released, [Admits.Repeatable]);
});

test('a drained standby is taken out of the view for as long as it is drained', () => {
  const bench = new Bench();
  bench.conductor.drains.begin({ node: C, isFirm: true, timeoutMs: 1000 });
  assert.deepEqual(bench.drained.at(-1), [C]);
  assert.equal(bench.conductor.admits, Admits.All);
  bench.conductor.drains.cancel(null);
  assert.deepEqual(bench.drained.at(-1), []);
});

test('closed, it leaves no timer', () => {
  const bench = new Bench();
  bench.conductor.drains.begin({ node: C, isFirm: true, timeoutMs: 1000 });
  bench.conductor.close();
  assert.equal(bench.clock.pendingTimers, 0);
});

function without(view: ClusterView, name: NodeName): ClusterView['nodes'] {
  return new Map([...view.nodes, [name, nodeViewOf(name, { role: 'unknown', health: 'unreachable' })]]);
}

test('the pool is told what is lost, and to open backends on the new primary, to which no refusal of another time applies', () => {
  const bench = new Bench();
  bench.poolHears.length = 0;
  bench.see({ primary: null, noPrimaryReason: 'the leader key is gone', leader: null });
  assert.deepEqual(bench.poolHears, [`lost ${A}`]);
  bench.see({ primary: B, leader: { name: B, term: 2n }, noPrimaryReason: null });
  assert.deepEqual(bench.poolHears.slice(-2), ['forget all', `warm up ${B}`]);
});
