import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DcsState } from '../../src/dcs/claims.js';
import type { KeyEvent } from '../../src/dcs/patroni-store.js';
import { PatroniStore } from '../../src/dcs/patroni-store.js';
import { nodeName } from '../../src/util/brand.js';
import { startEtcd } from '../support/etcd-server.js';
import { PREFIX, followEtcd } from '../support/follow-etcd.js';
import { PATRONI_VERSIONS, STORIES, keysAfter, readRecording } from '../unit/dcs/recorded.js';

const MEMBER = '{"conn_url":"postgres://10.0.0.1:5432/postgres"}';
/** Longer than any event takes, shorter than the readings that would find it anyway. */
const WATCHDOG_LATE_MS = 60_000;

test('sees puts and deletes through the watch, long before the next reading', async (t) => {
  const etcd = await startEtcd(t);
  const { until, pictures } = followEtcd(t, {
    hosts: [etcd.address],
    watchdogIntervalMs: WATCHDOG_LATE_MS,
    staleAfterMs: 90_000,
  });
  await until('the first answer', (claims) => claims.state === DcsState.Live);
  await etcd.put(`${PREFIX}members/node1`, MEMBER);
  const revision = await etcd.put(`${PREFIX}leader`, 'node1');
  const led = await until('the leader', (claims) => claims.leader !== null);
  assert.deepEqual(led.leader, { name: 'node1', term: revision });
  assert.equal(led.members.get(nodeName('node1'))?.host, '10.0.0.1');
  await etcd.put(`${PREFIX}leader`, 'node2');
  assert.equal((await until('the next leader', (claims) => claims.leader?.name === 'node2')).leader?.term, revision);
  await etcd.delete(`${PREFIX}leader`);
  await until('no leader', (claims) => claims.leader === null);
  await etcd.put(`${PREFIX}leader`, 'node1');
  const again = await until('a leader again', (claims) => claims.leader !== null);
  assert.ok((again.leader?.term ?? 0n) > revision);
  await etcd.delete(PREFIX);
  await until('nothing', (claims) => claims.members.size === 0 && claims.leader === null);
  assert.ok(pictures.length <= 7, `${pictures.length} pictures of seven changes`);
});

test('takes what is there at the start, and no key of a neighbour', async (t) => {
  const etcd = await startEtcd(t);
  await etcd.put(`${PREFIX}leader`, 'node1');
  await etcd.put('/service/pg2/leader', 'other');
  await etcd.put('/service/pg', 'other');
  await etcd.put('/service/pg/0/leader', 'citus');
  await etcd.put('/service/pg0/members/x', MEMBER);
  const { until } = followEtcd(t, { hosts: [etcd.address] });
  const claims = await until('the first answer', ({ state }) => state === DcsState.Live);
  assert.equal(claims.leader?.name, 'node1');
  assert.equal(claims.members.size, 0);
  assert.deepEqual(claims.problems, []);
});

test('a lease that ends takes leader and member in one picture', async (t) => {
  const etcd = await startEtcd(t);
  const { until, pictures } = followEtcd(t, { hosts: [etcd.address] });
  for (const end of ['revoked', 'run out'] as const) {
    const lease = await etcd.grantLease(end === 'revoked' ? 60 : 1);
    await etcd.put(`${PREFIX}members/node1`, MEMBER, lease);
    await etcd.put(`${PREFIX}leader`, 'node1', lease);
    await until('leader and member', (claims) => claims.leader !== null && claims.members.size === 1);
    const seen = pictures.length;
    if (end === 'revoked') await etcd.revokeLease(lease);
    await until(`a lease that was ${end}`, (claims) => claims.leader === null);
    for (const picture of pictures.slice(seen)) {
      assert.equal(picture.leader === null, picture.members.size === 0, `${end}: half of it was seen`);
    }
  }
});

test('a confirmation moves the time without a change', async (t) => {
  const etcd = await startEtcd(t);
  const { provider, until, pictures } = followEtcd(t, { hosts: [etcd.address], watchdogIntervalMs: 50 });
  const first = await until('the first answer', ({ state }) => state === DcsState.Live);
  await until('five more readings', ({ confirmedAtMs }) => (confirmedAtMs ?? 0) > (first.confirmedAtMs ?? 0) + 250);
  // Keys of other clusters use up revisions, too.
  const revision = await etcd.put('/service/other/leader', 'x');
  await until('the revision', (claims) => claims.revision >= revision);
  assert.equal(pictures.length, 1);
  assert.equal(provider.claims.trouble, null);
});

for (const version of PATRONI_VERSIONS) {
  test(`Patroni ${version}: replayed into a real etcd, every story ends as its keys say`, async (t) => {
    const etcd = await startEtcd(t);
    for (const story of STORIES) {
      const recording = readRecording(version, story);
      const prefix = `/service/${story}/`;
      const write = async (event: KeyEvent) => {
        if (event.kind === 'put') await etcd.put(prefix + event.key.suffix, event.key.value);
        else await etcd.delete(prefix + event.suffix);
      };
      for (const key of recording.initial) await write({ kind: 'put', revision: 0n, key });
      const { until } = followEtcd(t, {
        hosts: [etcd.address],
        prefix,
        watchdogIntervalMs: WATCHDOG_LATE_MS,
        staleAfterMs: 90_000,
      });
      await until('the first answer', ({ state }) => state === DcsState.Live);
      const events = recording.steps.flat();
      for (const event of events) await write(event);
      const end = new PatroniStore();
      end.replace(keysAfter(recording.initial, events));
      const wanted = end.parts;
      const last = await etcd.revision();
      const claims = await until(`the end of ${story}`, (now) => now.revision >= last);
      assert.equal(claims.leader?.name, wanted.leader?.name);
      for (const part of [
        'members',
        'sync',
        'history',
        'settings',
        'systemIdentifier',
        'leaderOptime',
        'problems',
      ] as const) {
        assert.deepEqual(claims[part], wanted[part], `${story}: ${part}`);
      }
      assert.equal(claims.switchover === null, wanted.switchover === null);
    }
  });
}
