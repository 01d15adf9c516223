import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RawClient } from '../support/raw-client.js';
import { frontend } from '../support/raw-messages.js';
import { CoreProxy } from './core-lab.js';
import { run, splitCluster } from './split-lab.js';

const { bind, execute, parse, sync } = frontend;

const cluster = splitCluster([
  'create schema private',
  'create table private.t (n int)',
  'grant usage on schema private to app',
  'grant all on private.t to app',
]);

/** A proxy with one backend for all sessions of the primary. */
function start(t: Parameters<typeof CoreProxy.start>[0]): Promise<CoreProxy> {
  return CoreProxy.start(t, cluster().nodes, { pool: { mode: 'transaction', size: 1, reuse: true } });
}

async function one(client: RawClient, text: string): Promise<string> {
  return String((await client.rows(text))[0]?.[0]);
}

const berlin = { TimeZone: 'Europe/Berlin', DateStyle: 'German', application_name: 'berlin', client_encoding: 'utf-8' };

test('sessions that ask for different settings when they log in share one backend', async (t) => {
  const proxy = await start(t);
  const sessions = await Promise.all(
    ['UTC', 'Asia/Tokyo', 'Europe/Berlin', 'America/Lima'].map(async (zone) => ({
      zone,
      client: await proxy.login('primary', { parameters: { TimeZone: zone, application_name: `in ${zone}` } }),
    })),
  );
  const plain = await proxy.login('primary');
  const [pid, zoneOfNode] = [await one(plain, 'select pg_backend_pid()'), await one(plain, 'show timezone')];
  for (let round = 0; round < 3; round += 1) {
    for (const { zone, client } of sessions) {
      assert.equal(client.parameters.get('TimeZone'), zone);
      assert.equal(client.parameters.get('application_name'), `in ${zone}`);
      assert.equal(await one(client, 'show timezone'), zone);
      assert.equal(await one(client, 'show application_name'), `in ${zone}`);
      assert.equal(await one(client, 'select pg_backend_pid()'), pid);
    }
    assert.equal(await one(plain, 'show timezone'), zoneOfNode);
    assert.equal(await one(plain, 'show application_name'), '');
  }
  assert.equal(plain.parameters.get('application_name'), '');
});

test('a client is greeted with what it has asked for, also where another one has left something else', async (t) => {
  const proxy = await start(t);
  const first = await proxy.login('primary', { parameters: { DateStyle: 'SQL, DMY' } });
  await run(first, `set timezone to 'Asia/Tokyo'`, `set intervalstyle to 'iso_8601'`);
  const second = await proxy.login('primary', { parameters: berlin });
  assert.equal(second.parameters.get('DateStyle'), 'German, DMY');
  assert.equal(second.parameters.get('TimeZone'), 'Europe/Berlin');
  assert.equal(second.parameters.get('IntervalStyle'), 'postgres');
  assert.equal(second.parameters.get('client_encoding'), 'UTF8');
  assert.equal(await one(second, `select '2020-02-01'::date`), '01.02.2020');
});

test('RESET goes back to what the client has asked for', async (t) => {
  const proxy = await start(t);
  const client = await proxy.login('primary', { parameters: berlin });
  const other = await proxy.login('primary');
  const resets = ['reset timezone', 'set timezone to default', 'reset all', 'discard all'];
  for (const reset of resets) {
    await run(client, `set timezone to 'Asia/Tokyo'`);
    await run(client, reset);
    assert.equal(await one(client, 'show timezone'), 'Europe/Berlin', reset);
    assert.equal(client.parameters.get('TimeZone'), 'Europe/Berlin', reset);
    assert.equal(client.parameters.get('DateStyle'), 'German, DMY', reset);
    await run(other, 'select 1');
    assert.equal(await one(client, 'show application_name'), 'berlin', reset);
  }
});

test('in a transaction too, and a rollback undoes it', async (t) => {
  const proxy = await start(t);
  const client = await proxy.login('primary', { parameters: berlin });
  await run(client, `set timezone to 'Asia/Tokyo'`, 'begin', 'reset timezone');
  assert.equal(await one(client, 'show timezone'), 'Europe/Berlin');
  await run(client, 'savepoint s', `set timezone to 'America/Lima'`, 'reset all');
  assert.equal(await one(client, 'show timezone'), 'Europe/Berlin');
  await run(client, 'rollback to s');
  assert.equal(await one(client, 'show timezone'), 'Europe/Berlin');
  await run(client, 'rollback');
  assert.equal(await one(client, 'show timezone'), 'Asia/Tokyo');
  await run(client, 'begin', 'reset timezone; savepoint s', 'rollback to s');
  assert.equal(await one(client, 'show timezone'), 'Europe/Berlin');
  await run(client, 'commit');
  assert.equal(await one(client, 'show timezone'), 'Europe/Berlin');
});

test('a prepared statement means what it meant under the search path of its session', async (t) => {
  const proxy = await start(t);
  const [inside, outside] = [
    await proxy.login('primary', { parameters: { search_path: 'private, public' } }),
    await proxy.login('primary'),
  ];
  const reply = async (client: RawClient, ...messages: readonly Buffer[]) => {
    client.send(...messages);
    return client.reply();
  };
  const prepare = [parse('select count(*) from t', { name: 's' }), sync()];
  assert.equal((await reply(inside, ...prepare)).error, null);
  assert.equal((await reply(outside, ...prepare)).error?.code, '42P01');
  assert.deepEqual((await reply(inside, bind({ statement: 's' }), execute(), sync())).rows, [['0']]);
});

test('a value that means nothing is refused at log-in in the words of the node', async (t) => {
  const proxy = await start(t);
  await assert.rejects(
    proxy.login('primary', { parameters: { TimeZone: 'No/Where' } }),
    /22023: invalid value for parameter "TimeZone": "No\/Where"/,
  );
  // The backend is as good as before.
  assert.equal(await one(await proxy.login('primary'), 'select 1'), '1');
});

test('parameters that only a new connection can have get connections of their own', async (t) => {
  const proxy = await start(t);
  const client = await proxy.login('primary', { parameters: { options: '-c app.who=me -c work_mem=7MB' } });
  const other = await proxy.login('primary');
  assert.equal(await one(client, 'show app.who'), 'me');
  assert.equal(await one(client, 'show work_mem'), '7MB');
  assert.equal((await other.query('show app.who')).error?.code, '42704');
  assert.equal(await one(other, 'show work_mem'), '4MB');
});
