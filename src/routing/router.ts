import { NodeRole } from '../cluster/view.js';
import type { ClusterView } from '../cluster/view.js';
import { assertNever } from '../util/assert-never.js';
import type { NodeName } from '../util/brand.js';
import { chooseLeast } from './balance.js';
import type { TieBreaker } from './balance.js';
import { RefusalReason, eligibleStandbys } from './eligibility.js';
import type { Eligibility, Refusal, StandbyRequirement } from './eligibility.js';

/** What a session wants: the route of its listener, as far as the client did not narrow it. */
export interface RouteIntent extends StandbyRequirement {
  readonly route: 'primary' | 'standby';
  /** What a session of a standby route gets while no standby may take it. */
  readonly fallback: 'primary' | 'wait' | 'error';
}

/** What the choice needs to know besides the view. */
export interface RouteFacts {
  /** The node the session lives on; null: none yet. */
  readonly current: NodeName | null;
  /** Sessions on a node, those on their way to it included. */
  load(node: NodeName): number;
  /** `stale`: a session leaves a standby that grew stale, and comes home from the fallback primary. `off`: it stays. */
  readonly rebalance: 'off' | 'stale';
  /** Chooses among equals. Left out: the first by name. */
  readonly breakTie?: TieBreaker;
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
  /** From the fallback primary to a standby. */
  ComesHome: 'comes_home',
  /** No standby is eligible: the primary serves the standby route. */
  FallbackPrimary: 'fallback_primary',
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

const firstOne: TieBreaker = () => 0;

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
  if (!node.acceptsConnections) {
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
  const eligibility = eligibleStandbys(view, intent);
  const { current } = facts;
  if (current !== null && current === view.primary) {
    return fromPrimary(view, intent, facts, eligibility);
  }
  if (current !== null && eligibility.eligible.includes(current)) {
    return { kind: 'node', node: current, target: 'standby', reason: RouteReason.Stays };
  }
  const refusal = eligibility.refused.find(({ node }) => node === current);
  return refusal === undefined
    ? newcomer(view, intent, facts, eligibility, RouteReason.Balanced)
    : fromRefused(view, intent, facts, eligibility, refusal);
}

/** The session sits on the primary: it fell back to it, or its standby was promoted. */
function fromPrimary(
  view: ClusterView,
  intent: RouteIntent,
  facts: RouteFacts,
  eligibility: Eligibility,
): RouteDecision {
  const isContent = intent.fallback === 'primary' && facts.rebalance === 'off';
  return isContent
    ? toPrimary(view, facts, RouteReason.FallbackPrimary)
    : newcomer(view, intent, facts, eligibility, RouteReason.ComesHome);
}

/** The session sits on a node that gets no new sessions. Whether it may stay hangs on why. */
function fromRefused(
  view: ClusterView,
  intent: RouteIntent,
  facts: RouteFacts,
  eligibility: Eligibility,
  { node, reason }: Refusal,
): RouteDecision {
  const isFixed = facts.rebalance === 'off';
  const stays: RouteDecision = { kind: 'node', node, target: 'standby', reason: RouteReason.StaysRefused };
  switch (reason) {
    case RefusalReason.NotAStandby:
    case RefusalReason.RoleUnknown:
    case RefusalReason.Unreachable:
      // Death and a change of role end what is there.
      return newcomer(view, intent, facts, eligibility, RouteReason.Balanced);
    case RefusalReason.Drained:
      return newcomer(view, intent, facts, eligibility, RouteReason.MovesAway);
    case RefusalReason.ConnectionsHang:
      return stays;
    case RefusalReason.Lagging:
    case RefusalReason.HealthUnknown:
      return isFixed ? stays : newcomer(view, intent, facts, eligibility, RouteReason.MovesAway);
    case RefusalReason.HoldsLeaderKey:
      // Reads hold a promotion up, and its end would end them: not one more begins there, whatever the fallback says to do instead.
      return newcomer(view, intent, facts, eligibility, RouteReason.MovesAway);
    case RefusalReason.SwitchoverCandidate:
      return balanced(view, facts, eligibility, RouteReason.MovesAway) ?? stays;
    case RefusalReason.Noloadbalance:
    case RefusalReason.WeightZero:
    case RefusalReason.TagMismatch:
    case RefusalReason.NotSynchronous:
    case RefusalReason.Synchronous:
      // It is fresh, only not wanted: no reason to go anywhere but to a wanted one.
      return isFixed ? stays : (balanced(view, facts, eligibility, RouteReason.MovesAway) ?? stays);
    default:
      return assertNever(reason);
  }
}

/** A session that has to be placed: on the least loaded standby, or as the fallback says. */
function newcomer(
  view: ClusterView,
  intent: RouteIntent,
  facts: RouteFacts,
  eligibility: Eligibility,
  reason: RouteReason,
): RouteDecision {
  return balanced(view, facts, eligibility, reason) ?? withoutStandby(view, intent, facts, eligibility);
}

function balanced(
  view: ClusterView,
  facts: RouteFacts,
  eligibility: Eligibility,
  reason: RouteReason,
): RouteDecision | null {
  const weightOf = (name: NodeName): number => view.nodes.get(name)?.weight ?? 0;
  const node = chooseLeast(eligibility.eligible, (name) => facts.load(name), weightOf, facts.breakTie ?? firstOne);
  return node === null ? null : { kind: 'node', node, target: 'standby', reason };
}

function withoutStandby(
  view: ClusterView,
  intent: RouteIntent,
  facts: RouteFacts,
  eligibility: Eligibility,
): RouteDecision {
  const message = 'no standby is fresh enough';
  const detail = explain(view, eligibility);
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
function explain(view: ClusterView, eligibility: Eligibility): string | null {
  const parts = eligibility.refused
    .filter((refusal) => refusal.reason !== RefusalReason.NotAStandby)
    .map((refusal) => {
      const why = view.nodes.get(refusal.node)?.reason ?? null;
      return why === null ? `${refusal.node}: ${refusal.reason}` : `${refusal.node}: ${refusal.reason} (${why})`;
    });
  return parts.length === 0 ? null : parts.join(', ');
}
