import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { loadConfig } from '../../../src/config/load.js';
import { importConfig } from '../../../src/cli/import.js';
import type { ImportOptions } from '../../../src/cli/import.js';
import { runCommand } from '../../../src/cli/command.js';
import { NO_WISHES, SAMPLES } from './import-cases.js';
import { terminalOf } from './terminal-of.js';

const PATRONI = join(SAMPLES, 'patroni');

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-import-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

function run(over: Partial<ImportOptions>): {
  readonly code: number;
  readonly out: string;
  readonly complaints: string;
} {
  const terminal = terminalOf();
  const options = { pgbouncer: null, haproxy: [], output: null, force: false, wishes: NO_WISHES, ...over };
  const code = importConfig(options, terminal);
  return { code, out: terminal.printed.join('\n'), complaints: terminal.complaints.join('\n') };
}

test('the configuration goes to standard output, what is to be known to standard error', () => {
  const { code, out, complaints } = run({
    pgbouncer: join(PATRONI, 'pgbouncer.ini'),
    haproxy: [join(PATRONI, 'haproxy.cfg')],
    wishes: { etcd: ['10.0.0.1:2379'], scope: 'main', nodes: false },
  });
  assert.equal(code, 0);
  assert.match(out, /^# Written by "switchyard import"/);
  assert.match(out, /\n {2}scope: main +# --scope\n/);
  assert.match(complaints, /^To fill in:\n {2}cluster\.monitor\.password/);
  assert.match(complaints, /\nDone\. Next: switchyard check --config FILE$/);
});

test('a file is written once, and again only by force', (t) => {
  const output = join(folderOf(t), 'switchyard.yaml');
  const options = { haproxy: [join(PATRONI, 'haproxy.cfg')], output, wishes: { ...NO_WISHES, nodes: true } };
  const first = run(options);
  assert.equal(first.code, 0);
  assert.equal(first.out, '');
  assert.ok(first.complaints.endsWith(`${output} is written. Next: switchyard check --config ${output}`));
  const { config } = loadConfig(output, { MONITOR_PASSWORD: 'x' });
  assert.deepEqual(config.cluster.source.kind === 'nodes' && config.cluster.source.nodes.map(({ name }) => name), [
    ...['pg1', 'pg2', 'pg3'],
  ]);
  writeFileSync(output, 'mine');
  const second = run(options);
  assert.equal(second.code, 73);
  assert.match(second.complaints, /exists: --force overwrites it/);
  assert.equal(readFileSync(output, 'utf8'), 'mine');
  assert.equal(run({ ...options, force: true }).code, 0);
  assert.notEqual(readFileSync(output, 'utf8'), 'mine');
  assert.equal(run({ ...options, output: join(output, 'no') }).code, 73);
});

test('files that cannot be read are named, all of them', (t) => {
  const folder = folderOf(t);
  const { code, out, complaints } = run({ pgbouncer: join(folder, 'none.ini'), haproxy: [folder] });
  assert.equal(code, 66);
  assert.equal(out, '');
  assert.equal(complaints, `${join(folder, 'none.ini')} does not exist\n${folder} is not a file`);
});

test('what was not understood is told by the exit code', (t) => {
  const file = join(folderOf(t), 'pgbouncer.ini');
  writeFileSync(
    file,
    Buffer.concat([
      Buffer.from('[databases]\n* =\n; caf'),
      Buffer.from([0xe9]),
      Buffer.from('\n[pgbouncer]\nwhat = 1\n'),
    ]),
  );
  const { code, out, complaints } = run({ pgbouncer: file });
  assert.equal(code, 1);
  assert.match(complaints, /Not understood:\n.*:5: what: /);
  assert.match(out, /route: primary/);
});

test('the command line is checked before anything is read', async (t) => {
  const cases: readonly (readonly [argv: readonly string[], complaint: RegExp])[] = [
    [['import'], /needs --pgbouncer, --haproxy or both/],
    [['import', 'pgbouncer.ini'], /unexpected "pgbouncer\.ini"/],
    [['import', '--haproxy', 'x', '--nodes', '--etcd', 'a:1'], /exclude each other/],
    [['import', '--haproxy', 'x', '--etcd', 'a b'], /--etcd: "a b" is not an address/],
    [['import', '--haproxy', 'x', '--scope', 'a/b'], /--scope: a name without a slash/],
    [['import', '--haproxy', 'x', '--force'], /--force needs --output/],
    [['import', '--haproxy', 'x', '--wait'], /"import" has no option --wait/],
    [['check', '--pgbouncer', 'x'], /"check" has no option --pgbouncer/],
  ];
  const said: string[] = [];
  t.mock.method(console, 'error', (text: string) => void said.push(text));
  for (const [argv, complaint] of cases) {
    said.length = 0;
    assert.equal(await runCommand(argv), 64, argv.join(' '));
    assert.match(said.join('\n'), complaint);
  }
});
