import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';
import { Client } from 'pg';
import postgres from 'postgres';
import { PostgresCluster } from '../support/postgres-cluster.js';
import { roles } from '../support/roles.js';
import { SwitchyardProcess } from '../support/switchyard-process.js';

const run = promisify(execFile);
const PROGRAMS = resolve('test/drivers/programs');
const JDBC = '/usr/share/java/postgresql.jar';
const PROGRAM_TIMEOUT_MS = 60_000;
/** As many backends as the most that one program holds at a time in transactions. */
const TRANSACTION_POOL = 4;
const { user, password, database } = roles.app;

/** The proxy in front of a primary and a standby, with SCRAM and without any password of a client in its configuration. */
for (const mode of ['session', 'transaction'] as const) {
  for (const route of ['primary', 'split'] as const) driversThrough(route, mode);
}

function driversThrough(route: 'primary' | 'split', mode: 'session' | 'transaction'): void {
  describe(`drivers through the ${route} route, unchanged, pool mode ${mode}`, () => {
    let port = 0;
    let standbyPort = 0;
    let adminPort = 0;
    let folder = '';
    const closers: (() => unknown)[] = [];
    // Servers that outlive single tests are closed behind the last one.
    const lasting = { after: (close: () => unknown) => void closers.unshift(close) } as unknown as TestContext;

    before(async () => {
      folder = await mkdtemp(join(tmpdir(), 'switchyard-drivers-'));
      const cluster = await PostgresCluster.start(lasting, { standbys: 1 });
      const yard = await SwitchyardProcess.start(lasting, {
        cluster: {
          nodes: [cluster.primary, ...cluster.standbys].map((node) => ({
            name: node.name,
            host: '127.0.0.1',
            port: node.port,
          })),
          monitor: { user: roles.monitor.user, password: roles.monitor.password },
        },
        listeners: [
          { name: 'all', address: '127.0.0.1:0', route },
          { name: 'standby', address: '127.0.0.1:0', route: 'standby' },
        ],
        pool: mode === 'session' ? {} : { mode, size: TRANSACTION_POOL },
        auth: { query: 'SELECT * FROM switchyard.user_lookup($1)' },
        admin: { address: '127.0.0.1:0' },
      });
      port = yard.port('all');
      standbyPort = yard.port('standby');
      adminPort = yard.adminPort;
    });

    after(async () => {
      for (const close of closers) await close();
      await rm(folder, { recursive: true, force: true });
    });

    const dsn = () => `postgres://${user}:${password}@127.0.0.1:${port}/${database}`;
    const program = (command: string, ...parameters: string[]) =>
      run(command, parameters, { timeout: PROGRAM_TIMEOUT_MS, env: { ...process.env, PGPASSWORD: password } });

    it('psql', async () => {
      const { stdout } = await program(
        'psql',
        ...['-XAtq', '-h', '127.0.0.1', '-p', String(port), '-U', user, database],
        ...[
          '-c',
          'create table psql(a int)',
          '-c',
          "\\copy psql from program 'seq 5'",
          '-c',
          'select sum(a) from psql',
          '-c',
          '\\d psql',
        ],
      );
      assert.match(stdout, /^15\n/);
    });

    it('node-postgres', async () => {
      const client = new Client({ connectionString: dsn() });
      await client.connect();
      const named = { name: 'one', text: 'select $1::int + 1 as n' };
      for (let i = 0; i < 3; i += 1)
        assert.deepEqual((await client.query({ ...named, values: [i] })).rows, [{ n: i + 1 }]);
      await client.query('begin');
      await assert.rejects(client.query('select 1/0'), { code: '22012' });
      await client.query('rollback');
      assert.ok(Array.isArray(await client.query('select 1; select 2')), 'one result for each statement');
      await client.end();
    });

    it('postgres.js, which pipelines', async () => {
      const sql = postgres(dsn(), { max: 3 });
      const numbers = Array.from({ length: 200 }, (_, i) => i);
      const answers = await Promise.all(numbers.map((n) => sql`select ${n}::int as n`));
      assert.deepEqual(
        answers.map((rows) => rows[0]?.['n']),
        numbers,
      );
      await sql.begin(async (transaction) => {
        await transaction`create temporary table t(a int)`;
        await transaction`insert into t select generate_series(1, 10)`;
        assert.equal((await transaction`select count(*)::int as n from t`)[0]?.['n'], 10);
      });
      await sql.end();
    });

    it('psycopg2', async () => {
      assert.match((await program('/usr/bin/python3', join(PROGRAMS, 'with_psycopg2.py'), dsn())).stdout, /passed/);
    });

    it('asyncpg', async () => {
      assert.match((await program('/usr/bin/python3', join(PROGRAMS, 'with_asyncpg.py'), dsn())).stdout, /passed/);
    });

    it('JDBC', async () => {
      await program('javac', '-d', folder, join(PROGRAMS, 'WithJdbc.java'));
      const url = `jdbc:postgresql://127.0.0.1:${port}/${database}?user=${user}&password=${password}&prepareThreshold=2`;
      assert.match((await program('java', '-cp', `${JDBC}:${folder}`, 'WithJdbc', url)).stdout, /passed/);
    });

    const readsGoToTheStandby = async (): Promise<void> => {
      const at = ['-h', '127.0.0.1', '-p', String(port), '-U', user, '-n'];
      await program('pgbench', ...at, '-i', '-q', database);
      // Until the catalogue is there, and the standby has what was written, reads go to the primary.
      const reads = async (): Promise<number> => {
        const text = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
        return Number(
          /switchyard_routed_total{route="split",target="standby",reason="read"} (\d+)/.exec(text)?.[1] ?? 0,
        );
      };
      const before = await reads();
      await program('pgbench', ...at, '-S', '-M', 'prepared', '-c', '4', '-j', '2', '-t', '2500', database);
      const share = ((await reads()) - before) / 10_000;
      assert.ok(share > 0.95, `${share}`);
    };
    if (route === 'split') it('of the reads of pgbench -S, over 95 % run on the standby', readsGoToTheStandby);

    it('pgbench, in every protocol, on both routes', async () => {
      const at = (where: number) => ['-h', '127.0.0.1', '-p', String(where), '-U', user, '-n'];
      await program('pgbench', ...at(port), '-i', '-q', database);
      for (const protocol of ['simple', 'extended', 'prepared']) {
        const load = ['-M', protocol, '-c', '4', '-j', '2', '-t', '200', database];
        for (const parameters of [['-N', ...at(port)], ['-S', ...at(port)], ['-S', ...at(standbyPort)], at(port)]) {
          const { stdout } = await program('pgbench', ...parameters, ...load);
          assert.match(stdout, /number of transactions actually processed: 800\/800/, stdout);
          assert.match(stdout, /number of failed transactions: 0 /, stdout);
        }
      }
    });
  });
}
