import assert from 'node:assert/strict';
import { test } from 'node:test';
import { interpolate } from '../../../src/config/interpolate.js';

const env = { NAME: 'value', EMPTY: '', TRICKY: '${NAME} $$', UNSET: undefined };

function ok(text: string): string {
  const result = interpolate(text, env);
  assert.deepEqual(result.problems, []);
  return result.text;
}

test('variables are replaced anywhere in a text', () => {
  assert.equal(ok('${NAME}'), 'value');
  assert.equal(ok('a${NAME}b${NAME}'), 'avaluebvalue');
  assert.equal(ok('<${EMPTY}>'), '<>');
});

test('a default stands in for a variable that is not set or empty', () => {
  assert.equal(ok('${UNSET:-x:-y}'), 'x:-y');
  assert.equal(ok('${MISSING:-}'), '');
  assert.equal(ok('${EMPTY:-x}'), 'x');
  assert.equal(ok('${NAME:-x}'), 'value');
});

test('two dollars are one, and other dollars stay', () => {
  assert.equal(ok('$${NAME}'), '${NAME}');
  assert.equal(ok('$$$$'), '$$');
  assert.equal(ok('WHERE rolname = $1 AND cost > 3$'), 'WHERE rolname = $1 AND cost > 3$');
  assert.equal(ok('SCRAM-SHA-256$4096:c2FsdA==$a:b'), 'SCRAM-SHA-256$4096:c2FsdA==$a:b');
  assert.equal(ok('$NAME'), '$NAME');
});

test('what a variable holds is not read again', () => {
  assert.equal(ok('${TRICKY}'), '${NAME} $$');
});

test('each variable that is not set is reported by name', () => {
  const { problems } = interpolate('${MISSING} ${NAME} ${UNSET}', env);
  assert.deepEqual(
    problems.map((problem) => problem.written),
    ['${MISSING', '${UNSET'],
  );
  assert.match(problems[0]?.message ?? '', /^the environment variable MISSING is not set/);
});

test('inherited properties are no variables', () => {
  assert.equal(interpolate('${toString}', {}).problems.length, 1);
  assert.equal(interpolate('${constructor:-none}', {}).text, 'none');
});

test('a reference that is not written in full is reported', () => {
  for (const text of ['${NAME', '${}', '${1A}', '${NAME-x}', '${NA ME}', '${NAME:x}']) {
    assert.match(interpolate(text, env).problems[0]?.message ?? '', /write \$\{NAME\} or/, text);
  }
});
