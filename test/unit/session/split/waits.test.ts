import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { Homecoming } from '../../../../src/session/split/homecoming.js';
import { ProgressWait } from '../../../../src/session/split/progress-wait.js';
import { FakeClock } from '../../../support/fake-clock.js';
import { FakeFreshness } from './fake-freshness.js';

let clock: FakeClock;

beforeEach(() => {
  clock = new FakeClock();
});

/** How long it takes until a wait is due again. */
function pauseOf(homecoming: Homecoming): number {
  let pauseMs = 0;
  while (!homecoming.isDue) {
    clock.advance(1);
    pauseMs += 1;
    assert.ok(pauseMs < 100_000);
  }
  return pauseMs;
}

test('a session that has never written may wait at once, and one that has when it has been quiet', () => {
  const homecoming = new Homecoming(clock, () => 50);
  assert.deepEqual([homecoming.isDue, homecoming.waitMs], [true, 50]);
  homecoming.wrote();
  assert.equal(pauseOf(homecoming), 100);
  homecoming.wrote();
  clock.advance(60);
  homecoming.wrote();
  assert.equal(pauseOf(homecoming), 100);
});

test('no read waits where none is to wait', () => {
  let waitMs = 0;
  const homecoming = new Homecoming(clock, () => waitMs);
  assert.equal(homecoming.isDue, false);
  waitMs = 20;
  assert.equal(homecoming.isDue, true, 'the configuration was changed');
});

test('waits in vain become rare, up to one in ten seconds, until one has been of use', () => {
  const homecoming = new Homecoming(clock, () => 50);
  const pauses: number[] = [];
  for (let each = 0; each < 9; each += 1) {
    homecoming.waited(false);
    pauses.push(pauseOf(homecoming));
  }
  assert.deepEqual(pauses, [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000]);
  homecoming.waited(true);
  assert.equal(pauseOf(homecoming), 100);
  homecoming.waited(false);
  assert.equal(pauseOf(homecoming), 200);
});

/** A wait that notes how it has ended. */
function waiting(isThere: () => boolean): {
  readonly wait: ProgressWait;
  readonly ends: boolean[];
  freshness: FakeFreshness;
} {
  const freshness = new FakeFreshness();
  const wait = new ProgressWait(freshness, clock, () => {});
  const ends: boolean[] = [];
  wait.begin(isThere, 50, (hasArrived) => ends.push(hasArrived));
  return { wait, ends, freshness };
}

test('a wait ends with the sample that brings what it waits for, once', () => {
  let isThere = false;
  const { ends, freshness } = waiting(() => isThere);
  assert.equal(freshness.hurries, 1);
  freshness.progress();
  assert.deepEqual([ends, freshness.hurries], [[], 2]);
  isThere = true;
  freshness.progress();
  freshness.progress();
  clock.advance(1000);
  assert.deepEqual([ends, freshness.hurries], [[true], 2]);
  assert.deepEqual([freshness.listeners, clock.pendingTimers], [0, 0]);
});

test('a wait ends with its time, once', () => {
  const { ends, freshness } = waiting(() => true);
  clock.advance(49);
  assert.deepEqual(ends, []);
  clock.advance(1);
  freshness.progress();
  assert.deepEqual(ends, [false]);
  assert.deepEqual([freshness.listeners, clock.pendingTimers], [0, 0]);
});

test('a wait that is cancelled ends without a word, and so does one that another one follows', () => {
  const { wait, ends, freshness } = waiting(() => true);
  wait.cancel();
  wait.cancel();
  freshness.progress();
  clock.advance(1000);
  assert.equal(ends.length, 0);
  wait.begin(
    () => true,
    50,
    () => ends.push(false),
  );
  wait.begin(
    () => true,
    70,
    () => ends.push(true),
  );
  assert.deepEqual([freshness.listeners, clock.pendingTimers], [1, 1]);
  freshness.progress();
  clock.advance(1000);
  assert.deepEqual(ends, [true]);
});

test('whoever hears that a wait is over may wait again', () => {
  const freshness = new FakeFreshness();
  const wait = new ProgressWait(freshness, clock, () => {});
  let ends = 0;
  const again = (): void => {
    ends += 1;
    if (ends < 3) wait.begin(() => true, 50, again);
  };
  wait.begin(() => true, 50, again);
  freshness.progress();
  clock.advance(50);
  freshness.progress();
  assert.equal(ends, 3);
  assert.deepEqual([freshness.listeners, clock.pendingTimers], [0, 0]);
});
