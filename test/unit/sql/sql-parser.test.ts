import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PARSED_BYTES_MAX, SqlParser } from '../../../src/sql/sql-parser.js';
import type { Parsed } from '../../../src/sql/sql-parser.js';

function parse(parser: SqlParser, text: string | Buffer): Parsed {
  const bytes = Buffer.concat([Buffer.from('x'), Buffer.from(text), Buffer.from('(')]);
  return parser.parse(bytes, 1, bytes.length - 1);
}

/** A chain that is too deep for the stack. */
const chain = `SELECT 1${'+1'.repeat(30_000)}`;

test('gives the statements of a text with their places in bytes', async () => {
  const parsed = parse(await SqlParser.load(), "SELECT 'größe'; SET a = 1; ");
  assert.ok(parsed.kind === 'tree');
  assert.deepEqual(
    parsed.statements.map(({ stmt_location: at = 0, stmt_len: length = 0 }) => [at, length]),
    [
      [0, 16],
      [18, 9],
    ],
  );
});

test('gives names one character for each byte, whatever their encoding', async () => {
  const parsed = parse(await SqlParser.load(), Buffer.from('LISTEN "a\xfc\xff"', 'latin1'));
  assert.ok(parsed.kind === 'tree');
  assert.deepEqual(parsed.statements[0]?.stmt, { ListenStmt: { conditionname: 'a\xfc\xff' } });
});

test('an empty text has no statements', async () => {
  const parser = await SqlParser.load();
  for (const text of ['', ' ', ';;', '-- nothing']) {
    assert.deepEqual({ ...parse(parser, text), treeBytes: 0 }, { kind: 'tree', statements: [], treeBytes: 0 });
  }
});

test('refuses what is no SQL', async () => {
  const parser = await SqlParser.load();
  for (const text of ['selec 1', 'SELECT (', "SELECT 'a", 'SELECT 1 SELECT 2']) {
    assert.equal(parse(parser, text).kind, 'refused', text);
  }
  assert.equal(parse(parser, 'SELECT 1').kind, 'tree');
});

test('does not read what is too long', async () => {
  const parser = await SqlParser.load();
  const text = `SELECT ${'a'.repeat(PARSED_BYTES_MAX)}`;
  assert.equal(parse(parser, text).kind, 'not_read');
  assert.equal(parse(parser, text.slice(0, PARSED_BYTES_MAX)).kind, 'tree');
});

test('goes on with another instance when one has broken, as often as it takes', async () => {
  const faults: Error[] = [];
  const parser = await SqlParser.load({ onFault: (error) => faults.push(error) });
  // One instance refuses everything after about thirty of these.
  for (let i = 1; i <= 40; i += 1) {
    assert.equal(parse(parser, chain).kind, 'not_read');
    assert.equal(parser.faults, i);
    // While there is none, nothing is read.
    assert.equal(parse(parser, 'SELECT 1').kind, 'not_read');
    while (parse(parser, 'SELECT 1').kind !== 'tree') await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(faults.length, 40);
});

test('two parsers do not share their faults', async () => {
  const [one, other] = [await SqlParser.load(), await SqlParser.load()];
  assert.equal(parse(one, chain).kind, 'not_read');
  assert.equal(parse(other, 'SELECT 1').kind, 'tree');
  assert.equal(other.faults, 0);
});
