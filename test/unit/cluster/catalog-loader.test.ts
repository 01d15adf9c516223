import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { loadCatalog } from '../../../src/cluster/catalog-loader.js';
import { CATALOG_ROWS_MAX, decodeCatalog, VIEW_CHARS_MAX, VIEWS_MAX } from '../../../src/cluster/catalog-sql.js';
import { SwitchyardError } from '../../../src/errors.js';
import { StatementReader } from '../sql/read-statements.js';
import { FakeCatalog, nodeError } from './fake-catalog.js';

let reader: StatementReader;

before(async () => {
  reader = await StatementReader.load();
});

test('a catalogue that has not changed is not read again', async () => {
  const node = new FakeCatalog();
  const first = await loadCatalog(node.ask, 'app', reader.analyzer);
  assert.equal(first?.fingerprint, 'first');
  assert.deepEqual(first.snapshot.functions, [{ schema: 'pg_catalog', name: 'now', isVolatile: false }]);
  assert.equal(first.snapshot.serverVersion, 150_020);
  assert.equal(await loadCatalog(node.ask, 'app', reader.analyzer, 'first'), null);
  node.fingerprint = 'second';
  const second = await loadCatalog(node.ask, 'app', reader.analyzer, 'first');
  assert.equal(second?.fingerprint, 'second');
  assert.deepEqual(node.asked, ['catalog', 'fingerprint', 'fingerprint', 'catalog']);
});

test('a view that cannot be asked for costs no other view its verdict, and is asked for again', async () => {
  const node = new FakeCatalog();
  for (let at = 0; at < 250; at += 1) node.views.set(`app.v${at}`, at === 130 ? null : `SELECT now() AS n${at}`);
  const loaded = await loadCatalog(node.ask, 'app', reader.analyzer);
  const unread = loaded?.snapshot.views.filter(({ reading }) => reading === null).map(({ name }) => name);
  assert.deepEqual(unread, ['v130']);
  assert.equal(loaded?.fingerprint, null);
  assert.equal(node.asked.filter((each) => each === 'rollback').length, 8);
});

test('when view after view fails, the rest is given up', async () => {
  const node = new FakeCatalog();
  for (let at = 0; at < 300; at += 1) node.views.set(`app.v${at}`, null);
  const loaded = await loadCatalog(node.ask, 'app', reader.analyzer);
  assert.equal(loaded?.snapshot.views.length, 300);
  assert.ok(loaded.snapshot.views.every(({ reading }) => reading === null));
  assert.equal(node.asked.filter((each) => each === 'rollback').length, 16);
});

test('views beyond what is read, and queries that are too long or no single statement, are not read', async () => {
  const node = new FakeCatalog();
  node.views.set('app.long', `SELECT '${'x'.repeat(VIEW_CHARS_MAX)}'`.slice(0, VIEW_CHARS_MAX + 1));
  node.views.set('app.two', 'SELECT 1; SELECT 2');
  node.views.set('app.good', ' SELECT now() AS now;');
  for (let at = 0; at < VIEWS_MAX; at += 1) node.views.set(`app.v${at}`, 'SELECT 1');
  const loaded = await loadCatalog(node.ask, 'app', reader.analyzer);
  const views = loaded?.snapshot.views ?? [];
  const unread = views.filter(({ reading }) => reading === null).map(({ name }) => name);
  assert.deepEqual(unread, ['long', 'two', `v${VIEWS_MAX - 3}`, `v${VIEWS_MAX - 2}`, `v${VIEWS_MAX - 1}`]);
  assert.equal(loaded?.fingerprint, 'first');
  // What the query tells without a schema is PostgreSQL's own.
  assert.deepEqual(views.find(({ name }) => name === 'good')?.reading?.names.functions, [
    { schema: 'pg_catalog', name: 'now' },
  ]);
});

test('a node that is lost, or ends the session, ends the loading', async () => {
  const node = new FakeCatalog();
  node.views.set('app.v', 'SELECT 1');
  for (const error of [new SwitchyardError('backend_lost', 'lost'), nodeError('57P01', 'terminating', 'FATAL')]) {
    const ask = (sql: string): ReturnType<typeof node.ask> =>
      sql.includes('pg_get_viewdef') ? Promise.reject(error) : node.ask(sql);
    await assert.rejects(loadCatalog(ask, 'app', reader.analyzer), (thrown) => thrown === error);
  }
});

test('rows that are not those of a catalogue are refused', () => {
  const whole = [
    ['fingerprint', 'f'],
    ['version', '150020'],
    ['function', 'pg_catalog', 'now', 'f', 'f'],
  ];
  assert.equal(decodeCatalog(whole).functions.length, 1);
  for (let at = 0; at < whole.length; at += 1) {
    assert.throws(() => decodeCatalog(whole.filter((_, index) => index !== at)), /incomplete/);
  }
  assert.throws(() => decodeCatalog([...whole, ['view', 'app', 'v', 'x']]), /number/);
  assert.throws(() => decodeCatalog([...whole, ['view', null, 'v', '1']]), /incomplete/);
  const many = Array.from({ length: CATALOG_ROWS_MAX }, () => ['function', 'app', 'f', 'f', 'f']);
  assert.throws(() => decodeCatalog([...whole, ...many]), /too many/);
});
