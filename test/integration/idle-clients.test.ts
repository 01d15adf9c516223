import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { PostgresCluster } from '../support/postgres-cluster.js';
import { waitFor } from '../support/processes.js';
import { RawClient } from '../support/raw-client.js';
import { frontend } from '../support/raw-messages.js';
import { roles } from '../support/roles.js';
import { SwitchyardProcess } from '../support/switchyard-process.js';

const CLIENTS = 2_000;
/** Generous: what is measured is near a third of it. */
const CLIENT_KB_MAX = 100;
const ANSWER_MB = 200;
/** Buffers of both wires, a chunk under way, and what the garbage collector has not looked at yet. */
const UNREAD_GROWTH_MB_MAX = 64;

test('two thousand idle clients cost little and no backend, and one that never reads costs a bounded amount', async (t) => {
  const cluster = await PostgresCluster.start(t, { standbys: 0 });
  const yard = await SwitchyardProcess.start(t, {
    cluster: {
      nodes: [{ name: 'node1', host: '127.0.0.1', port: cluster.primary.port }],
      monitor: { user: roles.monitor.user, password: roles.monitor.password },
    },
    listeners: [{ name: 'primary', address: '127.0.0.1:0', route: 'primary' }],
    auth: { method: 'trust', users: [{ name: roles.app.user, password: roles.app.password }] },
    admin: { address: '127.0.0.1:0' },
  });
  const port = yard.port('primary');
  const login = { port, user: roles.app.user, password: roles.app.password, database: roles.app.database };
  const first = await RawClient.login(login);
  const beforeKb = await residentKb(yard.process.pid);

  const idle: RawClient[] = [];
  for (let i = 0; i < CLIENTS; i += 50) {
    idle.push(...(await Promise.all(Array.from({ length: 50 }, () => RawClient.login(login)))));
  }
  const perClientKb = ((await residentKb(yard.process.pid)) - beforeKb) / CLIENTS;
  t.diagnostic(`${CLIENTS} idle clients: ${perClientKb.toFixed(1)} kB each`);
  assert.ok(perClientKb < CLIENT_KB_MAX, `${perClientKb} kB a client`);
  const backends = await cluster.sql(
    `select count(*)::int as n from pg_stat_activity where usename = '${roles.app.user}'`,
  );
  assert.equal(backends[0]?.['n'], 1, 'only the first of them needed a backend');

  const filledKb = await residentKb(yard.process.pid);
  idle[0]?.stopReading();
  idle[0]?.send(frontend.query(`select repeat('x', 1000) from generate_series(1, ${ANSWER_MB * 1000})`));
  await waitFor(
    async () => {
      const rows = await cluster.sql(
        `select 1 from pg_stat_activity where usename = '${roles.app.user}' and wait_event = 'ClientWrite'`,
      );
      return rows.length > 0;
    },
    { timeoutMs: 20_000, what: 'the node to wait for the client' },
  );
  const growthMb = ((await residentKb(yard.process.pid)) - filledKb) / 1024;
  t.diagnostic(`a client that does not read ${ANSWER_MB} MB: ${growthMb.toFixed(1)} MB`);
  assert.ok(growthMb < UNREAD_GROWTH_MB_MAX, `${growthMb} MB`);

  assert.deepEqual(await first.rows('select 1'), [['1']], 'the others are served meanwhile');
  for (const client of [first, ...idle]) client.destroy();
});

/** Resident memory of a process (Linux, proc(5)). */
async function residentKb(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]);
}
