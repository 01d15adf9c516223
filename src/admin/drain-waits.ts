import type { ServerResponse } from 'node:http';
import type { DrainOrder } from '../failover/drain-order.js';
import { drainOf } from './drain-document.js';
import type { DrainDocument } from './drain-document.js';
import { LINES_TYPE } from './http-answer.js';
import type { StreamedAnswer } from './http-answer.js';
import type { Proxy } from './proxy.js';

/** Requests that wait at one time. */
const WAITS_MAX = 16;
/** How often the drain is looked at. */
const LOOK_INTERVAL_MS = 25;
/** Least and most time between two lines: of one that changes all the time, and of one that does not. */
const LINE_INTERVAL_MIN_MS = 250;
const LINE_INTERVAL_MAX_MS = 1_000;
/** What an answer may take beyond the wait itself. */
const ANSWER_GRACE_MS = 5_000;

/** Answers that tell, line by line, how a node becomes empty. The last line has a verdict, or an end. */
export class DrainWaits {
  readonly #proxy: Proxy;
  #count = 0;

  constructor(proxy: Proxy) {
    this.#proxy = proxy;
  }

  get isFull(): boolean {
    return this.#count >= WAITS_MAX;
  }

  answer(order: DrainOrder, timeoutMs: number): StreamedAnswer {
    return {
      status: 200,
      type: LINES_TYPE,
      timeoutMs: timeoutMs + ANSWER_GRACE_MS,
      write: (response) => this.#follow(order, response),
    };
  }

  #follow(order: DrainOrder, response: ServerResponse): void {
    const { clock, registry, conductor } = this.#proxy;
    if (response.destroyed) {
      conductor.drains.abandonWait(order);
      return;
    }
    this.#count += 1;
    let isOver = false;
    let told: DrainDocument | null = null;
    let toldAtMs = Number.NEGATIVE_INFINITY;
    response.once('close', () => {
      isOver = true;
      this.#count -= 1;
      // Whoever asked has gone: what comes now, if anything, is the stop.
      conductor.drains.abandonWait(order);
    });
    const look = (): void => {
      if (isOver) return;
      const nowMs = clock.nowMs();
      const now = drainOf(order, registry, nowMs);
      if (now.verdict !== null || now.end !== null) {
        response.end(`${JSON.stringify(now)}\n`);
        return;
      }
      const sinceMs = nowMs - toldAtMs;
      if (sinceMs >= LINE_INTERVAL_MAX_MS || (sinceMs >= LINE_INTERVAL_MIN_MS && now.sessions !== told?.sessions)) {
        response.write(`${JSON.stringify(now)}\n`);
        told = now;
        toldAtMs = nowMs;
      }
      clock.setTimer(LOOK_INTERVAL_MS, look);
    };
    look();
  }
}
