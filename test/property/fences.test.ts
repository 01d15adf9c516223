import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { ClusterFreshness } from '../../src/cluster/freshness.js';
import { isPageStart, recordEnd } from '../../src/replication/lsn.js';
import type { NodeIdentity } from '../../src/replication/probe-sql.js';
import type { NodeName } from '../../src/util/brand.js';
import { A, B, C, SYSTEM, claimsOf, failureOf, primarySample, standbySample } from '../support/cluster-fakes.js';
import { FakeCluster } from '../support/fake-cluster.js';
import { WalModel } from './wal-model.js';

/** What a session has been told is done, and from which tick on a standby must have it. */
interface Told {
  readonly record: number;
  readonly fence: number;
}

interface Standby {
  replayed: number;
  timeline: number;
  /** Where it stands when it has gone further than the history it is to follow. */
  strayedLsn: bigint | null;
}

const NAMES = [A, B, C];

/** A cluster of three with its real WAL, its real replay, and the store that only knows what samples say. */
class World {
  readonly fake = new FakeCluster(claimsOf());
  readonly wal: WalModel;
  readonly standbys = new Map<NodeName, Standby>();
  readonly connections = new Map<NodeName, NodeIdentity>();
  readonly freshness = new ClusterFreshness(this.fake.store, this.fake.ticks, {
    isConnectedTo: (node, identity) => this.connections.get(node) === identity,
    earlyRound: () => {},
  });
  primary: NodeName = A;
  timeline = 1;
  told: Told[] = [];
  /** How often a standby was said to have what it has. */
  confirmed = 0;
  /** How many records of each earlier timeline are also those of the present one. */
  readonly forks = new Map<number, number>();
  /** Records of commits that nobody was told of yet. */
  done: number[] = [];
  /** A sample of the primary on its way: its number, and what it found when it was taken. */
  underWay: { readonly number: number; readonly sample: ReturnType<typeof primarySample> } | null = null;

  constructor(segmentBytes: number, startBytes: number) {
    this.wal = new WalModel(segmentBytes, startBytes);
    for (const name of [B, C]) this.standbys.set(name, { replayed: 0, timeline: 1, strayedLsn: null });
    this.samplePrimary();
    this.samplePrimary();
    for (const name of this.standbys.keys()) this.sampleStandby(name);
  }

  get isKnown(): boolean {
    return this.fake.store.view.primary === this.primary;
  }

  identityOf(name: NodeName): NodeIdentity {
    let identity = this.connections.get(name);
    if (identity === undefined) {
      identity = { serverVersion: 150018, systemIdentifier: SYSTEM, startedAtMs: 0, seesReceiver: true, role: 'm' };
      this.connections.set(name, identity);
    }
    return identity;
  }

  primaryPosition(): ReturnType<typeof primarySample> {
    const { flushedLsn, insertLsn } = this.wal;
    const insertedLsn = recordEnd(insertLsn);
    return {
      ...primarySample(this.fake.clock.nowMs(), flushedLsn, {
        insertedLsn,
        isFlushCut: isPageStart(flushedLsn) && insertedLsn !== flushedLsn,
        timeline: this.timeline,
      }),
      identity: this.identityOf(this.primary),
    };
  }

  samplePrimary(): void {
    this.send();
    this.answer();
  }

  send(): void {
    const number = this.fake.store.tickSource === this.primary ? this.fake.ticks.send() : 0;
    this.underWay = { number, sample: this.primaryPosition() };
  }

  answer(): void {
    if (this.underWay === null) return;
    const { number, sample } = this.underWay;
    this.underWay = null;
    this.fake.store.applySample(this.primary, sample, number === 0 ? null : number);
  }

  sampleStandby(name: NodeName): void {
    const standby = this.standbys.get(name);
    if (standby === undefined) return;
    const identity = this.identityOf(name);
    const lsn = standby.strayedLsn ?? this.wal.replayLsn(standby.replayed);
    const sample = standbySample(this.fake.clock.nowMs(), lsn, { timeline: standby.timeline });
    this.fake.store.applySample(name, { ...sample, identity }, null);
  }

  replay(name: NodeName, records: number): void {
    const standby = this.standbys.get(name);
    if (standby?.timeline === this.timeline) {
      standby.replayed = Math.min(Math.max(standby.replayed, this.wal.flushedRecords), standby.replayed + records);
    }
  }

  /** It comes back with less, and follows whoever is the primary; its old connections are gone. */
  restart(name: NodeName, lost: number): void {
    const standby = this.standbys.get(name);
    if (standby === undefined) return;
    this.connections.delete(name);
    const most = Math.min(standby.replayed, this.wal.flushedRecords);
    this.standbys.set(name, { replayed: Math.max(0, most - lost), timeline: this.timeline, strayedLsn: null });
  }

  /** The primary has crashed and is started again: what it had not flushed never happened. */
  crash(): void {
    this.connections.delete(this.primary);
    this.underWay = null;
    this.lose(this.wal.flushedRecords);
  }

  /** The primary is gone, and a standby takes its place with what it has. The others stay on the old timeline until they follow. */
  promote(name: NodeName): void {
    const standby = this.standbys.get(name);
    if (standby?.timeline !== this.timeline) return;
    const old = this.primary;
    this.connections.delete(old);
    this.underWay = null;
    for (const other of this.standbys.values()) {
      if (other.timeline === this.timeline && other.replayed > standby.replayed) {
        other.strayedLsn = this.wal.replayLsn(other.replayed);
      }
    }
    this.lose(standby.replayed);
    this.forks.set(this.timeline, standby.replayed);
    this.primary = name;
    this.timeline += 1;
    this.standbys.delete(name);
    this.standbys.set(old, { replayed: 0, timeline: this.timeline, strayedLsn: null });
    // The end of recovery is a record of its own.
    this.wal.insert(40, false);
    this.wal.flush();
    this.fake.store.applySample(old, failureOf('refused', this.fake.clock.nowMs()), null);
    this.fake.claim(claimsOf({ leader: name }));
  }

  /** A standby that has no more than the new primary had goes on after it. */
  follow(name: NodeName): void {
    const standby = this.standbys.get(name);
    if (standby?.strayedLsn === null && standby.replayed <= this.shownBy(standby)) standby.timeline = this.timeline;
  }

  lose(records: number): void {
    const { fence } = this.fake.ticks;
    // Whoever waits for an answer sees the connection end, and counts on the worst.
    this.told.push(...this.done.map((record) => ({ record, fence })));
    this.done = [];
    this.told = this.told.filter(({ record }) => record <= records);
    this.wal.truncate(records);
    for (const [timeline, shared] of this.forks) this.forks.set(timeline, Math.min(shared, records));
  }

  /** The records of the present history that a standby shows. */
  shownBy({ replayed, timeline }: Standby): number {
    return timeline === this.timeline ? replayed : Math.min(replayed, this.forks.get(timeline) ?? 0);
  }

  check(): void {
    for (const [name, standby] of this.standbys) {
      const caughtUp = this.freshness.caughtUpTick(name) ?? 0;
      const replayed = this.freshness.replayed(name);
      for (const { record, fence } of this.told) {
        const has = this.shownBy(standby) >= record;
        assert.ok(caughtUp < fence || has, `${name} has ${standby.replayed}, not ${record}`);
        const lsn = this.freshness.lsnOf(fence);
        assert.ok(lsn === null || replayed === null || replayed < lsn || has, `${name} by position`);
        this.confirmed += caughtUp >= fence ? 1 : 0;
      }
    }
  }
}

const standbyArbitrary = fc.constantFrom(...NAMES);
const opArbitrary = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ op: fc.constant('write' as const), bytes: fc.nat(20_000), toPageEnd: fc.boolean() }),
  },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('commit' as const), isFlushed: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('tell' as const) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('switch' as const) }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constantFrom('flush' as const, 'flushPages' as const) }) },
  { weight: 4, arbitrary: fc.record({ op: fc.constantFrom('send' as const, 'answer' as const) }) },
  { weight: 5, arbitrary: fc.record({ op: fc.constant('round' as const), replayed: fc.tuple(fc.nat(9), fc.nat(9)) }) },
  {
    weight: 5,
    arbitrary: fc.record({ op: fc.constant('replay' as const), name: standbyArbitrary, records: fc.nat(5) }),
  },
  { weight: 5, arbitrary: fc.record({ op: fc.constant('sample' as const), name: standbyArbitrary }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('restart' as const), name: standbyArbitrary, lost: fc.nat(4) }) },
  {
    weight: 1,
    arbitrary: fc.record({ op: fc.constant('promote' as const), name: standbyArbitrary, isSeen: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('follow' as const), name: standbyArbitrary }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('crash' as const) }) },
);
type Op = typeof opArbitrary extends fc.Arbitrary<infer T> ? T : never;

function run(world: World, op: Op): void {
  const { wal } = world;
  world.fake.clock.advance(10);
  switch (op.op) {
    case 'write':
      return wal.insert(op.bytes, op.toPageEnd);
    case 'commit':
      if (!world.isKnown) return;
      wal.insert(48, false);
      if (op.isFlushed) wal.flush();
      world.done.push(wal.records);
      return;
    case 'tell': {
      const { fence } = world.fake.ticks;
      world.told.push(...world.done.map((record) => ({ record, fence })));
      world.done = [];
      return;
    }
    case 'switch':
      wal.switchSegment();
      return wal.flush();
    case 'flush':
    case 'flushPages':
      return wal[op.op]();
    case 'send':
    case 'answer':
      return world[op.op]();
    case 'round':
      world.answer();
      world.samplePrimary();
      for (const [index, name] of [...world.standbys.keys()].entries()) {
        world.replay(name, op.replayed[index] ?? 0);
        world.sampleStandby(name);
      }
      return;
    case 'replay':
      return world.replay(op.name, op.records);
    case 'sample':
      return world.sampleStandby(op.name);
    case 'restart':
      return world.restart(op.name, op.lost);
    case 'promote':
    case 'follow':
      return world[op.op](op.name);
    default:
      return world.crash();
  }
}

const worldArbitrary = fc.record({
  segmentBytes: fc.constantFrom(1 << 20, 1 << 24),
  startBytes: fc.constantFrom(0, 8192 - 40, 8152, 3 * 8168 - 16, 1_000_000).map((bytes) => bytes - (bytes % 8)),
  ops: fc.array(opArbitrary, { minLength: 10, maxLength: 120 }),
});

test('no standby is said to have what it has not, through restarts, crashes and promotions', () => {
  let confirmed = 0;
  fc.assert(
    fc.property(worldArbitrary, ({ segmentBytes, startBytes, ops }) => {
      const world = new World(segmentBytes, startBytes);
      for (const op of ops) {
        run(world, op);
        world.check();
      }
      confirmed += world.confirmed;
    }),
    { numRuns: 600 },
  );
  assert.ok(confirmed > 300, `${confirmed}`);
});

test('a standby that has everything is caught up to the next tick, wherever the last record ends', () => {
  fc.assert(
    fc.property(worldArbitrary, ({ segmentBytes, startBytes, ops }) => {
      const world = new World(segmentBytes, startBytes);
      for (const op of ops) run(world, op);
      world.answer();
      world.samplePrimary();
      const { fence } = world.fake.ticks;
      world.wal.flush();
      world.samplePrimary();
      for (const name of world.standbys.keys()) {
        world.restart(name, 0);
        world.replay(name, world.wal.records);
        world.sampleStandby(name);
        assert.equal(world.freshness.caughtUpTick(name), fence);
        const lsn = world.freshness.lsnOf(fence);
        assert.ok(lsn !== null && (world.freshness.replayed(name) ?? -1n) >= lsn);
      }
    }),
    { numRuns: 300 },
  );
});
