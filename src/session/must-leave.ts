import type { ClusterView } from '../cluster/view.js';
import type { NodeName } from '../util/brand.js';

/** That a session must leave its node in the middle of whatever it does. */
export interface MustLeave {
  /** One sentence. */
  readonly why: string;
  /**
   * The node is only out of reach: if it is being stopped it will say so on every connection, and what it says (57P01: rolled back) is
   * worth more to the client than a cut. False where every moment counts, because the node has another role.
   */
  readonly mayHearFarewell: boolean;
}

/**
 * Whether a session attached to `node` as `target` must leave it at once; null when it may stay until its next boundary at least. Death
 * and a change of role cut, lag does not.
 */
export function mustLeave(view: ClusterView, node: NodeName, target: 'primary' | 'standby'): MustLeave | null {
  const seen = view.nodes.get(node);
  if (seen === undefined) return atOnce(`node ${node} has left the cluster`);
  if (target === 'standby') {
    if (seen.health !== 'unreachable') return null;
    return { why: `node ${node} is unreachable: ${seen.reason ?? 'no answer'}`, mayHearFarewell: true };
  }
  if (view.primary === node) return null;
  if (view.primary !== null) return atOnce(`node ${view.primary} is the primary now`);
  if (view.leader !== null && view.leader.name !== node) return atOnce(`the leader key names ${view.leader.name}`);
  if (seen.timeline !== null && seen.timeline < view.highestTimeline) {
    return atOnce(`node ${node} is on timeline ${seen.timeline}, the cluster is on ${view.highestTimeline}`);
  }
  return seen.role === 'standby' ? atOnce(`node ${node} is a standby now`) : null;
}

function atOnce(why: string): MustLeave {
  return { why, mayHearFarewell: false };
}
