import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { TestContext } from 'node:test';
import pg from 'pg';
import { PatroniCluster } from '../support/patroni-cluster.js';
import type { PatroniNode } from '../support/patroni-node.js';
import { sql } from '../support/postgres-server.js';
import { waitFor } from '../support/processes.js';
import { roles } from '../support/roles.js';
import type { SwitchyardProcess } from '../support/switchyard-process.js';
import { Floor, Workload } from '../support/workload.js';
import { metric, nodeChanges, startYard } from '../support/yard.js';

/** Longer than any promotion takes by itself; twice that is still below `max_standby_streaming_delay`, which would end the reads. */
const READ_S = 15;
/** What a promotion that nobody holds up may take here, the noise of a busy machine included. */
const FREE_GAP_MS = 8_000;
const READERS_PER_STANDBY = 3;
const LONG_READ = `select count(*)::int as n, pg_sleep(${READ_S}) is null as slept from generate_series(1, 1000)`;

let cluster: PatroniCluster;

before(async () => {
  cluster = await PatroniCluster.up({ settings: { hot_standby_feedback: 'off', max_standby_streaming_delay: '60s' } });
  const leader = await cluster.waitForLeader();
  await Workload.prepare(leader.port);
  await sql(leader, 'create table churn as select generate_series(1, 1000) as a', roles.app);
});

after(async () => {
  await cluster.down();
});

interface Outcome {
  readonly rows: readonly unknown[] | null;
  readonly code: string | null;
}

test('without clear_candidate reads on the candidate hold a switchover up for as long as they last', async (t) => {
  const { gapMs, floorMs, reads } = await switchOver(t, 'off');
  t.diagnostic(`gap ${Math.round(gapMs)} ms, by the cluster itself ${Math.round(floorMs)} ms`);
  assert.ok(gapMs > FREE_GAP_MS, 'else the other test shows nothing');
  for (const read of await Promise.all(reads)) assert.equal(read.code, null);
});

test('with it they are ended there and run again elsewhere, and only those that are in the way', async (t) => {
  const { yard, candidate, gapMs, floorMs, reads, bystanders } = await switchOver(t, 'on');
  const evictions = await metric(yard, 'switchyard_evictions_total');
  t.diagnostic(
    `gap ${Math.round(gapMs)} ms, by the cluster itself ${Math.round(floorMs)} ms, ${String(evictions)} evictions`,
  );
  assert.ok(gapMs < FREE_GAP_MS, `the promotion took ${Math.round(gapMs)} ms`);
  assert.equal(evictions, READERS_PER_STANDBY + 1, 'the reads on the candidate, and the transaction with a snapshot');
  assert.equal(await sleeping(candidate), 0, 'nothing goes on for nobody');
  // Those on the other standby were not touched, and those of the candidate began anew.
  for (const read of await Promise.all(reads))
    assert.deepEqual(read, { rows: [{ n: 1000, slept: false }], code: null });
  const { idle, withSnapshot, withoutSnapshot } = bystanders;
  assert.equal((await outcomeOf(idle, 'select 1 as one')).code, null, 'a session at a boundary notices nothing');
  assert.deepEqual(
    (await outcomeOf(withoutSnapshot, 'select 2 as two')).rows,
    [{ two: 2 }],
    'nor one without a snapshot',
  );
  await withoutSnapshot.query('commit');
  assert.equal((await outcomeOf(withSnapshot, 'select 3')).code, '40001', 'the transaction is lost');
  await withSnapshot.query('rollback');
  assert.equal((await outcomeOf(withSnapshot, 'select 3')).code, null, 'and its session is not');
});

/** A switchover under load while long reads make replay wait on every standby. */
async function switchOver(t: TestContext, clearCandidate: 'on' | 'off') {
  const leader = await cluster.waitUntilHealthy();
  const yard = await startYard(t, cluster, {
    // Their replay stands still, and they shall be chosen all the same.
    routing: { max_lag: '10m', max_lag_bytes: '1GB' },
    promotion: { clear_candidate: clearCandidate },
  });
  const [candidate, other] = await cluster.standbys();
  assert.ok(candidate !== undefined && other !== undefined);
  for (const { name } of [candidate, other]) {
    const isHealthy = () => nodeChanges(yard, name, 'node_health').at(-1) === 'healthy';
    await waitFor(isHealthy, { timeoutMs: 30_000, what: `${name} to be healthy` });
  }
  const open = (node: PatroniNode) => readerOn(t, yard, node);
  const bystanders = {
    idle: await open(candidate),
    withSnapshot: await open(candidate),
    withoutSnapshot: await open(candidate),
  };
  const readers: pg.Client[] = [];
  for (const node of [candidate, other]) {
    for (let n = 0; n < READERS_PER_STANDBY; n += 1) readers.push(await open(node));
  }
  if (clearCandidate === 'on') {
    await bystanders.withSnapshot.query('begin isolation level repeatable read');
    await bystanders.withSnapshot.query('select 1');
  }
  await bystanders.withoutSnapshot.query('begin');
  await bystanders.withoutSnapshot.query('select 1');
  const reads = readers.map((reader) => outcomeOf(reader, LONG_READ));
  await makeConflict(leader, [candidate, other]);

  const workload = new Workload({ port: yard.port('primary'), autocommitWriters: 4 });
  const floor = new Floor(cluster.nodes.map((node) => node.port));
  workload.start();
  floor.start();
  await waitFor(() => workload.acknowledged > 50, { timeoutMs: 30_000, what: 'the writers to be under way' });
  await cluster.switchover(candidate);
  const before = workload.acknowledged;
  await waitFor(() => workload.acknowledged > before + 100, { timeoutMs: 60_000, what: 'the writers to go on' });
  const [report, floorMs] = [await workload.stop(), await floor.stop()];
  assert.deepEqual(await workload.audit(candidate.port), { lost: 0, doubled: 0 });
  return { yard, candidate, gapMs: report.longestGapMs, floorMs, reads, bystanders };
}

/** Lets the primary take away what the reads still see, and waits until the replay of every standby waits for them. */
async function makeConflict(leader: PatroniNode, standbys: readonly PatroniNode[]): Promise<void> {
  await waitFor(
    async () => {
      await sql(leader, 'update churn set a = a + 1', roles.app);
      await sql(leader, 'vacuum churn', roles.app);
      const waiting = await Promise.all(
        standbys.map((node) => sql(node, `select 1 from pg_stat_activity where wait_event like 'RecoveryConflict%'`)),
      );
      return waiting.every((rows) => rows.length === 1);
    },
    { timeoutMs: 10_000, what: 'replay to wait for the reads', pollMs: 100 },
  );
}

/** Long reads that a node is about. */
async function sleeping(node: PatroniNode): Promise<number> {
  const rows = await sql(node, `select 1 from pg_stat_activity where usename = $1 and wait_event = 'PgSleep'`, {
    values: [roles.app.user],
  });
  return rows.length;
}

async function outcomeOf(client: pg.Client, text: string): Promise<Outcome> {
  try {
    return { rows: (await client.query(text)).rows as unknown[], code: null };
  } catch (error) {
    return { rows: null, code: (error as { readonly code?: string }).code ?? String(error) };
  }
}

/** A client of the standby route that is on this node. */
async function readerOn(t: TestContext, yard: SwitchyardProcess, node: PatroniNode): Promise<pg.Client> {
  const others: pg.Client[] = [];
  const seen: (number | undefined)[] = [];
  try {
    for (let n = 0; n < 20; n += 1) {
      const client = new pg.Client({ ...roles.app, host: '127.0.0.1', port: yard.port('standby') });
      client.on('error', () => {});
      await client.connect();
      const { rows } = await client.query<{ port: number }>('select inet_server_port() as port');
      if (rows[0]?.port === node.port) {
        t.after(() => client.end().catch(() => {}));
        return client;
      }
      others.push(client);
      seen.push(rows[0]?.port);
    }
  } finally {
    for (const client of others) await client.end();
  }
  throw new Error(`no session was sent to ${node.name} (${node.port}), but to ${String(seen)}`);
}
