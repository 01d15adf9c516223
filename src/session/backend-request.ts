import type { BackendRequest } from '../backend/pool/pool-request.js';
import type { ClusterView } from '../cluster/view.js';
import type { RouteDecision } from '../routing/router.js';
import type { SessionIdentity } from './identity.js';

/** What a session asks the pool for, given where it is to go; null: the node has left the cluster. */
export function backendRequest(
  identity: SessionIdentity,
  view: ClusterView,
  decision: RouteDecision & { readonly kind: 'node' },
  isPooled: boolean,
): BackendRequest | null {
  const node = view.nodes.get(decision.node);
  if (node === undefined) return null;
  const isPrimary = decision.target === 'primary';
  return {
    node: node.name,
    host: node.host,
    port: node.port,
    user: identity.user,
    database: identity.database,
    parameters: identity.parameters,
    startupKey: identity.startupKey,
    isReplication: identity.isReplication,
    isShared: isPooled,
    credentials: identity.credentials,
    proof: isPrimary ? { systemIdentifier: view.systemIdentifier, timelineMin: view.highestTimeline } : null,
  };
}
