import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import type { SessionContext } from '../../../../src/session/context.js';
import { IdleStandby } from '../../../../src/session/split/idle-standby.js';
import type { Split } from '../../../../src/session/split/split.js';
import { A, B } from '../../../support/cluster-fakes.js';
import { FakeClock } from '../../../support/fake-clock.js';
import { node } from '../../../support/node-messages.js';
import { frontend } from '../../../support/raw-messages.js';
import { BerthsBench } from '../berths-bench.js';

const IDLE_MS = 60_000;

let bench: BerthsBench;
let clock: FakeClock;
let wasUsed: boolean;
let idle: IdleStandby;

beforeEach(() => {
  bench = new BerthsBench();
  clock = new FakeClock();
  wasUsed = false;
  const split: Pick<Split, 'wasStandbyUsed'> = {
    wasStandbyUsed: () => {
      const was = wasUsed;
      wasUsed = false;
      return was;
    },
  };
  const context = { clock, limits: { standbyIdleMs: IDLE_MS } } as unknown as SessionContext;
  idle = new IdleStandby(bench.relays, bench.berths, split as Split, context);
});

function reasons(): readonly string[] {
  return bench.released.map(({ reason }) => reason);
}

test('a standby that was not used for so long is given back, attached or parked', () => {
  idle.arrived(bench.arrive(B, 'standby'));
  clock.advance(IDLE_MS - 1);
  assert.deepEqual(reasons(), []);
  clock.advance(1);
  assert.deepEqual(reasons(), ['standby_idle']);
  idle.arrived(bench.arrive(B, 'standby'));
  idle.arrived(bench.arrive(A, 'primary'));
  clock.advance(IDLE_MS);
  assert.deepEqual(reasons(), ['standby_idle', 'standby_idle']);
  assert.equal(bench.berths.attached?.target, 'primary');
  assert.equal(clock.pendingTimers, 0);
});

test('one that was used stays, until it was not', () => {
  idle.arrived(bench.arrive(B, 'standby'));
  for (let each = 0; each < 3; each += 1) {
    wasUsed = true;
    clock.advance(IDLE_MS);
    assert.deepEqual(reasons(), []);
  }
  clock.advance(IDLE_MS);
  assert.deepEqual(reasons(), ['standby_idle']);
});

test('one that is at work, or in a transaction, stays', () => {
  const standby = bench.arrive(B, 'standby');
  idle.arrived(standby);
  bench.relays.client.hear(frontend.query('select 1'));
  clock.advance(IDLE_MS);
  bench.wireOf(standby)?.hear(node.complete(), node.ready('T'));
  clock.advance(IDLE_MS);
  assert.deepEqual(reasons(), []);
  bench.relays.client.hear(frontend.query('commit'));
  bench.wireOf(standby)?.hear(node.complete(), node.ready());
  clock.advance(IDLE_MS);
  assert.deepEqual(reasons(), ['standby_idle']);
});

test('the primary is not given back, and a session that has ended is left alone', () => {
  idle.arrived(bench.arrive(A, 'primary'));
  assert.equal(clock.pendingTimers, 0);
  idle.arrived(bench.arrive(B, 'standby'));
  idle.close();
  idle.close();
  assert.equal(clock.pendingTimers, 0);
});

test('one that has left meanwhile is not looked for again', () => {
  idle.arrived(bench.arrive(B, 'standby'));
  bench.loseAttached();
  clock.advance(IDLE_MS);
  assert.deepEqual([reasons(), clock.pendingTimers], [['lost'], 0]);
});
