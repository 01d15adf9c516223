import type { NodeName } from '../util/brand.js';
import type { Clock } from '../util/clock.js';

/** A count of a node's connections that is older says nothing any more. */
const COUNT_BELIEF_MS = 10_000;

/** What the pool has on a node. */
export interface OwnBackends {
  onNode(node: NodeName): { readonly total: number; readonly dialling: number };
}

interface Count {
  readonly free: number;
  readonly atMs: number;
  /** Backends of ours that were among the counted. */
  readonly own: number;
}

/**
 * How many connections a node can still take: what it said at its last count, less what we have opened or begun to open since. Others may
 * open some as well, so it is no promise.
 */
export class ConnectionRoom {
  readonly #clock: Clock;
  readonly #backends: OwnBackends;
  readonly #counts = new Map<NodeName, Count>();

  constructor(clock: Clock, backends: OwnBackends) {
    this.#clock = clock;
    this.#backends = backends;
  }

  /** A node has counted its free connections just now. */
  counted(node: NodeName, free: number): void {
    const { total, dialling } = this.#backends.onNode(node);
    this.#forgetOld();
    this.#counts.set(node, { free, atMs: this.#clock.nowMs(), own: total - dialling });
  }

  /** Connections left, not below 0; null: not known. */
  left(node: NodeName | null): number | null {
    const count = node === null ? undefined : this.#counts.get(node);
    if (node === null || count === undefined || this.#isOld(count)) return null;
    return Math.max(0, count.free - (this.#backends.onNode(node).total - count.own));
  }

  #isOld(count: Count): boolean {
    return this.#clock.nowMs() - count.atMs > COUNT_BELIEF_MS;
  }

  #forgetOld(): void {
    for (const [node, count] of this.#counts) if (this.#isOld(count)) this.#counts.delete(node);
  }
}
