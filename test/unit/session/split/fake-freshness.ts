import type { Freshness } from '../../../../src/cluster/freshness.js';
import type { Lsn } from '../../../../src/dcs/claims.js';
import type { NodeName } from '../../../../src/util/brand.js';

/** Says of nodes and ticks what the test says. */
export class FakeFreshness implements Freshness {
  /** Number of the next sample of the primary. */
  next = 1;
  readonly caughtUp = new Map<NodeName, number>();
  readonly positions = new Map<NodeName, Lsn>();
  readonly lives = new Map<NodeName, object>();
  readonly lsns = new Map<number, Lsn>();
  /** How often an early round was asked for. */
  hurries = 0;
  readonly #listeners = new Set<() => void>();

  get listeners(): number {
    return this.#listeners.size;
  }

  fence(): number {
    return this.next;
  }

  caughtUpTick(node: NodeName): number | null {
    return this.caughtUp.get(node) ?? null;
  }

  lifeOf(node: NodeName): object | null {
    let life = this.lives.get(node);
    if (life === undefined) this.lives.set(node, (life = {}));
    return life;
  }

  replayed(node: NodeName): Lsn | null {
    return this.positions.get(node) ?? null;
  }

  lsnOf(tick: number): Lsn | null {
    return this.lsns.get(tick) ?? null;
  }

  hurry(): void {
    this.hurries += 1;
  }

  onProgress(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** A sample was applied. */
  progress(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}
