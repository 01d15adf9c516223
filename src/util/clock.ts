/** A pending timer of a {@link Clock}; give it to `clearTimer`. */
export interface ClockTimer {
  /** Opaque: only the clock that made it reads it. */
  readonly handle: unknown;
}

/**
 * Time as the program sees it. Everything that waits or measures takes one, so that tests can turn the hands.
 * `nowMs` is monotonic (never jumps with the wall clock) and must be used for every duration and deadline.
 */
export interface Clock {
  /** Monotonic milliseconds since an arbitrary origin, with fractions. */
  nowMs(): number;
  /** Wall-clock milliseconds since the Unix epoch; for people and logs only. */
  epochMs(): number;
  /** Calls `run` once, `delayMs` from now. The timer does not keep the process alive. */
  setTimer(delayMs: number, run: () => void): ClockTimer;
  /** Forgets a timer; one that has already run is ignored. */
  clearTimer(timer: ClockTimer): void;
}

/** The clock of the machine. */
export const systemClock: Clock = {
  nowMs: () => performance.now(),
  epochMs: () => Date.now(),
  setTimer: (delayMs, run) => ({ handle: setTimeout(run, delayMs).unref() }),
  clearTimer: (timer) => {
    clearTimeout(timer.handle as NodeJS.Timeout);
  },
};
