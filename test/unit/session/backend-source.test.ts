import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import type { BackendCallback, BackendRequest } from '../../../src/backend/pool/pool-request.js';
import { silentLogger } from '../../../src/log.js';
import { BackendSource } from '../../../src/session/backend-source.js';
import type { BackendSourceOwner } from '../../../src/session/backend-source.js';
import type { SessionContext } from '../../../src/session/context.js';
import type { NodeDecision } from '../../../src/session/navigator.js';
import { TurnClock } from '../../../src/util/turn-clock.js';
import { A } from '../../support/cluster-fakes.js';
import { FakeClock } from '../../support/fake-clock.js';

const request = { node: A } as BackendRequest;
const decision: NodeDecision = { kind: 'node', node: A, target: 'primary', reason: 'primary' };
const owner = { id: 1, isPooled: false, fits: () => true } as unknown as BackendSourceOwner;

function bench() {
  const clock = new FakeClock();
  let asked = 0;
  const pool = {
    acquire: (_request: BackendRequest, done: BackendCallback) => {
      asked += 1;
      queueMicrotask(() => done(new Error('none'), null));
      return { isQueued: false, cancel: () => {} };
    },
  };
  const turnClock = new TurnClock({ nowMs: () => clock.nowMs() + asked / 1000 });
  const context = { clock, pool, turnClock, logger: silentLogger } as unknown as SessionContext;
  const source = new BackendSource(owner, context);
  return { source, clock, asked: () => asked };
}

test('a session that asks again and again without an end leaves the others their turn', async () => {
  const { source, clock, asked } = bench();
  const again = (): void => void source.ask(request, decision, again);
  again();
  await setImmediate();
  const inOneTurn = asked();
  assert.ok(inOneTurn > 0 && inOneTurn < 100, `asked ${inOneTurn} times`);
  assert.equal(source.isBusy, true);
  clock.advance(1_000);
  await setImmediate();
  assert.ok(asked() > inOneTurn, 'it goes on later');
  source.cancel();
  const before = asked();
  clock.advance(1_000);
  await setImmediate();
  assert.deepEqual([asked(), source.isBusy], [before, false]);
});

test('one that asks once in each turn is not held up', async () => {
  const { source, asked } = bench();
  for (let i = 1; i <= 200; i += 1) {
    await new Promise<void>((resolve) => void source.ask(request, decision, () => resolve()));
    assert.equal(asked(), i);
    await setImmediate();
  }
});
