import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import type { ClusterView } from '../../../src/cluster/view.js';
import { Departure } from '../../../src/session/departure.js';
import type { PauseGate, SessionIntent } from '../../../src/session/context.js';
import type { SessionState } from '../../../src/session/state/session-state.js';
import type { PinReason } from '../../../src/sql/pin-reason.js';
import type { NodeName } from '../../../src/util/brand.js';
import { A, B, nodeViewOf, viewOf } from '../../support/cluster-fakes.js';
import { FakeClock } from '../../support/fake-clock.js';
import { frontend } from '../../support/raw-messages.js';
import { BerthsBench } from './berths-bench.js';

let bench: BerthsBench;
let clock: FakeClock;
let view: ClusterView;
let pin: PinReason | null;
let inspected: number;
let ended: string[];
let suspected: NodeName[];
let isPaused: boolean;
let departure: Departure;

beforeEach(() => {
  bench = new BerthsBench();
  clock = new FakeClock();
  view = viewOf();
  pin = null;
  inspected = 0;
  ended = [];
  suspected = [];
  const { berths, context, relays } = bench;
  isPaused = false;
  const pauses = { isPaused: () => isPaused } as unknown as PauseGate;
  const state: Pick<SessionState, 'pinReason'> = {
    get pinReason() {
      return pin;
    },
  };
  departure = new Departure(
    {
      id: 1,
      identity: { database: 'app' },
      relay: relays.relay,
      state: state as SessionState,
      intent: { route: 'split' } as SessionIntent,
      inspectHere: () => void (inspected += 1),
      takeUp: () => {
        bench.swap();
        return true;
      },
      endAtBoundary: (reason, error) => void ended.push(`${reason}: ${error.message}`),
    },
    berths,
    { ...context, clock, view: () => view, suspect: (node: NodeName) => void suspected.push(node), pauses },
  );
});

function reasons(): readonly string[] {
  return bench.released.map(({ backend, reason }) => `${backend.identity.node} ${reason}`);
}

test('both backends are given back where both are on the node that is drained', () => {
  bench.arrive(B, 'standby');
  bench.arrive(B, 'primary');
  departure.leaveIfIdle(A);
  assert.deepEqual(reasons(), []);
  departure.leaveIfIdle(B);
  assert.deepEqual(reasons(), ['node2 drain', 'node2 drain']);
});

test('a parked backend is given back though the attached one is at work on the same node', () => {
  bench.arrive(B, 'standby');
  bench.arrive(B, 'primary');
  bench.relays.client.hear(frontend.query('select 1'));
  departure.leaveIfIdle(B);
  assert.deepEqual(reasons(), ['node2 drain']);
  assert.equal(bench.berths.parked, null);
});

test('a session that is bound is asked about on its primary, and leaves its standby all the same', () => {
  bench.arrive(B, 'standby');
  bench.arrive(A, 'primary');
  pin = 'temporary_object' as PinReason;
  departure.leaveIfIdle(B);
  assert.deepEqual([reasons(), inspected], [['node2 drain'], 0]);
  departure.leaveIfIdle(A);
  assert.deepEqual([reasons(), inspected], [['node2 drain'], 1]);
});

test('backends that an operator wants closed are left, others are not', () => {
  bench.arrive(A, 'primary');
  departure.leaveOld();
  assert.deepEqual(reasons(), []);
  bench.isRetired = true;
  departure.leaveOld();
  assert.deepEqual(reasons(), ['node1 reconnect']);
  bench.arrive(A, 'primary');
  [isPaused, bench.isRetired] = [true, false];
  pin = 'temporary_object' as PinReason;
  departure.leaveOld();
  assert.deepEqual([reasons(), inspected], [['node1 reconnect'], 1]);
  pin = null;
  departure.leaveOld();
  assert.deepEqual(reasons(), ['node1 reconnect', 'node1 paused']);
});

test('a parked primary is taken up to be asked', () => {
  bench.arrive(A, 'primary');
  bench.arrive(B, 'standby');
  departure.inspect(B);
  departure.inspect(A);
  assert.equal(inspected, 2);
  assert.equal(bench.berths.attached?.target, 'primary');
});

test('a parked backend on a node that is not fit any more is given back, and ends the session only if it held what pins it', () => {
  bench.arrive(A, 'primary');
  bench.arrive(B, 'standby');
  departure.look();
  assert.deepEqual(reasons(), []);
  view = viewOf({ primary: B, leader: B });
  pin = 'temporary_object' as PinReason;
  departure.look();
  assert.deepEqual(reasons(), ['node1 move']);
  assert.match(ended[0] ?? '', /node2 is the primary now/);
  assert.equal(bench.berths.attached?.target, 'standby', 'that one may stay');
});

test('a parked standby that ends is suspected, and nobody misses it', () => {
  bench.arrive(B, 'standby');
  bench.arrive(A, 'primary');
  pin = 'temporary_object' as PinReason;
  const { parked } = bench.berths;
  assert.ok(parked !== null);
  departure.parkedLost(parked, null);
  assert.deepEqual([suspected, ended], [[B], []]);
});

test('a parked primary that ends takes a session along that is bound to it', () => {
  bench.arrive(A, 'primary');
  bench.arrive(B, 'standby');
  const { parked } = bench.berths;
  assert.ok(parked !== null);
  departure.parkedLost(parked, null);
  assert.deepEqual(ended, []);
  pin = 'temporary_object' as PinReason;
  departure.parkedLost(parked, null);
  assert.match(ended[0] ?? '', /the connection to node node1 was lost/);
});

test('a standby out of reach may say farewell before it is cut', () => {
  bench.arrive(B, 'standby');
  const primary = nodeViewOf(A, { role: 'primary' });
  view = viewOf({ nodes: [primary, nodeViewOf(B, { health: 'unreachable', reason: 'no answer' })] });
  departure.look();
  assert.equal(bench.relays.losses.length, 0);
  clock.advance(499);
  assert.equal(bench.relays.losses.length, 0);
  clock.advance(1);
  assert.equal(bench.relays.losses.length, 1);
});

test('a standby that is there again in time is not cut', () => {
  bench.arrive(B, 'standby');
  const { nodes } = view;
  view = viewOf({ nodes: [nodeViewOf(A, { role: 'primary' }), nodeViewOf(B, { health: 'unreachable' })] });
  departure.look();
  view = viewOf({ nodes: [...nodes.values()] });
  clock.advance(1000);
  assert.equal(bench.relays.losses.length, 0);
});
