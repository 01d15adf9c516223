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
  #isPumping = false;

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
    if (this.#waiting.length >= this.limits.maxHeld) return null;
    const held: Held = { entry, deadlineMs: entry.sinceMs + this.limits.holdTimeoutMs, state: 'waiting' };
    // Nearly always the youngest; one that was released in vain goes back to its place.
    let at = this.#waiting.length;
    while (at > 0 && (this.#waiting[at - 1]?.entry.sinceMs ?? 0) > entry.sinceMs) at -= 1;
    this.#waiting.splice(at, 0, held);
    this.#arm();
    return { leave: () => this.#leave(held) };
  }

  /** Lets the waiting go, oldest first. Those who enter afterwards wait for the next call. */
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
    try {
      // Whoever comes back while this runs is not released again by it.
      const present = this.#waiting.length;
      for (let i = 0; i < present && this.#isOpen && this.#releasedCount < this.limits.releaseWave; i += 1) {
        const held = this.#waiting.shift();
        if (held === undefined) break;
        held.state = 'released';
        this.#releasedCount += 1;
        held.entry.onRelease();
      }
    } finally {
      this.#isPumping = false;
    }
  }

  #arm(): void {
    const first = this.#waiting[0];
    if (this.#timer !== null || first === undefined) return;
    this.#timer = this.#clock.setTimer(Math.max(0, first.deadlineMs - this.#clock.nowMs()), () => {
      this.#timer = null;
      this.#expire();
      this.#arm();
    });
  }

  #expire(): void {
    const nowMs = this.#clock.nowMs();
    const due = this.#waiting.filter((held) => held.deadlineMs <= nowMs);
    if (due.length === 0) return;
    this.#waiting = this.#waiting.filter((held) => held.deadlineMs > nowMs);
    for (const held of due) {
      held.state = 'gone';
      held.entry.onExpire();
    }
  }
}
