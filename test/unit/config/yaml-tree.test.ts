import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readYamlTree } from '../../../src/config/yaml-tree.js';

function plain(text: string, env: Readonly<Record<string, string>> = {}): unknown {
  return structuredClone(readYamlTree(text, env).value);
}

function problems(text: string): readonly string[] {
  return readYamlTree(text, {}).problems.map(({ at, message }) => `${at.line}:${at.column} ${message}`);
}

test('mappings, lists and scalars become plain values', () => {
  assert.deepEqual(plain('a: 1\nb: [x, "2", true, 1.5]\nc: { d: off, e: 0x10 }\n'), {
    a: 1,
    b: ['x', '2', true, 1.5],
    c: { d: 'off', e: 16 },
  });
});

test('keys and values are found where they are written', () => {
  const tree = readYamlTree('a:\n  bb: 1\n  c:\n    - x\n    - { k: "v" }\n', {});
  assert.deepEqual(tree.positionOf(['a', 'bb']), { line: 2, column: 7 });
  assert.deepEqual(tree.keyPositionOf(['a', 'bb']), { line: 2, column: 3 });
  assert.deepEqual(tree.positionOf(['a', 'c']), { line: 3, column: 3 }, 'a list is found at its key');
  assert.deepEqual(tree.positionOf(['a', 'c', 0]), { line: 4, column: 7 });
  assert.deepEqual(tree.positionOf(['a', 'c', 1, 'k']), { line: 5, column: 12 });
  assert.deepEqual(tree.positionOf(['a', 'c', 1, 'missing']), { line: 5, column: 7 }, 'the entry that lacks it');
  assert.deepEqual(tree.positionOf(['a', 'missing']), { line: 1, column: 1 });
  assert.equal(tree.has(['a', 'c', 1, 'k']), true);
  assert.equal(tree.has(['a', 'c', 2]), false);
});

test('positions count from the start of the line with carriage returns and a byte order mark', () => {
  const tree = readYamlTree('\uFEFFa: 1\r\nb: 2\r\n', {});
  assert.deepEqual(tree.positionOf(['b']), { line: 2, column: 4 });
  assert.deepEqual(plain('\uFEFFa: 1\r\n'), { a: 1 });
});

test('an alias stands for its anchor and is found where the alias is', () => {
  const text = 'a: &x { k: 1 }\nb: *x\nc: [*x]\n';
  assert.deepEqual(plain(text), { a: { k: 1 }, b: { k: 1 }, c: [{ k: 1 }] });
  assert.deepEqual(readYamlTree(text, {}).positionOf(['b', 'k']), { line: 2, column: 4 });
});

test('variables are put into texts but not into keys', () => {
  assert.deepEqual(plain('${A}: ${A}\nn: [ "${A}x", \'$$\' ]\nt: |\n  ${A}\n', { A: 'v' }), {
    '${A}': 'v',
    n: ['vx', '$'],
    t: 'v\n',
  });
});

test('a variable that is not set is found inside its text', () => {
  const tree = readYamlTree('a: x\nb: "at ${NOPE}"\nc: |\n  one\n  ${NOPE}\n', {});
  assert.deepEqual(
    tree.problems.map((problem) => problem.at),
    [
      { line: 2, column: 8 },
      { line: 5, column: 3 },
    ],
  );
  assert.equal(tree.isBroken(['b']), true);
  assert.equal(tree.isBroken([]), true, 'what holds it is not whole');
  assert.equal(tree.isBroken(['a']), false);
});

test('a key without a value counts as not there, with a warning', () => {
  const tree = readYamlTree('a:\nb: ~\nc: { d: }\npassword: #secret\n', {});
  assert.deepEqual(structuredClone(tree.value), { c: {} });
  assert.deepEqual(
    tree.warnings.map(({ at, path, message }) => `${at.line}:${at.column} ${path.join('.')} ${message}`),
    [
      '1:1 a has no value and is ignored',
      '2:1 b has no value and is ignored',
      '3:6 c.d has no value and is ignored',
      '4:1 password has no value and is ignored; # begins a comment, so a text that begins with it must be in quotes',
    ],
  );
});

test('an empty file has no value', () => {
  assert.equal(plain(''), null);
  assert.equal(plain('# nothing\n'), null);
});

test('syntax errors are told with their place', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['a: 1\nb: 2\na: 3\n', /^3:1 YAML syntax: this key is already given in the same mapping/],
    ['a: { b: 1, b: 2 }\n', /^1:12 YAML syntax: this key is already given/],
    ['a: 1\n\tb: 2\n', /^2:1 YAML syntax: /],
    ['a: b: c\n', /^1:4 YAML syntax: a second colon on this line/],
    ['a: 1\nb: "open\nc: 2\n', /^2:4 YAML syntax: this quote is never closed/],
    ["x: 'open\n", /^1:4 YAML syntax: this quote is never closed/],
    ['a: [1\nb: 2\n', /^2:1 YAML syntax: flow sequence in block collection must be/],
    ['a: @x\n', /^1:4 YAML syntax: a value that begins with this character must be in quotes/],
    ['a: !tag x\n', /^1:4 YAML syntax: a value that begins with ! must be in quotes/],
    ['a: "\\q"\n', /^1:5 YAML syntax: not a known escape/],
    ['a: "b" c\n', /^1:8 YAML syntax: this is not expected here/],
    ['a: 1\n---\nb: 1\n', /^2:1 YAML syntax: a second document begins here/],
    ['%FOO\n---\na: 1\n', /^1:1 YAML syntax: a line that begins with %/],
    ['a: *nope\n', /^1:4 refers to an anchor that does not exist/],
    ['? [k]\n: 1\n', /^1:3 the key of a mapping must be a text/],
    ['~: 1\n', /^1:1 the key of a mapping must be a text/],
  ];
  for (const [text, expected] of cases) {
    assert.match(problems(text)[0] ?? 'no problem', expected, text);
  }
});

test('syntax errors show nothing of the file, which may be a secret', () => {
  for (const text of [
    'password: *hunter2\n',
    'password: !hunter2\n',
    'password: &hunter2 &hunter2 x\n',
    'password: "x" hunter2\n',
    'password: "\\hunter2"\n',
    'password: @hunter2\n',
    'password: "hunter2\n',
    '- a\npassword: hunter2\n',
    'password: a: hunter2\n',
    'password: |hunter2\n  x\n',
    '%hunter2\n---\na: 1\n',
    'password: [hunter2\n',
    'password: ${hunter2\n',
  ]) {
    const found = problems(text);
    assert.notEqual(found.length, 0, text);
    assert.doesNotMatch(found.join('\n'), /hunter2/, text);
  }
});

test('aliases cannot unfold without bound or for ever', () => {
  const bomb = Array.from({ length: 12 }, (_, index) => {
    const before = index === 0 ? 'x' : `*a${index - 1}`;
    return `a${index}: &a${index} [${Array.from({ length: 10 }, () => before).join(', ')}]`;
  }).join('\n');
  assert.match(problems(bomb).join(), /^\d+:\d+ the file unfolds into too many values$/);
  assert.deepEqual(problems('a: &x [*x]\n'), ['1:8 is nested too deeply']);
  assert.deepEqual(problems('a: &x [*x, *x, *x]\n'), ['1:8 is nested too deeply']);
  assert.equal(problems(`${'['.repeat(40)}${']'.repeat(40)}\n`)[0], '1:34 is nested too deeply');
});

test('__proto__ is a key like any other', () => {
  const tree = readYamlTree('__proto__: { polluted: 1 }\n', {});
  assert.deepEqual(Object.keys(tree.value as object), ['__proto__']);
  assert.equal(({} as Readonly<Record<string, unknown>>)['polluted'], undefined);
});

test('a file full of syntax errors is cut off after the first ones', () => {
  assert.ok(problems('"x" y: @\n'.repeat(5000)).length <= 20);
});
