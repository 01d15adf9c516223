import { monotonicMs } from '../measure/monotonic.js';
import type { WorkerLedger } from './ledger.js';
import { PgSession } from './pg-session.js';
import type { PgProtocol } from './pg-writers.js';
import type { Job } from './worker.js';

const READS_PER_WRITE = 9;
const INSERT = 'insert into chaos_writes(worker, n) values ($1, $2)';
const LOOK = 'select max(n)::int as n from chaos_writes where worker = $1';

/** Writes on a split listener, and looks for what it has written: each read must show the last write that was acknowledged. */
export class OwnReader implements Job {
  readonly #ledger: WorkerLedger;
  readonly #session: PgSession;
  readonly #protocol: PgProtocol;
  /** The highest number that was acknowledged or seen. */
  #seen = -1;

  constructor(ledger: WorkerLedger, port: number, protocol: PgProtocol) {
    this.#ledger = ledger;
    this.#session = new PgSession(ledger, port);
    this.#protocol = protocol;
  }

  async step(): Promise<boolean> {
    if (!(await this.#write())) return false;
    for (let reads = 0; reads < READS_PER_WRITE; reads += 1) if (!(await this.#read())) return false;
    return true;
  }

  abort(): void {
    this.#session.abort();
  }

  async #write(): Promise<boolean> {
    const [n = 0] = this.#ledger.take();
    const startedAtMs = monotonicMs();
    const isDone = await this.#run('autocommit', INSERT, [this.#ledger.index, n], (words) =>
      this.#ledger.failed([n], words),
    );
    if (isDone === null) return false;
    this.#ledger.acknowledged([n], startedAtMs);
    this.#seen = Math.max(this.#seen, n);
    return true;
  }

  async #read(): Promise<boolean> {
    const startedAtMs = monotonicMs();
    const rows = await this.#run('read', LOOK, [this.#ledger.index]);
    if (rows === null) return false;
    const n = rows[0]?.n ?? -1;
    if (n < this.#seen) this.#ledger.violated(`a read showed its write ${n}, and it had seen ${this.#seen}`);
    this.#seen = Math.max(this.#seen, n);
    this.#ledger.succeeded(startedAtMs);
    return true;
  }

  /** Null: it went wrong, which is in the ledger. */
  async #run(
    during: 'autocommit' | 'read',
    text: string,
    values: readonly number[],
    onError: (words: ReturnType<PgSession['failed']>) => void = () => {},
  ): Promise<readonly { readonly n: number | null }[] | null> {
    const client = await this.#session.client();
    const startedAtMs = monotonicMs();
    if (client === null) {
      onError({ sqlState: '', severity: '', message: 'no connection', detail: '' });
      return null;
    }
    const plain = text.replaceAll(/\$(\d)/g, (_, place: string) => String(values[Number(place) - 1]));
    try {
      const query = {
        simple: { text: plain },
        extended: { text, values: [...values] },
        prepared: { name: during, text, values: [...values] },
      }[this.#protocol];
      return (await client.query<{ readonly n: number | null }>(query)).rows;
    } catch (error) {
      onError(this.#session.failed(during, error, startedAtMs));
      return null;
    }
  }
}
