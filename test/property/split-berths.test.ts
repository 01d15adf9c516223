import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { Target } from '../../src/session/berths.js';
import type { NodeName } from '../../src/util/brand.js';
import { A, B, C } from '../support/cluster-fakes.js';
import { node } from '../support/node-messages.js';
import { frontend } from '../support/raw-messages.js';
import { BerthsBench } from '../unit/session/berths-bench.js';

const NODES = [A, B, C];
const nodes = fc.constantFrom(...NODES);
const ops = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      op: fc.constant('arrive' as const),
      node: nodes,
      target: fc.constantFrom<Target[]>('primary', 'standby'),
    }),
  },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('expect' as const), node: fc.option(nodes) }) },
  { weight: 4, arbitrary: fc.record({ op: fc.constant('swap' as const) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('park' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({ op: fc.constantFrom('giveBackAttached' as const, 'giveBackParked' as const) }),
  },
  { weight: 2, arbitrary: fc.record({ op: fc.constantFrom('loseAttached' as const, 'loseParked' as const) }) },
  { weight: 5, arbitrary: fc.record({ op: fc.constantFrom('used' as const, 'rested' as const, 'unit' as const) }) },
  {
    weight: 4,
    arbitrary: fc.record({ op: fc.constantFrom('clientFull' as const, 'clientDrains' as const, 'nodeFull' as const) }),
  },
);
type Op = typeof ops extends fc.Arbitrary<infer T> ? T : never;

function run(bench: BerthsBench, op: Op): void {
  const { berths, relays } = bench;
  const wire = bench.wireOf(berths.attached);
  switch (op.op) {
    case 'arrive': {
      // As sessions do it: of the same kind there is never a second one.
      const before = berths.of(op.target);
      if (before !== null) berths.giveBack(before, 'move');
      bench.arrive(op.node, op.target);
      return;
    }
    case 'expect':
      return berths.expect(op.node);
    case 'swap':
      return bench.swap();
    case 'park':
      return berths.park();
    case 'giveBackAttached':
    case 'giveBackParked': {
      const berth = op.op === 'giveBackAttached' ? berths.attached : berths.parked;
      if (berth !== null) berths.giveBack(berth, 'drain');
      return;
    }
    case 'loseAttached':
      return void bench.loseAttached();
    case 'loseParked':
      return bench.wireOf(berths.parked)?.lose();
    case 'used':
    case 'rested':
      return berths[op.op]();
    case 'unit':
      if (wire === undefined || relays.client.isPaused) return;
      relays.client.hear(frontend.query('select 1'));
      wire.hear(node.complete(), node.ready());
      // It is only read while the client has room.
      if (wire.isPaused) relays.client.drain();
      return wire.read();
    case 'clientFull':
      relays.client.hasRoom = false;
      return wire?.hear(node.notice('much'));
    case 'clientDrains':
      return relays.client.drain();
    case 'nodeFull':
    default:
      if (wire !== undefined) wire.hasRoom = false;
  }
}

function check(bench: BerthsBench, expected: NodeName | null): void {
  const { berths, registry, released, relays } = bench;
  const { attached, parked } = berths;
  assert.ok(attached === null || attached.target !== parked?.target, 'one of each kind');
  assert.equal(relays.relay.backend, attached?.backend ?? null);
  const own = [attached, parked].flatMap((berth) => (berth === null ? [] : [berth.backend.identity.node]));
  if (expected !== null) own.push(expected);
  for (const name of NODES) {
    assert.equal(registry.load(name), own.filter((each) => each === name).length, `load of ${name}`);
    const isThere = attached?.backend.identity.node === name;
    assert.ok(registry.outstanding(name) <= (isThere ? 1 : 0), `work on ${name}`);
  }
  assert.notEqual(bench.wireOf(parked)?.isPaused, true, 'a parked backend is read');
  for (const { backend } of released) {
    assert.notEqual(bench.wires.get(backend)?.isPaused, true, 'a backend that was given back is read');
  }
  assert.equal(new Set(released.map(({ backend }) => backend)).size, released.length, 'each is given back once');
  assert.equal(released.length, bench.left.length, 'the session hears of each that leaves');
  // One that does not listen is not read either.
  const isHeard = attached === null && relays.client.hasRoom;
  if (isHeard) assert.equal(relays.client.isPaused, false, 'a client without a backend is read');
}

test('whatever becomes of its backends, a session is counted where it is, and nowhere in the end', () => {
  fc.assert(
    fc.property(fc.array(ops, { maxLength: 40 }), (each) => {
      const bench = new BerthsBench();
      let expected: NodeName | null = null;
      for (const op of each) {
        run(bench, op);
        if (op.op === 'expect') expected = op.node;
        else if (op.op === 'arrive') expected = null;
        check(bench, expected);
      }
      bench.berths.close();
      check(bench, null);
      assert.equal(bench.released.length, bench.wires.size, 'every backend was given back');
      assert.deepEqual([bench.berths.attached, bench.berths.parked], [null, null]);
    }),
    { numRuns: 3000 },
  );
});
