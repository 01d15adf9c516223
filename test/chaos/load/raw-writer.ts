import { RawClient } from '../../support/raw-client.js';
import { frontend } from '../../support/raw-messages.js';
import type { RawReply } from '../../support/raw-reply.js';
import { roles } from '../../support/roles.js';
import { monotonicMs } from '../measure/monotonic.js';
import type { Activity, ServerWords } from './attempt.js';
import type { WorkerLedger } from './ledger.js';
import { CONNECT_TIMEOUT_MS } from './worker.js';

/** What a connection that breaks without a word says. */
export function silence(message: string): ServerWords {
  return { sqlState: '', severity: '', message, detail: '' };
}

/** A connection of the raw client that is made again after it was lost. */
export class RawSession {
  readonly #ledger: WorkerLedger;
  readonly #port: number;
  #client: RawClient | null;
  #isAborted: boolean;

  constructor(ledger: WorkerLedger, port: number) {
    this.#ledger = ledger;
    this.#port = port;
    this.#client = null;
    this.#isAborted = false;
  }

  /** The connection; null when none can be had now, which is in the ledger. */
  async client(): Promise<RawClient | null> {
    if (this.#client !== null || this.#isAborted) return this.#client;
    const startedAtMs = monotonicMs();
    try {
      this.#client = await RawClient.login({
        port: this.#port,
        ...roles.app,
        timeoutMs: CONNECT_TIMEOUT_MS,
        parameters: { application_name: this.#ledger.name },
      });
    } catch (error) {
      const code = (error as { readonly code?: unknown }).code;
      const sqlState = error instanceof Error && error.name === 'LoginError' && typeof code === 'string' ? code : '';
      this.#ledger.saw('connect', { ...silence(String(error)), sqlState }, false, startedAtMs);
    }
    return this.#client;
  }

  /** One unit and its answer: null when it went well, else what the server said. */
  async run(during: Activity, send: (client: RawClient) => Promise<RawReply>): Promise<RawReply | ServerWords> {
    const client = this.#client;
    if (client === null) return silence('not connected');
    const startedAtMs = monotonicMs();
    let words: ServerWords;
    let isLost = true;
    try {
      const reply = await send(client);
      if (reply.error === null && !reply.closed) return reply;
      const error = reply.error;
      words =
        error === null
          ? silence('the connection was closed')
          : { ...error, sqlState: error.code, detail: error.detail ?? '' };
      isLost = reply.closed || error?.severity === 'FATAL';
    } catch (error) {
      words = silence(String(error));
    }
    this.#ledger.saw(during, words, isLost, startedAtMs);
    if (isLost) this.#drop();
    return words;
  }

  abort(): void {
    this.#isAborted = true;
    this.#drop();
  }

  #drop(): void {
    this.#client?.destroy();
    this.#client = null;
  }
}

/** True for an answer, false for the words of an error. */
export function isReply(outcome: RawReply | ServerWords): outcome is RawReply {
  return 'messages' in outcome;
}

/** Writes in raw protocol: in turn a simple Query, an unnamed extended batch, and three writes before one Sync, which commit together. */
export class RawWriter {
  readonly #ledger: WorkerLedger;
  readonly #session: RawSession;
  #turn: number;

  constructor(ledger: WorkerLedger, port: number) {
    this.#ledger = ledger;
    this.#session = new RawSession(ledger, port);
    this.#turn = 0;
  }

  async step(): Promise<boolean> {
    if ((await this.#session.client()) === null) return false;
    this.#turn = (this.#turn + 1) % 3;
    const ids = this.#ledger.take(this.#turn === 2 ? 3 : 1);
    const startedAtMs = monotonicMs();
    const outcome = await this.#session.run('autocommit', (client) => this.#send(client, ids));
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

  #send(client: RawClient, ids: readonly number[]): Promise<RawReply> {
    const [first = 0] = ids;
    const text = 'insert into chaos_writes(worker, n) values ($1, $2)';
    const worker = String(this.#ledger.index);
    if (this.#turn === 0) {
      return client.query(`insert into chaos_writes(worker, n) values (${worker}, ${first})`);
    }
    if (this.#turn === 1) return client.extended(text, [worker, String(first)]);
    const executes = ids.flatMap((n) => [frontend.bind({ values: [worker, String(n)] }), frontend.execute()]);
    return client.unit(frontend.parse(text), ...executes, frontend.sync());
  }
}
