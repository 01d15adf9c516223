import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BackendCredentials } from '../../../src/auth/credentials.js';
import { Foreseer } from './foreseer.js';
import { A, B } from '../../support/cluster-fakes.js';
import { PoolBench, refusal } from './pool-bench.js';
import type { Asker } from './pool-bench.js';

/** A bench whose sessions are connected until the test says otherwise. */
function benchWith(limits: ConstructorParameters<typeof PoolBench>[0]): { bench: PoolBench; foreseer: Foreseer } {
  const bench = new PoolBench(limits);
  const foreseer = new Foreseer(bench.credentials);
  bench.pool.foresight = foreseer;
  return { bench, foreseer };
}

async function openMany(bench: PoolBench, count: number, over: Parameters<PoolBench['ask']>[0] = {}): Promise<Asker[]> {
  const askers = Array.from({ length: count }, () => bench.ask(over));
  await bench.allIn();
  return askers;
}

test('min_size backends are kept open as long as somebody is connected, and opened ahead of time', async () => {
  const { bench, foreseer } = benchWith({ minSize: 3, idleTimeoutMs: 5_000 });
  const asker = await bench.open();
  await bench.giveBack(asker);
  await bench.advance(1_000);
  await bench.allIn();
  assert.equal(bench.live, 3);
  await bench.advance(60_000);
  assert.equal(bench.live, 3);
  bench.connector.wires.get(asker.backend as NonNullable<Asker['backend']>)?.lose();
  await bench.advance(1_000);
  await bench.allIn();
  assert.equal(bench.live, 3, 'one that was lost is replaced');
  foreseer.known = null;
  await bench.advance(60_000);
  assert.equal(bench.live, 0, 'nobody is there any more with whom to log in');
});

test('nothing is opened ahead of time where the node takes none, has no room, or a bound is reached', async () => {
  const cases: readonly ((foreseer: Foreseer, bench: PoolBench) => void)[] = [
    (foreseer) => void (foreseer.isThere = false),
    (foreseer) => void (foreseer.left = 0),
    (_, bench) => void (bench.pool.limits = { ...bench.pool.limits, maxBackendsPerNode: 1 }),
  ];
  for (const change of cases) {
    const { bench, foreseer } = benchWith({ minSize: 3 });
    await bench.open();
    change(foreseer, bench);
    await bench.advance(3_000);
    assert.equal(bench.connector.count, 1);
  }
});

test('the new primary is opened for as many as were in use on the old one, with half of the log-ins at most', async () => {
  const { bench, foreseer } = benchWith({ size: 20, loginConcurrency: 8 });
  const [app, own] = [await openMany(bench, 9), await openMany(bench, 3, { user: 'own', isShared: false })];
  await bench.advance(2_000);
  bench.pool.noteLoss(A);
  for (const asker of [...app, ...own]) {
    bench.wireOf(asker).lose();
    await bench.giveBack(asker);
  }
  await bench.advance(40_000);
  foreseer.proof = { systemIdentifier: 's', timelineMin: 2 };
  bench.pool.warmUp(B);
  await bench.settle();
  assert.equal(bench.connector.logins.length, 4);
  assert.ok(bench.connector.logins.every(({ request }) => request.node === B && request.proof === foreseer.proof));
  await bench.allIn();
  const there = new Map(bench.pool.figures.filter(({ node }) => node === B).map(({ user, idle }) => [user, idle]));
  assert.deepEqual(
    [...there],
    [
      ['app', 9],
      ['own', 3],
    ].toSorted() as [string, number][],
  );
  const fits = bench.request({ node: B, user: 'own', isShared: false, proof: foreseer.proof });
  assert.ok(bench.pool.take(fits) !== null);
});

test('who asks while the new primary is warmed up goes first, and takes what is on its way', async () => {
  const { bench } = benchWith({ size: 20, loginConcurrency: 2 });
  await openMany(bench, 6);
  bench.pool.noteLoss(A);
  bench.pool.warmUp(B);
  await bench.settle();
  assert.equal(bench.connector.logins.length, 1);
  const held = Array.from({ length: 3 }, () => bench.ask({ node: B }));
  await bench.settle();
  for (let i = 0; i < 3; i += 1) {
    bench.connector.logins[0]?.ok();
    await bench.settle();
  }
  assert.ok(held.every(({ backend }) => backend !== null));
  await bench.allIn();
  assert.equal(bench.pool.onNode(B).total, 6, 'not one more than were in use');
});

test('a warm-up stops at a node that says no', async () => {
  for (const sqlState of ['53300', '57P03', '28000']) {
    const { bench } = benchWith({ size: 20, loginConcurrency: 4 });
    await openMany(bench, 10);
    bench.pool.noteLoss(A);
    bench.pool.warmUp(B);
    await bench.settle();
    for (let i = 0; i < 10; i += 1) {
      bench.connector.logins[0]?.fail(refusal(sqlState));
      await bench.settle();
    }
    assert.equal(bench.connector.count, 12);
  }
});

test('the pool keeps no credentials for later: they come from whoever is connected then', async () => {
  const { bench, foreseer } = benchWith({ minSize: 2 });
  await bench.open();
  const later = { kind: 'none' } as BackendCredentials;
  foreseer.known = later;
  await bench.advance(1_000);
  assert.equal(bench.connector.logins[0]?.request.credentials, later);
});

test('an old backend that is needed is followed by another before anybody asks', async () => {
  const { bench } = benchWith({ maxLifetimeMs: 10_000, idleTimeoutMs: 100_000 });
  const askers = await openMany(bench, 4);
  await bench.advance(1_000);
  for (const asker of askers) await bench.giveBack(asker);
  for (let i = 0; i < 25; i += 1) {
    await bench.advance(1_000);
    await bench.allIn();
    assert.ok(bench.live >= 4, `after ${i} s`);
  }
  assert.ok(bench.counters.backendsClosed.get('max_lifetime') >= 4);
});
