import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { TestProcess, waitFor } from '../support/processes.js';
import { RawClient } from '../support/raw-client.js';
import { frontend } from '../support/raw-messages.js';
import { roles } from '../support/roles.js';
import { SwitchyardProcess } from '../support/switchyard-process.js';
import { CoreProxy, TIMEOUT_MS, backendPid, coreConfig, sharedCluster, waitForBackend } from './core-lab.js';
import type { CoreChanges } from './core-lab.js';

const cluster = sharedCluster({
  standbys: 0,
  appStatements: ['create table written(a int)', 'alter table written owner to app'],
});
const SLEEP = 'select pg_sleep(60)';

/** The built program in front of the cluster, and how to log in. */
class Program {
  readonly yard: SwitchyardProcess;
  readonly #clients: RawClient[] = [];

  private constructor(yard: SwitchyardProcess) {
    this.yard = yard;
  }

  static async start(t: TestContext, changes: CoreChanges = {}): Promise<Program> {
    const program = new Program(await SwitchyardProcess.start(t, coreConfig(cluster().nodes, changes)));
    t.after(() => {
      for (const client of program.#clients) client.destroy();
    });
    return program;
  }

  async login(): Promise<RawClient> {
    const client = await RawClient.login({ port: this.yard.port('primary'), ...roles.app, timeoutMs: TIMEOUT_MS });
    this.#clients.push(client);
    return client;
  }

  /** Writes a new configuration, tells the program, and gives the line in which it says what came of it. */
  async reload(config: object | string): Promise<Readonly<Record<string, unknown>>> {
    const isAnswer = (record: Readonly<Record<string, unknown>>): boolean =>
      record['msg'] === 'configuration read again' || String(record['msg']).startsWith('configuration refused');
    const before = this.yard.records().filter(isAnswer).length;
    await this.yard.rewriteConfig(config);
    this.yard.reload();
    return waitFor(() => this.yard.records().filter(isAnswer)[before], {
      timeoutMs: TIMEOUT_MS,
      what: 'the configuration to be read again',
    });
  }
}

function keysOf(changes: unknown): string[] {
  assert.ok(Array.isArray(changes));
  return changes.map((change: { readonly key?: unknown }) => String(change.key)).sort();
}

async function lastOf(client: RawClient): Promise<string> {
  const { error, closed } = await client.reply();
  assert.equal(closed, true);
  return `${error?.severity} ${error?.code}`;
}

test('SIGHUP applies what can be applied, says what needs a restart, and leaves sessions alone', async (t) => {
  const program = await Program.start(t);
  const client = await program.login();
  await client.rows('begin');
  const listeners = [
    { name: 'primary', address: '127.0.0.1:0', route: 'primary' },
    { name: 'standby', address: '127.0.0.1:0', route: 'standby', fallback: 'error' },
    { name: 'another', address: '127.0.0.1:0', route: 'primary' },
  ];
  const answer = await program.reload(
    coreConfig(cluster().nodes, {
      listeners,
      monitor: { interval: '60ms' },
      limits: { max_clients: 1 },
      pool: { size: 7 },
      promotion: { hold_timeout: '9s' },
    }),
  );
  assert.deepEqual(keysOf(answer['applied']), [
    'limits.max_clients',
    'listeners[standby].fallback',
    'pool.size',
    'promotion.hold_timeout',
  ]);
  assert.deepEqual(keysOf(answer['needsRestart']), ['cluster.monitor.interval', 'listeners[another]']);
  await assert.rejects(program.login(), /53300: /);
  assert.deepEqual(await client.rows('commit'), []);
  await program.reload(coreConfig(cluster().nodes));
  const other = await program.login();
  assert.deepEqual(await other.rows('select 1'), [['1']]);
});

test('SIGHUP changes who may come in', async (t) => {
  const program = await Program.start(t);
  await (await program.login()).end();
  await program.reload(coreConfig(cluster().nodes, { auth: { rules: [{ user: 'app', method: 'reject' }] } }));
  await assert.rejects(program.login(), /28000: /);
  await program.reload(coreConfig(cluster().nodes, { auth: { users: [{ name: 'app', password: 'not this' }] } }));
  await assert.rejects(program.login(), /28P01: /);
  await program.reload(coreConfig(cluster().nodes));
  assert.deepEqual(await (await program.login()).rows('select 1'), [['1']]);
});

test('a configuration with a mistake is refused whole, and the old one stays', async (t) => {
  const program = await Program.start(t);
  const good = stringify(coreConfig(cluster().nodes, { limits: { max_clients: 1 } }));
  for (const [bad, what] of [
    [`${good}\nnonsense: 1\n`, /nonsense/],
    [good.replace('max_clients: 1', 'max_clients: many'), /limits\.max_clients/],
    [`${good}\n  : [`, /./],
    ['', /cluster/],
  ] as const) {
    const answer = await program.reload(bad);
    assert.match(String(answer['msg']), /the old one stays/);
    assert.match(JSON.stringify(answer['problems']), what);
  }
  const clients = [await program.login(), await program.login()];
  for (const client of clients) assert.deepEqual(await client.rows('select 1'), [['1']]);
  assert.equal(program.yard.process.isRunning, true);
});

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`${signal}: idle sessions are told 57P01 at once, a statement and a transaction may end first`, async (t) => {
    const program = await Program.start(t);
    const [idle, fresh, busy, begun] = [
      await program.login(),
      await program.login(),
      await program.login(),
      await program.login(),
    ];
    await idle.rows('select 1');
    await begun.rows('begin; insert into written values (1)');
    const pid = await backendPid(busy);
    busy.send(frontend.query('select pg_sleep(0.5), 42'));
    await waitForBackend(cluster().primary, pid, 'PgSleep');
    const port = program.yard.port('primary');
    program.yard.process.signal(signal);
    for (const client of [idle, fresh]) assert.equal(await lastOf(client), 'FATAL 57P01');
    await assert.rejects(RawClient.connect({ port }), /ECONNREFUSED/);
    assert.equal((await busy.reply()).rows[0]?.[1], '42');
    assert.equal(await lastOf(busy), 'FATAL 57P01');
    await begun.rows('insert into written values (2)');
    assert.equal(program.yard.process.isRunning, true);
    begun.send(frontend.query('commit'));
    assert.deepEqual((await begun.reply()).tags, ['COMMIT']);
    assert.equal(await lastOf(begun), 'FATAL 57P01');
    assert.equal(await program.yard.process.ended(TIMEOUT_MS), 0);
    assert.equal((await cluster().sql('delete from written returning a', { ...roles.app })).length, 2);
  });
}

test('a second SIGTERM ends everything at once', async (t) => {
  const program = await Program.start(t);
  const [busy, begun] = [await program.login(), await program.login()];
  await begun.rows('begin; insert into written values (1)');
  const pid = await backendPid(busy);
  busy.send(frontend.query(SLEEP));
  await waitForBackend(cluster().primary, pid, 'PgSleep');
  program.yard.process.signal('SIGTERM');
  await program.yard.waitForRecord((record) => record['msg'] === 'shutting down', 'the shutdown');
  assert.equal(await begun.isSilentFor(50), true);
  program.yard.process.signal('SIGTERM');
  for (const client of [busy, begun]) assert.equal(await lastOf(client), 'FATAL 57P01');
  const code = await program.yard.process.ended(3_000);
  assert.equal(code, 0);
  await cluster().sql(`select pg_terminate_backend(${pid})`);
  assert.deepEqual(await cluster().sql('select a from written', { ...roles.app }), []);
});

test('shutdown.timeout bounds the wait for sessions', async (t) => {
  const program = await Program.start(t, { shutdown: { timeout: '300ms' } });
  const begun = await program.login();
  await begun.rows('begin');
  const startedAtMs = performance.now();
  program.yard.process.signal('SIGTERM');
  assert.equal(await lastOf(begun), 'FATAL 57P01');
  const tookMs = performance.now() - startedAtMs;
  assert.ok(tookMs >= 295 && tookMs < 3_000, `${tookMs} ms`);
  assert.equal(await program.yard.process.ended(TIMEOUT_MS), 0);
});

test('a stop reaches sessions that are held or wait for a backend, and clients that are still on their way in', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes, { pool: { size: 1 } });
  const holder = await proxy.login();
  await holder.rows('begin');
  const waiter = await proxy.login();
  waiter.send(frontend.query('select 1'));
  await waitFor(() => proxy.app.pool.waiting === 1, { timeoutMs: TIMEOUT_MS, what: 'the session to wait' });
  const entering = await proxy.connect();
  await waitFor(() => proxy.app.startups === 1, { timeoutMs: TIMEOUT_MS, what: 'the client to be seen' });
  const stopping = proxy.app.stop();
  entering.send(frontend.startup({ user: roles.app.user, database: roles.app.database }));
  assert.equal(await lastOf(entering), 'FATAL 57P03');
  assert.equal(await lastOf(waiter), 'FATAL 57P01');
  await holder.query('rollback');
  assert.equal(await lastOf(holder), 'FATAL 57P01');
  await stopping;
  assert.equal(proxy.app.registry.size, 0);
});

test('nothing keeps a process alive after close(), whatever was under way', async () => {
  const [app, load, clock, client, engine] = [
    'src/app.js',
    'src/config/load.js',
    'src/util/clock.js',
    'test/support/raw-client.js',
    'src/net/open-engine.js',
  ].map((path) => fileURLToPath(new URL(`../../${path}`, import.meta.url)));
  const script = `
    import { App } from ${JSON.stringify(app)};
    import { parseConfig } from ${JSON.stringify(load)};
    import { systemClock } from ${JSON.stringify(clock)};
    import { RawClient } from ${JSON.stringify(client)};
    import { openEngine } from ${JSON.stringify(engine)};
    const origin = { fileName: 'core.yaml', env: {}, folder: '/nonexistent' };
    const { config } = parseConfig(process.env.CORE_CONFIG, origin);
    const silent = { trace() {}, debug() {}, info() {}, warn() {}, error() {} };
    const app = new App(config, { clock: systemClock, logger: silent, engine: openEngine('auto').engine });
    await app.start();
    const options = { port: app.listeners[0].port, ...JSON.parse(process.env.CORE_ROLE) };
    const [idle, busy, begun, knocking] = [
      await RawClient.login(options), await RawClient.login(options), await RawClient.login(options), await RawClient.connect(options),
    ];
    await (await RawClient.login(options)).end();
    await begun.rows('begin');
    busy.send(Buffer.from('Q\\0\\0\\0\\x18select pg_sleep(30)\\0'));
    await app.close();
    for (const client of [idle, busy, begun, knocking]) client.destroy();
    console.log('closed');
  `;
  const env = { CORE_CONFIG: stringify(coreConfig(cluster().nodes)), CORE_ROLE: JSON.stringify(roles.app) };
  const child = await TestProcess.start('closer', [process.execPath, '--input-type=module', '-e', script], { env });
  try {
    await child.waitForLog(/closed/, TIMEOUT_MS);
    assert.equal(await child.ended(3_000), 0);
  } finally {
    await child.kill();
  }
});
