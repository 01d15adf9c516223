import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PasswordCredentials } from '../../../src/auth/credentials.js';
import { A, B } from '../../support/cluster-fakes.js';
import { PoolBench, refusal } from './pool-bench.js';
import type { Asker } from './pool-bench.js';

async function refuse(bench: PoolBench, sqlState: string): Promise<void> {
  await bench.settle();
  bench.connector.logins[0]?.fail(refusal(sqlState));
  await bench.settle();
}

test('what the node says to one log-in is told to all who wait, at once and in its own words', async () => {
  const bench = new PoolBench({ size: 1, loginConcurrency: 1 });
  const askers = [bench.ask(), bench.ask(), bench.ask({ startupKey: 'x' })];
  const other = bench.ask({ user: 'other' });
  await refuse(bench, '28P01');
  for (const asker of askers) {
    assert.equal(asker.code, '28P01');
    assert.equal(asker.error?.message, 'no: 28P01');
  }
  assert.ok(other.isWaiting);
  assert.equal(bench.connector.count, 2);
});

test('a storm of clients is not a storm of failing log-ins: after a pause, which grows, one alone tries', async () => {
  const bench = new PoolBench();
  for (let ms = 0; ms < 20_000; ms += 10) {
    bench.ask();
    if (bench.connector.logins.length > 0) await refuse(bench, '3D000');
    await bench.advance(10);
  }
  assert.ok(bench.connector.count >= 4 && bench.connector.count <= 12, `${bench.connector.count} log-ins in 20 s`);
  assert.ok(bench.counters.poolRefused.get('failing_logins') > 1_000);
  assert.equal(bench.pool.waiting, 0);
});

test('while one tries again, the others are told what was said before', async () => {
  const bench = new PoolBench();
  bench.ask();
  await refuse(bench, '28000');
  await bench.advance(300);
  const trial = bench.ask();
  await bench.settle();
  assert.equal(bench.connector.logins.length, 1);
  const other = bench.ask();
  await bench.settle();
  assert.equal(other.code, '28000');
  await bench.allIn();
  assert.ok(trial.backend !== null);
  const next = bench.ask();
  await bench.allIn();
  assert.ok(next.backend !== null, 'a log-in that goes well ends it');
});

test('other credentials, and another node, are another matter', async () => {
  const bench = new PoolBench();
  bench.ask({ credentials: new PasswordCredentials('old') });
  await refuse(bench, '28P01');
  const same = bench.ask({ credentials: new PasswordCredentials('old') });
  const fresh = bench.ask({ credentials: new PasswordCredentials('new') });
  const elsewhere = bench.ask({ node: B, credentials: new PasswordCredentials('old') });
  await bench.allIn();
  assert.equal(same.code, '28P01');
  assert.ok(fresh.backend !== null && elsewhere.backend !== null);
});

test('a change of the cluster makes the pool forget what its nodes have refused', async () => {
  for (const node of [A, null]) {
    const bench = new PoolBench();
    bench.ask();
    await refuse(bench, '28000');
    bench.pool.forgetFailures(B);
    const still = bench.ask();
    await bench.settle();
    assert.equal(still.code, '28000');
    bench.pool.forgetFailures(node);
    const again = bench.ask();
    await bench.allIn();
    assert.ok(again.backend !== null);
  }
});

test('what may be gone the next moment is not remembered at all', async () => {
  const bench = new PoolBench();
  const [first, second] = [bench.ask(), bench.ask()];
  await refuse(bench, '57P03');
  assert.equal(first.code, '57P03');
  await bench.allIn();
  assert.ok(second.backend !== null);
  const third = bench.ask();
  await bench.allIn();
  assert.ok(third.backend !== null);
});

test('a full node is tried again soon, and at once when a connection to it is closed', async () => {
  const bench = new PoolBench();
  const holder = await bench.open({ user: 'holder', isShared: false });
  const full = async (): Promise<Asker> => {
    const asker = bench.ask();
    await refuse(bench, '53300');
    return asker;
  };
  assert.equal((await full()).code, '53300');
  const atOnce = bench.ask();
  await bench.settle();
  assert.equal(atOnce.code, '53300');
  await bench.advance(50);
  assert.equal((await full()).code, '53300');
  assert.equal(bench.connector.count, 3);
  assert.ok(holder.backend !== null);
  bench.pool.release(holder.backend, 'session_end', false);
  const next = bench.ask();
  await bench.allIn();
  assert.ok(next.backend !== null);
});

test('sessions that share backends wait for those that are open when the node lets no more in', async () => {
  const bench = new PoolBench({ waitTimeoutMs: 2_000 });
  const holder = await bench.open();
  const [first, second] = [bench.ask(), bench.ask()];
  await bench.settle();
  for (let i = 0; i < 2; i += 1) await refuse(bench, '53300');
  assert.ok(first.isWaiting && second.isWaiting);
  await bench.giveBack(holder);
  assert.equal(first.backend, holder.backend);
  for (let i = 0; i < 40; i += 1) {
    await bench.advance(50);
    if (bench.connector.logins.length > 0) await refuse(bench, '53300');
  }
  assert.equal(second.code, 'too_many_backends');
  assert.match(second.error?.message ?? '', /within 2000 ms: .*the node lets no more in/);
  assert.match((second.error as { detail?: string }).detail ?? '', /no: 53300/);
});
