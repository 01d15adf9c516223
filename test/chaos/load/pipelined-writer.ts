import postgres from 'postgres';
import { roles } from '../../support/roles.js';
import { monotonicMs } from '../measure/monotonic.js';
import { wordsOf } from './attempt.js';
import type { WorkerLedger } from './ledger.js';
import { CONNECT_TIMEOUT_MS } from './worker.js';
import type { Job } from './worker.js';

const END_TIMEOUT_S = 0;
const RECONNECT_PAUSE_S = 0.1;

/** Several writes at a time on one connection of postgres.js, each its own transaction: they are sent before the first is answered. */
export class PipelinedWriter implements Job {
  readonly #ledger: WorkerLedger;
  readonly #sql: postgres.Sql;
  readonly #depth: number;

  constructor(ledger: WorkerLedger, port: number, depth: number) {
    this.#ledger = ledger;
    this.#depth = depth;
    this.#sql = postgres({
      host: '127.0.0.1',
      port,
      user: roles.app.user,
      password: roles.app.password,
      database: roles.app.database,
      max: 1,
      connect_timeout: CONNECT_TIMEOUT_MS / 1000,
      backoff: () => RECONNECT_PAUSE_S,
      onnotice: () => {},
      connection: { application_name: ledger.name },
    });
  }

  async step(): Promise<boolean> {
    const results = await Promise.all(this.#ledger.take(this.#depth).map((n) => this.#write(n)));
    return results.every((isWell) => isWell);
  }

  abort(): void {
    void this.#sql.end({ timeout: END_TIMEOUT_S });
  }

  async #write(n: number): Promise<boolean> {
    const startedAtMs = monotonicMs();
    try {
      await this.#sql`insert into chaos_writes(worker, n) values (${this.#ledger.index}, ${n})`;
    } catch (error) {
      const words = wordsOf(error);
      this.#ledger.failed([n], words);
      // The driver connects again by itself, and tells the statements that wait for it when it cannot.
      const during = isAboutConnecting(error) ? 'connect' : 'autocommit';
      const isLost = during === 'autocommit' && (words.sqlState === '' || words.severity === 'FATAL');
      this.#ledger.saw(during, words, isLost, startedAtMs);
      return false;
    }
    this.#ledger.acknowledged([n], startedAtMs);
    return true;
  }
}

/** True for an error about making a connection: of the driver, or of a server that lets nobody in now. */
function isAboutConnecting(error: unknown): boolean {
  const { code } = error as { readonly code?: unknown };
  return ['ECONNREFUSED', 'CONNECT_TIMEOUT', '57P03'].some((each) => each === code && isFatal(error, each));
}

function isFatal(error: unknown, code: string): boolean {
  return code !== '57P03' || (error as { readonly severity?: unknown }).severity === 'FATAL';
}
