import type { MonitorConnection } from '../backend/monitor-connection.js';
import { NodeError } from '../backend/node-error.js';
import type { TextRow } from '../backend/own-query.js';
import { SwitchyardError } from '../errors.js';
import type { Clock } from '../util/clock.js';
import type { ClusterView, NodeView } from './view.js';

/** Opens a connection of the monitor role in a database. */
export type MonitorConnect = (host: string, port: number, database: string) => Promise<MonitorConnection>;

/** Connections kept for the next question, of all nodes and databases. */
const KEPT_MAX = 2;
/** A kept connection is used again within this time. */
const KEPT_MS = 30_000;
const QUERY_TIMEOUT_MS = 2_000;
/** Longest wait for one answer within a talk. */
const TALK_QUERY_TIMEOUT_MS = 12_000;

interface Kept {
  readonly connection: MonitorConnection;
  readonly node: NodeView;
  readonly database: string;
  readonly sinceMs: number;
}

/** Runs one string of statements by the simple protocol, and gives the rows of all of them. */
type Talk = (sql: string) => Promise<readonly TextRow[]>;

/** Asks the cluster a question as the monitor role: the primary first, and any other node that answers when there is none. */
export class MonitorQuery {
  readonly #connect: MonitorConnect;
  readonly #view: () => ClusterView;
  readonly #clock: Clock;
  /** The one that was used longest ago first. */
  #kept: Kept[] = [];
  #isClosed = false;

  constructor(connect: MonitorConnect, view: () => ClusterView, clock: Clock) {
    this.#connect = connect;
    this.#view = view;
    this.#clock = clock;
  }

  /** Fails with the node's own error where it refused the question itself, or with the last failure of all the nodes tried. */
  async ask(database: string, sql: string, values: readonly string[]): Promise<readonly TextRow[]> {
    let failure: unknown = nobodyAnswers();
    for (const node of this.#candidates()) {
      try {
        return await this.#askNode(node, database, sql, values);
      } catch (error) {
        failure = error;
        if (error instanceof NodeError && error.fields.severity === 'ERROR') throw error;
      }
    }
    throw failure;
  }

  /**
   * Several questions to one node, on a connection of their own that is closed behind them, since one that stays would be in the way of DROP
   * DATABASE. Fails as `run` does, or as the last node that did not let us in.
   */
  async talk<T>(database: string, run: (ask: Talk) => Promise<T>): Promise<T> {
    let failure: unknown = nobodyAnswers();
    for (const node of this.#candidates()) {
      let connection: MonitorConnection;
      try {
        connection = await this.#connect(node.host, node.port, database);
      } catch (error) {
        failure = error;
        continue;
      }
      try {
        return await run((sql) => connection.query(sql, null, TALK_QUERY_TIMEOUT_MS));
      } finally {
        connection.close();
      }
    }
    throw failure;
  }

  close(): void {
    this.#isClosed = true;
    for (const kept of this.#kept.splice(0)) kept.connection.close();
  }

  async #askNode(
    node: NodeView,
    database: string,
    sql: string,
    values: readonly string[],
  ): Promise<readonly TextRow[]> {
    const connection = this.#takeKept(node, database) ?? (await this.#connect(node.host, node.port, database));
    try {
      const rows = await connection.query(sql, values, QUERY_TIMEOUT_MS);
      this.#keep({ connection, node, database, sinceMs: this.#clock.nowMs() });
      return rows;
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  #keep(kept: Kept): void {
    if (this.#isClosed) kept.connection.close();
    else this.#kept.push(kept);
    if (this.#kept.length > KEPT_MAX) this.#kept.shift()?.connection.close();
  }

  #takeKept(node: NodeView, database: string): MonitorConnection | null {
    const oldestMs = this.#clock.nowMs() - KEPT_MS;
    let found: MonitorConnection | null = null;
    const left: Kept[] = [];
    for (const kept of this.#kept) {
      const isSame = kept.database === database && kept.node.host === node.host && kept.node.port === node.port;
      if (kept.connection.closed || kept.sinceMs < oldestMs) kept.connection.close();
      else if (isSame && found === null) found = kept.connection;
      else left.push(kept);
    }
    this.#kept = left;
    return found;
  }

  #candidates(): NodeView[] {
    const view = this.#view();
    const rank = (node: NodeView): number => {
      if (node.name === view.primary) return 0;
      if (node.health === 'healthy') return 1;
      return node.health === 'unreachable' ? 3 : 2;
    };
    return [...view.nodes.values()].sort((a, b) => rank(a) - rank(b));
  }
}

function nobodyAnswers(): SwitchyardError {
  return new SwitchyardError('no_primary', 'no node of the cluster answers');
}
