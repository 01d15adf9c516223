/** Tells those who wait for a standby to catch up that it may have. */
export class Progress {
  readonly #waiting = new Set<() => void>();
  readonly #onFailure: (error: unknown) => void;

  /** `onFailure`: a listener threw; the others are told all the same. */
  constructor(onFailure: (error: unknown) => void) {
    this.#onFailure = onFailure;
  }

  /** Calls `listener` from the next `tell` on, until the returned function is called. */
  subscribe(listener: () => void): () => void {
    // One of its own for every call: the same function may wait twice.
    const entry = (): void => listener();
    this.#waiting.add(entry);
    return () => {
      this.#waiting.delete(entry);
    };
  }

  /** A listener may end its own wait, or another's; one that begins a new wait is told of that the next time. */
  tell(): void {
    if (this.#waiting.size === 0) {
      return;
    }
    for (const listener of [...this.#waiting]) {
      if (!this.#waiting.has(listener)) {
        continue;
      }
      try {
        listener();
      } catch (error) {
        this.#onFailure(error);
      }
    }
  }
}
