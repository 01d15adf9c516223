import type { Settings } from '../../src/cli/demo/postgres/data-directory.js';
import type { PostgresServer } from '../../src/cli/demo/postgres/server.js';
import { createPostgres, sql } from './postgres-server.js';
import type { SqlOptions } from './postgres-server.js';
import { waitFor } from './processes.js';

const REPLICATION_TIMEOUT_MS = 30_000;

/** Whatever ends one day and cleans up then: a test, or the hooks of a file. */
export interface Ending {
  after(run: () => Promise<unknown>): void;
}

export interface PostgresClusterOptions {
  /** 2 by default. */
  readonly standbys?: number;
  readonly settings?: Settings;
  /** Lines of `pg_hba.conf`; SCRAM for everybody by default. */
  readonly hba?: readonly string[];
  /** Statements for the database `app`, run before the copies are made. */
  readonly appStatements?: readonly string[];
}

/**
 * A primary and streaming standbys without any DCS: `node1` is the first primary, `node2` and up the standbys; they have the roles of
 * `roles.ts`. Who is primary later is the test's own doing.
 */
export class PostgresCluster {
  readonly nodes: readonly PostgresServer[];
  #primary: PostgresServer;

  private constructor(nodes: readonly PostgresServer[], primary: PostgresServer) {
    this.nodes = nodes;
    this.#primary = primary;
  }

  /** Starts a cluster whose standbys stream; it is closed when `t` ends. */
  static async start(t: Ending, options: PostgresClusterOptions = {}): Promise<PostgresCluster> {
    const primary = await createPostgres({
      name: 'node1',
      settings: options.settings ?? {},
      ...(options.hba ? { hba: options.hba } : {}),
    });
    const nodes = [primary];
    t.after(() => Promise.all(nodes.map((node) => node.close())));
    if (options.appStatements !== undefined) await primary.runSingleUser(options.appStatements, 'app');
    for (let number = 2; number <= (options.standbys ?? 2) + 1; number += 1) {
      nodes.push(await primary.cloneStandby({ name: `node${number}` }));
    }
    await primary.start();
    const cluster = new PostgresCluster(nodes, primary);
    await Promise.all(cluster.standbys.map((node) => node.start()));
    await cluster.waitUntilStreaming();
    return cluster;
  }

  get primary(): PostgresServer {
    return this.#primary;
  }

  /** Every node but the primary, in the order of their names. */
  get standbys(): readonly PostgresServer[] {
    return this.nodes.filter((node) => node !== this.#primary);
  }

  /** A node by its number: 1 for `node1`. */
  node(number: number): PostgresServer {
    const found = this.nodes[number - 1];
    if (found === undefined) throw new Error(`there is no node${number}`);
    return found;
  }

  /** Runs SQL on the primary; see `sql`. */
  async sql(text: string, options: SqlOptions = {}): Promise<Record<string, unknown>[]> {
    return sql(this.#primary, text, options);
  }

  /** Waits until every running standby receives from the primary, by the primary's own account. */
  async waitUntilStreaming(): Promise<void> {
    const expected = this.standbys.filter((node) => node.isRunning).map((node) => node.name);
    await waitFor(
      async () => {
        const rows = await this.sql(`select application_name from pg_stat_replication where state = 'streaming'`);
        const streaming = new Set(rows.map((row) => row['application_name']));
        return expected.every((name) => streaming.has(name));
      },
      { timeoutMs: REPLICATION_TIMEOUT_MS, what: `${expected.join(' and ')} to stream from ${this.#primary.name}` },
    );
  }

  /** Waits until the standbys have replayed what the primary has written so far; all running ones by default. */
  async waitUntilReplayed(
    standbys: readonly PostgresServer[] = this.standbys.filter((node) => node.isRunning),
  ): Promise<void> {
    // A commit of our own flushes everything before it. The insert position would not do: after a change of segment it is beyond the
    // header of a page that nobody has written yet, and no standby gets there before the next record.
    await this.sql(`select pg_logical_emit_message(true, 'test', '')`);
    const [row] = await this.sql('select pg_current_wal_flush_lsn()::text as lsn');
    const lsn = String(row?.['lsn']);
    for (const standby of standbys) {
      await waitFor(
        async () => {
          const [answer] = await sql(standby, 'select pg_last_wal_replay_lsn() >= $1::pg_lsn as reached', {
            values: [lsn],
          });
          return answer?.['reached'] === true;
        },
        { timeoutMs: REPLICATION_TIMEOUT_MS, what: `${standby.name} to replay ${lsn}` },
      );
    }
  }

  /**
   * Makes a standby the primary and the other running standbys its followers. The old primary is left as it is: running (a split
   * brain) or down. `switchover` is the orderly way.
   */
  async promote(standby: PostgresServer): Promise<void> {
    await standby.promote();
    const old = this.#primary;
    this.#primary = standby;
    for (const node of this.standbys) if (node !== old && node.isRunning) await node.follow(standby);
  }

  /** Stops the primary in order (57P01 to its sessions), promotes a standby, and brings the old primary back as a standby of it. */
  async switchover(standby: PostgresServer): Promise<void> {
    const old = this.#primary;
    await old.stop('fast');
    await this.promote(standby);
    await old.follow(standby);
    await old.start();
    await this.waitUntilStreaming();
  }

  /** Brings a dead or diverged node back as a fresh copy of the primary, under its name and port. */
  async rebuild(node: PostgresServer): Promise<void> {
    await node.kill();
    await node.rebuildFrom(this.#primary);
    await node.start();
    await this.waitUntilStreaming();
  }
}
