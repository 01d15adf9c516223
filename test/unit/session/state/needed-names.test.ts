import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addNeededNames } from '../../../../src/session/state/needed-names.js';
import type { Analysis } from '../../../../src/sql/analysis.js';
import { analyzer } from './conversation-state.js';

function read(sql: string): Analysis {
  return analyzer.analyze(Buffer.from(sql), 0, sql.length, { clientEncoding: 'UTF8', escapesInStrings: false });
}

/** The names that a text needs, where these are prepared; null: it may be any. */
function needed(sql: string, prepared: Readonly<Record<string, string>> = {}): readonly string[] | null {
  const names: string[] = [];
  const isTold = addNeededNames(
    read(sql),
    (name) => (prepared[name] === undefined ? null : read(prepared[name])),
    names,
  );
  return isTold ? names : null;
}

test('what executes, prepares or deallocates statements needs them', () => {
  assert.deepEqual(needed('SELECT 1; SET geqo = on; DEALLOCATE ALL'), []);
  assert.deepEqual(
    needed('EXECUTE a (1); PREPARE b AS SELECT 1; DEALLOCATE c; EXPLAIN ANALYZE EXECUTE d; EXECUTE a (2)'),
    ['a', 'b', 'c', 'd'],
  );
});

test('what they execute in their turn is needed too', () => {
  assert.deepEqual(needed('EXECUTE a', { a: 'EXECUTE b', b: 'EXECUTE a' }), ['a', 'b']);
});

test('what may look at any of them is told', () => {
  for (const sql of [
    'CALL f()',
    'EXPLAIN EXECUTE a',
    'DO $$ BEGIN END $$',
    'UNHEARD OF',
    'SELECT name FROM pg_prepared_statements',
  ]) {
    assert.equal(needed(sql), null, sql);
  }
  assert.equal(needed('EXECUTE a', { a: 'SELECT * FROM pg_catalog.pg_prepared_statements' }), null);
});
