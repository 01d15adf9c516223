import type { NodeName } from '../util/brand.js';
import type { Target } from './berths.js';

/** Where a unit went, and why; `atMs`: monotonic. */
export interface LastDecision {
  readonly target: Target;
  readonly node: NodeName;
  readonly reason: string;
  readonly atMs: number;
}

/** Remembers where the last unit of a session went, without a new object for each. */
export class DecisionMemory {
  #target: Target = 'primary';
  #node: NodeName | null = null;
  #reason = '';
  #atMs = 0;

  /** Null: there was none. */
  get last(): LastDecision | null {
    if (this.#node === null) return null;
    return { target: this.#target, node: this.#node, reason: this.#reason, atMs: this.#atMs };
  }

  note(target: Target, node: NodeName | null, reason: string, atMs: number): void {
    this.#target = target;
    this.#node = node;
    this.#reason = reason;
    this.#atMs = atMs;
  }
}
