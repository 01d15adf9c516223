import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SourceText } from '../../../src/sql/source-text.js';
import { TemplateReader } from '../../../src/sql/template.js';

function sourceOf(sql: string, escapesInStrings = false): { readonly source: SourceText; readonly template: string } {
  const reader = new TemplateReader();
  const text = Buffer.from(sql);
  reader.read(text, 0, text.length, escapesInStrings, false);
  return {
    source: new SourceText(reader.out, text, 0, text.length, escapesInStrings),
    template: reader.out.toString(),
  };
}

test('strings mean what PostgreSQL takes them for', () => {
  const { source } = sourceOf('');
  for (const [token, value] of [
    ["'a'", 'a'],
    ["''", ''],
    ["'it''s'", "it's"],
    ["E'a'", 'a'],
    ["e'it''s'", "it's"],
    ["'a\\b'", 'a\\b'],
    ['$$a$$', 'a'],
    ["$x$it's $$ $x$", "it's $$ "],
    ['$$a\nb$$', 'a\nb'],
  ] as const) {
    assert.equal(source.valueOf(token), value, token);
  }
});

test('of strings with escapes, in several lines or of other kinds nothing is said', () => {
  const { source } = sourceOf('');
  for (const token of ["E'a\\n'", "'a'\n'b'", "U&'a'", "B'1'", "x'ff'", "N'a'", '1', 'a', '', '$1']) {
    assert.equal(source.valueOf(token), null, token);
  }
  assert.equal(sourceOf('', true).source.valueOf("'a\\b'"), null);
});

test('tokens are found by where they begin in the template', () => {
  const { source, template } = sourceOf("SELECT /* x */ f( 'one' ,'two' )");
  assert.equal(template, "select f('?','?')");
  assert.equal(source.token(template.indexOf("'?'")), "'one'");
  assert.equal(source.token(template.lastIndexOf("'?'")), "'two'");
  assert.equal(source.tokenBehind(template.indexOf("'?'")), ',');
  assert.equal(source.token(template.indexOf("'?'") + 1), '');
  assert.equal(source.tokenBehind(template.length - 1), '');
});

test('it knows whether it was asked for anything', () => {
  const { source } = sourceOf("SET a = 'b'");
  source.begin({}, true);
  assert.equal(source.valueOf("'b'"), 'b');
  assert.ok(!source.wasUsed);
  assert.equal(source.statement(), "SET a = 'b'");
  assert.ok(source.wasUsed);
});

test('statements are cut out by their place in the template', () => {
  const { source, template } = sourceOf("  SELECT 'long literal' ; SET a /* b */ = 'c' ; ");
  source.begin({ stmt_location: 0, stmt_len: template.indexOf(';') }, false);
  assert.equal(source.statement(), "SELECT 'long literal'");
  const behind = template.indexOf(';') + 1;
  source.begin({ stmt_location: behind, stmt_len: template.lastIndexOf(';') - behind }, false);
  assert.equal(source.statement(), "SET a /* b */ = 'c'");
  source.begin({ stmt_location: template.length }, false);
  assert.equal(source.statement(), '');
});

test('a statement that is alone is kept with all that is around it, one of several by itself', () => {
  const { source, template } = sourceOf(" /* a */ PREPARE p AS SELECT 'x' ; ");
  source.begin({ stmt_location: 0, stmt_len: template.indexOf(';') }, true);
  assert.equal(source.statementAsKept(), " /* a */ PREPARE p AS SELECT 'x' ; ");
  source.begin({ stmt_location: 0, stmt_len: template.indexOf(';') }, false);
  assert.equal(source.statementAsKept(), "PREPARE p AS SELECT 'x'");
});
