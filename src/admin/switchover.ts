import { DrainVerdict } from '../failover/drain-order.js';
import { ReleaseOutcome } from '../failover/promotion.js';
import { SwitchyardError, messageOf } from '../errors.js';
import { nodeName } from '../util/brand.js';
import { packageVersion } from '../util/package-version.js';
import type { ProgramControls } from './console/program-controls.js';
import { readSettings, requestSwitchover } from './patroni-rest.js';
import type { PatroniAccess } from './patroni-rest.js';
import type { Proxy } from './proxy.js';
import { statusOf } from './status.js';
import { MAXIMUM_LAG_DEFAULT_BYTES, leaderOf, planSwitchover } from './switchover-plan.js';
import type { SwitchoverPlan } from './switchover-plan.js';

/** Longest wait for the transactions that are open on the leader; as of `switchyard switchover`. */
const DRAIN_TIMEOUT_MS = 10_000;
/** How long the proxy may take to see what Patroni says is done. */
const SETTLE_TIMEOUT_MS = 40_000;
const LOOK_INTERVAL_MS = 50;

/**
 * Hands the primary over as `switchyard switchover` does, for this proxy alone; gives what happened, in sentences.
 * @throws SwitchyardError `wrong_state`: it cannot be done, or was not done
 */
export async function switchOver(
  proxy: Proxy,
  candidate: string,
  login: ProgramControls['patroni'],
): Promise<readonly string[]> {
  const { conductor, logger } = proxy;
  const { plan, access } = await makePlan(proxy, candidate, login);
  const { leader } = plan;
  const lastId = conductor.records.current?.id ?? conductor.records.records[0]?.id ?? 0;
  logger.info({ leader, candidate }, 'a switchover was asked for');
  await drainLeader(proxy, leader);
  let words: string;
  try {
    words = await requestSwitchover(access, leader, candidate);
  } catch (error) {
    conductor.drains.cancel(nodeName(leader));
    throw refusal(messageOf(error), error);
  }
  const record = await until(proxy, SETTLE_TIMEOUT_MS, () =>
    conductor.records.records.find(({ id, outcome }) => id > lastId && outcome === ReleaseOutcome.Promoted),
  );
  if (record === null) throw refusal(`Patroni says that it is done (${words}), but the new primary is not seen yet`);
  return [
    `${leader} has handed over to ${candidate}, which was ${plan.candidateLagBytes} bytes behind`,
    `Patroni: ${words}`,
    `the longest pause of a unit was ${Math.round(record.pauseMs)} ms`,
  ];
}

async function makePlan(
  proxy: Proxy,
  candidate: string,
  login: ProgramControls['patroni'],
): Promise<{ readonly plan: SwitchoverPlan; readonly access: PatroniAccess }> {
  const status = statusOf(proxy, packageVersion(), 0);
  const found = leaderOf(status);
  if ('ok' in found) throw refusal(found.ok ? '' : found.problem);
  const access = { apiUrl: found.apiUrl, ...login, insecure: false };
  try {
    const maximumLagBytes = (await readSettings(access)).maximumLagBytes ?? MAXIMUM_LAG_DEFAULT_BYTES;
    const planned = planSwitchover(status, candidate, maximumLagBytes, status.cluster.synchronousMode);
    if (!planned.ok) throw refusal(planned.problem);
    return { plan: planned.plan, access };
  } catch (error) {
    throw error instanceof SwitchyardError ? error : refusal(messageOf(error), error);
  }
}

/** No transaction begins on the leader any more, and those that are open come to their end. */
async function drainLeader(proxy: Proxy, leader: string): Promise<void> {
  const { conductor, registry } = proxy;
  const order = conductor.drains.begin({ node: nodeName(leader), isFirm: false, timeoutMs: DRAIN_TIMEOUT_MS });
  const verdict = await until(proxy, DRAIN_TIMEOUT_MS * 2, () => order.verdict ?? order.end);
  if (verdict === DrainVerdict.Empty) return;
  const { sessions, reasons } = order.left(registry);
  conductor.drains.cancel(order.node);
  const why = Object.entries(reasons).map(([reason, count]) => `${count} ${reason.replaceAll('_', ' ')}`);
  throw refusal(
    `after ${DRAIN_TIMEOUT_MS / 1000} s ${leader} still has ${sessions} ${sessions === 1 ? 'session' : 'sessions'} ` +
      `in the middle of something (${why.join(', ')}); nothing was done`,
  );
}

/** Looks until there is something; null: the time is over. */
async function until<T>({ clock }: Proxy, timeoutMs: number, find: () => T | null | undefined): Promise<T | null> {
  const untilMs = clock.nowMs() + timeoutMs;
  for (;;) {
    const found = find() ?? null;
    if (found !== null || clock.nowMs() >= untilMs) return found;
    await new Promise<void>((resolve) => void clock.setTimer(LOOK_INTERVAL_MS, resolve));
  }
}

function refusal(problem: string, cause?: unknown): SwitchyardError {
  return new SwitchyardError('wrong_state', `no switchover: ${problem}`, { cause });
}
