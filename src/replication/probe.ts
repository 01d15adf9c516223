import type { Clock } from '../util/clock.js';
import { FailureKind, ProbeProtocolError, ProbeTimeout, classifyFailure } from './probe-failure.js';
import type { ProbeFailure } from './probe-failure.js';
import {
  IDENTITY_SQL,
  IDENTITY_WITHOUT_CONTROL_SQL,
  SAMPLE_AND_COUNT_SQL,
  SAMPLE_SQL,
  decodeIdentity,
  decodeSample,
} from './probe-sql.js';
import type { NodeIdentity, ProbeRows, SampleFields } from './probe-sql.js';

/**
 * A logged-in connection of the monitor role. Errors of `query` carry `sqlState` where PostgreSQL said one. The factory should ask for
 * `default_transaction_isolation = 'read committed'`: a standby refuses every statement of a role whose default is serializable.
 */
export interface ProbeConnection {
  query(sql: string): Promise<ProbeRows>;
  readonly parameters: ReadonlyMap<string, string>;
  readonly closed: boolean;
  /** Closes at once; a query under way fails. Harmless when closed already. */
  close(): void;
}

export interface ProbeTarget {
  readonly host: string;
  readonly port: number;
}

/** Opens a connection; fails by rejecting, with the system's or the server's error somewhere in the chain of causes. */
export type ProbeConnect = (target: ProbeTarget, timeoutMs: number) => Promise<ProbeConnection>;

/** What a node said about itself. */
export interface ProbeSample extends SampleFields {
  readonly ok: true;
  /** Monotonic time at which the question was sent: what it says is at least as new as this. */
  readonly sentAtMs: number;
  readonly answeredAtMs: number;
  readonly identity: NodeIdentity;
  /** What the monitor role could not see, and the statement that mends it; null when nothing is missing. */
  readonly gap: string | null;
}

export type ProbeResult = ProbeSample | ProbeFailure;

/** The answer of a connect probe: whether a *new* connection can be had. */
export type ConnectResult = { readonly ok: true; readonly tookMs: number; readonly atMs: number } | ProbeFailure;

export interface NodeProbeOptions {
  readonly clock: Clock;
  readonly connect: ProbeConnect;
  /** Time limit of one sample, with the reconnect where one is needed, and of one connect probe. */
  readonly timeoutMs: number;
}

interface Opened {
  readonly connection: ProbeConnection;
  readonly identity: NodeIdentity;
  /** False: the role may not ask who is connected. */
  mayCount: boolean;
}

const MISSING_CONTROL_SQL_STATE = '42501';
/** "Syntax Error or Access Rule Violation": the statement is refused, and the connection lives. */
const REFUSED_STATEMENT_CLASS = '42';
/** Between two counts of the connections of a primary. */
export const COUNT_INTERVAL_MS = 2_000;

/** The probe of one node: one connection, one question at a time. Nothing it does throws or rejects. */
export class NodeProbe {
  readonly target: ProbeTarget;
  readonly #options: NodeProbeOptions;
  #opened: Opened | null;
  #sampling: Promise<ProbeResult> | null;
  /** A question that is no sample. */
  #asking: Promise<unknown> | null;
  #connecting: Promise<ConnectResult> | null;
  #isClosed: boolean;
  /** What the newest sample said; null before the first. */
  #wasInRecovery: boolean | null;
  #countedAtMs: number;

  constructor(target: ProbeTarget, options: NodeProbeOptions) {
    this.target = target;
    this.#options = options;
    this.#opened = null;
    this.#sampling = null;
    this.#asking = null;
    this.#connecting = null;
    this.#isClosed = false;
    this.#wasInRecovery = null;
    this.#countedAtMs = Number.NEGATIVE_INFINITY;
  }

  /** True while a sample is under way. */
  get isSampling(): boolean {
    return this.#sampling !== null;
  }

  /** True while a connect probe is under way. */
  get isConnecting(): boolean {
    return this.#connecting !== null;
  }

  /** True while there is a connection that samples go over. */
  get isConnected(): boolean {
    return this.#opened !== null && !this.#opened.connection.closed;
  }

  /** What the node said when the connection was made that samples go over; null: there is none. */
  get identity(): NodeIdentity | null {
    return this.#opened === null || this.#opened.connection.closed ? null : this.#opened.identity;
  }

  /**
   * Takes one sample, on the connection at hand or a new one. `onSend` is called right before the question is sent, once more if it has
   * to be sent again. While a sample is under way its answer is given, and `onSend` is not called. A primary's connections are counted
   * with it now and then, and with `isHurried` by the very sample that first says that the node is out of recovery.
   */
  sample(onSend: () => void, isHurried = false): Promise<ProbeResult> {
    if (this.#sampling === null) {
      const sampling = this.#sample(onSend, isHurried).finally(() => {
        this.#sampling = null;
      });
      this.#sampling = sampling;
    }
    return this.#sampling;
  }

  /**
   * Asks a question of another kind over the connection of the samples, between two of them. Fails with the node's error, when there is
   * no connection, and after the time limit of a sample; then the connection is given up.
   */
  async ask(sql: string): Promise<ProbeRows> {
    while (this.#sampling !== null || this.#asking !== null) {
      await (this.#sampling ?? this.#asking);
    }
    const opened = this.#opened;
    if (opened === null || opened.connection.closed) {
      throw new ProbeProtocolError('there is no connection to ask on');
    }
    const { clock, timeoutMs } = this.#options;
    const answer = this.#within(opened.connection.query(sql), clock.nowMs() + timeoutMs, 'a question');
    this.#asking = answer.then(
      () => {},
      () => {},
    );
    try {
      return await answer;
    } catch (error) {
      if (error instanceof ProbeTimeout && this.#opened === opened) {
        this.#drop();
      }
      throw error;
    } finally {
      this.#asking = null;
    }
  }

  /** Tries to get a new connection, and closes it again. One at a time. */
  tryConnect(): Promise<ConnectResult> {
    if (this.#connecting === null) {
      const connecting = this.#tryConnect().finally(() => {
        this.#connecting = null;
      });
      this.#connecting = connecting;
    }
    return this.#connecting;
  }

  /** Closes the connection and whatever is under way; later samples fail. */
  close(): void {
    this.#isClosed = true;
    this.#drop();
  }

  async #sample(onSend: () => void, isHurried: boolean): Promise<ProbeResult> {
    const { clock, timeoutMs } = this.#options;
    const deadlineMs = clock.nowMs() + timeoutMs;
    // An old connection that breaks proves nothing until a new one fails as well.
    let mayReconnect = this.isConnected;
    for (;;) {
      let phase: ProbeFailure['phase'] = 'connect';
      try {
        const opened = await this.#open(deadlineMs);
        phase = 'query';
        if (this.#asking !== null) {
          await this.#within(this.#asking, deadlineMs, 'the question before the sample');
        }
        return await this.#ask(opened, onSend, deadlineMs, isHurried);
      } catch (error) {
        this.#drop();
        const failure: ProbeFailure = { ok: false, ...classifyFailure(error), atMs: clock.nowMs(), phase };
        if (!mayReconnect || this.#isClosed || failure.kind === FailureKind.Timeout || clock.nowMs() >= deadlineMs) {
          return failure;
        }
        mayReconnect = false;
      }
    }
  }

  async #ask(opened: Opened, onSend: () => void, deadlineMs: number, isHurried: boolean): Promise<ProbeSample> {
    const { clock } = this.#options;
    const { connection, identity } = opened;
    const isCounted = opened.mayCount && this.#isCountDue(isHurried);
    onSend();
    const sentAtMs = clock.nowMs();
    let rows: ProbeRows;
    try {
      rows = await this.#within(
        connection.query(isCounted ? SAMPLE_AND_COUNT_SQL : SAMPLE_SQL),
        deadlineMs,
        'the sample',
      );
    } catch (error) {
      if (!isCounted || connection.closed || sqlStateOf(error)?.startsWith(REFUSED_STATEMENT_CLASS) !== true) {
        throw error;
      }
      opened.mayCount = false;
      return this.#ask(opened, onSend, deadlineMs, isHurried);
    }
    const fields = decodeSample(rows, isCounted);
    this.#wasInRecovery = fields.inRecovery;
    if (isCounted && !fields.inRecovery) {
      this.#countedAtMs = sentAtMs;
    }
    return sampleOf(fields, identity, sentAtMs, clock.nowMs());
  }

  /** In recovery there is nothing to count; but whoever waits for the end of it wants to know at once how much room there is. */
  #isCountDue(isHurried: boolean): boolean {
    return this.#wasInRecovery === false
      ? this.#options.clock.nowMs() - this.#countedAtMs >= COUNT_INTERVAL_MS
      : isHurried;
  }

  async #open(deadlineMs: number): Promise<Opened> {
    if (this.#opened !== null && !this.#opened.connection.closed) {
      return this.#opened;
    }
    this.#drop();
    const connection = await this.#dial(deadlineMs);
    try {
      const rows = await this.#within(askIdentity(connection), deadlineMs, 'the first question');
      const identity = decodeIdentity(rows, this.#options.clock.nowMs());
      if (this.#isClosed) {
        throw new ProbeProtocolError('the probe was closed');
      }
      this.#opened = { connection, identity, mayCount: true };
      return this.#opened;
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  async #dial(deadlineMs: number): Promise<ProbeConnection> {
    const { clock, connect } = this.#options;
    if (this.#isClosed) {
      throw new ProbeProtocolError('the probe was closed');
    }
    const dialing = connect(this.target, Math.max(1, deadlineMs - clock.nowMs()));
    try {
      return await this.#within(dialing, deadlineMs, 'a new connection');
    } catch (error) {
      // One that comes too late is nobody's.
      dialing.then(
        (late) => late.close(),
        () => {},
      );
      throw error;
    }
  }

  async #tryConnect(): Promise<ConnectResult> {
    const { clock, timeoutMs } = this.#options;
    const startedAtMs = clock.nowMs();
    try {
      const connection = await this.#dial(startedAtMs + timeoutMs);
      connection.close();
      return { ok: true, tookMs: clock.nowMs() - startedAtMs, atMs: clock.nowMs() };
    } catch (error) {
      return { ok: false, ...classifyFailure(error), atMs: clock.nowMs(), phase: 'connect' };
    }
  }

  /** The promise, or a ProbeTimeout when it is not settled by the deadline. A rejection that comes later is nobody's. */
  #within<T>(promise: Promise<T>, deadlineMs: number, what: string): Promise<T> {
    const { clock, timeoutMs } = this.#options;
    const leftMs = Math.max(0, deadlineMs - clock.nowMs());
    return new Promise<T>((resolve, reject) => {
      const timer = clock.setTimer(leftMs, () => reject(new ProbeTimeout(what, timeoutMs)));
      void promise.then(resolve, reject).finally(() => clock.clearTimer(timer));
    });
  }

  #drop(): void {
    this.#opened?.connection.close();
    this.#opened = null;
  }
}

async function askIdentity(connection: ProbeConnection): Promise<ProbeRows> {
  try {
    return await connection.query(IDENTITY_SQL);
  } catch (error) {
    if (!connection.closed && sqlStateOf(error) === MISSING_CONTROL_SQL_STATE) {
      return connection.query(IDENTITY_WITHOUT_CONTROL_SQL);
    }
    throw error;
  }
}

function sqlStateOf(error: unknown): string | null {
  if (error instanceof Error) {
    if ('sqlState' in error && typeof error.sqlState === 'string') {
      return error.sqlState;
    }
    if ('code' in error && typeof error.code === 'string') {
      return error.code;
    }
  }
  return null;
}

function sampleOf(fields: SampleFields, identity: NodeIdentity, sentAtMs: number, answeredAtMs: number): ProbeSample {
  return { ok: true, ...fields, sentAtMs, answeredAtMs, identity, gap: gapOf(fields, identity) };
}

function gapOf(fields: SampleFields, identity: NodeIdentity): string | null {
  if (identity.systemIdentifier === null) {
    return `the system identifier is hidden: GRANT EXECUTE ON FUNCTION pg_control_system() TO ${identity.role}`;
  }
  if (fields.inRecovery && fields.streaming === null && !identity.seesReceiver) {
    return `the WAL receiver is hidden: GRANT pg_monitor TO ${identity.role}`;
  }
  return null;
}
