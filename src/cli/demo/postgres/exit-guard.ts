type Cleanup = () => void;

/**
 * Calls cleanups when this process ends by itself or by a signal, so that no server outlives it.
 * It listens only while there is something to clean up. With `signals` it also takes SIGINT, SIGTERM and SIGHUP: it cleans up and lets
 * the signal do its work; without, the owner handles them and must end the process in an orderly way.
 */
export class ExitGuard {
  readonly #signals: readonly NodeJS.Signals[];
  readonly #cleanups: Set<Cleanup>;

  constructor(options: { readonly signals: boolean }) {
    this.#signals = options.signals ? ['SIGINT', 'SIGTERM', 'SIGHUP'] : [];
    this.#cleanups = new Set();
  }

  /** Adds a synchronous cleanup; the function returned takes it away again. */
  add(cleanup: Cleanup): () => void {
    if (this.#cleanups.size === 0) {
      process.on('exit', this.#onExit);
      for (const signal of this.#signals) process.on(signal, this.#onSignal);
    }
    this.#cleanups.add(cleanup);
    return () => {
      if (this.#cleanups.delete(cleanup) && this.#cleanups.size === 0) this.#stopListening();
    };
  }

  #stopListening(): void {
    process.off('exit', this.#onExit);
    for (const signal of this.#signals) process.off(signal, this.#onSignal);
  }

  #runAll(): void {
    for (const cleanup of this.#cleanups) {
      try {
        cleanup();
      } catch (error) {
        process.stderr.write(`cleanup failed: ${String(error)}\n`);
      }
    }
    this.#cleanups.clear();
    this.#stopListening();
  }

  readonly #onExit = (): void => {
    this.#runAll();
  };

  readonly #onSignal = (signal: NodeJS.Signals): void => {
    this.#runAll();
    // With our listener gone the default action is back, unless somebody else listens too.
    process.kill(process.pid, signal);
  };
}
