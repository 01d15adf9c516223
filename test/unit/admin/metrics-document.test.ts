import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { buildMetrics } from '../../../src/admin/metrics.js';
import { EventLoopDelay } from '../../../src/metrics/event-loop-delay.js';
import type { MetricDescription } from '../../../src/metrics/registry.js';
import { proxyOf } from './proxy-of.js';

// Run from dist/test/unit/admin: the project's folder is four levels up.
const text = readFileSync(new URL('../../../../docs/metrics.md', import.meta.url), 'utf8');

function descriptions(t: TestContext): readonly MetricDescription[] {
  const proxy = proxyOf();
  const loop = new EventLoopDelay(proxy.clock);
  t.after(() => loop.close());
  return buildMetrics(proxy, loop, '1.2.3').descriptions;
}

test('docs/metrics.md has one row for every metric, with the words of the program', (t) => {
  const rows = text.split('\n').filter((line) => line.startsWith('| `switchyard_'));
  const expected = descriptions(t).map(
    ({ name, type, labels, help }) =>
      `| \`${name}\` | ${type} | ${labels.map((label) => `\`${label}\``).join(', ')} | ${help} |`,
  );
  assert.deepEqual(rows.toSorted(), expected.toSorted());
});

test('docs/metrics.md uses no metric and no label that is not there', (t) => {
  const known = new Map<string, MetricDescription>();
  for (const metric of descriptions(t)) {
    known.set(metric.name, metric);
    if (metric.type === 'histogram') {
      for (const suffix of ['bucket', 'sum', 'count']) known.set(`${metric.name}_${suffix}`, metric);
    }
  }
  const uses = [...text.matchAll(/(switchyard_\w+)(?:\{(\w+)=)?/g)];
  assert.ok(uses.length > known.size);
  for (const [, name = '', label] of uses) {
    assert.ok(known.has(name), name);
    if (label !== undefined) assert.ok(known.get(name)?.labels.includes(label), `${name}{${label}}`);
  }
});
