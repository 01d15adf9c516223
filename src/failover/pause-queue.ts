import type { Hold, HoldEntry, HoldTicket } from '../session/hold.js';
import type { Clock } from '../util/clock.js';
import { HoldQueue } from './hold-queue.js';
import type { HoldQueueOptions } from './hold-queue.js';

interface Paused {
  readonly entry: HoldEntry;
  /** In the queue of those that are let go; null: its database is paused. */
  ticket: HoldTicket | null;
}

/** Units of paused databases. They wait without a time limit; when they may go on they do so oldest first, in the waves of a hold queue. */
export class PauseQueue {
  readonly #waiting = new Map<string, Set<Paused>>();
  readonly #leaving: HoldQueue;

  /** `releaseWave`: most that look for a backend at one time. */
  constructor(releaseWave: number, clock: Clock, options: HoldQueueOptions) {
    this.#leaving = new HoldQueue(limitsOf(releaseWave), clock, options);
    this.#leaving.open();
  }

  set releaseWave(releaseWave: number) {
    this.#leaving.limits = limitsOf(releaseWave);
  }

  /** Those that wait, also for their turn to leave. */
  get length(): number {
    let length = this.#leaving.length;
    for (const waiting of this.#waiting.values()) length += waiting.size;
    return length;
  }

  of(database: string): Hold {
    return { isBusy: false, trouble: null, enter: (entry) => this.#enter(database, entry) };
  }

  /** Lets those go whose database is not paused any more. */
  letGo(isPaused: (database: string) => boolean): void {
    for (const [database, waiting] of this.#waiting) {
      if (isPaused(database)) continue;
      this.#waiting.delete(database);
      for (const paused of waiting) paused.ticket = this.#leaving.enter(paused.entry);
    }
    this.#leaving.open();
  }

  close(): void {
    this.#waiting.clear();
    this.#leaving.close();
  }

  #enter(database: string, entry: HoldEntry): HoldTicket {
    const paused: Paused = { entry, ticket: null };
    const waiting = this.#waiting.get(database) ?? new Set();
    this.#waiting.set(database, waiting.add(paused));
    const leave = (isServed?: boolean): void => {
      paused.ticket?.leave(isServed);
      if (waiting.delete(paused) && waiting.size === 0 && this.#waiting.get(database) === waiting) {
        this.#waiting.delete(database);
      }
    };
    return {
      leave,
      refused: (refusal) => {
        if (paused.ticket === null) leave();
        else paused.ticket.refused(refusal);
      },
    };
  }
}

/** Nobody is sent away: there are no more sessions than clients that were let in. */
function limitsOf(releaseWave: number): HoldQueue['limits'] {
  return { holdTimeoutMs: Number.POSITIVE_INFINITY, maxHeld: Number.POSITIVE_INFINITY, releaseWave };
}
