import type pg from 'pg';
import { monotonicMs } from '../measure/monotonic.js';
import type { WorkerLedger } from './ledger.js';
import { PgSession } from './pg-session.js';
import { waitFor } from '../../support/processes.js';
import type { Job } from './worker.js';

const CHANNEL = 'chaos';
/** How long an acknowledged notification may be under way. */
const DELIVERY_TIMEOUT_MS = 5_000;

/**
 * One session that listens and one that notifies. An acknowledged notification must arrive, unless the listening session was told by a
 * NOTICE that it may have missed some, or has lost its connection, meanwhile.
 */
export class ListenerPair implements Job {
  readonly #ledger: WorkerLedger;
  readonly #listening: PgSession;
  readonly #notifying: PgSession;
  readonly #arrived: Set<string>;
  #count: number;
  #isWarned: boolean;
  #isAborted: boolean;

  constructor(ledger: WorkerLedger, port: number) {
    this.#ledger = ledger;
    this.#arrived = new Set();
    this.#count = 0;
    this.#isWarned = false;
    this.#isAborted = false;
    this.#listening = new PgSession(ledger, port, (client) => this.#listen(client));
    this.#notifying = new PgSession(ledger, port);
  }

  async step(): Promise<boolean> {
    const listening = await this.#listening.client();
    const notifying = await this.#notifying.client();
    if (listening === null || notifying === null) return false;
    const generation = this.#listening.generation;
    const payload = String((this.#count += 1));
    const startedAtMs = monotonicMs();
    this.#isWarned = false;
    try {
      await notifying.query('select pg_notify($1, $2)', [CHANNEL, payload]);
    } catch (error) {
      this.#notifying.failed('autocommit', error, startedAtMs);
      return false;
    }
    const isThere = await this.#isDelivered(payload, generation);
    this.#arrived.clear();
    if (isThere) this.#ledger.succeeded(startedAtMs);
    else if (!this.#isAborted && !this.#isWarned && this.#listening.generation === generation) {
      this.#ledger.violated(`notification ${payload} was acknowledged and did not arrive, and no NOTICE said so`);
      // Listens anew, so that the next fault is judged by itself.
      this.#listening.abort();
    }
    return isThere;
  }

  abort(): void {
    this.#isAborted = true;
    this.#listening.abort();
    this.#notifying.abort();
  }

  async #isDelivered(payload: string, generation: number): Promise<boolean> {
    const isOver = (): boolean => this.#isAborted || this.#isWarned || this.#listening.generation !== generation;
    await waitFor(() => this.#arrived.has(payload) || isOver(), {
      timeoutMs: DELIVERY_TIMEOUT_MS,
      what: 'a notification',
    }).catch(() => {});
    if (this.#arrived.has(payload)) return true;
    // A connection that is gone is seen by asking for it.
    await this.#listening.client();
    return false;
  }

  async #listen(client: pg.Client): Promise<void> {
    client.on('notification', ({ payload = '' }) => this.#arrived.add(payload));
    client.on('notice', ({ message = '' }) => {
      if (/notification/i.test(message)) this.#isWarned = true;
    });
    await client.query(`listen ${CHANNEL}`);
  }
}
