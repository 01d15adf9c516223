import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { buildMetrics } from '../../../src/admin/metrics.js';
import type { Proxy } from '../../../src/admin/proxy.js';
import type { NodeFigures } from '../../../src/cluster/store.js';
import { EventLoopDelay } from '../../../src/metrics/event-loop-delay.js';
import type { MetricsRegistry } from '../../../src/metrics/registry.js';
import type { NodeName } from '../../../src/util/brand.js';
import { A, B, C, claimsOf, nodeViewOf, viewOf } from '../../support/cluster-fakes.js';
import { assertWellFormed, parseExposition, valueOf } from '../metrics/exposition.js';
import { addSession, proxyOf, SPLIT_LISTENER } from './proxy-of.js';

function metricsOf(t: TestContext, proxy: Proxy): MetricsRegistry {
  const loop = new EventLoopDelay(proxy.clock);
  t.after(() => loop.close());
  return buildMetrics(proxy, loop, '1.2.3');
}

async function scrape(metrics: MetricsRegistry) {
  const families = parseExposition(await metrics.text());
  const own = new Map([...families].filter(([name]) => name.startsWith('switchyard_')));
  assertWellFormed(own);
  return own;
}

test('every metric keeps the rules of the format, on a proxy that has seen nothing yet', async (t) => {
  const proxy = proxyOf({
    view: viewOf({ nodes: [], primary: null, leader: null }),
    claims: claimsOf({ confirmedAtMs: null }),
  });
  const metrics = metricsOf(t, proxy);
  const families = await scrape(metrics);
  assert.deepEqual([...families.keys()].sort(), metrics.descriptions.map(({ name }) => name).sort());
  assert.equal(valueOf(families, 'switchyard_primary_known'), 0);
  assert.equal(valueOf(families, 'switchyard_ready'), 0);
  assert.equal(valueOf(families, 'switchyard_dcs_confirmed_age_seconds'), undefined);
  assert.equal(families.get('switchyard_node_role')?.samples.length, 0);
});

test('labels are exactly those that are described', async (t) => {
  const proxy = proxyOf();
  addSession(proxy);
  const metrics = metricsOf(t, proxy);
  const families = await scrape(metrics);
  for (const { name, labels, type, help } of metrics.descriptions) {
    const family = families.get(name);
    assert.equal(family?.type, type, name);
    assert.equal(family?.help, help, name);
    for (const sample of family?.samples ?? []) {
      const given = [...sample.labels.keys()].filter((label) => label !== 'le');
      assert.deepEqual(given, labels, name);
    }
  }
});

test('sessions are shown by listener, route, target and state', async (t) => {
  const proxy = proxyOf({ startups: 2 });
  addSession(proxy, { pinReason: 'listen' });
  addSession(proxy, { isAtBoundary: false, pinReason: 'open_transaction' });
  addSession(proxy, { target: null, wait: 'hold' });
  addSession(proxy, { listener: 'ro', route: 'standby', target: 'primary' });
  const metrics = metricsOf(t, proxy);
  const families = await scrape(metrics);
  const sessions = (listener: string, route: string, target: string, state: string) =>
    valueOf(families, 'switchyard_sessions', { listener, route, target, state });
  assert.equal(sessions('rw', 'primary', 'primary', 'idle'), 1);
  assert.equal(sessions('rw', 'primary', 'primary', 'active'), 1);
  assert.equal(sessions('rw', 'primary', 'none', 'waiting'), 1);
  assert.equal(sessions('ro', 'standby', 'primary', 'idle'), 1);
  assert.equal(sessions('ro', 'standby', 'standby', 'idle'), 0);
  assert.equal(valueOf(families, 'switchyard_sessions_waiting', { wait: 'hold' }), 1);
  assert.equal(valueOf(families, 'switchyard_sessions_pinned', { reason: 'listen' }), 1);
  assert.equal(valueOf(families, 'switchyard_startups'), 2);
  addSession(proxy);
  assert.equal(
    valueOf(await scrape(metrics), 'switchyard_sessions', {
      listener: 'rw',
      route: 'primary',
      target: 'primary',
      state: 'idle',
    }),
    2,
    'a scrape counts anew',
  );
});

test('what was counted is shown under its reason', async (t) => {
  const proxy = proxyOf();
  const { counters } = proxy;
  counters.clientsAccepted = 9;
  counters.clientBytesIn = 1234;
  counters.statements = 7;
  counters.wrongRoleErrors = 1;
  counters.units.add('primary', 5);
  counters.holds.add('promotion', 3);
  counters.holdTimeouts.add('no_primary');
  counters.holdDuration.observeMs(1300);
  counters.loginFailures.add('login_failed', 2);
  counters.unitsCut.add('40001');
  counters.backendConnectFailures.add('28P01');
  counters.cancels.add('forwarded');
  counters.configReloads.add('refused');
  const families = await scrape(metricsOf(t, proxy));
  const expected: [string, Record<string, string>, number][] = [
    ['clients_accepted_total', {}, 9],
    ['client_received_bytes_total', {}, 1234],
    ['statements_total', {}, 7],
    ['wrong_role_errors_total', {}, 1],
    ['units_total', { target: 'primary' }, 5],
    ['units_total', { target: 'standby' }, 0],
    ['holds_total', { reason: 'promotion' }, 3],
    ['hold_timeouts_total', { reason: 'no_primary' }, 1],
    ['hold_duration_seconds_bucket', { le: '1' }, 0],
    ['hold_duration_seconds_bucket', { le: '2' }, 1],
    ['hold_duration_seconds_sum', {}, 1.3],
    ['login_failures_total', { code: 'login_failed' }, 2],
    ['units_cut_total', { sqlstate: '40001' }, 1],
    ['units_cut_total', { sqlstate: '08007' }, 0],
    ['backend_connect_failures_total', { code: '28P01' }, 1],
    ['cancels_total', { outcome: 'forwarded' }, 1],
    ['config_reloads_total', { outcome: 'refused' }, 1],
    ['config_reloads_total', { outcome: 'applied' }, 0],
  ];
  for (const [name, labels, value] of expected) {
    assert.equal(valueOf(families, `switchyard_${name}`, labels), value, `${name} ${JSON.stringify(labels)}`);
  }
});

test('a split listener shows sessions on both kinds of nodes from the start', async (t) => {
  const proxy = proxyOf({ config: SPLIT_LISTENER });
  addSession(proxy, { listener: 'all', route: 'split', target: 'standby' });
  const families = await scrape(metricsOf(t, proxy));
  const idle = (target: string) =>
    valueOf(families, 'switchyard_sessions', { listener: 'all', route: 'split', target, state: 'idle' });
  assert.deepEqual(['primary', 'standby', 'split'].map(idle), [0, 1, undefined]);
});

test('where units went is shown by route, role and reason, and what is usual from the start', async (t) => {
  const proxy = proxyOf({ config: SPLIT_LISTENER });
  const { counters } = proxy;
  counters.routed.add('split', 'standby', 'read');
  counters.routed.add('split', 'standby', 'read');
  counters.routed.add('split', 'primary', 'write');
  counters.routed.add('split', 'primary', 'something_new');
  counters.refusedReads.add('25006');
  counters.fenceWaits.observeMs(3);
  counters.catalogLoads.add('failed');
  const families = await scrape(metricsOf(t, proxy));
  const routed = (target: string, reason: string, route = 'split') =>
    valueOf(families, 'switchyard_routed_total', { route, target, reason });
  assert.equal(routed('standby', 'read'), 2);
  assert.equal(routed('primary', 'write'), 1);
  assert.equal(routed('primary', 'something_new'), 1);
  for (const reason of ['volatile_function', 'refused_before', 'fence', 'fallback_primary', 'row_lock', 'hint']) {
    assert.equal(routed('primary', reason), 0, reason);
  }
  assert.equal(routed('primary', 'read'), undefined, 'a read goes to the primary for a reason of its own');
  assert.equal(routed('primary', 'primary', 'primary'), undefined, 'there is no such listener');
  assert.equal(valueOf(families, 'switchyard_refused_reads_total', { sqlstate: '25006' }), 1);
  assert.equal(valueOf(families, 'switchyard_refused_reads_total', { sqlstate: '40001' }), 0);
  assert.equal(valueOf(families, 'switchyard_fence_wait_seconds_bucket', { le: '0.0025' }), 0);
  assert.equal(valueOf(families, 'switchyard_fence_wait_seconds_bucket', { le: '0.005' }), 1);
  assert.equal(valueOf(families, 'switchyard_catalog_loads_total', { outcome: 'failed' }), 1);
  assert.equal(valueOf(families, 'switchyard_catalog_loads_total', { outcome: 'ok' }), 0);
});

test('held units are shown with the age of the oldest', async (t) => {
  const proxy = proxyOf();
  const metrics = metricsOf(t, proxy);
  proxy.primaryHold.enter({ sinceMs: proxy.clock.nowMs() - 1500, onRelease: () => {}, onExpire: () => {} });
  const families = await scrape(metrics);
  assert.equal(valueOf(families, 'switchyard_held_sessions', { route: 'primary' }), 1);
  assert.equal(valueOf(families, 'switchyard_hold_oldest_seconds', { route: 'primary' }), 1.5);
  assert.equal(valueOf(families, 'switchyard_held_sessions', { route: 'standby' }), 0);
  assert.equal(valueOf(families, 'switchyard_hold_oldest_seconds', { route: 'standby' }), 0);
});

test('exactly one phase, one state of the DCS, one role and one health of a node is 1', async (t) => {
  const proxy = proxyOf({
    promotion: { phase: 'confirming', disturbedSinceMs: 0 },
    claims: claimsOf({ state: 'stale', confirmedAtMs: 0 }),
    view: viewOf({ nodes: [nodeViewOf(B, { health: 'lagging' })] }),
  });
  const families = await scrape(metricsOf(t, proxy));
  const hot = (name: string, label: string) =>
    (families.get(name)?.samples ?? []).filter(({ value }) => value === 1).map(({ labels }) => labels.get(label));
  assert.deepEqual(hot('switchyard_promotion_phase', 'phase'), ['confirming']);
  assert.deepEqual(hot('switchyard_dcs_state', 'state'), ['stale']);
  assert.deepEqual(hot('switchyard_node_role', 'role'), ['standby']);
  assert.deepEqual(hot('switchyard_node_health', 'health'), ['lagging']);
  assert.equal(valueOf(families, 'switchyard_promotion_disturbed_seconds'), 1);
  assert.equal(valueOf(families, 'switchyard_dcs_confirmed_age_seconds'), 1);
});

test('a node takes its series with it when it leaves the view', async (t) => {
  const proxy = proxyOf();
  const metrics = metricsOf(t, proxy);
  proxy.registry.attached(C);
  const before = await scrape(metrics);
  assert.equal(valueOf(before, 'switchyard_node_sessions', { node: 'node3' }), 1);
  proxy.view = viewOf({ nodes: [nodeViewOf(A, { role: 'primary' }), nodeViewOf(B)] });
  const after = await scrape(metrics);
  for (const family of after.values()) {
    for (const { labels } of family.samples) assert.notEqual(labels.get('node'), 'node3', family.name);
  }
});

test('lag is absent where it is not known, and where the node proves nothing any more', async (t) => {
  const lag = { lagBytes: 4096, lagMs: 250, caughtUpTick: null, sampledAtMs: 500, roundTripMs: 2 };
  const figures = new Map<NodeName, NodeFigures>([
    [A, { ...lag, lagBytes: 0, lagMs: 0 }],
    [B, lag],
    [C, lag],
  ]);
  const nodes = [nodeViewOf(A, { role: 'primary' }), nodeViewOf(B), nodeViewOf(C, { role: 'unknown' })];
  const families = await scrape(metricsOf(t, proxyOf({ figures, view: viewOf({ nodes }) })));
  const seconds = (node: string) => valueOf(families, 'switchyard_node_lag_seconds', { node });
  const bytes = (node: string) => valueOf(families, 'switchyard_node_lag_bytes', { node });
  assert.deepEqual(['node1', 'node2', 'node3'].map(seconds), [0, 0.25, undefined]);
  assert.deepEqual(['node1', 'node2', 'node3'].map(bytes), [0, 4096, undefined]);
  assert.equal(valueOf(families, 'switchyard_node_sample_age_seconds', { node: 'node3' }), 0.5);
  assert.equal(valueOf(families, 'switchyard_node_probe_duration_seconds', { node: 'node2' }), 0.002);
});

test('ticks are counted from the number that was sent last', async (t) => {
  const proxy = proxyOf();
  const metrics = metricsOf(t, proxy);
  assert.equal(valueOf(await scrape(metrics), 'switchyard_ticks_total'), 0);
  proxy.ticks.send();
  proxy.ticks.send();
  assert.equal(valueOf(await scrape(metrics), 'switchyard_ticks_total'), 2);
});

test('the build says what runs', async (t) => {
  const families = await scrape(metricsOf(t, proxyOf()));
  const labels = { version: '1.2.3', node_version: process.version, engine: 'stream' };
  assert.equal(valueOf(families, 'switchyard_build_info', labels), 1);
});

test('what waits for the pool is told by node and database, and databases beyond fifty are counted together', async (t) => {
  const proxy = proxyOf({ view: viewOf({ nodes: [nodeViewOf(A)] }) });
  const ask = (node: NodeName, database: string, count: number): void => {
    for (let n = 0; n < count; n += 1) {
      const place = { node, host: '127.0.0.1', port: 5431, user: 'app', database, proof: null };
      const kind = { parameters: new Map(), startupKey: '', isReplication: false, isShared: true };
      proxy.pool.acquire({ ...place, ...kind, credentials: { kind: 'none' } }, () => {});
    }
  };
  for (let n = 0; n < 60; n += 1) ask(A, `made_up_${n}`, 1);
  ask(A, 'app', 20);
  ask(C, 'elsewhere', 1);
  proxy.clock.advance(3_000);
  const families = await scrape(metricsOf(t, proxy));
  const of = (database: string): Record<string, string> => ({ node: A, database });
  assert.equal(valueOf(families, 'switchyard_pool_backends', of('app')), 20);
  assert.equal(valueOf(families, 'switchyard_pool_backends', of('other')), 11);
  assert.equal(families.get('switchyard_pool_backends')?.samples.length, 51, 'and none of a node that is not there');
  assert.equal(valueOf(families, 'switchyard_pool_waiting', of('app')), 20);
  const waiting = families.get('switchyard_pool_waiting')?.samples ?? [];
  assert.equal(
    waiting.reduce((sum, { value }) => sum + value, 0),
    80 - 16,
    'all but those whose log-in has begun',
  );
  assert.equal(valueOf(families, 'switchyard_pool_oldest_wait_seconds', { node: A }), 3);
});
