import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Dice } from '../../support/dice.js';
import { longestGapMs, median } from '../../chaos/measure/gaps.js';
import { growth, readMetrics } from '../../chaos/measure/metrics-reading.js';

test('the same seed gives the same choices, another one others', () => {
  const rolls = (seed: number) => {
    const dice = new Dice(seed);
    return Array.from({ length: 50 }, () => dice.between(1, 6));
  };
  assert.deepEqual(rolls(7), rolls(7));
  assert.notDeepEqual(rolls(7), rolls(8));
  assert.deepEqual([...new Set(rolls(7))].sort(), [1, 2, 3, 4, 5, 6], 'both ends included');
});

test('shuffling keeps everything, and nothing can be picked from nothing', () => {
  const dice = new Dice(3);
  assert.deepEqual(dice.shuffled([1, 2, 3, 4, 5]).sort(), [1, 2, 3, 4, 5]);
  assert.throws(() => dice.pick([]));
});

test('a gap is between two neighbours in time, in whatever order they come', () => {
  assert.equal(longestGapMs([30, 10, 100, 40]), 60);
  assert.equal(longestGapMs([5]), 0);
  assert.equal(longestGapMs([]), 0);
});

test('the median of an even number is between the two in the middle', () => {
  assert.equal(median([4, 1, 3, 2]), 2.5);
  assert.equal(median([9]), 9);
  assert.equal(median([]), null);
});

const METRICS = `# TYPE switchyard_holds_total counter
switchyard_holds_total{reason="no_primary"} 3
switchyard_holds_total{reason="other"} 4
switchyard_wrong_role_errors_total 0
switchyard_sessions{listener="primary",state="idle"} 2
switchyard_sessions{listener="standby",state="idle"} 1
nodejs_heap_size_used_bytes 1.5e+07
`;

test('metrics are summed over their labels; a counter that is absent is not known, a gauge is 0', () => {
  const { counters, gauges } = readMetrics(METRICS);
  assert.equal(counters.held, 7);
  assert.equal(counters.wrongRole, 0);
  assert.ok(Number.isNaN(counters.moved));
  assert.equal(gauges.sessions, 3);
  assert.equal(gauges.backends, 0);
  assert.equal(gauges.heapBytes, 15_000_000);
});

test('a counter of a program that was started again counts from 0', () => {
  const { counters } = readMetrics(METRICS);
  const later = { ...counters, held: 9 };
  assert.equal(growth(counters, later, false).held, 2);
  assert.equal(growth(counters, later, true).held, 9);
});
