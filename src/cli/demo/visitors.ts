import { setTimeout as delay } from 'node:timers/promises';
import { PasswordCredentials } from '../../auth/credentials.js';
import { MonitorConnection } from '../../backend/monitor-connection.js';
import { NodeError } from '../../backend/node-error.js';
import { StreamEngine } from '../../net/stream/stream-engine.js';
import { nodeName } from '../../util/brand.js';
import type { Clock } from '../../util/clock.js';
import type { DemoRole } from './servers.js';

const CONNECT_TIMEOUT_MS = 60_000;
const STATEMENT_TIMEOUT_MS = 60_000;
const WRITE_PAUSE_MS = 10;
const READ_PAUSE_MS = 10;
const AFTER_ERROR_MS = 100;

/** What the visitors of one kind have seen so far. */
export interface VisitorTally {
  done: number;
  errors: number;
  reconnects: number;
  lastError: string;
  /** Monotonic time of the last success, and the longest time between two since `resetGap`. */
  lastDoneAtMs: number;
  longestGapMs: number;
}

/** A small workload: clients of the proxy like any other, that write numbered rows and read them. */
export class Visitors {
  readonly writes: VisitorTally;
  readonly reads: VisitorTally;
  /** Rows that were acknowledged. */
  acknowledged = 0;
  readonly #clock: Clock;
  readonly #role: DemoRole;
  readonly #tasks: Promise<void>[] = [];
  #isOver = false;

  constructor(role: DemoRole, clock: Clock) {
    this.#role = role;
    this.#clock = clock;
    this.writes = newTally();
    this.reads = newTally();
  }

  async prepare(port: number): Promise<void> {
    const client = await this.#connect(port);
    await client.query('create table visits(visitor int, n int, primary key (visitor, n))');
    client.close();
  }

  start(primaryPort: number, standbyPort: number, writers: number, readers: number): void {
    for (let i = 0; i < writers; i += 1) {
      let n = 0;
      this.#tasks.push(
        this.#visit(primaryPort, this.writes, WRITE_PAUSE_MS, async (client) => {
          n += 1;
          await client.query(`insert into visits values (${i}, ${n})`, null, STATEMENT_TIMEOUT_MS);
          this.acknowledged += 1;
        }),
      );
    }
    for (let i = 0; i < readers; i += 1) {
      this.#tasks.push(
        this.#visit(standbyPort, this.reads, READ_PAUSE_MS, async (client) => {
          await client.query('select max(n) from visits', null, STATEMENT_TIMEOUT_MS);
        }),
      );
    }
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#tasks);
  }

  resetGaps(): void {
    this.writes.longestGapMs = 0;
    this.reads.longestGapMs = 0;
  }

  /** Rows in the table, asked through `port`. */
  async count(port: number): Promise<number> {
    const client = await this.#connect(port);
    const rows = await client.query('select count(*) from visits');
    client.close();
    return Number(rows[0]?.[0]);
  }

  async #visit(
    port: number,
    tally: VisitorTally,
    pauseMs: number,
    step: (client: MonitorConnection) => Promise<void>,
  ): Promise<void> {
    let client: MonitorConnection | null = null;
    while (!this.#isOver) {
      try {
        client ??= await this.#connect(port);
        await step(client);
        const nowMs = this.#clock.nowMs();
        if (tally.done > 0) tally.longestGapMs = Math.max(tally.longestGapMs, nowMs - tally.lastDoneAtMs);
        tally.lastDoneAtMs = nowMs;
        tally.done += 1;
        await delay(pauseMs);
      } catch (error) {
        tally.errors += 1;
        tally.lastError = error instanceof NodeError ? `${error.sqlState} ${error.message}` : String(error);
        if (client?.closed !== false) {
          tally.reconnects += 1;
          client = null;
        }
        await delay(AFTER_ERROR_MS);
      }
    }
    client?.close();
  }

  #connect(port: number): Promise<MonitorConnection> {
    const { user, password, database } = this.#role;
    return MonitorConnection.open(
      {
        node: nodeName('proxy'),
        host: '127.0.0.1',
        port,
        user,
        database,
        parameters: [['application_name', 'visitor']],
        credentials: new PasswordCredentials(password),
      },
      {
        engine: new StreamEngine(),
        connectTimeoutMs: CONNECT_TIMEOUT_MS,
        keepAliveMs: () => 0,
        bufferBytes: 65_536,
        messageBytesMax: 1 << 24,
      },
      this.#clock,
    );
  }
}

function newTally(): VisitorTally {
  return { done: 0, errors: 0, reconnects: 0, lastError: '', lastDoneAtMs: 0, longestGapMs: 0 };
}
