import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openUserSources } from '../../../src/auth/user-sources.js';
import type { AuthConfig } from '../../../src/config/schema.js';
import { silentLogger } from '../../../src/log.js';
import { parse, MINIMAL } from '../config/config-text.js';

const base: AuthConfig = parse(MINIMAL).config.auth;
const nobody = () => Promise.reject(new Error('nobody is asked'));

test('without a query nobody is asked', () => {
  assert.equal(openUserSources({ ...base, query: null }, nobody, silentLogger).runQuery, null);
});

test('the query is asked in its database, and a date that is none is no end', async () => {
  const asked: unknown[] = [];
  const rows: (string | null)[][] = [
    ['app', 'SCRAM-SHA-256$x', '2030-01-01 00:00:00+00'],
    ['b', null, 'infinity'],
    [null],
  ];
  const { runQuery } = openUserSources(
    { ...base, query: 'SELECT 1', queryDatabase: 'users' },
    (...question) => {
      asked.push(question);
      return Promise.resolve(rows.splice(0, 1));
    },
    silentLogger,
  );
  assert.ok(runQuery);
  assert.deepEqual(await runQuery('app'), {
    name: 'app',
    secret: 'SCRAM-SHA-256$x',
    validUntilEpochMs: Date.UTC(2030, 0, 1),
  });
  assert.deepEqual(await runQuery('b'), { name: 'b', secret: null, validUntilEpochMs: null });
  assert.deepEqual(await runQuery('c'), { name: 'c', secret: null, validUntilEpochMs: null });
  assert.equal(await runQuery('d'), null);
  assert.deepEqual(asked[0], ['users', 'SELECT 1', ['app']]);
});

test('the userlist is read, what is wrong in it is told, and one that is not there fails', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'switchyard-users-'));
  t.after(() => rm(folder, { recursive: true }));
  const userlistFile = join(folder, 'userlist.txt');
  await writeFile(userlistFile, '"app" "secret"\nnonsense\n');
  const told: unknown[] = [];
  const logger = { ...silentLogger, warn: (about: object) => void told.push(about) };
  const { userlist } = openUserSources({ ...base, userlistFile }, nobody, logger);
  assert.deepEqual([userlist.length, told.length], [1, 1]);
  const missing = join(folder, 'none');
  assert.throws(() => openUserSources({ ...base, userlistFile: missing }, nobody, silentLogger), /ENOENT/);
});
