import { CopyIn, CopyOut } from './copiers.js';
import type { Driver, Helpers } from './helpers.js';
import type { Ledger, WorkerLedger } from './ledger.js';
import { ListenerPair } from './listener.js';
import { OwnReader } from './own-reader.js';
import { PgAutocommit, PgTransactions } from './pg-writers.js';
import type { PgProtocol, TransactionShape } from './pg-writers.js';
import { PipelinedWriter } from './pipelined-writer.js';
import { ProgramWorker } from './program-worker.js';
import { RawWriter } from './raw-writer.js';
import { LongReader } from './readers.js';
import { PinnedSession, StatefulSession } from './residents.js';
import { LoopWorker } from './worker.js';
import type { Endpoints, Job, Worker } from './worker.js';

/** Which clients there are: everything that a proxy meets, or autocommit writes alone. */
export const MIXES = ['mixed', 'autocommit', 'transactions', 'few'] as const;
export type Mix = (typeof MIXES)[number];

/** Pause between two writes of one client: many are not needed to see a gap of tens of milliseconds. */
const WRITE_PAUSE_MS = 20;
const SLOW_PAUSE_MS = 250;
const PIPELINE_DEPTH = 3;
/** On a split listener, of each protocol. */
const OWN_READERS = 2;
/** Between the statements of a long transaction. */
const LONG_PAUSE_MS = 400;
/** A listening pair uses two. */
const LISTENER_CONNECTIONS = 2;

const SHORT: TransactionShape = { protocol: 'extended', statements: 2, pauseMs: 0, withSavepoint: false };
const WITH_SAVEPOINT: TransactionShape = { protocol: 'simple', statements: 2, pauseMs: 5, withSavepoint: true };
const LONG: TransactionShape = { protocol: 'prepared', statements: 5, pauseMs: LONG_PAUSE_MS, withSavepoint: false };

/** Makes the workers of one load; numbers them so that several loads can share a table. */
export class WorkerFactory {
  readonly #ledger: Ledger;
  readonly #endpoints: Endpoints;
  readonly #helpers: Helpers;
  readonly #prefix: string;
  readonly #nextIndex: () => number;
  readonly #workers: Worker[];

  constructor(ledger: Ledger, endpoints: Endpoints, helpers: Helpers, prefix: string, nextIndex: () => number) {
    this.#ledger = ledger;
    this.#endpoints = endpoints;
    this.#helpers = helpers;
    this.#prefix = prefix;
    this.#nextIndex = nextIndex;
    this.#workers = [];
  }

  /** `route`: of the listener that they use; on a split one some read what they have written, besides. */
  make(mix: Mix, route: 'primary' | 'split'): readonly Worker[] {
    if (route === 'split') this.#makeOwnReaders();
    switch (mix) {
      case 'mixed':
        this.#makeAutocommit(1);
        this.#makeTransactions();
        this.#makeResidents();
        break;
      case 'autocommit':
        this.#makeAutocommit(2);
        break;
      case 'transactions':
        this.#makeTransactions();
        break;
      case 'few':
        for (const protocol of ['simple', 'extended', 'prepared'] as const) this.#pg(protocol);
        this.#loop('raw', (ledger, port) => new RawWriter(ledger, port), WRITE_PAUSE_MS);
        this.#program('psycopg2', 0);
        this.#transactions('tx', SHORT, WRITE_PAUSE_MS);
        break;
    }
    return this.#workers;
  }

  /** Eight kinds of autocommit writers, `copies` of each. */
  #makeAutocommit(copies: number): void {
    for (let i = 0; i < copies; i += 1) {
      for (const protocol of ['simple', 'extended', 'prepared'] as const) this.#pg(protocol);
      this.#loop('pipelined', (ledger, port) => new PipelinedWriter(ledger, port, PIPELINE_DEPTH), WRITE_PAUSE_MS, {
        inFlightMax: PIPELINE_DEPTH,
      });
      this.#loop('raw', (ledger, port) => new RawWriter(ledger, port), WRITE_PAUSE_MS);
      for (const driver of ['psycopg2', 'asyncpg', 'jdbc'] as const) this.#program(driver, 0);
    }
  }

  #makeOwnReaders(): void {
    for (const protocol of ['simple', 'extended', 'prepared'] as const) {
      for (let i = 0; i < OWN_READERS; i += 1) {
        this.#loop(`own-${protocol}`, (ledger, port) => new OwnReader(ledger, port, protocol), WRITE_PAUSE_MS);
      }
    }
  }

  #makeTransactions(): void {
    this.#transactions('tx', SHORT, WRITE_PAUSE_MS);
    this.#transactions('savepoint', WITH_SAVEPOINT, WRITE_PAUSE_MS);
    this.#transactions('longtx', LONG, SLOW_PAUSE_MS);
    this.#program('psycopg2', 2);
    this.#program('asyncpg', 2);
    this.#program('jdbc', 2);
  }

  #makeResidents(): void {
    const pair = { connections: LISTENER_CONNECTIONS };
    this.#loop('listener', (ledger, port) => new ListenerPair(ledger, port), SLOW_PAUSE_MS, pair);
    this.#loop('stateful', (ledger, port) => new StatefulSession(ledger, port), SLOW_PAUSE_MS);
    this.#loop('pinned', (ledger, port) => new PinnedSession(ledger, port), SLOW_PAUSE_MS);
    this.#loop('copyin', (ledger, port) => new CopyIn(ledger, port), SLOW_PAUSE_MS);
    this.#loop('copyout', (ledger, port) => new CopyOut(ledger, port), SLOW_PAUSE_MS);
    const { standbyPort } = this.#endpoints;
    this.#loop('read', (ledger) => new LongReader(ledger, standbyPort, 'read'), SLOW_PAUSE_MS);
    this.#loop('stream', (ledger) => new LongReader(ledger, standbyPort, 'stream'), SLOW_PAUSE_MS);
  }

  #pg(protocol: PgProtocol): void {
    this.#loop(`pg-${protocol}`, (ledger, port) => new PgAutocommit(ledger, port, protocol), WRITE_PAUSE_MS);
  }

  #transactions(kind: string, shape: TransactionShape, pauseMs: number): void {
    this.#loop(kind, (ledger, port) => new PgTransactions(ledger, port, shape), pauseMs);
  }

  #loop(
    kind: string,
    make: (ledger: WorkerLedger, port: number) => Job,
    pauseMs: number,
    more: { readonly connections?: number; readonly inFlightMax?: number } = {},
  ): void {
    const ledger = this.#open(kind);
    this.#workers.push(new LoopWorker(ledger.name, make(ledger, this.#endpoints.primaryPort), { pauseMs, ...more }));
  }

  #program(driver: Driver, statements: number): void {
    const ledger = this.#open(statements === 0 ? driver : `${driver}-tx`);
    const command = this.#helpers.command(driver, {
      port: this.#endpoints.primaryPort,
      name: ledger.name,
      worker: ledger.index,
      pauseMs: WRITE_PAUSE_MS,
      statements,
    });
    this.#workers.push(new ProgramWorker(ledger, command));
  }

  #open(kind: string): WorkerLedger {
    const index = this.#nextIndex();
    return this.#ledger.open(index, `${this.#prefix}${kind}-${index}`);
  }
}

/** Kind of a worker: its name without its number. */
export function kindOf(worker: string): string {
  return worker.replace(/-\d+$/, '');
}
