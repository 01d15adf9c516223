import { messageOf } from '../errors.js';
import type { Logger } from '../log.js';
import type { Clock, ClockTimer } from '../util/clock.js';
import { SinkMode } from './backend.js';
import type { Backend } from './backend.js';
import { deafSink, IdleSink } from './idle-sink.js';

/** How long a node may take to end a backend whose statement was cancelled, before we end the connection ourselves. */
const ABANDON_MS = 10_000;
/** How long cancel requests under way may hold up the end of the program. */
const CLOSE_MS = 1_000;

/**
 * Backends whose client left in the middle of a statement. A node does not look at its socket while it works, so closing it alone would
 * let the statement run on: it is cancelled as well. The node's slot is taken until it has closed the connection.
 */
export class AbandonedBackends {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #cancel: (backend: Backend) => Promise<void>;
  readonly #backends = new Map<Backend, ClockTimer>();
  readonly #cancels = new Set<Promise<void>>();

  /** `cancel` has what a backend is doing cancelled; see `forwardCancel`. */
  constructor(clock: Clock, logger: Logger, cancel: (backend: Backend) => Promise<void>) {
    this.#clock = clock;
    this.#logger = logger;
    this.#cancel = cancel;
  }

  /** Ends the backend, and what it is doing; `onGone` is called once, when the node has closed the connection or took too long to. */
  take(backend: Backend, onGone: () => void): void {
    const gone = (): void => {
      const timer = this.#backends.get(backend);
      if (timer === undefined) return;
      this.#backends.delete(backend);
      this.#clock.clearTimer(timer);
      backend.attach(deafSink, SinkMode.Own);
      onGone();
    };
    const late = (): void => {
      this.#logger.warn({ node: backend.identity.node }, 'a node does not end a backend whose client is gone');
      backend.destroy();
      gone();
    };
    this.#backends.set(backend, this.#clock.setTimer(ABANDON_MS, late));
    backend.attach(new IdleSink(backend, gone), SinkMode.Own);
    backend.terminate();
    const cancel = this.#cancel(backend).catch((error: unknown) => {
      const { node } = backend.identity;
      this.#logger.debug({ node, error: messageOf(error) }, 'a statement without a client could not be cancelled');
    });
    this.#cancels.add(cancel);
    void cancel.finally(() => this.#cancels.delete(cancel));
  }

  /** Resolves when the cancel requests are out (after a second at most); then ends what is left. */
  async close(): Promise<void> {
    if (this.#cancels.size > 0) {
      let timer: ClockTimer | null = null;
      const late = new Promise<void>((resolve) => {
        timer = this.#clock.setTimer(CLOSE_MS, resolve);
      });
      await Promise.race([Promise.all(this.#cancels), late]);
      if (timer !== null) this.#clock.clearTimer(timer);
    }
    for (const [backend, timer] of this.#backends) {
      this.#clock.clearTimer(timer);
      backend.attach(deafSink, SinkMode.Own);
      backend.destroy();
    }
    this.#backends.clear();
  }
}
