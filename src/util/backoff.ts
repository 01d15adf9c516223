/** How a {@link Backoff} grows. */
export interface BackoffOptions {
  /** The first delay, before jitter. */
  readonly firstMs: number;
  /** No delay is longer than this, jitter included. */
  readonly ceilingMs: number;
  /** A number in [0, 1), for the jitter; `Math.random` unless a test says otherwise. */
  readonly random?: () => number;
}

/**
 * Delays that double from `firstMs` up to `ceilingMs`, each shortened by up to a half at random, so that many processes that lost
 * the same peer at the same time do not come back at the same time.
 */
export class Backoff {
  readonly #firstMs: number;
  readonly #ceilingMs: number;
  readonly #random: () => number;
  #nextMs: number;

  constructor(options: BackoffOptions) {
    this.#firstMs = Math.min(options.firstMs, options.ceilingMs);
    this.#ceilingMs = options.ceilingMs;
    this.#random = options.random ?? Math.random;
    this.#nextMs = this.#firstMs;
  }

  /** The delay before the next attempt, in milliseconds. */
  next(): number {
    const full = this.#nextMs;
    this.#nextMs = Math.min(full * 2, this.#ceilingMs);
    return full * (0.5 + this.#random() / 2);
  }

  /** After a success: the next delay is the first one again. */
  reset(): void {
    this.#nextMs = this.#firstMs;
  }
}
