/**
 * Lets a few tasks run at once; the others wait in order, but not more than so many of them.
 */
export class Turnstile {
  readonly #runningMax: number;
  readonly #waitingMax: number;
  readonly #waiting: (() => void)[];
  #running: number;

  constructor(runningMax: number, waitingMax: number) {
    this.#runningMax = runningMax;
    this.#waitingMax = waitingMax;
    this.#waiting = [];
    this.#running = 0;
  }

  /** True when no more can wait: `run` would fail. */
  get isFull(): boolean {
    return this.#running >= this.#runningMax && this.#waiting.length >= this.#waitingMax;
  }

  /** Runs the task at its turn. Ask `isFull` before. */
  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.isFull) {
      throw new Error(`${this.#waitingMax} tasks are waiting already`);
    }
    if (this.#running < this.#runningMax) {
      this.#running += 1;
    } else {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    }
    try {
      return await task();
    } finally {
      this.#leave();
    }
  }

  /** The place is handed on, so that nobody can slip in between. */
  #leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) {
      this.#running -= 1;
    } else {
      next();
    }
  }
}
