import type { Hold, HoldEntry, HoldRefusal, HoldTicket } from '../session/hold.js';
import { Backoff } from '../util/backoff.js';
import type { Clock, ClockTimer } from '../util/clock.js';

export interface HoldLimits {
  readonly holdTimeoutMs: number;
  readonly maxHeld: number;
  /** Sessions that may look for a backend at one time. */
  readonly releaseWave: number;
}

/** First and longest pause after a node has turned one away; shortened at random, so that several proxies do not come in step. */
export const REFUSAL_PAUSE_MS = 100;
export const REFUSAL_PAUSE_MAX_MS = 1_000;

export interface HoldQueueOptions {
  /** Connections that the node can still take beyond those under way; null: not known. */
  readonly room?: () => number | null;
  /** For the jitter; `Math.random` unless a test says otherwise. */
  readonly random?: () => number;
}

interface Held {
  readonly entry: HoldEntry;
  readonly deadlineMs: number;
  /** It is not let go before; for one that was turned away for its own sake. */
  notBeforeMs: number;
  /** In which round of releases it came. */
  readonly round: number;
  state: 'waiting' | 'released' | 'gone';
}

/**
 * Sessions whose unit no node can take now, oldest first. `open` lets them go in waves: at most `releaseWave` look for a backend at one
 * time, no more than the node has room for, but always one; each that has one (or has failed) makes room for the next.
 *
 * When a node turns one away because it is full or not awake yet, that one goes back to its place and nobody is let go for a pause, which
 * grows; then one alone tries, and with each that is served the wave doubles again. What a node refuses to one user or database alone
 * keeps only this one back.
 */
export class HoldQueue implements Hold {
  limits: HoldLimits;
  readonly #clock: Clock;
  readonly #room: () => number | null;
  readonly #random: () => number;
  readonly #pause: Backoff;
  #waiting: Held[] = [];
  #releasedCount = 0;
  #isOpen = false;
  #timer: ClockTimer | null = null;
  /** When the timer is to run. */
  #timerAtMs = 0;
  #isPumping = false;
  #round = 0;
  /** Most that may be on their way while the node is felt for; infinite when all is well. */
  #window = Number.POSITIVE_INFINITY;
  #pausedUntilMs = Number.NEGATIVE_INFINITY;
  #wake: ClockTimer | null = null;
  #wakeAtMs = 0;
  #trouble: HoldRefusal | null = null;

  constructor(limits: HoldLimits, clock: Clock, options: HoldQueueOptions = {}) {
    this.limits = limits;
    this.#clock = clock;
    this.#room = options.room ?? (() => null);
    this.#random = options.random ?? Math.random;
    this.#pause = new Backoff({ firstMs: REFUSAL_PAUSE_MS, ceilingMs: REFUSAL_PAUSE_MAX_MS, random: this.#random });
  }

  get length(): number {
    return this.#waiting.length;
  }

  /** Since when the oldest waits, in monotonic milliseconds; null when nobody does. */
  get oldestSinceMs(): number | null {
    return this.#waiting[0]?.entry.sinceMs ?? null;
  }

  get isBusy(): boolean {
    return this.trouble !== null && this.#waiting.some(({ entry }) => entry.refusal?.isOwn !== true);
  }

  get trouble(): HoldRefusal | null {
    return this.#isOpen ? this.#trouble : null;
  }

  enter(entry: HoldEntry): HoldTicket | null {
    // Those who try again keep their room: they may have to come back.
    if (this.#waiting.length + this.#releasedCount >= this.limits.maxHeld) return null;
    const deadlineMs = entry.sinceMs + this.limits.holdTimeoutMs;
    const { refusal, refusals = 1 } = entry;
    const notBeforeMs = refusal === undefined ? Number.NEGATIVE_INFINITY : this.#takeRefusal(refusal, refusals);
    const held: Held = { entry, deadlineMs, notBeforeMs, round: this.#round, state: 'waiting' };
    // Nearly always the youngest; one that was released in vain goes back to its place.
    let at = this.#waiting.length;
    while (at > 0 && (this.#waiting[at - 1]?.entry.sinceMs ?? 0) > entry.sinceMs) at -= 1;
    this.#waiting.splice(at, 0, held);
    this.#arm(deadlineMs);
    if (refusal !== undefined) this.#wakeAt(Math.max(notBeforeMs, this.#pausedUntilMs));
    return {
      leave: (isServed = false) => this.#leave(held, isServed),
      refused: (by) => {
        if (held.state === 'released') this.#takeRefusal(by, 1);
        this.#leave(held, false);
      },
    };
  }

  /** Lets the waiting go, oldest first. Those who enter while it is open go when one that was let go leaves, or with the next call. */
  open(): void {
    if (!this.#isOpen) this.#forgetRefusals();
    this.#isOpen = true;
    this.#pump();
  }

  /** A full node has got room for one: no pause need be kept any longer. */
  hurry(): void {
    if (this.trouble === null || this.#waiting.length === 0) return;
    this.#pause.reset();
    this.#pausedUntilMs = Number.NEGATIVE_INFINITY;
    this.#pump();
  }

  /** Lets nobody go any more. */
  shut(): void {
    this.#isOpen = false;
  }

  close(): void {
    this.#isOpen = false;
    for (const timer of [this.#timer, this.#wake]) if (timer !== null) this.#clock.clearTimer(timer);
    this.#timer = null;
    this.#wake = null;
  }

  #leave(held: Held, isServed: boolean): void {
    if (held.state === 'gone') return;
    if (held.state === 'released') {
      this.#releasedCount -= 1;
      held.state = 'gone';
      if (isServed) this.#served();
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
      while (this.#mayRelease()) {
        const held = this.#waiting[at];
        if (held === undefined) break;
        // Whoever comes back while this runs is not released again by it, and keeps nobody from his turn.
        if (held.round === this.#round || held.notBeforeMs > this.#clock.nowMs()) {
          if (held.round !== this.#round) this.#wakeAt(held.notBeforeMs);
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

  #mayRelease(): boolean {
    if (!this.#isOpen) return false;
    if (this.#pausedUntilMs > this.#clock.nowMs()) {
      this.#wakeAt(this.#pausedUntilMs);
      return false;
    }
    if (this.#releasedCount === 0) return true;
    if (this.#releasedCount >= Math.min(this.limits.releaseWave, this.#window)) return false;
    return (this.#room() ?? Number.POSITIVE_INFINITY) > 0;
  }

  /** Takes note that the node turned somebody away; gives the time before which this one need not try again. */
  #takeRefusal(refusal: HoldRefusal, refusals: number): number {
    const nowMs = this.#clock.nowMs();
    if (refusal.isOwn) {
      const fullMs = Math.min(REFUSAL_PAUSE_MAX_MS, REFUSAL_PAUSE_MS * 2 ** Math.min(refusals - 1, 10));
      return nowMs + fullMs * (0.5 + this.#random() / 2);
    }
    this.#trouble = refusal;
    this.#window = 1;
    // Of a whole wave that is turned away together only the first lengthens the pause.
    if (this.#pausedUntilMs <= nowMs) this.#pausedUntilMs = nowMs + this.#pause.next();
    return Number.NEGATIVE_INFINITY;
  }

  #served(): void {
    this.#window *= 2;
    this.#pause.reset();
    this.#pausedUntilMs = Number.NEGATIVE_INFINITY;
    if (this.#window >= this.limits.releaseWave) this.#window = Number.POSITIVE_INFINITY;
    if (this.#window === Number.POSITIVE_INFINITY || this.#waiting.length === 0) this.#trouble = null;
  }

  /** Another node, or the same one anew. */
  #forgetRefusals(): void {
    this.#window = Number.POSITIVE_INFINITY;
    this.#pause.reset();
    this.#pausedUntilMs = Number.NEGATIVE_INFINITY;
    this.#trouble = null;
    for (const held of this.#waiting) held.notBeforeMs = Number.NEGATIVE_INFINITY;
  }

  #wakeAt(atMs: number): void {
    if (this.#wake !== null) {
      if (this.#wakeAtMs <= atMs) return;
      this.#clock.clearTimer(this.#wake);
    }
    this.#wakeAtMs = atMs;
    this.#wake = this.#clock.setTimer(Math.max(1, atMs - this.#clock.nowMs()), () => {
      this.#wake = null;
      this.#pump();
    });
  }

  /** Sees to it that the timer runs no later than this. */
  #arm(deadlineMs: number): void {
    if (deadlineMs === Number.POSITIVE_INFINITY) return;
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
