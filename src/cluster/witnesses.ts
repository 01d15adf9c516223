import type { ProbeSample } from '../replication/probe.js';
import type { NodeName } from '../util/brand.js';

/** What one node has shown of the cluster's timelines: that somebody was promoted, even when it was not itself. */
export interface Witness {
  readonly node: NodeName;
  readonly systemIdentifier: string;
  readonly timeline: number;
  /** It was out of recovery on that timeline, and not only following somebody who was. */
  readonly isPrimary: boolean;
  /** Monotonic time at which it first showed this. */
  readonly sinceMs: number;
}

/** So many nodes are remembered each by itself; of those that left, beyond this, only the strongest word is. */
export const WITNESSES_MAX = 64;

/**
 * Remembers the newest timeline that each node was seen on, also after the node was lost: a primary that is seen once and then not any
 * more is still a reason not to write to the one before it. A node takes back what it showed only by an exact sample: out of recovery,
 * or streaming; a standby that streams from nobody shows a lower bound.
 */
export class Witnesses {
  readonly #byNode = new Map<NodeName, Witness>();
  /** The strongest word of those that left. */
  #gone: Witness | null = null;

  get all(): readonly Witness[] {
    return this.#gone === null ? [...this.#byNode.values()] : [...this.#byNode.values(), this.#gone];
  }

  /** Takes note of a sample. One that hides its system or its timeline says nothing. */
  note(node: NodeName, sample: ProbeSample): void {
    const { timeline, identity, inRecovery, streaming, answeredAtMs } = sample;
    const { systemIdentifier } = identity;
    if (timeline === null || systemIdentifier === null) {
      return;
    }
    const isPrimary = !inRecovery;
    const known = this.#byNode.get(node);
    if (known !== undefined && known.systemIdentifier === systemIdentifier) {
      const isExact = isPrimary || streaming === true;
      const isSame = timeline === known.timeline && isPrimary === known.isPrimary;
      if (isSame || (!isExact && timeline <= known.timeline)) {
        return;
      }
    }
    this.#byNode.set(node, { node, systemIdentifier, timeline, isPrimary, sinceMs: answeredAtMs });
  }

  /** The operator has struck the node off the list: it is not asked any more, and its word does not count. */
  strike(node: NodeName): void {
    this.#byNode.delete(node);
  }

  /** Bounds the memory: lets go of nodes that are not `present`. */
  prune(present: ReadonlyMap<NodeName, unknown>): void {
    for (const witness of this.#byNode.values()) {
      if (this.#byNode.size <= WITNESSES_MAX) {
        return;
      }
      if (!present.has(witness.node)) {
        this.#byNode.delete(witness.node);
        this.#gone = stronger(this.#gone, witness);
      }
    }
  }

  forget(): void {
    this.#byNode.clear();
    this.#gone = null;
  }
}

/** The later timeline; of two on the same one a primary, and then the newer word. */
function stronger(a: Witness | null, b: Witness): Witness {
  if (a === null || a.timeline !== b.timeline) {
    return a === null || b.timeline > a.timeline ? b : a;
  }
  if (a.isPrimary !== b.isPrimary) {
    return b.isPrimary ? b : a;
  }
  return b.sinceMs > a.sinceMs ? b : a;
}
