import type { StatusDocument } from '../admin/status-document.js';
import { formatAddress } from '../config/address.js';
import type { HostPort } from '../config/address.js';
import { messageOf } from '../errors.js';
import { callDrain, cancelDrain, describeLeft, isEmptied } from './admin/drain-call.js';
import { findAdmins } from './admin/find-admins.js';
import type { Admins } from './admin/find-admins.js';
import { ask as askPerson } from './confirm.js';
import type { AdminOptions } from './options.js';
import { fetchStatus } from './status/fetch-status.js';
import { PromotionFollower } from './switchover/follow-promotion.js';
import { readSettings, requestSwitchover } from '../admin/patroni-rest.js';
import type { PatroniAccess } from '../admin/patroni-rest.js';
import { MAXIMUM_LAG_DEFAULT_BYTES, leaderOf, planSwitchover } from '../admin/switchover-plan.js';
import type { SwitchoverPlan } from '../admin/switchover-plan.js';
import { SwitchoverReport } from './switchover/report.js';
import { printable, processTerminal } from './terminal.js';
import type { Terminal } from './terminal.js';

const EXIT_DONE = 0;
const EXIT_FAILED = 1;
/** Transactions were open for too long, and nothing was done. */
const EXIT_NOT_DRAINED = 3;
/** As of BSD's sysexits (EX_USAGE, EX_CONFIG). */
const EXIT_USAGE = 64;
const EXIT_CONFIG = 78;
const STATUS_TIMEOUT_MS = 5_000;
/** How long the proxies may take to see what Patroni says is done. */
const SETTLE_TIMEOUT_MS = 40_000;
const PASSWORD_ENV_NAME = 'SWITCHYARD_PATRONI_PASSWORD';

export interface SwitchoverOptions extends AdminOptions {
  /** Null: the fittest standby. */
  readonly to: string | null;
  readonly yes: boolean;
  /** Wait until no transaction is open on the old primary. */
  readonly drain: boolean;
  readonly timeoutMs: number;
  readonly patroniUser: string | null;
  readonly insecure: boolean;
}

/** A reason to stop that is said to the person at the terminal. */
class Stop extends Error {
  readonly code: number;

  constructor(message: string, code: number) {
    super(message);
    this.code = code;
  }
}

/** Hands the primary over to another node, and reports it phase by phase. */
export async function switchover(
  options: SwitchoverOptions,
  terminal: Terminal = processTerminal(),
  ask: (question: string) => Promise<string | null> = askPerson,
): Promise<number> {
  const admins = findAdmins(options, terminal.env);
  if (!admins.ok) {
    terminal.complain(admins.problem);
    return EXIT_CONFIG;
  }
  try {
    const { plan, access } = await makePlan(options, admins.value, terminal.env[PASSWORD_ENV_NAME] ?? null);
    if (!options.yes) await confirm(plan, ask);
    await carryOut(plan, access, options, admins.value, new SwitchoverReport(terminal, options.json));
    return EXIT_DONE;
  } catch (error) {
    terminal.complain(printable(messageOf(error)));
    return error instanceof Stop ? error.code : EXIT_FAILED;
  }
}

async function makePlan(
  { to, patroniUser, insecure }: SwitchoverOptions,
  { addresses }: Admins,
  password: string | null,
): Promise<{ readonly plan: SwitchoverPlan; readonly access: PatroniAccess }> {
  const statuses = await Promise.all(
    addresses.map(async (address) => (await fetchStatus(address, STATUS_TIMEOUT_MS)).status),
  );
  const [status, ...others] = statuses as [StatusDocument, ...StatusDocument[]];
  for (const [index, other] of others.entries()) {
    if (other.scope === status.scope && other.cluster.primary === status.cluster.primary) continue;
    const where = formatAddress(addresses[index + 1] ?? addresses[0]);
    throw new Stop(
      `${where} serves ${other.scope}, primary ${other.cluster.primary ?? 'none'}: not what the first proxy sees`,
      EXIT_FAILED,
    );
  }
  const found = leaderOf(status);
  if ('ok' in found) throw new Stop(found.ok ? '' : `No switchover: ${found.problem}.`, EXIT_FAILED);
  const access = { apiUrl: found.apiUrl, user: patroniUser, password, insecure };
  const { maximumLagBytes } = await readSettings(access);
  const planned = planSwitchover(
    status,
    to,
    maximumLagBytes ?? MAXIMUM_LAG_DEFAULT_BYTES,
    status.cluster.synchronousMode,
  );
  if (!planned.ok) throw new Stop(`No switchover: ${planned.problem}.`, EXIT_FAILED);
  return { plan: planned.plan, access };
}

async function confirm(
  { leader, candidate, candidateLagBytes }: SwitchoverPlan,
  ask: (question: string) => Promise<string | null>,
): Promise<void> {
  const answer = await ask(
    `Switch over from ${printable(leader)} to ${printable(candidate)} (${candidateLagBytes} bytes behind)? [y/N] `,
  );
  if (answer === null) throw new Stop('Nothing was done: nobody can be asked here; say --yes.', EXIT_USAGE);
  if (!/^y(es)?$/i.test(answer.trim())) throw new Stop('Nothing was done.', EXIT_FAILED);
}

async function carryOut(
  plan: SwitchoverPlan,
  access: PatroniAccess,
  options: SwitchoverOptions,
  admins: Admins,
  report: SwitchoverReport,
): Promise<void> {
  const { leader, candidate } = plan;
  report.begin();
  report.tell('begin', `${leader} hands over to ${candidate}, which is ${plan.candidateLagBytes} bytes behind`, plan);
  const followers = await Promise.all(
    admins.addresses.map((address, index) =>
      PromotionFollower.begin(address, ({ phase, startedAtEpochMs }) => {
        if (index === 0) report.phase(phase, startedAtEpochMs);
      }),
    ),
  );
  const [first] = followers;
  const watching = first?.run();
  try {
    if (options.drain) await drainLeader(leader, options.timeoutMs, admins, report);
    report.tell('asked', `asking Patroni of ${leader}`);
    const words = await requestSwitchover(access, leader, candidate);
    report.tell('patroni', `Patroni: ${words}`, { words });
  } catch (error) {
    // Whatever was held for it goes on at once, instead of at the end of its time.
    if (options.drain) await Promise.all(admins.addresses.map((address) => letGo(address, admins.token, leader)));
    throw error;
  } finally {
    first?.stop();
    await watching;
  }
  const records = await Promise.all(followers.map((follower) => follower.settle(SETTLE_TIMEOUT_MS)));
  report.done(
    records.map((record, index) => ({ admin: formatAddress(admins.addresses[index] ?? admins.addresses[0]), record })),
  );
  if (records.some((record) => record?.outcome !== 'promoted')) {
    throw new Stop('Patroni says that it is done, but not every proxy has seen the new primary', EXIT_FAILED);
  }
}

/** No transaction begins on the leader any more, and those that are open come to their end. */
async function drainLeader(
  leader: string,
  timeoutMs: number,
  { addresses, token }: Admins,
  report: SwitchoverReport,
): Promise<void> {
  const wish = { node: leader, firm: false, wait: true, timeoutMs };
  const drained = await Promise.all(addresses.map((address) => callDrain(address, token, wish, () => {})));
  const left = drained.find((each) => !isEmptied(each));
  if (left !== undefined) {
    throw new Stop(
      `Nothing was done: after ${timeoutMs / 1000} s ${leader} still has ${describeLeft(left)}; --no-drain switches over all the same.`,
      EXIT_NOT_DRAINED,
    );
  }
  report.tell('drained', `no transaction is open on ${leader}`);
}

async function letGo(address: HostPort, token: string | null, leader: string): Promise<void> {
  await cancelDrain(address, token, leader).catch(() => {
    // It ends by itself; what went wrong before is what has to be told.
  });
}
