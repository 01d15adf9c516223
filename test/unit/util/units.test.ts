import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { formatDuration, formatSize, parseDuration, parseSize } from '../../../src/util/units.js';

function value(result: ReturnType<typeof parseDuration>): number {
  assert.ok(result.ok, result.ok ? '' : result.problem);
  return result.value;
}

function problem(result: ReturnType<typeof parseDuration>): string {
  assert.ok(!result.ok);
  return result.problem;
}

test('durations are read in every unit into milliseconds', () => {
  const cases: readonly (readonly [string | number, number])[] = [
    ['250ms', 250],
    ['10s', 10_000],
    ['5m', 300_000],
    ['5min', 300_000],
    ['1h', 3_600_000],
    ['1d', 86_400_000],
    ['1.5s', 1500],
    ['0.1s', 100],
    ['1.001s', 1001],
    [' 10 s ', 10_000],
    ['+3s', 3000],
    ['0', 0],
    [0, 0],
    ['-0', 0],
    ['0ms', 0],
  ];
  for (const [input, expected] of cases) {
    assert.equal(value(parseDuration(input)), expected, String(input));
  }
});

test('sizes are powers of 1024, in the spellings of PostgreSQL and IEC', () => {
  const cases: readonly (readonly [string | number, number])[] = [
    ['1B', 1],
    ['64kB', 65_536],
    ['64KB', 65_536],
    ['64KiB', 65_536],
    ['16MB', 16_777_216],
    ['16MiB', 16_777_216],
    ['1GB', 1_073_741_824],
    ['1GiB', 1_073_741_824],
    ['1TB', 1024 ** 4],
    ['1TiB', 1024 ** 4],
    ['0.5kB', 512],
    [0, 0],
  ];
  for (const [input, expected] of cases) {
    assert.equal(value(parseSize(input)), expected, String(input));
  }
});

test('a bare number other than 0 is refused with the units to write', () => {
  assert.equal(problem(parseDuration(250)), '250 has no unit: write 250ms, 250s, 250m, 250h or 250d');
  assert.equal(problem(parseDuration('1.5')), '1.5 has no unit: write 1.5ms, 1.5s, 1.5m, 1.5h or 1.5d');
  assert.equal(problem(parseSize(16)), '16 has no unit: write 16B, 16kB, 16MB, 16GB or 16TB');
});

test('an unknown unit is refused with the one that was likely meant', () => {
  assert.match(
    problem(parseDuration('10S')),
    /"S" is not a unit of a duration \(ms, s, m, h, d\); did you mean 10s\?$/,
  );
  assert.match(problem(parseDuration('10sec')), /did you mean 10s\?$/);
  assert.match(problem(parseDuration('10msec')), /did you mean 10ms\?$/);
  assert.match(problem(parseDuration('10minutes')), /did you mean 10m\?$/);
  assert.match(problem(parseDuration('10days')), /did you mean 10d\?$/);
  assert.match(problem(parseSize('16mb')), /did you mean 16MB\?$/);
  assert.match(problem(parseSize('16gib')), /did you mean 16GB\?$/);
  assert.equal(problem(parseDuration('10x')), '"x" is not a unit of a duration (ms, s, m, h, d)');
});

test('what is no quantity at all is refused', () => {
  for (const text of ['', 'soon', '1h30m', '1,5s', '10 s s', '1e3s', '.5s', '0x10ms', '--1s', 'ms']) {
    assert.match(problem(parseDuration(text)), /is not a duration: write 10ms, 10s, 10m, 10h or 10d$/, text);
  }
  assert.match(problem(parseSize(Number.NaN)), /is not a size/);
  assert.match(problem(parseSize(Number.POSITIVE_INFINITY)), /is not a size/);
});

test('negative, too large and too fine quantities are refused', () => {
  assert.equal(problem(parseDuration('-5s')), '-5s is negative');
  assert.equal(problem(parseDuration(-5)), '-5 is negative');
  assert.equal(problem(parseDuration('999999999999d')), '999999999999d is too large');
  assert.equal(problem(parseDuration('0.5ms')), '0.5ms is not a whole number of ms');
  assert.equal(problem(parseSize('0.3B')), '0.3B is not a whole number of B');
});

test('formatting takes the largest unit that is exact', () => {
  assert.equal(formatDuration(0), '0');
  assert.equal(formatDuration(250), '250ms');
  assert.equal(formatDuration(1500), '1500ms');
  assert.equal(formatDuration(60_000), '1m');
  assert.equal(formatDuration(90_000), '90s');
  assert.equal(formatDuration(86_400_000), '1d');
  assert.equal(formatSize(1000), '1000B');
  assert.equal(formatSize(16_777_216), '16MB');
});

test('what was formatted reads back as the same quantity', () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), (quantity) => {
      assert.equal(value(parseDuration(formatDuration(quantity))), quantity);
      assert.equal(value(parseSize(formatSize(quantity))), quantity);
    }),
  );
});
