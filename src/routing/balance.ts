import type { NodeView } from '../cluster/view.js';
import type { NodeName } from '../util/brand.js';

/** Chooses one of `count` equals: a whole number from 0 to `count - 1`; anything else counts as 0. `count` is at least 2. */
export type TieBreaker = (count: number) => number;

/** How units and sessions are shared out among standbys. */
export interface BalanceRules {
  /**
   * `session`: a session is placed where the fewest sessions are, and stays. `none`: each unit is placed where the fewest units are under
   * way.
   */
  readonly stickiness: 'session' | 'none';
  /** A standby that became healthy less than this ago gets less than its weight, from a tenth on; 0: none does. */
  readonly slowStartMs: number;
}

/** What is going on on the nodes. */
export interface BalanceFacts {
  /** The node that wins among equals where each unit is placed anew; null: none does. */
  readonly current: NodeName | null;
  /** Sessions on a node, those on their way to it included. */
  load(node: NodeName): number;
  /** Units that a node has not answered yet. Left out: none on any. */
  readonly outstanding?: ((node: NodeName) => number) | undefined;
  /** Monotonic time. */
  readonly nowMs: number;
  /** Chooses among equals. Left out: the first of them. */
  readonly breakTie?: TieBreaker;
}

/** The part of its weight that a standby has in the moment when it becomes healthy. */
export const SLOW_START_PART = 0.1;

/** The weight of a standby at this moment: rises from a tenth to the whole in the time of the slow start. */
export function weightNow(node: NodeView, rules: BalanceRules, nowMs: number): number {
  const { slowStartMs } = rules;
  if (!(slowStartMs > 0) || node.healthySinceMs === null) {
    return node.weight;
  }
  const part = Math.min(1, Math.max(0, (nowMs - node.healthySinceMs) / slowStartMs));
  return node.weight * (SLOW_START_PART + (1 - SLOW_START_PART) * part);
}

/**
 * The node with the least for its weight, counting what is to be placed: of sessions, or of units where each one is placed anew; among
 * equals of the other. Nodes of weight 0 (or less, or none) get nothing; null when no node is left.
 */
export function chooseLeast(nodes: readonly NodeView[], rules: BalanceRules, facts: BalanceFacts): NodeName | null {
  const isPerUnit = rules.stickiness === 'none';
  let best: NodeName[] = [];
  let bestShare = Number.POSITIVE_INFINITY;
  let bestOther = Number.POSITIVE_INFINITY;
  for (const node of nodes) {
    const weight = weightNow(node, rules, facts.nowMs);
    if (!(weight > 0)) {
      continue;
    }
    const sessions = (facts.load(node.name) + 1) / weight;
    const units = ((facts.outstanding?.(node.name) ?? 0) + 1) / weight;
    const share = isPerUnit ? units : sessions;
    const isHome = isPerUnit && node.name === facts.current;
    const other = isHome ? Number.NEGATIVE_INFINITY : isPerUnit ? sessions : units;
    if (share < bestShare || (share === bestShare && other < bestOther)) {
      best = [node.name];
      bestShare = share;
      bestOther = other;
    } else if (share === bestShare && other === bestOther) {
      best.push(node.name);
    }
  }
  if (best.length < 2) {
    return best[0] ?? null;
  }
  return best[facts.breakTie?.(best.length) ?? 0] ?? best[0] ?? null;
}
