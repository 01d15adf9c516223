import { monotonicMs } from '../measure/monotonic.js';
import { Fate, fateOf } from './attempt.js';
import type { Activity, SeenError, ServerWords } from './attempt.js';

/** Errors kept with all their words; beyond these they are only counted, which a proxy that goes on failing makes necessary. */
const ERRORS_KEPT_MAX = 5_000;

/** An acknowledged write: its number and when it was sent and answered. */
export interface Acknowledgement {
  readonly n: number;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
}

/** What one worker has tried and what became of it. Writes are numbered from 0. */
export class WorkerLedger {
  readonly index: number;
  readonly name: string;
  readonly #book: Ledger;
  #fates: Uint8Array;
  #issued: number;
  #acknowledgements: Acknowledgement[];
  #successes: number;

  constructor(index: number, name: string, book: Ledger) {
    this.index = index;
    this.name = name;
    this.#book = book;
    this.#fates = new Uint8Array(1024);
    this.#issued = 0;
    this.#acknowledgements = [];
    this.#successes = 0;
  }

  /** Writes that were numbered so far. */
  get issued(): number {
    return this.#issued;
  }

  /** Operations of any kind that succeeded. */
  get successes(): number {
    return this.#successes;
  }

  /** Numbers for writes that are about to be sent. */
  take(count = 1): number[] {
    const first = this.#issued;
    this.note(first + count - 1);
    return Array.from({ length: count }, (_, i) => first + i);
  }

  /** Takes notice of a number that a helper program has chosen by itself. */
  note(n: number): void {
    this.#issued = Math.max(this.#issued, n + 1);
    if (this.#issued <= this.#fates.length) return;
    const larger = new Uint8Array(2 ** Math.ceil(Math.log2(this.#issued + 1)));
    larger.set(this.#fates);
    this.#fates = larger;
  }

  fateOf(n: number): Fate {
    return (this.#fates[n] ?? Fate.Open) as Fate;
  }

  /** These writes were acknowledged together. */
  acknowledged(ids: readonly number[], startedAtMs: number, endedAtMs = monotonicMs()): void {
    this.#successes += 1;
    for (const n of ids) {
      this.note(n);
      this.#fates[n] = Fate.Acknowledged;
      this.#acknowledgements.push({ n, startedAtMs, endedAtMs });
    }
    this.#book.onWait(endedAtMs - startedAtMs);
  }

  /** An operation without writes succeeded. */
  succeeded(startedAtMs: number): void {
    this.#successes += 1;
    this.#book.onWait(monotonicMs() - startedAtMs);
  }

  /** Writes of which the client was not told anything good. */
  failed(ids: readonly number[], words: ServerWords): void {
    for (const n of ids) {
      this.note(n);
      this.#fates[n] = fateOf(words);
    }
  }

  /** The client saw an error. */
  saw(
    during: Activity,
    words: ServerWords,
    connectionLost: boolean,
    startedAtMs: number,
    endedAtMs = monotonicMs(),
  ): void {
    this.#book.onError({ ...words, worker: this.name, during, connectionLost, startedAtMs, endedAtMs });
  }

  /** Something that must never happen and is no error of the server: a setting that is gone, a notification that never came. */
  violated(text: string): void {
    this.#book.onViolation(`${this.name}: ${text}`);
  }

  /** The acknowledgements since the last call. */
  drain(): Acknowledgement[] {
    const taken = this.#acknowledgements;
    this.#acknowledgements = [];
    return taken;
  }
}

/** What one round of a load amounts to. */
export interface RoundRecord {
  /** By worker. */
  readonly acknowledgements: ReadonlyMap<WorkerLedger, readonly Acknowledgement[]>;
  /** The first ones, with all their words. */
  readonly errors: readonly SeenError[];
  /** Errors by `SQLSTATE activity`. */
  readonly errorCounts: ReadonlyMap<string, number>;
  readonly dropped: number;
  /** Longest time that any one operation took. */
  readonly longestWaitMs: number;
  readonly violations: readonly string[];
}

/** Everything that the clients of one load have tried, worker by worker; taken out round by round. */
export class Ledger {
  readonly #workers: WorkerLedger[] = [];
  #errors: SeenError[] = [];
  #errorCounts = new Map<string, number>();
  #dropped = 0;
  #longestWaitMs = 0;
  #violations: string[] = [];

  get workers(): readonly WorkerLedger[] {
    return this.#workers;
  }

  /** Errors of the round so far. */
  get errors(): readonly SeenError[] {
    return this.#errors;
  }

  /** `index` tells workers apart in the table that they all write to. */
  open(index: number, name: string): WorkerLedger {
    const worker = new WorkerLedger(index, name, this);
    this.#workers.push(worker);
    return worker;
  }

  onWait(waitMs: number): void {
    this.#longestWaitMs = Math.max(this.#longestWaitMs, waitMs);
  }

  onError(error: SeenError): void {
    const key = `${error.sqlState === '' ? 'none' : error.sqlState} ${error.during}`;
    this.#errorCounts.set(key, (this.#errorCounts.get(key) ?? 0) + 1);
    if (error.connectionLost) this.#dropped += 1;
    if (this.#errors.length < ERRORS_KEPT_MAX) this.#errors.push(error);
    this.onWait(error.endedAtMs - error.startedAtMs);
  }

  onViolation(text: string): void {
    this.#violations.push(text);
  }

  /** Ends the round and begins the next. */
  takeRound(): RoundRecord {
    const record = {
      acknowledgements: new Map(this.#workers.map((worker) => [worker, worker.drain()])),
      errors: this.#errors,
      errorCounts: this.#errorCounts,
      dropped: this.#dropped,
      longestWaitMs: this.#longestWaitMs,
      violations: this.#violations,
    };
    this.#errors = [];
    this.#errorCounts = new Map();
    this.#dropped = 0;
    this.#longestWaitMs = 0;
    this.#violations = [];
    return record;
  }
}
