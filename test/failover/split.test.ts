import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { TestContext } from 'node:test';
import { promotionsSchema } from '../../src/admin/promotion-document.js';
import type { PromotionDocument } from '../../src/admin/promotion-document.js';
import { PatroniCluster } from '../support/patroni-cluster.js';
import type { PatroniNode } from '../support/patroni-node.js';
import { sql } from '../support/postgres-server.js';
import { waitFor } from '../support/processes.js';
import { RawClient } from '../support/raw-client.js';
import { roles } from '../support/roles.js';
import type { SwitchyardProcess } from '../support/switchyard-process.js';
import { runSwitchyard } from '../support/switchyard-process.js';
import { WitnessLoad } from '../support/witness-load.js';
import { Floor, Workload } from '../support/workload.js';
import { metric, nodeChanges, startYard } from '../support/yard.js';

const WITNESSES = 16;
const SWITCHOVERS = 3;
const TIMEOUT_MS = 60_000;
const address = '127.0.0.1:0';
/** What a session may still have been sent when it is announced that a node is to be promoted. */
const UNDER_WAY_MS = 100;

let cluster: PatroniCluster;
let nextId = 1;

before(async () => {
  cluster = await PatroniCluster.up();
  const leader = await cluster.waitForLeader();
  await Workload.prepare(leader.port);
  await WitnessLoad.prepare(leader);
});

after(async () => {
  await cluster.down();
});

/** A proxy whose standbys take reads. */
async function start(t: TestContext): Promise<SwitchyardProcess> {
  const yard = await startYard(t, cluster, {
    listeners: [
      { name: 'split', address, route: 'split' },
      { name: 'primary', address, route: 'primary' },
    ],
    routing: { warm_up: '0s', min_dwell: '1s', slow_start: '0s' },
  });
  await standbysAreHealthy(yard);
  return yard;
}

/** Waits until the proxy sees every standby fit for reads. */
async function standbysAreHealthy(yard: SwitchyardProcess): Promise<void> {
  const areHealthy = async (): Promise<boolean> => {
    const standbys = await cluster.standbys();
    return (
      standbys.length === 2 && standbys.every(({ name }) => nodeChanges(yard, name, 'node_health').at(-1) === 'healthy')
    );
  };
  await waitFor(areHealthy, { timeoutMs: TIMEOUT_MS, what: 'healthy standbys' });
}

async function testify(t: TestContext, yard: SwitchyardProcess): Promise<WitnessLoad> {
  const load = await WitnessLoad.start(t, yard.port('split'), WITNESSES, nextId);
  nextId += WITNESSES;
  return load;
}

/** Waits until so much more was read and written, also on standbys. */
async function goesOn(load: WitnessLoad, what: string, primary: PatroniNode): Promise<void> {
  const { reads, writes } = load.tally;
  const onStandbys = load.tally.elsewhereThan(String(primary.port));
  await waitFor(
    () => {
      const { tally } = load;
      return (
        tally.reads > reads + 2_000 &&
        tally.writes > writes + 200 &&
        tally.elsewhereThan(String(primary.port)) > onStandbys
      );
    },
    { timeoutMs: TIMEOUT_MS, what },
  );
}

async function lastPromotion(yard: SwitchyardProcess): Promise<PromotionDocument> {
  return waitFor(
    async () => {
      const answer = await fetch(`http://127.0.0.1:${yard.adminPort}/api/v1/promotions`);
      const { current, promotions } = promotionsSchema.parse(await answer.json());
      return current === null && promotions[0];
    },
    { timeoutMs: TIMEOUT_MS, what: 'the record of the promotion' },
  );
}

function endOf({ startedAt, durationSeconds }: PromotionDocument['phases'][number]): number {
  return Date.parse(startedAt) + (durationSeconds ?? 0) * 1000;
}

/**
 * Reads that began on the candidate after it was announced, before it was released as the primary: those of sessions that all other standbys
 * are behind.
 */
function readsOnCandidate(load: WitnessLoad, { phases }: PromotionDocument, candidate: PatroniNode): number {
  const [announced] = phases;
  const confirming = phases.find(({ phase }) => phase === 'confirming');
  assert.ok(announced !== undefined && confirming !== undefined);
  const from = Date.parse(announced.startedAt) + UNDER_WAY_MS;
  return load.reads.filter(
    ({ port, startedAtEpochMs, endedAtEpochMs }) =>
      port === String(candidate.port) && startedAtEpochMs > from && endedAtEpochMs < endOf(confirming),
  ).length;
}

test('a planned switchover under 16 split sessions costs a pause of the writes, and no error', async (t) => {
  const yard = await start(t);
  for (let round = 1; round <= SWITCHOVERS; round += 1) {
    const old = await cluster.waitUntilHealthy();
    await standbysAreHealthy(yard);
    const load = await testify(t, yard);
    const workload = new Workload({ port: yard.port('primary'), autocommitWriters: 4 });
    const floor = new Floor(cluster.nodes.map((node) => node.port));
    workload.start();
    floor.start();
    await goesOn(load, 'the sessions to be under way', old);
    await cluster.switchover();
    const leader = await cluster.waitForLeader({ not: old });
    await goesOn(load, 'the sessions to go on', leader);
    await load.stop();
    const [report, floorMs] = [await workload.stop(), await floor.stop()];
    const record = await lastPromotion(yard);
    const { tally, gapsMs } = load;
    const strays = readsOnCandidate(load, record, leader);
    t.diagnostic(
      `round ${round}: writes stood still for ${gapsMs.writes} ms, those of the primary route for ${Math.round(report.longestGapMs)} ms, ` +
        `floor ${Math.round(floorMs)} ms, reads ${gapsMs.reads} ms; ${tally.reads} reads: ${JSON.stringify([...tally.nodes])}, ` +
        `${strays} on the candidate`,
    );
    assert.deepEqual(load.errors, []);
    assert.deepEqual(report.errors, []);
    assert.deepEqual(tally.wrong, []);
    assert.equal(await metric(yard, 'switchyard_wrong_role_errors_total'), 0);
  }
});

test('a standby that dies costs its sessions nothing', async (t) => {
  const primary = await cluster.waitUntilHealthy();
  const yard = await start(t);
  const load = await testify(t, yard);
  await goesOn(load, 'the sessions to be under way', primary);
  for (const standby of await cluster.standbys()) {
    await standby.crash();
    await goesOn(load, 'the sessions to go on', primary);
    await cluster.revive(standby);
    await cluster.waitUntilHealthy();
    await goesOn(load, 'the sessions to go on with it', primary);
  }
  await load.stop();
  t.diagnostic(`reads stood still for ${load.gapsMs.reads} ms; ${JSON.stringify([...load.tally.nodes])}`);
  assert.deepEqual(load.errors, []);
  assert.deepEqual(load.tally.wrong, []);
});

test('a primary that dies costs each session one honest error at most, and no read shows less than what was acknowledged', async (t) => {
  await cluster.setSynchronous(true);
  t.after(() => cluster.setSynchronous(false));
  const old = await cluster.waitUntilHealthy();
  const yard = await start(t);
  const load = await testify(t, yard);
  await goesOn(load, 'the sessions to be under way', old);
  await old.crash();
  const leader = await cluster.waitForLeader({ not: old, timeoutMs: 90_000 });
  await goesOn(load, 'the sessions to go on', leader);
  await cluster.revive(old);
  await cluster.waitUntilHealthy();
  await goesOn(load, 'the sessions to go on with it', leader);
  await load.stop();
  const { errors, gapsMs, tally } = load;
  t.diagnostic(
    `writes stood still for ${gapsMs.writes} ms, reads for ${gapsMs.reads} ms; ${tally.reads} reads: ` +
      `${JSON.stringify([...tally.nodes])}; ${errors.length} errors`,
  );
  assert.deepEqual(tally.wrong, []);
  for (const error of errors) {
    // A statement that was under way and may have been done.
    assert.deepEqual([error.during, error.sqlState, error.connectionLost], ['write', '08007', false], error.message);
  }
  assert.equal(new Set(errors.map(({ witness }) => witness)).size, errors.length, 'one for each session at most');
});

test('a session that leaves something on the primary that cannot move is closed with its reason, also while it reads elsewhere', async (t) => {
  const old = await cluster.waitUntilHealthy();
  const yard = await start(t);
  const logIn = async (): Promise<RawClient> => {
    const client = await RawClient.login({ port: yard.port('split'), ...roles.app, timeoutMs: TIMEOUT_MS });
    t.after(async () => client.destroy());
    return client;
  };
  const [table, cursor, free] = [await logIn(), await logIn(), await logIn()];
  await table.rows('create temp table mine as select 1 as a');
  await cursor.rows('begin; declare held cursor with hold for select generate_series(1, 10); commit');
  const reads = async (client: RawClient): Promise<string> =>
    String((await client.rows('select witness_node()'))[0]?.[0]);
  for (const client of [cursor, free]) {
    await waitFor(async () => (await reads(client)) !== String(old.port), {
      timeoutMs: TIMEOUT_MS,
      what: 'a read on a standby',
    });
  }
  assert.equal(await reads(table), String(old.port), 'its names may mean the temporary table');
  await cluster.switchover();
  const leader = await cluster.waitForLeader({ not: old });
  for (const [client, reason] of [
    [table, /temporary/],
    [cursor, /cursor/],
  ] as const) {
    const last = await client.reply();
    assert.deepEqual([last.error?.severity, last.error?.code, last.closed], ['FATAL', '57P01', true]);
    assert.match(last.error?.detail ?? '', reason);
  }
  await free.rows('update witness_counter set n = n + 1');
  await waitFor(async () => (await reads(free)) !== String(leader.port), {
    timeoutMs: TIMEOUT_MS,
    what: 'a read on a standby',
  });
});

test('"switchyard drain" empties a standby without an error, and gives it back', async (t) => {
  const primary = await cluster.waitUntilHealthy();
  const yard = await start(t);
  const load = await testify(t, yard);
  await goesOn(load, 'the sessions to be under way', primary);
  const [standby] = await cluster.standbys();
  assert.ok(standby !== undefined);
  const admin = ['--admin', `127.0.0.1:${yard.adminPort}`];
  const { code, output } = await runSwitchyard([
    'drain',
    '--node',
    standby.name,
    '--wait',
    '--timeout',
    '10s',
    ...admin,
  ]);
  assert.equal(code, 0, output);
  await isLeft(standby);
  const before = load.tally.nodes.get(String(standby.port)) ?? 0;
  await goesOn(load, 'the sessions to go on elsewhere', primary);
  assert.equal(load.tally.nodes.get(String(standby.port)) ?? 0, before);
  assert.equal((await runSwitchyard(['drain', '--node', standby.name, '--cancel', ...admin])).code, 0);
  // Whoever is at home elsewhere stays there: new sessions come.
  const more = await testify(t, yard);
  await waitFor(() => more.tally.nodes.has(String(standby.port)), { timeoutMs: TIMEOUT_MS, what: 'reads on it' });
  for (const each of [load, more]) {
    await each.stop();
    assert.deepEqual(each.errors, []);
    assert.deepEqual(each.tally.wrong, []);
  }
});

test('a drain of the primary takes the backends that sessions keep there while they read, and costs nobody an error', async (t) => {
  const old = await cluster.waitUntilHealthy();
  const yard = await start(t);
  const load = await testify(t, yard);
  const idle = await RawClient.login({ port: yard.port('split'), ...roles.app, timeoutMs: TIMEOUT_MS });
  t.after(async () => idle.destroy());
  await idle.rows('update witness_counter set n = n + 1');
  const reads = async (): Promise<string> => String((await idle.rows('select witness_node()'))[0]?.[0]);
  await waitFor(async () => (await reads()) !== String(old.port), {
    timeoutMs: TIMEOUT_MS,
    what: 'a read on a standby',
  });
  await goesOn(load, 'the sessions to be under way', old);
  const admin = ['--admin', `127.0.0.1:${yard.adminPort}`];
  const { code, output } = await runSwitchyard(['drain', '--node', old.name, '--wait', '--timeout', '10s', ...admin]);
  assert.equal(code, 0, output);
  await isLeft(old);
  await cluster.switchover();
  const leader = await cluster.waitForLeader({ not: old });
  await goesOn(load, 'the sessions to go on', leader);
  await idle.rows('update witness_counter set n = n + 1');
  await load.stop();
  t.diagnostic(`writes stood still for ${load.gapsMs.writes} ms, reads for ${load.gapsMs.reads} ms`);
  assert.deepEqual(load.errors, []);
  assert.deepEqual(load.tally.wrong, []);
});

/** Nothing of the application is left on a node, by its own account. A backend that was ended takes a moment to go. */
async function isLeft(node: PatroniNode): Promise<void> {
  const text = `select 1 from pg_stat_activity where usename = $1 and backend_type = 'client backend'`;
  await waitFor(async () => (await sql(node, text, { values: [roles.app.user] })).length === 0, {
    timeoutMs: 2_000,
    what: `the sessions on ${node.name} to be gone`,
  });
}
