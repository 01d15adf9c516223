import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { configJsonSchema } from '../../../src/config/json-schema.js';
import { loadConfig } from '../../../src/config/load.js';
import { renderReference } from '../../../src/config/reference.js';
import { type SchemaNode, schemaLeaves, schemaTree } from '../../../src/config/schema-tree.js';
import { MINIMAL, parse } from './config-text.js';

// Run from dist/test/unit/config: the project's folder is four levels up.
const project = new URL('../../../../', import.meta.url);
const HOW = 'run: node dist/src/config/write-docs.js';

function read(path: string): string {
  return readFileSync(new URL(path, project), 'utf8');
}

/** What the published schema says about a key; `[]` leads into the entries of a list. */
function published(key: string): Readonly<Record<string, unknown>> {
  let node = configJsonSchema() as Record<string, unknown>;
  for (const step of key.split('.')) {
    const properties = node['properties'] as Record<string, Record<string, unknown>>;
    node = properties[step.replace('[]', '')] ?? {};
    node = step.endsWith('[]') ? (node['items'] as Record<string, unknown>) : node;
  }
  return node;
}

test('the committed JSON Schema is what the code says', () => {
  assert.equal(read('config/switchyard.schema.json'), `${JSON.stringify(configJsonSchema(), null, 2)}\n`, HOW);
});

test('the committed reference is what the code says', () => {
  assert.equal(read('docs/configuration.md'), renderReference(), HOW);
});

test('every key and every section has a description', () => {
  const bare: string[] = [];
  const walk = (node: SchemaNode, key: string): void => {
    if (key !== '' && !key.endsWith('[]') && (node.description ?? '').length < 10) {
      bare.push(key);
    }
    for (const [name, child] of Object.entries(node.properties ?? {})) {
      walk(child, key === '' ? name : `${key}.${name}`);
    }
    if (node.items !== undefined) {
      walk(node.items, `${key}[]`);
    }
  };
  walk(schemaTree(), '');
  assert.deepEqual(bare, []);
  for (const leaf of schemaLeaves(schemaTree())) {
    assert.ok(leaf.node.enum !== undefined || leaf.node['x-type'] !== undefined, `${leaf.key} has no type in words`);
  }
});

test('a default in the documents is the value that the program takes', () => {
  const written: Record<string, Record<string, unknown>> = {};
  for (const { key, node } of schemaLeaves(schemaTree())) {
    const [section, name, ...deeper] = key.split('.');
    if (section !== undefined && name !== undefined && deeper.length === 0 && node.default !== undefined) {
      if (section !== 'cluster' && section !== 'listeners[]') {
        written[section] = { ...written[section], [name]: node.default };
      }
    }
  }
  assert.deepEqual(Object.keys(written).length, 8);
  const sections = Object.entries(written).map(([section, values]) => `${section}: ${JSON.stringify(values)}\n`);
  assert.deepEqual(parse(MINIMAL + sections.join('')).config, parse(MINIMAL).config);
});

test('the published schema takes a reference to the environment for every single value', () => {
  for (const key of [
    'pool.size',
    'pool.reuse',
    'routing.max_lag',
    'log.level',
    'listeners[].route',
    'limits.message',
  ]) {
    const alternatives = published(key)['anyOf'];
    assert.ok(Array.isArray(alternatives), key);
    assert.deepEqual(alternatives.at(-1), { type: 'string', pattern: '\\$\\{' }, key);
  }
  assert.equal(published('cluster.scope')['anyOf'], undefined, 'any text may hold one');
});

test('the published schema holds no words of ours, and marks what is secret', () => {
  assert.doesNotMatch(JSON.stringify(configJsonSchema()), /x-type/);
  assert.equal(published('cluster.monitor.password')['writeOnly'], true);
  assert.equal(published('cluster')['additionalProperties'], false);
  assert.deepEqual(published('cluster')['oneOf'], [{ required: ['etcd3'] }, { required: ['nodes'] }]);
  assert.deepEqual(configJsonSchema()['required'], ['cluster', 'listeners']);
});

test('the example loads without a warning', () => {
  const { config, warnings } = loadConfig(fileURLToPath(new URL('config/example.yaml', project)), {
    MONITOR_PASSWORD: 'from the environment',
  });
  assert.deepEqual(warnings, []);
  assert.equal(config.cluster.scope, 'pg-cluster');
  assert.deepEqual(config.cluster.source.kind === 'etcd3' && config.cluster.source.hosts, [
    { host: '127.0.0.1', port: 2379 },
  ]);
  assert.equal(config.cluster.monitor.password, 'from the environment');
  assert.deepEqual(
    config.listeners.map(({ address, route }) => `${address.host}:${address.port} ${route}`),
    ['127.0.0.1:5000 primary', '127.0.0.1:5001 standby', '127.0.0.1:6432 split'],
  );
});

test('the example names its schema first, and shows every key', () => {
  const example = read('config/example.yaml');
  assert.match(example, /^# yaml-language-server: \$schema=switchyard\.schema\.json\n/);
  const missing = schemaLeaves(schemaTree())
    .map((leaf) => leaf.key)
    .filter((key) => !new RegExp(`(^|[\\s{,#])${key.slice(key.lastIndexOf('.') + 1)}:`, 'm').test(example));
  assert.deepEqual(missing, []);
});

test('what the example shows as a default is the default', () => {
  const example = read('config/example.yaml');
  const sections = ['routing', 'pool', 'promotion', 'admin', 'log', 'limits', 'shutdown'];
  const shown = sections.map((section) => {
    const body = new RegExp(`^${section}:\\n((?: {2}.*\\n)+)`, 'm').exec(example)?.[1] ?? '';
    return `${section}:\n${body.replaceAll(/^ {2}# /gm, '  ')}`;
  });
  const { config } = parse(MINIMAL + shown.join(''));
  assert.deepEqual(config, parse(MINIMAL).config);
});
