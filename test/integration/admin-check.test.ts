import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { stringify } from 'yaml';
import { startEtcd } from '../support/etcd-server.js';
import type { EtcdServer } from '../support/etcd-server.js';
import { PostgresCluster } from '../support/postgres-cluster.js';
import { sql, startPostgres } from '../support/postgres-server.js';
import { roles } from '../support/roles.js';
import { SwitchyardProcess, runSwitchyard } from '../support/switchyard-process.js';
import { waitFor } from '../support/processes.js';

const TIMEOUT_MS = 30_000;
const LOOKUP = 'SELECT rolname, rolpassword FROM switchyard.user_lookup($1)';

type Section = Readonly<Record<string, unknown>>;

interface Wishes {
  /** Instead of the fixed nodes. */
  readonly cluster?: Section;
  readonly monitor?: Section;
  readonly auth?: Section;
}

function configOf(nodes: readonly { name: string; host: string; port: number }[], wishes: Wishes = {}): object {
  return {
    cluster: {
      ...(wishes.cluster ?? { nodes: nodes.map(({ name, host, port }) => ({ name, host, port })) }),
      monitor: { user: roles.monitor.user, password: roles.monitor.password, ...wishes.monitor },
    },
    listeners: [
      { name: 'rw', address: '127.0.0.1:0', route: 'primary' },
      { name: 'ro', address: '127.0.0.1:0', route: 'standby' },
    ],
    pool: { size: 50, max_idle: 10 },
    auth: { query: LOOKUP, ...wishes.auth },
    admin: { address: '127.0.0.1:0' },
  };
}

/** Runs `switchyard check` as a program; no secret of the configuration may be in what it says. */
async function check(t: TestContext, config: object): Promise<{ readonly code: number | null; readonly text: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'switchyard-check-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, 'switchyard.yaml');
  await writeFile(file, stringify(config));
  const { code, output } = await runSwitchyard(['check', '--config', file]);
  for (const secret of [roles.monitor.password, 'wrong-password', 'SCRAM-SHA-256$']) {
    assert.equal(output.includes(secret), false, `the output shows ${secret}`);
  }
  return { code, text: output };
}

/** The statements of the advice below a line of the output, as an administrator would copy them. */
function statementsBelow(text: string, line: RegExp): string[] {
  const lines = text.split('\n');
  const first = lines.findIndex((each) => line.test(each));
  assert.notEqual(first, -1, `${line} in:\n${text}`);
  const next = lines.findIndex((each, index) => index > first && /^\S/.test(each));
  const advice = lines.slice(first + 1, next).join('\n');
  return [...advice.matchAll(/^ {8}((?:create|grant|revoke|alter)\b[^;]*;)/gim)].map((match) => match[1] ?? '');
}

test('check says what is missing on real nodes, and what it prints mends it', async (t) => {
  const hba = ['host all turned_away 127.0.0.1/32 reject', 'host all all 127.0.0.1/32 scram-sha-256'];
  const cluster = await PostgresCluster.start(t, { standbys: 1, hba });
  const { nodes } = cluster;
  const settle = (): Promise<void> => cluster.waitUntilReplayed();

  await t.test('all is well with the roles that the documentation asks for', async (t) => {
    const { code, text } = await check(t, configOf(nodes));
    assert.equal(code, 0, text);
    assert.doesNotMatch(text, /^(warn(?!.*port 0 is another free port)|FAIL)/m);
    assert.match(text, /^ok {4}node node1: PostgreSQL \d+.*, primary, timeline 1$/m);
    assert.match(text, /^ok {4}node node2: PostgreSQL \d+.*, standby, streaming, timeline 1$/m);
    assert.match(text, /^ok {4}cluster: every node has the system identifier \d+$/m);
    assert.match(text, /^ok {4}cluster: node1 is the primary, with 1 standby$/m);
    assert.match(text, /^ok {4}auth\.query: gives name and SCRAM verifier$/m);
  });

  await t.test('a role that is missing is given as SQL, once for all nodes', async (t) => {
    const wishes = { monitor: { user: 'made_later', password: 'later' } };
    const { code, text } = await check(t, configOf(nodes, wishes));
    assert.equal(code, 1);
    const failed = /^FAIL {2}node node1: the monitor role "made_later" cannot log in: .*\(28P01\)$/m;
    const statements = statementsBelow(text, failed);
    assert.deepEqual(statements.slice(0, 2), [
      "CREATE ROLE made_later LOGIN PASSWORD '...';",
      'GRANT pg_monitor TO made_later;',
    ]);
    assert.match(text, /^FAIL {2}node node2: .*\n {6}As above\.$/m);

    for (const statement of statements.slice(0, 2)) await cluster.sql(statement.replace('...', 'later'));
    await settle();
    const again = await check(t, configOf(nodes, wishes));
    assert.doesNotMatch(again.text, /FAIL {2}node/);
    assert.match(again.text, /^FAIL {2}auth\.query: fails on node1, .*permission denied .*\(42501\)$/m);
  });

  await t.test('a wrong password is told, and does not show', async (t) => {
    const { code, text } = await check(t, configOf(nodes, { monitor: { password: 'wrong-password' } }));
    assert.equal(code, 1);
    assert.match(text, /cannot log in: password authentication failed for user "monitor" \(28P01\)/);
    assert.match(text, /ALTER ROLE monitor PASSWORD '\.\.\.';/);
  });

  await t.test('a password that is missing in the configuration is asked for', async (t) => {
    const config = configOf(nodes) as { cluster: { monitor: { password?: string } } };
    delete config.cluster.monitor.password;
    const { code, text } = await check(t, config);
    assert.equal(code, 1);
    assert.match(text, /Set cluster\.monitor\.password/);
  });

  await t.test('a role without pg_monitor fails where standbys are served, until it is granted', async (t) => {
    await cluster.sql(`create role bare login password 'bare'`);
    await cluster.sql('grant usage on schema switchyard to bare');
    await cluster.sql('grant execute on function switchyard.user_lookup(text) to bare');
    await settle();
    const wishes = { monitor: { user: 'bare', password: 'bare' } };
    const { code, text } = await check(t, configOf(nodes, wishes));
    assert.equal(code, 1);
    const statements = statementsBelow(text, /^FAIL {2}node node1: bare has not the role pg_monitor/);
    assert.deepEqual(statements, ['GRANT pg_monitor TO bare;']);
    for (const statement of statements) await cluster.sql(statement);
    await settle();
    const again = await check(t, configOf(nodes, wishes));
    assert.equal(again.code, 0, again.text);
  });

  await t.test('a hidden system identifier fails, until it is shown', async (t) => {
    await cluster.sql('revoke execute on function pg_control_system() from public, pg_monitor');
    await settle();
    const { code, text } = await check(t, configOf(nodes));
    assert.equal(code, 1);
    const statements = statementsBelow(text, /^FAIL {2}node node1: monitor may not see the system identifier/);
    for (const statement of statements) await cluster.sql(statement);
    await settle();
    assert.equal((await check(t, configOf(nodes))).code, 0);
  });

  await t.test('a log-in that pg_hba.conf turns away is given as its line', async (t) => {
    await cluster.sql(`create role turned_away login password 'x' in role pg_monitor`);
    await settle();
    const { code, text } = await check(t, configOf(nodes, { monitor: { user: 'turned_away', password: 'x' } }));
    assert.equal(code, 1);
    assert.match(text, /pg_hba\.conf rejects connection .*\(28000\)/);
    assert.match(text, /^ +host {2}postgres {2}turned_away {2}127\.0\.0\.1\/32 {2}scram-sha-256$/m);
  });

  await t.test('a database that is not there is told', async (t) => {
    const { code, text } = await check(t, configOf(nodes, { monitor: { database: 'nowhere' } }));
    assert.equal(code, 1);
    assert.match(text, /set cluster\.monitor\.database/);
  });

  await t.test('a lookup that is missing is given as SQL that makes it work', async (t) => {
    const wishes = { auth: { query_database: 'app' } };
    const { code, text } = await check(t, configOf(nodes, wishes));
    assert.equal(code, 1);
    const failed =
      /^FAIL {2}auth\.query: fails on node1, in the database "app": schema "switchyard" does not exist \(3F000\)$/;
    const statements = statementsBelow(text, failed);
    assert.equal(statements.length, 5, text);
    for (const statement of statements) await cluster.sql(statement, { database: 'app' });
    const again = await check(t, configOf(nodes, wishes));
    assert.equal(again.code, 0, again.text);
  });

  const oddQueries: readonly (readonly [query: string, verdict: RegExp])[] = [
    ['SELECT rolname, rolpassword FROM pg_roles WHERE rolname = $1', /^FAIL {2}auth\.query: gives asterisks/m],
    ['SELECT rolname FROM pg_roles WHERE rolname = $1', /^FAIL {2}auth\.query: gives one column$/m],
    [
      `SELECT 'x'::text, 'y'::text WHERE $1 <> ''`,
      /^FAIL {2}auth\.query: asked for "monitor", it answers with another name$/m,
    ],
    [`SELECT $1::text, 'md5' || md5('x')`, /^FAIL {2}auth\.query: gives a row for a user that does not exist$/m],
    ['SELECT rolname, null FROM pg_roles WHERE $1 <> rolname', /^FAIL {2}auth\.query: gives \d+ rows for one name$/m],
    [`SELECT $1::text, 'x' WHERE false`, /^warn {2}auth\.query: runs, and knows no user "monitor"$/m],
    [
      `SELECT rolname, 'SCRAM-SHA-256$x' FROM pg_roles WHERE rolname = $1`,
      /^FAIL {2}auth\.query: its second column begins like/m,
    ],
    [`SELECT rolname, 'md5' || md5('x') FROM pg_roles WHERE rolname = $1`, /^warn {2}auth\.query: gives md5 hashes/m],
    ['SELEC $1', /^FAIL {2}auth\.query: fails on node1, .*syntax error.*\(42601\)$/m],
    ['SELECT pg_sleep(60), $1', /^FAIL {2}auth\.query: fails on node1, .*no answer within 500 ms$/m],
  ];
  for (const [query, verdict] of oddQueries) {
    await t.test(`a query that does not do its work is told: ${query}`, async (t) => {
      const { text } = await check(t, configOf(nodes, { auth: { query }, monitor: { timeout: '500ms' } }));
      assert.match(text, verdict);
    });
  }

  await t.test('a node of another cluster is named', async (t) => {
    const stranger = await startPostgres(t, { name: 'stranger' });
    const { code, text } = await check(t, configOf([...nodes, stranger]));
    assert.equal(code, 1);
    assert.match(text, /^FAIL {2}cluster: stranger has the system identifier \d+, the cluster has \d+$/m);
    assert.match(text, /^FAIL {2}cluster: node1 and stranger all say that they are the primary$/m);
  });

  await t.test('a frozen node is given up in time, the others are looked at', async (t) => {
    cluster.node(2).freeze();
    t.after(() => cluster.node(2).thaw());
    const { code, text } = await check(t, configOf(nodes, { monitor: { timeout: '500ms' } }));
    assert.equal(code, 1);
    assert.match(text, /^FAIL {2}node node2: takes the connection and does not let the monitor role in/m);
    assert.match(text, /^ok {4}cluster: node1 is the primary/m);
  });

  await t.test('while the proxy runs, its own ports are as they should be', async (t) => {
    const yard = await SwitchyardProcess.start(t, configOf(nodes));
    const config = configOf(nodes) as { listeners: { address: string }[]; admin: { address: string } };
    for (const [index, name] of ['rw', 'ro'].entries()) {
      const listener = config.listeners[index];
      if (listener !== undefined) listener.address = `127.0.0.1:${yard.port(name)}`;
    }
    config.admin.address = `127.0.0.1:${yard.adminPort}`;
    const { code, text } = await check(t, config);
    assert.equal(code, 0, text);
    assert.equal(text.match(/is served by the running proxy/g)?.length, 3);
  });
});

/** Writes what Patroni would. */
async function writeKeys(etcd: EtcdServer, cluster: PostgresCluster, prefix: string): Promise<void> {
  const [row] = await cluster.sql('select system_identifier::text as id from pg_control_system()');
  await etcd.put(`${prefix}initialize`, String(row?.['id']));
  await etcd.put(`${prefix}config`, JSON.stringify({ ttl: 30, loop_wait: 10 }));
  for (const node of cluster.nodes) {
    const member = {
      conn_url: `postgres://127.0.0.1:${node.port}/postgres`,
      state: 'running',
      role: node === cluster.primary ? 'primary' : 'replica',
      version: '4.0.4',
      timeline: 1,
    };
    await etcd.put(`${prefix}members/${node.name}`, JSON.stringify(member));
  }
  await etcd.put(`${prefix}leader`, cluster.primary.name);
}

test('check reads the cluster from etcd, and says what is wrong there', async (t) => {
  const [cluster, etcd] = await Promise.all([PostgresCluster.start(t, { standbys: 1 }), startEtcd(t)]);
  await writeKeys(etcd, cluster, '/service/yard/');
  const source = (over: Section = {}, scope = 'yard'): Wishes => ({
    cluster: { scope, etcd3: { hosts: [`127.0.0.1:${etcd.port}`], request_timeout: '1s', ...over } },
  });

  await t.test('all is well', async (t) => {
    const { code, text } = await check(t, configOf([], source()));
    assert.equal(code, 0, text);
    assert.match(text, /^ok {4}etcd: 5 keys below \/service\/yard\/$/m);
    assert.match(text, /^ok {4}etcd: 2 members: node1 \(primary\), node2 \(replica\)$/m);
    assert.match(text, /^ok {4}etcd: the leader is node1$/m);
    assert.match(text, /^ok {4}cluster: node1 is the primary, with 1 standby$/m);
  });

  await t.test('one host that is down is a warning while another one answers', async (t) => {
    const hosts = [`127.0.0.1:${etcd.port}`, '127.0.0.1:1'];
    const { code, text } = await check(t, configOf([], source({ hosts })));
    assert.equal(code, 0, text);
    assert.match(text, /^warn {2}etcd 127\.0\.0\.1:1: connection refused$/m);
  });

  await t.test('a scope without keys is told, with those that there are', async (t) => {
    const { code, text } = await check(t, configOf([], source({}, 'yart')));
    assert.equal(code, 1);
    assert.match(text, /^FAIL {2}etcd: there are no keys below \/service\/yart\/$/m);
    assert.match(text, /Below \/service there are: yard\. Set cluster\.scope to one of them\./);
  });

  await t.test('a leader that is gone, and a system identifier of another cluster, are told', async (t) => {
    await etcd.delete('/service/yard/leader');
    await etcd.put('/service/yard/initialize', '7000000000000000001');
    t.after(() => writeKeys(etcd, cluster, '/service/yard/'));
    const { code, text } = await check(t, configOf([], source()));
    assert.equal(code, 1);
    assert.match(text, /^FAIL {2}etcd: there is no leader key: the cluster has no primary now$/m);
    assert.match(
      text,
      /^FAIL {2}cluster: node2 has the system identifier \d+, the key "initialize" has 7000000000000000001$/m,
    );
  });

  await t.test('keys that cannot be understood are warnings', async (t) => {
    await etcd.put('/service/yard/members/node9', '{"conn_url":');
    t.after(() => etcd.delete('/service/yard/members/node9'));
    const { code, text } = await check(t, configOf([], source()));
    assert.equal(code, 0, text);
    assert.match(text, /^warn {2}etcd: members\/node9: /m);
  });

  await t.test('with authentication, each of its faults has its own advice', async (t) => {
    await etcd.enableAuth('reader', 'readerpass', '/service/yard/');
    const nobody = await check(t, configOf([], source()));
    assert.equal(nobody.code, 1);
    assert.match(nobody.text, /^FAIL {2}etcd .*: etcd asks for a user name and password\n.*cluster\.etcd3\.username/m);
    const wrong = await check(t, configOf([], source({ username: 'reader', password: 'wrong-password' })));
    assert.equal(wrong.code, 1);
    assert.match(wrong.text, /^FAIL {2}etcd .*: log-in refused: wrong user name or password\n/m);
    const user = { username: 'reader', password: 'readerpass' };
    const well = await check(t, configOf([], source(user)));
    assert.equal(well.code, 0, well.text);
    const elsewhere = await check(t, configOf([], source(user, 'other')));
    assert.equal(elsewhere.code, 1);
    assert.match(elsewhere.text, /^FAIL {2}etcd .*: permission denied/m);
    assert.match(elsewhere.text, /etcdctl role grant-permission switchyard --prefix=true read \/service\/other\/$/m);
  });
});

test('a DCS that is gone leaves the proxy ready, and shows', async (t) => {
  const [cluster, etcd] = await Promise.all([PostgresCluster.start(t, { standbys: 1 }), startEtcd(t)]);
  await writeKeys(etcd, cluster, '/service/yard/');
  const etcd3 = {
    hosts: [`127.0.0.1:${etcd.port}`],
    request_timeout: '200ms',
    watchdog_interval: '200ms',
    stale_after: '1s',
  };
  const yard = await SwitchyardProcess.start(t, configOf([], { cluster: { scope: 'yard', etcd3 } }));
  const get = async (path: string): Promise<Response> => fetch(`http://127.0.0.1:${yard.adminPort}${path}`);
  const isReady = async (): Promise<boolean> => (await get('/readyz')).ok;
  await waitFor(isReady, { timeoutMs: TIMEOUT_MS, what: 'the proxy to be ready' });

  await etcd.kill();
  const stale = await waitFor(
    async () => {
      const answer = await get('/readyz');
      const body = (await answer.json()) as { dcs: { state: string; ageSeconds: number; trouble: string } };
      assert.equal(answer.status, 200);
      return body.dcs.state === 'stale' && body;
    },
    { timeoutMs: TIMEOUT_MS, what: 'the claims to be stale' },
  );
  assert.ok(stale.dcs.ageSeconds >= 1);
  assert.match(stale.dcs.trouble, /etcd cannot be read/);
  const metrics = await (await get('/metrics')).text();
  assert.match(metrics, /^switchyard_dcs_state\{state="stale"\} 1$/m);
  assert.match(metrics, /^switchyard_ready 1$/m);
  const shown = await runSwitchyard(['status', '--config', yard.configFile], {
    env: { SWITCHYARD_ADMIN: `127.0.0.1:${yard.adminPort}` },
  });
  assert.equal(shown.code, 0, shown.output);
  assert.match(shown.output, /ready, phase stable, DCS stale \(confirmed [\d.]+ s ago\)/);
  assert.match(shown.output, /^DCS: etcd cannot be read/m);
  assert.deepEqual(await sql({ host: '127.0.0.1', port: yard.port('rw') }, 'select 1 as a', { ...roles.app }), [
    { a: 1 },
  ]);
});
