import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { sql } from '../support/postgres-server.js';
import { waitFor } from '../support/processes.js';
import { RawError } from '../support/raw-client.js';
import type { RawClient } from '../support/raw-client.js';
import { LoginError } from '../support/raw-login.js';
import { frontend } from '../support/raw-messages.js';
import { roles } from '../support/roles.js';
import { CoreProxy, TIMEOUT_MS, nodeOf, sharedCluster } from './core-lab.js';

// In both pool modes.
// With both engines.

const cluster = sharedCluster({
  hba: [
    'host all trusted 127.0.0.1/32 trust',
    'host all plain 127.0.0.1/32 password',
    'host all old 127.0.0.1/32 md5',
    'host all all 127.0.0.1/32 scram-sha-256',
  ],
  appStatements: [
    'create role trusted login',
    `create role plain login password 'secret'`,
    `create role guarded login password 'secret'`,
    `create role banned login password 'secret'`,
    'create role locked nologin',
    `create role bare login`,
    `set password_encryption = 'md5'`,
    `create role old login password 'secret'`,
  ],
});

/** The SQLSTATE that a log-in fails with. */
async function refusal(login: Promise<RawClient>): Promise<string> {
  const error = await login.then(
    () => assert.fail('it was let in'),
    (reason: unknown) => reason,
  );
  if (error instanceof LoginError) return error.code;
  if (error instanceof RawError) return error.fields.code;
  throw error;
}

const rules = [
  { user: 'trusted', method: 'trust' },
  { user: 'plain', method: 'password' },
  { user: ['old', 'guarded'], method: 'md5' },
  { user: 'banned', method: 'reject' },
  { user: 'app', database: 'postgres', method: 'reject' },
];

for (const [user, password, method] of [
  ['trusted', '', 'trust'],
  ['plain', 'secret', 'password'],
  ['old', 'secret', 'md5'],
  // As in PostgreSQL: method md5 is SCRAM for a user whose verifier is one.
  ['guarded', 'secret', 'scram-sha-256'],
  ['app', roles.app.password, 'scram-sha-256'],
] as const) {
  test(`a rule says that ${user} logs in with ${method}, and every node takes what came of it`, async (t) => {
    const proxy = await CoreProxy.start(t, cluster().nodes, { auth: { rules } });
    const primary = await proxy.login('primary', { user, password });
    assert.equal(primary.loginMethod, method);
    assert.deepEqual(await primary.rows('select current_user'), [[user]]);
    const standbys = [
      await proxy.login('standby', { user, password }),
      await proxy.login('standby', { user, password }),
    ];
    const served = await Promise.all(standbys.map(nodeOf));
    assert.deepEqual(served.sort(), ['node2', 'node3']);
    if (method === 'trust') return;
    assert.equal(await refusal(proxy.login('primary', { user, password: 'wrong' })), '28P01');
    assert.equal(await refusal(proxy.login('primary', { user, password: '' })), '28P01');
  });
}

test('a rule refuses a user, and a database to a user', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes, { auth: { rules } });
  assert.equal(await refusal(proxy.login('primary', { user: 'banned', password: 'secret' })), '28000');
  assert.equal(await refusal(proxy.login('primary', { database: 'postgres' })), '28000');
  await proxy.checkAfterAbuse();
});

test('users who do not exist, may not log in or have no password are told what a wrong password is told', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  const heard = new Map<string, string>();
  for (const user of ['app', 'nobody', 'locked', 'bare', `a'; drop table x`, 'x'.repeat(64), 'Ä']) {
    const error = await proxy.login('primary', { user, password: 'wrong' }).catch((reason: unknown) => reason);
    assert.ok(error instanceof LoginError, String(error));
    assert.equal(error.code, '28P01');
    heard.set(user, error.message.replace(user, 'X'));
  }
  assert.equal(new Set(heard.values()).size, 1);
  await proxy.checkAfterAbuse();
});

test('one SCRAM log-in opens the primary and both standbys, and no password is known to the proxy', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes);
  assert.doesNotMatch(JSON.stringify(proxy.app.config.auth), new RegExp(roles.app.password));
  const clients = [await proxy.login(), await proxy.login('standby'), await proxy.login('standby')];
  const served = await Promise.all(clients.map(nodeOf));
  assert.deepEqual(served.sort(), ['node1', 'node2', 'node3']);
  for (const client of clients) assert.deepEqual(await client.rows('select current_user'), [['app']]);
});

test('the role that looks users up has no right but that', async (t) => {
  const [row] = await sql(
    cluster().primary,
    `select rolsuper, rolreplication, rolcreaterole, has_table_privilege('monitor', 'pg_authid', 'select') as reads,
      (select array_agg(pg_get_userbyid(roleid)::text) from pg_auth_members where member = r.oid) as roles
      from pg_roles r where rolname = 'monitor'`,
  );
  assert.deepEqual(row, {
    rolsuper: false,
    rolreplication: false,
    rolcreaterole: false,
    reads: false,
    roles: ['pg_monitor'],
  });
  const proxy = await CoreProxy.start(t, cluster().nodes, {
    auth: { query: 'SELECT rolname, rolpassword FROM pg_authid WHERE rolname = $1' },
  });
  assert.equal(await refusal(proxy.login()), '57P03');
  assert.match(JSON.stringify(proxy.log), /permission denied for table pg_authid/);
});

test('users from the configuration and from a userlist come before the query', async (t) => {
  const [stored] = await sql(cluster().primary, `select rolpassword from pg_authid where rolname = 'guarded'`);
  const folder = await mkdtemp(join(tmpdir(), 'switchyard-userlist-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const userlist = join(folder, 'userlist.txt');
  await writeFile(userlist, `"plain" "secret"\n"app" "not this one"\n`);
  const proxy = await CoreProxy.start(t, cluster().nodes, {
    auth: {
      users: [
        { name: 'app', password: roles.app.password },
        { name: 'guarded', verifier: stored?.['rolpassword'] },
        { name: 'nobody', password: 'secret' },
      ],
      userlist_file: userlist,
      query: 'SELECT nothing, such FROM nowhere WHERE $1',
    },
  });
  for (const [user, password] of [
    ['app', roles.app.password],
    ['guarded', 'secret'],
    ['plain', 'secret'],
  ] as const) {
    const client = await proxy.login('primary', { user, password });
    assert.equal(client.loginMethod, 'scram-sha-256');
    assert.deepEqual(await client.rows('select current_user'), [[user]]);
  }
  assert.equal(await refusal(proxy.login('primary', { password: 'not this one' })), '28P01');
  // Known here and not to the nodes: the node's own word.
  assert.equal(await refusal(proxy.login('primary', { user: 'nobody', password: 'secret' })), '28P01');
});

test('a password that is changed on the server: the old one is refused and the new one is taken at the next try', async (t) => {
  await cluster().sql(`create role fickle login password 'first'`);
  t.after(() => cluster().sql('drop role fickle'));
  const user = 'fickle';
  for (const query_cache of ['0s', '30s']) {
    const proxy = await CoreProxy.start(t, cluster().nodes, { auth: { query_cache } });
    await cluster().sql(`alter role fickle password 'first'`);
    const early = await proxy.login('primary', { user, password: 'first' });
    await early.end();
    await proxy.waitForRest();
    const changedAtMs = performance.now();
    await cluster().sql(`alter role fickle password 'second'`);
    // What was answered a moment ago is believed for a second even after a failure, so that guessing costs the nodes nothing.
    const isIn = (): Promise<boolean> => proxy.login('primary', { user, password: 'second' }).then(() => true);
    if (query_cache === '0s') await isIn();
    else await waitFor(isIn, { timeoutMs: TIMEOUT_MS, what: 'the new password to be taken', pollMs: 200 });
    assert.ok(performance.now() - changedAtMs < 5_000);
    assert.equal(await refusal(proxy.login('primary', { user, password: 'first' })), '28P01');
    // Nor does a backend that was logged in before serve the old password.
    assert.equal(await refusal(proxy.login('primary', { user, password: 'first' })), '28P01');
  }
});

test('a user who is dropped is refused, and cannot use a backend of its own that is still open', async (t) => {
  await cluster().sql(`create role shortlived login password 'secret'`);
  const proxy = await CoreProxy.start(t, cluster().nodes, { auth: { query_cache: '0s' } });
  const login = { user: 'shortlived', password: 'secret' };
  const client = await proxy.login('primary', login);
  await client.rows('select 1');
  await client.end();
  await proxy.waitForRest();
  await cluster().sql('drop role shortlived');
  assert.equal(await refusal(proxy.login('primary', login)), '28P01');
  assert.equal(proxy.app.registry.size, 0);
});

test('messages that do not belong to the log-in, and too long ones, end it', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes, { auth: { rules } });
  const plain = frontend.startup({ user: 'plain', database: 'app' });
  const scram = frontend.startup({ user: 'app', database: 'app' });
  const first = 'n,,n=,r=rOprNGfwEbeRWgbNEkqO';
  for (const [startup, answer] of [
    [plain, frontend.query('select 1')],
    [plain, Buffer.from('p\x7f\xff\xff\xff')],
    [plain, Buffer.from('p\0\0\0\x03')],
    [scram, frontend.saslInitialResponse('SCRAM-SHA-1', first)],
    [scram, frontend.saslInitialResponse('SCRAM-SHA-256-PLUS', first)],
    [scram, frontend.saslInitialResponse('SCRAM-SHA-256', 'nonsense')],
    [scram, Buffer.concat([frontend.saslInitialResponse('SCRAM-SHA-256', first), frontend.saslResponse('c=,r=,p=')])],
  ] as const) {
    const client = await proxy.connect();
    client.send(startup);
    assert.equal((await client.read())?.type, 'R');
    client.send(answer);
    const last = (await client.closed()).at(-1);
    assert.equal(last?.type, 'E');
    assert.match(last.body.toString('latin1'), /SFATAL\0VFATAL\0C(08P01|28P01)\0/);
  }
  await proxy.checkAfterAbuse();
});
