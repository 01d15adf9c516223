import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { A, B, C } from '../../support/cluster-fakes.js';
import { node } from '../../support/node-messages.js';
import { frontend } from '../../support/raw-messages.js';
import { BerthsBench } from './berths-bench.js';

let bench: BerthsBench;

beforeEach(() => {
  bench = new BerthsBench();
});

/** Sessions on each node, and those at work there. */
function loads(): string {
  const { registry } = bench;
  return [A, B, C].map((name) => `${registry.load(name)}/${registry.outstanding(name)}`).join(' ');
}

test('a session counts where it is on its way to, and where it is', () => {
  const { berths } = bench;
  berths.expect(B);
  assert.equal(loads(), '0/0 1/0 0/0');
  berths.expect(C);
  assert.equal(loads(), '0/0 0/0 1/0');
  bench.arrive(C, 'standby');
  assert.equal(loads(), '0/0 0/0 1/0');
  bench.arrive(A, 'primary');
  assert.equal(loads(), '1/0 0/0 1/0');
  assert.deepEqual([berths.of('primary')?.target, berths.of('standby')?.target], ['primary', 'standby']);
  assert.equal(berths.attached?.target, 'primary');
  berths.close();
  assert.equal(loads(), '0/0 0/0 0/0');
});

test('it counts as at work between the beginning and the end of what it does, wherever that ends', () => {
  const { berths } = bench;
  bench.arrive(B, 'standby');
  berths.used();
  berths.used();
  assert.equal(loads(), '0/0 1/1 0/0');
  berths.rested();
  berths.rested();
  assert.equal(loads(), '0/0 1/0 0/0');
  berths.used();
  berths.park();
  assert.equal(loads(), '0/0 1/0 0/0', 'what is parked rests');
  berths.used();
  assert.equal(loads(), '0/0 1/0 0/0', 'there is nothing to work with');
  bench.arrive(A, 'primary');
  berths.used();
  assert.equal(bench.loseAttached(), 'primary');
  assert.equal(loads(), '0/0 1/0 0/0');
});

test('a session that shares its backends counts on its standby between its reads too', () => {
  const { berths, registry } = bench;
  const residents = (): string => [A, B, C].map((name) => registry.residents(name)).join(' ');
  bench.isPooled = true;
  for (const target of ['standby', 'primary', 'standby'] as const) {
    berths.giveBack(bench.arrive(target === 'primary' ? A : B, target), 'unit_end');
    assert.equal(residents(), '0 1 0');
    assert.equal(loads(), '0/0 0/0 0/0');
  }
  bench.arrive(C, 'standby');
  assert.equal(residents(), '0 0 1');
  bench.loseAttached();
  assert.equal(residents(), '0 0 1');
  berths.close();
  assert.equal(residents(), '0 0 0');
});

test('a session that shares its backends counts on no standby while the primary stands in for them all', () => {
  bench.isPooled = true;
  bench.route = 'standby';
  bench.berths.giveBack(bench.arrive(B, 'standby'), 'unit_end');
  assert.equal(bench.registry.residents(B), 1);
  bench.arrive(A, 'primary');
  assert.equal(bench.registry.residents(B), 0);
});

test('two backends change places, and what each of them has stays with it', () => {
  const standby = bench.arrive(B, 'standby');
  const primary = bench.arrive(A, 'primary');
  assert.deepEqual([bench.berths.attached, bench.berths.parked], [primary, standby]);
  bench.swap();
  assert.deepEqual([bench.berths.attached, bench.berths.parked], [standby, primary]);
  bench.relays.client.hear(frontend.query('select 1'));
  assert.ok(bench.wireOf(standby)?.bytesWritten !== 0);
  assert.equal(bench.wireOf(primary)?.bytesWritten, 0);
  assert.equal(bench.left.length, 0);
});

test('a third backend takes the place of the one that was parked', () => {
  const standby = bench.arrive(B, 'standby');
  bench.arrive(A, 'primary');
  bench.arrive(C, 'standby');
  assert.deepEqual(
    bench.released.map(({ backend, reason }) => [backend.identity.node, reason]),
    [[B, 'move']],
  );
  assert.deepEqual(bench.left, [standby]);
  assert.equal(loads(), '1/0 0/0 1/0');
});

test('a backend is given back once, and only by its session', () => {
  const standby = bench.arrive(B, 'standby');
  bench.berths.giveBack(standby, 'drain');
  bench.berths.giveBack(standby, 'drain');
  assert.equal(bench.released.length, 1);
  assert.equal(bench.relays.relay.backend, null);
  assert.equal(bench.berths.lost(), 'primary', 'there is none to lose');
  assert.equal(bench.released.length, 1);
  assert.equal(loads(), '0/0 0/0 0/0');
});

test('what is cleaned and kept is only what is known to be cleanable', () => {
  const standby = bench.arrive(B, 'standby');
  standby.applied.fail();
  bench.berths.giveBack(standby, 'move');
  bench.berths.giveBack(bench.arrive(B, 'standby'), 'move');
  bench.isCleanable = false;
  bench.berths.giveBack(bench.arrive(A, 'primary'), 'move');
  assert.deepEqual(
    bench.released.map(({ isCleanable }) => isCleanable),
    [false, true, false],
  );
});

test('a parked backend that ends is given back, and its last words are told; nothing of it reaches the client', () => {
  const standby = bench.arrive(B, 'standby');
  bench.arrive(A, 'primary');
  const wire = bench.wireOf(standby);
  wire?.hear(node.notice('mind'), node.parameter('TimeZone', 'UTC'));
  wire?.hear(node.error('57P01', 'bye', { severity: 'FATAL' }));
  wire?.lose();
  assert.equal(bench.relays.heard, '');
  assert.equal(standby.backend.parameters.get('TimeZone'), 'UTC');
  assert.deepEqual(
    bench.parkedLost.map(({ berth, farewell }) => [berth, farewell?.sqlState, farewell?.message]),
    [[standby, '57P01', 'bye']],
  );
  assert.deepEqual([bench.berths.parked, bench.left], [null, [standby]]);
  assert.deepEqual(
    bench.released.map(({ reason }) => reason),
    ['lost'],
  );
  assert.equal(loads(), '1/0 0/0 0/0');
});

test('a parked backend that has said farewell is not there any more, also before its connection is closed', () => {
  const primary = bench.arrive(A, 'primary');
  bench.arrive(B, 'standby');
  const wire = bench.wireOf(primary);
  wire?.hear(node.error('57P01', 'bye', { severity: 'FATAL' }));
  assert.deepEqual([bench.berths.of('primary'), bench.parkedLost.length], [null, 1]);
  assert.deepEqual([wire?.closed, bench.released[0]?.isCleanable], [true, false]);
  wire?.lose();
  assert.deepEqual([bench.parkedLost.length, bench.released.length], [1, 1], 'once');
});

test('a parked backend that ends without a word has no last words', () => {
  bench.arrive(B, 'standby');
  bench.arrive(A, 'primary');
  bench.wireOf(bench.berths.parked)?.lose(new Error('reset'));
  assert.equal(bench.parkedLost[0]?.farewell, null);
});

test('a backend that was parked once and is attached again is not lost as a parked one', () => {
  bench.arrive(B, 'standby');
  bench.arrive(A, 'primary');
  bench.swap();
  assert.equal(bench.loseAttached(), 'standby');
  assert.equal(bench.parkedLost.length, 0);
  assert.deepEqual([bench.berths.of('standby'), bench.berths.parked?.target], [null, 'primary']);
  bench.swap();
  assert.equal(bench.relays.relay.backend?.identity.node, A);
});

test('a backend that waited for the client is read again when it is parked, given back or lost', () => {
  const { client } = bench.relays;
  const standby = bench.arrive(B, 'standby');
  client.hasRoom = false;
  bench.wireOf(standby)?.hear(node.notice('much'));
  assert.equal(bench.wireOf(standby)?.isPaused, true);
  bench.berths.park();
  assert.equal(bench.wireOf(standby)?.isPaused, false);
  bench.swap();
  bench.wireOf(standby)?.hear(node.notice('more'));
  assert.equal(bench.wireOf(standby)?.isPaused, true);
  bench.berths.giveBack(standby, 'drain');
  assert.equal(bench.wireOf(standby)?.isPaused, false);
});

test('a client that waited for its backend is read again when that leaves', () => {
  const { client } = bench.relays;
  const standby = bench.arrive(B, 'standby');
  const wire = bench.wireOf(standby);
  if (wire !== undefined) wire.hasRoom = false;
  client.hear(frontend.query('select 1'));
  assert.equal(client.isPaused, true);
  wire?.hear(node.complete(), node.ready());
  bench.berths.giveBack(standby, 'drain');
  assert.equal(client.isPaused, false);
});

test('moves are counted for each kind of node in a split session, and for all in another', () => {
  bench.arrive(B, 'standby', 'read');
  bench.arrive(A, 'primary', 'write');
  assert.deepEqual([...bench.counters.moves.entries()], [], 'these are its two nodes');
  bench.arrive(C, 'standby', 'moves_away');
  assert.deepEqual([...bench.counters.moves.entries()], [['moves_away', 1]]);
  const other = new BerthsBench();
  other.route = 'standby';
  other.arrive(B, 'standby');
  other.arrive(A, 'primary', 'fallback_primary');
  assert.deepEqual([...other.counters.moves.entries()], [['fallback_primary', 1]]);
});
