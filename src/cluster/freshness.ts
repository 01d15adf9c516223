import type { Lsn } from '../dcs/claims.js';
import type { Prober } from '../replication/prober.js';
import type { Ticks } from '../replication/ticks.js';
import type { NodeName } from '../util/brand.js';
import type { ClusterStore } from './store.js';

/** What sessions ask to find out which standbys have everything that they have seen. */
export interface Freshness {
  /**
   * The fence of what has just been answered: a standby that is caught up to a tick with this number, or a higher one, has it. The
   * number of the next sample of the primary, so it means nothing until that has been taken.
   */
  fence(): number;
  /** Number of the newest tick that a standby is caught up to for sure; null: not known of any. */
  caughtUpTick(node: NodeName): number | null;
  /** The same object as long as the node has not been started again, as far as is known; null: not known. */
  lifeOf(node: NodeName): object | null;
  /** What a standby has replayed for sure, to be compared with a position that went through `recordEnd`; null: not known. */
  replayed(node: NodeName): Lsn | null;
  /** The position that a standby must have replayed to have a fence behind it; null: its sample has not been taken yet. */
  lsnOf(tick: number): Lsn | null;
  /** Asks for an early round of samples. Whoever goes on waiting after a round asks again. */
  hurry(): void;
  /** Calls `listener` after each sample until the returned function is called: a standby may have caught up. */
  onProgress(listener: () => void): () => void;
}

/**
 * Freshness by the samples of the store, as far as they still count. A standby that is started again may show less than before, and its
 * new backends may be had sooner than its next sample. But its death closes the connection of the probe, long before it accepts a new
 * one: a sample counts only as long as the connection lives that it came over.
 */
export class ClusterFreshness implements Freshness {
  readonly #store: Pick<ClusterStore, 'caughtUpTick' | 'replayed' | 'identityOf' | 'onProgress'>;
  readonly #ticks: Pick<Ticks, 'fence' | 'lsnOf'>;
  readonly #prober: Pick<Prober, 'isConnectedTo' | 'earlyRound'>;

  constructor(
    store: Pick<ClusterStore, 'caughtUpTick' | 'replayed' | 'identityOf' | 'onProgress'>,
    ticks: Pick<Ticks, 'fence' | 'lsnOf'>,
    prober: Pick<Prober, 'isConnectedTo' | 'earlyRound'>,
  ) {
    this.#store = store;
    this.#ticks = ticks;
    this.#prober = prober;
  }

  fence(): number {
    return this.#ticks.fence;
  }

  caughtUpTick(node: NodeName): number | null {
    return this.#isSampleOfNow(node) ? this.#store.caughtUpTick(node) : null;
  }

  lifeOf(node: NodeName): object | null {
    return this.#isSampleOfNow(node) ? this.#store.identityOf(node) : null;
  }

  replayed(node: NodeName): Lsn | null {
    return this.#isSampleOfNow(node) ? this.#store.replayed(node) : null;
  }

  lsnOf(tick: number): Lsn | null {
    return this.#ticks.lsnOf(tick);
  }

  hurry(): void {
    this.#prober.earlyRound();
  }

  onProgress(listener: () => void): () => void {
    return this.#store.onProgress(listener);
  }

  #isSampleOfNow(node: NodeName): boolean {
    const identity = this.#store.identityOf(node);
    return identity !== null && this.#prober.isConnectedTo(node, identity);
  }
}
