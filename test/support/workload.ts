import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { roles } from './roles.js';

/** One error that a client saw. */
export interface SeenError {
  readonly sqlState: string;
  readonly message: string;
  readonly connectionLost: boolean;
  /** What the client was doing. */
  readonly during: 'connect' | 'begin' | 'insert' | 'commit' | 'autocommit';
  readonly atMs: number;
}

export interface WorkloadReport {
  readonly acknowledged: number;
  readonly errors: readonly SeenError[];
  readonly connectionsLost: number;
  /** Longest time between two acknowledgements of anybody. */
  readonly longestGapMs: number;
  /** Most errors that one session saw. */
  readonly mostErrorsOfOne: number;
}

/** Rows found behind a workload. */
export interface WorkloadAudit {
  readonly lost: number;
  readonly doubled: number;
}

export interface WorkloadOptions {
  /** Ports that are written to; every writer uses all of them in turn when there are several (the floor). */
  readonly port: number;
  readonly autocommitWriters?: number;
  readonly transactionWriters?: number;
  readonly pauseMs?: number;
}

const TABLE = 'workload';
const CONNECT_TIMEOUT_MS = 90_000;
const RECONNECT_PAUSE_MS = 50;

/** Writers with unique numbers, that note what was acknowledged and what went wrong. */
export class Workload {
  readonly #options: WorkloadOptions;
  readonly #run = randomUUID();
  readonly #acknowledged = new Set<string>();
  readonly #ackTimesMs: number[] = [];
  readonly #errors: (SeenError & { readonly writer: number })[] = [];
  readonly #writers: Promise<void>[] = [];
  #isOver = false;

  constructor(options: WorkloadOptions) {
    this.#options = options;
  }

  /** Makes the table, through `port`. */
  static async prepare(port: number): Promise<void> {
    const client = await connect(port);
    await client.query(`create table if not exists ${TABLE}(run text, writer int, n int)`);
    await client.end();
  }

  get acknowledged(): number {
    return this.#acknowledged.size;
  }

  start(): void {
    const { autocommitWriters = 0, transactionWriters = 0 } = this.#options;
    for (let i = 0; i < autocommitWriters; i += 1) this.#writers.push(this.#write(i, false));
    for (let i = 0; i < transactionWriters; i += 1) this.#writers.push(this.#write(autocommitWriters + i, true));
  }

  async stop(): Promise<WorkloadReport> {
    this.#isOver = true;
    await Promise.all(this.#writers);
    const times = this.#ackTimesMs.toSorted((a, b) => a - b);
    const perWriter = new Map<number, number>();
    for (const error of this.#errors) perWriter.set(error.writer, (perWriter.get(error.writer) ?? 0) + 1);
    return {
      acknowledged: this.#acknowledged.size,
      errors: this.#errors,
      connectionsLost: this.#errors.filter((error) => error.connectionLost).length,
      longestGapMs: times.reduce((longest, at, i) => Math.max(longest, at - (times[i - 1] ?? at)), 0),
      mostErrorsOfOne: Math.max(0, ...perWriter.values()),
    };
  }

  /** Compares what was acknowledged with what is there, on the server at `port`. */
  async audit(port: number): Promise<WorkloadAudit> {
    const client = await connect(port);
    const { rows } = await client.query<{ id: string; count: string }>(
      `select writer || '/' || n as id, count(*) from ${TABLE} where run = $1 group by 1`,
      [this.#run],
    );
    await client.end();
    const there = new Map(rows.map((row) => [row.id, Number(row.count)]));
    let lost = 0;
    for (const id of this.#acknowledged) if (!there.has(id)) lost += 1;
    return { lost, doubled: [...there.values()].filter((count) => count > 1).length };
  }

  async #write(writer: number, inTransaction: boolean): Promise<void> {
    let client: pg.Client | null = null;
    for (let n = 0; !this.#isOver; n += 1) {
      let during: SeenError['during'] = 'connect';
      try {
        client ??= await connect(this.#options.port);
        if (inTransaction) {
          during = 'begin';
          await client.query('begin');
        }
        during = inTransaction ? 'insert' : 'autocommit';
        // Half of them with the simple protocol, half with the extended one.
        if (writer % 2 === 0) await client.query(`insert into ${TABLE} values ('${this.#run}', ${writer}, ${n})`);
        else await client.query(`insert into ${TABLE} values ($1, $2, $3)`, [this.#run, writer, n]);
        if (inTransaction) {
          during = 'commit';
          await client.query('commit');
        }
        this.#acknowledged.add(`${writer}/${n}`);
        this.#ackTimesMs.push(performance.now());
      } catch (error) {
        client = await this.#onError(writer, during, error, client);
      }
      await delay(this.#options.pauseMs ?? 5);
    }
    await client?.end().catch(() => {});
  }

  async #onError(
    writer: number,
    during: SeenError['during'],
    error: unknown,
    client: pg.Client | null,
  ): Promise<pg.Client | null> {
    const isAlive =
      client !== null &&
      (await client.query('rollback').then(
        () => true,
        () => false,
      ));
    this.#errors.push({
      writer,
      during,
      sqlState: (error as { code?: string }).code ?? '',
      message: String(error),
      connectionLost: !isAlive,
      atMs: performance.now(),
    });
    if (isAlive) return client;
    await client?.end().catch(() => {});
    await delay(RECONNECT_PAUSE_MS);
    return null;
  }
}

async function connect(port: number): Promise<pg.Client> {
  const client = new pg.Client({ ...roles.app, host: '127.0.0.1', port, connectionTimeoutMillis: CONNECT_TIMEOUT_MS });
  client.on('error', () => {});
  await client.connect();
  return client;
}

/** How long nobody could write to any node, found by trying every one of them directly all the time. */
export class Floor {
  readonly #ports: readonly number[];
  readonly #ackTimesMs: number[] = [];
  readonly #writers: Promise<void>[] = [];
  #isOver = false;

  constructor(ports: readonly number[]) {
    this.#ports = ports;
  }

  start(): void {
    for (const port of this.#ports) this.#writers.push(this.#write(port));
  }

  /** The longest gap in milliseconds. */
  async stop(): Promise<number> {
    this.#isOver = true;
    await Promise.all(this.#writers);
    const times = this.#ackTimesMs.toSorted((a, b) => a - b);
    return times.reduce((longest, at, i) => Math.max(longest, at - (times[i - 1] ?? at)), 0);
  }

  async #write(port: number): Promise<void> {
    let client: pg.Client | null = null;
    while (!this.#isOver) {
      try {
        client ??= await connect(port);
        await client.query(`insert into ${TABLE} values ('floor', 0, 0)`);
        this.#ackTimesMs.push(performance.now());
      } catch (error) {
        if ((error as { code?: string }).code !== '25006') {
          await client?.end().catch(() => {});
          client = null;
        }
      }
      await delay(2);
    }
    await client?.end().catch(() => {});
  }
}
