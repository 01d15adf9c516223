import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { findProgram, requirePrograms } from '../support/install.js';
import { PostgresCluster } from '../support/postgres-cluster.js';
import { waitFor } from '../support/processes.js';
import { RawClient } from '../support/raw-client.js';
import { roles } from '../support/roles.js';
import { SwitchyardProcess, runSwitchyard } from '../support/switchyard-process.js';
import { assertWellFormed, parseExposition, valueOf } from '../unit/metrics/exposition.js';
import type { Family } from '../unit/metrics/exposition.js';

const TIMEOUT_MS = 30_000;

type Families = ReadonlyMap<string, Family>;

function configOf(cluster: PostgresCluster): object {
  return {
    cluster: {
      scope: 'yard',
      nodes: cluster.nodes.map(({ name, host, port }) => ({ name, host, port })),
      monitor: { user: roles.monitor.user, password: roles.monitor.password, interval: '50ms' },
    },
    listeners: [
      { name: 'rw', address: '127.0.0.1:0', route: 'primary' },
      { name: 'ro', address: '127.0.0.1:0', route: 'standby', fallback: 'error' },
    ],
    routing: { min_dwell: '100ms', warm_up: '0' },
    auth: { query: 'SELECT rolname, rolpassword FROM switchyard.user_lookup($1)' },
    admin: { address: '127.0.0.1:0' },
    shutdown: { timeout: '20s' },
  };
}

async function get(yard: SwitchyardProcess, path: string): Promise<{ readonly status: number; readonly text: string }> {
  const answer = await fetch(`http://127.0.0.1:${yard.adminPort}${path}`);
  return { status: answer.status, text: await answer.text() };
}

async function scrape(yard: SwitchyardProcess): Promise<Families> {
  return parseExposition((await get(yard, '/metrics')).text);
}

function untilStatus(yard: SwitchyardProcess, path: string, status: number): Promise<string> {
  return waitFor(
    async () => {
      const answer = await get(yard, path);
      return answer.status === status && answer.text;
    },
    { timeoutMs: TIMEOUT_MS, what: `${path} to answer ${status}` },
  );
}

function untilScrape(
  yard: SwitchyardProcess,
  what: string,
  accept: (families: Families) => boolean,
): Promise<Families> {
  return waitFor(
    async () => {
      const families = await scrape(yard);
      return accept(families) && families;
    },
    { timeoutMs: TIMEOUT_MS, what },
  );
}

function status(yard: SwitchyardProcess, ...options: string[]) {
  return runSwitchyard(['status', '--config', yard.configFile, ...options], {
    env: { SWITCHYARD_ADMIN: `127.0.0.1:${yard.adminPort}` },
  });
}

async function start(t: TestContext): Promise<{ readonly cluster: PostgresCluster; readonly yard: SwitchyardProcess }> {
  const cluster = await PostgresCluster.start(t, { standbys: 1 });
  const yard = await SwitchyardProcess.start(t, configOf(cluster));
  await untilStatus(yard, '/readyz', 200);
  await untilStatus(yard, '/readyz?listener=ro', 200);
  return { cluster, yard };
}

test('the metrics tell what clients do, and what the nodes are', async (t) => {
  const { yard } = await start(t);
  const login = { port: yard.port('rw'), ...roles.app };
  const session = (families: Families, state: string): number | undefined =>
    valueOf(families, 'switchyard_sessions', { listener: 'rw', route: 'primary', target: 'primary', state });

  await t.test('they keep the rules of the format', async () => {
    const families = await scrape(yard);
    assertWellFormed(new Map([...families].filter(([name]) => name.startsWith('switchyard_'))));
  });

  await t.test('promtool finds nothing to say against them', async () => {
    await requirePrograms('promtool');
    const promtool = (await findProgram('promtool')) ?? 'promtool';
    const input = (await get(yard, '/metrics')).text;
    const linter = spawnSync(promtool, ['check', 'metrics'], { input, encoding: 'utf8', timeout: TIMEOUT_MS });
    assert.equal(linter.status, 0, linter.stdout + linter.stderr);
  });

  await t.test('nodes are shown as they proved themselves', async () => {
    const families = await scrape(yard);
    assert.equal(valueOf(families, 'switchyard_node_role', { node: 'node1', role: 'primary' }), 1);
    assert.equal(valueOf(families, 'switchyard_node_role', { node: 'node2', role: 'standby' }), 1);
    assert.equal(valueOf(families, 'switchyard_node_health', { node: 'node2', health: 'healthy' }), 1);
    assert.equal(valueOf(families, 'switchyard_node_streaming', { node: 'node2' }), 1);
    assert.equal(valueOf(families, 'switchyard_node_timeline', { node: 'node1' }), 1);
    assert.equal(valueOf(families, 'switchyard_primary_known'), 1);
    assert.equal(valueOf(families, 'switchyard_promotion_phase', { phase: 'stable' }), 1);
    assert.ok((valueOf(families, 'switchyard_node_lag_seconds', { node: 'node2' }) ?? 99) < 10);
    assert.ok((valueOf(families, 'switchyard_node_sample_age_seconds', { node: 'node2' }) ?? 99) < 10);
  });

  await t.test('ticks go on', async () => {
    const before = valueOf(await scrape(yard), 'switchyard_ticks_total') ?? 0;
    await untilScrape(yard, 'more ticks', (now) => (valueOf(now, 'switchyard_ticks_total') ?? 0) > before);
  });

  await t.test('a session is idle, then active, then gone', async () => {
    const before = await scrape(yard);
    const client = await RawClient.login(login);
    await client.query('SELECT 1');
    await untilScrape(yard, 'an idle session', (now) => session(now, 'idle') === 1);
    await client.query('BEGIN');
    const active = await untilScrape(yard, 'an active session', (now) => session(now, 'active') === 1);
    assert.equal(valueOf(active, 'switchyard_sessions_pinned', { reason: 'open_transaction' }), 1);
    assert.equal(valueOf(active, 'switchyard_node_sessions', { node: 'node1' }), 1);
    assert.equal(valueOf(active, 'switchyard_backends', { node: 'node1' }), 1);
    await client.query('COMMIT');
    await client.end();
    const after = await untilScrape(yard, 'no session', (now) => session(now, 'idle') === 0);
    const grown = (name: string, labels = {}): number =>
      (valueOf(after, name, labels) ?? 0) - (valueOf(before, name, labels) ?? 0);
    assert.equal(grown('switchyard_clients_accepted_total'), 1);
    assert.equal(grown('switchyard_statements_total'), 3);
    assert.equal(grown('switchyard_units_total', { target: 'primary' }), 3);
    assert.equal(grown('switchyard_sessions_closed_total', { reason: 'terminated' }), 1);
    assert.equal(grown('switchyard_backends_opened_total'), 1);
    assert.equal(grown('switchyard_backend_connect_duration_seconds_count'), 1);
    assert.ok(grown('switchyard_client_received_bytes_total') > 40);
    assert.ok(grown('switchyard_client_sent_bytes_total') > 100);
  });

  await t.test('a failed log-in counts under its error', async () => {
    await assert.rejects(RawClient.login({ ...login, password: 'wrong' }), /28P01/);
    await untilScrape(
      yard,
      'the failure',
      (now) => valueOf(now, 'switchyard_login_failures_total', { code: 'login_failed' }) === 1,
    );
  });

  await t.test('a reload counts by what became of it', async () => {
    const reloads = (families: Families, outcome: string) =>
      valueOf(families, 'switchyard_config_reloads_total', { outcome });
    yard.reload();
    await untilScrape(yard, 'the reload', (now) => reloads(now, 'applied') === 1);
    await yard.rewriteConfig('nonsense: true\n');
    yard.reload();
    const after = await untilScrape(yard, 'the refusal', (now) => reloads(now, 'refused') === 1);
    assert.equal(reloads(after, 'applied'), 1);
  });
});

test('readyz and the status command follow the primary', async (t) => {
  const { cluster, yard } = await start(t);
  const shown = await status(yard);
  assert.equal(shown.code, 0, shown.output);
  assert.match(shown.output, /^Cluster yard: ready, phase stable, DCS live/);
  assert.match(shown.output, /\| node1 \| 127\.0\.0\.1:\d+ \| primary \| healthy +\| +1 \|/);
  assert.match(shown.output, /\| node2 \| 127\.0\.0\.1:\d+ \| standby \| healthy +\|/);
  const json = JSON.parse((await status(yard, '--json')).output) as { nodes: unknown[]; ready: boolean };
  assert.equal(json.nodes.length, 2);
  assert.equal(json.ready, true);

  const client = await RawClient.login({ port: yard.port('rw'), ...roles.app });
  await cluster.primary.stop('immediate');
  const body = await untilStatus(yard, '/readyz', 503);
  assert.match(body, /"name":"listener rw","ok":false,"required":true/);
  assert.equal((await get(yard, '/readyz?listener=ro')).status, 200, 'the standby goes on');
  assert.equal((await get(yard, '/livez')).status, 200);

  const held = client.query('SELECT 1');
  const families = await untilScrape(
    yard,
    'the unit to be held',
    (now) => valueOf(now, 'switchyard_held_sessions', { route: 'primary' }) === 1,
  );
  assert.equal(valueOf(families, 'switchyard_ready'), 0);
  assert.ok((valueOf(families, 'switchyard_promotion_disturbed_seconds') ?? 0) > 0);
  const without = await status(yard);
  assert.equal(without.code, 1, without.output);
  assert.match(without.output, /Cluster yard: not ready/);
  assert.match(without.output, /Held +1 session \(1 for the primary/);
  assert.match(without.output, /Not ready: /);

  await cluster.promote(cluster.node(2));
  await untilStatus(yard, '/readyz', 200);
  assert.equal((await held).error, null);
  const after = await scrape(yard);
  assert.equal(valueOf(after, 'switchyard_leader_changes_total'), 1);
  assert.equal(valueOf(after, 'switchyard_hold_duration_seconds_count'), 1);
  assert.equal(valueOf(after, 'switchyard_cluster_timeline'), 2);
  assert.equal(valueOf(after, 'switchyard_wrong_role_errors_total'), 0);
  await client.end();
});

test('a proxy that stops says so until its last session is gone, and then nothing', async (t) => {
  const { yard } = await start(t);
  const client = await RawClient.login({ port: yard.port('rw'), ...roles.app });
  await client.query('BEGIN');
  yard.process.signal('SIGTERM');
  const body = await untilStatus(yard, '/readyz', 503);
  assert.match(body, /"reason":"the proxy is shutting down"/);
  assert.equal((await get(yard, '/livez')).status, 200);
  assert.equal((await status(yard)).code, 1);
  await client.query('COMMIT');
  assert.equal(await yard.process.ended(TIMEOUT_MS), 0);
  const gone = await status(yard);
  assert.equal(gone.code, 2);
  assert.match(gone.output, /cannot be reached/);
});
