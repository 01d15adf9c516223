import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { PatroniCluster } from '../support/patroni-cluster.js';
import { waitFor } from '../support/processes.js';
import { roles } from '../support/roles.js';
import { Workload } from '../support/workload.js';
import { nodeChanges, startYard } from '../support/yard.js';

const MAX_LAG_MS = 3_000;
/** What the test itself may add: its polling, and the write that the lag is counted from. */
const SLACK_MS = 500;

let cluster: PatroniCluster;

before(async () => {
  cluster = await PatroniCluster.up();
  await Workload.prepare((await cluster.waitForLeader()).port);
});

after(async () => {
  await cluster.down();
});

test('a standby whose replay stands still leaves the choice in time and comes back, once each; a read on it is not cut', async (t) => {
  const yard = await startYard(t, cluster, { routing: { max_lag: `${MAX_LAG_MS}ms`, max_lag_bytes: '1GB' } });
  const [slow] = await cluster.standbys();
  assert.ok(slow !== undefined);
  const isHealthy = () => nodeChanges(yard, slow.name, 'node_health').at(-1) === 'healthy';
  await waitFor(isHealthy, { timeoutMs: 15_000, what: 'the standby to be healthy' });
  const before = nodeChanges(yard, slow.name, 'node_health').length;

  const reader = await readerOn(yard.port('standby'), slow.port);
  const longRead = reader.query('select count(*) from (select pg_sleep(0.01) from generate_series(1, 900)) as t');
  const workload = new Workload({ port: yard.port('primary'), autocommitWriters: 1, pauseMs: 20 });
  workload.start();
  await waitFor(() => workload.acknowledged > 10, { timeoutMs: 10_000, what: 'something to replay' });
  slow.pauseReplay();
  t.after(() => slow.resumeReplay());
  const pausedAt = performance.now();
  await waitFor(() => !isHealthy(), { timeoutMs: 20_000, what: 'the standby to leave the choice', pollMs: 20 });
  const leftAfterMs = performance.now() - pausedAt;
  t.diagnostic(`left ${Math.round(leftAfterMs)} ms after its replay stopped, max_lag ${MAX_LAG_MS} ms`);
  assert.ok(leftAfterMs > MAX_LAG_MS - SLACK_MS, 'not before it lagged');
  assert.ok(leftAfterMs < MAX_LAG_MS + 1_000 + SLACK_MS, 'within a second beyond max_lag');
  for (let i = 0; i < 10; i += 1) assert.notEqual(await portOfNewSession(yard.port('standby')), slow.port);

  assert.equal((await longRead).rows[0]?.count, '900', 'the long read was not cut');
  slow.resumeReplay();
  await waitFor(isHealthy, { timeoutMs: 20_000, what: 'the standby to come back' });
  await delay(3_000);
  await workload.stop();
  assert.deepEqual(nodeChanges(yard, slow.name, 'node_health').slice(before), ['lagging', 'healthy'], 'once each');
  await reader.end();
});

/** A client of the standby route that is on the server at `wantedPort`. */
async function readerOn(listenerPort: number, wantedPort: number): Promise<pg.Client> {
  const others: pg.Client[] = [];
  for (let i = 0; i < 20; i += 1) {
    const client = new pg.Client({ ...roles.app, host: '127.0.0.1', port: listenerPort });
    await client.connect();
    const { rows } = await client.query<{ port: number }>('select inet_server_port() as port');
    if (rows[0]?.port === wantedPort) {
      for (const other of others) await other.end();
      return client;
    }
    others.push(client);
  }
  throw new Error('no session was sent to the standby');
}

async function portOfNewSession(listenerPort: number): Promise<number | undefined> {
  const client = new pg.Client({ ...roles.app, host: '127.0.0.1', port: listenerPort });
  await client.connect();
  const { rows } = await client.query<{ port: number }>('select inet_server_port() as port');
  await client.end();
  return rows[0]?.port;
}
