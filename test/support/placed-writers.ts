import { randomUUID } from 'node:crypto';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { sql } from './postgres-server.js';
import { roles } from './roles.js';

/** One write that was acknowledged to its client. */
export interface PlacedWrite {
  readonly id: string;
  /** Port of the server that did it, as that server says itself. */
  readonly port: number;
  /** When the client sent the statement (of a transaction: its commit), and when it had the answer; monotonic. */
  readonly sentAtMs: number;
  readonly ackedAtMs: number;
}

/** One error that a client was told; its connection may live on. */
export interface PlacedError {
  readonly sqlState: string;
  readonly message: string;
  readonly atMs: number;
}

const TABLE = 'placed';
const CONNECT_TIMEOUT_MS = 90_000;
const PAUSE_MS = 10;
/** How long a transaction stays open, so that some are open at any moment. */
const OPEN_MS = 40;

/** Writers whose rows say on which server they were written: they tell whether a server that is no primary any more got a write. */
export class PlacedWriters {
  readonly writes: PlacedWrite[] = [];
  readonly errors: PlacedError[] = [];
  readonly #run = randomUUID();
  readonly #port: number;
  readonly #loops: Promise<void>[] = [];
  /** What ended a client's connection. */
  readonly #farewells = new WeakMap<pg.Client, string>();
  #isOver = false;

  /** Writers that commit each row by itself, and others that do it in a transaction that is open for a while; stopped after the test. */
  constructor(t: TestContext, port: number, counts: { readonly autocommit: number; readonly transactions: number }) {
    this.#port = port;
    const { autocommit, transactions } = counts;
    for (let i = 0; i < autocommit + transactions; i += 1) this.#loops.push(this.#write(i, i >= autocommit));
    t.after(() => this.stop());
  }

  /** Makes the table, on the server at `port`. */
  static async prepare(port: number): Promise<void> {
    const columns = 'run text, id text, port int default inet_server_port()';
    await sql({ host: '127.0.0.1', port }, `create table if not exists ${TABLE}(${columns})`, roles.app);
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#loops);
  }

  /** The longest time between two acknowledgements after `sinceMs`, to whomever. */
  longestGapMs(sinceMs: number): number {
    const times = this.writes.map(({ ackedAtMs }) => ackedAtMs).filter((atMs) => atMs > sinceMs);
    return times.toSorted((a, b) => a - b).reduce((gap, at, i, all) => Math.max(gap, at - (all[i - 1] ?? sinceMs)), 0);
  }

  /** Writes that a server did and that were acknowledged after `sinceMs`. */
  by(port: number, sinceMs = 0): readonly PlacedWrite[] {
    return this.writes.filter((write) => write.port === port && write.ackedAtMs > sinceMs);
  }

  /** Acknowledged writes that are not on the server at `port`. */
  async missingOn(port: number): Promise<readonly PlacedWrite[]> {
    const rows = await sql({ host: '127.0.0.1', port }, `select id from ${TABLE} where run = $1`, {
      ...roles.app,
      values: [this.#run],
    });
    const there = new Set(rows.map((row) => row['id']));
    return this.writes.filter(({ id }) => !there.has(id));
  }

  async #write(writer: number, inTransaction: boolean): Promise<void> {
    let client: pg.Client | null = null;
    for (let n = 0; !this.#isOver; n += 1) {
      const id = `${writer}/${n}`;
      try {
        client ??= await this.#connect();
        if (inTransaction) await client.query('begin');
        let sentAtMs = performance.now();
        const text = `insert into ${TABLE}(run, id) values ($1, $2) returning port`;
        const { rows } = await client.query<{ port: number }>(text, [this.#run, id]);
        if (inTransaction) {
          await delay(OPEN_MS);
          sentAtMs = performance.now();
          await client.query('commit');
        }
        this.writes.push({ id, port: rows[0]?.port ?? 0, sentAtMs, ackedAtMs: performance.now() });
      } catch (error) {
        // What ended a connection between two statements is told by an event, and the next statement then fails without a SQLSTATE.
        const sqlState =
          (error as { code?: string }).code ?? (client === null ? '' : this.#farewells.get(client)) ?? '';
        this.errors.push({ sqlState, message: String(error), atMs: performance.now() });
        client = await afterError(client);
      }
      await delay(PAUSE_MS);
    }
    await client?.end().catch(() => {});
  }

  async #connect(): Promise<pg.Client> {
    const client = new pg.Client({
      ...roles.app,
      host: '127.0.0.1',
      port: this.#port,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    });
    client.on('error', (error) => {
      const { code } = error as { code?: string };
      if (code !== undefined) this.#farewells.set(client, code);
    });
    await client.connect();
    return client;
  }
}

/** The client, if it can still be used. */
async function afterError(client: pg.Client | null): Promise<pg.Client | null> {
  const isAlive =
    client !== null &&
    (await client.query('rollback').then(
      () => true,
      () => false,
    ));
  if (isAlive) return client;
  await client?.end().catch(() => {});
  await delay(PAUSE_MS);
  return null;
}
