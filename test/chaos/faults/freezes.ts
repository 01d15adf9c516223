import { setTimeout as delay } from 'node:timers/promises';
import { TAKEOVER_TIMEOUT_MS, fault } from './fault.js';
import type { FaultGround } from './fault.js';

const POSTMASTER_FREEZE_MS = 10_000;
/** How long a primary that was left behind goes on beside the new one. */
const SPLIT_MS = 5_000;

/**
 * PostgreSQL goes on where it stopped, under a new Patroni. The old one is not continued: a Patroni that wakes up behind its lease may
 * write the leader key over its successor's (seen with 3.0.2), and then it is the cluster that loses what was acknowledged.
 */
async function wake({ leader }: FaultGround): Promise<void> {
  await leader.killPatroni();
  leader.thaw();
  await leader.start();
}

/** No new connections, old ones live on; Patroni's own lives on too, so there is no failover. */
export const freezePostmaster = fault('freeze-postmaster', 'unplanned', 'fault', {
  strike: async ({ leader, say }) => {
    say(`SIGSTOP for the postmaster of ${leader.name}`);
    leader.freezePostmaster();
    await delay(POSTMASTER_FREEZE_MS);
    return {};
  },
  heal: async ({ leader }) => leader.thaw(),
});

/** The lease runs out while PostgreSQL lives on: the old primary goes on acknowledging what it is given. */
export const freezePatroni = fault('freeze-patroni', 'unplanned', 'cluster', {
  mayLose: true,
  strike: async ({ cluster, leader, say }) => {
    say(`SIGSTOP for Patroni of ${leader.name}`);
    leader.freezePatroni();
    await cluster.waitForLeader({ not: leader, timeoutMs: TAKEOVER_TIMEOUT_MS });
    await delay(SPLIT_MS);
    return {};
  },
  heal: wake,
});

/** The silent death of a host; its PostgreSQL comes back later as if nothing had happened. */
export const freezeNode = fault('freeze-node', 'unplanned', 'cluster', {
  mayLose: true,
  strike: async ({ cluster, leader, say }) => {
    say(`SIGSTOP for everything of ${leader.name}`);
    leader.freeze();
    await cluster.waitForLeader({ not: leader, timeoutMs: TAKEOVER_TIMEOUT_MS });
    await delay(SPLIT_MS);
    return {};
  },
  heal: wake,
});
