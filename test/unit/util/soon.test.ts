import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { soon } from '../../../src/util/soon.js';

test('what is to be done soon is done behind the present call, in order with other microtasks, and in the same turn', async () => {
  const done: string[] = [];
  setImmediate(() => done.push('next turn'));
  queueMicrotask(() => done.push('before'));
  soon(() => {
    done.push('first');
    soon(() => done.push('from inside'));
  });
  queueMicrotask(() => done.push('between'));
  soon(() => done.push('second'));
  assert.deepEqual(done, []);
  await turn();
  assert.deepEqual(done, ['before', 'first', 'between', 'second', 'from inside', 'next turn']);
});
