import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { waitFor } from '../support/processes.js';
import { RawClient } from '../support/raw-client.js';
import { frontend } from '../support/raw-messages.js';
import { roles } from '../support/roles.js';
import { CONSOLE, SHOWN, TIMEOUT_MS, consoleConfig, people, startConsoleLab } from './console-lab.js';
import type { ConsoleLab } from './console-lab.js';

const run = promisify(execFile);
const PROGRAMS = resolve('test/drivers/programs');
const JDBC = '/usr/share/java/postgresql.jar';

describe('the console', () => {
  let lab: ConsoleLab;
  let folder = '';
  const closers: (() => unknown)[] = [];

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'switchyard-console-'));
    lab = await startConsoleLab({ after: (close) => void closers.unshift(close as () => unknown) });
    // Something to be seen: reads, writes, a transaction, an error, and a client that stays.
    const client = await lab.application({ port: lab.yard.port('split') });
    await client.rows('create table items(id int primary key)');
    await client.extended('insert into items select generate_series($1::int, $2::int)', ['1', '100']);
    for (const sql of ['begin', 'select count(*) from items', 'commit', 'select 1 / 0']) await client.query(sql);
    await client.unit(frontend.parse('select $1::int', { name: 'kept' }), frontend.sync());
    await lab.application({ parameters: { application_name: 'stays' } });
  });

  after(async () => {
    for (const close of closers) await close();
    await rm(folder, { recursive: true, force: true });
  });

  const psql = (user: string, password: string, ...commands: string[]) =>
    run(
      'psql',
      [
        ...['-XAt', '-h', '127.0.0.1', '-p', String(lab.yard.port('rw')), '-U', user, CONSOLE],
        ...commands.flatMap((command) => ['-c', command]),
      ],
      { timeout: TIMEOUT_MS, env: { ...process.env, PGPASSWORD: password } },
    );
  const dsn = (person: keyof typeof people = 'admin'): string =>
    `postgres://${people[person].user}:${people[person].password}@127.0.0.1:${lab.yard.port('rw')}/${CONSOLE}`;
  const program = (command: string, ...parameters: string[]) => run(command, parameters, { timeout: 60_000 });

  describe('is understood by', () => {
    it('psql, which is not warned', async () => {
      const { user, password } = people.watcher;
      const { stdout, stderr } = await psql(
        user,
        password,
        ...SHOWN.map((name) => `show ${name.toLowerCase()};`),
        'SHOW HELP',
      );
      assert.match(stdout, /^items$|listeners\|2/m);
      assert.match(stderr, /Console usage[^]*WAIT_CLOSE/);
      assert.doesNotMatch(stderr, /WARNING|ERROR/);
      const terminal = await run('script', ['-qec', `psql -X "${dsn()}" -c "select 1"`, '/dev/null'], {
        timeout: TIMEOUT_MS,
      }).catch((error: { stdout: string }) => error);
      assert.doesNotMatch(terminal.stdout, /WARNING/);
    });

    it('psycopg2, and with it what asks PgBouncer for metrics', async () => {
      const { stdout } = await program(
        '/usr/bin/python3',
        join(PROGRAMS, 'console_psycopg2.py'),
        dsn('watcher'),
        JSON.stringify(SHOWN),
      );
      assert.match(stdout, /passed/);
    });

    it('node-postgres, simple, prepared and with a name', async () => {
      const client = new Client({ connectionString: dsn('watcher') });
      await client.connect();
      for (const name of SHOWN) {
        const simple = await client.query(`SHOW ${name}`);
        const extended = await client.query({ text: `SHOW ${name}`, values: [] });
        const named = await client.query({ name: `show-${name}`, text: `SHOW ${name}` });
        for (const result of [extended, named]) {
          assert.deepEqual(
            result.fields.map((field) => [field.name, field.dataTypeID]),
            simple.fields.map((field) => [field.name, field.dataTypeID]),
          );
        }
        assert.equal(named.command, 'SHOW');
      }
      const { rows } = await client.query({ text: 'SHOW LISTS', values: [] });
      assert.deepEqual(
        rows.find((row: { list: string }) => row.list === 'nodes'),
        { list: 'nodes', items: 2 },
      );
      await assert.rejects(client.query({ text: 'PAUSE', values: [] }), { code: '42501' });
      await client.end();
    });

    it('asyncpg, with binary results', async () => {
      const { stdout } = await program(
        '/usr/bin/python3',
        join(PROGRAMS, 'console_asyncpg.py'),
        dsn(),
        JSON.stringify(SHOWN),
      );
      assert.match(stdout, /passed/);
    });

    it('JDBC', async () => {
      await program('javac', '-d', folder, join(PROGRAMS, 'ConsoleJdbc.java'));
      const { user, password } = people.admin;
      const url = `jdbc:postgresql://127.0.0.1:${lab.yard.port('rw')}/${CONSOLE}?user=${user}&password=${password}`;
      assert.match((await program('java', '-cp', `${JDBC}:${folder}`, 'ConsoleJdbc', url, ...SHOWN)).stdout, /passed/);
    });
  });

  describe('lets in', () => {
    it('whom the configuration names, on every listener', async () => {
      for (const port of [lab.yard.port('rw'), lab.yard.port('split')]) {
        for (const person of ['admin', 'watcher'] as const) {
          const client = await lab.login(person, { port });
          assert.match((await client.rows('show version'))[0]?.[0] ?? '', /^Switchyard \d/);
          assert.equal(client.loginMethod, 'scram-sha-256');
          await client.end();
        }
      }
    });

    it('nobody else, however well he has proved who he is', async () => {
      await assert.rejects(lab.login('stranger'), /28000: user "stranger" is not allowed to use the console/);
      const { user, password } = people.stranger;
      await assert.rejects(
        psql(user, password, 'show pools'),
        /FATAL: {2}user "stranger" is not allowed to use the console/,
      );
    });

    it('nobody with a wrong password', async () => {
      await assert.rejects(lab.login('admin', { password: 'wrong' }), /28P01/);
    });
  });

  it('refuses a user who may only look everything else, and says so', async () => {
    const client = await lab.login('watcher');
    for (const command of ['PAUSE', 'resume app', 'KILL', 'RELOAD', 'SHUTDOWN', 'DRAIN node1', "SET pool.size = '5'"]) {
      const { error, status } = await client.query(command);
      assert.equal(error?.code, '42501', command);
      assert.equal(status, 'I');
    }
    assert.equal((await client.rows('show state'))[0]?.[1], 'yes');
  });

  it('says what there is when it does not understand', async () => {
    const client = await lab.login();
    const { error } = await client.query('SHOW ME THE MONEY');
    assert.equal(error?.code, '42601');
    assert.match(error?.message ?? '', /invalid command 'SHOW ME THE MONEY', use SHOW HELP/);
    assert.match(error?.detail ?? '', /PAUSE \[<database>\]/);
    const peers = await client.query('show peers');
    assert.equal(peers.error?.code, '0A000');
    assert.match(peers.error?.hint ?? '', /SHOW LISTENERS/);
  });

  it('answers several commands of one query, and stops at the first that fails', async () => {
    const client = await lab.login();
    const reply = await client.query('show version; show state; nonsense; show lists');
    assert.equal(reply.types.replaceAll(/D+/g, 'D'), 'TDCTDCEZ');
    assert.equal((await client.query('; -- nothing\n/* at all */ ;')).types, 'IZ');
  });

  it('tells what there is and what went on', async () => {
    const client = await lab.login();
    const table = async (name: string): Promise<Record<string, string | null>[]> => {
      const { rows, columns, error } = await client.query(`show ${name}`);
      assert.equal(error, null);
      return rows.map((row) => Object.fromEntries(columns.map((column, i) => [column, row[i] ?? null])));
    };
    const stays = (await table('clients')).find((row) => row['application_name'] === 'stays');
    assert.equal(stays?.['database'], roles.app.database);
    assert.equal(stays?.['listener'], 'rw');
    assert.match(stays?.['connect_time'] ?? '', /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$/);
    const me = (await table('clients')).filter((row) => row['database'] === CONSOLE && row['state'] === 'active');
    assert.equal(me.length, 1);
    const used = (await table('servers')).filter((row) => row['link'] !== '');
    const clients = new Map((await table('clients')).map((row) => [row['ptr'], row]));
    assert.ok(used.length > 0 && used.every((row) => clients.get(row['link'] ?? '')?.['user'] === row['user']));
    const pool = (await table('pools')).find((row) => row['database'] === 'app' && row['user'] === 'app');
    assert.equal(pool?.['cl_active'], '2');
    assert.equal(pool?.['pool_mode'], 'session');
    assert.ok(Number(pool?.['sv_active']) >= used.length);
    const stats = (await table('stats')).find((row) => row['database'] === 'app');
    assert.ok(Number(stats?.['total_query_count']) >= 7, JSON.stringify(stats));
    assert.equal(
      Number(stats?.['total_query_count']) - Number(stats?.['total_xact_count']),
      2,
      'BEGIN and what stands in it',
    );
    assert.equal(stats?.['total_client_login_count'], '2');
    assert.equal(stats?.['total_bind_count'], '1');
    assert.equal(stats?.['total_client_parse_count'], '2');
    assert.deepEqual(
      (await table('nodes')).map((row) => [row['role'], row['health']]),
      [
        ['primary', 'healthy'],
        ['standby', 'healthy'],
      ],
    );
    assert.deepEqual(
      (await table('prepared_statements')).map((row) => [row['name'], row['statement']]),
      [['kept', 'select $1::int']],
    );
    const looking = await lab.login('watcher');
    assert.equal((await looking.rows('show prepared_statements'))[0]?.at(-1), null, 'statements are not for everybody');
    assert.ok((await table('routes')).some((row) => row['route'] === 'split' && row['target'] === 'primary'));
  });

  it('explains where a statement goes', async () => {
    const client = await lab.login('watcher');
    const { rows, columns, error } = await client.query(
      'explain route in "app" select * from items where id = 7; update items set id = 1',
    );
    assert.equal(error, null);
    assert.deepEqual(columns.slice(0, 3), ['statement', 'target', 'reason']);
    assert.deepEqual(
      rows.map((row) => row.slice(0, 3)),
      [
        ['select * from items where id = 7', 'standby', 'read'],
        ['update items set id = 1', 'primary', 'write'],
      ],
    );
    const mistake = await client.query('explain route in app selec 1');
    assert.equal(mistake.error?.code, '42601');
    assert.match(mistake.error?.message ?? '', /syntax error/);
  });

  it('takes byte after byte', async () => {
    const client = await lab.login();
    const bytes = Buffer.concat([
      frontend.parse('show lists', { name: 's' }),
      frontend.describe('S', 's'),
      frontend.bind({ statement: 's' }),
      frontend.execute('', 2),
      frontend.execute(),
      frontend.close('S', 's'),
      frontend.sync(),
      frontend.query('show version'),
    ]);
    for (const byte of bytes) await client.sendFlushed(Buffer.from([byte]));
    const unit = await client.reply(TIMEOUT_MS);
    assert.equal(unit.types.replaceAll(/DDD+/g, 'DDD'), '1tT2DDsDDDC3Z');
    assert.equal((await client.reply(TIMEOUT_MS)).types, 'TDCZ');
  });

  it('ends a client that does not speak the protocol, and goes on with one that has only made a mistake', async () => {
    const bad = await lab.login();
    bad.send(Buffer.from('GET / HTTP/1.1\r\n\r\n'));
    const last = (await bad.closed()).map(({ body }) => body.toString('latin1')).join('');
    assert.match(last, /FATAL.*C08P01/s);
    const client = await lab.login();
    const skipped = await client.unit(frontend.bind({ statement: 'none' }), frontend.execute(), frontend.sync());
    assert.equal(skipped.error?.code, '26000');
    assert.equal(skipped.types, 'EZ');
    const parameters = await client.extended('show version', ['1']);
    assert.equal(parameters.error?.code, '08P01');
    const unclosed = await client.unit(Buffer.from([0x51, 0, 0, 0, 6, 0x61, 0x62]));
    assert.equal(unclosed.error?.code, '08P01');
    assert.equal((await client.query('show version')).error, null);
  });

  it('costs a client that reads nothing no more than a buffer', async () => {
    const client = await lab.login();
    const batch = Buffer.concat(Array.from({ length: 2000 }, () => frontend.query('show config')));
    client.stopReading();
    const sending = client.sendFlushed(batch).catch(() => {});
    const other = await lab.login();
    const pending = async (): Promise<number> => {
      const { rows, columns } = await other.query('show active_sockets');
      const at = columns.indexOf('send_avail');
      return Math.max(0, ...rows.map((row) => Number(row[at])));
    };
    await waitFor(async () => (await pending()) > 0, { timeoutMs: TIMEOUT_MS, what: 'answers to pile up' });
    await other.rows('show lists');
    assert.ok((await pending()) < 1_000_000, `${await pending()} bytes wait`);
    client.destroy();
    await sending;
    await waitFor(async () => (await pending()) === 0, { timeoutMs: TIMEOUT_MS, what: 'the slow client to be gone' });
  });

  it('takes a reload of who may do what at once', async () => {
    const client = await lab.login('watcher');
    await lab.yard.rewriteConfig(
      consoleConfig(lab.cluster, { users: [people.admin.user, people.watcher.user], stats_users: [] }),
    );
    const admin = await lab.login();
    const reload = await admin.query('RELOAD');
    assert.equal(reload.error, null);
    assert.deepEqual(reload.tags, ['RELOAD']);
    assert.match(reload.notices.map(({ message }) => message).join('\n'), /admin\.users app -> app, monitor: applied/);
    assert.equal((await client.query('DRAIN nowhere')).error?.code, '42704', 'he is an administrator now');
    await lab.yard.rewriteConfig('listeners: 7');
    const refused = await admin.query('RELOAD');
    assert.equal(refused.error?.code, 'F0000');
    assert.match(refused.error?.detail ?? '', /cluster/);
  });

  it('drains a node, and stops doing so', async () => {
    const client = await lab.login();
    const [standby] = lab.cluster.standbys;
    const drained = async () => (await client.rows('show nodes')).map((row) => `${row[0]} ${row[12]}`);
    assert.deepEqual((await client.query(`DRAIN ${standby?.name}`)).tags, ['DRAIN']);
    await waitFor(async () => (await drained()).includes(`${standby?.name} 1`), {
      timeoutMs: TIMEOUT_MS,
      what: 'the drain',
    });
    assert.deepEqual((await client.query(`undrain "${standby?.name}"`)).tags, ['UNDRAIN']);
    await waitFor(async () => !(await drained()).includes(`${standby?.name} 1`), {
      timeoutMs: TIMEOUT_MS,
      what: 'its end',
    });
    assert.equal((await client.query(`UNDRAIN ${standby?.name}`)).error?.code, '55000');
  });

  it('has a place when there is none for sessions, and no more than its own', async () => {
    const many = await Promise.all(
      Array.from({ length: 100 }, () => RawClient.login(lab.as('admin')).catch(() => null)),
    );
    try {
      await assert.rejects(lab.login(), /53300: the console has 100 clients already/);
      assert.equal((await (await lab.application()).rows('select 1'))[0]?.[0], '1', 'they are not counted as sessions');
    } finally {
      for (const client of many) client?.destroy();
    }
  });

  it('says goodbye when the proxy is told to stop', async () => {
    const client = await lab.login();
    assert.deepEqual((await client.query('SHUTDOWN WAIT_FOR_SERVERS')).tags, ['SHUTDOWN']);
    const last = (await client.closed(TIMEOUT_MS)).map(({ body }) => body.toString('latin1')).join('');
    assert.match(last, /FATAL.*C57P01/s);
    assert.equal(await lab.yard.process.ended(TIMEOUT_MS), 0);
  });
});
