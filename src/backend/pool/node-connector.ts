import type { Config } from '../../config/schema.js';
import type { Engine } from '../../net/engine.js';
import type { Clock } from '../../util/clock.js';
import type { Backend } from '../backend.js';
import { connectBackend } from '../connect.js';
import type { ConnectLimits } from '../connect.js';
import { forwardCancel } from '../forward-cancel.js';
import { ownQuery } from '../own-query.js';
import { provePrimary } from '../primary-proof.js';
import type { BackendRequest, Connector } from './pool-request.js';

/** How long the clean-up of a returned backend may take. */
const RESET_TIMEOUT_MS = 5_000;
const RESET_SQL = 'DISCARD ALL';
/** DISCARD ALL empties the temporary schema of a backend and leaves the schema: the next session would be told from a fresh one. */
const TEMPORARY_SCHEMA_SQL = 'SELECT pg_catalog.pg_my_temp_schema()';

/** Does to real nodes what the pool asks for. */
export class NodeConnector implements Connector {
  readonly #config: () => Pick<Config, 'pool' | 'limits'>;
  readonly #engine: Engine;
  readonly #clock: Clock;

  /** `config` is asked for the present limits with each connection. */
  constructor(config: () => Pick<Config, 'pool' | 'limits'>, engine: Engine, clock: Clock) {
    this.#config = config;
    this.#engine = engine;
    this.#clock = clock;
  }

  get #limits(): ConnectLimits {
    const { pool, limits } = this.#config();
    return {
      engine: this.#engine,
      connectTimeoutMs: pool.connectTimeoutMs,
      keepAliveMs: () => this.#config().limits.tcpKeepaliveMs,
      bufferBytes: limits.clientBufferBytes,
      messageBytesMax: limits.messageBytes,
    };
  }

  async open(request: BackendRequest, signal: AbortSignal): Promise<Backend> {
    const limits = this.#limits;
    const backend = await connectBackend(request, limits, this.#clock, signal);
    if (request.proof === null) return backend;
    try {
      await provePrimary(backend, request.proof, request.isReplication, limits.connectTimeoutMs);
    } catch (error) {
      backend.destroy();
      throw error;
    }
    return backend;
  }

  async clean(backend: Backend): Promise<boolean> {
    await ownQuery(backend, RESET_SQL, RESET_TIMEOUT_MS);
    const [row] = await ownQuery(backend, TEMPORARY_SCHEMA_SQL, RESET_TIMEOUT_MS);
    return row?.[0] === '0';
  }

  cancel(backend: Backend): Promise<void> {
    return forwardCancel(backend, this.#limits.connectTimeoutMs);
  }
}
