import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import type { Catalog } from '../../../src/sql/catalog.js';
import { corpus, corpusRows } from './corpus/corpus.js';
import { corpusCatalog } from './corpus/corpus-catalog.js';
import { obstacleOf } from './corpus/corpus-verdict.js';
import { StatementReader } from './read-statements.js';

let reader: StatementReader;
let catalog: Catalog;

before(async () => {
  reader = await StatementReader.load();
  catalog = corpusCatalog(reader);
});

for (const [group, rows] of Object.entries(corpus)) {
  for (const [sql, verdict, reason] of rows) {
    test(`${group}: ${sql.slice(0, 90)} -> ${verdict} (${reason})`, () => {
      assert.equal(obstacleOf(sql, reader, catalog), verdict === 'standby' ? null : reason);
      assert.equal(obstacleOf(sql, reader, catalog), verdict === 'standby' ? null : reason, 'from the cache');
    });
  }
}

test('the corpus is large, and every text of it stands there once in its group', () => {
  assert.ok(corpusRows.length >= 300, `${corpusRows.length} texts`);
  for (const [group, rows] of Object.entries(corpus)) {
    assert.equal(new Set(rows.map(([sql]) => sql)).size, rows.length, group);
  }
  for (const goal of ['standby', 'primary']) {
    assert.ok(corpusRows.filter(([, verdict]) => verdict === goal).length > 150, goal);
  }
});
