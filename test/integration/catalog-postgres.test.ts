import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { TestContext } from 'node:test';
import { Client } from 'pg';
import { stringify } from 'yaml';
import type { ExplainDocument } from '../../src/admin/explain.js';
import { openMonitor } from '../../src/backend/open-monitor.js';
import type { PostgresServer } from '../../src/cli/demo/postgres/server.js';
import { loadCatalog } from '../../src/cluster/catalog-loader.js';
import { Catalogs } from '../../src/cluster/catalogs.js';
import { MonitorQuery } from '../../src/cluster/monitor-query.js';
import { parseConfig } from '../../src/config/load.js';
import { silentLogger } from '../../src/log.js';
import type { Catalog } from '../../src/sql/catalog.js';
import type { CatalogSnapshot } from '../../src/sql/catalog-snapshot.js';
import { nodeName } from '../../src/util/brand.js';
import { systemClock } from '../../src/util/clock.js';
import { nodeViewOf, viewOf } from '../support/cluster-fakes.js';
import { FakeClock } from '../support/fake-clock.js';
import { createPostgres, sql } from '../support/postgres-server.js';
import { waitFor } from '../support/processes.js';
import { roles } from '../support/roles.js';
import { runSwitchyard } from '../support/switchyard-process.js';
import { builtInSnapshot } from '../unit/sql/catalog-rows.js';
import { StatementReader } from '../unit/sql/read-statements.js';

const TIMEOUT_MS = 30_000;
const REFRESH_MS = 60_000;
const SHOP = new URL('../../../test/fixtures/catalog/shop.sql', import.meta.url);
/** A role that may do nothing but log in. */
const nobody = { user: 'nobody', password: 'nothing' } as const;

let server: PostgresServer;
let reader: StatementReader;
let databases = 0;

before(async () => {
  reader = await StatementReader.load();
  server = await createPostgres();
  await server.start();
  await sql(server, `CREATE ROLE ${nobody.user} LOGIN PASSWORD '${nobody.password}'`);
});

after(() => server.close());

/** A new database, dropped after the test. */
async function makeDatabase(t: TestContext, ...statements: string[]): Promise<string> {
  databases += 1;
  const name = `catalog_${databases}`;
  await sql(server, `CREATE DATABASE ${name}`);
  t.after(() => sql(server, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`));
  for (const statement of statements) await sql(server, statement, { database: name });
  return name;
}

function configOf(): object {
  return {
    cluster: {
      nodes: [{ name: 'a', host: server.host, port: server.port }],
      monitor: { user: nobody.user, password: nobody.password },
    },
    listeners: [{ name: 'app', address: '127.0.0.1:0', route: 'split' }],
  };
}

/** Catalogues as the proxy has them, of the real server, by a clock that the test turns. */
class Lab {
  readonly clock = new FakeClock();
  readonly catalogs: Catalogs;
  readonly #monitor: MonitorQuery;
  loads = 0;

  constructor(t: TestContext, readFunctions: readonly string[] = []) {
    const { config } = parseConfig(stringify(configOf()), { fileName: 'test.yaml', env: {}, folder: '/' });
    const name = nodeName('a');
    const node = nodeViewOf(name, { host: server.host, port: server.port });
    const view = { ...viewOf(), primary: name, nodes: new Map([[name, node]]) };
    this.#monitor = new MonitorQuery(
      (host, port, database) => openMonitor(config, { host, port, database }, TIMEOUT_MS, systemClock),
      () => view,
      systemClock,
    );
    this.catalogs = new Catalogs(
      { refreshMs: REFRESH_MS, rules: { readFunctions, writeFunctions: [] } },
      {
        clock: this.clock,
        logger: silentLogger,
        monitor: this.#monitor,
        analyzer: () => reader.analyzer,
        onLoad: () => void (this.loads += 1),
      },
    );
    t.after(() => {
      this.catalogs.close();
      this.#monitor.close();
    });
  }

  /** Waits for the next loading. */
  async load(database: string): Promise<Catalog | null> {
    const before = this.loads;
    this.catalogs.of(database);
    await waitFor(() => this.loads > before, { timeoutMs: TIMEOUT_MS, what: 'the catalogue to be loaded' });
    return this.catalogs.of(database);
  }

  /** The same after DDL was run. */
  async reload(database: string): Promise<Catalog | null> {
    this.clock.advance(1_000);
    this.catalogs.changed(database);
    return this.load(database);
  }
}

/** `read`, or the obstacle with its name. */
function say(catalog: Catalog | null, text: string): string {
  const [statement] = reader.analyze(text).statements;
  assert.ok(statement !== undefined && catalog !== null, text);
  const verdict = catalog.verdictOf(statement);
  if (verdict.isRead) return 'read';
  return verdict.name === null ? verdict.obstacle : `${verdict.obstacle} ${verdict.name}`;
}

async function snapshotOf(database: string): Promise<CatalogSnapshot> {
  const { user, password } = roles.superuser;
  const { config } = parseConfig(
    stringify({
      ...configOf(),
      cluster: { nodes: [{ name: 'a', host: server.host, port: server.port }], monitor: { user, password } },
    }),
    { fileName: 'test.yaml', env: {}, folder: '/' },
  );
  const connection = await openMonitor(
    config,
    { host: server.host, port: server.port, database },
    TIMEOUT_MS,
    systemClock,
  );
  try {
    const loaded = await loadCatalog((text) => connection.query(text), database, reader.analyzer);
    assert.ok(loaded !== null);
    return loaded.snapshot;
  } finally {
    connection.close();
  }
}

test('one of each kind of thing is told by a role that may only log in', async (t) => {
  const database = await makeDatabase(t, readFileSync(SHOP, 'utf8'));
  const catalog = await new Lab(t).load(database);
  for (const [text, said] of [
    ['SELECT app.price(id) FROM app.items', 'read'],
    ['SELECT app.touch(1)', 'volatile_function app.touch'],
    ['SELECT touch(1)', 'volatile_function app.touch'],
    // One form of it is volatile.
    ['SELECT app.both(1)', 'volatile_function app.both'],
    ['SELECT lower(name) FROM app.items', 'volatile_function evil.lower'],
    ['SELECT pg_catalog.lower(name) FROM app.items', 'read'],
    ['SELECT app."Odd Name"(1)', 'volatile_function app."Odd Name"'],
    ['SELECT i.label FROM app.items i', 'read'],
    ['SELECT i.visited FROM app.items i', 'volatile_function app.visited'],
    ['SELECT app.quiet_sum(id::int) FROM app.items', 'read'],
    ['SELECT app.noting_sum(1)', 'volatile_function app.noting_sum'],
    ['SELECT app.ended_sum(1)', 'volatile_function app.ended_sum'],
    ['SELECT 1 OPERATOR(app.+?) 2', 'volatile_operator app.noting'],
    ['SELECT 1 OPERATOR(app.+!) 2', 'read'],
    ['SELECT 1::app.coin', 'volatile_cast app.to_coin'],
    ['SELECT NULL::app.small_coin', 'volatile_cast app.to_coin'],
    ["SELECT 'small'::app.size", 'read'],
    ['SELECT * FROM app.cache', 'unlogged_relation app.cache'],
    ['SELECT * FROM app.parted', 'unlogged_relation app.parted'],
    ['SELECT * FROM app.whole', 'read'],
    ['SELECT last_value FROM app.items_id_seq', 'node_bound_relation app.items_id_seq'],
    ['SELECT * FROM app.remote', 'node_bound_relation app.remote'],
    // In the query of a view a name is what it was when the view was made.
    ['SELECT * FROM app.cheap', 'read'],
    ['SELECT * FROM app.cheapest', 'read'],
    ['SELECT * FROM app.counted', 'view_not_read app.counted'],
    ['SELECT * FROM app.over_counted', 'view_not_read app.over_counted'],
    ['SELECT * FROM app.cached', 'view_not_read app.cached'],
    ['SELECT * FROM app.locked', 'view_not_read app.locked'],
    ['SELECT * FROM app.who', 'view_not_read app.who'],
    ['SELECT * FROM app.noted', 'view_not_read app.noted'],
    ['SELECT * FROM app.coins', 'view_not_read app.coins'],
    ['SELECT * FROM app."Ärger"', 'view_not_read app.Ärger'],
    // Reading it does not run its query.
    ['SELECT * FROM app.seen', 'read'],
    ['SELECT * FROM information_schema.columns, pg_indexes', 'read'],
    ['SELECT no_such(1)', 'unknown_function no_such'],
  ] as const) {
    assert.equal(say(catalog, text), said, text);
  }
  assert.equal(catalog?.obstacleWithin('app.coins')?.obstacle, 'volatile_cast');
});

test('functions that become volatile, shadow others or go are seen with the next loading', async (t) => {
  const database = await makeDatabase(
    t,
    'CREATE FUNCTION public.price(int) RETURNS int LANGUAGE sql STABLE AS $$SELECT 1$$',
    'CREATE VIEW public.prices AS SELECT public.price(1)',
    'CREATE SCHEMA other',
  );
  const lab = new Lab(t);
  const run = (text: string): Promise<unknown> => sql(server, text, { database });
  const first = await lab.load(database);
  assert.equal(say(first, 'SELECT price(1) FROM prices'), 'read');
  // Nothing has changed: the verdicts stay.
  assert.equal(await lab.reload(database), first);
  await run('CREATE TABLE public.other (id int)');
  assert.equal(await lab.reload(database), first);
  await run('CREATE OR REPLACE FUNCTION public.price(int) RETURNS int LANGUAGE sql VOLATILE AS $$SELECT 1$$');
  let catalog = await lab.reload(database);
  assert.equal(say(catalog, 'SELECT price(1)'), 'volatile_function public.price');
  assert.equal(say(catalog, 'SELECT * FROM prices'), 'view_not_read public.prices');
  await run('ALTER FUNCTION public.price(int) STABLE');
  assert.equal(say(await lab.reload(database), 'SELECT price(1) FROM prices'), 'read');
  await run('CREATE FUNCTION other.price(text) RETURNS int LANGUAGE sql VOLATILE AS $$SELECT 1$$');
  catalog = await lab.reload(database);
  assert.equal(say(catalog, 'SELECT price(1)'), 'volatile_function other.price');
  assert.equal(say(catalog, 'SELECT public.price(1) FROM prices'), 'read');
  await run('ALTER SCHEMA other RENAME TO another');
  assert.equal(say(await lab.reload(database), 'SELECT price(1)'), 'volatile_function another.price');
  await run('DROP FUNCTION another.price(text)');
  assert.equal(say(await lab.reload(database), 'SELECT another.price(1)'), 'unknown_function another.price');
  await run('CREATE OR REPLACE VIEW public.prices AS SELECT pg_catalog.pg_backend_pid() AS price');
  assert.equal(say(await lab.reload(database), 'SELECT * FROM prices'), 'view_not_read public.prices');
  await run('ALTER TABLE public.other SET UNLOGGED');
  assert.equal(say(await lab.reload(database), 'TABLE other'), 'unlogged_relation public.other');
  // Functions of other sessions' temporary schemas are nobody's.
  const client = new Client({ ...roles.superuser, host: server.host, port: server.port, database });
  await client.connect();
  await client.query('CREATE FUNCTION pg_temp.price(int) RETURNS int LANGUAGE sql VOLATILE AS $$SELECT 1$$');
  assert.equal(say(await lab.reload(database), 'SELECT price(1)'), 'read');
  await client.end();
});

test('an extension is seen when it comes', async (t) => {
  const [row] = await sql(
    server,
    `SELECT count(*)::int AS n FROM pg_available_extensions WHERE name IN ('pg_trgm', 'uuid-ossp')`,
  );
  if (row?.['n'] !== 2) {
    t.skip('this PostgreSQL has no such extensions');
    return;
  }
  const database = await makeDatabase(t);
  const lab = new Lab(t, ['uuid_generate_v4']);
  assert.equal(say(await lab.load(database), "SELECT similarity('a', 'b')"), 'unknown_function similarity');
  await sql(server, 'CREATE EXTENSION pg_trgm; CREATE EXTENSION "uuid-ossp"', { database });
  lab.clock.advance(5_000);
  lab.catalogs.missed(database);
  const catalog = await lab.load(database);
  assert.equal(say(catalog, "SELECT similarity('a', 'b'), 'a' % 'b', name <-> 'x' FROM t"), 'read');
  assert.equal(say(catalog, 'SELECT set_limit(0.5)'), 'volatile_function public.set_limit');
  assert.equal(say(catalog, 'SELECT uuid_generate_v1()'), 'volatile_function public.uuid_generate_v1');
  assert.equal(say(catalog, 'SELECT uuid_generate_v4()'), 'read');
});

test('a database that the monitor role may not enter has no catalogue, until it may', async (t) => {
  const database = await makeDatabase(t);
  await sql(server, `REVOKE CONNECT ON DATABASE ${database} FROM PUBLIC`);
  const lab = new Lab(t);
  assert.equal(await lab.load(database), null);
  assert.match(lab.catalogs.troubleOf(database) ?? '', /permission denied for database/);
  await sql(server, `GRANT CONNECT ON DATABASE ${database} TO ${nobody.user}`);
  lab.clock.advance(REFRESH_MS);
  assert.equal(say(await lab.load(database), 'SELECT now()'), 'read');
  assert.equal(lab.catalogs.troubleOf(database), null);
});

test('nothing of ours is in the way of DROP DATABASE, and the catalogue goes with it', async (t) => {
  const database = await makeDatabase(t);
  const lab = new Lab(t);
  assert.notEqual(await lab.load(database), null);
  // The backend of the loading may take a moment to end.
  await sql(server, `DROP DATABASE ${database}`);
  lab.clock.advance(REFRESH_MS);
  assert.equal(await lab.load(database), null);
  await sql(server, `CREATE DATABASE ${database}`);
  await sql(server, 'CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS $$SELECT 1$$', { database });
  lab.clock.advance(REFRESH_MS);
  assert.equal(say(await lab.load(database), 'SELECT f()'), 'volatile_function public.f');
});

test('ten thousand functions and a thousand views are a catalogue like any other', async (t) => {
  const database = await makeDatabase(
    t,
    `DO $$BEGIN FOR i IN 1..10000 LOOP
       EXECUTE format('CREATE FUNCTION public.f%s(int) RETURNS int LANGUAGE sql %s AS %L', i,
         CASE WHEN i % 2 = 0 THEN 'STABLE' ELSE 'VOLATILE' END, 'SELECT 1');
     END LOOP;
     FOR i IN 1..1000 LOOP EXECUTE format('CREATE VIEW public.v%s AS SELECT public.f%s(1)', i, i); END LOOP; END$$`,
  );
  const catalog = await new Lab(t).load(database);
  assert.equal(say(catalog, 'SELECT f10000(1) FROM v1000'), 'read');
  assert.equal(say(catalog, 'SELECT f9999(1)'), 'volatile_function public.f9999');
  assert.equal(say(catalog, 'SELECT * FROM v999'), 'view_not_read public.v999');
  assert.ok((catalog?.snapshot.functions.length ?? 0) > 12_000);
});

test('a table that is locked costs its own views their verdict only, and only for so long', async (t) => {
  const database = await makeDatabase(
    t,
    'CREATE TABLE public.a (id int); CREATE TABLE public.b (id int)',
    ...Array.from(
      { length: 20 },
      (_, at) => `CREATE VIEW public.v${at} AS SELECT * FROM public.${at === 7 ? 'a' : 'b'}`,
    ),
  );
  const client = new Client({ ...roles.superuser, host: server.host, port: server.port, database });
  await client.connect();
  await client.query('BEGIN; LOCK TABLE public.a IN ACCESS EXCLUSIVE MODE');
  const lab = new Lab(t);
  const locked = await lab.load(database);
  assert.equal(say(locked, 'SELECT * FROM v7'), 'view_not_read public.v7');
  for (const name of ['v6', 'v8', 'v19']) assert.equal(say(locked, `SELECT * FROM ${name}`), 'read');
  await client.query('ROLLBACK');
  await client.end();
  assert.equal(say(await lab.reload(database), 'SELECT * FROM v7'), 'read');
});

test('the snapshot in the fixtures is that of an empty database', async (t) => {
  const fixture = builtInSnapshot();
  const major = Math.floor(fixture.serverVersion / 10_000);
  const database = await makeDatabase(t);
  const { functions, ...rest } = await snapshotOf(database);
  if (Math.floor(rest.serverVersion / 10_000) !== major) {
    t.skip(`the fixture is of PostgreSQL ${major}`);
    return;
  }
  const names = (rows: typeof functions): string[] =>
    rows.map(({ schema, name, isVolatile }) => `${schema}.${name} ${isVolatile}`).sort();
  assert.deepEqual(names(functions), names(fixture.functions));
  const { database: _, serverVersion: __, functions: ___, ...others } = fixture;
  const { database: ____, serverVersion: _____, ...found } = rest;
  assert.deepEqual(found, others);
});

test('the command explains by the catalogue of the cluster, and saves it for later', async (t) => {
  const database = await makeDatabase(t, readFileSync(SHOP, 'utf8'));
  const folder = await mkdtemp(join(tmpdir(), 'switchyard-explain-'));
  t.after(() => rm(folder, { recursive: true }));
  const [config, catalog] = [join(folder, 'switchyard.yaml'), join(folder, 'shop.json')];
  await writeFile(config, stringify(configOf()));
  const live = ['explain', '--config', config, '--database', database];
  const text = 'SELECT app.price(1); SELECT * FROM app.over_counted';
  const told = await runSwitchyard([...live, '--save-catalog', catalog, text]);
  assert.equal(told.code, 1, told.output);
  assert.match(told.output, /STANDBY {2}SELECT app\.price/);
  assert.match(
    told.output,
    /PRIMARY {2}SELECT \* FROM app\.over_counted\n.*app\.over_counted.*\n.*app\.counted.*\n.*nextval/,
  );
  assert.doesNotMatch(await readFile(catalog, 'utf8'), new RegExp(nobody.password));
  const saved = await runSwitchyard(['explain', '--catalog', catalog, '--json', 'SELECT app.touch(1)']);
  assert.equal(saved.code, 1, saved.output);
  assert.equal((JSON.parse(saved.output) as ExplainDocument).statements[0]?.name, 'app.touch');
  const missing = await runSwitchyard(['explain', '--config', config, '--database', 'nowhere', 'SELECT 1']);
  assert.equal(missing.code, 2, missing.output);
  assert.match(missing.output, /There is no catalogue to be had: node a: .*does not exist/);
});
