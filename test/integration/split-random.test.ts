import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client } from 'pg';
import { roles } from '../support/roles.js';
import type { CoreProxy } from './core-lab.js';
import { answers, Dice, programStatements, unit } from './random-programs.js';
import { caughtUp, splitCluster, startSplit } from './split-lab.js';

const cluster = splitCluster(programStatements(['straight', 'divided']));

const STEPS = 40;

/** Runs the same programs on the primary and through a split listener; `between` comes before each step. */
async function compare(
  proxy: CoreProxy,
  first: number,
  programs: number,
  between: (status: string | null, step: number) => Promise<void>,
): Promise<void> {
  for (let program = first; program < first + programs; program += 1) {
    const options = (schema: string): object => ({ parameters: { options: `-c search_path=${schema},public` } });
    const straight = await proxy.login('split', { port: cluster().primary.port, ...options('straight') });
    const divided = await proxy.login('split', options('divided'));
    const shape = new Dice(program);
    const [theirDice, ourDice] = [new Dice(program), new Dice(program)];
    const done: string[] = [];
    for (let step = 0; step < STEPS; step += 1) {
      const count = shape.below(3) === 0 ? shape.below(5) + 1 : 1;
      const theirs = Array.from({ length: count }, () => unit(theirDice, 'straight'));
      const ours = Array.from({ length: count }, () => unit(ourDice, 'divided'));
      done.push(theirs.map((bytes) => bytes.toString('latin1').replaceAll(/[^ -~]+/g, '.')).join(' | '));
      await between(divided.status, step);
      const [wanted, got] = [await answers(straight, theirs), await answers(divided, ours)];
      assert.deepEqual(got, wanted, `program ${program}: ${done.join('\n')}`);
    }
    await Promise.all([straight.end(), divided.end()]);
  }
  // Otherwise it would prove nothing.
  const { routed } = proxy.app.counters;
  const onStandby = routed.get('split', 'standby', 'read') + routed.get('split', 'standby', 'transaction');
  assert.ok(onStandby > (programs * STEPS) / 50, `${onStandby} units on a standby`);
}

test('whatever a client does, a split session answers as the primary itself does', async (t) => {
  const proxy = await startSplit(t, cluster(), { monitor: { interval: '20ms' } });
  await compare(proxy, 1, 25, async (_, step) => {
    if (step % 8 === 0) await caughtUp(proxy);
  });
});

test('the same while its backends on standbys end all the time', async (t) => {
  const proxy = await startSplit(t, cluster(), { monitor: { interval: '20ms' } });
  const killers = cluster().standbys.map(
    (node) => new Client({ host: node.host, port: node.port, ...roles.superuser }),
  );
  t.after(() => Promise.all(killers.map((killer) => killer.end())));
  await Promise.all(killers.map((killer) => killer.connect()));
  const text = "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'app'";
  await compare(proxy, 1_001, 30, async (status, step) => {
    if (step % 8 === 0) await caughtUp(proxy);
    // What was read in a transaction cannot be read again as if nothing had been.
    if (status === 'I' && step % 2 === 0) await Promise.all(killers.map((killer) => killer.query(text)));
  });
});
