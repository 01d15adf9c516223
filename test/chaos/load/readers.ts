import { monotonicMs } from '../measure/monotonic.js';
import type { WorkerLedger } from './ledger.js';
import { PgSession } from './pg-session.js';
import type { Job } from './worker.js';

/** How the rows of a long read come: all at its end, or one after the other. */
export type ReadShape = 'read' | 'stream';

const STEPS = 100;
const STEP_S = 0.03;
/** More than PostgreSQL's output buffer, so that every row goes out at once. */
const ROW_CHARS = 9_000;

/** Reads of a few seconds on the standby listener. */
export class LongReader implements Job {
  readonly #ledger: WorkerLedger;
  readonly #session: PgSession;
  readonly #shape: ReadShape;

  constructor(ledger: WorkerLedger, standbyPort: number, shape: ReadShape) {
    this.#ledger = ledger;
    this.#session = new PgSession(ledger, standbyPort);
    this.#shape = shape;
  }

  async step(): Promise<boolean> {
    const client = await this.#session.client();
    if (client === null) return false;
    const startedAtMs = monotonicMs();
    const text =
      this.#shape === 'read'
        ? `select count(*)::int as n from (select pg_sleep(${STEP_S}) from generate_series(1, ${STEPS})) as slow`
        : `select repeat('x', ${ROW_CHARS}), pg_sleep(${STEP_S}) from generate_series(1, ${STEPS})`;
    try {
      const { rows } = await client.query<{ readonly n?: number }>(text);
      const seen = this.#shape === 'read' ? rows[0]?.n : rows.length;
      if (seen !== STEPS) this.#ledger.violated(`a read ended well with ${seen} rows of ${STEPS}`);
    } catch (error) {
      this.#session.failed(this.#shape, error, startedAtMs);
      return false;
    }
    this.#ledger.succeeded(startedAtMs);
    return true;
  }

  abort(): void {
    this.#session.abort();
  }
}
