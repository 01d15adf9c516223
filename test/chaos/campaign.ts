import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { messageOf } from '../../src/errors.js';
import type { AuditReport } from './checks/audit.js';
import { Leftovers } from './checks/leftovers.js';
import { judgeStrictness } from './checks/strictness.js';
import { Dice } from '../support/dice.js';
import { monotonicMs } from './measure/monotonic.js';
import { draw } from './plan.js';
import type { Plan } from './plan.js';
import { roundLine } from './report/table.js';
import { runRound } from './round.js';
import type { RoundResult } from './round.js';
import { World } from './world.js';

/** How a run went. */
export interface CampaignResult {
  readonly rounds: readonly RoundResult[];
  /** What must not be; empty: all is well. */
  readonly violations: readonly string[];
  /** Folder with the logs; null when they were not kept. */
  readonly logs: string | null;
}

/** Runs a plan on a cluster of its own. `say` gets one line at a time. */
export async function runCampaign(plan: Plan, say: (line: string) => void): Promise<CampaignResult> {
  say(`seed ${plan.seed}: starting the cluster, the proxy and the clients`);
  const world = await World.up(plan);
  const rounds: RoundResult[] = [];
  const violations: string[] = [];
  let logs: string | null = null;
  try {
    await runRounds(world, plan, rounds, violations, say);
    await world.stopClients();
    const isLossAllowed = !plan.isSynchronous && rounds.some((round) => round.fault.mayLose);
    violations.push(...(await lastLook(world, isLossAllowed)));
    violations.push(...judgeStrictness(rounds, plan.strictness, world.ours.inFlightMax));
  } catch (error) {
    violations.push(`the run broke off: ${messageOf(error)}`);
  } finally {
    if (violations.length > 0 || plan.keepLogs) logs = await keepLogs(world, plan, rounds, violations);
    await world.down();
  }
  return { rounds, violations, logs };
}

async function runRounds(
  world: World,
  plan: Plan,
  rounds: RoundResult[],
  violations: string[],
  say: (line: string) => void,
): Promise<void> {
  const dice = new Dice(plan.seed);
  const leftovers = new Leftovers(world.proxy, world.ours.connections);
  await world.healthy();
  violations.push(...(await leftovers.check()));
  const endsAtMs = monotonicMs() + plan.durationMs;
  let complaints = 0;
  for (const fault of draw(plan, dice)) {
    if (rounds.length >= plan.rounds || monotonicMs() > endsAtMs) break;
    const round = await runRound(world, plan, dice, leftovers, fault, rounds.length + 1).catch((error: unknown) => {
      throw new Error(`round ${rounds.length + 1}, ${fault.name}: ${messageOf(error)}`, { cause: error });
    });
    rounds.push(round);
    say(roundLine(round, plan.rounds));
    const found = [
      ...round.violations,
      ...world.proxy.complaints.slice(complaints).map((line) => `the proxy says: ${line}`),
    ];
    complaints = world.proxy.complaints.length;
    for (const text of [...round.drawn, ...found]) say(`    ${text}`);
    violations.push(
      ...found.map((text) => `round ${round.number}, ${fault.name} (${round.drawn.join('; ')}): ${text}`),
    );
  }
}

/** Everything that was ever acknowledged, once more; and whether the sessions of clients that have gone are gone. */
async function lastLook(world: World, isLossAllowed: boolean): Promise<readonly string[]> {
  const leader = await world.healthy();
  const audit: AuditReport = await world.ours.audit.everything(leader);
  const isBad = (audit.lost > 0 && !isLossAllowed) || audit.doubled > 0 || audit.lies > 0;
  const problems = isBad
    ? [`in the end: lost ${audit.lost}, doubled ${audit.doubled}, lies ${audit.lies}`, ...audit.examples]
    : [];
  return [...problems, ...(await new Leftovers(world.proxy, 0).check())];
}

async function keepLogs(
  world: World,
  plan: Plan,
  rounds: readonly RoundResult[],
  violations: readonly string[],
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), `switchyard-chaos-seed-${plan.seed}-`));
  for (const [name, text] of world.logs()) await writeFile(join(folder, name), text);
  const lines = rounds.flatMap((round) => [roundLine(round, plan.rounds), ...round.drawn.map((text) => `  ${text}`)]);
  await writeFile(join(folder, 'report.txt'), [`seed ${plan.seed}`, ...lines, '', ...violations, ''].join('\n'));
  return folder;
}
