import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StopMode } from '../../src/cli/demo/postgres/postmaster.js';
import { waitFor } from '../support/processes.js';
import { RawError } from '../support/raw-client.js';
import { witnessStatements } from '../support/witness.js';
import type { Witness } from '../support/witness.js';
import { Court, delayReplay } from './consistency-lab.js';
import { TIMEOUT_MS } from './core-lab.js';
import { caughtUp, splitCluster } from './split-lab.js';

// In both pool modes.

const WITNESSES = 4;
const ROUNDS = 40;
const PRIMARY = 'node1';
const address = '127.0.0.1:0';
/** Longer than any step of a test: what a standby gets with this delay it does not show. */
const NEVER_MS = 600_000;

const cluster = splitCluster(witnessStatements, { standbys: 3, settings: { wal_writer_delay: '10ms' } });

/** Writes, and looks at it at once and once more. */
async function testify(witness: Witness, rounds = ROUNDS): Promise<void> {
  for (let round = 0; round < rounds; round += 1) {
    await witness.write();
    await witness.read();
    await witness.read();
  }
}

/** A transaction on a standby is lost with it; nothing else may be. */
async function forgive(witness: Witness, error: unknown): Promise<void> {
  if (!(error instanceof RawError) || error.fields.code !== '40001' || !witness.wasInTransaction) throw error;
  await witness.rollBack();
}

for (const [what, stopped] of [
  ['goes on everywhere', []],
  ['stands still on one standby', [2]],
  ['stands still on every standby', [2, 3, 4]],
] as const) {
  test(`while replay ${what}, sessions see what they have written, and never less than before`, async (t) => {
    const court = await Court.open(t, cluster());
    for (const number of stopped) cluster().node(number).pauseReplay();
    const witnesses = await court.witnesses(WITNESSES);
    await court.hear(witnesses, (witness) => testify(witness));
    if (stopped.length < 3) {
      // They come back to the standbys that go on, as soon as they have not written for a while.
      await Promise.all(witnesses.map((witness) => court.untilOnStandby(witness)));
    }
    const tally = await court.hear(witnesses, (witness) => testify(witness));
    t.diagnostic(`${tally.reads} reads: ${JSON.stringify([...tally.nodes])}`);
    assert.deepEqual(tally.wrong, []);
    assert.equal(tally.writes, 2 * WITNESSES * ROUNDS);
    for (const number of stopped) assert.equal(tally.nodes.get(`node${number}`), undefined, 'it has nothing of theirs');
    if (stopped.length === 3) assert.equal(tally.elsewhereThan(PRIMARY), 0);
  });
}

test('while standbys are slow by different times, sessions go from one to the other and never back in time', async (t) => {
  const court = await Court.open(t, cluster());
  for (const number of [2, 3]) await delayReplay(cluster().node(number), 30 * number);
  const witnesses = await court.witnesses(WITNESSES);
  const over = new AbortController();
  const testifying = court.hear(witnesses, async (witness) => {
    for (let round = 0; !over.signal.aborted; round += 1) {
      await caughtUp(court.proxy);
      for (let reads = 0; reads < 5; reads += 1) await witness.read();
      if (round % 3 === 0) await witness.write();
    }
  });
  // One standby is left to them at a time: another one each time.
  for (let round = 0; round < ROUNDS / 2; round += 1) {
    const left = cluster().standbys[round % 3];
    assert.ok(left !== undefined);
    const releases = cluster()
      .standbys.filter((node) => node !== left)
      .map((node) => court.drain(node));
    const counts = witnesses.map(({ tally }) => tally.nodes.get(left.name) ?? 0);
    const haveCome = (): boolean =>
      witnesses.every(({ tally }, index) => (tally.nodes.get(left.name) ?? 0) > (counts[index] ?? 0));
    await waitFor(haveCome, { timeoutMs: TIMEOUT_MS, what: `reads of all sessions on ${left.name}` });
    for (const release of releases) release();
  }
  over.abort();
  const tally = await testifying;
  t.diagnostic(`${tally.reads} reads: ${JSON.stringify([...tally.nodes])}`);
  assert.deepEqual(tally.wrong, []);
});

test('with consistency eventual a session misses its own write where replay stands still, which shows that the others could', async (t) => {
  const court = await Court.open(t, cluster());
  const witness = await court.witness('eventual');
  await caughtUp(court.proxy);
  for (const node of cluster().standbys) node.pauseReplay();
  await testify(witness, 5);
  const { tally } = witness;
  assert.ok(tally.stale > 0, `${tally.reads} reads, none of them stale`);
  assert.equal(tally.nodes.get(PRIMARY), undefined);
  // Until it asks for more, from its next statement on.
  const seen = tally.stale;
  await witness.client.rows(`set switchyard.consistency = 'session'`);
  await testify(witness, 5);
  assert.equal(tally.stale, seen);
});

test('with consistency database a session sees at once what another one has written in the same database', async (t) => {
  const court = await Court.open(t, cluster(), {
    listeners: [
      { name: 'split', address, route: 'split' },
      { name: 'database', address, route: 'split', consistency: 'database' },
      { name: 'primary', address, route: 'primary' },
    ],
  });
  const writer = await court.proxy.login('database');
  const [together, alone] = [await court.proxy.login('database'), await court.proxy.login('split')];
  await writer.rows('create table shared(n int)');
  t.after(async () => cluster().sql('drop table shared', { database: 'app' }));
  await writer.rows('insert into shared values (0)');
  const look = 'select n, witness_node() from shared';
  const isThere = async (): Promise<boolean> => (await alone.rows(look))[0]?.[1] !== PRIMARY;
  await caughtUp(court.proxy);
  await waitFor(isThere, { timeoutMs: TIMEOUT_MS, what: 'a read on a standby' });
  for (const node of cluster().standbys) node.pauseReplay();
  let behind = 0;
  for (let n = 1; n <= 20; n += 1) {
    await writer.rows(`update shared set n = ${n}`);
    assert.deepEqual(await together.rows(look), [[String(n), PRIMARY]]);
    behind += (await alone.rows(look))[0]?.[0] === String(n) ? 0 : 1;
  }
  assert.equal(behind, 20, 'a session of its own consistency does not see it there');
});

for (const level of ['off', 'remote_apply']) {
  test(`the same holds with synchronous_commit = ${level}`, async (t) => {
    const court = await Court.open(t, cluster());
    await delayReplay(cluster().node(3), NEVER_MS);
    const witnesses = await court.witnesses(WITNESSES);
    for (const { client } of witnesses) await client.rows(`set synchronous_commit = ${level}`);
    const tally = await court.hear(witnesses, async (witness) => {
      for (let turn = 0; turn < 5; turn += 1) {
        await testify(witness, ROUNDS / 5);
        await court.untilOnStandby(witness);
      }
    });
    assert.deepEqual(tally.wrong, []);
    assert.ok(tally.elsewhereThan(PRIMARY) >= 5 * WITNESSES);
    assert.equal(tally.nodes.get('node3'), undefined);
  });
}

for (const mode of ['fast', 'immediate'] satisfies readonly StopMode[]) {
  test(`a standby that is restarted (${mode}) and shows less then is not read from before it has caught up`, async (t) => {
    // What it lacks then is the fence's to notice, and nothing else's: it streams only when it has replayed what it has.
    const routing = { max_lag: '10m', max_lag_bytes: '1GB', require_streaming: false };
    const court = await Court.open(t, cluster(), { routing });
    const others = [cluster().node(3), cluster().node(4)];
    const releases = others.map((node) => court.drain(node));
    t.after(async () => releases.forEach((release) => release()));
    const standby = cluster().node(2);
    const witnesses = await court.witnesses(WITNESSES);
    await court.hear(witnesses, async (witness) => {
      await testify(witness, 5);
      await court.until(witness, ({ node }) => node === standby.name, `a read on ${standby.name}`);
    });
    const over = new AbortController();
    const reading = court.hear(witnesses, async (witness) => {
      while (!over.signal.aborted) await witness.read().catch((error: unknown) => forgive(witness, error));
    });
    reading.catch((e) => {
      console.log('READING', e);
    });
    await standby.stop(mode);
    // It comes back with what it has on disk, and shows no commit after that.
    standby.configure({ settings: { recovery_min_apply_delay: `${NEVER_MS}ms` } });
    await standby.start();
    await court.untilHealth(standby, 'healthy');
    const counts = (): number => witnesses.reduce((sum, { tally }) => sum + (tally.nodes.get(standby.name) ?? 0), 0);
    const before = counts();
    const reads = witnesses[0]?.tally.reads ?? 0;
    await waitFor(() => (witnesses[0]?.tally.reads ?? 0) > reads + 200, { timeoutMs: TIMEOUT_MS, what: 'more reads' });
    assert.equal(counts(), before, 'nobody has read there');
    await delayReplay(standby, 0);
    await waitFor(() => counts() > before, { timeoutMs: TIMEOUT_MS, what: 'a read on the standby that has caught up' });
    over.abort();
    assert.deepEqual((await reading).wrong, []);
  });
}
