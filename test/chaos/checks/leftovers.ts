import { waitFor } from '../../support/processes.js';
import { footprintOf } from '../measure/footprint.js';
import type { Footprint } from '../measure/footprint.js';
import type { ProxyUnderTest } from '../proxy-under-test.js';

/** Idle backends and connections that are being ended need this long to go. */
const SETTLE_TIMEOUT_MS = 30_000;
const POLL_MS = 500;
/** Connections that come and go by themselves: probes, scrapes, log-in queries. */
const SOCKETS_SLACK = 8;
/** What the garbage collector has not looked at yet, and caches that are still being filled. */
const RESIDENT_SLACK_MB = 80;
const HEAP_SLACK_MB = 64;
const HEAP_SAMPLES = 5;
const HEAP_SAMPLE_PAUSE_MS = 300;

interface Mark extends Footprint {
  readonly starts: number;
  readonly heapMb: number;
}

/** Looks whether the proxy holds more than it did: sessions, sockets, memory. */
export class Leftovers {
  readonly #proxy: ProxyUnderTest;
  readonly #connections: number;
  #first: Mark | null;

  /** `connections`: how many clients there are while all is well. */
  constructor(proxy: ProxyUnderTest, connections: number) {
    this.#proxy = proxy;
    this.#connections = connections;
    this.#first = null;
  }

  /** What is wrong; nothing on the first call, which is the measure of the others. */
  async check(): Promise<readonly string[]> {
    const problems: string[] = [];
    const socketsMax = (this.#first?.sockets ?? Infinity) + SOCKETS_SLACK;
    try {
      await waitFor(async () => this.#isSettled(socketsMax), {
        timeoutMs: SETTLE_TIMEOUT_MS,
        what: 'the sessions and sockets to be back to where they were',
        pollMs: POLL_MS,
      });
    } catch {
      const { gauges } = await this.#proxy.metrics();
      const { sockets } = await footprintOf(this.#proxy.pid);
      problems.push(
        `after ${SETTLE_TIMEOUT_MS / 1000} s: ${gauges.sessions} sessions of ${this.#connections} clients, ${gauges.heldSessions} held, ` +
          `${sockets} sockets (at most ${socketsMax}), ${gauges.backends} backends`,
      );
    }
    const now = await this.#mark();
    if (this.#first === null || this.#first.starts !== now.starts) {
      this.#first = now;
      return problems;
    }
    const grownMb = now.residentMb - this.#first.residentMb;
    if (grownMb > RESIDENT_SLACK_MB) problems.push(`resident memory grew by ${Math.round(grownMb)} MB`);
    const heapMb = now.heapMb - this.#first.heapMb;
    if (heapMb > HEAP_SLACK_MB) problems.push(`the heap grew by ${Math.round(heapMb)} MB`);
    return problems;
  }

  async #isSettled(socketsMax: number): Promise<boolean> {
    const { gauges } = await this.#proxy.metrics();
    if (gauges.sessions !== this.#connections || gauges.heldSessions !== 0) return false;
    return (await footprintOf(this.#proxy.pid)).sockets <= socketsMax;
  }

  async #mark(): Promise<Mark> {
    let heapBytes = Infinity;
    // The least of some samples: what is in use just after a collection.
    for (let i = 0; i < HEAP_SAMPLES; i += 1) {
      heapBytes = Math.min(heapBytes, (await this.#proxy.metrics()).gauges.heapBytes);
      await new Promise((resolve) => {
        setTimeout(resolve, HEAP_SAMPLE_PAUSE_MS);
      });
    }
    const footprint = await footprintOf(this.#proxy.pid);
    return { ...footprint, starts: this.#proxy.starts, heapMb: heapBytes / 2 ** 20 };
  }
}
