import type { PatroniCluster } from '../../support/patroni-cluster.js';
import type { PatroniNode } from '../../support/patroni-node.js';
import type { Dice } from '../../support/dice.js';
import type { ProxyUnderTest } from '../proxy-under-test.js';

/** What clients may notice of a fault, which decides what errors are honest. */
export type Nature =
  /** Nothing. */
  | 'harmless'
  /** The primary is handed over in order: only what was open when PostgreSQL stopped. */
  | 'planned'
  /** The same, after whoever had a transaction open was waited for. */
  | 'drained'
  /** The primary died, froze or was cut off: what was in flight, some of it in doubt. */
  | 'unplanned'
  /** The proxy itself goes: every connection ends. */
  | 'restart'
  /** An administrator ends one session on purpose. */
  | 'administrator';

/** How long clients may have to wait. */
export type Pause =
  /** Not at all. */
  | 'none'
  /** As long as nobody could write to any node. */
  | 'cluster'
  /** As long as the fault lasts, although the cluster is well: it is between the proxy and the cluster, or the proxy is away. */
  | 'fault';

/** What a fault works on. */
export interface FaultGround {
  readonly cluster: PatroniCluster;
  readonly proxy: ProxyUnderTest;
  readonly dice: Dice;
  /** Where things stood when the fault was drawn. */
  readonly leader: PatroniNode;
  readonly standbys: readonly PatroniNode[];
  readonly isSynchronous: boolean;
  /** Names of workers that an administrator may end: those whose every connection says who it is. */
  readonly victims: readonly string[];
  /** Writes one line about what was drawn. */
  readonly say: (text: string) => void;
}

/** What a fault has done, beyond what its kind says. */
export interface Struck {
  /** The worker that an administrator ended. */
  readonly victim?: string;
}

/** One kind of fault. */
export interface Fault {
  readonly name: string;
  readonly nature: Nature;
  readonly pause: Pause;
  /** Acknowledged writes may be lost when replication is asynchronous: the cluster's own loss. */
  readonly mayLose: boolean;
  /** Members of etcd without which it makes no sense. */
  readonly etcdMembersMin: number;
  /** Does it, and returns when it has had its effect. */
  strike(ground: FaultGround): Promise<Struck>;
  /** Undoes it; must work after a strike that failed half-way. */
  heal(ground: FaultGround): Promise<void>;
}

/** A fault with the usual answers where none are given. */
export function fault(
  name: string,
  nature: Nature,
  pause: Pause,
  acts: {
    readonly strike: (ground: FaultGround) => Promise<Struck | undefined>;
    readonly heal?: (ground: FaultGround) => Promise<void>;
    readonly mayLose?: boolean;
    readonly etcdMembersMin?: number;
  },
): Fault {
  return {
    name,
    nature,
    pause,
    mayLose: acts.mayLose ?? false,
    etcdMembersMin: acts.etcdMembersMin ?? 1,
    strike: async (ground) => (await acts.strike(ground)) ?? {},
    heal: acts.heal ?? (async () => {}),
  };
}

/** Longest wait for another leader: ttl, loop_wait and the race of the standbys, on a slow machine. */
export const TAKEOVER_TIMEOUT_MS = 90_000;
