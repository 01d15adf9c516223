import { NodeRole } from '../cluster/view.js';
import type { ClusterView, NodeView } from '../cluster/view.js';
import { assertNever } from '../util/assert-never.js';
import type { NodeName } from '../util/brand.js';
import { chooseLeast } from './balance.js';
import type { BalanceFacts, BalanceRules } from './balance.js';
import { RefusalReason, dueCandidate, eligibleStandbys, refusalOf } from './eligibility.js';
import type { CaughtUp, StandbyRequirement } from './eligibility.js';

/** What a session wants: the route of its listener, as far as the client did not narrow it. */
export interface RouteIntent extends StandbyRequirement, BalanceRules {
  readonly route: 'primary' | 'standby';
  /** What a session of a standby route gets while no standby may take it. */
  readonly fallback: 'primary' | 'wait' | 'error';
  /** Standbys whose tag `zone` has this value come first; null: all are equal. */
  readonly zone: string | null;
}

/** What the choice needs to know besides the view. */
export interface RouteFacts extends BalanceFacts {
  /** The node the session lives on (its backend for this route, where it has more than one); null: none yet. */
  readonly current: NodeName | null;
  /** The primary that the session has another backend on: it goes there also while new connections hang. */
  readonly alsoOn?: NodeName | null;
  /** `stale`: a session leaves a standby that grew stale, and comes home from the fallback primary. `off`: it stays. */
  readonly rebalance: 'off' | 'stale';
  /** The session's fence. No unit goes to a standby that is not caught up. Left out: all are. */
  readonly isCaughtUp?: CaughtUp | undefined;
}

/** Why a session goes to a node. */
export const RouteReason = {
  /** The proven primary, on a primary route. */
  Primary: 'primary',
  /** The least loaded standby of those that are eligible. */
  Balanced: 'balanced',
  /** It lives there, and nothing speaks against that. */
  Stays: 'stays',
  /** Its standby gets no new sessions, but the session stays: `rebalance` is off, or there is nowhere better. */
  StaysRefused: 'stays_refused',
  /** From a standby that gets no new sessions to another one. */
  MovesAway: 'moves_away',
  /** From the fallback primary to a standby, or from another zone to the own one. */
  ComesHome: 'comes_home',
  /** No standby is eligible: the primary serves the standby route. */
  FallbackPrimary: 'fallback_primary',
  /** Standbys would be eligible, but none has replayed what the session has seen: the primary has it. */
  Fence: 'fence',
} as const;
export type RouteReason = (typeof RouteReason)[keyof typeof RouteReason];

/** Why a session has to wait. */
export const HoldReason = {
  /** Nobody is proven to be the primary. */
  NoPrimary: 'no_primary',
  /** The leader key names a node that has not proven itself yet. */
  Promotion: 'promotion',
  /** There is a primary, but it takes no new connections. */
  PrimaryHangs: 'primary_hangs',
  /** No standby is eligible, and the listener says to wait. */
  NoStandby: 'no_standby',
  /** No standby has replayed what the session has seen, and there is no primary to go to instead. The end of either ends the wait. */
  Fence: 'fence',
  /** An operator has paused the database of the session; no view says so. */
  Paused: 'paused',
} as const;
export type HoldReason = (typeof HoldReason)[keyof typeof HoldReason];

/** Where the next unit of a session goes. */
export type RouteDecision =
  | {
      readonly kind: 'node';
      readonly node: NodeName;
      /** `primary`: the backend must prove itself (a fallback read may write). */
      readonly target: 'primary' | 'standby';
      readonly reason: RouteReason;
    }
  | { readonly kind: 'hold'; readonly reason: HoldReason; readonly message: string }
  | {
      readonly kind: 'error';
      readonly code: 'no_standby' | 'no_primary';
      readonly message: string;
      /** DETAIL of the error: why no node will do. */
      readonly detail: string | null;
    };

/** Patroni's tag, or that of the configuration, which says where a node is. */
const ZONE_TAG = 'zone';

/** Decides from the view alone; asks nobody and changes nothing. */
export function route(view: ClusterView, intent: RouteIntent, facts: RouteFacts): RouteDecision {
  switch (intent.route) {
    case 'primary':
      return toPrimary(view, facts, RouteReason.Primary);
    case 'standby':
      return toStandby(view, intent, facts);
    default:
      return assertNever(intent.route);
  }
}

function toPrimary(view: ClusterView, facts: RouteFacts, reason: RouteReason): RouteDecision {
  const node = view.primary === null ? undefined : view.nodes.get(view.primary);
  if (node === undefined) {
    const why = view.noPrimaryReason ?? 'no primary';
    if (view.standbyCluster) {
      return { kind: 'error', code: 'no_primary', message: 'there is no primary to be had here', detail: why };
    }
    return { kind: 'hold', reason: isPromotion(view) ? HoldReason.Promotion : HoldReason.NoPrimary, message: why };
  }
  if (facts.current === node.name) {
    return { kind: 'node', node: node.name, target: 'primary', reason: RouteReason.Stays };
  }
  if (!node.acceptsConnections && facts.alsoOn !== node.name) {
    const message = `${node.name} is the primary, but ${node.reason ?? 'takes no new connections'}`;
    return { kind: 'hold', reason: HoldReason.PrimaryHangs, message };
  }
  return { kind: 'node', node: node.name, target: 'primary', reason };
}

/** The leader key names a node that answers and is still in recovery. */
function isPromotion(view: ClusterView): boolean {
  const leader = view.leader === null ? undefined : view.nodes.get(view.leader.name);
  return leader?.role === NodeRole.Standby;
}

function toStandby(view: ClusterView, intent: RouteIntent, facts: RouteFacts): RouteDecision {
  const { current } = facts;
  if (current !== null && current === view.primary) {
    return fromPrimary(view, intent, facts);
  }
  const node = current === null ? undefined : view.nodes.get(current);
  if (node === undefined) {
    return newcomer(view, intent, facts, RouteReason.Balanced);
  }
  const refusal = refusalOf(view, node, intent);
  if (refusal !== null) {
    return fromRefused(view, intent, facts, node, refusal);
  }
  return isCaughtUp(facts, node)
    ? fromEligible(view, intent, facts, node)
    : newcomer(view, intent, facts, RouteReason.MovesAway);
}

/** The session sits on the primary: it fell back to it, or its standby was promoted. */
function fromPrimary(view: ClusterView, intent: RouteIntent, facts: RouteFacts): RouteDecision {
  const isContent = intent.fallback === 'primary' && facts.rebalance === 'off';
  return isContent
    ? toPrimary(view, facts, RouteReason.FallbackPrimary)
    : newcomer(view, intent, facts, RouteReason.ComesHome);
}

/** The session sits on a node that may have its next unit: nearly always the end of the search. */
function fromEligible(view: ClusterView, intent: RouteIntent, facts: RouteFacts, node: NodeView): RouteDecision {
  const isCandidate = node.name === dueCandidate(view);
  const isAway = facts.rebalance === 'stale' && !isInZone(node, intent);
  const isPlacedAnew = intent.stickiness === 'none';
  if (isCandidate || isAway || isPlacedAnew) {
    const wanted = wantedStandbys(view, intent, facts);
    if (isPlacedAnew || !wanted.includes(node)) {
      const chosen = chooseLeast(wanted, intent, facts) ?? node.name;
      if (chosen !== node.name) {
        const why = isAway ? RouteReason.ComesHome : RouteReason.Balanced;
        return { kind: 'node', node: chosen, target: 'standby', reason: isCandidate ? RouteReason.MovesAway : why };
      }
    }
  }
  return { kind: 'node', node: node.name, target: 'standby', reason: RouteReason.Stays };
}

/** The session sits on a node that gets no new sessions. Whether it may stay hangs on why. */
function fromRefused(
  view: ClusterView,
  intent: RouteIntent,
  facts: RouteFacts,
  node: NodeView,
  reason: RefusalReason,
): RouteDecision {
  const isFixed = facts.rebalance === 'off';
  switch (reason) {
    case RefusalReason.NotAStandby:
    case RefusalReason.RoleUnknown:
    case RefusalReason.Unreachable:
      // Death and a change of role end what is there.
      return newcomer(view, intent, facts, RouteReason.Balanced);
    case RefusalReason.ConnectionsHang:
      return stays(view, intent, facts, node);
    case RefusalReason.Lagging:
    case RefusalReason.HealthUnknown:
      return isFixed ? stays(view, intent, facts, node) : newcomer(view, intent, facts, RouteReason.MovesAway);
    case RefusalReason.Drained:
    case RefusalReason.HoldsLeaderKey:
      // Reads hold a promotion up, and its end would end them: not one more begins there, whatever the fallback says to do instead.
      return newcomer(view, intent, facts, RouteReason.MovesAway);
    case RefusalReason.SwitchoverCandidate:
    case RefusalReason.Noloadbalance:
    case RefusalReason.WeightZero:
    case RefusalReason.TagMismatch:
    case RefusalReason.NotSynchronous:
    case RefusalReason.Synchronous:
    case RefusalReason.BehindFence: {
      // It is fresh, only not wanted: no reason to go anywhere but to a wanted one.
      const better = isFixed ? null : balanced(view, intent, facts, RouteReason.MovesAway);
      return better ?? stays(view, intent, facts, node);
    }
    default:
      return assertNever(reason);
  }
}

/** The session stays although its node gets no new ones; but that may not show it less than it has seen. */
function stays(view: ClusterView, intent: RouteIntent, facts: RouteFacts, node: NodeView): RouteDecision {
  if (isCaughtUp(facts, node)) {
    return { kind: 'node', node: node.name, target: 'standby', reason: RouteReason.StaysRefused };
  }
  return balanced(view, intent, facts, RouteReason.MovesAway) ?? beforeFence(view, intent, facts);
}

/** A session that has to be placed: on the least loaded standby, or as the fallback says. */
function newcomer(view: ClusterView, intent: RouteIntent, facts: RouteFacts, reason: RouteReason): RouteDecision {
  return balanced(view, intent, facts, reason) ?? withoutStandby(view, intent, facts);
}

function balanced(
  view: ClusterView,
  intent: RouteIntent,
  facts: RouteFacts,
  reason: RouteReason,
): RouteDecision | null {
  const node = chooseLeast(wantedStandbys(view, intent, facts), intent, facts);
  return node === null ? null : { kind: 'node', node, target: 'standby', reason };
}

/** The eligible standbys of the zone; of any where it has none; the candidate of a due switchover only where there is nothing else. */
function wantedStandbys(view: ClusterView, intent: RouteIntent, facts: RouteFacts): readonly NodeView[] {
  const candidate = dueCandidate(view);
  const near: NodeView[] = [];
  const far: NodeView[] = [];
  let spare: NodeView | null = null;
  for (const node of view.nodes.values()) {
    if (refusalOf(view, node, intent) !== null || !isCaughtUp(facts, node)) {
      continue;
    }
    if (node.name === candidate) {
      spare = node;
    } else {
      (isInZone(node, intent) ? near : far).push(node);
    }
  }
  if (near.length > 0) {
    return near;
  }
  return far.length === 0 && spare !== null ? [spare] : far;
}

function isInZone(node: NodeView, { zone }: RouteIntent): boolean {
  return zone === null || node.tags.get(ZONE_TAG) === zone;
}

function isCaughtUp(facts: RouteFacts, node: NodeView): boolean {
  return facts.isCaughtUp === undefined || facts.isCaughtUp(node.name);
}

/** Only the session's fence is in the way: some standby would be eligible without it. */
function isFenceInTheWay(view: ClusterView, intent: RouteIntent, facts: RouteFacts): boolean {
  if (facts.isCaughtUp === undefined) {
    return false;
  }
  for (const node of view.nodes.values()) {
    if (refusalOf(view, node, intent) === null && !isCaughtUp(facts, node)) {
      return true;
    }
  }
  return false;
}

/**
 * The primary has all that the session has seen. It serves whatever the fallback says: that is about standbys that are not fit for
 * anybody, and these will have caught up in a moment.
 */
function beforeFence(view: ClusterView, intent: RouteIntent, facts: RouteFacts): RouteDecision {
  const decision = toPrimary(view, facts, RouteReason.Fence);
  if (decision.kind === 'node') {
    return { kind: 'node', node: decision.node, target: 'primary', reason: RouteReason.Fence };
  }
  const why = decision.kind === 'hold' ? decision.message : decision.detail;
  const standbys = explain(view, intent, facts);
  const message = `no standby has what the session has seen${standbys === null ? '' : `: ${standbys}`}`;
  return { kind: 'hold', reason: HoldReason.Fence, message: why === null ? message : `${why}; ${message}` };
}

function withoutStandby(view: ClusterView, intent: RouteIntent, facts: RouteFacts): RouteDecision {
  if (isFenceInTheWay(view, intent, facts)) {
    return beforeFence(view, intent, facts);
  }
  const message = 'no standby is fresh enough';
  const detail = explain(view, intent, facts);
  switch (intent.fallback) {
    case 'primary': {
      const decision = toPrimary(view, facts, RouteReason.FallbackPrimary);
      return decision.kind === 'node' ? decision : noNodeAtAll(decision, message, detail);
    }
    case 'wait':
      return {
        kind: 'hold',
        reason: HoldReason.NoStandby,
        message: detail === null ? message : `${message}: ${detail}`,
      };
    case 'error':
      return { kind: 'error', code: 'no_standby', message, detail };
    default:
      return assertNever(intent.fallback);
  }
}

/** A hold for the primary says why there is no standby either; in a standby cluster the session waits for a standby. */
function noNodeAtAll(decision: RouteDecision, message: string, detail: string | null): RouteDecision {
  const standbys = detail === null ? message : `${message}: ${detail}`;
  if (decision.kind === 'hold') {
    return { ...decision, message: `${decision.message}; ${standbys}` };
  }
  return { kind: 'hold', reason: HoldReason.NoStandby, message: standbys };
}

/** `node2: lagging (replay is behind), node3: noloadbalance`; null when there is no node to speak of. */
function explain(view: ClusterView, intent: RouteIntent, facts: RouteFacts): string | null {
  const parts = eligibleStandbys(view, intent, facts.isCaughtUp)
    .refused.filter((refusal) => refusal.reason !== RefusalReason.NotAStandby)
    .map((refusal) => {
      const why = view.nodes.get(refusal.node)?.reason ?? null;
      return why === null ? `${refusal.node}: ${refusal.reason}` : `${refusal.node}: ${refusal.reason} (${why})`;
    });
  return parts.length === 0 ? null : parts.join(', ');
}
