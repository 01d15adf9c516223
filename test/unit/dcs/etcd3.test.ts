import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DcsState } from '../../../src/dcs/claims.js';
import { Etcd3Claims } from '../../../src/dcs/etcd3.js';
import { silentLogger } from '../../../src/log.js';
import { FakeClock } from '../../support/fake-clock.js';
import { OPTIONS, REQUEST_MS, RETRY_MS, STALE_MS, WATCHDOG_MS, bench } from './etcd3-bench.js';
import type { FakeMember } from './fake-etcd.js';
import { PATRONI_VERSIONS, readRecording } from './recorded.js';

const MEMBER = '{"conn_url":"postgres://10.0.0.9/"}';

test('before the first answer nothing is known, and that is said', async (t) => {
  const { provider, first } = await bench(t, 1, { start: false });
  assert.equal(provider.claims.state, DcsState.Unknown);
  assert.equal(provider.claims.confirmedAtMs, null);
  assert.equal(provider.claims.trouble, 'etcd has not answered yet: 10.0.0.1:2379');
  assert.equal(first.reads, 0);
  assert.ok(Object.isFrozen(provider.claims));
});

test('the first answer makes the claims live', async (t) => {
  const { provider, etcd, changes, clock } = await bench(t);
  assert.equal(provider.claims.state, DcsState.Live);
  assert.equal(provider.claims.trouble, null);
  assert.equal(provider.claims.revision, etcd.revision);
  assert.equal(provider.claims.confirmedAtMs, clock.nowMs());
  assert.equal(changes(), 1);
});

test('events come through the watch, one picture for one revision', async (t) => {
  const { provider, etcd, changes, first } = await bench(t);
  etcd.transaction({ leader: 'node1', 'members/node1': MEMBER });
  assert.equal(changes(), 2);
  assert.equal(provider.claims.leader?.name, 'node1');
  etcd.delete('leader', 'members/node1');
  assert.equal(changes(), 3);
  assert.equal(provider.claims.leader, null);
  assert.equal(provider.claims.members.size, 0);
  assert.equal(first.reads, 1);
});

for (const version of PATRONI_VERSIONS) {
  test(`Patroni ${version}: what a real cluster wrote leads to the same claims by events and by reading`, async (t) => {
    const recording = readRecording(version, 'crash');
    const { provider, etcd, pass } = await bench(t);
    etcd.transaction(Object.fromEntries(recording.initial.map((key) => [key.suffix, key.value])));
    for (const step of recording.steps) {
      etcd.transaction(
        Object.fromEntries(
          step.map((event) => (event.kind === 'put' ? [event.key.suffix, event.key.value] : [event.suffix, null])),
        ),
      );
    }
    const other = new Etcd3Claims({
      ...OPTIONS,
      hosts: [{ host: 'x', port: 1 }],
      clock: new FakeClock(),
      logger: silentLogger,
      openEndpoint: () => etcd.member('other'),
    });
    t.after(() => other.close());
    other.start(() => {});
    await pass(0);
    assert.equal(provider.claims.leader?.name, 'node3');
    assert.deepEqual({ ...other.claims, confirmedAtMs: 0 }, { ...provider.claims, confirmedAtMs: 0 });
  });
}

test('a confirmation alone moves the time but is no change', async (t) => {
  const { provider, changes, pass, clock, etcd } = await bench(t);
  const before = provider.claims;
  await pass(WATCHDOG_MS * 3);
  assert.equal(changes(), 1);
  assert.ok((provider.claims.confirmedAtMs ?? 0) > (before.confirmedAtMs ?? 0));
  assert.ok(clock.nowMs() - (provider.claims.confirmedAtMs ?? 0) <= WATCHDOG_MS);
  // Neither is a revision that other keys of a shared etcd have used up.
  etcd.revision += 100n;
  await pass(WATCHDOG_MS);
  assert.equal(provider.claims.revision, etcd.revision);
  assert.equal(changes(), 1);
});

test('an event changes the picture, and is no confirmation of the rest of it', async (t) => {
  const { provider, etcd, pass } = await bench(t);
  await pass(WATCHDOG_MS - 20);
  const { confirmedAtMs } = provider.claims;
  etcd.put('leader', 'node1');
  assert.equal(provider.claims.leader?.name, 'node1');
  assert.equal(provider.claims.confirmedAtMs, confirmedAtMs);
});

test('a read that is asked for soon comes soon, and once however often it was asked for', async (t) => {
  const { provider, first, clock, pass } = await bench(t);
  await pass(WATCHDOG_MS / 2);
  const { reads } = first;
  for (let i = 0; i < 5; i += 1) provider.confirmSoon();
  const askedAtMs = clock.nowMs();
  await pass(20);
  assert.equal(first.reads, reads + 1);
  assert.ok((provider.claims.confirmedAtMs ?? 0) >= askedAtMs);
  await provider.close();
  provider.confirmSoon();
  await pass(WATCHDOG_MS * 2);
  assert.equal(first.reads, reads + 1);
});

test('without an answer the claims become stale at the limit, keep what was known, and are live again with the next answer', async (t) => {
  const { provider, etcd, first, changes, pass } = await bench(t);
  etcd.transaction({ leader: 'node1', 'members/node1': MEMBER });
  const { leader, members } = provider.claims;
  const confirmedAtMs = provider.claims.confirmedAtMs ?? 0;
  first.manner = 'refuses';
  await pass(STALE_MS - 20);
  assert.equal(provider.claims.state, DcsState.Live);
  assert.equal(provider.claims.trouble, null);
  await pass(40);
  assert.equal(provider.claims.state, DcsState.Stale);
  assert.equal(provider.claims.trouble, 'etcd cannot be read: 10.0.0.1:2379 (connection refused)');
  assert.equal(provider.claims.leader, leader);
  assert.equal(provider.claims.members, members);
  assert.equal(provider.claims.confirmedAtMs, confirmedAtMs);
  assert.equal(changes(), 3);
  await pass(60_000);
  assert.equal(changes(), 3, 'the same trouble is no change');
  first.manner = 'answers';
  await pass(RETRY_MS);
  assert.equal(provider.claims.state, DcsState.Live);
  assert.equal(provider.claims.trouble, null);
  assert.equal(changes(), 4);
});

test('a silent member costs one request time-out, then the next one is asked, and the watch moves along', async (t) => {
  const { provider, etcd, members, pass } = await bench(t, 3);
  const [first, second, third] = members as [FakeMember, FakeMember, FakeMember];
  first.manner = 'is silent';
  for (const watch of first.watches) watch.isMute = true;
  etcd.put('leader', 'node1');
  await pass(WATCHDOG_MS + REQUEST_MS + 20);
  assert.equal(provider.claims.leader?.name, 'node1');
  assert.equal(provider.claims.state, DcsState.Live);
  assert.deepEqual([first.watches.size, second.watches.size, third.watches.size], [0, 1, 0]);
  // And stays there.
  first.manner = 'answers';
  await pass(WATCHDOG_MS * 5);
  assert.equal(second.watches.size, 1);
  assert.equal(third.reads, 0);
});

test('with every member silent the attempts go on, and the trouble names them all', async (t) => {
  const { provider, members, pass } = await bench(t, 2, { start: false });
  for (const member of members) member.manner = 'is silent';
  provider.start(() => {});
  await pass(REQUEST_MS * 2 + 20);
  assert.equal(provider.claims.state, DcsState.Unknown);
  assert.equal(
    provider.claims.trouble,
    'etcd cannot be read: 10.0.0.1:2379 (no answer in time), 10.0.0.2:2379 (no answer in time)',
  );
  for (const member of members) member.manner = 'answers';
  await pass(RETRY_MS);
  assert.equal(provider.claims.state, DcsState.Live);
});

test('attempts are spaced by a back-off that ends at a second', async (t) => {
  const { first, pass } = await bench(t, 1, { random: () => 1 - Number.EPSILON });
  first.manner = 'refuses';
  await pass(WATCHDOG_MS);
  const { reads } = first;
  await pass(30_000);
  const attempts = first.reads - reads;
  assert.ok(attempts >= 29 && attempts <= 35, `${attempts} attempts in 30 s`);
});

test('a broken watch is followed by a reading and a new watch', async (t) => {
  const { provider, etcd, first, pass } = await bench(t);
  const [watch] = first.watches;
  watch?.break();
  etcd.put('leader', 'node1');
  await pass(RETRY_MS);
  assert.equal(provider.claims.leader?.name, 'node1');
  assert.equal(first.watches.size, 1);
  assert.equal(first.watchesBegun, 2);
  etcd.put('leader', 'node2');
  assert.equal(provider.claims.leader?.name, 'node2');
  assert.equal(provider.claims.state, DcsState.Live);
});

test('the loss of the watch alone never makes the claims anything but live', async (t) => {
  const { provider, first, pass, changes } = await bench(t);
  for (let round = 0; round < 20; round += 1) {
    for (const watch of first.watches) watch.break();
    await pass(100);
  }
  assert.equal(provider.claims.state, DcsState.Live);
  assert.equal(changes(), 1);
});

test('where no watch can be had, changes are seen by reading every second, and that is a problem', async (t) => {
  const { provider, etcd, first, pass } = await bench(t, 1, { start: false });
  first.watchManner = 'refuses';
  provider.start(() => {});
  await pass(5000);
  assert.deepEqual(provider.claims.problems, [
    'watch: etcd cancelled the watch: etcdserver: permission denied; changes are only seen by reading',
  ]);
  assert.equal(provider.claims.state, DcsState.Live);
  etcd.put('leader', 'node1');
  await pass(RETRY_MS);
  assert.equal(provider.claims.leader?.name, 'node1');
  const { reads } = first;
  await pass(20_000);
  assert.ok(first.reads - reads <= 45, `${first.reads - reads} reads in 20 s`);
  first.watchManner = 'answers';
  await pass(RETRY_MS);
  assert.deepEqual(provider.claims.problems, []);
});

test('a watch that is never created is given up at the time-out, and begun anew', async (t) => {
  const { provider, first, pass } = await bench(t, 1, { start: false });
  first.watchManner = 'is silent';
  provider.start(() => {});
  await pass(REQUEST_MS - 20);
  assert.equal(first.watchesBegun, 1);
  await pass(40 + RETRY_MS);
  assert.equal(first.watchesBegun, 2);
  assert.equal(first.watches.size, 1);
});

test('a mute watch is found out by the readings and begun anew', async (t) => {
  const { provider, etcd, first, pass, log } = await bench(t);
  const [mute] = first.watches;
  assert.ok(mute !== undefined);
  mute.isMute = true;
  etcd.put('leader', 'node1');
  await pass(WATCHDOG_MS + 20);
  assert.equal(provider.claims.leader?.name, 'node1', 'the reading is the net');
  await pass(WATCHDOG_MS);
  assert.equal(first.watchesBegun, 2);
  assert.ok(log.includes('warn: the watch has missed changes: it is begun anew'));
  etcd.put('leader', 'node2');
  assert.equal(provider.claims.leader?.name, 'node2');
  await pass(WATCHDOG_MS * 5);
  assert.equal(first.watchesBegun, 2);
});

test('a watch goes on telling while its member cannot be read, and is begun anew when it can', async (t) => {
  const { provider, etcd, first, pass } = await bench(t);
  first.manner = 'refuses';
  await pass(WATCHDOG_MS + 20);
  etcd.put('leader', 'node1');
  assert.equal(provider.claims.leader?.name, 'node1');
  assert.equal(first.watchesBegun, 1);
  first.manner = 'answers';
  await pass(RETRY_MS);
  assert.equal(first.watchesBegun, 2);
  assert.equal(first.watches.size, 1);
});

test('a watch that is only later than the reading is left alone', async (t) => {
  const { provider, etcd, first, pass, changes } = await bench(t);
  const [slow] = first.watches;
  assert.ok(slow !== undefined);
  slow.isMute = true;
  etcd.put('leader', 'node1');
  etcd.put('leader', 'node2');
  await pass(WATCHDOG_MS + 20);
  assert.equal(provider.claims.leader?.name, 'node2');
  const seen = changes();
  slow.isMute = false;
  slow.tell(etcd.since(2n));
  assert.equal(provider.claims.leader?.name, 'node2', 'old events must not turn back what was read');
  assert.equal(changes(), seen);
  await pass(WATCHDOG_MS * 5);
  assert.equal(first.watchesBegun, 1);
});

test('an answer that was overtaken by events confirms, but changes nothing', async (t) => {
  const { provider, etcd, first, pass, clock } = await bench(t);
  etcd.put('leader', 'node1');
  await pass(WATCHDOG_MS - 10);
  first.hold();
  await pass(20);
  assert.equal(first.reads, 2);
  etcd.put('leader', 'node2');
  first.release();
  await pass(10);
  assert.equal(provider.claims.leader?.name, 'node2');
  assert.equal(provider.claims.revision, etcd.revision);
  assert.ok(clock.nowMs() - (provider.claims.confirmedAtMs ?? 0) < 100);
  assert.deepEqual(provider.claims.problems, []);
});

test('close ends everything, at any moment, and nothing is called after it', async (t) => {
  for (const manner of ['answers', 'refuses', 'is silent'] as const) {
    const { provider, etcd, first, clock, changes, pass } = await bench(t, 1, { start: false });
    let called = 0;
    first.manner = manner;
    provider.start(() => (called += 1));
    await pass(manner === 'answers' ? 50 : 500);
    const before = called;
    const closing = provider.close();
    assert.equal(provider.close(), closing, 'closing twice is closing once');
    etcd.put('leader', 'node1');
    await closing;
    assert.equal(clock.pendingTimers, 0);
    assert.equal(first.watches.size, 0);
    assert.ok(first.closed);
    const { reads } = first;
    await pass(STALE_MS * 2);
    assert.equal(called, before);
    assert.equal(changes(), 0);
    assert.equal(first.reads, reads);
    provider.start(() => (called += 1));
    await pass(STALE_MS);
    assert.equal(first.reads, reads, 'closed is closed');
  }
});

test('may be closed from inside of onChange', async (t) => {
  const { provider, clock, first, pass } = await bench(t, 1, { start: false });
  let told = 0;
  provider.start(() => {
    told += 1;
    void provider.close();
  });
  await pass(WATCHDOG_MS);
  assert.equal(told, 1);
  assert.equal(clock.pendingTimers, 0);
  assert.equal(first.watches.size, 0);
});

test('a consumer that throws does not stop the watching', async (t) => {
  const { provider, etcd, pass, log } = await bench(t, 1, { start: false });
  provider.start(() => {
    throw new Error('consumer');
  });
  await pass(0);
  etcd.put('leader', 'node1');
  assert.equal(provider.claims.leader?.name, 'node1');
  await pass(WATCHDOG_MS * 2);
  assert.equal(provider.claims.state, DcsState.Live);
  assert.ok(log.some((line) => line.startsWith('error: a change of the claims')));
});

test('ten thousand breaks leave one watch, and no more timers than before', async (t) => {
  const { provider, first, clock, pass } = await bench(t);
  await pass(WATCHDOG_MS);
  const timers = clock.pendingTimers;
  for (let round = 0; round < 10_000; round += 1) {
    for (const watch of first.watches) watch.break();
    clock.advance(RETRY_MS);
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(first.watchesBegun, 10_001);
  assert.equal(first.watches.size, 1);
  assert.equal(clock.pendingTimers, timers);
  assert.equal(provider.claims.state, DcsState.Live);
});

test('refuses to be made without a host', () => {
  assert.throws(
    () => new Etcd3Claims({ ...OPTIONS, hosts: [], clock: new FakeClock(), logger: silentLogger }),
    TypeError,
  );
});
