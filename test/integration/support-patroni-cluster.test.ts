import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { PatroniCluster } from '../support/patroni-cluster.js';
import type { PatroniNode } from '../support/patroni-node.js';
import { sql } from '../support/postgres-server.js';
import { waitFor } from '../support/processes.js';
import { RawClient } from '../support/raw-client.js';
import { frontend } from '../support/raw-messages.js';
import { roles } from '../support/roles.js';

const TIMEOUT_MS = 60_000;
/** More than one loop of Patroni, which is 5 s here. */
const DCS_AGE_S = 8;
let cluster: PatroniCluster;

before(async () => {
  cluster = await PatroniCluster.up({ etcdMembers: 3, tls: true, tags: { node3: { nofailover: true } } });
});

after(async () => {
  await cluster.down();
  assert.equal(
    cluster.nodes.some((node) => existsSync(node.dataDirectory)),
    false,
  );
});

/** The leader and the standby that may become one. */
async function pair(): Promise<{ leader: PatroniNode; candidate: PatroniNode }> {
  const leader = await cluster.waitUntilHealthy();
  return { leader, candidate: cluster.node(leader.name === 'node1' ? 2 : 1) };
}

async function answers(node: PatroniNode): Promise<boolean> {
  return cluster.rest(node, 'GET', '/liveness').then(
    () => true,
    () => false,
  );
}

test('three nodes come up with node1 as the leader, the roles, TLS and the tags', async () => {
  const { leader } = await pair();
  assert.equal(leader.name, 'node1');
  assert.equal((await cluster.standbys()).length, 2);
  assert.deepEqual(await sql(leader, 'select current_user', { ...roles.app }), [{ current_user: 'app' }]);
  const [found] = await sql(leader, `select rolname from switchyard.user_lookup('app')`, { ...roles.monitor });
  assert.equal(found?.['rolname'], 'app');
  const client = await RawClient.login({ port: leader.port, ...roles.app, tls: {}, channelBinding: true });
  await client.end();
  assert.match((await cluster.rest(cluster.node(3), 'GET', '/patroni')).text, /"nofailover": true/);
});

test('a planned switchover makes the candidate the leader', async () => {
  const { candidate } = await pair();
  await cluster.switchover(candidate);
  assert.equal((await cluster.waitForLeader()).name, candidate.name);
  await cluster.waitUntilHealthy();
});

test('a scheduled switchover stands in the failover key until it is taken back', async () => {
  const { candidate } = await pair();
  await cluster.scheduleSwitchover(candidate, new Date(Date.now() + 3_600_000));
  const isScheduled = async () =>
    (await cluster.rest(candidate, 'GET', '/cluster')).text.includes('scheduled_switchover');
  await waitFor(isScheduled, { timeoutMs: TIMEOUT_MS, what: 'the switchover to be there' });
  await cluster.cancelSwitchover();
  await waitFor(async () => !(await isScheduled()), { timeoutMs: TIMEOUT_MS, what: 'the switchover to be gone' });
});

test('maintenance mode and synchronous mode go on and off', async () => {
  await cluster.pause();
  await cluster.resume();
  await cluster.setSynchronous(true);
  assert.equal((await cluster.members()).filter((member) => member.role === 'sync_standby').length, 1);
  await cluster.setSynchronous(false);
});

test('a standby whose replay is paused receives and shows nothing new', async () => {
  const { leader, candidate } = await pair();
  candidate.pauseReplay();
  await sql(leader, 'create table replayed (a int)');
  const isThere = async (): Promise<unknown> =>
    (await sql(candidate, `select to_regclass('replayed') is not null as there`))[0]?.['there'];
  assert.equal(await isThere(), false);
  candidate.resumeReplay();
  await waitFor(async () => (await isThere()) === true, { timeoutMs: TIMEOUT_MS, what: 'the table' });
});

test('a frozen node says nothing, a frozen Patroni leaves PostgreSQL alone, and both thaw', async () => {
  const { candidate } = await pair();
  candidate.freeze();
  assert.equal(await answers(candidate), false);
  await assert.rejects(RawClient.login({ port: candidate.port, ...roles.app, timeoutMs: 300 }), /waited 300 ms/);
  candidate.thaw();
  candidate.freezePatroni();
  assert.equal(await answers(candidate), false);
  await (await RawClient.login({ port: candidate.port, ...roles.app })).end();
  candidate.thaw();
  assert.equal(await answers(candidate), true);
});

test('one member of etcd can go, or freeze, and the cluster stays as it is', async () => {
  const { leader } = await pair();
  const [first, second] = cluster.etcd;
  await first?.kill();
  await first?.start();
  second?.freeze();
  second?.thaw();
  assert.equal((await cluster.waitUntilHealthy()).name, leader.name);
});

test('an isolated node answers nobody, and answers again when the partition heals', async () => {
  const { candidate } = await pair();
  const open = await RawClient.login({ port: candidate.port, ...roles.app });
  await cluster.isolate(candidate);
  assert.equal(await answers(candidate), false);
  open.send(frontend.query('select 1'));
  assert.equal(await open.isSilentFor(500), true);
  await cluster.heal();
  assert.deepEqual((await open.reply()).rows, [['1']]);
  await open.end();
});

test('a node that is cut from etcd alone still answers, and hears no more of the others', async () => {
  const { candidate } = await pair();
  await cluster.isolateFromEtcd(candidate);
  await waitFor(
    async () => {
      const { text } = await cluster.rest(candidate, 'GET', '/patroni');
      const status = JSON.parse(text) as { readonly dcs_last_seen?: number };
      return Date.now() / 1000 - (status.dcs_last_seen ?? Infinity) > DCS_AGE_S;
    },
    { timeoutMs: TIMEOUT_MS, what: 'the age of what the node knows' },
  );
  await cluster.heal();
  await cluster.waitUntilHealthy();
});

test('a leader that is cut from its peers is replaced while clients still reach it, and comes back', async () => {
  const { leader, candidate } = await pair();
  await cluster.isolateFromPeers(leader);
  await (await RawClient.login({ port: leader.port, ...roles.app })).end();
  assert.equal((await cluster.waitForLeader({ not: leader })).name, candidate.name);
  await cluster.heal();
  await cluster.waitUntilHealthy();
});

test('a leader that crashes is replaced, and comes back when revived', async () => {
  const { leader, candidate } = await pair();
  await leader.crash();
  assert.equal((await cluster.waitForLeader({ not: leader })).name, candidate.name);
  await cluster.revive();
  await cluster.waitUntilHealthy();
});
