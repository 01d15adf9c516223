import assert from 'node:assert/strict';
import { test } from 'node:test';
import { statusSchema } from '../../../src/admin/status-document.js';
import { statusOf } from '../../../src/admin/status.js';
import type { NodeFigures } from '../../../src/cluster/store.js';
import type { NodeName } from '../../../src/util/brand.js';
import { A, B, C, claimsOf, nodeViewOf, viewOf } from '../../support/cluster-fakes.js';
import { addSession, proxyOf } from './proxy-of.js';

const figuresOf = (over: Partial<NodeFigures>): NodeFigures => ({
  lagBytes: null,
  lagMs: null,
  caughtUpTick: null,
  sampledAtMs: null,
  roundTripMs: null,
  ...over,
});

test('what is said is what the schema promises', () => {
  const status = statusOf(proxyOf(), '1.2.3', 0);
  assert.deepEqual(statusSchema.parse(JSON.parse(JSON.stringify(status))), status);
});

test('ages are measured on the monotonic clock, in seconds', () => {
  const proxy = proxyOf({ claims: claimsOf({ confirmedAtMs: 1000 }), promotion: { sinceMs: 500 } });
  proxy.clock.advance(2500);
  proxy.clock.jumpWallClock(-3_600_000);
  const status = statusOf(proxy, '1.2.3', 1000);
  assert.equal(status.uptimeSeconds, 2.5);
  assert.equal(status.dcs.ageSeconds, 2.5);
  assert.equal(status.promotion.sinceSeconds, 3);
  assert.equal(status.promotion.disturbedSeconds, null);
});

test('a node shows its newest lag, not the one of the last view', () => {
  const figures = new Map<NodeName, NodeFigures>([[B, figuresOf({ lagBytes: 2048, lagMs: 1500, sampledAtMs: 900 })]]);
  const proxy = proxyOf({ figures, view: viewOf({ nodes: [nodeViewOf(B, { lagBytes: 1, lagMs: 1 })] }) });
  const [node] = statusOf(proxy, '1.2.3', 0).nodes;
  assert.equal(node?.lagBytes, 2048);
  assert.equal(node?.lagSeconds, 1.5);
  assert.equal(node?.sampleAgeSeconds, 0.1);
});

test('the lag that a node had when it still answered is not told for now', () => {
  const figures = new Map<NodeName, NodeFigures>([[B, figuresOf({ lagBytes: 0, lagMs: 0, sampledAtMs: 0 })]]);
  const gone = nodeViewOf(B, { role: 'unknown', health: 'unreachable', reason: 'connection refused' });
  const [node] = statusOf(proxyOf({ figures, view: viewOf({ nodes: [gone] }) }), '1.2.3', 0).nodes;
  assert.equal(node?.lagBytes, null);
  assert.equal(node?.lagSeconds, null);
  assert.equal(node?.acceptsConnections, false);
  assert.equal(node?.reason, 'connection refused');
});

test('held units, sessions and listeners add up', () => {
  const proxy = proxyOf({ view: viewOf({ primary: null, leader: null }), startups: 3 });
  addSession(proxy, { target: null, wait: 'hold' });
  addSession(proxy, { listener: 'ro', route: 'standby', target: 'standby' });
  const nowMs = proxy.clock.nowMs();
  for (const [hold, sinceMs] of [
    [proxy.primaryHold, nowMs - 4000],
    [proxy.primaryHold, nowMs - 1000],
    [proxy.standbyHold, nowMs - 2500],
  ] as const) {
    hold.enter({ sinceMs, onRelease: () => {}, onExpire: () => {} });
  }
  const { held, sessions, listeners, ready, reason } = statusOf(proxy, '1.2.3', 0);
  assert.deepEqual(held, { total: 3, primary: 2, standby: 1, oldestSeconds: 4 });
  assert.deepEqual(sessions, { total: 2, idle: 1, active: 0, waiting: 1, startups: 3, max: 10_000 });
  assert.equal(ready, false);
  assert.equal(reason, 'the leader key is gone');
  assert.deepEqual(
    listeners.map((listener) => [listener.name, listener.sessions, listener.ready, listener.reason]),
    [
      ['rw', 1, false, 'the leader key is gone'],
      ['ro', 1, true, null],
    ],
  );
});

test('a switchover is told with the time it is meant for', () => {
  const scheduledAtEpochMs = Date.UTC(2026, 4, 6, 7, 8, 9);
  const switchover = { leader: A, candidate: C, scheduledAtEpochMs, revision: 9n };
  const { cluster } = statusOf(proxyOf({ view: viewOf({ switchover }) }), '1.2.3', 0);
  assert.deepEqual(cluster.switchover, {
    leader: 'node1',
    candidate: 'node3',
    scheduledAt: '2026-05-06T07:08:09.000Z',
  });
});
