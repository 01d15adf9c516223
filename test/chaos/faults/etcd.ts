import { setTimeout as delay } from 'node:timers/promises';
import { fault } from './fault.js';
import type { Fault, FaultGround } from './fault.js';

/** Longer than Patroni tries (retry_timeout) before it gives the primary up. */
const QUORUM_LOSS_MS = 18_000;
const MEMBER_LOSS_MS = 8_000;

async function restartEtcd({ cluster }: FaultGround): Promise<void> {
  const dead = cluster.etcd.filter((member) => !member.isRunning);
  await Promise.all(dead.map((member) => member.launch()));
  await Promise.all(cluster.etcd.map((member) => member.healthy()));
}

/** One of three members dies: etcd goes on, and so does everybody. */
export const etcdMemberLoss = fault('etcd-member-loss', 'harmless', 'none', {
  etcdMembersMin: 3,
  strike: async ({ cluster, dice, say }) => {
    const member = dice.pick(cluster.etcd);
    say(`kill -9 of ${member.name}`);
    await member.kill();
    await delay(MEMBER_LOSS_MS);
    return {};
  },
  heal: restartEtcd,
});

function quorumLoss(name: string, withFailsafe: boolean): Fault {
  const setFailsafe = (ground: FaultGround, failsafe: boolean): Promise<void> =>
    ground.cluster.patchConfig({ failsafe_mode: failsafe });
  return fault(name, withFailsafe ? 'harmless' : 'unplanned', withFailsafe ? 'none' : 'fault', {
    strike: async (ground) => {
      const { cluster, dice, say } = ground;
      await setFailsafe(ground, withFailsafe);
      // Every Patroni has read it, and the leader has told the others that they are needed, after two of its loops.
      await delay(FAILSAFE_SETTLE_MS);
      const lost = dice.shuffled(cluster.etcd).slice(0, Math.floor(cluster.etcd.length / 2) + 1);
      say(`kill -9 of ${lost.map((member) => member.name).join(', ')}, failsafe mode ${withFailsafe ? 'on' : 'off'}`);
      await Promise.all(lost.map((member) => member.kill()));
      await delay(QUORUM_LOSS_MS);
      return {};
    },
    heal: async (ground) => {
      await restartEtcd(ground);
      await ground.cluster.waitForLeader();
      await setFailsafe(ground, false);
    },
  });
}

const FAILSAFE_SETTLE_MS = 11_000;

/** Without failsafe mode Patroni takes its primary down when it cannot reach etcd. */
export const etcdQuorumLoss = quorumLoss('etcd-quorum-loss', false);

/** With failsafe mode the primary goes on, and so must we. */
export const etcdQuorumLossFailsafe = quorumLoss('etcd-quorum-loss-failsafe', true);
