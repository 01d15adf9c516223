import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import { monotonicMs } from '../measure/monotonic.js';
import type { Activity, ServerWords } from './attempt.js';
import type { WorkerLedger } from './ledger.js';
import { PgSession } from './pg-session.js';
import type { Job } from './worker.js';

/** How node-postgres sends a statement: a simple Query, an unnamed extended batch, or a named prepared statement. */
export type PgProtocol = 'simple' | 'extended' | 'prepared';

const INSERT = 'insert into chaos_writes(worker, n) values ($1, $2)';

/** What broke before COMMIT was sent, or was rolled back on purpose, cannot have happened: class 25 says so to the ledger. */
const NEVER_COMMITTED: ServerWords = { sqlState: '25P02', severity: '', message: 'never committed', detail: '' };

/** Sends one write in the protocol asked for. */
async function insert(client: pg.Client, protocol: PgProtocol, worker: number, n: number): Promise<void> {
  if (protocol === 'simple') await client.query(`insert into chaos_writes(worker, n) values (${worker}, ${n})`);
  else if (protocol === 'extended') await client.query(INSERT, [worker, n]);
  else await client.query({ name: 'write', text: INSERT, values: [worker, n] });
}

/** Writes that are each their own transaction, through node-postgres. */
export class PgAutocommit implements Job {
  readonly #ledger: WorkerLedger;
  readonly #session: PgSession;
  readonly #protocol: PgProtocol;

  constructor(ledger: WorkerLedger, port: number, protocol: PgProtocol) {
    this.#ledger = ledger;
    this.#session = new PgSession(ledger, port);
    this.#protocol = protocol;
  }

  async step(): Promise<boolean> {
    const client = await this.#session.client();
    if (client === null) return false;
    const [n = 0] = this.#ledger.take();
    const startedAtMs = monotonicMs();
    try {
      await insert(client, this.#protocol, this.#ledger.index, n);
    } catch (error) {
      this.#ledger.failed([n], this.#session.failed('autocommit', error, startedAtMs));
      return false;
    }
    this.#ledger.acknowledged([n], startedAtMs);
    return true;
  }

  abort(): void {
    this.#session.abort();
  }
}

export interface TransactionShape {
  readonly protocol: PgProtocol;
  readonly statements: number;
  /** Between two statements. */
  readonly pauseMs: number;
  /** One of the writes is behind a savepoint that is rolled back, and must not be there. */
  readonly withSavepoint: boolean;
}

/** Explicit transactions of several writes, through node-postgres. After an error it sends ROLLBACK and goes on, as drivers do. */
export class PgTransactions implements Job {
  readonly #ledger: WorkerLedger;
  readonly #session: PgSession;
  readonly #shape: TransactionShape;

  constructor(ledger: WorkerLedger, port: number, shape: TransactionShape) {
    this.#ledger = ledger;
    this.#session = new PgSession(ledger, port);
    this.#shape = shape;
  }

  async step(): Promise<boolean> {
    const client = await this.#session.client();
    if (client === null) return false;
    const ids = this.#ledger.take(this.#shape.statements);
    const startedAtMs = monotonicMs();
    let during: Activity = 'begin';
    try {
      await client.query('begin');
      during = 'statement';
      await this.#write(client, ids);
      during = 'commit';
      const { command } = await client.query('commit');
      if (command !== 'COMMIT') {
        this.#ledger.violated(`COMMIT was answered with ${command} and no error came before`);
        this.#ledger.failed(ids, NEVER_COMMITTED);
        return false;
      }
    } catch (error) {
      await this.#onError(during, error, startedAtMs, ids);
      return false;
    }
    this.#ledger.acknowledged(ids, startedAtMs);
    return true;
  }

  abort(): void {
    this.#session.abort();
  }

  async #write(client: pg.Client, ids: readonly number[]): Promise<void> {
    const { protocol, pauseMs, withSavepoint } = this.#shape;
    for (const n of ids) {
      await insert(client, protocol, this.#ledger.index, n);
      if (pauseMs > 0) await delay(pauseMs);
    }
    if (!withSavepoint) return;
    const [undone = 0] = this.#ledger.take();
    this.#ledger.failed([undone], NEVER_COMMITTED);
    await client.query('savepoint here');
    await insert(client, protocol, this.#ledger.index, undone);
    await client.query('rollback to savepoint here');
  }

  async #onError(during: Activity, error: unknown, startedAtMs: number, ids: readonly number[]): Promise<void> {
    const words = this.#session.failed(during, error, startedAtMs);
    this.#ledger.failed(ids, during === 'commit' ? words : NEVER_COMMITTED);
    const rollbackAtMs = monotonicMs();
    try {
      const client = await this.#session.client();
      // A new connection has nothing to roll back; this is what a pool does all the same.
      await client?.query('rollback');
    } catch (rollbackError) {
      this.#session.failed('rollback', rollbackError, rollbackAtMs);
    }
  }
}
