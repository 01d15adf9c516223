import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { Drain } from '../../../src/failover/drain.js';
import { silentLogger } from '../../../src/log.js';
import { Counters } from '../../../src/metrics/counters.js';
import type { SessionRegistry } from '../../../src/session/registry.js';
import type { NodeName } from '../../../src/util/brand.js';
import { A, B } from '../../support/cluster-fakes.js';
import { FakeClock } from '../../support/fake-clock.js';

const TIMEOUT_MS = 30_000;

/** A session on one node. */
class FakeSession {
  readonly pinReason = null;
  node: NodeName;
  isIdle = false;
  ended = 0;

  constructor(node: NodeName) {
    this.node = node;
  }

  isOn(node: NodeName, target: string): boolean {
    return this.node === node && target === 'standby';
  }

  leaveIfIdle(node: NodeName): void {
    if (this.isIdle && this.node === node) this.node = B;
  }

  end(): void {
    this.ended += 1;
  }
}

let clock: FakeClock;
let busy: FakeSession;
let idle: FakeSession;
let drain: Drain;

beforeEach(() => {
  clock = new FakeClock();
  busy = new FakeSession(A);
  idle = new FakeSession(A);
  idle.isIdle = true;
  const registry = { all: () => [busy, idle] } as unknown as SessionRegistry;
  drain = new Drain(clock, registry, silentLogger, new Counters(), () => TIMEOUT_MS);
});

test('idle sessions leave at once, and those that have not left in time are ended', () => {
  drain.begin(A, 'standby', 'it is the primary now');
  assert.deepEqual([busy.node, idle.node, drain.nodes], [A, B, [A]]);
  clock.advance(TIMEOUT_MS - 1);
  assert.equal(busy.ended, 0);
  clock.advance(1);
  assert.deepEqual([busy.ended, idle.ended, drain.nodes], [1, 0, []]);
});

test('nobody is ended on a node that is a standby again by then: whoever is there may stay', () => {
  drain.begin(A, 'standby', 'it is the primary now');
  clock.advance(TIMEOUT_MS / 2);
  drain.cancel(A);
  idle.node = A;
  clock.advance(TIMEOUT_MS);
  assert.deepEqual([busy.ended, idle.ended, drain.nodes], [0, 0, []]);
});
