import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { renderFindings } from '../../../src/cli/import/finding.js';
import { Verdict } from '../../../src/cli/import/finding.js';
import { parseConfig } from '../../../src/config/load.js';
import type { LoadedConfig } from '../../../src/config/load.js';
import { IMPORT_CASES, SAMPLES, convertCase } from './import-cases.js';
import type { ImportCase } from './import-cases.js';

/** With this set the golden files are written anew: after a change of the schema or of the tables. Look at the difference. */
const isWriting = process.env['SWITCHYARD_WRITE_GOLDENS'] === '1';
/** The samples are somewhere else on every machine. */
const SOMEWHERE = '/samples/';

function load(yaml: string, env: ImportCase['fill']): LoadedConfig {
  return parseConfig(yaml, { fileName: 'switchyard.yaml', env, folder: SAMPLES });
}

for (const each of IMPORT_CASES) {
  const { name, fill, isBroken } = each;

  test(`${name}: what is written is what was looked at before, and the loader takes it`, () => {
    const { yaml, findings } = convertCase(each);
    const golden = join(SAMPLES, name, 'expected.yaml');
    const anywhere = yaml.replaceAll(SAMPLES, SOMEWHERE);
    if (isWriting) writeFileSync(golden, anywhere);
    assert.equal(anywhere, readFileSync(golden, 'utf8'), 'SWITCHYARD_WRITE_GOLDENS=1 writes the new one');
    load(yaml, fill);
    assert.equal(
      findings.some(({ verdict }) => verdict === Verdict.Broken),
      isBroken,
    );
    // The lists stand in the file as well.
    assert.ok(yaml.includes(renderFindings(findings)[0] ?? 'none'));
  });

  test(`${name}: every line says where it comes from, and every place to fill in is marked`, () => {
    const { yaml } = convertCase(each);
    for (const line of yaml.split('\n')) {
      if (line === '' || /^\s*#/.test(line)) continue;
      if (/^\s*[a-z0-9_]+:$/.test(line)) continue;
      assert.match(line, /[ ]# \S/, line);
      const [, from = ''] = /[ ]# (.*)$/.exec(line) ?? [];
      assert.match(
        from,
        /^[\w./-]+:\d+\b|^FILL IN: |^--\w+|PgBouncer's default|docs\/deploying\.md|: not set/,
        `no source: ${line}`,
      );
      // A variable of HAProxy's own is told of, and needs no mark.
      if (/"\$\{(?!PG_BIND)/.test(line)) assert.match(line, /FILL IN/);
    }
    const names = new Set([...yaml.matchAll(/"\$\{(\w+)\}/g)].map((match) => match[1]));
    assert.deepEqual([...names].sort(), Object.keys(fill).sort());
  });

  test(`${name}: no secret is told`, () => {
    const { yaml, findings } = convertCase(each);
    const told = renderFindings(findings).join('\n');
    for (const secret of ['hunter2', 'not-secret', "'a' secret", 'nobody-has-this-password', 'archive;']) {
      assert.ok(!told.includes(secret), secret);
      assert.ok(!yaml.includes(secret), secret);
    }
  });
}

test('an HAProxy for Patroni and the PgBouncer behind it become the listeners that people know', () => {
  const [, , , patroni] = IMPORT_CASES;
  assert.ok(patroni?.name === 'patroni');
  const { config } = load(convertCase(patroni).yaml, patroni.fill);
  assert.deepEqual(
    config.listeners.map(({ name, address, route }) => `${name} ${address.host} ${address.port} ${route}`),
    ['primary 0.0.0.0 5000 primary', 'replicas 0.0.0.0 5001 standby', 'pgbouncer :: 6432 primary'],
  );
  assert.equal(config.cluster.source.kind, 'etcd3');
  assert.equal(config.cluster.monitor.user, 'pgbouncer');
  assert.equal(config.pool.size, 25);
  assert.equal(config.pool.maxBackendsPerNode, 200);
  assert.equal(config.limits.maxClients, 800);
  assert.equal(config.auth.query, 'SELECT * FROM pgbouncer.user_lookup($1)');
  assert.deepEqual(config.admin.address, { host: '0.0.0.0', port: 7000 });
});

test('a fixed list of nodes is the servers of HAProxy, each once', () => {
  const odd = IMPORT_CASES.at(-1);
  assert.ok(odd?.name === 'odd');
  const { config } = load(convertCase(odd).yaml, odd.fill);
  const { source } = config.cluster;
  assert.ok(source.kind === 'nodes');
  assert.deepEqual(
    source.nodes.map(({ name, host, port, weight }) => `${name} ${host} ${port} ${weight}`),
    ['one pg-one 5432 1', 'two 10.9.0.2 5432 1', 'five fd00::5 5433 3'],
  );
});

test('texts come through the reader of the configuration as they were, dollars included', () => {
  const full = IMPORT_CASES[1];
  assert.ok(full?.name === 'full');
  const { config } = load(convertCase(full).yaml, full.fill);
  assert.equal(config.auth.query, "SELECT uname, phash FROM pgbouncer.user_lookup($1) WHERE '$${x}' <> '$$'");
  assert.equal(config.auth.queryDatabase, 'shop');
  assert.equal(config.auth.userlistFile, join(SAMPLES, 'full/userlist.txt'));
  assert.deepEqual(config.auth.rules[0]?.databases?.slice(0, 4), ['shop', 'shop archive', 'batch', 'old']);
  assert.equal(config.auth.rules.at(-1)?.method, 'reject');
});
