import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';
import { waitFor } from '../support/processes.js';
import { RawClient } from '../support/raw-client.js';
import { backend, frontend } from '../support/raw-messages.js';
import type { ErrorFields } from '../support/raw-messages.js';
import { roles } from '../support/roles.js';
import { CoreProxy, TIMEOUT_MS, backendPid, readCoreConfig, sharedCluster, waitForBackend } from './core-lab.js';

const cluster = sharedCluster({
  standbys: 1,
  hba: ['host all all 127.0.0.1/32 scram-sha-256', 'host replication all 127.0.0.1/32 scram-sha-256'],
});

/** What a client hears last, as the fields of an error; null when it is closed without a word. */
async function lastWords(client: RawClient): Promise<ErrorFields | null> {
  const last = (await client.closed()).at(-1);
  return last?.type === 'E' ? backend.errorFields(last.body) : null;
}

function closed(proxy: CoreProxy, reason: string): number {
  return proxy.app.counters.sessionsClosed.get(reason);
}

/** Freezes a process: it obeys nobody. It goes on when the test is over, or when `thaw` is called. */
function freezeProcess(t: TestContext, pid: number): () => void {
  assert.ok(pid > 1);
  let isFrozen = true;
  const thaw = (): void => {
    if (isFrozen) process.kill(pid, 'SIGCONT');
    isFrozen = false;
  };
  process.kill(pid, 'SIGSTOP');
  t.after(thaw);
  return thaw;
}

/** Freezes the backend of a client. */
async function freeze(t: TestContext, client: RawClient): Promise<() => void> {
  return freezeProcess(t, Number(await backendPid(client)));
}

test('a client that says nothing is ended with 57P05, and not one that is busy, listens, or says something', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes, { limits: { client_idle_timeout: '600ms' } });
  const [silent, fresh, busy, listening, chatty] = await Promise.all(Array.from({ length: 5 }, () => proxy.login()));
  assert.ok(silent && fresh && busy && listening && chatty);
  await silent.rows('select 1');
  await listening.query('listen news');
  busy.send(frontend.query('select pg_sleep(2.5)'));
  const startedAtMs = performance.now();
  const talk = (async () => {
    while (performance.now() - startedAtMs < 2_500) {
      await chatty.rows('select pg_sleep(0.2)');
    }
  })();
  for (const client of [silent, fresh]) {
    const error = await lastWords(client);
    assert.equal(error?.severity, 'FATAL');
    assert.equal(error.code, '57P05');
    assert.equal(
      error.message,
      'terminating connection due to idle-session timeout (client_idle_timeout of the proxy)',
    );
  }
  const tookMs = performance.now() - startedAtMs;
  assert.ok(tookMs > 550 && tookMs < 2_000, `${tookMs} ms`);
  assert.equal((await busy.reply()).error, null);
  await talk;
  await chatty.query("notify news, 'there'");
  assert.equal((await listening.read())?.type, 'A');
  assert.equal(closed(proxy, 'client_idle_timeout'), 2);
  assert.ok(proxy.log.some((line) => line['limit'] === 'limits.client_idle_timeout'));
});

test('who is idle in a transaction is ended with 25P03, and the node has rolled it back', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes, { limits: { idle_transaction_timeout: '500ms' } });
  const client = await proxy.login();
  const other = await proxy.login();
  await other.query('create table idled(a int)');
  await client.query('begin');
  const pid = await backendPid(client);
  assert.equal((await client.query('insert into idled values (1)')).error, null);
  const error = await lastWords(client);
  assert.deepEqual([error?.severity, error?.code], ['FATAL', '25P03']);
  assert.match(error?.message ?? '', /idle-in-transaction timeout \(idle_transaction_timeout of the proxy\)/);
  await waitForBackend(cluster().primary, pid, null);
  assert.deepEqual(await other.rows('select count(*) from idled'), [['0']]);
  assert.equal(closed(proxy, 'idle_transaction_timeout'), 1);
  await other.end();
  await proxy.checkAfterAbuse();
});

test('a client that leaves its COPY, its batch or a lost transaction lying is idle in a transaction too', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes, { limits: { idle_transaction_timeout: '400ms' } });
  const copier = await proxy.login();
  await copier.query('create temp table t(a int)');
  assert.equal((await copier.query('copy t from stdin')).types, 'G');
  const batcher = await proxy.login();
  batcher.send(frontend.parse('select 1'), frontend.bind(), frontend.execute(), frontend.flush());
  const loser = await proxy.login();
  await loser.query('begin');
  await loser.query('do $$ begin perform 1/0; end $$');
  for (const client of [copier, batcher, loser]) assert.equal((await lastWords(client))?.code, '25P03');
  await proxy.checkAfterAbuse();
});

test('a COPY is not idle as long as its client goes on', async (t) => {
  const limits = { idle_transaction_timeout: '400ms', query_timeout: '400ms' };
  const proxy = await CoreProxy.start(t, cluster().nodes, { limits });
  const client = await proxy.login();
  await client.query('create temp table t(a int)');
  assert.equal((await client.query('copy t from stdin')).types, 'G');
  for (let n = 0; n < 12; n += 1) {
    await client.sendFlushed(frontend.copyData(`${n}\n`));
    assert.equal(await client.isSilentFor(100), true);
  }
  client.send(frontend.copyDone());
  assert.equal((await client.reply()).error, null);
  assert.deepEqual(await client.rows('select count(*) from t'), [['12']]);
});

test('a transaction that is open for too long is ended with 25P04, busy or not', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes, { limits: { transaction_timeout: '800ms' } });
  const busy = await proxy.login();
  await busy.query('begin');
  const pid = await backendPid(busy);
  busy.send(frontend.query('select pg_sleep(30)'));
  const short = await proxy.login();
  const talker = await proxy.login();
  await talker.query('begin');
  const talk = (async () => {
    for (let n = 0; n < 40; n += 1) {
      await short.query('begin');
      await short.rows('select pg_sleep(0.05)');
      await short.query('commit');
    }
  })();
  let heard = await talker.query('select 1');
  while (!heard.closed) heard = await talker.query('select pg_sleep(0.05)');
  assert.equal(heard.error?.code, '25P04');
  assert.equal((await lastWords(busy))?.code, '25P04');
  await talk;
  assert.equal(closed(proxy, 'transaction_timeout'), 2);
  // Its node has cancelled it, too.
  await waitForBackend(cluster().primary, pid, null);
});

test('a statement that runs for too long is cancelled on its node, and the session goes on', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes, { limits: { query_timeout: '500ms' } });
  const client = await proxy.login();
  const pid = await backendPid(client);
  const check = (error: ErrorFields | null): void => {
    assert.deepEqual([error?.severity, error?.code], ['ERROR', '57014']);
    assert.equal(error?.message, 'canceling statement due to query_timeout of the proxy');
    assert.equal(error?.detail, 'The node said: canceling statement due to user request.');
  };
  const simple = await client.query('select 1; select pg_sleep(30)');
  check(simple.error);
  assert.equal(simple.status, 'I');
  assert.deepEqual(await client.rows('select 2'), [['2']]);
  const batch = await client.unit(
    frontend.parse('select pg_sleep(30)'),
    frontend.bind(),
    frontend.execute(),
    frontend.sync(),
  );
  check(batch.error);
  client.send(frontend.parse('select pg_sleep(30)'), frontend.bind(), frontend.execute(), frontend.flush());
  for (const type of '12E') assert.equal((await client.read())?.type, type);
  assert.equal((await client.unit(frontend.sync())).types, 'Z');
  await client.query('begin');
  assert.equal((await client.query('select pg_sleep(30)')).status, 'E');
  await client.query('rollback');
  assert.equal(await backendPid(client), pid, 'it has kept its backend');
  assert.equal(proxy.app.counters.queryTimeouts.get('canceled'), 4);
  assert.equal(proxy.log.filter((line) => line['limit'] === 'limits.query_timeout').length, 4);
});

test('a read that a standby runs for too long is cancelled there, and runs nowhere else', async (t) => {
  const listeners = [{ name: 'split', address: '127.0.0.1:0', route: 'split' }];
  const limits = { query_timeout: '400ms', query_cancel_timeout: '400ms' };
  const proxy = await CoreProxy.start(t, cluster().nodes, { limits, listeners });
  const client = await proxy.login('split');
  const [session] = proxy.app.registry.all();
  const isAtStandby = async (): Promise<boolean> => {
    await client.rows('select count(*) from generate_series(1, 2)');
    return session?.lastDecision?.target === 'standby';
  };
  const what = { timeoutMs: TIMEOUT_MS, what: 'reads to go to the standby' };
  await waitFor(isAtStandby, what);
  const read = 'select count(*) from generate_series(1, 100000000)';
  const first = await client.query(read);
  assert.equal(session?.lastDecision?.target, 'standby');
  assert.deepEqual([first.error?.code, first.status], ['57014', 'I']);
  assert.match(first.error?.message ?? '', /query_timeout of the proxy/);
  await waitFor(isAtStandby, what);
  assert.ok(session?.backend);
  freezeProcess(t, session.backend.processId);
  const startedAtMs = performance.now();
  const second = await client.query(read);
  assert.deepEqual([second.error?.code, second.status], ['57014', 'I']);
  assert.ok(performance.now() - startedAtMs < 2_000);
  assert.equal(proxy.app.counters.queryTimeouts.get('canceled'), 1);
  assert.equal(proxy.app.counters.queryTimeouts.get('cut'), 1);
  assert.deepEqual(await client.rows('select 1'), [['1']]);
});

test('rows that came before it are with the client, and the error comes behind them', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes, { limits: { query_timeout: '500ms' } });
  const client = await proxy.login();
  const { rows, error } = await client.query(
    `select repeat('x', 100) from generate_series(1, 1000) n where n < 1000 or pg_sleep(30) is null`,
  );
  assert.equal(error?.message, 'canceling statement due to query_timeout of the proxy');
  assert.ok(rows.length > 500, `${rows.length} rows`);
  assert.deepEqual(await client.rows('select 2'), [['2']]);
});

test('what waits in the proxy does not count, nor does a replication connection', async (t) => {
  const limits = { query_timeout: '400ms', idle_transaction_timeout: '400ms', client_idle_timeout: '400ms' };
  const proxy = await CoreProxy.start(t, cluster().nodes, { limits, pool: { size: 1, wait_timeout: '10s' } });
  const first = await proxy.login();
  await first.rows('select 1');
  const second = await proxy.login();
  second.send(frontend.query('select 2'));
  const talkedAtMs = performance.now();
  while (performance.now() - talkedAtMs < 1_500) await first.rows('select pg_sleep(0.1)');
  await first.end();
  assert.equal((await second.reply()).error, null);
  await second.end();
  const walsender = await RawClient.login({
    port: proxy.port(),
    user: 'replicator',
    password: cluster().primary.replicationPassword,
    database: 'app',
    parameters: { replication: 'true' },
  });
  assert.equal(await walsender.isSilentFor(1_500), true);
  assert.equal(walsender.status, 'I');
  assert.equal((await walsender.query('IDENTIFY_SYSTEM')).error, null);
  await walsender.end();
});

test('a cancel request for a statement that has just ended never hits the next one', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes, { limits: { query_timeout: '200ms' } });
  const clients = await Promise.all(Array.from({ length: 6 }, () => proxy.login()));
  let canceled = 0;
  await Promise.all(
    clients.map(async (client, at) => {
      for (let n = 0; n < 12; n += 1) {
        const { error } = await client.query(`select pg_sleep(${0.2 + (n * 6 + at) * 0.0016})`);
        if (error !== null) canceled += 1;
        assert.equal((await client.query('select pg_sleep(0.02)')).error, null);
      }
    }),
  );
  t.diagnostic(`${canceled} of 72 were cancelled`);
  assert.ok(proxy.app.counters.queryTimeouts.get('canceled') === canceled);
});

test('limits are changed while sessions live', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  const client = await proxy.login();
  const reload = (limits: Record<string, string>): void => {
    assert.deepEqual(proxy.app.reload(readCoreConfig(cluster().nodes, { limits })).restart, []);
  };
  assert.equal((await client.query('select pg_sleep(1.5)')).error, null);
  reload({ query_timeout: '300ms' });
  assert.equal((await client.query('select pg_sleep(30)')).error?.code, '57014');
  reload({ client_idle_timeout: '500ms' });
  assert.equal((await client.query('select pg_sleep(2)')).error, null);
  assert.equal((await lastWords(client))?.code, '57P05');
});

test('a client that takes no bytes is cut off, and its statement with it', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes, { limits: { tcp_user_timeout: '800ms' } });
  const client = await proxy.login();
  const slow = await proxy.login();
  const pid = await backendPid(client);
  client.stopReading();
  client.send(frontend.query(`select repeat('x', 1000) from generate_series(1, 200000)`));
  slow.send(frontend.query(`select repeat('x', 1000) from generate_series(1, 20000), pg_sleep(0.5)`));
  await waitFor(() => closed(proxy, 'client_stuck') === 1, { timeoutMs: TIMEOUT_MS, what: 'the client to be cut off' });
  await waitForBackend(cluster().primary, pid, null);
  assert.equal((await slow.reply()).rows.length, 20_000);
  assert.equal(proxy.app.counters.stuckPeers.get('client'), 1);
  client.destroy();
  await slow.end();
  await proxy.checkAfterAbuse();
});

test('no session ends by a limit that is off', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  const client = await proxy.login();
  await client.query('begin');
  assert.equal(await client.isSilentFor(2_500), true);
  assert.equal((await client.query('commit')).error, null);
});

test('a node that does not obey loses its connection, and the session goes on with another one', async (t) => {
  const limits = { query_timeout: '400ms', query_cancel_timeout: '500ms' };
  const proxy = await CoreProxy.start(t, cluster().nodes, { limits });
  const client = await proxy.login();
  await client.query('create table if not exists obeyed(a int)');
  const pid = await backendPid(client);

  const thaw = await freeze(t, client);
  const read = await client.query('select count(*) from obeyed');
  assert.deepEqual([read.error?.severity, read.error?.code, read.status], ['ERROR', '57014', 'I']);
  assert.equal(read.error?.message, 'canceling statement due to query_timeout of the proxy');
  assert.match(read.error?.detail ?? '', /did not cancel it in time.*took no effect/);
  thaw();
  assert.notEqual(await backendPid(client), pid);

  await client.query('begin');
  const thawSecond = await freeze(t, client);
  const inside = await client.query('select count(*) from obeyed');
  assert.deepEqual([inside.error?.code, inside.status], ['57014', 'E']);
  assert.equal((await client.query('select 1')).error?.code, '25P02');
  thawSecond();
  assert.equal((await client.query('rollback')).status, 'I');

  const thawThird = await freeze(t, client);
  const write = await client.query('insert into obeyed values (1)');
  assert.deepEqual([write.error?.code, write.status], ['08007', 'I'], 'nobody knows what became of it');
  assert.match(write.error?.message ?? '', /query_timeout of the proxy/);
  thawThird();

  await client.query('create temp table mine(a int)');
  await freeze(t, client);
  const pinned = await client.query('select count(*) from obeyed');
  assert.deepEqual([pinned.error?.severity, pinned.error?.code, pinned.closed], ['FATAL', '57014', true]);
  assert.match(pinned.error?.detail ?? '', /temporary/);
  assert.equal(proxy.app.counters.queryTimeouts.get('cut'), 4);
  assert.equal(closed(proxy, 'query_timeout'), 1);
});

test('a statement that refuses to be cancelled is cut off all the same', async (t) => {
  const limits = { query_timeout: '300ms', query_cancel_timeout: '300ms' };
  const proxy = await CoreProxy.start(t, cluster().nodes, { limits });
  const client = await proxy.login();
  const pid = await backendPid(client);
  await client.query('begin');
  const stubborn = `do $$ begin perform pg_sleep(30); exception when query_canceled then perform pg_sleep(30); end $$`;
  const { error, status } = await client.query(stubborn);
  assert.deepEqual([error?.code, status], ['57014', 'E']);
  await waitForBackend(cluster().primary, pid, null);
});

test('a node that does not answer the proxy itself is cut off too, and nobody waits for it', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes, { limits: { query_timeout: '500ms' } });
  const client = await proxy.login();
  const pid = Number(await backendPid(client));
  // What it has left behind is asked when the session has been idle for a moment.
  assert.equal((await client.query('do $$ begin perform 1; end $$')).error, null);
  freezeProcess(t, pid);
  const [session] = proxy.app.registry.all();
  await waitFor(() => session?.isAtBoundary === false, { timeoutMs: TIMEOUT_MS, what: 'the node to be asked' });
  const { error, closed: isClosed } = await client.query('select 1');
  assert.deepEqual([error?.severity, error?.code, isClosed], ['FATAL', '57014', true]);
  assert.match(error?.message ?? '', /did not answer the proxy for 500ms \(query_timeout of the proxy\)/);
});

test('a node that takes no bytes is cut off', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes, { limits: { tcp_user_timeout: '600ms' } });
  const client = await proxy.login();
  await client.query('create table if not exists poured(a text)');
  assert.equal((await client.query('begin')).error, null);
  await backendPid(client);
  assert.equal((await client.query('copy poured from stdin')).types, 'G');
  const pid = Number(
    (await cluster().sql(`select pid from pg_stat_activity where query like 'copy poured%'`))[0]?.['pid'],
  );
  freezeProcess(t, pid);
  client.send(...Array.from({ length: 400 }, () => frontend.copyData(`${'x'.repeat(65_536)}\n`)), frontend.copyDone());
  const { error, status } = await client.reply();
  assert.equal(error?.code, '40001');
  assert.match(error?.message ?? '', /the node took no bytes for 600ms \(tcp_user_timeout of the proxy\)/);
  assert.equal(status, 'E');
  assert.equal((await client.query('rollback')).status, 'I');
  assert.deepEqual(await client.rows('select 1'), [['1']]);
  assert.equal(proxy.app.counters.stuckPeers.get('node'), 1);
});

/** Kinds of the timer of each connection that the proxy's process has with this port (Linux, proc(5): 02 is keep-alive). */
async function timersOf(port: number): Promise<readonly string[]> {
  const lines = (await readFile('/proc/net/tcp', 'utf8')).trim().split('\n').slice(1);
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  return lines
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local = '', , state]) => local.endsWith(`:${hex}`) && state === '01')
    .map((fields) => fields[5]?.slice(0, 2) ?? '');
}

test('connections of clients are tested by TCP as the configuration says when they come', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  await proxy.login();
  assert.deepEqual(await timersOf(proxy.port()), ['02']);
  proxy.app.reload(readCoreConfig(cluster().nodes, { limits: { tcp_keepalive: '0' } }));
  await proxy.login();
  assert.deepEqual([...(await timersOf(proxy.port()))].sort(), ['00', '02']);
});

const run = promisify(execFile);
const { user, password, database } = roles.app;

test('psql goes on behind a statement that was cancelled, and says why its connection is ended', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes, { limits: { query_timeout: '400ms' } });
  const parameters = ['-XAtq', '-h', '127.0.0.1', '-p', String(proxy.port()), '-U', user, database];
  const statements = ['\\set VERBOSITY verbose', 'select pg_sleep(30)', 'select 41 + 1'].flatMap((text) => [
    '-c',
    text,
  ]);
  const env = { ...process.env, PGPASSWORD: password };
  const { stdout, stderr } = await run('psql', [...parameters, ...statements], { env, timeout: TIMEOUT_MS });
  assert.match(
    stderr,
    /^ERROR: {2}57014: canceling statement due to query_timeout of the proxy\nDETAIL: {2}The node said:/,
  );
  assert.equal(stdout, '42\n');
  proxy.app.reload(readCoreConfig(cluster().nodes, { limits: { transaction_timeout: '400ms' } }));
  const ended = run('psql', [...parameters, ...statements], { env, timeout: TIMEOUT_MS });
  await assert.rejects(ended, /FATAL: {2}25P04: terminating connection due to transaction timeout/);
});

// To psycopg2 a connection that ends with a FATAL is gone, and no more; it is the same with PostgreSQL's own time-outs.
test('psycopg2 knows a time-out by its SQLSTATE, or finds its connection gone', async (t) => {
  const limits = {
    client_idle_timeout: '500ms',
    idle_transaction_timeout: '500ms',
    transaction_timeout: '1500ms',
    query_timeout: '700ms',
  };
  const proxy = await CoreProxy.start(t, cluster().nodes, { limits });
  const program = `
import sys, time, psycopg2
def connect():
    return psycopg2.connect(sys.argv[1])
def attempt(connection, statement):
    cursor = connection.cursor()
    try:
        cursor.execute(statement)
        return str(cursor.fetchone()[0])
    except psycopg2.Error as error:
        return error.pgcode or ('gone' if connection.closed else str(error))
one = connect(); one.autocommit = True
print(attempt(one, 'select pg_sleep(30)'), attempt(one, 'select 1'))
time.sleep(1.2)
print(attempt(one, 'select 1'))
two = connect()
print(attempt(two, 'select 2'))
time.sleep(1.2)
print(attempt(two, 'select 2'))
three = connect()
said = '3'
while said == '3':
    said = attempt(three, 'select 3 from pg_sleep(0.4)')
print(said)
`;
  const dsn = `host=127.0.0.1 port=${proxy.port()} user=${user} password=${password} dbname=${database}`;
  const { stdout } = await run('/usr/bin/python3', ['-c', program, dsn], { timeout: 2 * TIMEOUT_MS });
  assert.deepEqual(stdout.trim().split('\n'), ['57014 1', 'gone', '2', 'gone', 'gone']);
});
