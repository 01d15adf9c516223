import type { Audit, AuditReport } from './checks/audit.js';
import { judgeError } from './checks/honest.js';
import type { Circumstances } from './checks/honest.js';
import type { Leftovers } from './checks/leftovers.js';
import { stragglers } from './checks/progress.js';
import type { Fault, FaultGround, Struck } from './faults/fault.js';
import { describeError } from './load/attempt.js';
import type { RoundRecord } from './load/ledger.js';
import { kindOf } from './load/mixes.js';
import type { Dice } from '../support/dice.js';
import { longestGapMs } from './measure/gaps.js';
import { growth } from './measure/metrics-reading.js';
import type { CounterValues } from './measure/metrics-reading.js';
import { monotonicMs } from './measure/monotonic.js';
import type { Plan } from './plan.js';
import type { Load, World } from './world.js';

/** No client may stand still for longer once the cluster is healthy: that is a session that was forgotten. */
const PROGRESS_TIMEOUT_MS = 30_000;
/** HAProxy's clients come back when its checks have; nothing is asked of them. */
const THEIR_PROGRESS_TIMEOUT_MS = 60_000;
/** What a noisy machine adds to any pause. */
const NO_PAUSE_MS = 2_500;
const CLUSTER_SLACK_MS = 5_000;
const FAULT_SLACK_MS = 10_000;
/** The longest operation of any client by itself. */
const OPERATION_MS = 6_000;
/** Violations of one kind that are shown in full. */
const SHOWN_MAX = 8;

/** Kinds of workers that an administrator may end: one connection each, on the primary. */
const VICTIMS = ['pg-simple', 'pg-extended', 'pg-prepared', 'raw', 'psycopg2', 'asyncpg', 'jdbc', 'tx'];

/** What the clients of one load saw in a round. */
export interface LoadResult {
  readonly gapMs: number;
  readonly acknowledged: number;
  readonly errorCounts: ReadonlyMap<string, number>;
  readonly errors: number;
  readonly dropped: number;
  readonly longestWaitMs: number;
  readonly audit: AuditReport;
}

/** One fault and what came of it. */
export interface RoundResult {
  readonly number: number;
  readonly fault: Fault;
  readonly drawn: readonly string[];
  /** From the fault to a healthy cluster, and to the end of all checks. */
  readonly lastedMs: number;
  readonly tookMs: number;
  readonly floorMs: number;
  readonly ours: LoadResult;
  /** Through HAProxy; null: there was no such load. */
  readonly theirs: LoadResult | null;
  readonly counters: CounterValues;
  /** What must not be. Empty: all is well. */
  readonly violations: readonly string[];
}

/** Runs one fault to its end and judges what the clients saw. Throws when the cluster itself does not come back. */
export async function runRound(
  world: World,
  plan: Plan,
  dice: Dice,
  leftovers: Leftovers,
  fault: Fault,
  number: number,
): Promise<RoundResult> {
  const { cluster, proxy, ours, theirs } = world;
  const before = (await proxy.metrics()).counters;
  const startsBefore = proxy.starts;
  const drawn: string[] = [];
  const ground: FaultGround = {
    cluster,
    proxy,
    dice,
    leader: await cluster.waitForLeader(),
    standbys: await cluster.standbys(),
    isSynchronous: plan.isSynchronous,
    victims: ours.workers.map((worker) => worker.name).filter((name) => VICTIMS.includes(kindOf(name))),
    say: (text) => drawn.push(text),
  };
  const beganAtMs = monotonicMs();
  const struck = await strikeAndHeal(fault, ground);
  const leader = await world.healthy(ground.say);
  const lastedMs = monotonicMs() - beganAtMs;

  const violations: string[] = [];
  const [late, theirLate] = await Promise.all([
    stragglers(ours, PROGRESS_TIMEOUT_MS),
    theirs === null ? [] : stragglers(theirs, THEIR_PROGRESS_TIMEOUT_MS),
  ]);
  if (theirLate.length > 0)
    drawn.push(`HAProxy: no progress after ${THEIR_PROGRESS_TIMEOUT_MS / 1000} s: ${theirLate.join(', ')}`);
  for (const name of late) violations.push(`${name} got nowhere for ${PROGRESS_TIMEOUT_MS / 1000} s: forgotten`);
  violations.push(...(await leftovers.check()));

  const record = ours.ledger.takeRound();
  const result = await resultOf(ours.audit, leader, record);
  const theirResult = theirs === null ? null : await takeTheirs(theirs, leader, ground.say);
  const floorMs = await world.floor.takeRound(leader);
  const circumstances = {
    nature: fault.nature,
    isSynchronous: plan.isSynchronous,
    victim: struck.victim ?? null,
    wasLongerThanHold: floorMs > plan.holdTimeoutMs,
  };
  violations.push(...judgeErrors(record, circumstances), ...record.violations);
  violations.push(...judgeAudit(result.audit, fault.mayLose && !plan.isSynchronous));
  violations.push(...judgePauses(fault, result, floorMs, lastedMs));
  if (struck.victim !== undefined && !record.errors.some((error) => error.worker === struck.victim)) {
    violations.push(`${struck.victim} was ended by an administrator and was not told`);
  }
  const counters = growth(before, (await proxy.metrics()).counters, proxy.starts !== startsBefore);
  if (counters.wrongRole > 0) violations.push(`${counters.wrongRole} writes went to a node in recovery (25006)`);
  const tookMs = monotonicMs() - beganAtMs;
  return { number, fault, drawn, lastedMs, tookMs, floorMs, ours: result, theirs: theirResult, counters, violations };
}

/** The fault is healed even when it could not be carried out. */
async function strikeAndHeal(fault: Fault, ground: FaultGround): Promise<Struck> {
  try {
    return await fault.strike(ground);
  } finally {
    await fault.heal(ground);
  }
}

/** What the clients behind HAProxy noticed is told and not judged. */
async function takeTheirs(
  load: Load,
  leader: { readonly host: string; readonly port: number },
  say: (text: string) => void,
): Promise<LoadResult> {
  const record = load.ledger.takeRound();
  for (const text of record.violations) say(`HAProxy: ${text}`);
  return resultOf(load.audit, leader, record);
}

async function resultOf(
  audit: Audit,
  leader: { readonly host: string; readonly port: number },
  record: RoundRecord,
): Promise<LoadResult> {
  const times = [...record.acknowledgements.values()].flatMap((list) => list.map((each) => each.endedAtMs));
  return {
    gapMs: longestGapMs(times),
    acknowledged: times.length,
    errorCounts: record.errorCounts,
    errors: [...record.errorCounts.values()].reduce((sum, count) => sum + count, 0),
    dropped: record.dropped,
    longestWaitMs: record.longestWaitMs,
    audit: await audit.round(leader, record),
  };
}

function judgeErrors(record: RoundRecord, circumstances: Circumstances): readonly string[] {
  const wrong = record.errors.flatMap((error) => {
    const verdict = judgeError(error, circumstances);
    return verdict === null ? [] : [`${verdict}: ${describeError(error)}`];
  });
  const more = wrong.length > SHOWN_MAX ? [`and ${wrong.length - SHOWN_MAX} more errors that must not be`] : [];
  return [...wrong.slice(0, SHOWN_MAX), ...more];
}

function judgeAudit(audit: AuditReport, mayLose: boolean): readonly string[] {
  const { lost, doubled, lies, backwards, examples } = audit;
  const isBad = (lost > 0 && !mayLose) || doubled > 0 || lies > 0 || backwards > 0;
  if (!isBad) return [];
  return [`lost ${lost}, doubled ${doubled}, lies ${lies}, backwards ${backwards}`, ...examples];
}

function judgePauses(fault: Fault, result: LoadResult, floorMs: number, lastedMs: number): readonly string[] {
  const most = { none: NO_PAUSE_MS, cluster: floorMs + CLUSTER_SLACK_MS, fault: lastedMs + FAULT_SLACK_MS }[
    fault.pause
  ];
  const problems: string[] = [];
  const floor = `(the floor is ${Math.round(floorMs)} ms)`;
  if (result.gapMs > most) problems.push(`nobody could write for ${Math.round(result.gapMs)} ms ${floor}`);
  if (result.longestWaitMs > most + OPERATION_MS) {
    problems.push(`one client waited ${Math.round(result.longestWaitMs)} ms ${floor}`);
  }
  return problems;
}
