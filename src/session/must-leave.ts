import type { ClusterView } from '../cluster/view.js';
import type { NodeName } from '../util/brand.js';

/**
 * Why a session attached to `node` as `target` must leave it at once, in the middle of whatever it does; null when it may stay until
 * its next boundary at least. Death and a change of role cut at once, lag does not.
 */
export function mustLeave(view: ClusterView, node: NodeName, target: 'primary' | 'standby'): string | null {
  const seen = view.nodes.get(node);
  if (seen === undefined) return `node ${node} has left the cluster`;
  if (target === 'standby') {
    return seen.health === 'unreachable' ? `node ${node} is unreachable: ${seen.reason ?? 'no answer'}` : null;
  }
  if (view.primary === node) return null;
  if (view.primary !== null) return `node ${view.primary} is the primary now`;
  if (view.leader !== null && view.leader.name !== node) return `the leader key names ${view.leader.name}`;
  return seen.role === 'standby' ? `node ${node} is a standby now` : null;
}
