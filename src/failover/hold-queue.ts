import type { Hold, HoldEntry, HoldTicket } from '../session/hold.js';
import type { Clock, ClockTimer } from '../util/clock.js';

export interface HoldLimits {
  readonly holdTimeoutMs: number;
  readonly maxHeld: number;
  /** Sessions that may look for a backend at one time. */
  readonly releaseWave: number;
}

interface Held {
  readonly entry: HoldEntry;
  readonly deadlineMs: number;
  /** In which round of releases it came. */
  readonly round: number;
  state: 'waiting' | 'released' | 'gone';
}

/**
 * Sessions whose unit no node can take now, oldest first. `open` lets them go in waves: at most `releaseWave` look for a backend at one
 * time, and each that has one (or has failed) makes room for the next.
 */
export class HoldQueue implements Hold {
  limits: HoldLimits;
  readonly #clock: Clock;
  #waiting: Held[] = [];
  #releasedCount = 0;
  #isOpen = false;
  #timer: ClockTimer | null = null;
  /** When the timer is to run. */
  #timerAtMs = 0;
  #isPumping = false;
  #round = 0;

  constructor(limits: HoldLimits, clock: Clock) {
    this.limits = limits;
    this.#clock = clock;
  }

  get length(): number {
    return this.#waiting.length;
  }

  /** Since when the oldest waits, in monotonic milliseconds; null when nobody does. */
  get oldestSinceMs(): number | null {
    return this.#waiting[0]?.entry.sinceMs ?? null;
  }

  enter(entry: HoldEntry): HoldTicket | null {
    // Those who try again keep their room: they may have to come back.
    if (this.#waiting.length + this.#releasedCount >= this.limits.maxHeld) return null;
    const deadlineMs = entry.sinceMs + this.limits.holdTimeoutMs;
    const held: Held = { entry, deadlineMs, round: this.#round, state: 'waiting' };
    // Nearly always the youngest; one that was released in vain goes back to its place.
    let at = this.#waiting.length;
    while (at > 0 && (this.#waiting[at - 1]?.entry.sinceMs ?? 0) > entry.sinceMs) at -= 1;
    this.#waiting.splice(at, 0, held);
    this.#arm(deadlineMs);
    return { leave: () => this.#leave(held) };
  }

  /** Lets the waiting go, oldest first. Those who enter while it is open go when one that was let go leaves, or with the next call. */
  open(): void {
    this.#isOpen = true;
    this.#pump();
  }

  /** Lets nobody go any more. */
  shut(): void {
    this.#isOpen = false;
  }

  close(): void {
    this.#isOpen = false;
    if (this.#timer !== null) this.#clock.clearTimer(this.#timer);
    this.#timer = null;
  }

  #leave(held: Held): void {
    if (held.state === 'gone') return;
    if (held.state === 'released') {
      this.#releasedCount -= 1;
      held.state = 'gone';
      this.#pump();
      return;
    }
    held.state = 'gone';
    const at = this.#waiting.indexOf(held);
    if (at >= 0) this.#waiting.splice(at, 1);
  }

  #pump(): void {
    if (this.#isPumping || !this.#isOpen) return;
    this.#isPumping = true;
    this.#round += 1;
    try {
      let at = 0;
      while (this.#isOpen && this.#releasedCount < this.limits.releaseWave) {
        const held = this.#waiting[at];
        if (held === undefined) break;
        // Whoever comes back while this runs is not released again by it, and keeps nobody from his turn.
        if (held.round === this.#round) {
          at += 1;
          continue;
        }
        this.#waiting.splice(at, 1);
        held.state = 'released';
        this.#releasedCount += 1;
        held.entry.onRelease();
      }
    } finally {
      this.#isPumping = false;
    }
  }

  /** Sees to it that the timer runs no later than this. */
  #arm(deadlineMs: number): void {
    if (this.#timer !== null) {
      if (this.#timerAtMs <= deadlineMs) return;
      this.#clock.clearTimer(this.#timer);
    }
    this.#timerAtMs = deadlineMs;
    this.#timer = this.#clock.setTimer(Math.max(0, deadlineMs - this.#clock.nowMs()), () => {
      this.#timer = null;
      this.#expire();
    });
  }

  #expire(): void {
    const nowMs = this.#clock.nowMs();
    const due = this.#waiting.filter((held) => held.deadlineMs <= nowMs);
    this.#waiting = this.#waiting.filter((held) => held.deadlineMs > nowMs);
    // Not only the first: the time limit may have been changed while some waited.
    for (const held of this.#waiting) this.#arm(held.deadlineMs);
    for (const held of due) {
      // One may leave because of the end of another.
      if (held.state !== 'waiting') continue;
      held.state = 'gone';
      held.entry.onExpire();
    }
  }
}
