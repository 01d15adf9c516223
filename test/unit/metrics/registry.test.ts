import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DurationHistogram, LabelledCounter } from '../../../src/metrics/counters.js';
import { MetricsRegistry } from '../../../src/metrics/registry.js';
import type { Series } from '../../../src/metrics/registry.js';
import { assertWellFormed, parseExposition, valueOf } from './exposition.js';

async function scrape(metrics: MetricsRegistry) {
  const families = parseExposition(await metrics.text());
  assertWellFormed(families);
  return families;
}

test('a gauge is read at every scrape, and is not there while there is nothing to say', async () => {
  const metrics = new MetricsRegistry();
  let value: number | null = null;
  metrics.gauge('age_seconds', 'Age of something or other.', () => value);
  assert.equal(valueOf(await scrape(metrics), 'switchyard_age_seconds'), undefined);
  value = 1.5;
  assert.equal(valueOf(await scrape(metrics), 'switchyard_age_seconds'), 1.5);
  value = 0;
  assert.equal(valueOf(await scrape(metrics), 'switchyard_age_seconds'), 0);
  value = null;
  assert.equal(valueOf(await scrape(metrics), 'switchyard_age_seconds'), undefined);
});

test('a label that its owner has forgotten is gone with the next scrape', async () => {
  const metrics = new MetricsRegistry();
  let series: Series[] = [
    { labels: { node: 'a' }, value: 1 },
    { labels: { node: 'b' }, value: 2 },
  ];
  metrics.gauges('node_sessions', 'Sessions on the node at this time.', ['node'], () => series);
  assert.equal(valueOf(await scrape(metrics), 'switchyard_node_sessions', { node: 'b' }), 2);
  series = [{ labels: { node: 'a' }, value: 3 }];
  const families = await scrape(metrics);
  assert.equal(valueOf(families, 'switchyard_node_sessions', { node: 'a' }), 3);
  assert.equal(families.get('switchyard_node_sessions')?.samples.length, 1);
});

test('a counter shows the total of its owner, however often it is scraped', async () => {
  const metrics = new MetricsRegistry();
  let total = 5;
  metrics.counter('drains_total', 'Times that something was drained.', () => total);
  assert.equal(valueOf(await scrape(metrics), 'switchyard_drains_total'), 5);
  assert.equal(valueOf(await scrape(metrics), 'switchyard_drains_total'), 5);
  total = 7;
  assert.equal(valueOf(await scrape(metrics), 'switchyard_drains_total'), 7);
});

test('known labels are there from the start with 0, others come with their first event', async () => {
  const metrics = new MetricsRegistry();
  const counts = new LabelledCounter<string>();
  metrics.counters('moves_total', 'Moves of sessions by the reason.', 'reason', counts, ['drain', 'lag']);
  counts.add('lag', 4);
  let families = await scrape(metrics);
  assert.equal(valueOf(families, 'switchyard_moves_total', { reason: 'drain' }), 0);
  assert.equal(valueOf(families, 'switchyard_moves_total', { reason: 'lag' }), 4);
  counts.add('new');
  families = await scrape(metrics);
  assert.equal(valueOf(families, 'switchyard_moves_total', { reason: 'new' }), 1);
  assert.equal(families.get('switchyard_moves_total')?.samples.length, 3);
});

test('a histogram that is kept elsewhere is shown cumulatively', async () => {
  const metrics = new MetricsRegistry();
  const durations = new DurationHistogram([0.1, 1]);
  metrics.histogram('hold_duration_seconds', 'How long something was held.', durations);
  durations.observeMs(50);
  durations.observeMs(500);
  durations.observeMs(500);
  durations.observeMs(5000);
  const families = await scrape(metrics);
  const bucket = (le: string) => valueOf(families, 'switchyard_hold_duration_seconds_bucket', { le });
  assert.equal(families.get('switchyard_hold_duration_seconds')?.type, 'histogram');
  assert.deepEqual(['0.1', '1', '+Inf'].map(bucket), [1, 3, 4]);
  assert.equal(valueOf(families, 'switchyard_hold_duration_seconds_count'), 4);
  assert.equal(valueOf(families, 'switchyard_hold_duration_seconds_sum'), 6.05);
});

test('two registries know nothing of each other', async () => {
  const first = new MetricsRegistry();
  const second = new MetricsRegistry();
  first.gauge('same', 'The same name in both of them.', () => 1);
  second.gauge('same', 'The same name in both of them.', () => 2);
  assert.equal(valueOf(await scrape(first), 'switchyard_same'), 1);
  assert.equal(valueOf(await scrape(second), 'switchyard_same'), 2);
  assert.deepEqual(
    first.descriptions.map(({ name, type, labels }) => [name, type, labels]),
    [['switchyard_same', 'gauge', []]],
  );
});

test('a scrape during a scrape gets whole answers too', async () => {
  const metrics = new MetricsRegistry();
  let nodes = ['a', 'b'];
  metrics.gauges('node_sessions', 'Sessions on the node at this time.', ['node'], () =>
    nodes.map((node) => ({ labels: { node }, value: 1 })),
  );
  const first = metrics.text();
  nodes = ['c'];
  const second = metrics.text();
  assert.equal(parseExposition(await second).get('switchyard_node_sessions')?.samples.length, 1);
  const samples = parseExposition(await first).get('switchyard_node_sessions')?.samples ?? [];
  assert.deepEqual(
    samples.map(({ labels }) => labels.get('node')),
    ['a', 'b'],
  );
});

test('a counter with several labels shows its owner at every scrape, beginning with what is known as 0', async () => {
  const metrics = new MetricsRegistry();
  let count = 0;
  metrics.countersBy('routed_total', 'Units.', ['route', 'reason'], () => [
    { labels: { route: 'split', reason: 'read' }, value: 0 },
    { labels: { route: 'split', reason: 'write' }, value: 0 },
    { labels: { route: 'split', reason: 'write' }, value: count },
  ]);
  for (count of [0, 3, 3, 5]) {
    const families = parseExposition(await metrics.text());
    const shown = (reason: string) => valueOf(families, 'switchyard_routed_total', { route: 'split', reason });
    assert.deepEqual([shown('read'), shown('write')], [0, count]);
  }
  assert.deepEqual(metrics.descriptions, [
    { name: 'switchyard_routed_total', help: 'Units.', type: 'counter', labels: ['route', 'reason'] },
  ]);
});
