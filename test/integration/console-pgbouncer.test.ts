import assert from 'node:assert/strict';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { Client } from 'pg';
import { unprivilegedIdentity } from '../../src/cli/demo/postgres/run-program.js';
import { requirePrograms } from '../support/install.js';
import { freePorts } from '../support/ports.js';
import { TestProcess, waitFor } from '../support/processes.js';
import { roles } from '../support/roles.js';
import { CONSOLE, TIMEOUT_MS, people, startConsoleLab } from './console-lab.js';

/** Tables of both; those that this PgBouncer does not have yet are left out. */
const TABLES = [
  ...['active_sockets', 'clients', 'databases', 'lists', 'mem', 'pools', 'servers', 'sockets', 'state', 'stats'],
  ...['stats_averages', 'stats_totals', 'totals', 'users', 'version', 'config'],
];
/** Tables whose first column names what the second is about: the names have to be the same too. */
const NAMED = ['lists', 'totals', 'state'];
/** What the PgBouncer of Debian 12 (1.18) calls by another name than the present one. */
const RENAMED: ReadonlyMap<string, string> = new Map([['databases.reserve_pool', 'reserve_pool_size']]);
/** More than two billion bytes are no longer an int4. */
const WIDENED = new Set(['mem.memtotal']);

interface Table {
  readonly columns: readonly (readonly [name: string, type: number])[];
  readonly names: readonly string[];
}

async function startPgBouncer(
  t: TestContext,
  server: { readonly host: string; readonly port: number },
): Promise<number> {
  const [program] = await requirePrograms('pgbouncer');
  const [port] = await freePorts(1);
  assert.ok(program !== undefined && port !== undefined);
  const folder = await mkdtemp(join(tmpdir(), 'switchyard-pgbouncer-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  await chmod(folder, 0o755);
  const file = join(folder, 'pgbouncer.ini');
  const { user, password, database } = roles.app;
  const target = `host=${server.host} port=${server.port} dbname=${database} user=${user} password=${password}`;
  const lines = ['[databases]', `app = ${target}`, '[pgbouncer]', 'listen_addr = 127.0.0.1', `listen_port = ${port}`];
  await writeFile(file, [...lines, 'unix_socket_dir =', 'auth_type = any', 'admin_users = admin', ''].join('\n'));
  const child = await TestProcess.start('pgbouncer', [program, file], { identity: unprivilegedIdentity() });
  t.after(() => child.kill());
  const use = async (): Promise<true> => {
    const client = new Client({ host: '127.0.0.1', port, user: 'admin', database: 'app' });
    await client.connect();
    try {
      await client.query('select 1');
    } finally {
      await client.end();
    }
    return true;
  };
  await waitFor(use, { timeoutMs: TIMEOUT_MS, what: 'PgBouncer to serve' });
  return port;
}

async function show(client: Client, name: string): Promise<Table | null> {
  try {
    const { fields, rows } = await client.query<Record<string, unknown>>(`SHOW ${name}`);
    return {
      columns: fields.map((field) => [field.name, field.dataTypeID] as const),
      names: rows.map((row) => String(row[fields[0]?.name ?? ''])),
    };
  } catch (error) {
    if (error instanceof Error && /invalid command/.test(error.message)) return null;
    throw error;
  }
}

test('what PgBouncer shows is shown here, with the names and types that it has there, in its order', async (t) => {
  const lab = await startConsoleLab(t);
  await (await lab.application()).rows('select 1');
  const { host, port } = lab.cluster.primary;
  const theirs = new Client({
    host: '127.0.0.1',
    port: await startPgBouncer(t, { host, port }),
    user: 'admin',
    database: 'pgbouncer',
  });
  const ours = new Client({ host: '127.0.0.1', port: lab.yard.port('rw'), ...people.admin, database: CONSOLE });
  await Promise.all([theirs.connect(), ours.connect()]);
  try {
    await compare(theirs, ours);
  } finally {
    await Promise.all([theirs.end(), ours.end()]);
  }
});

async function compare(theirs: Client, ours: Client): Promise<void> {
  let compared = 0;
  for (const name of TABLES) {
    const [their, our] = [await show(theirs, name), await show(ours, name)];
    assert.ok(our, name);
    if (their === null) continue;
    compared += 1;
    const expected = their.columns.map(([column, type]) => [RENAMED.get(`${name}.${column}`) ?? column, type] as const);
    const known = new Set(expected.map(([column]) => column));
    const shared = our.columns
      .filter(([column]) => known.has(column))
      .map(([column, type]) => [column, WIDENED.has(`${name}.${column}`) ? 23 : type]);
    assert.deepEqual(shared, expected, name);
    if (!NAMED.includes(name)) continue;
    const names = new Set(their.names);
    assert.deepEqual(
      our.names.filter((each) => names.has(each)),
      their.names,
      `${name}: rows`,
    );
  }
  assert.ok(compared >= 14, `${compared} tables were compared`);
}
