import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { findCycle, projectFolder, readSource, readSources } from './sources.js';
import type { Source } from './sources.js';

const LINES_MAX = 400;

/** From the top down: a file imports from its own rank and from those below. */
const ranks: readonly (readonly string[])[] = [
  ['main.ts', 'cli', 'app.ts'],
  ['admin', 'failover'],
  ['session'],
  ['routing', 'cluster', 'dcs', 'replication'],
  ['relay', 'backend', 'auth', 'net'],
  ['protocol', 'sql', 'config', 'metrics'],
  ['util', 'errors.ts', 'log.ts'],
];

const sources = readSources();

/** The rank of a path below `src`, 0 at the top; -1 when its folder has none. */
function rankOf(path: string): number {
  const [top = ''] = path.split('/');
  return ranks.findIndex((names) => names.includes(top));
}

/** Fails with all that is wrong at once. */
function assertNone(problems: readonly string[]): void {
  assert.equal(problems.join('\n'), '');
}

function importsUpwards({ path, imports }: Source): readonly string[] {
  return imports.filter((other) => rankOf(other) < rankOf(path));
}

/** State that all workers of one process would share: `let`, and collections that can be changed. */
function moduleState({ text }: Source): readonly string[] {
  const found: string[] = [];
  for (const [line] of text.matchAll(/^(?:export )?(?:let|var) .*/gm)) found.push(line);
  const collection = /^(?:export )?const \w+(?:: (.+?))? = new (?:Map|Set|WeakMap|WeakSet|Array)\b.*/gm;
  for (const [line, type = ''] of text.matchAll(collection)) if (!/^Readonly(Map|Set)</.test(type)) found.push(line);
  const array = /^(?:export )?const \w+(?:: (.+?))? = \[(?:.*|[^]*?\n)\](.*);$/gm;
  for (const [list, type = '', suffix = ''] of text.matchAll(array)) {
    if (!/^(readonly |Readonly)/.test(type) && suffix !== ' as const') found.push(list.split('\n')[0] ?? '');
  }
  for (const [line] of text.matchAll(/^ {2}static (?!readonly )[#\w]+(?:: .*)? =.*/gm)) found.push(line.trim());
  return found;
}

test('every source file has a rank', () => {
  assertNone(sources.filter(({ path }) => rankOf(path) < 0).map(({ path }) => path));
});

test('imports only go down', () => {
  assertNone(sources.flatMap((source) => importsUpwards(source).map((other) => `${source.path} imports ${other}`)));
});

test('there is no way round through the imports, types of other folders included', () => {
  assert.equal(findCycle(sources)?.join(' -> ') ?? 'none', 'none');
});

test('imports name files that exist, by the name they have when they run', () => {
  const paths = new Set(sources.map(({ path }) => path));
  const problems = sources.flatMap(({ path, imports }) =>
    imports.filter((other) => !paths.has(other)).map((other) => `${path} imports ${other}`),
  );
  assertNone(problems);
});

test('only packages that are installed with the program are imported', () => {
  const manifest = JSON.parse(readFileSync(join(projectFolder, 'package.json'), 'utf8')) as {
    readonly dependencies: Readonly<Record<string, string>>;
  };
  const allowed = Object.keys(manifest.dependencies);
  const isAllowed = (name: string): boolean =>
    name.startsWith('node:') || allowed.some((each) => name === each || name.startsWith(`${each}/`));
  const problems = sources.flatMap(({ path, packages }) =>
    packages.filter((name) => !isAllowed(name)).map((name) => `${path} imports ${name}`),
  );
  assertNone(problems);
});

test('no module has a default export', () => {
  const isDefault = /^export default\b|^export \{[^}]*\bas default\b/m;
  assertNone(sources.filter(({ text }) => isDefault.test(text)).map(({ path }) => path));
});

test('no module keeps state of its own', () => {
  assertNone(sources.flatMap((source) => moduleState(source).map((line) => `${source.path}: ${line}`)));
});

test(`no source file has more than ${LINES_MAX} lines`, () => {
  const lines = ({ text }: Source): number => text.trimEnd().split('\n').length;
  assertNone(
    sources.filter((source) => lines(source) > LINES_MAX).map((source) => `${source.path} has ${lines(source)} lines`),
  );
});

// What finds nothing must be able to find something.

test('the reader sees every form of import', () => {
  const { imports, packages } = readSource(
    'session/one.ts',
    [
      "import { readFile } from 'node:fs/promises';",
      "import type { A } from '../util/a.js';",
      "import {\n  B,\n  C,\n} from './two.js';",
      "import './three.js';",
      "export type { D } from '../app.js';",
      "const e = await import('../cli/late.js');",
      'const text = "import { X } from \'./no.js\'";',
    ].join('\n'),
  );
  assert.deepEqual(imports, ['util/a.ts', 'session/two.ts', 'session/three.ts', 'app.ts', 'cli/late.ts']);
  assert.deepEqual(packages, ['node:fs/promises']);
});

test('an import that goes up is found', () => {
  const source = readSource(
    'sql/lexer.ts',
    "import { A } from '../session/a.js';\nimport { B } from '../util/b.js';\n",
  );
  assert.deepEqual(importsUpwards(source), ['session/a.ts']);
});

test('a way round is found', () => {
  const around = [
    readSource('dcs/a.ts', "import { B } from './b.js';\n"),
    readSource('dcs/b.ts', "import type { C } from '../cluster/c.js';\n"),
    readSource('cluster/c.ts', "import { B } from '../dcs/b.js';\n"),
  ];
  assert.deepEqual(findCycle(around), ['dcs/b.ts', 'cluster/c.ts', 'dcs/b.ts']);
  assert.equal(findCycle(around.slice(0, 2)), null);
  const loading = [
    readSource('dcs/a.ts', "import { B } from './b.js';\n"),
    readSource('dcs/b.ts', "import {\n  A,\n} from './a.js';\n"),
  ];
  assert.deepEqual(findCycle(loading), ['dcs/a.ts', 'dcs/b.ts', 'dcs/a.ts']);
});

test('files of one folder may know the types of each other', () => {
  const friends = [
    readSource('dcs/a.ts', "import { B } from './b.js';\n"),
    readSource('dcs/b.ts', "import type { A } from './a.js';\n"),
  ];
  assert.equal(findCycle(friends), null);
});

test('module state is found, and what cannot change is none', () => {
  const state = [
    'let count = 0;',
    'export let open = false;',
    'const seen = new Set<string>();',
    'export const cache: Map<string, number> = new Map();',
    'const weak = new WeakMap();',
    'const list = [1, 2];',
    'const lines = [',
    '  1,',
    '];',
    'class A {',
    '  static made = 0;',
    '}',
  ];
  assert.equal(moduleState(readSource('a.ts', state.join('\n'))).length, 8);
  const fixed = [
    'const names: ReadonlySet<string> = new Set();',
    'const kinds: ReadonlyMap<string, number> = new Map([',
    "  ['a', 1],",
    ']);',
    'const pair = [1, 2] as const;',
    'const rows: readonly number[] = [',
    '  1,',
    '];',
    'const PATTERN = /x/;',
    'function f() {',
    '  const inner = [1];',
    '  let n = 0;',
    '}',
    'class A {',
    '  static readonly ONE = 1;',
    '  static make(): A {',
    '  }',
    '}',
  ];
  assert.deepEqual(moduleState(readSource('a.ts', fixed.join('\n'))), []);
});
