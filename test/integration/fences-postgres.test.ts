import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openMonitor } from '../../src/backend/open-monitor.js';
import { ClusterWatch } from '../../src/cluster/cluster-watch.js';
import { ClusterFreshness } from '../../src/cluster/freshness.js';
import type { PostgresServer } from '../../src/cli/demo/postgres/server.js';
import { openProvider } from '../../src/dcs/open-provider.js';
import { silentLogger } from '../../src/log.js';
import { nodeName } from '../../src/util/brand.js';
import { systemClock } from '../../src/util/clock.js';
import { PostgresCluster } from '../support/postgres-cluster.js';
import type { Ending, PostgresClusterOptions } from '../support/postgres-cluster.js';
import { sql } from '../support/postgres-server.js';
import { waitFor } from '../support/processes.js';
import { RawClient } from '../support/raw-client.js';
import { roles } from '../support/roles.js';
import { TIMEOUT_MS, readCoreConfig } from './core-lab.js';

/** Rows written and looked for, half of them with asynchronous commits. */
const ROWS = 400;
/** What commits asynchronously is flushed soon. */
const settings = { wal_writer_delay: '10ms' };

/** What is known of a real cluster, without sessions. */
class Lookout {
  readonly cluster: PostgresCluster;
  readonly watch: ClusterWatch;
  readonly freshness: ClusterFreshness;
  readonly #clients: RawClient[] = [];

  private constructor(cluster: PostgresCluster, intervalMs: number) {
    const monitor = { interval: `${intervalMs}ms`, promotion_interval: '5ms' };
    const config = readCoreConfig(cluster.nodes, { monitor });
    this.cluster = cluster;
    this.watch = new ClusterWatch(
      config.cluster,
      config.routing,
      openProvider(config.cluster, systemClock, silentLogger),
      ({ host, port }, timeoutMs) =>
        openMonitor(config, { host, port, database: config.cluster.monitor.database }, timeoutMs, systemClock),
      systemClock,
      silentLogger,
    );
    this.freshness = new ClusterFreshness(this.watch.store, this.watch.ticks, this.watch.prober);
  }

  static async start(t: Ending, options: PostgresClusterOptions = {}, intervalMs = 50): Promise<Lookout> {
    const appStatements = ['create table written(a int primary key, b text)', 'alter table written owner to app'];
    const cluster = await PostgresCluster.start(t, { settings, appStatements, ...options });
    const lookout = new Lookout(cluster, intervalMs);
    t.after(async () => {
      for (const client of lookout.#clients) client.destroy();
      await lookout.watch.close();
    });
    lookout.watch.start();
    await waitFor(() => lookout.watch.ticks.newest !== null, { timeoutMs: TIMEOUT_MS, what: 'a first tick' });
    return lookout;
  }

  async login(node: PostgresServer, user: { readonly user: string; readonly password: string } = roles.app) {
    const database = user === roles.app ? {} : { database: 'postgres' };
    const client = await RawClient.login({ port: node.port, timeoutMs: TIMEOUT_MS, ...user, ...database });
    this.#clients.push(client);
    return client;
  }

  isCaughtUp(node: PostgresServer, fence: number): boolean {
    return (this.freshness.caughtUpTick(nodeName(node.name)) ?? 0) >= fence;
  }

  /** Resolves in the very call that tells that the standby is caught up; samples come quickly meanwhile. */
  async whenCaughtUp(node: PostgresServer, fence: number): Promise<void> {
    if (this.isCaughtUp(node, fence)) return;
    await new Promise<void>((resolve, reject) => {
      const stop = this.freshness.onProgress(() => {
        if (this.isCaughtUp(node, fence)) end(resolve);
        else this.freshness.hurry();
      });
      const timer = setTimeout(
        () => end(() => reject(new Error(`${node.name} was not caught up to ${fence} in ${TIMEOUT_MS} ms`))),
        TIMEOUT_MS,
      );
      const end = (then: () => void): void => {
        clearTimeout(timer);
        stop();
        then();
      };
      this.freshness.hurry();
    });
  }

  /** Waits until so many ticks more have been recorded. */
  async ticks(count: number): Promise<void> {
    const wanted = this.watch.ticks.lastRecorded + count;
    await waitFor(
      () => {
        this.freshness.hurry();
        return this.watch.ticks.lastRecorded >= wanted;
      },
      { timeoutMs: TIMEOUT_MS, what: `${count} more ticks` },
    );
  }
}

/** Waits until nobody asks for samples any more. */
async function untilCalm({ watch }: Lookout): Promise<void> {
  let before = 0;
  const isCalm = (): boolean => {
    const isSame = watch.ticks.fence === before;
    before = watch.ticks.fence;
    return isSame;
  };
  await waitFor(isCalm, { timeoutMs: TIMEOUT_MS, what: 'the samples to end', pollMs: 100 });
}

async function has(reader: RawClient, row: number): Promise<boolean> {
  return (await reader.rows(`select a from written where a = ${row}`)).length === 1;
}

test('a standby shows a row as soon as it is said to be caught up to its fence, and always is in the end', async (t) => {
  const lookout = await Lookout.start(t);
  const { cluster, freshness } = lookout;
  const writer = await lookout.login(cluster.primary);
  const noise = await lookout.login(cluster.primary);
  const readers = await Promise.all(cluster.standbys.map((node) => lookout.login(node)));
  let seen = 0;
  for (let row = 0; row < ROWS; row += 1) {
    // Records of every length, so that they end everywhere in a page.
    const length = (row * 977) % 9000;
    const noisy = noise.rows(`select pg_logical_emit_message(false, 'noise', repeat('x', ${length}))`);
    await writer.rows(`set synchronous_commit = ${row % 2 === 0 ? 'on' : 'off'}`);
    await writer.rows(`insert into written values (${row}, repeat('y', ${length % 2000}))`);
    const fence = freshness.fence();
    const index = row % 2;
    const node = cluster.standbys[index];
    const reader = readers[index];
    assert.ok(node !== undefined && reader !== undefined);
    await lookout.whenCaughtUp(node, fence);
    seen += (await has(reader, row)) ? 1 : 0;
    const lsn = freshness.lsnOf(fence);
    assert.ok(lsn !== null && (freshness.replayed(nodeName(node.name)) ?? -1n) >= lsn);
    await noisy;
  }
  assert.equal(seen, ROWS);
});

test('a position is passed by replay only when the row is there', async (t) => {
  const lookout = await Lookout.start(t);
  const { cluster, freshness } = lookout;
  const [standby] = cluster.standbys;
  assert.ok(standby !== undefined);
  const writer = await lookout.login(cluster.primary);
  const reader = await lookout.login(standby);
  for (let row = 0; row < ROWS / 4; row += 1) {
    await writer.rows(`set synchronous_commit = ${row % 2 === 0 ? 'on' : 'off'}`);
    await writer.rows(`insert into written values (${row}, repeat('y', ${(row * 977) % 9000}))`);
    const fence = freshness.fence();
    await lookout.ticks(1);
    const lsn = await waitFor(() => freshness.lsnOf(fence), { timeoutMs: TIMEOUT_MS, what: 'the position' });
    await waitFor(
      () => {
        freshness.hurry();
        return (freshness.replayed(nodeName(standby.name)) ?? -1n) >= lsn;
      },
      { timeoutMs: TIMEOUT_MS, what: 'replay to pass it', pollMs: 1 },
    );
    assert.equal(await has(reader, row), true);
  }
});

test('on an idle primary a standby is caught up after whatever was written last', async (t) => {
  const lookout = await Lookout.start(t, { standbys: 1 });
  const { cluster, freshness } = lookout;
  const [standby] = cluster.standbys;
  assert.ok(standby !== undefined);
  const writer = await lookout.login(cluster.primary, roles.superuser);
  const behindFence = async (what: string): Promise<void> => {
    await lookout.whenCaughtUp(standby, freshness.fence()).catch((error: unknown) => {
      throw new Error(`after ${what}`, { cause: error });
    });
  };
  const inPage = async (node: PostgresServer, lsn: string): Promise<number> =>
    Number((await sql(node, `select mod(${lsn}() - '0/0', 8192)::int as at`))[0]?.['at']);

  await writer.rows('create table of_mine(a int)');
  for (let round = 0; round < 5; round += 1) {
    await writer.rows(`begin; insert into of_mine values (${round}); rollback`);
    await behindFence('a transaction that was rolled back');
    await writer.rows('set synchronous_commit = off');
    await writer.rows(`insert into of_mine values (${round})`);
    await writer.rows('set synchronous_commit = on');
    await behindFence('an asynchronous commit');
    await writer.rows('select pg_switch_wal()');
    await behindFence('a change of segment');
    assert.equal(
      await inPage(cluster.primary, 'pg_current_wal_insert_lsn'),
      40,
      'the next record is behind the header',
    );
    assert.equal(await inPage(standby, 'pg_last_wal_replay_lsn'), 0, 'and replay stands before it');
  }
  let hits = 0;
  for (let round = 0; round < 60 && hits < 5; round += 1) {
    // Of 24 bytes of header, 5 for the length, 24 of its own and the prefix with its end: 'p' makes 2.
    const at = await inPage(cluster.primary, 'pg_current_wal_insert_lsn');
    const length = 8192 - at - 24 - 5 - 24 - 2;
    if (length < 300) {
      await writer.rows(`select pg_logical_emit_message(true, 'p', repeat('x', 900))`);
      continue;
    }
    await writer.rows(`select pg_logical_emit_message(false, 'p', repeat('x', ${length}))`);
    const isAtEnd = (await inPage(cluster.primary, 'pg_current_wal_insert_lsn')) === 24;
    await behindFence('a record');
    hits += isAtEnd && (await inPage(standby, 'pg_last_wal_replay_lsn')) === 0 ? 1 : 0;
  }
  assert.ok(hits >= 5, `${hits} records ended with their page`);
});

test('a primary on which nothing is committed for long still tells how far its standbys are', async (t) => {
  const lookout = await Lookout.start(t, { standbys: 1, settings: { autovacuum: false } });
  const { cluster, watch } = lookout;
  // What is written without a commit is flushed page by page, so that what is flushed ends in the middle of a record.
  const writer = await lookout.login(cluster.primary, roles.superuser);
  const writing = writer.rows(`do $$ begin loop
    perform pg_logical_emit_message(false, 'p', repeat('x', 1500)), pg_sleep(0.001);
  end loop; end $$`);
  const ended = assert.rejects(writing);
  const first = watch.ticks.lastRecorded;
  await waitFor(() => (watch.ticks.newest?.number ?? 0) > first + 20, { timeoutMs: TIMEOUT_MS, what: '20 ticks' });
  const { health, lagMs } = watch.store.view.nodes.get(nodeName('node2')) ?? {};
  assert.deepEqual([health, typeof lagMs], ['healthy', 'number']);
  writer.destroy();
  await ended;
});

test('a standby whose replay stands still is never caught up to what comes then, and is as soon as it goes on', async (t) => {
  const lookout = await Lookout.start(t);
  const { cluster, freshness } = lookout;
  const [stopped, other] = cluster.standbys;
  assert.ok(stopped !== undefined && other !== undefined);
  const writer = await lookout.login(cluster.primary);
  const reader = await lookout.login(stopped);
  await writer.rows(`insert into written values (1, 'before')`);
  const before = freshness.fence();
  await lookout.whenCaughtUp(stopped, before);
  stopped.pauseReplay();
  await writer.rows(`insert into written values (2, 'behind')`);
  const fence = freshness.fence();
  let early = 0;
  const stop = freshness.onProgress(() => {
    if (lookout.isCaughtUp(stopped, fence)) early += 1;
  });
  await lookout.whenCaughtUp(other, fence);
  await lookout.ticks(50);
  assert.equal(early, 0);
  assert.equal(lookout.isCaughtUp(stopped, before), true, 'what it has it keeps');
  assert.equal(await has(reader, 2), false);
  stop();
  stopped.resumeReplay();
  await lookout.whenCaughtUp(stopped, fence);
  assert.equal(await has(reader, 2), true);
});

test('a standby that is started again counts anew from the moment in which it dies, and from what it shows then', async (t) => {
  // No sample comes by itself while this runs.
  const lookout = await Lookout.start(t, { standbys: 1 }, 60_000);
  const { cluster, freshness, watch } = lookout;
  const [standby] = cluster.standbys;
  assert.ok(standby !== undefined);
  const name = nodeName(standby.name);
  const writer = await lookout.login(cluster.primary);
  await writer.rows(`insert into written values (1, 'before')`);
  const fence = freshness.fence();
  await lookout.whenCaughtUp(standby, fence);
  await untilCalm(lookout);
  await standby.kill();
  await waitFor(() => freshness.caughtUpTick(name) === null, { timeoutMs: TIMEOUT_MS, what: 'its end to be noticed' });
  assert.ok((watch.store.caughtUpTick(name) ?? 0) >= fence, 'by the connection, not by a sample');
  // It comes back with what it had on disk, and replays no commit any more.
  standby.configure({ settings: { recovery_min_apply_delay: '1h' } });
  await standby.start();
  await waitFor(
    () => {
      freshness.hurry();
      return freshness.replayed(name) !== null;
    },
    { timeoutMs: TIMEOUT_MS, what: 'a sample of the new start' },
  );
  const reader = await lookout.login(standby);
  assert.equal(await has(reader, 1), false, 'it shows less than before');
  assert.equal(lookout.isCaughtUp(standby, fence), false);
  await reader.end();
  await standby.stop();
  standby.configure({ settings: { recovery_min_apply_delay: '0' } });
  await standby.start();
  await lookout.whenCaughtUp(standby, fence);
  assert.equal(await has(await lookout.login(standby), 1), true);
});

test('fences go on through promotions', async (t) => {
  const lookout = await Lookout.start(t);
  const { cluster, freshness, watch } = lookout;
  let row = 0;
  for (const next of [cluster.node(2), cluster.node(1), cluster.node(3)]) {
    let writer = await lookout.login(cluster.primary);
    await writer.rows(`insert into written values (${(row += 1)}, 'before')`);
    const fence = freshness.fence();
    const before = row;
    await cluster.switchover(next);
    await waitFor(() => watch.store.view.primary === next.name, { timeoutMs: TIMEOUT_MS, what: 'the new primary' });
    writer = await lookout.login(next);
    for (const standby of cluster.standbys) {
      await lookout.whenCaughtUp(standby, fence);
      const reader = await lookout.login(standby);
      assert.equal(await has(reader, before), true);
      for (let count = 0; count < 20; count += 1) {
        await writer.rows(`set synchronous_commit = ${count % 2 === 0 ? 'on' : 'off'}`);
        await writer.rows(`insert into written values (${(row += 1)}, 'after')`);
        await lookout.whenCaughtUp(standby, freshness.fence());
        assert.equal(await has(reader, row), true);
      }
    }
  }
});
