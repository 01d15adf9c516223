import { monotonicMs } from '../measure/monotonic.js';
import type { WorkerLedger } from './ledger.js';
import { PgSession } from './pg-session.js';
import type { Job } from './worker.js';

/** Settings that no node has by itself. */
const SETTINGS: Readonly<Record<string, string>> = {
  statement_timeout: '123456ms',
  search_path: 'chaos_here, public',
  timezone: 'Asia/Kathmandu',
};

/** A session that has settings and prepared statements, and looks every time whether they are still there. */
export class StatefulSession implements Job {
  readonly #ledger: WorkerLedger;
  readonly #session: PgSession;
  #count: number;

  constructor(ledger: WorkerLedger, port: number) {
    this.#ledger = ledger;
    this.#count = 0;
    this.#session = new PgSession(ledger, port, async (client) => {
      for (const [name, value] of Object.entries(SETTINGS)) await client.query(`set ${name} = ${quoted(name, value)}`);
    });
  }

  async step(): Promise<boolean> {
    const client = await this.#session.client();
    if (client === null) return false;
    const startedAtMs = monotonicMs();
    this.#count += 1;
    try {
      const doubled = { name: 'doubled', text: 'select $1::int * 2 as n', values: [this.#count] };
      const { rows } = await client.query<{ readonly n: number }>(doubled);
      if (rows[0]?.n !== this.#count * 2) this.#ledger.violated(`a prepared statement gave ${rows[0]?.n}`);
      for (const [name, wanted] of Object.entries(SETTINGS)) {
        const answer = await client.query<Readonly<Record<string, string>>>(`show ${name}`);
        const value = Object.values(answer.rows[0] ?? {})[0];
        if (value !== wanted) this.#ledger.violated(`${name} is ${value}, it was set to ${wanted}`);
      }
    } catch (error) {
      this.#session.failed('session', error, startedAtMs);
      return false;
    }
    this.#ledger.succeeded(startedAtMs);
    return true;
  }

  abort(): void {
    this.#session.abort();
  }
}

function quoted(name: string, value: string): string {
  return name === 'search_path' ? value : `'${value}'`;
}

/** A session with a temporary table, which cannot move: it must be told so, and find its table for as long as it lives. */
export class PinnedSession implements Job {
  readonly #ledger: WorkerLedger;
  readonly #session: PgSession;
  #rows: number;

  constructor(ledger: WorkerLedger, port: number) {
    this.#ledger = ledger;
    this.#rows = 0;
    this.#session = new PgSession(ledger, port, async (client) => {
      await client.query('create temporary table mine(n int)');
      this.#rows = 0;
    });
  }

  async step(): Promise<boolean> {
    const client = await this.#session.client();
    if (client === null) return false;
    const startedAtMs = monotonicMs();
    try {
      await client.query('insert into mine values (1)');
      this.#rows += 1;
      const { rows } = await client.query<{ readonly n: number }>('select count(*)::int as n from mine');
      if (rows[0]?.n !== this.#rows) {
        this.#ledger.violated(`its temporary table has ${rows[0]?.n} rows of ${this.#rows}`);
        this.#rows = rows[0]?.n ?? 0;
      }
    } catch (error) {
      this.#session.failed('pinned', error, startedAtMs);
      return false;
    }
    this.#ledger.succeeded(startedAtMs);
    return true;
  }

  abort(): void {
    this.#session.abort();
  }
}
