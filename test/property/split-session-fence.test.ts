import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { DatabaseFences, SessionFence } from '../../src/session/split/session-fence.js';
import type { Consistency } from '../../src/session/split/session-fence.js';
import type { NodeName } from '../../src/util/brand.js';
import { B, C } from '../support/cluster-fakes.js';
import { FakeFreshness } from '../unit/session/split/fake-freshness.js';

const STANDBYS = [B, C];

/** A session, and what it must find wherever it reads. */
class Reader {
  mode: Consistency = 'session';
  readonly fence: SessionFence;
  /** How many records it has written or seen, of those that there are. */
  seen = 0;

  constructor(freshness: FakeFreshness, shared: DatabaseFences) {
    this.fence = new SessionFence(freshness, 'app', shared, () => this.mode);
  }
}

/** A primary that writes records, standbys that have the first of them, and samples of both. */
class World {
  readonly freshness = new FakeFreshness();
  readonly shared = new DatabaseFences();
  readonly readers = [new Reader(this.freshness, this.shared), new Reader(this.freshness, this.shared)];
  written = 0;
  /** What sessions of the consistency `database` have written. */
  databaseWritten = 0;
  readonly replayed = new Map<NodeName, number>(STANDBYS.map((name) => [name, 0]));
  /** How many records the primary had at each tick. */
  readonly ticks = new Map<number, number>();
  underWay: number | null = null;
  /** How often a standby was found fit that had something to have. */
  found = 0;

  reader(index: number): Reader {
    return this.readers[index] ?? new Reader(this.freshness, this.shared);
  }

  write(reader: Reader): void {
    this.written += 1;
    reader.seen = this.written;
    reader.fence.sawPrimary(true);
    if (reader.mode === 'database') this.databaseWritten = this.written;
  }

  readPrimary(reader: Reader): void {
    reader.seen = this.written;
    reader.fence.sawPrimary(false);
  }

  readStandby(reader: Reader, name: NodeName): void {
    if (!reader.fence.isCaughtUp(name)) return;
    const shown = this.replayed.get(name) ?? 0;
    if (reader.mode !== 'eventual') assert.ok(shown >= reader.seen, 'it has gone back in time');
    reader.seen = Math.max(reader.seen, shown);
    reader.fence.sawStandby(name);
  }

  send(): void {
    this.underWay = this.freshness.next;
    this.freshness.next += 1;
  }

  take(): void {
    if (this.underWay !== null) this.ticks.set(this.underWay, this.written);
    this.underWay = null;
  }

  replay(name: NodeName, records: number): void {
    this.replayed.set(name, Math.min(this.written, (this.replayed.get(name) ?? 0) + records));
  }

  sample(name: NodeName): void {
    const replayed = this.replayed.get(name) ?? 0;
    for (const [tick, records] of this.ticks) {
      if (records <= replayed) this.freshness.caughtUp.set(name, tick);
    }
  }

  /** It comes back with less. Its connections are gone, and what was known of it. */
  restart(name: NodeName, lost: number): void {
    this.replayed.set(name, Math.max(0, (this.replayed.get(name) ?? 0) - lost));
    this.freshness.caughtUp.delete(name);
    this.freshness.lives.set(name, {});
  }

  check(): void {
    for (const { fence, mode, seen } of this.readers) {
      const needed = mode === 'eventual' ? 0 : Math.max(seen, mode === 'database' ? this.databaseWritten : 0);
      for (const [name, replayed] of this.replayed) {
        const isCaughtUp = fence.isCaughtUp(name);
        if (mode === 'eventual') assert.equal(isCaughtUp, true);
        assert.ok(!isCaughtUp || replayed >= needed, `${name} has ${replayed} of ${needed} (${mode})`);
        if (isCaughtUp && needed > 0) this.found += 1;
      }
    }
  }
}

const readers = fc.nat(1);
const names = fc.constantFrom(...STANDBYS);
const modes = fc.constantFrom<Consistency[]>('session', 'session', 'database', 'eventual');
const ops = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ op: fc.constantFrom('write' as const, 'readPrimary' as const), reader: readers }),
  },
  { weight: 6, arbitrary: fc.record({ op: fc.constant('readStandby' as const), reader: readers, name: names }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('others' as const) }) },
  { weight: 6, arbitrary: fc.record({ op: fc.constantFrom('send' as const, 'take' as const) }) },
  { weight: 5, arbitrary: fc.record({ op: fc.constant('replay' as const), name: names, records: fc.nat(4) }) },
  { weight: 4, arbitrary: fc.record({ op: fc.constant('sample' as const), name: names }) },
  { weight: 5, arbitrary: fc.record({ op: fc.constant('round' as const), records: fc.tuple(fc.nat(6), fc.nat(6)) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('restart' as const), name: names, lost: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('mode' as const), reader: readers, mode: modes }) },
);
type Op = typeof ops extends fc.Arbitrary<infer T> ? T : never;

function run(world: World, op: Op): void {
  switch (op.op) {
    case 'write':
    case 'readPrimary':
      return world[op.op](world.reader(op.reader));
    case 'readStandby':
      return world.readStandby(world.reader(op.reader), op.name);
    case 'others':
      world.written += 1;
      return;
    case 'send':
    case 'take':
      return world[op.op]();
    case 'replay':
      return world.replay(op.name, op.records);
    case 'round':
      world.take();
      world.send();
      world.take();
      for (const [index, name] of STANDBYS.entries()) {
        world.replay(name, op.records[index] ?? 0);
        world.sample(name);
      }
      return;
    case 'sample':
    case 'restart':
      return op.op === 'sample' ? world.sample(op.name) : world.restart(op.name, op.lost);
    case 'mode':
    default:
      world.reader(op.reader).mode = op.mode;
  }
}

test('a standby that is called caught up has all that the session has written and seen', () => {
  let found = 0;
  fc.assert(
    fc.property(fc.array(ops, { minLength: 10, maxLength: 60 }), (each) => {
      const world = new World();
      for (const op of each) {
        run(world, op);
        world.check();
      }
      found += world.found;
    }),
    { numRuns: 4000 },
  );
  assert.ok(found > 1000, `a standby was found fit ${found} times`);
});

test('every standby is caught up in the end, when all of it was replayed and sampled', () => {
  fc.assert(
    fc.property(fc.array(ops, { maxLength: 40 }), (each) => {
      const world = new World();
      for (const op of each) run(world, op);
      world.take();
      world.send();
      world.take();
      for (const name of STANDBYS) {
        world.replayed.set(name, world.written);
        world.sample(name);
        for (const { fence } of world.readers) assert.equal(fence.isCaughtUp(name), true);
      }
    }),
    { numRuns: 1000 },
  );
});
