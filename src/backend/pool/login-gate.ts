import type { NodeName } from '../../util/brand.js';
import { Chain } from '../../util/chain.js';
import type { Opening } from './bucket.js';

interface Gate {
  /** Log-ins under way. */
  active: number;
  readonly queue: Chain<Opening>;
}

/** Lets so many log-ins begin at one time on each node, in the order in which they were asked for. */
export class LoginGate {
  readonly #most: () => number;
  readonly #begin: (opening: Opening) => void;
  readonly #gates = new Map<NodeName, Gate>();

  /** `begin` is called when it is an opening's turn; it must not throw, and `leave` must follow. */
  constructor(most: () => number, begin: (opening: Opening) => void) {
    this.#most = most;
    this.#begin = begin;
  }

  enter(opening: Opening): void {
    const gate = this.#gateOf(opening.bucket.node);
    gate.queue.push(opening);
    this.#pump(gate);
  }

  /** A log-in has ended in whatever way. */
  leave(node: NodeName): void {
    const gate = this.#gates.get(node);
    if (gate === undefined) return;
    gate.active -= 1;
    this.#pump(gate);
    if (gate.active === 0 && gate.queue.length === 0) this.#gates.delete(node);
  }

  /** Takes one away whose turn has not come. */
  withdraw(opening: Opening): void {
    const gate = this.#gates.get(opening.bucket.node);
    if (gate !== undefined && !opening.isStarted) gate.queue.remove(opening);
  }

  /** Those whose turn has not come, in their order. */
  waitingAt(node: NodeName): readonly Opening[] {
    return [...(this.#gates.get(node)?.queue ?? [])];
  }

  /** How many more could begin at once, if nobody waits. */
  spare(node: NodeName): number {
    const gate = this.#gates.get(node);
    if (gate === undefined) return this.#most();
    return gate.queue.length > 0 ? 0 : Math.max(0, this.#most() - gate.active);
  }

  #gateOf(node: NodeName): Gate {
    let gate = this.#gates.get(node);
    if (gate === undefined) {
      gate = { active: 0, queue: new Chain() };
      this.#gates.set(node, gate);
    }
    return gate;
  }

  #pump(gate: Gate): void {
    while (gate.active < this.#most()) {
      const opening = gate.queue.first;
      if (opening === null) return;
      gate.queue.remove(opening);
      gate.active += 1;
      opening.isStarted = true;
      this.#begin(opening);
    }
  }
}
