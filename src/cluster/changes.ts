import { DcsState } from '../dcs/claims.js';
import type { Logger } from '../log.js';
import type { NodeName } from '../util/brand.js';
import { NodeHealth } from './view.js';
import type { ClusterView, NodeView } from './view.js';

/** What kind of thing changed from one view to the next. */
export const ClusterChangeKind = {
  Primary: 'primary',
  Leader: 'leader',
  Switchover: 'switchover',
  Paused: 'paused',
  Dcs: 'dcs',
  NodeAdded: 'node_added',
  NodeRemoved: 'node_removed',
  NodeRole: 'node_role',
  NodeHealth: 'node_health',
  NodeConnections: 'node_connections',
} as const;
export type ClusterChangeKind = (typeof ClusterChangeKind)[keyof typeof ClusterChangeKind];

/** One change, for logs and for people. */
export interface ClusterChange {
  readonly kind: ClusterChangeKind;
  /** The node it is about; null: the cluster. */
  readonly node: NodeName | null;
  readonly from: string | null;
  readonly to: string | null;
  /** Why, in one sentence, when something is wrong. */
  readonly reason: string | null;
}

/** True when the two pictures differ in nothing but figures: positions, lag, times, and the epoch. */
export function isSameButFigures(a: ClusterView, b: ClusterView): boolean {
  return (
    a.provider === b.provider &&
    a.dcs.state === b.dcs.state &&
    a.dcs.trouble === b.dcs.trouble &&
    a.leader?.name === b.leader?.name &&
    a.leader?.term === b.leader?.term &&
    a.paused === b.paused &&
    isSameSwitchover(a, b) &&
    a.standbyCluster === b.standbyCluster &&
    a.primary === b.primary &&
    a.noPrimaryReason === b.noPrimaryReason &&
    a.systemIdentifier === b.systemIdentifier &&
    a.highestTimeline === b.highestTimeline &&
    a.nodes.size === b.nodes.size &&
    [...a.nodes.values()].every((node) => isSameNode(node, b.nodes.get(node.name)))
  );
}

/** True when a position, a lag or the free connections of a node differ. */
export function hasNewFigures(a: ClusterView, b: ClusterView): boolean {
  for (const node of a.nodes.values()) {
    const other = b.nodes.get(node.name);
    const isSame =
      node.lsn === other?.lsn &&
      node.lagBytes === other.lagBytes &&
      node.lagMs === other.lagMs &&
      node.freeConnections === other.freeConnections;
    if (!isSame) {
      return true;
    }
  }
  return false;
}

/** What happened between two views, the cluster first, then node by node. */
export function changesBetween(before: ClusterView, after: ClusterView): readonly ClusterChange[] {
  const changes: ClusterChange[] = [];
  const note = (
    kind: ClusterChangeKind,
    node: NodeName | null,
    from: string | null,
    to: string | null,
    reason: string | null = null,
  ): void => {
    if (from !== to) {
      changes.push({ kind, node, from, to, reason });
    }
  };
  note(ClusterChangeKind.Dcs, null, before.dcs.state, after.dcs.state, after.dcs.trouble);
  note(ClusterChangeKind.Leader, null, leaderText(before), leaderText(after));
  note(ClusterChangeKind.Paused, null, String(before.paused), String(after.paused));
  note(ClusterChangeKind.Switchover, null, switchoverText(before), switchoverText(after));
  note(ClusterChangeKind.Primary, null, before.primary, after.primary, after.noPrimaryReason);
  for (const node of after.nodes.values()) {
    const old = before.nodes.get(node.name);
    if (old === undefined) {
      note(ClusterChangeKind.NodeAdded, node.name, null, `${node.host}:${node.port}`);
      continue;
    }
    note(ClusterChangeKind.NodeRole, node.name, old.role, node.role, node.reason);
    note(ClusterChangeKind.NodeHealth, node.name, old.health, node.health, node.reason);
    const open = (accepts: boolean): string => (accepts ? 'accepted' : 'not accepted');
    note(
      ClusterChangeKind.NodeConnections,
      node.name,
      open(old.acceptsConnections),
      open(node.acceptsConnections),
      node.reason,
    );
  }
  for (const node of before.nodes.values()) {
    if (!after.nodes.has(node.name)) {
      note(ClusterChangeKind.NodeRemoved, node.name, `${node.host}:${node.port}`, null);
    }
  }
  return changes;
}

/** One line for each change: a warning for a loss. */
export function logChanges(logger: Logger, before: ClusterView, after: ClusterView): void {
  for (const { kind, node, from, to, reason } of changesBetween(before, after)) {
    const isLoss =
      (kind === ClusterChangeKind.Primary && to === null) ||
      (kind === ClusterChangeKind.NodeHealth && to === NodeHealth.Unreachable) ||
      (kind === ClusterChangeKind.Dcs && to === DcsState.Stale);
    const fields = { epoch: after.epoch, change: kind, node, from, to, reason };
    logger[isLoss ? 'warn' : 'info'](fields, 'the picture of the cluster changed');
  }
}

function isSameSwitchover(a: ClusterView, b: ClusterView): boolean {
  return a.switchoverDue === b.switchoverDue && a.switchover?.revision === b.switchover?.revision;
}

function isSameNode(a: NodeView, b: NodeView | undefined): boolean {
  return (
    b !== undefined &&
    a.host === b.host &&
    a.port === b.port &&
    a.role === b.role &&
    a.health === b.health &&
    a.healthySinceMs === b.healthySinceMs &&
    a.reason === b.reason &&
    a.timeline === b.timeline &&
    a.systemIdentifier === b.systemIdentifier &&
    a.serverVersion === b.serverVersion &&
    a.streaming === b.streaming &&
    a.synchronous === b.synchronous &&
    a.noloadbalance === b.noloadbalance &&
    a.weight === b.weight &&
    a.acceptsConnections === b.acceptsConnections &&
    a.drained === b.drained &&
    isSameTags(a.tags, b.tags)
  );
}

function isSameTags(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  return a === b || (a.size === b.size && [...a].every(([tag, value]) => b.get(tag) === value));
}

function leaderText(view: ClusterView): string | null {
  return view.leader === null ? null : `${view.leader.name} (term ${view.leader.term})`;
}

function switchoverText(view: ClusterView): string | null {
  if (view.switchover === null) {
    return null;
  }
  const candidate = view.switchover.candidate ?? 'any standby';
  return `${view.switchoverDue ? 'now' : 'scheduled'}, to ${candidate} (revision ${view.switchover.revision})`;
}
