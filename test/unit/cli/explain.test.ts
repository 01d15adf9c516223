import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { ExplainDocument } from '../../../src/admin/explain.js';
import { explain } from '../../../src/cli/explain.js';
import type { ExplainOptions } from '../../../src/cli/explain.js';
import { readCatalogFile, writeCatalogFile } from '../../../src/cli/explain/catalog-file.js';
import { BUILT_IN, placed } from '../sql/catalog-rows.js';
import { terminalOf } from './terminal-of.js';
import type { KeptTerminal } from './terminal-of.js';

const CATALOG = fileURLToPath(BUILT_IN);

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-explain-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

async function run(
  over: Partial<ExplainOptions>,
  hasColour = false,
): Promise<{ readonly code: number; readonly terminal: KeptTerminal; readonly text: string }> {
  const terminal = terminalOf({ hasColour });
  const options: ExplainOptions = {
    configPath: '/nowhere.yaml',
    json: false,
    sql: null,
    catalogFile: CATALOG,
    database: null,
    saveFile: null,
    namesConfig: false,
    ...over,
  };
  const code = await explain(options, terminal);
  return { code, terminal, text: terminal.printed.join('\n') };
}

test('says for people where each statement goes, and why', async () => {
  const read = await run({ sql: 'select lower(name) from items' });
  assert.equal(read.code, 0);
  assert.match(read.text, /^Database \w+, PostgreSQL 15: 2\d{3} functions, 0 views\n\nSTANDBY {2}select lower/);
  const both = await run({ sql: 'select 1; select nextval($$s$$)' }, true);
  assert.equal(both.code, 1);
  assert.ok(both.text.includes('\u001B[33mPRIMARY\u001B[0m  select nextval'));
  assert.match(both.text, /nextval\(\) may change something.*\(volatile_function\)\n/);
  assert.match(both.text, /template: select nextval\(/);
  assert.match(both.text, /Sent as one string, all of it goes to the primary\.$/);
  const bell = await run({ sql: 'select 1 /* \u0007\u001B[2J */' });
  for (const control of ['\u0007', '\u001B']) assert.ok(!bell.text.includes(control));
  assert.match((await run({ sql: '--' })).text, /no statement in it/);
});

test('a mistake is shown with its line and a mark below', async () => {
  const { code, terminal } = await run({ sql: 'select 1,\n  2 frm y z' });
  assert.equal(code, 65);
  assert.equal(
    terminal.complaints.join('\n'),
    'The statement cannot be read: line 2, column 9: syntax error at or near "y"\n      2 frm y z\n            ^',
  );
});

test('--json gives the document, of a mistake too', async () => {
  const { code, text } = await run({ sql: 'select now()', json: true });
  assert.equal(code, 0);
  assert.equal((JSON.parse(text) as ExplainDocument).statements[0]?.reason, 'read');
  const wrong = await run({ sql: 'selec', json: true });
  assert.equal(wrong.code, 65);
  assert.equal((JSON.parse(wrong.text) as ExplainDocument).mistake?.column, 1);
});

test('a catalogue that was saved is the same when it is read again', async (t) => {
  const folder = folderOf(t);
  const [rich, copy] = [join(folder, 'rich.json'), join(folder, 'copy.json')];
  const builtIn = readCatalogFile(CATALOG);
  const names = { functions: [], relations: [placed('app.b')], operators: [], types: [], attributes: ['c'] };
  writeCatalogFile(rich, {
    ...builtIn,
    functions: [{ ...placed('app.touch'), isVolatile: true }],
    volatileAttributes: [placed('b.x'), placed('a.y')],
    volatileOperators: [{ ...placed('app.+?'), function: placed('app.touch') }],
    views: [
      { ...placed('app.a'), reading: { access: 'read', names } },
      { ...placed('app.u'), reading: null },
    ],
  });
  assert.equal((await run({ catalogFile: rich, saveFile: copy })).code, 0);
  assert.equal(readFileSync(copy, 'utf8'), readFileSync(rich, 'utf8'));
  assert.deepEqual(readCatalogFile(copy).volatileAttributes, [placed('a.y'), placed('b.x')]);
  assert.equal((await run({ catalogFile: rich, sql: 'select 1 operator(app.+?) 2' })).code, 1);
  assert.equal((await run({ catalogFile: rich, saveFile: join(folder, 'no', 'where') })).code, 73);
});

test('the rules of a configuration that is named hold for a snapshot too', async (t) => {
  const folder = folderOf(t);
  const configPath = join(folder, 'switchyard.yaml');
  writeFileSync(
    configPath,
    [
      'cluster: { scope: x, nodes: [{ name: a, host: 127.0.0.1, port: 1 }] }',
      'listeners: [{ name: rw, address: "127.0.0.1:0", route: split }]',
      'routing: { read_functions: [current_setting], write_functions: [now] }',
    ].join('\n'),
  );
  const sql = 'select current_setting($$a.b$$)';
  assert.equal((await run({ sql })).code, 1);
  assert.equal((await run({ sql, configPath, namesConfig: true })).code, 0);
  assert.equal((await run({ sql: 'select now()', configPath, namesConfig: true })).code, 1);
  const missing = await run({ sql, namesConfig: true });
  assert.equal(missing.code, 78);
  assert.match(missing.terminal.complaints.join(), /nowhere\.yaml/);
});

test('without a catalogue nothing is explained', async (t) => {
  const folder = folderOf(t);
  const file = join(folder, 'catalog.json');
  assert.match((await run({ catalogFile: file })).terminal.complaints.join(), /cannot be read/);
  writeFileSync(file, '{"database": "x"}');
  const { code, terminal } = await run({ catalogFile: file, sql: 'select 1' });
  assert.equal(code, 2);
  assert.match(terminal.complaints.join(), /is no catalogue as "switchyard explain --save-catalog" writes it/);
  writeFileSync(file, 'x');
  assert.equal((await run({ catalogFile: file })).code, 2);
});
