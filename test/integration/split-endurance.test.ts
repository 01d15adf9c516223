import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { sql } from '../support/postgres-server.js';
import { waitFor } from '../support/processes.js';
import type { RawClient } from '../support/raw-client.js';
import { frontend } from '../support/raw-messages.js';
import { TIMEOUT_MS, sessionsOn } from './core-lab.js';
import { explained, readsAt, run, splitCluster, standbyOf, startSplit, went } from './split-lab.js';

const cluster = splitCluster([
  `create function setting(name text) returns text stable language sql as $$ select current_setting(name, true) $$`,
  'create function prepared_count() returns bigint stable language sql as $$ select count(*) from pg_prepared_statements $$',
]);

const { parse, bind, execute, sync } = frontend;

/** Bytes in use on the heap, without garbage. */
function heapBytes(): number {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  assert.ok(typeof collect === 'function');
  collect();
  return process.memoryUsage().heapUsed;
}

test('the backend on a standby is given back when it was not used for long enough, and had again with the state of the session', async (t) => {
  const proxy = await startSplit(t, cluster(), { routing: { standby_idle: '1s' }, pool: { reuse: false } });
  const client = await explained(proxy, 'eventual');
  await run(client, "set app.kept to 'yes'");
  await client.unit(parse('select here(), setting($1)', { name: 'kept' }), sync());
  for (const at of ['attached', 'parked'] as const) {
    const node = await standbyOf(cluster(), client);
    const use = () => client.unit(bind({ statement: 'kept', values: ['app.kept'] }), execute(), sync());
    assert.deepEqual((await use()).rows, [[node.name, 'yes']]);
    assert.equal(await sessionsOn(node), 1);
    if (at === 'parked') await run(client, 'delete from notes where false');
    await waitFor(async () => (await sessionsOn(node)) === 0, {
      timeoutMs: TIMEOUT_MS,
      what: `${node.name} to be left, ${at}`,
    });
    const again = await use();
    assert.deepEqual([went(again), again.rows[0]?.[1]], [['standby (read)'], 'yes']);
  }
  // While it is used it stays: one that reads without a pause keeps its backend, and a transaction there is not broken.
  const node = await standbyOf(cluster(), client);
  const [before] = await sql(node, "select pid from pg_stat_activity where usename = 'app'");
  await run(client, 'begin isolation level repeatable read read only', 'select 1', 'select pg_sleep(2.5)');
  assert.equal(await readsAt(client), node.name);
  await run(client, 'commit');
  const [after] = await sql(node, "select pid from pg_stat_activity where usename = 'app'");
  assert.deepEqual(after, before);
});

test('a session that goes to and fro keeps its two backends, and its memory does not grow', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await proxy.login('eventual');
  await client.unit(
    parse('select here(), $1::text', { name: 'read' }),
    parse('update notes set note = $1 where false', { name: 'write' }),
    sync(),
  );
  const read = (n: number): Buffer =>
    Buffer.concat([bind({ statement: 'read', values: [String(n)] }), execute(), sync()]);
  const write = (n: number): Buffer =>
    Buffer.concat([bind({ statement: 'write', values: [String(n)] }), execute(), sync()]);
  const alternate = async (units: number): Promise<void> => {
    for (let n = 0; n < units / 2; n += 1) {
      // Some through the unnamed statement, and some as text with other literals each time.
      if (n % 50 === 0) await client.extended('select $1::text', ['unnamed']);
      if (n % 50 === 25) await run(client, `select 'text ${n}'`, `delete from notes where note = 'none ${n}'`);
      client.send(read(n), write(n));
      const [first, second] = [await client.reply(), await client.reply()];
      if (first.rows[0]?.[1] !== String(n) || first.rows[0][0] === 'node1' || second.error !== null) {
        assert.fail(`unit ${n}: ${JSON.stringify([first.rows, second.error])}`);
      }
    }
  };
  await alternate(4_000);
  const node = await standbyOf(cluster(), client);
  const pids = async (): Promise<unknown> =>
    Promise.all(
      [cluster().primary, node].map((each) => sql(each, "select pid from pg_stat_activity where usename = 'app'")),
    );
  const [pidsBefore, heapBefore] = [await pids(), heapBytes()];
  await alternate(20_000);
  assert.deepEqual(await pids(), pidsBefore);
  const grownBytes = heapBytes() - heapBefore;
  assert.ok(grownBytes < 3 * 1024 * 1024, `${grownBytes} bytes more`);
  const [prepared] = await client.rows('select count(*) from pg_prepared_statements');
  assert.ok(Number(prepared?.[0]) <= 3, String(prepared));
  await proxy.waitForRest(1, 2);
});

test('a thousand names that come and go leave nothing behind on either node', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await proxy.login('eventual');
  for (let n = 0; n < 1_000; n += 1) {
    const name = `s${n}`;
    const at = n % 2 === 0 ? 'select here()' : 'delete from notes where false returning here()';
    const reply = await client.unit(
      parse(at, { name }),
      bind({ statement: name }),
      execute(),
      frontend.close('S', name),
      sync(),
    );
    assert.equal(reply.error, null);
  }
  // What was closed on the other node meanwhile is closed with what is brought there next.
  await run(client, "set app.other to 'thing'", 'select 1');
  assert.deepEqual(await client.rows('/* switchyard: primary */ select here(), prepared_count()'), [['node1', '0']]);
  const [[node, count] = []] = await client.rows('select here(), prepared_count()');
  assert.deepEqual([node === 'node1', count], [false, '0']);
});

test('sessions that come and go leave no backend behind', async (t) => {
  const proxy = await startSplit(t, cluster());
  for (let n = 0; n < 30; n += 1) {
    const client = await proxy.login('eventual');
    await run(client, 'select 1', 'delete from notes where false', 'select 2');
    if (n % 3 === 0) client.destroy();
    else await client.end();
  }
  await proxy.checkAfterAbuse();
  for (const { name } of cluster().nodes) {
    const session = [...proxy.app.registry.all()].filter((each) => each.nodes.some((node) => node === name));
    assert.deepEqual(session, []);
  }
});

test('what one session has left on its two backends is not there for the next one that gets them', async (t) => {
  const proxy = await startSplit(t, cluster());
  const both = async (client: RawClient, expression: string): Promise<unknown[]> => [
    (await client.rows(`/* switchyard: primary */ select here() = 'node1', ${expression}`))[0],
    (await client.rows(`select here() = 'node1', ${expression}`))[0],
  ];
  const first = await proxy.login('eventual');
  await run(first, "set work_mem to '11MB'", "set timezone to 'Asia/Tokyo'", 'prepare p as select here()', 'execute p');
  await first.unit(parse('select here()', { name: 'q' }), bind({ statement: 'q' }), execute(), sync());
  await run(first, '/* switchyard: primary */ execute p', "set role to 'app'", 'select 1');
  assert.deepEqual(await both(first, "setting('work_mem')"), [
    ['t', '11MB'],
    ['f', '11MB'],
  ]);
  await first.end();
  await waitFor(() => proxy.backends.idle >= 2, { timeoutMs: TIMEOUT_MS, what: 'both backends to be in the pool' });
  const opened = proxy.backends;
  const next = await proxy.login('eventual');
  assert.deepEqual(await both(next, "setting('work_mem')"), [
    ['t', '4MB'],
    ['f', '4MB'],
  ]);
  assert.deepEqual(await both(next, 'prepared_count()'), [
    ['t', '0'],
    ['f', '0'],
  ]);
  const [zone] = await both(next, "setting('timezone')");
  assert.notDeepEqual(zone, ['t', 'Asia/Tokyo']);
  // They are the same ones.
  assert.equal(proxy.backends.used + proxy.backends.idle, opened.used + opened.idle);
});
