import pg from 'pg';
import { roles } from '../../support/roles.js';
import { monotonicMs } from '../measure/monotonic.js';
import { wordsOf } from './attempt.js';
import type { Activity, ServerWords } from './attempt.js';
import type { WorkerLedger } from './ledger.js';
import { CONNECT_TIMEOUT_MS } from './worker.js';

/** After these the server closes the connection ("Error Message Severities" in PostgreSQL's documentation). */
const FATAL = new Set(['FATAL', 'PANIC']);

/** One connection of node-postgres that is made again after it was lost; every loss and error goes into the ledger. */
export class PgSession {
  readonly #ledger: WorkerLedger;
  readonly #port: number;
  readonly #onConnect: (client: pg.Client) => Promise<void>;
  #client: pg.Client | null;
  /** What the server said before the connection ended between two statements. */
  #farewell: ServerWords | null;
  #isEnded: boolean;
  #generation: number;

  /** `onConnect` sets a new connection up. */
  constructor(ledger: WorkerLedger, port: number, onConnect: (client: pg.Client) => Promise<void> = async () => {}) {
    this.#ledger = ledger;
    this.#port = port;
    this.#onConnect = onConnect;
    this.#client = null;
    this.#farewell = null;
    this.#isEnded = false;
    this.#generation = 0;
  }

  /** Connections made so far. */
  get generation(): number {
    return this.#generation;
  }

  /** The connection; null when none can be had now, which is in the ledger. */
  async client(): Promise<pg.Client | null> {
    if (this.#client !== null && !this.#isEnded) return this.#client;
    if (this.#client !== null) {
      const words = this.#farewell ?? { sqlState: '', severity: '', message: 'the connection has ended', detail: '' };
      this.#ledger.saw('idle', words, true, monotonicMs());
      this.abort();
    }
    return this.#connect();
  }

  /** Notes an error of a statement; the next call of `client` connects again when the connection went with it. */
  failed(during: Activity, error: unknown, startedAtMs: number): ServerWords {
    const own = wordsOf(error);
    // The driver only says that the connection has ended when the server said why before the statement was sent.
    const words = own.sqlState === '' ? (this.#farewell ?? own) : own;
    const isLost = words.sqlState === '' || FATAL.has(words.severity) || this.#isEnded;
    this.#ledger.saw(during, words, isLost, startedAtMs);
    if (isLost) this.abort();
    return words;
  }

  /** Closes the connection at once. */
  abort(): void {
    const client = this.#client;
    this.#client = null;
    if (client === null) return;
    // A query under way is rejected when the socket has gone.
    (
      client as unknown as { readonly connection: { readonly stream: { destroy(): void } } }
    ).connection.stream.destroy();
  }

  async #connect(): Promise<pg.Client | null> {
    const startedAtMs = monotonicMs();
    const client = new pg.Client({
      ...roles.app,
      host: '127.0.0.1',
      port: this.#port,
      application_name: this.#ledger.name,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    });
    this.#farewell = null;
    this.#isEnded = false;
    client.on('error', (error) => {
      if (this.#client !== client) return;
      this.#isEnded = true;
      this.#farewell ??= wordsOf(error);
    });
    client.on('end', () => {
      if (this.#client === client) this.#isEnded = true;
    });
    try {
      this.#client = client;
      await client.connect();
      await this.#onConnect(client);
      this.#generation += 1;
      return client;
    } catch (error) {
      this.#ledger.saw('connect', wordsOf(error), false, startedAtMs);
      this.abort();
      return null;
    }
  }
}
