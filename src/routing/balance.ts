import type { NodeName } from '../util/brand.js';

/** Chooses one of `count` equals: a whole number from 0 to `count - 1`; anything else counts as 0. `count` is at least 2. */
export type TieBreaker = (count: number) => number;

/**
 * The node with the fewest sessions for its weight, counting the one that is to be placed. Nodes of weight 0 (or less, or none) get
 * nothing; null when no node is left.
 */
export function chooseLeast(
  nodes: readonly NodeName[],
  load: (node: NodeName) => number,
  weightOf: (node: NodeName) => number,
  breakTie: TieBreaker,
): NodeName | null {
  let best: NodeName[] = [];
  let bestShare = Number.POSITIVE_INFINITY;
  for (const node of nodes) {
    const weight = weightOf(node);
    if (!(weight > 0)) {
      continue;
    }
    const share = (load(node) + 1) / weight;
    if (share < bestShare) {
      best = [node];
      bestShare = share;
    } else if (share === bestShare) {
      best.push(node);
    }
  }
  if (best.length < 2) {
    return best[0] ?? null;
  }
  return best[breakTie(best.length)] ?? best[0] ?? null;
}
