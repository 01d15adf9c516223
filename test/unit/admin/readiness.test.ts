import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Proxy } from '../../../src/admin/proxy.js';
import { readinessOf } from '../../../src/admin/readiness.js';
import type { ReadyCheck } from '../../../src/admin/readiness.js';
import { DcsState } from '../../../src/dcs/claims.js';
import { A, B, C, nodeViewOf, viewOf } from '../../support/cluster-fakes.js';
import { proxyOf, SPLIT_LISTENER } from './proxy-of.js';

const ONLY_STANDBY = `
cluster: { scope: yard, etcd3: { hosts: ["127.0.0.1:2379"] } }
listeners:
  - { name: east, address: "127.0.0.1:5001", route: standby, fallback: error, tags: { zone: east } }
  - { name: west, address: "127.0.0.1:5002", route: standby, fallback: error, tags: { zone: west } }
`;

const noPrimary = viewOf({ primary: null, leader: null });

function checkNamed(proxy: Proxy, name: string): ReadyCheck | undefined {
  return readinessOf(proxy, null).checks.find((check) => check.name === name);
}

test('a proxy that listens, knows its cluster and has a primary is ready', () => {
  const { isReady, reason, checks } = readinessOf(proxyOf(), null);
  assert.equal(isReady, true);
  assert.equal(reason, null);
  assert.deepEqual(
    checks.map(({ name, ok, required }) => [name, ok, required]),
    [
      ['listening', true, true],
      ['running', true, true],
      ['cluster', true, true],
      ['listener rw', true, true],
      ['listener ro', true, false],
      ['dcs', true, false],
    ],
  );
});

test('without a proven primary it is not ready, and says why in the words of the view', () => {
  const readiness = readinessOf(proxyOf({ view: noPrimary }), null);
  assert.equal(readiness.isReady, false);
  assert.equal(readiness.reason, 'the leader key is gone');
});

test('a standby listener without a standby does not make a proxy with a primary listener unready', () => {
  const view = viewOf({ nodes: [nodeViewOf(A, { role: 'primary' })] });
  const proxy = proxyOf({ view, intents: { ro: { fallback: 'error' } } });
  assert.equal(readinessOf(proxy, null).isReady, true);
  assert.deepEqual(checkNamed(proxy, 'listener ro'), {
    name: 'listener ro',
    ok: false,
    required: false,
    reason: 'no standby takes sessions: node1 (not_a_standby)',
  });
});

test('the fallback to the primary serves a standby listener as long as there is a primary', () => {
  const lagging = [B, C].map((name) => nodeViewOf(name, { health: 'lagging' }));
  const nodes = [nodeViewOf(A, { role: 'primary' }), ...lagging];
  assert.equal(checkNamed(proxyOf({ view: viewOf({ nodes }) }), 'listener ro')?.ok, true);
  const without = checkNamed(proxyOf({ view: viewOf({ nodes: lagging, primary: null, leader: null }) }), 'listener ro');
  assert.match(
    without?.reason ?? '',
    /^no standby .*node2 \(lagging\).*no primary to fall back to: the leader key is gone$/,
  );
});

test('with standby listeners only, one that can be served is enough', () => {
  const east = nodeViewOf(B, { tags: new Map([['zone', 'east']]) });
  const served = proxyOf({ config: ONLY_STANDBY, view: viewOf({ nodes: [east], primary: null, leader: null }) });
  assert.equal(readinessOf(served, null).isReady, true);
  const none = proxyOf({ config: ONLY_STANDBY, view: viewOf({ nodes: [nodeViewOf(B)], primary: null, leader: null }) });
  assert.equal(readinessOf(none, null).isReady, false);
  assert.match(readinessOf(none, null).reason ?? '', /node2 \(tag_mismatch\)/);
});

test('asked about one listener, only this one counts', () => {
  const nodes = [nodeViewOf(B), nodeViewOf(C)];
  const proxy = proxyOf({ view: viewOf({ nodes, primary: null, leader: null }) });
  const [rw, ro] = proxy.listeners;
  assert.ok(rw !== undefined && ro !== undefined);
  assert.equal(readinessOf(proxy, rw).isReady, false);
  assert.equal(readinessOf(proxy, ro).isReady, true);
  assert.equal(readinessOf(proxy, null).isReady, false);
});

test('a listener is judged by what it asks of the router now, not by the file it was opened from', () => {
  const nodes = [nodeViewOf(A, { role: 'primary' })];
  const proxy = proxyOf({ view: viewOf({ nodes }), intents: { ro: { fallback: 'wait' } } });
  assert.equal(checkNamed(proxy, 'listener ro')?.ok, false);
});

test('a proxy that stops is not ready from the first moment on', () => {
  const readiness = readinessOf(proxyOf({ isStopping: true }), null);
  assert.equal(readiness.isReady, false);
  assert.equal(readiness.reason, 'the proxy is shutting down');
});

test('a listener that is not open is missed by its name', () => {
  const readiness = readinessOf(proxyOf({ closed: ['ro'] }), null);
  assert.equal(readiness.isReady, false);
  assert.equal(readiness.reason, 'not open: ro');
});

test('a cluster that was never read, or has no node, is not known', () => {
  const unread = { state: DcsState.Unknown, confirmedAtMs: null, trouble: 'etcd has not answered yet: 127.0.0.1:2379' };
  const proxy = proxyOf({ view: viewOf({ dcs: unread, nodes: [], primary: null, leader: null }) });
  assert.equal(readinessOf(proxy, null).reason, unread.trouble);
  const empty = proxyOf({ view: viewOf({ nodes: [], primary: null, leader: null }) });
  assert.equal(readinessOf(empty, null).reason, 'no node of the cluster is known');
});

test('old claims alone leave it ready, and are told', () => {
  const dcs = {
    state: DcsState.Stale,
    confirmedAtMs: 0,
    trouble: 'etcd cannot be read: 127.0.0.1:2379 (connection refused)',
  };
  const proxy = proxyOf({ view: viewOf({ dcs }) });
  assert.equal(readinessOf(proxy, null).isReady, true);
  assert.deepEqual(checkNamed(proxy, 'dcs'), { name: 'dcs', ok: false, required: false, reason: dcs.trouble });
});

test('a split listener is served by a primary alone, whatever becomes of reads', () => {
  const nodes = [nodeViewOf(A, { role: 'primary' }), nodeViewOf(B, { health: 'lagging' })];
  for (const fallback of ['primary', 'wait', 'error'] as const) {
    const proxy = proxyOf({ config: SPLIT_LISTENER, view: viewOf({ nodes }), intents: { all: { fallback } } });
    const { isReady, reason } = readinessOf(proxy, null);
    assert.deepEqual([isReady, reason], [true, null], fallback);
    const noReads = 'no standby takes sessions: node1 (not_a_standby), node2 (lagging)';
    assert.deepEqual(checkNamed(proxy, 'listener all: reads'), {
      name: 'listener all: reads',
      ok: fallback === 'primary',
      required: false,
      reason: fallback === 'primary' ? null : noReads,
    });
    assert.equal(checkNamed(proxy, 'listener all: writes')?.ok, true);
  }
});

test('a split listener stays served in a switchover as long as a standby reads, and says that writes wait', () => {
  const view = viewOf({ nodes: [nodeViewOf(B)], primary: null, leader: null });
  const proxy = proxyOf({ config: SPLIT_LISTENER, view, promotion: { phase: 'leader_lost' } });
  const [listener] = proxy.listeners;
  assert.ok(listener !== undefined);
  assert.equal(readinessOf(proxy, null).isReady, true);
  assert.equal(readinessOf(proxy, listener).isReady, true);
  assert.equal(checkNamed(proxy, 'listener all')?.ok, true);
  assert.equal(checkNamed(proxy, 'listener all: reads')?.ok, true);
  assert.deepEqual(checkNamed(proxy, 'listener all: writes'), {
    name: 'listener all: writes',
    ok: false,
    required: false,
    reason: 'the leader key is gone',
  });
});

test('a split listener with neither a primary nor a standby is not served, and says both', () => {
  const nodes = [nodeViewOf(B, { health: 'unreachable' })];
  const proxy = proxyOf({ config: SPLIT_LISTENER, view: viewOf({ nodes, primary: null, leader: null }) });
  const { isReady, reason } = readinessOf(proxy, null);
  assert.equal(isReady, false);
  assert.equal(reason, 'the leader key is gone; and no standby takes sessions: node2 (unreachable)');
});

test('beside a split listener a primary listener needs its primary, and a standby listener nothing', () => {
  const listeners = `
  - { name: rw, address: "127.0.0.1:5000", route: primary }
  - { name: ro, address: "127.0.0.1:5001", route: standby, fallback: error }
`;
  const without = viewOf({ nodes: [nodeViewOf(B)], primary: null, leader: null });
  const all = proxyOf({ config: SPLIT_LISTENER.trimEnd() + listeners, view: without });
  assert.equal(readinessOf(all, null).reason, 'the leader key is gone');
  assert.deepEqual(
    readinessOf(all, null)
      .checks.filter(({ required, name }) => required && name.startsWith('listener '))
      .map(({ name }) => name),
    ['listener all', 'listener rw'],
  );
  const alone = viewOf({ nodes: [nodeViewOf(A, { role: 'primary' })] });
  assert.equal(readinessOf(proxyOf({ config: SPLIT_LISTENER.trimEnd() + listeners, view: alone }), null).isReady, true);
});
