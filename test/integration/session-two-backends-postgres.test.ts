import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TreeAnalyzer } from '../../src/sql/sql-analyzer.js';
import { SqlParser } from '../../src/sql/sql-parser.js';
import { VerdictCache } from '../../src/sql/verdict-cache.js';
import { sql } from '../support/postgres-server.js';
import { RawClient } from '../support/raw-client.js';
import { roles } from '../support/roles.js';
import { sharedCluster, TIMEOUT_MS } from './core-lab.js';
import { appStatements, statement, step } from './session-moves-steps.js';
import { Divided } from './session-two-backends-lab.js';
import type { DividedCounts, DividedStep } from './session-two-backends-lab.js';

const TIME_LIMIT_MS = Number(process.env['SWITCHYARD_TEST_SECONDS'] ?? 40) * 1000;
const PREPARED_MAX = 1000;

const cluster = sharedCluster({ standbys: 0, appStatements });

const unit = step.filter(({ kind }) => kind !== 'move');
const dividedStep: fc.Arbitrary<DividedStep> = fc.oneof(
  { arbitrary: unit, weight: 20 },
  { arbitrary: fc.constant({ kind: 'switch' as const }), weight: 10 },
  { arbitrary: fc.constant({ kind: 'move' as const }), weight: 1 },
  { arbitrary: statement.map((each) => ({ kind: 'prepare_unnamed' as const, statement: each })), weight: 1 },
  { arbitrary: fc.constant({ kind: 'run_unnamed' as const }), weight: 2 },
  { arbitrary: fc.constant({ kind: 'refuse' as const }), weight: 1 },
  { arbitrary: fc.constant({ kind: 'lose' as const }), weight: 1 },
);
const sequence = fc.array(dividedStep, { minLength: 1, maxLength: 60, size: 'max' });

test('a session that uses two backends by turns is told nothing else than one that has only one', async (t) => {
  await sql(cluster().primary, 'create database twin template app');
  const analyzer = new TreeAnalyzer(await SqlParser.load(), new VerdictCache());
  const counts: DividedCounts = {
    steps: 0,
    switches: 0,
    replays: 0,
    silent: 0,
    prepares: 0,
    preparesInside: 0,
    refused: 0,
    lost: 0,
    skipped: 0,
    pinned: 0,
  };
  let sequences = 0;
  const run = async (
    steps: readonly DividedStep[],
    role: (typeof roles)['app' | 'superuser'],
    areBothListening: boolean,
    preparedMax: number,
  ): Promise<void> => {
    sequences += 1;
    const { port } = cluster().primary;
    const connect = (database: string): Promise<RawClient> =>
      RawClient.login({ ...role, port, database, timeoutMs: TIMEOUT_MS });
    const direct = await connect('twin');
    const divided = new Divided({
      direct,
      sides: [await connect('app'), await connect('app')],
      areBothListening,
      preparedMax,
      analyzer,
      counts,
      connect: () => connect('app'),
    });
    try {
      for (const each of steps) await divided.take(each);
      await divided.compare();
    } finally {
      direct.destroy();
      for (const client of divided.clients) client.destroy();
    }
  };
  const seed = Number(process.env['SWITCHYARD_TEST_SEED'] ?? Date.now() % 2_000_000_011);
  t.diagnostic(`seed ${seed}`);
  const property = fc.asyncProperty(
    sequence,
    fc.constantFrom(roles.superuser, roles.app),
    fc.boolean(),
    fc.constantFrom(PREPARED_MAX, PREPARED_MAX, 1),
    run,
  );
  const report = await fc.check(property, {
    seed,
    numRuns: 100_000,
    interruptAfterTimeLimit: TIME_LIMIT_MS,
    markInterruptAsFailure: false,
    endOnFailure: process.env['SWITCHYARD_TEST_SHRINK'] === undefined,
  });
  const [failing = [], ...rest] = report.counterexample ?? [];
  const steps = failing.map((each) => JSON.stringify(each)).join('\n');
  const message = report.errorInstance instanceof Error ? (report.errorInstance.stack ?? '') : '';
  assert.ok(!report.failed, `${message}\n${steps}\n${JSON.stringify(rest)}`);
  t.diagnostic(`${sequences} sequences, ${JSON.stringify(counts)}`);
  assert.ok(counts.replays > 50 && counts.silent > 0, 'hardly any difference was ever brought');
  assert.ok(counts.prepares > 50 && counts.preparesInside > 0, 'hardly any statement was prepared on demand');
  assert.ok(counts.refused > 0 && counts.lost > 0, 'no unit was refused, or no backend lost');
});
