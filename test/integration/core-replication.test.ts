import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { runProgram } from '../../src/cli/demo/postgres/run-program.js';
import { RawClient } from '../support/raw-client.js';
import type { RawLoginOptions } from '../support/raw-client.js';
import { frontend } from '../support/raw-messages.js';
import { roles } from '../support/roles.js';
import { CoreProxy, TIMEOUT_MS, sharedCluster, waitForBackend } from './core-lab.js';

const cluster = sharedCluster({
  standbys: 1,
  settings: { wal_level: 'logical' },
  hba: ['host all all 127.0.0.1/32 scram-sha-256', 'host replication all 127.0.0.1/32 scram-sha-256'],
});

function replicator(port: number, parameters: Readonly<Record<string, string>>): RawLoginOptions {
  const password = cluster().primary.replicationPassword;
  return { port, user: 'replicator', password, database: 'app', parameters, timeoutMs: TIMEOUT_MS };
}

/** Path of a program beside the server's, or null. */
function program(name: string): string | null {
  const path = join(cluster().primary.binaries.directory, name);
  return existsSync(path) ? path : null;
}

for (const word of ['true', 'on', '1', 'YES', 'database']) {
  test(`replication=${word} is a replication connection to the primary`, async (t) => {
    const proxy = await CoreProxy.start(t, cluster().nodes);
    const client = await RawClient.login(replicator(proxy.port(), { replication: word }));
    const direct = await RawClient.login(replicator(cluster().primary.port, { replication: word }));
    const [seen, expected] = [await client.query('IDENTIFY_SYSTEM'), await direct.query('IDENTIFY_SYSTEM')];
    assert.equal(seen.error, null);
    assert.equal(seen.rows[0]?.[0], expected.rows[0]?.[0]);
    assert.equal(seen.rows[0]?.[3], expected.rows[0]?.[3]);
    const sqlReply = await client.query('select 1');
    assert.equal(sqlReply.error?.code ?? sqlReply.rows[0]?.[0], word === 'database' ? '1' : '0A000');
    await Promise.all([client.end(), direct.end()]);
    await proxy.waitForRest();
    assert.equal(proxy.backends.idle, 0, 'a replication connection is not kept for others');
  });
}

test('replication=false is a session like any other', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  const client = await proxy.login('primary', { parameters: { replication: 'false' } });
  assert.deepEqual(await client.rows('select 1'), [['1']]);
});

test('WAL is streamed both ways until the client ends it', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  const client = await RawClient.login(replicator(proxy.port(), { replication: 'true' }));
  t.after(() => client.destroy());
  const position = String((await client.rows('IDENTIFY_SYSTEM'))[0]?.[2]);
  client.send(frontend.query(`START_REPLICATION ${position} TIMELINE 1`));
  assert.equal((await client.read())?.type, 'W');
  await cluster().sql(`select pg_logical_emit_message(true, 'marker', 'a mark in the stream')`);
  for (let isFound = false; !isFound; ) {
    const next = await client.read();
    assert.equal(next?.type, 'd');
    isFound = next.body.includes('a mark in the stream');
  }
  // A status update that asks for an answer: the node's next keep-alive.
  client.send(frontend.copyData(Buffer.concat([Buffer.from('r'), Buffer.alloc(32), Buffer.from([1])])));
  for (let type = ''; type !== 'k'; ) type = (await client.read())?.body.toString('latin1', 0, 1) ?? assert.fail();
  client.send(frontend.copyDone());
  const rest = await client.reply();
  assert.match(rest.types, /^d*cC+Z$/);
  assert.equal((await client.query('IDENTIFY_SYSTEM')).error, null);
  await client.end();
  await proxy.waitForRest();
});

test('changes are decoded through a slot', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  const client = await RawClient.login(replicator(proxy.port(), { replication: 'database' }));
  t.after(() => client.destroy());
  const made = await client.query('CREATE_REPLICATION_SLOT core TEMPORARY LOGICAL pgoutput');
  assert.equal(made.rows[0]?.[0], 'core');
  await cluster().sql('create publication everything for all tables', { database: 'app' });
  await cluster().sql('create table decoded as select 4711 as a', { database: 'app' });
  client.send(
    frontend.query(`START_REPLICATION SLOT core LOGICAL 0/0 (proto_version '1', publication_names 'everything')`),
  );
  assert.equal((await client.read())?.type, 'W');
  for (let isFound = false; !isFound; ) {
    const next = await client.read();
    assert.equal(next?.type, 'd');
    isFound = next.body.includes('4711');
  }
  client.reset();
  await proxy.waitForRest();
  await cluster().sql('drop publication everything; drop table decoded', { database: 'app' });
});

for (const leave of ['reset', 'destroy', 'halfClose'] as const)
  test(`a replication client that leaves (${leave}) takes its walsender with it`, async (t) => {
    const proxy = await CoreProxy.start(t, cluster().nodes);
    const client = await RawClient.login(replicator(proxy.port(), { replication: 'true' }));
    const position = String((await client.rows('IDENTIFY_SYSTEM'))[0]?.[2]);
    const senders = `select pid from pg_stat_activity where usename = 'replicator' and application_name = ''`;
    const pid = String((await cluster().sql(senders))[0]?.['pid']);
    client.send(frontend.query(`START_REPLICATION ${position} TIMELINE 1`));
    assert.equal((await client.read())?.type, 'W');
    client[leave]();
    await proxy.waitForRest();
    await waitForBackend(cluster().primary, pid, null);
  });

test('pg_basebackup with a WAL stream beside it makes a whole backup, and pg_receivewal receives', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  const [baseBackup, verify, receive] = ['pg_basebackup', 'pg_verifybackup', 'pg_receivewal'].map(program);
  if (!baseBackup || !verify || !receive) return t.skip('this PostgreSQL has no client programs');
  const folder = await mkdtemp(join(tmpdir(), 'switchyard-backup-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const options = { env: { PGPASSWORD: cluster().primary.replicationPassword }, timeoutMs: 60_000 };
  const to = ['-h', '127.0.0.1', '-p', String(proxy.port()), '-U', 'replicator', '-w'];
  await runProgram(baseBackup, [...to, '-D', join(folder, 'base'), '-X', 'stream', '-c', 'fast'], options);
  await runProgram(verify, [join(folder, 'base')], options);

  await cluster().sql(`select pg_logical_emit_message(true, 'marker', 'before')`);
  const [row] = await cluster().sql('select pg_current_wal_flush_lsn() as lsn');
  await cluster().sql(`select pg_logical_emit_message(true, 'marker', 'behind')`);
  await runProgram(receive, [...to, '-D', folder, '--no-loop', '-E', String(row?.['lsn'])], options);
  assert.ok((await readdir(folder)).some((name) => /^[0-9A-F]{24}/.test(name)));
  await proxy.waitForRest();
});

test('a standby listener refuses replication', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  await assert.rejects(
    RawClient.login(replicator(proxy.port('standby'), { replication: 'true' })),
    /0A000: replication connections are served on listeners with route primary only/,
  );
  assert.equal(proxy.app.registry.size, 0);
  // And to a role without the right the node says so itself.
  const refused = RawClient.login({ port: proxy.port(), ...roles.app, parameters: { replication: 'true' } });
  await assert.rejects(refused, /42501: must be superuser or replication role/);
  await proxy.checkAfterAbuse();
});
