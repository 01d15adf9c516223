import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { loadConfig } from '../../../src/config/load.js';
import { MINIMAL, parse, shortProblems } from './config-text.js';

function secretFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-secrets-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

function withMonitor(monitor: string): string {
  return MINIMAL.replace('scope: pg', `scope: pg\n  monitor: { ${monitor} }`);
}

test('a secret is read from a file without its last newline', (t) => {
  const folder = secretFolder(t);
  const cases = [
    ['plain', 'plain'],
    ['newline\n', 'newline'],
    ['windows\r\n', 'windows'],
    ['two\n\n', 'two\n'],
    [' spaces stay ', ' spaces stay '],
    ['${NOT_A_VARIABLE} $$', '${NOT_A_VARIABLE} $$'],
  ] as const;
  for (const [content, secret] of cases) {
    writeFileSync(join(folder, 'pw'), content);
    assert.equal(parse(withMonitor('password_file: pw'), {}, folder).config.cluster.monitor.password, secret);
  }
});

test('every password can come from a file', (t) => {
  const folder = secretFolder(t);
  for (const name of ['etcd', 'monitor', 'app']) {
    writeFileSync(join(folder, name), `${name} secret\n`);
  }
  const text = `${withMonitor('password_file: monitor').replace(
    'hosts:',
    'username: u, password_file: etcd, hosts:',
  )}auth: { users: [{ name: app, password_file: app }] }\n`;
  const { cluster, auth } = parse(text, {}, folder).config;
  assert.equal(cluster.source.kind === 'etcd3' && cluster.source.password, 'etcd secret');
  assert.equal(cluster.monitor.password, 'monitor secret');
  assert.equal(auth.users[0]?.password, 'app secret');
});

test('paths begin at the folder of the configuration file, and can come out of the environment', (t) => {
  const folder = secretFolder(t);
  mkdirSync(join(folder, 'etc'));
  mkdirSync(join(folder, 'run'));
  writeFileSync(join(folder, 'run', 'pw'), 'found');
  writeFileSync(join(folder, 'etc', 'userlist.txt'), '"app" "x"\n');
  const path = join(folder, 'etc', 'switchyard.yaml');
  writeFileSync(path, `${withMonitor('password_file: "${RUN}/pw"')}auth: { userlist_file: userlist.txt }\n`);
  for (const run of ['../run', join(folder, 'run')]) {
    const { config } = loadConfig(path, { RUN: run });
    assert.equal(config.cluster.monitor.password, 'found');
    assert.equal(config.auth.userlistFile, join(folder, 'etc', 'userlist.txt'));
  }
});

test('a file that holds no secret is a problem at its key', (t) => {
  const folder = secretFolder(t);
  writeFileSync(join(folder, 'empty'), '\n');
  writeFileSync(join(folder, 'large'), 'x'.repeat(64 * 1024 + 1));
  const problem = (file: string): readonly string[] => shortProblems(withMonitor(`password_file: ${file}`), {}, folder);
  const at = '3:29 cluster.monitor.password_file:';
  assert.deepEqual(problem('none'), [`${at} none does not exist`]);
  assert.deepEqual(problem('empty'), [`${at} empty is empty`]);
  assert.deepEqual(problem('large'), [`${at} large is larger than 64kB`]);
  assert.deepEqual(problem('.'), [`${at} . is not a file`]);
  assert.deepEqual(problem('7'), [`${at} must be the path of a file`]);
  assert.deepEqual(shortProblems(`${MINIMAL}auth: { userlist_file: none }\n`, {}, folder), [
    '6:24 auth.userlist_file: none does not exist',
  ]);
});

test('a secret is given once', (t) => {
  const folder = secretFolder(t);
  writeFileSync(join(folder, 'pw'), 'x');
  assert.deepEqual(shortProblems(withMonitor('password: y, password_file: pw'), {}, folder), [
    '3:42 cluster.monitor.password_file: password is given too: keep one of them',
  ]);
});

test('no message about a secret shows it', () => {
  const texts = [
    withMonitor('password: 5550199'),
    withMonitor('password: [5550199]'),
    withMonitor('password: { x: 5550199 }'),
    withMonitor('password: 5550199.5'),
    `${MINIMAL}auth: { users: [{ name: a, password: 5550199 }] }\n`,
    `${MINIMAL}auth: { users: [{ name: a, verifier: "SCRAM-SHA-256$5550199" }] }\n`,
    `${MINIMAL}auth: { users: [{ name: a, verifier: 5550199 }] }\n`,
    MINIMAL.replace('hosts:', 'username: u, password: 5550199, hosts:'),
    withMonitor('password: "${PW"').replace('PW', '5550199'),
  ];
  for (const text of texts) {
    const problems = shortProblems(text).join('\n');
    assert.notEqual(problems, '', text);
    assert.doesNotMatch(problems, /5550199/, text);
  }
});

test('stored passwords are taken in both forms of PostgreSQL', () => {
  const scram =
    'SCRAM-SHA-256$4096:tHsFBGal25Mw0kJCDbTJzQ==$stgArYzsbhVCx4KtrerSVmWcJJgC++PDfbsn39rOp/g=:hBXxZXIlONjHnZ+S+V0RbNDl6osEEygl5TLa1V6NL9Q=';
  const md5 = `md5${'0123456789abcdef'.repeat(2)}`;
  for (const verifier of [scram, md5]) {
    const { users } = parse(`${MINIMAL}auth: { users: [{ name: a, verifier: "${verifier}" }] }\n`).config.auth;
    assert.equal(users[0]?.verifier, verifier);
  }
  for (const verifier of ['md5', `${md5}0`, md5.toUpperCase(), scram.slice(0, -1), `${scram}x`, 'plain']) {
    assert.deepEqual(shortProblems(`${MINIMAL}auth: { users: [{ name: a, verifier: "${verifier}" }] }\n`), [
      '6:38 auth.users[0].verifier: must be a stored password: "SCRAM-SHA-256$..." or "md5" and 32 hexadecimal digits',
    ]);
  }
});
