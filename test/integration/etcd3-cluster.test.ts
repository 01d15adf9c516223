import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DcsState } from '../../src/dcs/claims.js';
import { GrpcEtcdEndpoint } from '../../src/dcs/etcd3-grpc.js';
import { startEtcdCluster } from '../support/etcd-server.js';
import { PREFIX, followEtcd } from '../support/follow-etcd.js';
import { Partitions } from '../support/partitions.js';
import { waitFor } from '../support/processes.js';

test('one of three members down: whichever it is, the claims stay live and the news come', async (t) => {
  const members = await startEtcdCluster(t, 3);
  const { until, pictures } = followEtcd(t, { hosts: members.map(({ address }) => address), staleAfterMs: 8000 });
  await until('the first answer', ({ state }) => state === DcsState.Live);
  for (const [index, member] of members.entries()) {
    const other = members[(index + 1) % members.length];
    await member.kill();
    await other?.healthy();
    await other?.put(`${PREFIX}leader`, `node${index}`);
    await until(`news without ${member.name}`, ({ leader }) => leader?.name === `node${index}`);
    await member.start();
  }
  assert.ok(pictures.every(({ state }) => state === DcsState.Live));
});

test('a frozen member is left for another one', async (t) => {
  const members = await startEtcdCluster(t, 3);
  const { until, pictures } = followEtcd(t, { hosts: members.map(({ address }) => address), staleAfterMs: 8000 });
  await until('the first answer', ({ state }) => state === DcsState.Live);
  for (const [index, member] of members.entries()) {
    const other = members[(index + 1) % members.length];
    member.freeze();
    await other?.healthy();
    await other?.put(`${PREFIX}leader`, `node${index}`);
    await until(`news while ${member.name} is frozen`, ({ leader }) => leader?.name === `node${index}`);
    member.thaw();
    await member.healthy();
  }
  assert.ok(pictures.every(({ state }) => state === DcsState.Live));
});

test('a member without a quorum is not believed to know anything: stale, and live again with the quorum', async (t) => {
  const members = await startEtcdCluster(t, 3);
  const [first, second, third] = members;
  assert.ok(first !== undefined && second !== undefined && third !== undefined);
  // Only the one that will be left alone is known to the follower.
  const { until } = followEtcd(t, { hosts: [first.address] });
  await first.put(`${PREFIX}leader`, 'node1');
  await until('the leader', ({ leader }) => leader !== null);
  await Promise.all([second.kill(), third.kill()]);
  const stale = await until('stale claims', ({ state }) => state === DcsState.Stale);
  assert.equal(stale.leader?.name, 'node1');
  assert.match(
    stale.trouble ?? '',
    /\((this etcd member has no leader|no answer in time|etcdserver: request timed out)\)$/,
  );
  await second.start();
  await until('live claims', ({ state }) => state === DcsState.Live);
  await second.put(`${PREFIX}leader`, 'node2');
  await until('news', ({ leader }) => leader?.name === 'node2');
});

test('a watch on a member that loses its leader is ended by etcd, not left mute', async (t) => {
  const [first, second, third] = await startEtcdCluster(t, 3);
  assert.ok(first !== undefined && second !== undefined && third !== undefined);
  const endpoint = new GrpcEtcdEndpoint({
    ...first.address,
    username: null,
    password: null,
    tls: null,
    keepaliveMs: 1000,
  });
  t.after(() => endpoint.close());
  const broken: Error[] = [];
  const onCreated = () => void Promise.all([second.kill(), third.kill()]);
  endpoint.watch(PREFIX, 1n, { onCreated, onEvents: () => {}, onBroken: (error) => broken.push(error) });
  await waitFor(() => broken.length > 0, { timeoutMs: 20_000, what: 'the end of the watch' });
  assert.match(broken[0]?.message ?? '', /no leader/);
});

test('a member cut off from the others is left for one that has a leader; who knows only that one sees nothing change until it is back', async (t) => {
  const partitions = new Partitions();
  t.after(() => partitions.close());
  const members = await startEtcdCluster(t, 3, { joinGroup: (name) => partitions.join(name) });
  const [alone, ...others] = members;
  assert.ok(alone !== undefined);
  // Both begin with the first host.
  const first = { random: () => 0, staleAfterMs: 8000 };
  const free = followEtcd(t, { ...first, hosts: members.map(({ address }) => address) });
  const bound = followEtcd(t, { ...first, hosts: [alone.address] });
  await alone.put(`${PREFIX}leader`, 'node1');
  for (const { until } of [free, bound]) await until('the leader', ({ leader }) => leader?.name === 'node1');
  await partitions.drop([
    { from: alone.name, toPorts: others.map(({ peerPort }) => peerPort), answersToo: true },
    ...others.map(({ name }) => ({ from: name, toPorts: [alone.peerPort], answersToo: true })),
  ]);
  await others[0]?.healthy();
  await others[0]?.put(`${PREFIX}leader`, 'node2');
  await free.until('news of the others', ({ leader }) => leader?.name === 'node2');
  const stale = await bound.until('stale claims', ({ state }) => state === DcsState.Stale);
  assert.equal(stale.leader?.name, 'node1');
  await others[0]?.put(`${PREFIX}leader`, 'node3');
  await free.until('more news', ({ leader }) => leader?.name === 'node3');
  await partitions.heal();
  const back = await bound.until('live claims', ({ state }) => state === DcsState.Live);
  assert.equal(back.leader?.name, 'node3');
  assert.ok(free.pictures.every(({ state }) => state === DcsState.Live));
  assert.ok(bound.pictures.every(({ leader }) => leader?.name !== 'node2'));
});
