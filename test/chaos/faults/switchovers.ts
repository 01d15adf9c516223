import { setTimeout as delay } from 'node:timers/promises';
import type { PatroniNode } from '../../support/patroni-node.js';
import { waitFor } from '../../support/processes.js';
import { runSwitchyard } from '../../support/switchyard-process.js';
import { TAKEOVER_TIMEOUT_MS, fault } from './fault.js';
import type { FaultGround } from './fault.js';

const READY_TIMEOUT_MS = 60_000;
/** A REST call may be refused while the standbys are not ready for it. */
const RETRY_MS = 500;
const REPLAY_PAUSE_MS = 6_000;

/** The standbys that Patroni takes as candidates: with synchronous replication only the synchronous one. */
async function candidates({ cluster, isSynchronous }: FaultGround): Promise<readonly PatroniNode[]> {
  const members = await cluster.members();
  const role = isSynchronous ? ['sync_standby'] : ['replica', 'sync_standby'];
  return members
    .filter((member) => role.includes(member.role) && member.state === 'running')
    .map((member) => cluster.node(member.name));
}

/** A planned switchover, to a named candidate or to whom Patroni chooses; returns when there is another leader. */
export async function switchOver(ground: FaultGround, to: 'named' | 'any'): Promise<void> {
  const { cluster, dice, say } = ground;
  const old = await cluster.waitForLeader();
  const candidate = await waitFor(
    async () => (await candidates(ground))[0] !== undefined && (await candidates(ground)),
    {
      timeoutMs: READY_TIMEOUT_MS,
      what: 'a candidate',
    },
  );
  const target = to === 'named' ? dice.pick(candidate) : null;
  say(`switchover from ${old.name} to ${target?.name ?? 'any'}`);
  const body = { leader: old.name, ...(target === null ? {} : { candidate: target.name }) };
  await waitFor(
    async () => {
      const answer = await cluster.rest(old, 'POST', '/switchover', body);
      if (answer.status !== 200) throw new Error(`${answer.status} ${answer.text}`);
      return true;
    },
    { timeoutMs: TAKEOVER_TIMEOUT_MS, what: 'the switchover', pollMs: RETRY_MS },
  );
  await cluster.waitForLeader({ not: old, timeoutMs: TAKEOVER_TIMEOUT_MS });
}

export const switchover = fault('switchover', 'planned', 'cluster', {
  strike: async (ground) => {
    await switchOver(ground, ground.dice.chance(0.5) ? 'named' : 'any');
    return {};
  },
});

export const doubleSwitchover = fault('double-switchover', 'planned', 'cluster', {
  strike: async (ground) => {
    await switchOver(ground, 'any');
    await switchOver(ground, 'named');
    return {};
  },
});

/** A switchover by the program's own command, which lets open transactions end first: they must not notice either. */
export const commandedSwitchover = fault('commanded-switchover', 'drained', 'cluster', {
  strike: async ({ cluster, proxy, leader, say }) => {
    say(`switchyard switchover away from ${leader.name}`);
    const admin = `127.0.0.1:${proxy.adminPort}`;
    const { code, output } = await runSwitchyard(['switchover', '--yes', '--admin', admin]);
    if (code !== 0) throw new Error(`switchyard switchover ended with ${code}: ${output}`);
    await cluster.waitForLeader({ not: leader, timeoutMs: TAKEOVER_TIMEOUT_MS });
    return {};
  },
});

/** The standby that is not to be promoted has stopped replaying: its sessions must not stay behind, and nobody else notices. */
export const slowReplay = fault('slow-replay', 'harmless', 'none', {
  strike: async ({ standbys, dice, say }) => {
    const slow = dice.pick(standbys);
    say(`replay of ${slow.name} stands still`);
    slow.pauseReplay();
    await delay(REPLAY_PAUSE_MS);
    return {};
  },
  heal: async ({ cluster }) => {
    for (const node of cluster.nodes) node.resumeReplay();
  },
});

/** A new process of the proxy while the primary is handed over. */
export const proxyRestart = fault('proxy-restart', 'restart', 'fault', {
  strike: async (ground) => {
    const { proxy, dice, say } = ground;
    const delayMs = dice.between(0, 1_500);
    say(`the proxy is restarted ${delayMs} ms into a switchover`);
    const restart = async (): Promise<void> => {
      await delay(delayMs);
      await proxy.stop();
      await proxy.start();
    };
    await Promise.all([switchOver(ground, 'any'), restart()]);
    return {};
  },
  heal: async ({ proxy }) => {
    if (!proxy.isRunning) await proxy.start();
  },
});
