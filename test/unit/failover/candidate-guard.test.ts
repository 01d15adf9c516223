import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClusterView } from '../../../src/cluster/view.js';
import {
  CONFLICT_PATIENCE_MS,
  CandidateGuard,
  EVICTIONS_PER_LOOK,
  GUARD_LOOK_MS,
  STALL_PATIENCE_MS,
} from '../../../src/failover/candidate-guard.js';
import type { GuardedSession } from '../../../src/failover/candidate-guard.js';
import type { LogFields, Logger } from '../../../src/log.js';
import { Counters } from '../../../src/metrics/counters.js';
import type { Obstacle } from '../../../src/replication/promotion-obstacle.js';
import type { NodeName } from '../../../src/util/brand.js';
import { A, B, C, nodeViewOf, viewOf } from '../../support/cluster-fakes.js';
import { FakeClock } from '../../support/fake-clock.js';
import { settle } from '../../support/fake-postgres.js';

const GONE = nodeViewOf(A, { role: 'unknown', health: 'unreachable' });
const SWITCHOVER = { leader: A, candidate: B, scheduledAtEpochMs: null, revision: 7n };
/** The leader key names node2, which is still in recovery. */
const CONFIRMING = viewOf({ primary: null, leader: B, nodes: [GONE, nodeViewOf(B), nodeViewOf(C)] });
/** node1 was stopped for node2, and no key says so yet. */
const LOST = viewOf({
  primary: null,
  leader: A,
  switchover: SWITCHOVER,
  switchoverDue: true,
  nodes: [GONE, nodeViewOf(B), nodeViewOf(C)],
});
const INTENT = {
  route: 'standby',
  fallback: 'primary',
  prefer: 'any',
  tags: new Map(),
  consistency: 'session',
  poolMode: 'session',
  zone: null,
  slowStartMs: 0,
  stickiness: 'session',
} as const;

interface FakeSession {
  node: NodeName;
  target: 'primary' | 'standby';
  isAtBoundary: boolean;
  processId: number;
  evictions: string[];
}

function waitingFor(processIds: readonly number[], over: Partial<Obstacle> = {}): Obstacle {
  const readers = processIds.map((processId) => ({ processId, transaction: 't1' }));
  return { wait: 'readers', replayLsn: 1n, receiveLsn: 9n, readers, ...over };
}

class Bench {
  readonly clock = new FakeClock();
  readonly counters = new Counters();
  readonly log: (LogFields & { readonly message: string })[] = [];
  readonly asked: NodeName[] = [];
  readonly sessions: FakeSession[] = [];
  readonly guard: CandidateGuard;
  isEnabled = true;
  answer: () => Promise<Obstacle | null> = async () => null;

  constructor() {
    const note = (fields: LogFields, message: string): void => void this.log.push({ ...fields, message });
    const logger: Logger = { trace: note, debug: note, info: note, warn: note, error: note };
    this.guard = new CandidateGuard({
      clock: this.clock,
      logger,
      counters: this.counters,
      sessions: () => this.sessions.map((session) => this.#guarded(session)),
      ask: (node) => {
        this.asked.push(node);
        return this.answer();
      },
      isEnabled: () => this.isEnabled,
    });
  }

  add(processId: number, over: Partial<FakeSession> = {}): FakeSession {
    const session: FakeSession = {
      node: B,
      target: 'standby',
      isAtBoundary: false,
      processId,
      evictions: [],
      ...over,
    };
    this.sessions.push(session);
    return session;
  }

  see(view: ClusterView): void {
    this.guard.onView(view);
  }

  async run(ms: number): Promise<void> {
    for (let gone = 0; gone < ms; gone += 10) {
      this.clock.advance(10);
      await settle();
    }
  }

  #guarded(session: FakeSession): GuardedSession {
    return {
      node: session.node,
      target: session.target,
      intent: INTENT,
      isAtBoundary: session.isAtBoundary,
      backend: { processId: session.processId } as GuardedSession['backend'],
      evict: (why: string) => {
        session.evictions.push(why);
        this.sessions.splice(this.sessions.indexOf(session), 1);
      },
    };
  }
}

test('whoever is in the way of replay for longer than the patience is taken off, and nobody else', async () => {
  const bench = new Bench();
  const [inTheWay, idle, elsewhere, harmless] = [
    bench.add(1),
    bench.add(2, { isAtBoundary: true }),
    bench.add(3, { node: C }),
    bench.add(4),
  ];
  bench.answer = async () => waitingFor([1, 2, 3]);
  bench.see(CONFIRMING);
  await bench.run(CONFLICT_PATIENCE_MS - 10);
  assert.deepEqual(inTheWay.evictions, [], 'most reads end by themselves');
  await bench.run(2 * GUARD_LOOK_MS);
  assert.equal(inTheWay.evictions.length, 1);
  assert.match(inTheWay.evictions[0] ?? '', /promotion of node node2/);
  for (const session of [idle, elsewhere, harmless]) assert.deepEqual(session.evictions, []);
  assert.equal(bench.counters.evictions, 1);
});

test('a session that reads something else each time is not the one that replay waits for', async () => {
  const bench = new Bench();
  const session = bench.add(1);
  let looks = 0;
  bench.answer = async () => {
    looks += 1;
    return waitingFor([], { readers: [{ processId: 1, transaction: `t${looks}` }] });
  };
  bench.see(CONFIRMING);
  await bench.run(2_000);
  assert.ok(looks > 10);
  assert.deepEqual(session.evictions, []);
});

test('replay that waits for nobody, or for nobody for long, costs nobody anything', async () => {
  const bench = new Bench();
  const session = bench.add(1);
  let looks = 0;
  bench.answer = async () => {
    looks += 1;
    return looks % 2 === 0 ? waitingFor([1], { wait: 'none' }) : waitingFor([1]);
  };
  bench.see(CONFIRMING);
  await bench.run(2_000);
  assert.deepEqual(session.evictions, []);
});

test('it asks only while a node is to be promoted, and never when it is turned off', async () => {
  const bench = new Bench();
  bench.answer = async () => waitingFor([1]);
  for (const view of [
    viewOf(),
    viewOf({ switchover: SWITCHOVER, switchoverDue: true }),
    viewOf({ primary: null, leader: null }),
    viewOf({ primary: null, leader: A, nodes: [GONE, nodeViewOf(B), nodeViewOf(C)] }),
    { ...CONFIRMING, standbyCluster: true },
    { ...LOST, switchoverDue: false },
  ]) {
    bench.see(view);
    await bench.run(200);
  }
  assert.deepEqual(bench.asked, []);
  bench.isEnabled = false;
  bench.see(CONFIRMING);
  await bench.run(200);
  assert.deepEqual(bench.asked, []);
  bench.isEnabled = true;
  bench.see(CONFIRMING);
  await bench.run(200);
  assert.ok(bench.asked.length > 2 && bench.asked.every((node) => node === B));
  const before = bench.asked.length;
  bench.see(viewOf({ primary: B, leader: B }));
  await bench.run(200);
  assert.equal(bench.asked.length, before, 'it is the primary now');
  assert.equal(bench.clock.pendingTimers, 0);
});

test('before the key names the candidate, a read is ended only where it can be run again at once', async () => {
  const bench = new Bench();
  const session = bench.add(1);
  bench.answer = async () => waitingFor([1]);
  const alone = { ...LOST, nodes: new Map([...LOST.nodes].filter(([name]) => name !== C)) };
  bench.see(alone);
  await bench.run(500);
  assert.ok(bench.asked.length > 2);
  assert.deepEqual(session.evictions, []);
  bench.see(LOST);
  await bench.run(100);
  assert.equal(session.evictions.length, 1);
});

test('where the node does not say what replay waits for, a standstill before its end says enough', async () => {
  for (const readers of [null, [{ processId: 1, transaction: '' }]]) {
    const bench = new Bench();
    const [first, second] = [bench.add(1), bench.add(2)];
    bench.answer = async () => waitingFor([], { wait: 'hidden', readers });
    bench.see(CONFIRMING);
    await bench.run(STALL_PATIENCE_MS - GUARD_LOOK_MS);
    assert.deepEqual([...first.evictions, ...second.evictions], []);
    await bench.run(3 * GUARD_LOOK_MS);
    assert.equal(first.evictions.length, 1);
    assert.equal(second.evictions.length, readers === null ? 1 : 0, 'everybody, when nobody can be told apart');
  }
});

test('replay that moves, or has come to its end, is not held up', async () => {
  for (const position of [(looks: number) => BigInt(looks % 5), () => 9n]) {
    const bench = new Bench();
    const session = bench.add(1);
    let looks = 0;
    bench.answer = async () => {
      looks += 1;
      return waitingFor([], { wait: 'hidden', readers: null, replayLsn: position(looks) });
    };
    bench.see(CONFIRMING);
    await bench.run(3 * STALL_PATIENCE_MS);
    assert.deepEqual(session.evictions, []);
  }
});

test('reads that are not ours are reported once, and left alone', async () => {
  const bench = new Bench();
  bench.add(1);
  bench.answer = async () => waitingFor([1, 77, 78]);
  bench.see(CONFIRMING);
  await bench.run(1_000);
  const reports = bench.log.filter(({ message }) => message.includes('not ours'));
  assert.deepEqual(
    reports.map(({ node, backends }) => [node, backends]),
    [[B, 2]],
  );
});

test('a candidate that does not answer, or answers nonsense, costs nobody anything', async () => {
  const bench = new Bench();
  const session = bench.add(1);
  bench.answer = async () => {
    throw new Error('no answer');
  };
  bench.see(CONFIRMING);
  await bench.run(500);
  bench.answer = async () => null;
  await bench.run(2_000);
  assert.deepEqual(session.evictions, []);
  bench.answer = () => new Promise(() => {});
  await bench.run(GUARD_LOOK_MS);
  const before = bench.asked.length;
  await bench.run(2_000);
  assert.equal(bench.asked.length, before, 'one question at a time');
});

test('an answer about one candidate is not held against another', async () => {
  const bench = new Bench();
  const [onB, onC] = [bench.add(1), bench.add(1, { node: C })];
  bench.answer = async () => waitingFor([1]);
  bench.see(CONFIRMING);
  await bench.run(CONFLICT_PATIENCE_MS - GUARD_LOOK_MS);
  bench.see(viewOf({ primary: null, leader: C, nodes: [GONE, nodeViewOf(B), nodeViewOf(C)] }));
  await bench.run(CONFLICT_PATIENCE_MS - GUARD_LOOK_MS);
  assert.deepEqual([...onB.evictions, ...onC.evictions], [], 'the patience begins anew');
  await bench.run(2 * GUARD_LOOK_MS);
  assert.deepEqual([onB.evictions.length, onC.evictions.length], [0, 1]);
});

test('many are taken off little by little', async () => {
  const bench = new Bench();
  const ids = Array.from({ length: 3 * EVICTIONS_PER_LOOK }, (_, n) => n + 1);
  for (const id of ids) bench.add(id);
  bench.answer = async () => waitingFor(ids);
  bench.see(CONFIRMING);
  await bench.run(CONFLICT_PATIENCE_MS + 10);
  assert.equal(bench.counters.evictions, EVICTIONS_PER_LOOK);
  await bench.run(3 * GUARD_LOOK_MS);
  assert.equal(bench.counters.evictions, ids.length);
});
