import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { FaultProxy } from '../support/fault-proxy.js';
import { followEtcd } from '../support/follow-etcd.js';
import { PatroniCluster } from '../support/patroni-cluster.js';
import type { PatroniNode } from '../support/patroni-node.js';
import { PlacedWriters } from '../support/placed-writers.js';
import { sql } from '../support/postgres-server.js';
import { waitFor } from '../support/processes.js';
import { startYard } from '../support/yard.js';

const WRITERS = { autocommit: 4, transactions: 2 };
/** What a client may be told of a unit or transaction that was under way on the old primary. */
const HONEST = new Set(['08007', '57P01', '40001']);
/** Patroni renews its lease every 5 s here, and it lasts for 20: it ends at the earliest so long after the freeze. */
const LEASE_LEFT_MIN_MS = 14_000;
/** A proxy that cannot read the key finds out by sampling the new primary four times a second; with slack for a busy machine. */
const FOUND_OUT_MS = 1_000;

let cluster: PatroniCluster;

before(async () => {
  cluster = await PatroniCluster.up();
  await PlacedWriters.prepare((await cluster.waitForLeader()).port);
});

after(async () => {
  await cluster.down();
});

test('Patroni of the leader freezes and its PostgreSQL lives on: what it still accepts after the key names another is acknowledged to nobody', async (t) => {
  const old = await cluster.waitForLeader();
  const [etcd] = cluster.etcd;
  assert.ok(etcd !== undefined);
  const way = await FaultProxy.start(etcd.port);
  t.after(() => way.close());
  const follower = followEtcd(t, { hosts: [etcd.address], prefix: `/service/${cluster.scope}/` });

  const seeing = await startYard(t, cluster);
  // Its claims do not even count as stale all the time: it only has old ones.
  const blind = await startYard(t, cluster, { etcd3: { hosts: [`127.0.0.1:${way.port}`], stale_after: '5m' } });
  const asleep = await startYard(t, cluster);
  const yards = [seeing, blind, asleep];
  const [throughSeeing, throughBlind, throughAsleep] = yards.map(
    (yard) => new PlacedWriters(t, yard.port('primary'), WRITERS),
  ) as [PlacedWriters, PlacedWriters, PlacedWriters];
  const all = [throughSeeing, throughBlind, throughAsleep];
  for (const writers of all) await writesOn(writers, old);

  old.freezePatroni();
  way.freeze();
  const frozenAtMs = performance.now();
  await waitFor(() => performance.now() - frozenAtMs > LEASE_LEFT_MIN_MS, { timeoutMs: 30_000, what: 'the lease' });
  asleep.process.freeze();
  const { leader } = await follower.until(
    'another leader',
    (claims) => claims.leader !== null && claims.leader.name !== old.name,
  );
  const keyAtMs = performance.now();
  const next = cluster.node(leader?.name ?? '');
  await waitFor(async () => (await sql(next, 'select pg_is_in_recovery() as r'))[0]?.['r'] === false, {
    timeoutMs: 30_000,
    what: 'the promotion',
    pollMs: 5,
  });
  const promotedAtMs = performance.now();
  await writesOn(throughSeeing, next);
  assert.equal((await sql(old, 'select pg_is_in_recovery() as r'))[0]?.['r'], false, 'the old primary lives on');

  const isInDoubt = (record: Readonly<Record<string, unknown>>): boolean =>
    record['change'] === 'primary' && /no leader key was read since/.test(String(record['reason']));
  await blind.waitForRecord(isInDoubt, 'the doubt of the one that sees no key');
  asleep.process.thaw();
  await writesOn(throughAsleep, next);
  await waitFor(() => performance.now() - promotedAtMs > 3 * FOUND_OUT_MS, { timeoutMs: 10_000, what: 'a while' });
  assert.equal(throughBlind.by(next.port).length, 0, 'nothing new is believed without the key');
  await way.heal();
  await writesOn(throughBlind, next);
  for (const writers of all) await writers.stop();

  const [lostSeeing, lostBlind, lostAsleep] = (await Promise.all(
    all.map((writers) => writers.missingOn(next.port)),
  )) as [Lost, Lost, Lost];
  for (const [name, writers] of [
    ['seeing', throughSeeing],
    ['blind', throughBlind],
    ['asleep', throughAsleep],
  ] as const) {
    const last = Math.max(...writers.by(old.port).map(({ ackedAtMs }) => ackedAtMs));
    t.diagnostic(
      `${name}: last by the old primary ${Math.round(last - keyAtMs)} ms after the key, ` +
        `${Math.round(last - promotedAtMs)} ms after the promotion; errors ${writers.errors.map((e) => e.sqlState).join(' ')}`,
    );
  }
  t.diagnostic(`lost: ${lostSeeing.length} ${lostBlind.length} ${lostAsleep.length}`);
  assert.deepEqual(throughSeeing.by(old.port, keyAtMs), [], 'nothing by the old primary since the key names another');
  assert.deepEqual(lostSeeing, []);
  assert.deepEqual(
    lostAsleep.filter(({ ackedAtMs }) => ackedAtMs > keyAtMs),
    [],
  );
  const late = throughBlind.by(old.port, promotedAtMs + FOUND_OUT_MS);
  assert.deepEqual(late, [], 'without a key: nothing by the old primary since the new one can be seen');
  for (const error of all.flatMap(({ errors }) => errors)) {
    assert.ok(HONEST.has(error.sqlState), `${error.sqlState} ${error.message}`);
  }
});

type Lost = Awaited<ReturnType<PlacedWriters['missingOn']>>;

/** Waits until some more writes were done by that node. */
async function writesOn(writers: PlacedWriters, node: PatroniNode): Promise<void> {
  const before = writers.by(node.port).length;
  await waitFor(() => writers.by(node.port).length > before + 20, {
    timeoutMs: 60_000,
    what: `writes on ${node.name}`,
  });
}
