import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SwitchyardError } from '../../../src/errors.js';
import type { ClockTimer } from '../../../src/util/clock.js';
import { B } from '../../support/cluster-fakes.js';
import { FakeClock } from '../../support/fake-clock.js';
import { PoolBench } from './pool-bench.js';
import type { Asker } from './pool-bench.js';

const proof = { systemIdentifier: null, timelineMin: 1 };

test('the backend that was put back last is the first to be taken', async () => {
  const bench = new PoolBench();
  const [first, second] = [await bench.open(), await bench.open()];
  await bench.giveBack(second);
  await bench.giveBack(first);
  assert.equal(bench.pool.take(first.request), first.backend);
  assert.equal(bench.pool.take(first.request), second.backend);
  assert.equal(bench.pool.take(first.request), null);
});

test('idle backends that do not fit are passed over, and a new one is opened for a waiter whom none fits', async () => {
  const bench = new PoolBench({ size: 2 });
  const [first, second] = [await bench.open(), await bench.open()];
  await bench.giveBack(first);
  await bench.giveBack(second);
  assert.equal(
    bench.pool.take(first.request, (backend) => backend === first.backend),
    first.backend,
  );
  assert.equal(
    bench.pool.take(first.request, () => false),
    null,
  );
  const picky = bench.ask({}, (backend) => backend !== second.backend);
  await bench.allIn();
  assert.ok(picky.backend !== null && picky.backend !== second.backend);
  assert.ok(bench.wireOf(second).closed, 'the one that did not fit made room');
  assert.equal(bench.total, 2);
});

test('shared backends and those of one session are never mixed up', async () => {
  const bench = new PoolBench();
  const shared = await bench.open({ isShared: true });
  await bench.giveBack(shared);
  const own = bench.request({ isShared: false });
  assert.equal(bench.pool.take(own), null);
  const other = await bench.open({ isShared: false });
  assert.notEqual(other.backend, shared.backend);
  await bench.giveBack(other);
  assert.equal(bench.pool.take(shared.request), shared.backend);
});

test('who needs a proven primary is not given a backend without the proof', async () => {
  const bench = new PoolBench();
  const unproven = await bench.open();
  await bench.giveBack(unproven);
  assert.equal(bench.pool.take(bench.request({ proof })), null);
  const proven = await bench.open({ proof });
  await bench.giveBack(proven);
  assert.equal(bench.pool.take(bench.request({ proof })), proven.backend);
});

test('a backend that is put back goes to who has waited longest, and nobody takes it before him', async () => {
  const bench = new PoolBench({ size: 1 });
  const holder = await bench.open();
  const [first, second] = [bench.ask(), bench.ask()];
  await bench.settle();
  assert.ok(holder.backend !== null);
  bench.pool.putBack(holder.backend);
  assert.equal(bench.pool.take(holder.request), null);
  await bench.settle();
  assert.equal(first.backend, holder.backend);
  assert.ok(second.isWaiting);
  assert.equal(bench.connector.count, 1);
});

test('waiters of one node, database and user do not keep others from their idle backends', async () => {
  const bench = new PoolBench({ size: 1 });
  await bench.open();
  bench.ask();
  const other = await bench.open({ user: 'other' });
  await bench.giveBack(other);
  assert.equal(bench.pool.take(other.request), other.backend);
});

test('who waits for a log-in is served by a backend that becomes free before it ends, and the log-in is for the next', async () => {
  const bench = new PoolBench({ size: 2 });
  const holder = await bench.open();
  const [first, second] = [bench.ask(), bench.ask()];
  await bench.settle();
  assert.equal(bench.connector.logins.length, 1);
  await bench.giveBack(holder);
  assert.equal(first.backend, holder.backend);
  await bench.allIn();
  assert.ok(second.backend !== null);
  assert.equal(bench.connector.count, 2);
});

test('a backend that breaks on its way to a waiter costs him a moment, and neither an error nor his place', async () => {
  const bench = new PoolBench({ size: 1 });
  const holder = await bench.open();
  const [first, second] = [bench.ask(), bench.ask()];
  await bench.settle();
  assert.ok(holder.backend !== null);
  bench.pool.putBack(holder.backend);
  bench.wireOf(holder).lose();
  await bench.allIn();
  assert.ok(first.backend !== null && first.backend !== holder.backend);
  assert.equal(first.error, null);
  assert.ok(second.isWaiting);
});

test('a log-in that nobody waits for any more is kept for the next, or ended where nothing could be kept', async () => {
  const bench = new PoolBench({ loginConcurrency: 2 });
  const shared = bench.ask();
  const replication = bench.ask({ isReplication: true, isShared: false, startupKey: 'replication' });
  const queued = bench.ask({ user: 'third' });
  await bench.settle();
  const [one, two] = bench.connector.logins;
  for (const asker of [shared, replication, queued]) asker.cancel();
  await bench.settle();
  assert.equal(one?.signal.aborted, false);
  assert.equal(two?.signal.aborted, true);
  assert.equal(bench.total, 1, 'the one whose turn had not come is forgotten');
  one?.ok();
  await bench.settle();
  assert.ok(bench.pool.take(shared.request) !== null);
});

test('who waits too long is told 53300, the bound that was in the way and the key to change', async () => {
  const cases = [
    [{ size: 1 }, {}, 'size'],
    [{ maxBackendsPerNode: 1 }, { user: 'other', database: 'other' }, 'max_backends_per_node'],
    [{ maxBackendsPerDatabase: 1 }, { user: 'other' }, 'max_backends_per_database'],
    [{ maxBackendsPerUser: 1 }, { database: 'other' }, 'max_backends_per_user'],
    [{ maxBackends: 1 }, { node: B, user: 'other', database: 'other' }, 'max_backends'],
  ] as const;
  for (const [limits, over, bound] of cases) {
    const bench = new PoolBench({ ...limits, waitTimeoutMs: 2_000 });
    await bench.open();
    const late = bench.ask(over);
    await bench.advance(1_999);
    assert.ok(late.isWaiting, bound);
    await bench.advance(1);
    assert.ok(late.error instanceof SwitchyardError);
    assert.equal(late.error.sqlState, '53300');
    assert.match(late.error.message, new RegExp(`within 2000 ms: pool\\.${bound} is reached$`));
    assert.match(late.error.hint ?? '', new RegExp(`pool\\.${bound} is 1\\b`));
    assert.equal(bench.counters.poolRefused.get(bound), 1);
  }
});

/** As a real one: its timers run a little early, and between two looks some time has passed. */
class CreepingClock extends FakeClock {
  readonly #earlyMs: number;
  #creptMs = 0;

  constructor(earlyMs: number) {
    super();
    this.#earlyMs = earlyMs;
  }

  override nowMs(): number {
    this.#creptMs += 0.1;
    return super.nowMs() + this.#creptMs;
  }

  override setTimer(delayMs: number, run: () => void): ClockTimer {
    return super.setTimer(delayMs - this.#earlyMs, run);
  }
}

test('a time limit that is over between two looks at the clock is not forgotten', async () => {
  for (let earlyMs = 0; earlyMs <= 2; earlyMs += 0.1) {
    const late = new PoolBench({ size: 1, waitTimeoutMs: 200 }, new CreepingClock(earlyMs));
    await late.open();
    const asker = late.ask();
    await late.advance(400);
    assert.equal(asker.code, 'too_many_backends');

    const limits = { size: 1, reserveSize: 1, reserveTimeoutMs: 200 };
    const reserve = new PoolBench(limits, new CreepingClock(earlyMs));
    await reserve.open();
    const waiting = reserve.ask();
    await reserve.advance(400);
    await reserve.allIn();
    assert.ok(waiting.backend !== null);
  }
});

test('without any patience only those wait who are about to log in', async () => {
  const bench = new PoolBench({ size: 1, waitTimeoutMs: 0 });
  const first = bench.ask();
  const second = bench.ask();
  await bench.advance(100);
  assert.equal(second.code, 'too_many_backends');
  await bench.allIn();
  assert.ok(first.backend !== null);
});

test('the reserve is opened for who has waited for reserve_timeout, and for nobody before', async () => {
  const bench = new PoolBench({ size: 1, reserveSize: 1, reserveTimeoutMs: 500 });
  await bench.open();
  const first = bench.ask();
  await bench.advance(200);
  const second = bench.ask();
  await bench.advance(299);
  assert.equal(bench.connector.logins.length, 0);
  await bench.advance(1);
  await bench.allIn();
  assert.ok(first.backend !== null && second.isWaiting);
  assert.equal(bench.counters.backendsOpenedFromReserve, 1);
  await bench.advance(10_000);
  assert.ok(second.isWaiting, 'there is no more reserve');
});

test('an idle backend of others makes room at a shared bound, the one that was idle longest first', async () => {
  const bench = new PoolBench({ maxBackendsPerNode: 2 });
  const [old, young] = [await bench.open({ user: 'a' }), await bench.open({ user: 'b' })];
  await bench.giveBack(old);
  await bench.advance(3_000);
  await bench.giveBack(young);
  const newcomer = bench.ask({ user: 'c' });
  await bench.allIn();
  assert.ok(newcomer.backend !== null);
  assert.ok(bench.wireOf(old).closed && !bench.wireOf(young).closed);
});

/** Sessions of one user that ask for a backend again as soon as they have given theirs back. */
class Crowd {
  readonly bench: PoolBench;
  readonly user: string;
  served = 0;
  askers: Asker[];

  constructor(bench: PoolBench, user: string, count: number) {
    this.bench = bench;
    this.user = user;
    this.askers = Array.from({ length: count }, () => bench.ask({ user }));
  }

  /** Everybody who has a backend gives it back and waits for the next. */
  async turn(): Promise<void> {
    for (const [i, asker] of this.askers.entries()) {
      if (asker.backend === null) continue;
      this.served += 1;
      await this.bench.giveBack(asker);
      this.askers[i] = this.bench.ask({ user: this.user });
    }
  }
}

test('at a shared bound a crowd does not starve another one, and backends do not change hands for each statement', async () => {
  const bench = new PoolBench({ maxBackendsPerNode: 4 });
  const first = new Crowd(bench, 'first', 8);
  await bench.allIn();
  const second = new Crowd(bench, 'second', 8);
  const round = async (): Promise<void> => {
    await bench.advance(10);
    await first.turn();
    await second.turn();
    await bench.allIn();
  };
  for (let i = 0; i < 50; i += 1) await round();
  assert.ok(second.served > 0, 'within half a second');
  for (let i = 0; i < 150; i += 1) await round();
  const before = { logins: bench.connector.count, first: first.served, second: second.served };
  for (let i = 0; i < 200; i += 1) await round();
  assert.equal(bench.connector.count, before.logins, 'each has its share, and keeps it');
  assert.equal(first.served - before.first, second.served - before.second);
});

test('more crowds than a shared bound has room for take turns that are worth a log-in', async () => {
  const bench = new PoolBench({ maxBackendsPerNode: 2 });
  const crowds = ['a', 'b', 'c', 'd'].map((user) => new Crowd(bench, user, 4));
  for (let i = 0; i < 400; i += 1) {
    await bench.advance(5);
    for (const crowd of crowds) await crowd.turn();
    await bench.allIn();
  }
  const served = crowds.map((crowd) => crowd.served);
  assert.ok(Math.min(...served) > Math.max(...served) / 3, String(served));
  assert.ok(bench.connector.count <= 2 * 20 + 2, `${bench.connector.count} log-ins in two seconds`);
});

test('of sessions that keep their backends, who has waited longest gets what becomes free, whoever had it', async () => {
  const bench = new PoolBench({ maxBackendsPerNode: 2 });
  const [one] = [await bench.open({ user: 'a', isShared: false }), await bench.open({ user: 'a', isShared: false })];
  const stranger = bench.ask({ user: 'b', isShared: false });
  const own = bench.ask({ user: 'a', isShared: false });
  await bench.giveBack(one);
  await bench.allIn();
  assert.ok(stranger.backend !== null && own.isWaiting);
});

test('no more log-ins are under way on a node than login_concurrency says, and their order is that of the askers', async () => {
  const bench = new PoolBench({ loginConcurrency: 2 });
  const users = ['a', 'b', 'c', 'd', 'e'];
  const askers = users.map((user) => bench.ask({ user }));
  const elsewhere = bench.ask({ node: B });
  await bench.settle();
  assert.deepEqual(
    bench.connector.logins.map(({ request }) => request.user),
    ['a', 'b', 'app'],
    'another node has its own',
  );
  assert.equal(bench.pool.waiting, 3);
  bench.connector.logins[1]?.ok();
  await bench.settle();
  assert.deepEqual(
    bench.connector.logins.map(({ request }) => request.user),
    ['a', 'app', 'c'],
  );
  await bench.allIn();
  assert.ok([...askers, elsewhere].every(({ backend }) => backend !== null));
});

test('when the node cannot be reached, nobody goes on standing in line for it', async () => {
  const bench = new PoolBench({ loginConcurrency: 1 });
  const askers = ['a', 'b', 'c'].map((user) => bench.ask({ user }));
  const elsewhere = bench.ask({ node: B });
  await bench.settle();
  bench.connector.logins[0]?.fail(new SwitchyardError('backend_connect_failed', 'no answer'));
  await bench.settle();
  assert.deepEqual(
    askers.map(({ code }) => code),
    ['backend_connect_failed', 'backend_connect_failed', 'backend_connect_failed'],
  );
  assert.ok(elsewhere.isWaiting);
  assert.equal(bench.connector.count, 2);
});

test('idle backends are closed after idle_timeout, and none is kept open for nobody', async () => {
  const bench = new PoolBench({ idleTimeoutMs: 5_000, minSize: 2 });
  const asker = await bench.open();
  await bench.giveBack(asker);
  await bench.advance(5_000);
  assert.equal(bench.live, 1);
  await bench.advance(3_000);
  assert.equal(bench.live, 0);
  assert.equal(bench.counters.backendsClosed.get('idle_timeout'), 1);
});

test('max_idle bounds the idle backends of single sessions, and leaves those alone that are shared', async () => {
  for (const isShared of [false, true]) {
    const bench = new PoolBench({ maxIdle: 1 });
    const askers = [await bench.open({ isShared }), await bench.open({ isShared }), await bench.open({ isShared })];
    for (const asker of askers) await bench.giveBack(asker);
    assert.equal(bench.live, isShared ? 3 : 1);
  }
});

test('backends that were opened together do not come to the end of their time together', async () => {
  const lifetimeMs = 100_000;
  const bench = new PoolBench({ size: 20, maxLifetimeMs: lifetimeMs, idleTimeoutMs: 1_000_000 });
  const askers: Asker[] = [];
  for (let i = 0; i < 20; i += 1) askers.push(await bench.open());
  for (const asker of askers) await bench.giveBack(asker);
  await bench.advance(lifetimeMs * 0.8);
  assert.equal(bench.live, 20);
  let most = 0;
  for (let i = 0; i < 21; i += 1) {
    const before = bench.live;
    await bench.advance(1_000);
    most = Math.max(most, before - bench.live);
  }
  assert.equal(bench.live, 0, 'none lives longer than max_lifetime and a sweep');
  assert.ok(most <= 3, `${most} at once`);
});

test('an old backend serves its session to the end and nobody else', async () => {
  const bench = new PoolBench({ maxLifetimeMs: 10_000 });
  const asker = await bench.open();
  await bench.advance(12_000);
  assert.ok(!bench.wireOf(asker).closed);
  await bench.giveBack(asker);
  assert.ok(bench.wireOf(asker).closed);
});

test('backends that are retired are closed as they become free, and those opened since are not', async () => {
  const bench = new PoolBench();
  const [idle, inUse, elsewhere] = [await bench.open(), await bench.open(), await bench.open({ database: 'other' })];
  await bench.giveBack(idle);
  bench.pool.retire('app', 'reconnect');
  await bench.settle();
  assert.ok(bench.wireOf(idle).closed && !bench.wireOf(inUse).closed);
  const fresh = await bench.open();
  assert.equal(bench.pool.retiring('app'), 1);
  for (const asker of [inUse, fresh, elsewhere]) await bench.giveBack(asker);
  assert.equal(bench.pool.retiring(null), 0);
  assert.ok(bench.wireOf(inUse).closed && !bench.wireOf(fresh).closed && !bench.wireOf(elsewhere).closed);
});

test('a backend that is logging in when all are retired is closed when it has, and whoever waits for it gets another one', async () => {
  const bench = new PoolBench({ loginConcurrency: 1 });
  const [first, second] = [bench.ask(), bench.ask()];
  await bench.settle();
  bench.pool.retire('app', 'reconnect');
  assert.equal(bench.pool.retiring('app'), 1, 'the log-in of the second one begins later');
  const old = bench.connector.logins[0]?.ok();
  await bench.settle();
  assert.deepEqual([old?.closed, first.isWaiting, second.isWaiting], [true, true, true]);
  assert.equal(bench.pool.retiring('app'), 0);
  await bench.allIn();
  assert.deepEqual([first.isWaiting, second.isWaiting], [false, false]);
  for (const asker of [first, second])
    assert.equal(asker.backend !== null && bench.pool.isRetired(asker.backend), false);
});

test('new bounds hold at once: who waits is served when they are raised, and what is above is closed when it is free', async () => {
  const bench = new PoolBench({ size: 1 });
  const holder = await bench.open();
  const waiting = bench.ask();
  await bench.settle();
  bench.pool.limits = { ...bench.pool.limits, size: 2 };
  await bench.allIn();
  assert.ok(waiting.backend !== null);
  bench.pool.limits = { ...bench.pool.limits, size: 1 };
  await bench.giveBack(holder);
  await bench.giveBack(waiting);
  assert.equal(bench.live, 1);
});

test('a shorter wait_timeout holds for those who wait already, and so does a reserve', async () => {
  const bench = new PoolBench({ size: 1 });
  await bench.open();
  const [first, second] = [bench.ask(), bench.ask()];
  await bench.advance(1_000);
  bench.pool.limits = { ...bench.pool.limits, waitTimeoutMs: 3_000, reserveSize: 1, reserveTimeoutMs: 2_000 };
  await bench.advance(1_000);
  await bench.allIn();
  assert.ok(first.backend !== null && second.isWaiting);
  await bench.advance(1_000);
  assert.equal(second.code, 'too_many_backends');
});

test('after the end of the pool nobody is served, and nothing stays open', async () => {
  const bench = new PoolBench();
  const [held, idle] = [await bench.open(), await bench.open()];
  await bench.giveBack(idle);
  const late = bench.ask({ user: 'late' });
  await bench.settle();
  await bench.pool.close();
  await bench.settle();
  const refused = bench.ask();
  await bench.settle();
  assert.equal(refused.code, 'shutting_down');
  await bench.giveBack(held);
  assert.equal(bench.live, 0);
  assert.ok(late.backend === null);
  assert.equal(bench.clock.pendingTimers, 0);
});
