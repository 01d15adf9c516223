import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { DcsState } from '../../src/dcs/claims.js';
import { GrpcEtcdEndpoint } from '../../src/dcs/etcd3-grpc.js';
import { EtcdServer, startEtcd } from '../support/etcd-server.js';
import { FaultProxy } from '../support/fault-proxy.js';
import { PREFIX, followEtcd } from '../support/follow-etcd.js';
import { refusingPort, silentPort } from '../support/ports.js';
import { waitFor } from '../support/processes.js';

const MEMBER = '{"conn_url":"postgres://10.0.0.1:5432/postgres"}';
const STALE_MS = 2500;
const REQUEST_MS = 500;

test('survives that etcd is killed and started again', async (t) => {
  const etcd = await startEtcd(t);
  const { until, pictures } = followEtcd(t, { hosts: [etcd.address], staleAfterMs: 60_000 });
  await etcd.put(`${PREFIX}members/node1`, MEMBER);
  await etcd.put(`${PREFIX}leader`, 'node1');
  await until('the leader', (claims) => claims.leader !== null && claims.members.size === 1);
  await etcd.restart();
  await etcd.put(`${PREFIX}leader`, 'node2');
  await until('the next leader', (claims) => claims.leader?.name === 'node2');
  await etcd.delete(`${PREFIX}leader`);
  await until('no leader', (claims) => claims.leader === null);
  assert.ok(pictures.every((picture) => picture.state === DcsState.Live));
  assert.equal(pictures.at(-1)?.members.size, 1);
});

test('a frozen etcd makes the claims stale with all that was known, and a thawed one live again at once', async (t) => {
  const etcd = await startEtcd(t);
  const { provider, until, pictures } = followEtcd(t, { hosts: [etcd.address], staleAfterMs: STALE_MS });
  await etcd.put(`${PREFIX}members/node1`, MEMBER);
  await etcd.put(`${PREFIX}leader`, 'node1');
  const known = await until('the leader', (claims) => claims.leader !== null);
  for (let round = 0; round < 2; round += 1) {
    etcd.freeze();
    const frozenAtMs = performance.now();
    const stale = await until('stale claims', ({ state }) => state === DcsState.Stale);
    const tookMs = performance.now() - frozenAtMs;
    assert.ok(tookMs > STALE_MS - 1500 && tookMs < STALE_MS + 1000, `stale after ${tookMs} ms`);
    assert.equal(stale.trouble, `etcd cannot be read: 127.0.0.1:${etcd.port} (no answer in time)`);
    assert.equal(stale.leader, known.leader);
    assert.equal(stale.members, known.members);
    assert.ok((stale.confirmedAtMs ?? 0) < frozenAtMs + 5);
    etcd.thaw();
    await until('live claims', ({ state }) => state === DcsState.Live);
    assert.equal(provider.claims.trouble, null);
  }
  await etcd.put(`${PREFIX}leader`, 'node2');
  await until('the next leader', (claims) => claims.leader?.name === 'node2');
  assert.deepEqual(
    pictures.map(({ state }) => state).filter((state, index, all) => state !== all[index - 1]),
    ['live', 'stale', 'live', 'stale', 'live'],
  );
});

test('a connection on which nothing comes back is left for a new one', async (t) => {
  const etcd = await startEtcd(t);
  const proxy = await FaultProxy.start(etcd.port);
  t.after(() => proxy.close());
  const { until } = followEtcd(t, { hosts: [{ host: '127.0.0.1', port: proxy.port }], staleAfterMs: STALE_MS });
  await until('the first answer', ({ state }) => state === DcsState.Live);
  proxy.freeze('to-client');
  await etcd.put(`${PREFIX}leader`, 'node1');
  await until('stale claims', ({ state }) => state === DcsState.Stale);
  await proxy.heal();
  await until('the leader', (claims) => claims.state === DcsState.Live && claims.leader?.name === 'node1');
  await etcd.put(`${PREFIX}leader`, 'node2');
  await until('the next leader', (claims) => claims.leader?.name === 'node2');
});

test('keys that came and went, and a compaction, during a break leave the claims as the keys are', async (t) => {
  const etcd = await startEtcd(t);
  const proxy = await FaultProxy.start(etcd.port);
  t.after(() => proxy.close());
  const { until, pictures } = followEtcd(t, { hosts: [{ host: '127.0.0.1', port: proxy.port }], staleAfterMs: 60_000 });
  await etcd.put(`${PREFIX}members/node1`, MEMBER);
  await etcd.put(`${PREFIX}leader`, 'node1');
  await until('the leader', (claims) => claims.leader !== null && claims.members.size === 1);
  for (let round = 0; round < 3; round += 1) {
    proxy.refuse();
    proxy.reset();
    await etcd.delete(`${PREFIX}members/node1`);
    await etcd.put(`${PREFIX}members/node2`, MEMBER);
    await etcd.delete(`${PREFIX}leader`);
    const term = await etcd.put(`${PREFIX}leader`, 'node2');
    await etcd.compact(term);
    await proxy.heal();
    const claims = await until('what is there now', ({ leader }) => leader?.term === term);
    assert.deepEqual([...claims.members.keys()], ['node2']);
    await etcd.put(`${PREFIX}members/node1`, MEMBER);
    await until('news by the watch', ({ members }) => members.size === 2);
  }
  assert.ok(pictures.every(({ state }) => state === DcsState.Live));
});

test('a watch that begins before the compaction is told so, and ends', async (t) => {
  const etcd = await startEtcd(t);
  for (let round = 0; round < 5; round += 1) await etcd.put(`${PREFIX}leader`, 'node1');
  await etcd.compact(await etcd.revision());
  const endpoint = new GrpcEtcdEndpoint({
    ...etcd.address,
    username: null,
    password: null,
    tls: null,
    keepaliveMs: 1000,
  });
  t.after(() => endpoint.close());
  const broken: Error[] = [];
  endpoint.watch(PREFIX, 2n, { onCreated: () => {}, onEvents: () => {}, onBroken: (error) => broken.push(error) });
  await waitFor(() => broken.length > 0, { timeoutMs: 5000, what: 'the end of the watch' });
  assert.match(broken[0]?.message ?? '', /^etcd cancelled the watch: compacted up to revision \d+$/);
});

test('begins when etcd comes, however late', async (t) => {
  const [etcd] = await EtcdServer.createCluster(1);
  assert.ok(etcd !== undefined);
  t.after(() => etcd.close());
  const { until, pictures } = followEtcd(t, {
    hosts: [etcd.address, { host: '127.0.0.1', port: await refusingPort() }],
  });
  const unknown = await until('trouble', ({ trouble }) =>
    /\(connection refused\).*\(connection refused\)/.test(trouble ?? ''),
  );
  assert.equal(unknown.state, DcsState.Unknown);
  await etcd.start();
  await until('live claims', ({ state }) => state === DcsState.Live);
  assert.ok(pictures.every(({ state }) => state !== DcsState.Stale));
});

test('a host name that does not exist is trouble with its name', async (t) => {
  const { until } = followEtcd(t, { hosts: [{ host: 'no-such-host.invalid', port: 2379 }] });
  const { trouble } = await until('trouble', (claims) => claims.trouble?.includes('(') ?? false);
  assert.match(
    trouble ?? '',
    /^etcd cannot be read: no-such-host\.invalid:2379 \((host name|no answer|Name resolution)/,
  );
});

test('a silent host in the list costs a request time-out, not the claims', async (t) => {
  const etcd = await startEtcd(t);
  const silent = await silentPort();
  t.after(() => silent.close());
  const { until } = followEtcd(t, {
    hosts: [{ host: '127.0.0.1', port: silent.port }, etcd.address],
    requestTimeoutMs: REQUEST_MS,
    random: () => 0,
  });
  const startedAtMs = performance.now();
  await until('live claims', ({ state }) => state === DcsState.Live);
  const tookMs = performance.now() - startedAtMs;
  assert.ok(tookMs >= REQUEST_MS - 20 && tookMs < REQUEST_MS * 3, `live after ${tookMs} ms`);
});

test('what does not speak gRPC is trouble, no crash', async (t) => {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.end('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  const { until } = followEtcd(t, { hosts: [{ host: '127.0.0.1', port: address.port }] });
  const { state } = await until('trouble', ({ trouble }) => trouble?.startsWith('etcd cannot be read') ?? false);
  assert.equal(state, DcsState.Unknown);
});

for (const identity of ['new', 'same'] as const) {
  test(`an etcd that was rebuilt with ${identity === 'new' ? 'another' : 'the same'} cluster id is refused first, and taken at the limit`, async (t) => {
    const etcd = await startEtcd(t);
    const { until, log } = followEtcd(t, { hosts: [etcd.address], staleAfterMs: STALE_MS });
    for (let round = 0; round < 10; round += 1) await etcd.put(`${PREFIX}leader`, 'node1');
    await etcd.delete(`${PREFIX}leader`);
    await etcd.put(`${PREFIX}leader`, 'node1');
    const old = await until('the old leader', (claims) => claims.leader !== null && claims.revision >= 12n);
    await etcd.rebuild(identity);
    await etcd.put(`${PREFIX}leader`, 'node2');
    const refused = await until('a problem', ({ problems }) => problems.length === 1);
    assert.match(
      refused.problems[0] ?? '',
      identity === 'new'
        ? /not believed: it belongs to etcd cluster \d+ instead of \d+$/
        : /not believed: it is at revision \d+, but \d+ has been seen$/,
    );
    assert.equal(refused.leader, old.leader);
    await until('stale claims', ({ state }) => state === DcsState.Stale);
    const taken = await until('live claims', ({ state }) => state === DcsState.Live);
    assert.equal(taken.leader?.name, 'node2');
    assert.ok((taken.leader?.term ?? 0n) > (old.leader?.term ?? 0n));
    assert.ok(taken.revision > old.revision);
    assert.deepEqual(taken.problems, []);
    assert.ok(log.some(({ level, message }) => level === 'error' && message.includes('rebuilt')));
    await etcd.put(`${PREFIX}leader`, 'node3');
    await until('news', ({ leader }) => leader?.name === 'node3');
  });
}
