import { setTimeout as delay } from 'node:timers/promises';

/** Longest wait of a client for a connection: longer than any fault, since a proxy may hold clients for as long as it likes. */
export const CONNECT_TIMEOUT_MS = 120_000;
/** Pause before a client that lost its connection tries again. */
const RECONNECT_PAUSE_MS = 100;

/** Where a client finds what it is for. */
export interface Endpoints {
  readonly primaryPort: number;
  readonly standbyPort: number;
}

/** A client that works until it is told to stop. */
export interface Worker {
  /** Its name in the report, which is also its `application_name`. */
  readonly name: string;
  /** Connections that it holds while all is well. */
  readonly connections: number;
  /** Most statements that it has under way at one time. */
  readonly inFlightMax: number;
  start(): void;
  /** Returns when it has ended. */
  stop(): Promise<void>;
}

/** What a worker does again and again. */
export interface Job {
  /** One operation, errors included: it throws only when the test itself is wrong. False: nothing could be done, wait a little. */
  step(): Promise<boolean>;
  /** Gives up at once, whatever is under way. */
  abort(): void;
}

/** A worker that repeats its job in this process. */
export class LoopWorker implements Worker {
  readonly name: string;
  readonly connections: number;
  readonly inFlightMax: number;
  readonly #job: Job;
  readonly #pauseMs: number;
  readonly #patienceMs: number;
  #isOver: boolean;
  #ended: Promise<void>;

  /** `pauseMs` lies between two operations; `patienceMs` is how long `stop` waits for the last one. */
  constructor(
    name: string,
    job: Job,
    options: {
      readonly pauseMs: number;
      readonly connections?: number;
      readonly inFlightMax?: number;
      readonly patienceMs?: number;
    },
  ) {
    this.name = name;
    this.connections = options.connections ?? 1;
    this.inFlightMax = options.inFlightMax ?? this.connections;
    this.#job = job;
    this.#pauseMs = options.pauseMs;
    this.#patienceMs = options.patienceMs ?? 10_000;
    this.#isOver = false;
    this.#ended = Promise.resolve();
  }

  start(): void {
    this.#ended = this.#run();
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    const patience = new AbortController();
    await Promise.race([this.#ended, delay(this.#patienceMs, null, { signal: patience.signal }).catch(() => {})]);
    patience.abort();
    this.#job.abort();
    await this.#ended;
  }

  async #run(): Promise<void> {
    while (!this.#isOver) {
      const isWell = await this.#job.step();
      await delay(isWell ? this.#pauseMs : RECONNECT_PAUSE_MS);
    }
  }
}
