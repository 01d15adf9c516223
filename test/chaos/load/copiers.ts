import { frontend } from '../../support/raw-messages.js';
import { summarize } from '../../support/raw-reply.js';
import type { RawReply } from '../../support/raw-reply.js';
import type { RawClient } from '../../support/raw-client.js';
import { setTimeout as delay } from 'node:timers/promises';
import { monotonicMs } from '../measure/monotonic.js';
import type { WorkerLedger } from './ledger.js';
import { RawSession, isReply } from './raw-writer.js';
import type { Job } from './worker.js';

const ROWS_PER_COPY = 40;
const CHUNKS_PER_COPY = 4;
const CHUNK_PAUSE_MS = 40;
const ROWS_COPIED_OUT = 300;

/** COPY FROM STDIN of unique rows, in chunks with pauses between them. */
export class CopyIn implements Job {
  readonly #ledger: WorkerLedger;
  readonly #session: RawSession;

  constructor(ledger: WorkerLedger, port: number) {
    this.#ledger = ledger;
    this.#session = new RawSession(ledger, port);
  }

  async step(): Promise<boolean> {
    if ((await this.#session.client()) === null) return false;
    const ids = this.#ledger.take(ROWS_PER_COPY);
    const startedAtMs = monotonicMs();
    const outcome = await this.#session.run('copy_in', (client) => this.#copy(client, ids));
    if (!isReply(outcome)) {
      this.#ledger.failed(ids, outcome);
      return false;
    }
    this.#ledger.acknowledged(ids, startedAtMs);
    return true;
  }

  abort(): void {
    this.#session.abort();
  }

  async #copy(client: RawClient, ids: readonly number[]): Promise<RawReply> {
    const begun = await client.query('copy chaos_writes(worker, n) from stdin');
    if (!begun.types.endsWith('G')) return begun;
    const perChunk = Math.ceil(ids.length / CHUNKS_PER_COPY);
    for (let from = 0; from < ids.length; from += perChunk) {
      const rows = ids.slice(from, from + perChunk).map((n) => `${this.#ledger.index}\t${n}\n`);
      client.send(frontend.copyData(rows.join('')));
      await delay(CHUNK_PAUSE_MS);
    }
    return client.unit(frontend.copyDone());
  }
}

/** COPY TO STDOUT of more than one buffer of PostgreSQL's, with a time between the first row and the last. */
export class CopyOut implements Job {
  readonly #ledger: WorkerLedger;
  readonly #session: RawSession;

  constructor(ledger: WorkerLedger, port: number) {
    this.#ledger = ledger;
    this.#session = new RawSession(ledger, port);
  }

  async step(): Promise<boolean> {
    if ((await this.#session.client()) === null) return false;
    const startedAtMs = monotonicMs();
    const text = `copy (select i, repeat('x', 1000), pg_sleep(0.002) from generate_series(1, ${ROWS_COPIED_OUT}) as i) to stdout`;
    const outcome = await this.#session.run('copy_out', (client) => client.query(text));
    if (!isReply(outcome)) return false;
    const lines = summarize(outcome.messages, false).copied.toString('latin1').split('\n').length - 1;
    if (lines !== ROWS_COPIED_OUT) this.#ledger.violated(`COPY TO ended well with ${lines} rows of ${ROWS_COPIED_OUT}`);
    this.#ledger.succeeded(startedAtMs);
    return true;
  }

  abort(): void {
    this.#session.abort();
  }
}
