import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Session } from '../../src/session/session.js';
import { sql } from '../support/postgres-server.js';
import { waitFor } from '../support/processes.js';
import { RawClient } from '../support/raw-client.js';
import { frontend } from '../support/raw-messages.js';
import { roles } from '../support/roles.js';
import { backendPid, CoreProxy, sharedCluster, TIMEOUT_MS } from './core-lab.js';

const cluster = sharedCluster({ standbys: 0 });
const { parse, bind, execute, sync, query } = frontend;
/** What leaves nothing behind, though only the node knows that. */
const harmless = 'do $$ begin perform 1; end $$';

async function start(
  t: Parameters<typeof CoreProxy.start>[0],
): Promise<{ client: RawClient; session: Session; pid: string }> {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  const client = await proxy.login();
  const session = [...proxy.app.registry.all()].at(-1);
  assert.ok(session);
  return { client, session, pid: await backendPid(client) };
}

async function lastQuery(pid: string): Promise<Record<string, unknown>> {
  const [row] = await sql(
    cluster().primary,
    `select query, state, query_start::text as since from pg_stat_activity where pid = $1`,
    { values: [pid] },
  );
  assert.ok(row);
  return row;
}

test('the node of an idle session is asked once for what was in doubt, and not again', async (t) => {
  const { client, session, pid } = await start(t);
  await client.rows(harmless);
  assert.equal(session.pinReason, 'procedure');
  await waitFor(() => session.pinReason === null, { timeoutMs: TIMEOUT_MS, what: 'the session to be free' });
  const { since } = await lastQuery(pid);
  assert.equal(await client.isSilentFor(700), true);
  assert.equal((await lastQuery(pid))['since'], since);
  await client.rows('select pg_advisory_lock(1)');
  await waitFor(async () => /pg_my_temp_schema/.test(String((await lastQuery(pid))['query'])), {
    timeoutMs: TIMEOUT_MS,
    what: 'the node to be asked about the lock',
  });
  const asked = (await lastQuery(pid))['since'];
  assert.equal(await client.isSilentFor(700), true);
  assert.equal(session.pinReason, 'advisory_lock');
  assert.equal((await lastQuery(pid))['since'], asked);
});

test('a session that is never idle is not asked, unless it is told to', async (t) => {
  const { client, session, pid } = await start(t);
  await client.rows(harmless);
  for (let i = 0; i < 10; i += 1) await client.rows('select pg_sleep(0.05)');
  assert.equal(session.pinReason, 'procedure');
  if (session.node !== null) session.inspect(session.node);
  const reply = client.query('select 41 + 1');
  assert.deepEqual((await reply).rows, [['42']], 'what comes meanwhile waits for the answer');
  assert.equal(session.pinReason, null);
  assert.equal(await backendPid(client), pid);
});

test('an inspection leaves everything of the client as it was, the unnamed statement too', async (t) => {
  const { client, session } = await start(t);
  await client.unit(parse('select $1::int + 1'), bind({ values: ['0'] }), execute(), sync());
  await client.unit(parse(harmless, { name: 'harmless' }), bind({ statement: 'harmless' }), execute(), sync());
  await waitFor(() => session.pinReason === null, { timeoutMs: TIMEOUT_MS, what: 'the session to be free' });
  const { rows, types } = await client.unit(bind({ values: ['41'] }), execute(), sync());
  assert.deepEqual(rows, [['42']]);
  assert.equal(types, '2DCZ', 'nothing of the question is heard');
  assert.deepEqual(await client.rows('select name from pg_prepared_statements'), [['harmless']]);
});

test('an inspection that the node does not answer is cancelled, and hits nothing of the client', async (t) => {
  const { client, session } = await start(t);
  const blocker = await RawClient.login({ ...roles.superuser, port: cluster().primary.port, database: 'app' });
  t.after(() => blocker.destroy());
  await blocker.rows('begin');
  await blocker.rows('lock table pg_catalog.pg_depend in access exclusive mode');
  await client.rows(harmless);
  if (session.node !== null) session.inspect(session.node);
  assert.equal(session.isAtBoundary, false);
  const startedAtMs = performance.now();
  client.send(query('select 1'), query('select pg_sleep(0.2), 2'));
  assert.deepEqual((await client.reply()).rows, [['1']]);
  assert.deepEqual((await client.reply()).rows, [['', '2']]);
  const tookMs = performance.now() - startedAtMs;
  assert.ok(tookMs > 1_900 && tookMs < 6_000, `${tookMs} ms`);
  assert.equal(session.pinReason, 'procedure', 'what is not known stays');
});

test('a node that dies under an inspection is a node that dies', async (t) => {
  const { client, session } = await start(t);
  const blocker = await RawClient.login({ ...roles.superuser, port: cluster().primary.port, database: 'app' });
  t.after(() => blocker.destroy());
  await blocker.rows('begin');
  await blocker.rows('lock table pg_catalog.pg_depend in access exclusive mode');
  await client.rows(harmless);
  if (session.node !== null) session.inspect(session.node);
  t.after(async () => {
    if (!cluster().primary.isRunning) await cluster().primary.start();
  });
  await cluster().primary.kill();
  const { error, closed } = await client.reply();
  assert.ok(closed);
  assert.equal(error?.code, '57P01');
  assert.match(error.detail ?? '', /DO, CALL/);
});
