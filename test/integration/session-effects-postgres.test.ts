import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import type { TestContext } from 'node:test';
import { PinReason } from '../../src/sql/pin-reason.js';
import { sql, startPostgres } from '../support/postgres-server.js';
import { RawClient } from '../support/raw-client.js';
import { frontend } from '../support/raw-messages.js';
import { roles } from '../support/roles.js';
import { ClaimedState } from '../unit/sql/claimed-state.js';
import { StatementReader } from '../unit/sql/read-statements.js';
import { rowTables, statementRows } from '../unit/sql/statement-rows.js';

let reader: StatementReader;

before(async () => {
  reader = await StatementReader.load();
});

/** Statements that leave something of every kind behind, for others to take it away. */
const full: readonly string[] = [
  'CREATE TEMP TABLE x1 (id serial, a int)',
  'CREATE TEMP TABLE x2 (a int)',
  'CREATE TEMP TABLE x3 (a int)',
  'CREATE TEMP TABLE x44 (a int)',
  'CREATE TEMP VIEW x9 AS SELECT 1 AS a',
  'CREATE TEMP SEQUENCE b',
  'CREATE TEMP TABLE no_such_table (a int)',
  'DECLARE c1 CURSOR WITH HOLD FOR SELECT 1',
  'DECLARE "all" CURSOR WITH HOLD FOR SELECT 2',
  'LISTEN news',
  'LISTEN "*"',
  'PREPARE s1 AS SELECT 1',
  'PREPARE s2 AS SELECT 2',
  'PREPARE "S 1" AS SELECT 3',
  'PREPARE prepare AS SELECT 4',
  'PREPARE "all" AS SELECT 5',
  "PREPARE p1 AS SELECT set_config('a.b', 'prepared', false)",
  'SELECT pg_advisory_lock(77)',
  'SET search_path = a, public',
  "SET TIME ZONE 'Asia/Tokyo'",
  "SET work_mem = '7MB'",
  "SELECT set_config('a.b', 'full', false)",
];

const SETTINGS_OF_TESTS = [
  'a.b',
  'a.c',
  'app.name',
  'app.deep.name',
  'session.user_id',
  'local.x',
  'names.x',
  'transaction.x',
  'a.b.c.d.e.f.g.h.i.j',
];

/** All settings of a session, without those of a transaction and those that come with a language when it is first used. */
const settingsQuery = `
  select name, setting from pg_settings where name not like 'transaction\\_%' and name not like 'plpgsql.%'
  union all select name, coalesce(current_setting(name, true), '') from unnest(array[${SETTINGS_OF_TESTS.map((name) => `'${name}'`).join()}]) name
  union all select 'session_user', session_user union all select 'current_user', current_user
  order by 1`;

/** What else a session can leave behind, one row each: its kind, and what exactly. */
const leftoversQuery = `
  select 'relation', relname from pg_class c where relnamespace = pg_my_temp_schema() and relkind in ('r', 'v', 'S')
    and not exists (select from pg_depend d where d.objid = c.oid and d.deptype in ('a', 'i') and d.classid = 'pg_class'::regclass)
  union all select 'object', proname from pg_proc where pronamespace = pg_my_temp_schema()
  union all select 'object', typname from pg_type t where typnamespace = pg_my_temp_schema() and typtype in ('c', 'd', 'e', 'r')
    and not exists (select from pg_class c where c.oid = t.typrelid and c.relkind <> 'c')
  union all select 'lock', objid::text from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()
  union all select 'cursor', name from pg_cursors where is_holdable and name <> ''
  union all select 'channel', c from pg_listening_channels() c
  union all select 'prepared', name from pg_prepared_statements where from_sql
  union all select 'slot', slot_name from pg_replication_slots where temporary`;

interface Left {
  readonly settings: readonly string[];
  readonly of: (kind: string) => readonly string[];
}

async function leftBy(client: RawClient): Promise<Left> {
  const rows = await client.rows(leftoversQuery);
  const settings = await client.rows(settingsQuery);
  return {
    settings: settings.map((row) => row.join(' = ')),
    of: (kind) =>
      rows
        .filter((row) => row[0] === kind)
        .map((row) => row[1] ?? '')
        .sort(),
  };
}

/** A session whose statements are analysed as they are run, and a second one that is to become like it. */
class Pair {
  readonly #login: () => Promise<RawClient>;
  #claimed = new ClaimedState();
  #first: RawClient;
  #second: RawClient;

  private constructor(login: () => Promise<RawClient>, first: RawClient, second: RawClient) {
    this.#login = login;
    this.#first = first;
    this.#second = second;
  }

  static async open(t: TestContext, port: number): Promise<Pair> {
    const login = (): Promise<RawClient> => RawClient.login({ port, ...roles.superuser });
    const pair = new Pair(login, await login(), await login());
    t.after(() => {
      pair.#first.destroy();
      pair.#second.destroy();
    });
    return pair;
  }

  /** Runs a string; gives whether all of it succeeded. What failed has no effects. */
  async run(text: string): Promise<boolean> {
    const { statements } = reader.analyze(text);
    let reply = await this.#first.query(text);
    if (reply.types.endsWith('G')) reply = await this.#first.unit(frontend.copyFail('not today'));
    if (this.#first.status !== 'I') await this.#first.rows('ROLLBACK');
    if (reply.error !== null) return false;
    assert.equal(reply.tags.length, statements.length, `${text}: as many results as statements`);
    for (const statement of statements) this.#claimed.apply(statement);
    return true;
  }

  /** The claims are what PostgreSQL says. */
  async check(text: string): Promise<void> {
    const claimed = this.#claimed;
    const left = await leftBy(this.#first);
    const temporary = claimed.pinned(PinReason.TemporaryObject);
    // An object without a name may be anything.
    if (temporary.has('*')) assert.ok(left.of('relation').length >= temporary.size - 1);
    else
      assert.deepEqual(
        left.of('relation'),
        [...temporary].filter((name) => !left.of('object').includes(name)).sort(),
        `${text}: temporary relations`,
      );
    for (const name of left.of('object'))
      assert.ok(temporary.has(name) || temporary.has('*'), `${text}: ${name} is left`);
    assert.deepEqual(left.of('cursor'), [...claimed.pinned(PinReason.CursorWithHold)].sort(), `${text}: cursors`);
    assert.deepEqual(left.of('channel'), [...claimed.channels].sort(), `${text}: channels`);
    assert.deepEqual(left.of('prepared'), [...claimed.prepared.keys()].sort(), `${text}: prepared statements`);
    if (left.of('lock').length > 0) assert.ok(claimed.pinned(PinReason.AdvisoryLock).size > 0, `${text}: locks`);
    if (left.of('slot').length > 0) assert.ok(claimed.pinned(PinReason.ForeignSession).size > 0, `${text}: slots`);
    if (claimed.pinned(PinReason.Setting).size === 0) await this.#checkReplay(text, left);
  }

  /** The second session has the same settings and prepared statements when it was told what is claimed. */
  async #checkReplay(text: string, left: Left): Promise<void> {
    await this.#second.rows('DISCARD ALL');
    for (const sql of this.#claimed.settings.values()) await this.#second.rows(sql);
    for (const { sql } of this.#claimed.prepared.values()) await this.#second.rows(sql);
    const replayed = await leftBy(this.#second);
    assert.deepEqual(
      without(replayed.settings, left.settings),
      without(left.settings, replayed.settings),
      `${text}: settings`,
    );
    assert.deepEqual(replayed.of('prepared'), left.of('prepared'), `${text}: prepared statements replayed`);
  }

  /** Begins anew. */
  async clear(): Promise<void> {
    this.#claimed = new ClaimedState();
    await this.#first.rows('DISCARD ALL');
    if ((await this.#first.rows(leftoversQuery)).length === 0) return;
    await this.#first.end();
    this.#first = await this.#login();
  }
}

function without(all: readonly string[], others: readonly string[]): readonly string[] {
  return all.filter((each) => !others.includes(each));
}

function controlsTransaction(text: string): boolean {
  const kinds = ['begin', 'commit', 'rollback', 'savepoint', 'release', 'rollback_to', 'prepare_transaction'];
  return reader.analyze(text).statements.some(({ effects }) => effects.some(({ kind }) => kinds.includes(kind)));
}

/** Of these more is claimed than what is left: whether they are about temporary objects is not known. */
const overcautious: ReadonlySet<string> = new Set(['ALTER TABLE t1 RENAME TO t7']);

const texts = Object.values(statementRows)
  .flat()
  .map(([text]) => text);

for (const [situation, statements] of [
  ['a new session', []],
  ['a session with all kinds of state', full],
] as const) {
  test(`in ${situation}, what a statement leaves behind in PostgreSQL is exactly what was told`, async (t) => {
    const server = await startPostgres(t);
    await sql(server, rowTables);
    const pair = await Pair.open(t, server.port);
    let succeeded = 0;
    for (const text of texts) {
      if (controlsTransaction(text) || overcautious.has(text)) continue;
      for (const statement of statements) assert.ok(await pair.run(statement), statement);
      if (await pair.run(text)) succeeded += 1;
      await pair.check(text);
      await pair.clear();
    }
    assert.ok(succeeded > 200, `only ${succeeded} statements ran`);
  });
}

test('roles and session users are brought back in the order in which they take each other away', async (t) => {
  const server = await startPostgres(t);
  await sql(server, `${rowTables} create role third superuser; grant other to third;`);
  const pair = await Pair.open(t, server.port);
  for (const all of [
    ['SET ROLE other', 'SET SESSION AUTHORIZATION third'],
    ['SET SESSION AUTHORIZATION third', 'SET ROLE other'],
    ['SET ROLE other', 'RESET SESSION AUTHORIZATION'],
    ['SET SESSION AUTHORIZATION third', 'SET ROLE other', 'RESET ROLE'],
    ['SET ROLE other', 'RESET ALL'],
    ['SET SESSION AUTHORIZATION third', 'RESET ALL'],
    ["SELECT set_config('session_authorization', 'third', false), set_config('role', 'other', false)"],
  ]) {
    for (const text of all) assert.ok(await pair.run(text), text);
    await pair.check(all.join('; '));
    await pair.clear();
  }
});

test('what the parser of this version refuses, this PostgreSQL refuses too, and the other way round', async (t) => {
  const server = await startPostgres(t);
  await sql(server, rowTables);
  const client = await RawClient.login({ port: server.port, ...roles.superuser });
  t.after(() => client.destroy());
  let refused = 0;
  for (const text of texts) {
    const { statements } = reader.analyze(text);
    const isUnknown = statements[0]?.effects.some(
      (effect) => effect.kind === 'pin' && effect.reason === PinReason.UnknownStatement,
    );
    // A protocol-level Parse looks at the grammar first, and runs nothing.
    const reply = await client.unit(frontend.parse(text), frontend.sync());
    const isSyntaxError =
      reply.error?.code === '42601' && !reply.error.message.startsWith('cannot insert multiple commands');
    assert.equal(isUnknown === true, isSyntaxError, `${text}: ${reply.error?.message ?? 'no error'}`);
    if (isSyntaxError) refused += 1;
  }
  assert.ok(refused > 3);
});
