import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DcsState } from '../../../src/dcs/claims.js';
import { RETRY_MS, STALE_MS, WATCHDOG_MS, bench } from './etcd3-bench.js';
import { FakeEtcd, type FakeMember } from './fake-etcd.js';

test('an answer from the past is not believed', async (t) => {
  const { provider, etcd, members, pass } = await bench(t, 2);
  for (let round = 0; round < 5; round += 1) etcd.put('leader', `node${round}`);
  const { leader } = provider.claims;
  const [first] = members as [FakeMember];
  const past = new FakeEtcd();
  past.put('leader', 'ghost');
  // The first member answers from an old copy, at a lower revision of the same cluster.
  first.read = () => Promise.resolve({ header: past.header, keys: past.keys });
  await pass(WATCHDOG_MS + 20);
  assert.equal(provider.claims.leader, leader);
  assert.equal(provider.claims.state, DcsState.Live);
  assert.deepEqual(provider.claims.problems, [
    'etcd 10.0.0.1:2379: not believed: it is at revision 2, but 6 has been seen',
  ]);
});

test('a lower raft term is not believed, from a reading or from a watch', async (t) => {
  const { provider, etcd, first, pass } = await bench(t);
  etcd.raftTerm = 5n;
  etcd.put('leader', 'node1');
  const [watch] = first.watches;
  watch?.tell([{ kind: 'delete', revision: 99n, suffix: 'leader' }], { ...etcd.header, raftTerm: 4n, revision: 99n });
  assert.equal(provider.claims.leader?.name, 'node1');
  assert.equal(first.watches.size, 0, 'the watch is ended');
  etcd.raftTerm = 4n;
  await pass(RETRY_MS);
  assert.deepEqual(provider.claims.problems, [
    'etcd 10.0.0.1:2379: not believed: it is in raft term 4, but 5 has been seen',
  ]);
  etcd.raftTerm = 6n;
  await pass(RETRY_MS);
  assert.deepEqual(provider.claims.problems, []);
});

test('another cluster in the list of hosts is never believed while the right one answers', async (t) => {
  const { provider, etcd, members, pass } = await bench(t, 2);
  etcd.put('leader', 'node1');
  const [first, second] = members as [FakeMember, FakeMember];
  const foreign = new FakeEtcd();
  foreign.clusterId = 'cluster-2';
  for (let round = 0; round < 50; round += 1) foreign.put('leader', 'ghost');
  second.read = () => Promise.resolve({ header: foreign.header, keys: foreign.keys });
  for (let round = 0; round < 20; round += 1) {
    for (const watch of first.watches) watch.break();
    await pass(RETRY_MS * 2);
    assert.equal(provider.claims.leader?.name, 'node1');
    assert.equal(provider.claims.state, DcsState.Live);
  }
  assert.deepEqual(provider.claims.problems, [
    'etcd 10.0.0.2:2379: not believed: it belongs to etcd cluster cluster-2 instead of cluster-1',
  ]);
});

for (const [what, clusterId] of [
  ['with another id', 'cluster-2'],
  ['with the same id', 'cluster-1'],
] as const) {
  test(`a rebuilt etcd ${what} is refused up to the stale limit, then taken, and terms go on growing`, async (t) => {
    const { provider, etcd, first, pass, log } = await bench(t);
    for (let round = 0; round < 9; round += 1) {
      etcd.put('leader', 'node1');
      etcd.delete('leader');
    }
    etcd.put('leader', 'node1');
    const old = provider.claims;
    for (const watch of first.watches) watch.break();
    etcd.rebuild(clusterId);
    etcd.put('leader', 'node2');
    await pass(STALE_MS - 100);
    assert.equal(provider.claims.leader, old.leader);
    assert.equal(provider.claims.problems.length, 1);
    assert.match(
      provider.claims.problems[0] ?? '',
      /^etcd 10\.0\.0\.1:2379: not believed: it (belongs to|is at revision)/,
    );
    assert.ok(!log.some((line) => line.startsWith('error')));
    await pass(RETRY_MS * 2 + 200);
    assert.equal(provider.claims.leader?.name, 'node2');
    assert.equal(provider.claims.state, DcsState.Live);
    assert.ok((provider.claims.leader?.term ?? 0n) > (old.leader?.term ?? 0n));
    assert.ok(provider.claims.revision > old.revision);
    assert.deepEqual(provider.claims.problems, []);
    assert.ok(log.includes('error: the etcd cluster was rebuilt: all that was known from the old one is dropped'));
    etcd.put('leader', 'node3');
    assert.equal(provider.claims.leader?.name, 'node3');
  });
}

test('a rebuilt etcd is taken only after the old one was gone for the whole limit', async (t) => {
  const { provider, etcd, first, pass } = await bench(t);
  etcd.put('leader', 'node1');
  for (let round = 0; round < 5; round += 1) {
    etcd.clusterId = 'cluster-2';
    await pass(STALE_MS - 4 * RETRY_MS);
    assert.equal(provider.claims.problems.length, 1);
    etcd.clusterId = 'cluster-1';
    await pass(RETRY_MS * 2);
    assert.equal(provider.claims.problems.length, 0);
  }
  assert.equal(provider.claims.leader?.name, 'node1');
  assert.ok(first.reads > 10);
});
