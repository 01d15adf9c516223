import { IDENTITY_SQL, IDENTITY_WITHOUT_CONTROL_SQL, SAMPLE_AND_COUNT_SQL } from '../../src/replication/probe-sql.js';
import type { ProbeRows } from '../../src/replication/probe-sql.js';
import type { ProbeConnect, ProbeConnection, ProbeTarget } from '../../src/replication/probe.js';
import { SYSTEM } from './cluster-fakes.js';

/** An error as PostgreSQL or the system would give it. */
export class CodedError extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

export const refused = (): Error => new CodedError('ECONNREFUSED', 'connect ECONNREFUSED 127.0.0.1:5432');
export const shuttingDown = (): Error => new CodedError('57P03', 'the database system is shutting down');
export const terminated = (): Error => new CodedError('57P01', 'terminating connection due to administrator command');

class FakeConnection implements ProbeConnection {
  readonly parameters: ReadonlyMap<string, string>;
  readonly #node: FakeNode;
  #fail: ((error: Error) => void) | null;
  closed: boolean;

  constructor(node: FakeNode) {
    this.parameters = new Map();
    this.#node = node;
    this.#fail = null;
    this.closed = false;
  }

  query(sql: string): Promise<ProbeRows> {
    const node = this.#node;
    node.queries += 1;
    node.inFlight += 1;
    node.inFlightMax = Math.max(node.inFlightMax, node.inFlight);
    return new Promise<ProbeRows>((resolve, reject) => {
      this.#fail = (error) => {
        this.#fail = null;
        node.inFlight -= 1;
        reject(error);
      };
      if (this.closed) {
        this.#fail(new CodedError('ECONNRESET', 'the connection is closed'));
        return;
      }
      node.onQuery?.(sql);
      const error = node.takeQueryError();
      if (error !== null) {
        this.#fail(error);
        return;
      }
      if (!node.isFrozen) {
        this.#fail = null;
        node.inFlight -= 1;
        resolve(node.answer(sql));
      }
    });
  }

  close(): void {
    if (!this.closed) {
      this.closed = true;
      this.#node.open.delete(this);
      this.#fail?.(new CodedError('ECONNRESET', 'the connection was closed'));
    }
  }
}

/** One pretended PostgreSQL. Tests set its fields; it answers the probes' questions as a real one would. */
export class FakeNode {
  inRecovery = true;
  lsn = '0/3000060';
  /** The same as `lsn` while it is null. */
  inserted: string | null = null;
  received: string | null = '0/3000060';
  timeline = 1;
  status: string | null = 'streaming';
  hasReceiver = true;
  isPaused = false;
  systemIdentifier = SYSTEM;
  uptimeS = 86_400;
  seesReceiver = true;
  mayReadControl = true;
  freeConnections: number | null = 97;
  /** Answers nothing, on any connection. */
  isFrozen = false;
  /** New connections get no answer; old ones live. */
  isPostmasterFrozen = false;
  /** What a new connection is refused with. */
  refusal: (() => Error) | null = null;
  /** Given instead of every answer to a query. */
  garbage: ProbeRows | null = null;
  onQuery: ((sql: string) => void) | null = null;
  connects = 0;
  queries = 0;
  inFlight = 0;
  inFlightMax = 0;
  readonly open: Set<ProbeConnection> = new Set();
  readonly #queryErrors: Error[] = [];

  /** The next query fails like this; a broken connection is then closed by its owner. */
  failNextQuery(error: Error): void {
    this.#queryErrors.push(error);
  }

  takeQueryError(): Error | null {
    return this.#queryErrors.shift() ?? null;
  }

  /** Ends every connection. */
  breakConnections(): void {
    for (const connection of this.open) {
      connection.close();
    }
  }

  connect(): Promise<ProbeConnection> {
    this.connects += 1;
    if (this.refusal !== null) {
      return Promise.reject(this.refusal());
    }
    if (this.isFrozen || this.isPostmasterFrozen) {
      return new Promise(() => {});
    }
    const connection = new FakeConnection(this);
    this.open.add(connection);
    return Promise.resolve(connection);
  }

  answer(sql: string): ProbeRows {
    if (this.garbage !== null) {
      return this.garbage;
    }
    if (sql === IDENTITY_SQL || sql === IDENTITY_WITHOUT_CONTROL_SQL) {
      const identifier = sql === IDENTITY_SQL ? this.systemIdentifier : null;
      return [['150018', identifier, String(this.uptimeS), this.seesReceiver ? 't' : 'f', 'monitor']];
    }
    if (!this.inRecovery) {
      const file = `${this.timeline.toString(16).toUpperCase().padStart(8, '0')}0000000000000003`;
      const inserted = this.inserted ?? this.lsn;
      return [['f', this.lsn, file, null, null, null, null, null, null, null, inserted, ...this.#count(sql)]];
    }
    const pid = this.hasReceiver ? '4711' : null;
    const status = this.hasReceiver && this.seesReceiver ? this.status : null;
    const tli = this.hasReceiver && this.seesReceiver ? String(this.timeline) : null;
    const control = tli === null ? String(this.timeline) : null;
    const paused = this.isPaused ? 't' : 'f';
    return [['t', null, null, this.lsn, this.received, pid, status, tli, control, paused, null, ...this.#count(sql)]];
  }

  #count(sql: string): (string | null)[] {
    if (sql !== SAMPLE_AND_COUNT_SQL) {
      return [];
    }
    return [this.inRecovery || this.freeConnections === null ? null : String(this.freeConnections)];
  }
}

/** Pretended PostgreSQLs by port. */
export class FakePostgres {
  readonly nodes: Map<number, FakeNode> = new Map();

  node(port: number): FakeNode {
    let node = this.nodes.get(port);
    if (node === undefined) {
      node = new FakeNode();
      this.nodes.set(port, node);
    }
    return node;
  }

  readonly connect: ProbeConnect = (target: ProbeTarget) => this.node(target.port).connect();
}

/** Lets every settled promise run its course. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 4; turn += 1) {
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
  }
}
