import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import type { Ending } from './postgres-cluster.js';
import { sql } from './postgres-server.js';
import { RawClient, RawError } from './raw-client.js';
import { roles } from './roles.js';
import { INCREASE, Witness, tallyOf, witnessStatementsBy } from './witness.js';
import type { Tally } from './witness.js';

const TIMEOUT_MS = 90_000;
const READS_PER_WRITE = 9;
const PAUSE_MS = 3;

/** One error that a witness saw; its connection may live on. */
export interface WitnessError {
  readonly witness: number;
  readonly during: 'write' | 'read' | 'connect';
  /** Empty: the connection broke without a word. */
  readonly sqlState: string;
  readonly message: string;
  readonly connectionLost: boolean;
}

/** A read, by the clock of the log, and by the port of the node that has run it. */
export interface TimedRead {
  readonly port: string;
  readonly startedAtEpochMs: number;
  readonly endedAtEpochMs: number;
}

/** Sessions of a split listener that write once and read nine times, again and again, each statement its own transaction. */
export class WitnessLoad {
  readonly errors: WitnessError[] = [];
  readonly reads: TimedRead[] = [];
  readonly #port: number;
  readonly #witnesses: Witness[] = [];
  readonly #over = new AbortController();
  readonly #writesAtMs: number[] = [];
  readonly #readsAtMs: number[] = [];
  #loops: readonly Promise<void>[] = [];

  private constructor(port: number) {
    this.#port = port;
  }

  /** Makes what witnesses need, on the leader; they tell nodes apart by their ports. */
  static async prepare(leader: { readonly host: string; readonly port: number }): Promise<void> {
    for (const statement of witnessStatementsBy('port')) {
      await sql(leader, statement, { ...roles.superuser, database: roles.app.database });
    }
  }

  /** Begins; ends after the test at the latest. `firstId`: no other witness of the cluster may have it, or one of the next `count`. */
  static async start(t: Ending, port: number, count: number, firstId: number): Promise<WitnessLoad> {
    const load = new WitnessLoad(port);
    t.after(() => load.stop());
    for (let id = firstId; id < firstId + count; id += 1) {
      load.#witnesses.push(await Witness.begin(await load.#connect(), id, true));
    }
    load.#loops = [
      ...load.#witnesses.map((witness) =>
        load.#testify(witness).catch((error: unknown) => load.#gaveUp(witness.id, error)),
      ),
      load.#increase().catch((error: unknown) => load.#gaveUp(0, error)),
    ];
    return load;
  }

  get tally(): Tally {
    return tallyOf(this.#witnesses);
  }

  /** Longest time between two writes, or two reads, of anybody. */
  get gapsMs(): { readonly writes: number; readonly reads: number } {
    return { writes: longestGap(this.#writesAtMs), reads: longestGap(this.#readsAtMs) };
  }

  async stop(): Promise<void> {
    this.#over.abort();
    await Promise.all(this.#loops);
    for (const { client } of this.#witnesses) client.destroy();
  }

  async #connect(): Promise<RawClient> {
    return RawClient.login({ port: this.#port, ...roles.app, timeoutMs: TIMEOUT_MS });
  }

  async #testify(witness: Witness): Promise<void> {
    for (let n = 0; !this.#over.signal.aborted; n += 1) {
      const during = n % (READS_PER_WRITE + 1) === 0 ? 'write' : 'read';
      const startedAtEpochMs = Date.now();
      try {
        if (during === 'write') {
          await witness.write();
          this.#writesAtMs.push(performance.now());
        } else {
          const { node } = await witness.read();
          this.reads.push({ port: node, startedAtEpochMs, endedAtEpochMs: Date.now() });
          this.#readsAtMs.push(performance.now());
        }
      } catch (error) {
        await this.#failed(witness, during, error);
      }
      await delay(PAUSE_MS);
    }
  }

  async #failed(witness: Witness, during: WitnessError['during'], error: unknown): Promise<void> {
    const fields = error instanceof RawError ? error.fields : null;
    const connectionLost = fields === null || /FATAL|PANIC/.test(fields.severity);
    this.errors.push({
      witness: witness.id,
      during,
      sqlState: fields?.code ?? '',
      message: String(error),
      connectionLost,
    });
    if (connectionLost) witness.useClient(await this.#connect());
  }

  #gaveUp(witness: number, error: unknown): void {
    this.errors.push({ witness, during: 'connect', sqlState: '', message: String(error), connectionLost: true });
  }

  /** Somebody else changes what all look at. */
  async #increase(): Promise<void> {
    let client = await this.#connect();
    while (!this.#over.signal.aborted) {
      const reply = await client.query(INCREASE).catch(() => null);
      if (reply === null || reply.closed) {
        client.destroy();
        client = await this.#connect();
      }
      await delay(PAUSE_MS);
    }
    client.destroy();
  }
}

function longestGap(timesMs: readonly number[]): number {
  const sorted = timesMs.toSorted((a, b) => a - b);
  return Math.round(sorted.reduce((longest, at, i) => Math.max(longest, at - (sorted[i - 1] ?? at)), 0));
}
