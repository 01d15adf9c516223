import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Progress } from '../../../src/cluster/progress.js';

function newProgress(): { readonly progress: Progress; readonly failures: unknown[] } {
  const failures: unknown[] = [];
  return { progress: new Progress((error) => failures.push(error)), failures };
}

test('every listener is told until it ends its subscription, however often', () => {
  const { progress } = newProgress();
  let told = 0;
  const listener = (): void => {
    told += 1;
  };
  const stop = progress.subscribe(listener);
  const stopOther = progress.subscribe(listener);
  progress.tell();
  assert.equal(told, 2, 'the same function may wait twice');
  stop();
  stop();
  progress.tell();
  assert.equal(told, 3);
  stopOther();
  progress.tell();
  assert.equal(told, 3);
});

test('a listener that waits anew from inside of the call is told the next time, not without end', () => {
  const { progress } = newProgress();
  let told = 0;
  const wait = (): void => {
    const stop = progress.subscribe(() => {
      told += 1;
      stop();
      wait();
    });
  };
  wait();
  progress.tell();
  assert.equal(told, 1);
  progress.tell();
  assert.equal(told, 2);
});

test('a listener whose wait another one has ended is not told any more', () => {
  const { progress } = newProgress();
  const told: string[] = [];
  const stops: (() => void)[] = [];
  stops.push(
    progress.subscribe(() => {
      told.push('first');
      for (const stop of stops) stop();
    }),
    progress.subscribe(() => told.push('second')),
  );
  progress.tell();
  assert.deepEqual(told, ['first']);
});

test('a listener that fails keeps nothing from the others', () => {
  const { progress, failures } = newProgress();
  let told = 0;
  progress.subscribe(() => {
    throw new Error('a mistake');
  });
  progress.subscribe(() => {
    told += 1;
  });
  progress.tell();
  assert.equal(told, 1);
  assert.equal(failures.length, 1);
});
