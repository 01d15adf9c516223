import { administrator } from './administrator.js';
import { crashLeader, crashPostgres, crashStandby } from './crashes.js';
import { etcdMemberLoss, etcdQuorumLoss, etcdQuorumLossFailsafe } from './etcd.js';
import type { Fault } from './fault.js';
import { freezeNode, freezePatroni, freezePostmaster } from './freezes.js';
import {
  isolateNode,
  nodeWithoutEtcd,
  proxyWithoutEtcd,
  proxyWithoutLeader,
  proxyWithoutStandby,
} from './partitions.js';
import { commandedSwitchover, doubleSwitchover, proxyRestart, slowReplay, switchover } from './switchovers.js';

/** Every kind of fault. */
export const FAULTS: readonly Fault[] = [
  switchover,
  doubleSwitchover,
  commandedSwitchover,
  crashLeader,
  crashStandby,
  crashPostgres,
  freezePostmaster,
  freezePatroni,
  freezeNode,
  nodeWithoutEtcd,
  isolateNode,
  proxyWithoutEtcd,
  proxyWithoutLeader,
  proxyWithoutStandby,
  slowReplay,
  etcdMemberLoss,
  etcdQuorumLoss,
  etcdQuorumLossFailsafe,
  proxyRestart,
  administrator,
];

/** The faults of these names; throws with the names there are when one is unknown. */
export function faultsOf(names: readonly string[]): readonly Fault[] {
  return names.map((name) => {
    const found = FAULTS.find((each) => each.name === name);
    if (found === undefined)
      throw new Error(`no fault ${name}; there are ${FAULTS.map((each) => each.name).join(', ')}`);
    return found;
  });
}
