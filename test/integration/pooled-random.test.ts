import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RawClient } from '../support/raw-client.js';
import { CoreProxy } from './core-lab.js';
import { answers, Dice, programStatements, unit } from './random-programs.js';
import { caughtUp, run, splitCluster, waitForCatalog } from './split-lab.js';

/** Sessions at one time; each may hold a backend, in a transaction or with a temporary table. */
const SESSIONS = 6;
const STEPS = 30;

const numbers = Array.from({ length: SESSIONS }, (_, i) => i);
const cluster = splitCluster(programStatements(numbers.flatMap((i) => [`straight${i}`, `pooled${i}`])));

/** One program, run by a session of the proxy and by one that has the primary for itself. */
interface Twins {
  readonly straight: RawClient;
  readonly pooled: RawClient;
  readonly theirDice: Dice;
  readonly ourDice: Dice;
  readonly number: number;
  readonly done: string[];
}

async function start(proxy: CoreProxy, listener: string, seed: number, number: number): Promise<Twins> {
  const isAtLogin = hasStart(number);
  const path = (schema: string): string => `${schema}${number}, public`;
  const asked = (schema: string) => ({
    parameters: isAtLogin ? { search_path: path(schema), TimeZone: 'Europe/Rome', options: '-c work_mem=3MB' } : {},
  });
  const straight = await proxy.login(listener, { port: cluster().primary.port, ...asked('straight') });
  const pooled = await proxy.login(listener, asked('pooled'));
  if (!isAtLogin) {
    await run(straight, `set search_path to ${path('straight')}`);
    await run(pooled, `set search_path to ${path('pooled')}`);
  }
  return { straight, pooled, theirDice: new Dice(seed), ourDice: new Dice(seed), number, done: [] };
}

/** Every other session asks for settings in its startup packet. */
function hasStart(number: number): boolean {
  return number % 2 === 0;
}

async function step({ straight, pooled, theirDice, ourDice, number, done }: Twins, count: number): Promise<void> {
  const theirs = Array.from({ length: count }, () => unit(theirDice, `straight${number}`, hasStart(number)));
  const ours = Array.from({ length: count }, () => unit(ourDice, `pooled${number}`, hasStart(number)));
  done.push(theirs.map((bytes) => bytes.toString('latin1').replaceAll(/[^ -~]+/g, '.')).join(' | '));
  const [wanted, got] = [await answers(straight, theirs), await answers(pooled, ours)];
  assert.deepEqual(got, wanted, `session ${number}: ${done.join('\n')}`);
}

/** Runs many programs in turn, a step of one and a step of another. */
async function interleave(
  proxy: CoreProxy,
  listener: string,
  seeds: readonly number[],
  between: () => Promise<void>,
): Promise<void> {
  for (const seed of seeds) {
    const shape = new Dice(seed);
    const twins = await Promise.all(numbers.map((i) => start(proxy, listener, seed * SESSIONS + i, i)));
    for (let n = 0; n < STEPS * SESSIONS; n += 1) {
      const one = shape.of(twins);
      await between();
      await step(one, shape.below(3) === 0 ? shape.below(5) + 1 : 1);
    }
    await Promise.all(twins.flatMap(({ straight, pooled }) => [straight.end(), pooled.end()]));
  }
  // Otherwise it would prove nothing.
  const { backendsReused, backendsOpened } = proxy.app.counters;
  assert.ok(backendsReused > 3 * backendsOpened, `${backendsOpened} opened, ${backendsReused} reused`);
}

const pool = { mode: 'transaction', size: SESSIONS };

test('sessions that share backends each get the answers that they would have had alone', async (t) => {
  const proxy = await CoreProxy.start(t, cluster().nodes, { pool });
  await interleave(proxy, 'primary', [1, 2, 3, 4], async () => {});
});

test('the same where reads are shared out among standbys too', async (t) => {
  const listeners = [{ name: 'split', address: '127.0.0.1:0', route: 'split' }];
  const proxy = await CoreProxy.start(t, cluster().nodes, { pool, listeners, monitor: { interval: '20ms' } });
  await waitForCatalog(proxy);
  let steps = 0;
  await interleave(proxy, 'split', [11, 12, 13], async () => {
    steps += 1;
    if (steps % 20 === 0) await caughtUp(proxy);
  });
});
