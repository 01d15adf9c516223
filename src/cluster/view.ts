import type { DcsState, LeaderClaim, Lsn, SwitchoverClaim } from '../dcs/claims.js';
import type { NodeName } from '../util/brand.js';

/** What a node proved itself to be. */
export const NodeRole = {
  Primary: 'primary',
  Standby: 'standby',
  Unknown: 'unknown',
} as const;
export type NodeRole = (typeof NodeRole)[keyof typeof NodeRole];

/** Health of a node, with hysteresis: unknown -> healthy <-> lagging <-> unreachable. */
export const NodeHealth = {
  Unknown: 'unknown',
  Healthy: 'healthy',
  Lagging: 'lagging',
  Unreachable: 'unreachable',
} as const;
export type NodeHealth = (typeof NodeHealth)[keyof typeof NodeHealth];

/** One node in a view: claims and facts side by side. */
export interface NodeView {
  readonly name: NodeName;
  readonly host: string;
  readonly port: number;
  readonly role: NodeRole;
  readonly health: NodeHealth;
  /** Monotonic time since which the node is healthy without a break; null while it is not. */
  readonly healthySinceMs: number | null;
  /** Why the node is not healthy (or not usable), in one sentence; null when nothing is wrong. */
  readonly reason: string | null;
  readonly timeline: number | null;
  readonly systemIdentifier: string | null;
  /** `server_version_num`, for example 150018; null before the first sample. */
  readonly serverVersion: number | null;
  /** Replayed (standby) or inserted (primary) WAL position of the newest sample. */
  readonly lsn: Lsn | null;
  /** Bytes of WAL not yet replayed; null: unknown (and unknown is not fresh). 0 on the primary. */
  readonly lagBytes: number | null;
  /** Milliseconds behind the primary; null: unknown. 0 on the primary. */
  readonly lagMs: number | null;
  /** True while the standby receives WAL from somebody. */
  readonly streaming: boolean;
  /** Monotonic time of the newest answered sample; null before the first. */
  readonly sampledAtMs: number | null;
  /** In the sync key (or quorum list) of the leader. */
  readonly synchronous: boolean;
  readonly noloadbalance: boolean;
  readonly tags: ReadonlyMap<string, string>;
  /** Relative share of sessions, from the configuration or the tag `weight`; 1 by default, 0 takes none. */
  readonly weight: number;
  /**
   * False when connections that are open still answer but new ones hang or are refused (a frozen postmaster, a smart shutdown).
   * The node keeps the sessions it has and gets no new ones.
   */
  readonly acceptsConnections: boolean;
  /** An operator asked that no session comes here any more, and that those which are here leave. */
  readonly drained: boolean;
  /** Connections that ordinary roles can still have on a primary, as of its newest count (a few seconds old); null: not known. */
  readonly freeConnections: number | null;
}

/** An immutable picture of the cluster. The router reads nothing else. */
export interface ClusterView {
  /** Grows by one with every published picture. */
  readonly epoch: number;
  readonly provider: 'etcd3' | 'nodes';
  readonly dcs: { readonly state: DcsState; readonly confirmedAtMs: number | null; readonly trouble: string | null };
  /** What the leader key says (etcd3), null when absent; always null for `nodes`. */
  readonly leader: LeaderClaim | null;
  readonly paused: boolean;
  readonly switchover: SwitchoverClaim | null;
  /** True while a switchover is asked for and due: `switchover` is there and not scheduled for a time still to come. */
  readonly switchoverDue: boolean;
  /** Patroni runs this as a standby cluster: its leader is a standby too, and no node takes writes. */
  readonly standbyCluster: boolean;
  /** The node that is proven to be the primary right now and may get writes; null while there is none. */
  readonly primary: NodeName | null;
  /** Why there is no primary, in one sentence; null when there is one. */
  readonly noPrimaryReason: string | null;
  readonly nodes: ReadonlyMap<NodeName, NodeView>;
  readonly systemIdentifier: string | null;
  /**
   * The highest timeline a primary of this cluster was ever seen on, or is known to be on because others follow it there. A node that is
   * out of recovery on a lower one has been replaced, whatever a leader key says that was read before.
   */
  readonly highestTimeline: number;
}
