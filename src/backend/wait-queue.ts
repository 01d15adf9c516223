import type { Clock, ClockTimer } from '../util/clock.js';

/** One who waits: first in, first served, and never called twice. */
export class Waiter<Request, Done> {
  readonly request: Request;
  readonly #done: Done;
  readonly #abort: AbortController;
  #timer: ClockTimer | null = null;
  #isSettled = false;
  readonly #clock: Clock;

  constructor(request: Request, done: Done, clock: Clock) {
    this.request = request;
    this.#done = done;
    this.#abort = new AbortController();
    this.#clock = clock;
  }

  /** Aborted by `cancel`. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Cancelled or already served. */
  get isCancelled(): boolean {
    return this.#isSettled;
  }

  cancel(): void {
    if (this.#isSettled) return;
    this.settle(() => {});
    this.#abort.abort();
  }

  /** Calls `call` with the callback, unless it was called before or the waiter was cancelled. */
  settle(call: (done: Done) => void): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.stopTimer();
    call(this.#done);
  }

  startTimer(delayMs: number, run: () => void): void {
    this.#timer = this.#clock.setTimer(delayMs, run);
  }

  stopTimer(): void {
    if (this.#timer !== null) this.#clock.clearTimer(this.#timer);
    this.#timer = null;
  }
}

/** Waiters in their order. */
export class WaitQueue<Request, Done extends (error: Error | null, value: null) => void> {
  readonly #clock: Clock;
  #waiters: Waiter<Request, Done>[] = [];
  readonly #limits = new WeakMap<Waiter<Request, Done>, { readonly timeoutMs: number; readonly late: () => Error }>();
  #isOffering = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get length(): number {
    return this.#waiters.length;
  }

  /** Makes a waiter that is not in the queue yet; its time limit begins when it is pushed. */
  make(request: Request, done: Done, timeoutMs: number, late: () => Error): Waiter<Request, Done> {
    const waiter = new Waiter(request, done, this.#clock);
    this.#limits.set(waiter, { timeoutMs, late });
    return waiter;
  }

  push(waiter: Waiter<Request, Done>): void {
    this.#waiters.push(waiter);
    const limit = this.#limits.get(waiter);
    if (limit === undefined) return;
    waiter.startTimer(limit.timeoutMs, () => {
      this.#remove(waiter);
      waiter.settle((done) => done(limit.late(), null));
    });
  }

  /** Offers to each waiter in order; one for whom `take` returns true leaves the queue. */
  offer(take: (waiter: Waiter<Request, Done>) => boolean): void {
    if (this.#isOffering || this.#waiters.length === 0) return;
    this.#isOffering = true;
    try {
      for (const waiter of [...this.#waiters]) {
        if (waiter.isCancelled) this.#remove(waiter);
        else if (take(waiter)) {
          waiter.stopTimer();
          this.#remove(waiter);
        }
      }
    } finally {
      this.#isOffering = false;
    }
  }

  #remove(waiter: Waiter<Request, Done>): void {
    const at = this.#waiters.indexOf(waiter);
    if (at >= 0) this.#waiters.splice(at, 1);
  }
}
