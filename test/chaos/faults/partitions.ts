import { setTimeout as delay } from 'node:timers/promises';
import { TAKEOVER_TIMEOUT_MS, fault } from './fault.js';
import type { FaultGround } from './fault.js';

const PROXY_CUT_LEAST_MS = 6_000;
const PROXY_CUT_MOST_MS = 10_000;
/** Longer than what etcd said may be old. */
const DCS_CUT_MS = 20_000;
const SPLIT_MS = 3_000;

async function healNetwork({ cluster, proxy }: FaultGround): Promise<void> {
  await cluster.heal();
  await proxy.heal();
}

/** The leader cannot renew its lease: it gives itself up, or somebody else takes over. */
export const nodeWithoutEtcd = fault('node-without-etcd', 'unplanned', 'cluster', {
  mayLose: true,
  strike: async ({ cluster, leader, say }) => {
    say(`${leader.name} is cut off from etcd`);
    await cluster.isolateFromEtcd(leader);
    await cluster.waitForLeader({ not: leader, timeoutMs: TAKEOVER_TIMEOUT_MS });
    await delay(SPLIT_MS);
    return {};
  },
  heal: healNetwork,
});

/** The leader is cut off from everybody, clients included: what it has open goes silent. */
export const isolateNode = fault('isolate-node', 'unplanned', 'cluster', {
  mayLose: true,
  strike: async ({ cluster, leader, say }) => {
    say(`${leader.name} is cut off from everybody`);
    await cluster.isolate(leader);
    await cluster.waitForLeader({ not: leader, timeoutMs: TAKEOVER_TIMEOUT_MS });
    await delay(SPLIT_MS);
    return {};
  },
  heal: healNetwork,
});

/** The loss of the DCS alone changes nothing that is still true. */
export const proxyWithoutEtcd = fault('proxy-without-etcd', 'harmless', 'none', {
  strike: async ({ cluster, proxy, say }) => {
    say('the proxy is cut off from etcd');
    await proxy.cutFrom(cluster.etcd.map((member) => member.port));
    await delay(DCS_CUT_MS);
    return {};
  },
  heal: healNetwork,
});

/** The cluster is well, and the proxy cannot reach the leader: it must not send writes anywhere else. */
export const proxyWithoutLeader = fault('proxy-without-leader', 'unplanned', 'fault', {
  strike: async ({ leader, proxy, dice, say }) => {
    const cutMs = dice.between(PROXY_CUT_LEAST_MS, PROXY_CUT_MOST_MS);
    say(`the proxy is cut off from ${leader.name} for ${cutMs} ms`);
    await proxy.cutFrom([leader.port, leader.restPort]);
    await delay(cutMs);
    return {};
  },
  heal: healNetwork,
});

/** The same with a standby: its reads go elsewhere. */
export const proxyWithoutStandby = fault('proxy-without-standby', 'unplanned', 'none', {
  strike: async ({ standbys, proxy, dice, say }) => {
    const standby = dice.pick(standbys);
    say(`the proxy is cut off from ${standby.name}`);
    await proxy.cutFrom([standby.port, standby.restPort]);
    await delay(dice.between(PROXY_CUT_LEAST_MS, PROXY_CUT_MOST_MS));
    return {};
  },
  heal: healNetwork,
});
