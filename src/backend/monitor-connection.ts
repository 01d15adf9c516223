import type { Clock } from '../util/clock.js';
import type { Backend } from './backend.js';
import { SinkMode } from './backend.js';
import { connectBackend } from './connect.js';
import type { ConnectLimits, ConnectRequest } from './connect.js';
import { IdleSink } from './idle-sink.js';
import { ownQuery } from './own-query.js';
import type { TextRow } from './own-query.js';

/** How long a question on a monitor connection may take when whoever asks sets no limit of its own. */
const QUERY_TIMEOUT_MS = 60_000;

/** A backend of the monitor role, for questions of our own; one at a time. */
export class MonitorConnection {
  readonly #backend: Backend;

  private constructor(backend: Backend) {
    this.#backend = backend;
    this.#rest();
  }

  static async open(request: ConnectRequest, limits: ConnectLimits, clock: Clock): Promise<MonitorConnection> {
    return new MonitorConnection(await connectBackend(request, limits, clock));
  }

  get parameters(): ReadonlyMap<string, string> {
    return this.#backend.parameters;
  }

  get closed(): boolean {
    return this.#backend.closed;
  }

  /** Fails with a `NodeError` or with `backend_lost`; after the time limit the connection is destroyed. */
  async query(
    sql: string,
    values: readonly string[] | null = null,
    timeoutMs = QUERY_TIMEOUT_MS,
  ): Promise<readonly TextRow[]> {
    try {
      return await ownQuery(this.#backend, sql, timeoutMs, values);
    } finally {
      this.#rest();
    }
  }

  /** Ends the connection; a question under way fails. */
  close(): void {
    if (this.#backend.tracker.isEmpty) this.#backend.terminate();
    else this.#backend.destroy();
  }

  #rest(): void {
    this.#backend.attach(new IdleSink(this.#backend, () => {}), SinkMode.Own);
  }
}
