import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { Client, Pool } from 'pg';
import postgres from 'postgres';
import { roles } from '../support/roles.js';
import type { CoreProxy } from './core-lab.js';
import { splitCluster, startSplit } from './split-lab.js';

const cluster = splitCluster();

interface Row {
  readonly node: string;
  readonly value: string;
}

const READ = 'select here() as node, $1::text as value';
const WRITE = 'insert into notes(note) values ($1) returning here() as node, note as value';

function optionsOf(proxy: CoreProxy, listener: string) {
  return { host: '127.0.0.1', port: proxy.port(listener), ...roles.app };
}

async function pgClient(t: TestContext, proxy: CoreProxy, listener = 'split'): Promise<Client> {
  const client = new Client(optionsOf(proxy, listener));
  client.on('error', () => {});
  t.after(() => client.end());
  await client.connect();
  return client;
}

test('node-postgres: simple, extended and named statements read from a standby, and writes are read back', async (t) => {
  const proxy = await startSplit(t, cluster());
  const client = await pgClient(t, proxy);
  for (let n = 0; n < 30; n += 1) {
    const value = `pg ${n}`;
    const write = await client.query<Row>({ name: 'write', text: WRITE, values: [value] });
    assert.deepEqual(write.rows, [{ node: 'node1', value }]);
    const back = await client.query<Row>({
      name: 'back',
      text: 'select note as value from notes where note = $1',
      values: [value],
    });
    assert.deepEqual(back.rows, [{ value }]);
    await client.query<Row>({ name: 'read', text: READ, values: [value] });
    await client.query<Row>(READ, [value]);
    await client.query('select 1');
  }
  const relaxed = await pgClient(t, proxy, 'eventual');
  for (const query of [
    { text: READ },
    { text: READ, name: 'named' },
    { text: "select here() as node, 'x' as value" },
  ]) {
    const { rows } = await relaxed.query<Row>({ ...query, values: query.text.includes('$1') ? ['x'] : [] });
    assert.equal(rows[0]?.value, 'x');
    assert.notEqual(rows[0]?.node, 'node1');
  }
});

test('node-postgres: transactions of a pool are whole, with reads of others in between', async (t) => {
  const proxy = await startSplit(t, cluster());
  const pool = new Pool({ ...optionsOf(proxy, 'split'), max: 6 });
  t.after(() => pool.end());
  pool.on('error', () => {});
  await pool.query("insert into notes(note) values ('balance 0')");
  await Promise.all(
    Array.from({ length: 40 }, async (_, n) => {
      const client = await pool.connect();
      try {
        await client.query('begin');
        await client.query('insert into notes(note) values ($1)', [`tx ${n}`]);
        const { rows } = await client.query<{ count: string }>('select count(*) from notes where note = $1', [
          `tx ${n}`,
        ]);
        assert.equal(rows[0]?.count, '1');
        await client.query(n % 4 === 0 ? 'rollback' : 'commit');
        const after = await client.query<{ count: string }>('select count(*) from notes where note = $1', [`tx ${n}`]);
        assert.equal(after.rows[0]?.count, n % 4 === 0 ? '0' : '1');
      } finally {
        client.release();
      }
      assert.equal((await pool.query('select id from items')).rows.length, 100);
    }),
  );
});

test('postgres.js: its pipelines, its prepared statements and its cursors', async (t) => {
  const proxy = await startSplit(t, cluster());
  const db = postgres({
    ...optionsOf(proxy, 'eventual'),
    username: roles.app.user,
    max: 2,
    onnotice: () => {},
    fetch_types: false,
  });
  t.after(() => db.end({ timeout: 5 }));
  const reads = await Promise.all(
    Array.from({ length: 100 }, (_, n) => db<Row[]>`select here() as node, ${`js ${n}`}::text as value`),
  );
  assert.deepEqual(
    reads.map(([row]) => row?.value),
    Array.from({ length: 100 }, (_, n) => `js ${n}`),
  );
  assert.ok(reads.every(([row]) => row?.node !== 'node1'));
  const mixed = await Promise.all(
    Array.from({ length: 60 }, async (_, n): Promise<readonly Row[]> => {
      if (n % 3 === 0)
        return db<Row[]>`insert into notes(note) values (${`js ${n}`}) returning here() as node, note as value`;
      return db<Row[]>`select here() as node, ${`js ${n}`}::text as value`;
    }),
  );
  assert.deepEqual(
    mixed.map(([row]) => row?.value),
    Array.from({ length: 60 }, (_, n) => `js ${n}`),
  );
  assert.ok(mixed.every(([row], n) => n % 3 !== 0 || row?.node === 'node1'));
  const inside = await db.begin(async (tx) => {
    await tx`insert into notes(note) values ('js inside')`;
    return tx<Row[]>`select here() as node, note as value from notes where note = 'js inside'`;
  });
  assert.deepEqual([...inside], [{ node: 'node1', value: 'js inside' }]);
  const readOnly = await db.begin('read only', (tx) => tx<Row[]>`select here() as node, 'ro' as value`);
  assert.notEqual(readOnly[0]?.node, 'node1');
  let seen = 0;
  await db`select id from items order by id`.cursor(7, (rows) => {
    seen += rows.length;
  });
  assert.equal(seen, 100);
  await assert.rejects(db`select 1 / ${0}::int`, { code: '22012' });
  await assert.rejects(db`select * from not_there`, { code: '42P01' });
});

test('drivers hear notifications while others read and write', async (t) => {
  const proxy = await startSplit(t, cluster());
  const listener = await pgClient(t, proxy);
  const speaker = await pgClient(t, proxy);
  const heard: (string | undefined)[] = [];
  const all = new Promise<void>((resolve) => {
    listener.on('notification', ({ payload }) => {
      heard.push(payload);
      if (heard.length === 10) resolve();
    });
  });
  await listener.query('listen drivers');
  for (let n = 0; n < 10; n += 1) {
    await speaker.query('select count(*) from items');
    await speaker.query('select pg_notify($1, $2)', ['drivers', String(n)]);
    await listener.query('select count(*) from items');
  }
  await all;
  assert.deepEqual(
    heard,
    Array.from({ length: 10 }, (_, n) => String(n)),
  );
});
