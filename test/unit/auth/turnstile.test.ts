import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SwitchyardError } from '../../../src/errors.js';
import { KeyDeriver } from '../../../src/auth/key-deriver.js';
import { Turnstile } from '../../../src/auth/turnstile.js';

test('so many run at once, the others in their order, one for each that ends', async () => {
  const turnstile = new Turnstile(2, 10);
  const begun: number[] = [];
  const ends: ((error?: Error) => void)[] = [];
  const results = [0, 1, 2, 3, 4].map((i) =>
    turnstile.run(
      () =>
        new Promise<number>((resolve, reject) => {
          begun.push(i);
          ends[i] = (error) => (error === undefined ? resolve(i) : reject(error));
        }),
    ),
  );
  const outcomes = Promise.allSettled(results);
  assert.deepEqual(begun, [0, 1]);
  ends[1]?.();
  await new Promise(setImmediate);
  assert.deepEqual(begun, [0, 1, 2]);
  ends[0]?.(new Error('broken'));
  await new Promise(setImmediate);
  assert.deepEqual(begun, [0, 1, 2, 3]);
  ends[2]?.();
  ends[3]?.();
  await new Promise(setImmediate);
  assert.deepEqual(begun, [0, 1, 2, 3, 4]);
  ends[4]?.();
  const statuses = (await outcomes).map((outcome) => outcome.status);
  assert.deepEqual(statuses, ['rejected', 'fulfilled', 'fulfilled', 'fulfilled', 'fulfilled']);
  assert.equal(await turnstile.run(async () => 'again'), 'again');
});

test('a task that throws at once gives its place back', async () => {
  const turnstile = new Turnstile(1, 0);
  for (let i = 0; i < 3; i++) {
    await assert.rejects(
      turnstile.run(() => {
        throw new Error('at once');
      }),
      /at once/,
    );
  }
  assert.equal(turnstile.isFull, false);
});

test('no more wait than may', async () => {
  const turnstile = new Turnstile(1, 1);
  let end: () => void = () => {};
  const first = turnstile.run(
    () =>
      new Promise<void>((resolve) => {
        end = resolve;
      }),
  );
  assert.equal(turnstile.isFull, false);
  const second = turnstile.run(async () => {});
  assert.equal(turnstile.isFull, true);
  await assert.rejects(
    turnstile.run(async () => {}),
    /1 tasks are waiting already/,
  );
  end();
  await Promise.all([first, second]);
});

test('too many derivations at once are refused with an error for the client', async () => {
  const deriver = new KeyDeriver({ concurrentMax: 1, waitingMax: 1 });
  const parameters = { salt: Buffer.alloc(16), iterations: 1 };
  const running = [1, 2].map(() => deriver.derive(Buffer.from('x'), parameters));
  await assert.rejects(deriver.derive(Buffer.from('x'), parameters), (error) => {
    assert.ok(error instanceof SwitchyardError);
    assert.equal(error.sqlState, '53300');
    return true;
  });
  const [one, two] = await Promise.all(running);
  assert.deepEqual(one?.clientKey, two?.clientKey);
});
