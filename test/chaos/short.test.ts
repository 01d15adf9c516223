import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runCampaign } from './campaign.js';
import { readOptions } from './options.js';
import { faultTable } from './report/table.js';

test('after a switchover, a frozen Patroni, a lost DCS, a crash and an administrator, every client was told the truth', async (t) => {
  const request = readOptions(['--short']);
  assert.ok('plan' in request);
  const { rounds, violations, logs } = await runCampaign(request.plan, (line) => t.diagnostic(line));
  for (const line of faultTable(rounds).split('\n')) t.diagnostic(line);
  assert.deepEqual(violations, [], `seed ${request.plan.seed}, logs ${logs}`);
  assert.equal(rounds.length, request.plan.rounds);
});
