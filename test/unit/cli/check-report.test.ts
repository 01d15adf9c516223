import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fail, ok, renderFinding, renderSummary, warn } from '../../../src/cli/check/report.js';

test('a finding is one line, with what mends it indented below', () => {
  assert.equal(renderFinding(ok('all well'), false), 'ok    all well');
  assert.equal(
    renderFinding(warn('not so well', 'Do this:', '  SELECT 1;\n    FROM x;'), false),
    'warn  not so well\n      Do this:\n        SELECT 1;\n          FROM x;',
  );
  assert.equal(renderFinding(fail('bad'), false), 'FAIL  bad');
  assert.equal(renderFinding(fail('bad'), true), '\u001B[31mFAIL\u001B[0m  bad');
});

test('what others said cannot command the terminal', () => {
  assert.equal(renderFinding(fail('a\nb\u001B[2J', 'c\u0007'), false), 'FAIL  a b?[2J\n      c?');
});

test('the summary counts what failed and what was warned about', () => {
  assert.equal(renderSummary([ok('a'), ok('b')]), 'All is well: 2 checks passed.');
  assert.equal(renderSummary([ok('a'), warn('b')]), 'All is well: 1 check passed, 1 warning.');
  assert.equal(renderSummary([ok('a'), warn('b'), warn('c'), fail('d')]), '1 of 4 checks FAILED, 2 warnings.');
});
