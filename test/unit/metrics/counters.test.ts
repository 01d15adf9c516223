import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DurationHistogram, LabelledCounter, OTHER_LABEL, RoutedCounter } from '../../../src/metrics/counters.js';

test('a labelled counter counts each label by itself', () => {
  const counter = new LabelledCounter<string>();
  counter.add('57P01');
  counter.add('57P01', 2);
  counter.add('lost');
  assert.equal(counter.get('57P01'), 3);
  assert.equal(counter.get('lost'), 1);
  assert.equal(counter.get('never'), 0);
});

test('what a node says in place of a SQLSTATE cannot become a label', () => {
  const counter = new LabelledCounter<string>();
  for (const garbage of ['', 'a b', 'x"}', 'line\nbreak', 'é', 'x'.repeat(65)]) counter.add(garbage);
  assert.deepEqual([...counter.entries()], [[OTHER_LABEL, 6]]);
});

test('a node that makes up SQLSTATEs cannot make the metrics grow', () => {
  const counter = new LabelledCounter<string>();
  for (let i = 0; i < 10_000; i += 1) counter.add(`S${i}`);
  const entries = [...counter.entries()];
  assert.ok(entries.length <= 201, `${entries.length} labels`);
  assert.equal(
    entries.reduce((sum, [, value]) => sum + value, 0),
    10_000,
  );
  counter.add('S0');
  assert.equal(counter.get('S0'), 2, 'known labels go on counting');
});

test('a duration falls into the first bucket that is not below it', () => {
  const histogram = new DurationHistogram([0.1, 1]);
  histogram.observeMs(100);
  histogram.observeMs(101);
  histogram.observeMs(1000);
  histogram.observeMs(1001);
  assert.deepEqual([...histogram.counts], [1, 2, 1]);
  assert.equal(histogram.count, 4);
  assert.equal(Math.round(histogram.sumS * 1000), 2202);
});

test('units are counted by route, target and reason, each apart from the others', () => {
  const routed = new RoutedCounter();
  routed.add('split', 'standby', 'read');
  routed.add('split', 'standby', 'read');
  routed.add('split', 'primary', 'read');
  routed.add('standby', 'standby', 'read');
  assert.equal(routed.get('split', 'standby', 'read'), 2);
  assert.equal(routed.get('split', 'standby', 'write'), 0);
  assert.deepEqual(
    [...routed.entries()].map(({ route, target, reason, count }) => `${route} ${target} ${reason} ${count}`),
    ['standby standby read 1', 'split primary read 1', 'split standby read 2'],
  );
});
