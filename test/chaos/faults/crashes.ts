import type { PatroniNode } from '../../support/patroni-node.js';
import { TAKEOVER_TIMEOUT_MS, fault } from './fault.js';
import type { FaultGround } from './fault.js';

async function crash(node: PatroniNode, { say }: FaultGround): Promise<void> {
  say(`kill -9 of Patroni and PostgreSQL of ${node.name}`);
  await node.crash();
}

async function revive({ cluster }: FaultGround): Promise<void> {
  await cluster.revive();
}

export const crashLeader = fault('crash-leader', 'unplanned', 'cluster', {
  mayLose: true,
  strike: async (ground) => {
    await crash(ground.leader, ground);
    await ground.cluster.waitForLeader({ not: ground.leader, timeoutMs: TAKEOVER_TIMEOUT_MS });
    return {};
  },
  heal: revive,
});

/** With synchronous replication the writes wait until Patroni lets the dead standby go; else nobody who writes notices. */
export const crashStandby = fault('crash-standby', 'unplanned', 'cluster', {
  strike: async (ground) => {
    await crash(ground.dice.pick(ground.standbys), ground);
    return {};
  },
  heal: revive,
});

/** PostgreSQL alone dies; its Patroni starts it again, or somebody else takes over. */
export const crashPostgres = fault('crash-postgres', 'unplanned', 'cluster', {
  mayLose: true,
  strike: async ({ leader, say }) => {
    say(`kill -9 of PostgreSQL of ${leader.name}`);
    await leader.crashPostgres();
    return {};
  },
});
