import { NodeHealth, NodeRole } from '../cluster/view.js';
import type { ClusterView, NodeView } from '../cluster/view.js';
import { assertNever } from '../util/assert-never.js';
import type { NodeName } from '../util/brand.js';

/** Which standbys a session asks for. */
export interface StandbyRequirement {
  readonly prefer: 'any' | 'sync' | 'async';
  /** Tags that a standby must have, with these values. */
  readonly tags: ReadonlyMap<string, string>;
}

/** Why a node gets no new reads. */
export const RefusalReason = {
  /** It is (or may be) a primary. */
  NotAStandby: 'not_a_standby',
  /** It has not proven what it is. */
  RoleUnknown: 'role_unknown',
  /** Its freshness is not known, and unknown is not fresh. */
  HealthUnknown: 'health_unknown',
  Lagging: 'lagging',
  Unreachable: 'unreachable',
  /** New connections hang or are refused. */
  ConnectionsHang: 'connections_hang',
  /** It is being promoted: reads would hold that up, and would be ended by it. */
  HoldsLeaderKey: 'holds_leader_key',
  /** It is to be promoted soon. */
  SwitchoverCandidate: 'switchover_candidate',
  /** An operator wants it empty. */
  Drained: 'drained',
  Noloadbalance: 'noloadbalance',
  WeightZero: 'weight_zero',
  TagMismatch: 'tag_mismatch',
  NotSynchronous: 'not_synchronous',
  Synchronous: 'synchronous',
  /** It is fresh, but has not replayed yet what the session has seen. */
  BehindFence: 'behind_fence',
} as const;
export type RefusalReason = (typeof RefusalReason)[keyof typeof RefusalReason];

export interface Refusal {
  readonly node: NodeName;
  readonly reason: RefusalReason;
}

/** Every node of the view is in exactly one of the two lists. */
export interface Eligibility {
  readonly eligible: readonly NodeName[];
  readonly refused: readonly Refusal[];
}

/** Whether a standby has everything that a session has seen. */
export type CaughtUp = (node: NodeName) => boolean;

/**
 * The standbys that may get new reads now: proven, fresh, wanted by the operator, asked for by the session, and caught up with it. The
 * candidate of a due switchover is only taken when nothing else is left.
 */
export function eligibleStandbys(
  view: ClusterView,
  requirement: StandbyRequirement,
  isCaughtUp?: CaughtUp,
): Eligibility {
  const eligible: NodeName[] = [];
  const refused: Refusal[] = [];
  const candidate = dueCandidate(view);
  let spare: NodeName | null = null;
  for (const node of view.nodes.values()) {
    const reason =
      refusalOf(view, node, requirement) ?? (isCaughtUp?.(node.name) === false ? RefusalReason.BehindFence : null);
    if (reason !== null) {
      refused.push({ node: node.name, reason });
    } else if (node.name === candidate) {
      spare = node.name;
    } else {
      eligible.push(node.name);
    }
  }
  if (spare !== null) {
    if (eligible.length === 0) {
      return { eligible: [spare], refused };
    }
    refused.push({ node: spare, reason: RefusalReason.SwitchoverCandidate });
  }
  return { eligible, refused };
}

/** The node that a switchover is about to promote; null: none is due, or anyone may be it. */
export function dueCandidate(view: ClusterView): NodeName | null {
  return view.switchoverDue ? (view.switchover?.candidate ?? null) : null;
}

/**
 * Why this one node may get no new reads of any session that asks for this; null when it may. Says nothing about fences and the candidates
 * of switchovers.
 */
export function refusalOf(view: ClusterView, node: NodeView, requirement: StandbyRequirement): RefusalReason | null {
  const byState = refusalByState(view, node);
  if (byState !== null) {
    return byState;
  }
  if (node.drained) {
    return RefusalReason.Drained;
  }
  if (node.noloadbalance) {
    return RefusalReason.Noloadbalance;
  }
  if (!(node.weight > 0)) {
    return RefusalReason.WeightZero;
  }
  if (requirement.tags.size > 0) {
    for (const [tag, value] of requirement.tags) {
      if (node.tags.get(tag) !== value) {
        return RefusalReason.TagMismatch;
      }
    }
  }
  switch (requirement.prefer) {
    case 'any':
      return null;
    case 'sync':
      return node.synchronous ? null : RefusalReason.NotSynchronous;
    case 'async':
      return node.synchronous ? RefusalReason.Synchronous : null;
    default:
      return assertNever(requirement.prefer);
  }
}

function refusalByState(view: ClusterView, node: NodeView): RefusalReason | null {
  if (node.role === NodeRole.Primary || node.name === view.primary) {
    return RefusalReason.NotAStandby;
  }
  if (node.health === NodeHealth.Unreachable) {
    return RefusalReason.Unreachable;
  }
  if (node.role !== NodeRole.Standby) {
    return RefusalReason.RoleUnknown;
  }
  // The leader of a standby cluster is a standby for good.
  if (node.name === view.leader?.name && !view.standbyCluster) {
    return RefusalReason.HoldsLeaderKey;
  }
  switch (node.health) {
    case NodeHealth.Unknown:
      return RefusalReason.HealthUnknown;
    case NodeHealth.Lagging:
      return RefusalReason.Lagging;
    case NodeHealth.Healthy:
      return node.acceptsConnections ? null : RefusalReason.ConnectionsHang;
    default:
      return assertNever(node.health);
  }
}
