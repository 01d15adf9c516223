import type { StatusDocument, StatusNode } from './status-document.js';

/** Patroni's default of maximum_lag_on_failover (Patroni documentation, "Dynamic configuration settings"). */
export const MAXIMUM_LAG_DEFAULT_BYTES = 1_048_576;

/** A switchover that can be asked for. */
export interface SwitchoverPlan {
  readonly leader: string;
  readonly candidate: string;
  /** Patroni's REST address of the leader. */
  readonly apiUrl: string;
  readonly candidateLagBytes: number;
}

export type Planned =
  | { readonly ok: true; readonly plan: SwitchoverPlan }
  /** One sentence about why not. */
  | { readonly ok: false; readonly problem: string };

/** Who hands over; the first question, since it tells whom to ask for Patroni's settings. */
export function leaderOf(status: StatusDocument): Planned | { readonly leader: string; readonly apiUrl: string } {
  const { cluster, promotion, provider } = status;
  if (provider !== 'etcd3') return no('there is no Patroni here: the proxy works from a fixed list of nodes');
  if (cluster.standbyCluster) return no('this is a standby cluster: it has no primary to hand over');
  if (cluster.primary === null) return no(`there is no primary: ${cluster.noPrimaryReason ?? 'it is not known'}`);
  if (cluster.leader !== cluster.primary) {
    return no(`the leader key names ${cluster.leader ?? 'nobody'}, and the primary is ${cluster.primary}`);
  }
  if (cluster.switchover !== null) {
    const { scheduledAt } = cluster.switchover;
    return no(
      scheduledAt === null
        ? 'a switchover is under way already'
        : `a switchover is scheduled already, for ${scheduledAt}`,
    );
  }
  if (promotion.phase !== 'stable')
    return no(`a promotion is under way already: ${promotion.reason ?? promotion.phase}`);
  const leader = status.nodes.find(({ name }) => name === cluster.primary);
  if (leader?.apiUrl === undefined || leader.apiUrl === null) {
    return no(`Patroni's REST address of ${cluster.primary} is not known`);
  }
  return { leader: cluster.primary, apiUrl: leader.apiUrl };
}

/** Decides who takes over: the one that is asked for if it is fit, else the fittest. `to` null: any. */
export function planSwitchover(
  status: StatusDocument,
  to: string | null,
  maximumLagBytes: number,
  synchronousMode: string,
): Planned {
  const found = leaderOf(status);
  if ('ok' in found) return found;
  const { leader, apiUrl } = found;
  const leading = status.nodes.find(({ name }) => name === leader);
  const others = status.nodes.filter(({ name }) => name !== leader);
  const limits = { maximumLagBytes, synchronousMode, timeline: leading?.timeline ?? 0 };
  if (to === leader) return no(`${to} is the primary already`);
  if (to !== null) {
    const node = others.find(({ name }) => name === to);
    if (node === undefined)
      return no(`there is no node "${to}"; there are ${others.map(({ name }) => name).join(', ')}`);
    const why = whyUnfit(node, limits);
    if (why !== null) return no(`${to} cannot take over: ${why}`);
    return { ok: true, plan: { leader, candidate: to, apiUrl, candidateLagBytes: node.lagBytes ?? 0 } };
  }
  const fit = others.filter((node) => whyUnfit(node, limits) === null);
  const [best] = fit.toSorted(
    (a, b) =>
      Number(b.synchronous) - Number(a.synchronous) ||
      (a.lagBytes ?? 0) - (b.lagBytes ?? 0) ||
      a.sessions - b.sessions ||
      (a.name < b.name ? -1 : 1),
  );
  if (best === undefined) {
    const reasons = others.map((node) => `${node.name}: ${whyUnfit(node, limits) ?? ''}`);
    return no(others.length === 0 ? 'there is no other node' : `no node can take over (${reasons.join('; ')})`);
  }
  return { ok: true, plan: { leader, candidate: best.name, apiUrl, candidateLagBytes: best.lagBytes ?? 0 } };
}

interface Limits {
  readonly maximumLagBytes: number;
  readonly synchronousMode: string;
  readonly timeline: number;
}

/** What Patroni would refuse too, or worse, find out half-way; null when the node may take over. */
function whyUnfit(node: StatusNode, { maximumLagBytes, synchronousMode, timeline }: Limits): string | null {
  if (node.role !== 'standby') return `it is no standby now (${node.reason ?? node.role})`;
  if (node.health === 'unreachable') return `it is unreachable (${node.reason ?? 'no answer'})`;
  if (!node.acceptsConnections) return `it takes no new connections (${node.reason ?? 'no answer'})`;
  if (node.nofailover) return 'it has the tag nofailover';
  if (synchronousMode === 'on' && !node.synchronous) return 'synchronous_mode is on, and it is not synchronous';
  if (node.timeline !== null && node.timeline < timeline) {
    return `it is on timeline ${node.timeline}, the primary is on ${timeline}`;
  }
  if (node.lagBytes === null) return 'its lag is not known';
  if (node.lagBytes > maximumLagBytes) {
    return `it is ${node.lagBytes} bytes behind, more than maximum_lag_on_failover (${maximumLagBytes})`;
  }
  return null;
}

function no(problem: string): { readonly ok: false; readonly problem: string } {
  return { ok: false, problem };
}
