import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { Access, noNames } from '../../../src/sql/analysis.js';
import type { NamesUsed } from '../../../src/sql/analysis.js';
import { Catalog, verdictWithoutCatalog } from '../../../src/sql/catalog.js';
import type { CatalogRules } from '../../../src/sql/catalog-rules.js';
import type { CatalogSnapshot, FunctionRow, HiddenCall, ViewRow } from '../../../src/sql/catalog-snapshot.js';
import { obstacleOfAccess, ReadObstacle } from '../../../src/sql/read-obstacle.js';
import type { ReadVerdict } from '../../../src/sql/read-obstacle.js';
import { builtInSnapshot, placed } from './catalog-rows.js';
import { StatementReader } from './read-statements.js';

let reader: StatementReader;
const builtIn = builtInSnapshot();
const noRules: CatalogRules = { readFunctions: [], writeFunctions: [] };

before(async () => {
  reader = await StatementReader.load();
});

function fn(name: string, isVolatile: boolean): FunctionRow {
  return { ...placed(name), isVolatile };
}

function hidden(name: string, called: string): HiddenCall {
  return { ...placed(name), function: placed(called) };
}

function view(name: string, names: Partial<NamesUsed>, access: Access = Access.Read): ViewRow {
  return { ...placed(name), reading: { access, names: { ...noNames, ...names } } };
}

/** A database with what is said, beside what every database has. */
function catalogOf(over: Partial<CatalogSnapshot> = {}, rules: Partial<CatalogRules> = {}): Catalog {
  const functions = [...builtIn.functions, ...(over.functions ?? [])];
  return new Catalog({ ...builtIn, ...over, functions }, { ...noRules, ...rules });
}

function verdictOf(catalog: Catalog | null, sql: string | Buffer): ReadVerdict {
  const [statement, second] = reader.analyze(sql).statements;
  assert.ok(statement !== undefined && second === undefined, String(sql));
  return catalog === null ? verdictWithoutCatalog(statement) : catalog.verdictOf(statement);
}

/** `read`, or the obstacle with its name. */
function say(catalog: Catalog | null, sql: string | Buffer): string {
  const verdict = verdictOf(catalog, sql);
  if (verdict.isRead) return 'read';
  return verdict.name === null ? verdict.obstacle : `${verdict.obstacle} ${verdict.name}`;
}

function check(catalog: Catalog | null, rows: readonly (readonly [sql: string, said: string])[]): void {
  for (const [sql, said] of rows) assert.equal(say(catalog, sql), said, sql);
}

test('functions of PostgreSQL are reads where they change nothing and belong to no node', () => {
  check(catalogOf(), [
    ['select 1', 'read'],
    ['select count(*), sum(x), lower(y), now() from t where a like $$x%$$ and b between 1 and 2 group by z', 'read'],
    ['select random(), clock_timestamp(), gen_random_uuid(), pg_sleep(0), timeofday()', 'read'],
    ['select pg_relation_size($$t$$), has_table_privilege($$t$$, $$select$$), version(), current_user', 'read'],
    ['select extract(day from x), x at time zone $$utc$$, substring(y from 1 for 2) from t', 'read'],
    ['select * from t tablesample system (1)', 'read'],
    ['select json_agg(x), jsonb_agg(y) from t', 'read'],
    ['select * from pg_class, information_schema.tables, pg_stats, pg_roles', 'read'],
    ['select nextval($$s$$)', 'volatile_function nextval'],
    ['select currval($$s$$)', 'volatile_function currval'],
    ['select set_config($$a.b$$, $$c$$, false)', 'volatile_function set_config'],
    ['select setseed(0.1)', 'volatile_function setseed'],
    ['select pg_advisory_lock(1)', 'volatile_function pg_advisory_lock'],
    ['select pg_try_advisory_xact_lock(1)', 'volatile_function pg_try_advisory_xact_lock'],
    ['select pg_notify($$a$$, $$b$$)', 'volatile_function pg_notify'],
    ['select lo_get(1)', 'volatile_function lo_get'],
    ['select pg_export_snapshot()', 'volatile_function pg_export_snapshot'],
    ['select pg_terminate_backend(1)', 'volatile_function pg_terminate_backend'],
    ['select query_to_xml($$select 1$$, true, true, $$$$)', 'volatile_function query_to_xml'],
    ['select table_to_xml($$t$$, true, true, $$$$)', 'volatile_function table_to_xml'],
    // Stable, and yet they assign an identifier.
    ['select txid_current()', 'volatile_function txid_current'],
    ['select pg_current_xact_id()', 'volatile_function pg_current_xact_id'],
    ['select pg_is_in_recovery()', 'node_bound_function pg_is_in_recovery'],
    ['select inet_server_addr()', 'node_bound_function inet_server_addr'],
    ['select pg_backend_pid()', 'node_bound_function pg_backend_pid'],
    ['select current_setting($$transaction_read_only$$)', 'node_bound_function current_setting'],
    ['select pg_stat_get_numscans(1)', 'node_bound_function pg_stat_get_numscans'],
    ['select pg_last_wal_replay_lsn()', 'node_bound_function pg_last_wal_replay_lsn'],
    ['select pg_current_wal_lsn()', 'node_bound_function pg_current_wal_lsn'],
    ['select pg_read_file($$x$$)', 'node_bound_function pg_read_file'],
    ['select pg_ls_dir($$x$$)', 'node_bound_function pg_ls_dir'],
    ['select pg_sequence_last_value(1)', 'node_bound_function pg_sequence_last_value'],
    ['select no_such(1)', 'unknown_function no_such'],
    ['select pg_catalog.no_such(1)', 'unknown_function pg_catalog.no_such'],
  ]);
});

test('relations of PostgreSQL that show something else on each node are no reads', () => {
  const catalog = catalogOf();
  for (const name of [
    'pg_stat_activity',
    'pg_statio_user_tables',
    'pg_stat_replication',
    'pg_locks',
    'pg_settings',
    'pg_cursors',
    'pg_prepared_statements',
    'pg_prepared_xacts',
    'pg_replication_slots',
    'pg_hba_file_rules',
    'pg_sequences',
  ]) {
    assert.equal(say(catalog, `select * from ${name}`), `node_bound_relation ${name}`);
    assert.equal(say(catalog, `select * from pg_catalog.${name}`), `node_bound_relation pg_catalog.${name}`);
    assert.equal(say(catalog, `select * from app.${name}`), 'read');
  }
});

test('a name without a schema means every function of that name, one with a schema only that', () => {
  const catalog = catalogOf({
    functions: [fn('evil.lower', true), fn('app.price', false), fn('app.nextval', false), fn('app.touch', true)],
  });
  check(catalog, [
    ['select lower(x) from t', 'volatile_function evil.lower'],
    ['select pg_catalog.lower(x) from t', 'read'],
    ['select evil.lower(x) from t', 'volatile_function evil.lower'],
    ['select price(1)', 'read'],
    ['select app.price(1)', 'read'],
    ['select other.price(1)', 'unknown_function other.price'],
    ['select app.nextval(1)', 'read'],
    ['select nextval($$s$$)', 'volatile_function nextval'],
    ['select db.app.touch(1)', 'volatile_function app.touch'],
    // What the grammar makes of special forms is PostgreSQL's own.
    ['select trim(x), position($$a$$ in x) from t', 'read'],
  ]);
});

test('the configuration allows functions, and forbids them; what it forbids comes first', () => {
  const functions = [fn('app.touch', true), fn('other.touch', true), fn('app.pure', false), fn('app.Odd Name', true)];
  const catalog = catalogOf(
    { functions },
    {
      readFunctions: [
        'touch',
        'current_setting',
        'pg_catalog.pg_backend_pid',
        '"Odd Name"',
        'both_lists',
        'unheard_of',
      ],
      writeFunctions: ['app.pure', 'both_lists', 'now'],
    },
  );
  check(catalog, [
    ['select touch(1), app.touch(1), other.touch(2)', 'read'],
    ['select current_setting($$a.b$$), pg_backend_pid(), pg_catalog.pg_backend_pid()', 'read'],
    ['select app."Odd Name"(1)', 'read'],
    ['select unheard_of()', 'read'],
    ['select pure(1)', 'write_function pure'],
    ['select app.pure(1)', 'write_function app.pure'],
    ['select other.pure(1)', 'unknown_function other.pure'],
    ['select both_lists()', 'write_function both_lists'],
    ['select pg_catalog.now()', 'write_function pg_catalog.now'],
  ]);
  const placedOnly = catalogOf({ functions }, { readFunctions: ['app.touch'] });
  check(placedOnly, [
    ['select app.touch(1)', 'read'],
    ['select touch(1)', 'volatile_function other.touch'],
    ['select other.touch(1)', 'volatile_function other.touch'],
  ]);
});

test('operators and types are no reads when a volatile function is behind them', () => {
  const over: Partial<CatalogSnapshot> = {
    functions: [fn('app.noting', true)],
    volatileOperators: [hidden('app.+?', 'app.noting'), hidden('evil.>=', 'evil.ge')],
    volatileTypes: [hidden('app.coin', 'app.to_coin')],
  };
  check(catalogOf(over), [
    ['select 1 + 2', 'read'],
    ['select 1 +? 2', 'volatile_operator app.noting'],
    ['select 1 operator(app.+?) 2', 'volatile_operator app.noting'],
    ['select 1 operator(other.+?) 2', 'read'],
    ['select * from t where a between 1 and 2', 'volatile_operator evil.ge'],
    ['select * from t where a not between 1 and 2', 'read'],
    ['select 1::coin', 'volatile_cast app.to_coin'],
    ['select cast(1 as app.coin[])', 'volatile_cast app.to_coin'],
    ['select 1::int, $$x$$::text', 'read'],
  ]);
  check(catalogOf(over, { readFunctions: ['noting', 'evil.ge', 'app.to_coin'] }), [
    ['select 1 +? 2, 1::coin from t where a between 1 and 2', 'read'],
  ]);
});

test('unlogged relations, sequences and foreign tables are no reads, whatever schema finds them', () => {
  const catalog = catalogOf({
    unloggedRelations: [placed('app.cache')],
    nodeBoundRelations: [placed('app.items_id_seq'), placed('app.remote')],
  });
  check(catalog, [
    ['select * from cache', 'unlogged_relation app.cache'],
    ['select * from a join (select 1 from app.cache) b on true', 'unlogged_relation app.cache'],
    ['select * from other.cache', 'read'],
    ['with cache as (select 1) select * from cache', 'read'],
    ['select last_value from items_id_seq', 'node_bound_relation app.items_id_seq'],
    ['table remote', 'node_bound_relation app.remote'],
    ['copy app.cache to stdout', 'unlogged_relation app.cache'],
  ]);
});

test('a view is a read when all that it runs is, however deep', () => {
  const nextval = { functions: [{ schema: 'pg_catalog', name: 'nextval' }] };
  const over = (...views: ViewRow[]): Partial<CatalogSnapshot> => ({
    views,
    unloggedRelations: [placed('app.cache')],
  });
  const from = (name: string): Partial<NamesUsed> => ({ relations: [placed(name)] });
  const views = [
    view('app.cheap', { relations: [placed('app.items')] }),
    view('app.counted', nextval),
    view('app.over', from('app.counted')),
    view('app.over_over', from('app.over')),
    view('app.over_cheap', from('app.cheap')),
    view('app.cached', from('app.cache')),
    view('app.locked', {}, Access.RowLock),
    view('app.loop', from('app.pool')),
    view('app.pool', from('app.loop')),
    { ...placed('app.unread'), reading: null },
  ];
  const catalog = catalogOf(over(...views));
  check(catalog, [
    ['select * from cheap, app.over_cheap, app.loop, pool', 'read'],
    ['select * from counted', 'view_not_read app.counted'],
    ['select * from over_over', 'view_not_read app.over_over'],
    ['select * from other.over_over', 'read'],
    ['select * from cached', 'view_not_read app.cached'],
    ['select * from locked', 'view_not_read app.locked'],
    ['select * from unread', 'view_not_read app.unread'],
  ]);
  assert.deepEqual(catalog.obstacleWithin('app.over_over'), {
    isRead: false,
    obstacle: ReadObstacle.ViewNotRead,
    name: 'app.over',
  });
  assert.deepEqual(catalog.obstacleWithin('app.counted'), {
    isRead: false,
    obstacle: ReadObstacle.VolatileFunction,
    name: 'nextval',
  });
  assert.equal(catalog.obstacleWithin('app.cheap'), null);
  assert.equal(catalog.obstacleWithin('app.nowhere'), null);
  check(catalogOf(over(...views), { readFunctions: ['nextval'] }), [['select * from over_over', 'read']]);
});

test('a.b is a call where a volatile function takes a row', () => {
  const catalog = catalogOf({
    functions: [fn('app.visited', true), fn('app.label', false)],
    volatileAttributes: [placed('app.visited')],
  });
  check(catalog, [
    ['select i.label, i.name from items i', 'read'],
    ['select i.visited from items i', 'volatile_function app.visited'],
    ['select (i).visited from items i', 'volatile_function app.visited'],
  ]);
  check(catalogOf({ volatileAttributes: [placed('app.visited')] }, { readFunctions: ['app.visited'] }), [
    ['select i.visited from items i', 'read'],
  ]);
  check(catalogOf({ functions: [fn('app.label', false)] }, { writeFunctions: ['label', 'name'] }), [
    ['select i.label from items i', 'write_function label'],
    ['select i.name from items i', 'write_function name'],
    ['select i.other from items i', 'read'],
  ]);
});

test('names beyond ASCII are known as UTF-8, and in doubt are what is no read', () => {
  const catalog = catalogOf({ unloggedRelations: [placed('app.Ärger')], functions: [fn('app.größe', false)] });
  check(catalog, [
    ['select * from "Ärger"', 'unlogged_relation app.Ärger'],
    ['select * from "Ä", größer', 'read'],
    ['select größe(1)', 'read'],
    ['select größer(1)', 'unknown_function größer'],
  ]);
  assert.equal(say(catalog, Buffer.from('select * from "\u00C4rger"', 'latin1')), 'unlogged_relation app.Ärger');
  const unreadable = catalogOf({ unloggedRelations: [placed('app.\uFFFDrger')] });
  assert.equal(say(unreadable, 'select * from "Ä"'), 'unlogged_relation app.�rger');
  assert.equal(say(unreadable, 'select * from a'), 'read');
});

test('what the grammar says is said before any name', () => {
  const catalog = catalogOf();
  check(catalog, [
    ['select no_such() from t for update', 'row_lock'],
    ['with x as (delete from t returning *) select * from x', 'write'],
    ['select * into u from t', 'into'],
    ['begin', 'transaction'],
    ['set a.b = 1', 'session'],
    ['show all', 'show'],
    ['explain analyze select 1', 'explain_analyze'],
    ['explain select nextval($$s$$)', 'volatile_function nextval'],
    ['explain select 1', 'read'],
    ['execute p', 'execute'],
    ['create table t ()', 'definition'],
    ['vacuum', 'utility'],
    ['selec 1', 'unknown'],
  ]);
  const obstacles = Object.values(Access).filter((access) => access !== Access.Read);
  assert.equal(new Set(obstacles.map(obstacleOfAccess)).size, obstacles.length);
  assert.equal(obstacleOfAccess(Access.Read), null);
});

test('a verdict is kept with its statement, and not with the rules of another catalogue', () => {
  const [statement] = reader.analyze('select touch(1)').statements;
  assert.ok(statement !== undefined);
  const functions = [fn('app.touch', true)];
  const strict = catalogOf({ functions });
  assert.equal(strict.verdictOf(statement), strict.verdictOf(statement));
  assert.equal(catalogOf({ functions }, { readFunctions: ['touch'] }).verdictOf(statement).isRead, true);
  assert.equal(strict.verdictOf(statement).isRead, false);
});

test('without a catalogue only what names nothing is a read', () => {
  check(null, [
    ['select 1', 'read'],
    ['values (1), (2)', 'read'],
    ['select $$x$$, null, current_date', 'read'],
    ['select * from pg_catalog.pg_class', 'read'],
    ['select 1::int4', 'no_catalog'],
    ['select 1 operator(pg_catalog.+) 2', 'read'],
    ['select * from pg_catalog.pg_locks', 'no_catalog'],
    ['select * from pg_class', 'no_catalog'],
    ['select now()', 'no_catalog'],
    ['select 1 + 2', 'no_catalog'],
    ['select a.b from (values (1)) a', 'no_catalog'],
    ['update t set a = 1', 'write'],
  ]);
});
