import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { sql } from '../support/postgres-server.js';
import { RawClient } from '../support/raw-client.js';
import { roles } from '../support/roles.js';
import { CoreProxy, sharedCluster, TIMEOUT_MS } from './core-lab.js';
import { Twins } from './session-moves-lab.js';
import type { MoveCounts, Step } from './session-moves-lab.js';
import { appStatements, sequence } from './session-moves-steps.js';

const TIME_LIMIT_MS = Number(process.env['SWITCHYARD_TEST_SECONDS'] ?? 40) * 1000;
/** So many of all pins may be there though nothing of the kind is. */
const OVER_PINNED_MAX = 0.1;

const cluster = sharedCluster({ standbys: 0, appStatements });

test('a session that is moved about is told nothing else than one that stays, and is pinned only where it must be', async (t) => {
  await sql(cluster().primary, 'create database twin template app');
  // One gives each move a new backend, the other one a cleaned one where it can.
  const proxies = [
    await CoreProxy.start(t, cluster().nodes, { pool: { reuse: false } }),
    await CoreProxy.start(t, cluster().nodes),
  ];
  const counts: MoveCounts = { steps: 0, moves: 0, pinned: 0, overPinned: 0 };
  const overPinned = new Map<string, number>();
  let sequences = 0;
  const run = async (
    steps: readonly Step[],
    role: (typeof roles)['app' | 'superuser'],
    isReusing: boolean,
  ): Promise<void> => {
    sequences += 1;
    const proxy = proxies[isReusing ? 1 : 0];
    assert.ok(proxy);
    const { port } = cluster().primary;
    const direct = await RawClient.login({ ...role, port, database: 'twin', timeoutMs: TIMEOUT_MS });
    const proxied = await RawClient.login({ ...role, port: proxy.port(), database: 'app', timeoutMs: TIMEOUT_MS });
    try {
      const session = [...proxy.app.registry.all()].at(-1);
      assert.ok(session);
      const twins = new Twins(direct, proxied, session, counts, (reason) =>
        overPinned.set(reason, (overPinned.get(reason) ?? 0) + 1),
      );
      for (const each of steps) await twins.take(each);
      await twins.compare();
    } finally {
      direct.destroy();
      proxied.destroy();
    }
  };
  const seed = Number(process.env['SWITCHYARD_TEST_SEED'] ?? Date.now() % 2_000_000_011);
  t.diagnostic(`seed ${seed}`);
  const property = fc.asyncProperty(sequence, fc.constantFrom(roles.superuser, roles.app), fc.boolean(), run);
  const report = await fc.check(property, {
    seed,
    numRuns: 100_000,
    interruptAfterTimeLimit: TIME_LIMIT_MS,
    markInterruptAsFailure: false,
    endOnFailure: process.env['SWITCHYARD_TEST_SHRINK'] === undefined,
  });
  const steps = report.counterexample?.[0].map((each) => JSON.stringify(each)).join('\n');
  assert.ok(!report.failed, `${report.errorInstance instanceof Error ? report.errorInstance.message : ''}\n${steps}`);
  t.diagnostic(`${sequences} sequences, ${JSON.stringify(counts)}, over-pinned ${JSON.stringify([...overPinned])}`);
  assert.ok(counts.moves > 50, 'hardly any moves');
  assert.ok(counts.overPinned <= counts.pinned * OVER_PINNED_MAX, JSON.stringify([...overPinned]));
});
