import { DcsState } from '../dcs/claims.js';
import type { Claims } from '../dcs/claims.js';
import type { ProbeTarget } from '../replication/probe.js';
import type { NodeName } from '../util/brand.js';
import { NodeFacts } from './node-facts.js';
import { NodeHealth } from './view.js';

/** How long a node that nobody claims any more is kept while it answers: Patroni may just be restarted. In maintenance mode: for ever. */
export const DEPARTED_KEEP_MS = 60_000;

/** The nodes that are probed: those that are claimed, and for a while those that were. */
export class Roster {
  readonly #nodes = new Map<NodeName, NodeFacts>();

  get byName(): ReadonlyMap<NodeName, NodeFacts> {
    return this.#nodes;
  }

  get all(): IterableIterator<NodeFacts> {
    return this.#nodes.values();
  }

  /** In the order in which people shall see them. */
  sorted(): NodeFacts[] {
    return [...this.all].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  targets(): ReadonlyMap<NodeName, ProbeTarget> {
    return new Map([...this.all].map(({ name, host, port }) => [name, { host, port }]));
  }

  /** Takes over who is claimed. Returns the nodes that were struck off a fixed list; a member whose key is gone only departs. */
  take({ members, provider }: Claims, nowMs: number): readonly NodeName[] {
    for (const claim of members.values()) {
      const facts = this.#nodes.get(claim.name);
      if (facts === undefined || facts.host !== claim.host || facts.port !== claim.port) {
        this.#nodes.set(claim.name, new NodeFacts(claim, nowMs));
      } else {
        facts.claim = claim;
        facts.departedAtMs = null;
      }
    }
    const struck: NodeName[] = [];
    for (const facts of this.all) {
      if (members.has(facts.name)) {
        continue;
      }
      if (provider === 'nodes') {
        this.#nodes.delete(facts.name);
        struck.push(facts.name);
      } else {
        facts.departedAtMs ??= nowMs;
      }
    }
    return struck;
  }

  /**
   * A node without a member key stays while it may only be Patroni that is away: while it answers, for a while or in maintenance mode.
   * The last primary stays also when it does not answer.
   */
  forgetDeparted({ settings, state }: Claims, lastPrimary: NodeName | null, nowMs: number): void {
    if (state !== DcsState.Live) {
      return;
    }
    for (const facts of this.all) {
      if (facts.departedAtMs === null) {
        continue;
      }
      const isOver = !settings.paused && nowMs - facts.departedAtMs > DEPARTED_KEEP_MS;
      const isGone = facts.health.health === NodeHealth.Unreachable && facts.name !== lastPrimary;
      if (isOver || isGone) {
        this.#nodes.delete(facts.name);
      }
    }
  }
}
