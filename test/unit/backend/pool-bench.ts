import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import { NoCredentials } from '../../../src/auth/credentials.js';
import { Backend } from '../../../src/backend/backend.js';
import { deafSink } from '../../../src/backend/idle-sink.js';
import { NodeError } from '../../../src/backend/node-error.js';
import { Pool } from '../../../src/backend/pool.js';
import type {
  BackendRequest,
  Connector,
  Fits,
  PoolLimits,
  PoolTicket,
} from '../../../src/backend/pool/pool-request.js';
import { silentLogger } from '../../../src/log.js';
import { Counters } from '../../../src/metrics/counters.js';
import type { Clock } from '../../../src/util/clock.js';
import { A } from '../../support/cluster-fakes.js';
import { FakeClock } from '../../support/fake-clock.js';
import { FakeWire } from '../../support/fake-wire.js';
import { node } from '../../support/node-messages.js';

export const LIMITS: PoolLimits = {
  size: 10,
  minSize: 0,
  reserveSize: 0,
  reserveTimeoutMs: 5_000,
  maxBackendsPerNode: 0,
  maxBackendsPerDatabase: 0,
  maxBackendsPerUser: 0,
  maxBackends: 0,
  waitTimeoutMs: 30_000,
  idleTimeoutMs: 60_000,
  maxIdle: 20,
  maxLifetimeMs: 3_600_000,
  loginConcurrency: 16,
  reuse: true,
};

const HEADER_BYTES = 5;

/** The error of a node that refuses a log-in. */
export function refusal(sqlState: string, text = `no: ${sqlState}`): NodeError {
  const message = node.error(sqlState, text, { severity: 'FATAL' });
  return NodeError.read(message, HEADER_BYTES, message.length);
}

/** A log-in that the test has to let end. */
export interface Login {
  readonly request: BackendRequest;
  readonly signal: AbortSignal;
  readonly ok: () => FakeWire;
  readonly fail: (error: Error) => void;
}

/** Nodes that do nothing before the test says so. */
export class FakeConnector implements Connector {
  /** Under way, oldest first. */
  readonly logins: Login[] = [];
  /** All that were ever opened. */
  readonly wires = new Map<Backend, FakeWire>();
  count = 0;
  /** What becomes of the clean-up of a backend. */
  cleaning: () => Promise<boolean> = () => Promise.resolve(true);
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  open(request: BackendRequest, signal: AbortSignal): Promise<Backend> {
    this.count += 1;
    return new Promise((resolve, reject) => {
      const done = (): void => void this.logins.splice(this.logins.indexOf(login), 1);
      const login: Login = {
        request,
        signal,
        ok: () => {
          done();
          const wire = new FakeWire();
          const backend = new Backend(request, wire, deafSink, 1_000_000, this.#clock.nowMs());
          backend.isProvenPrimary = request.proof !== null;
          this.wires.set(backend, wire);
          resolve(backend);
          return wire;
        },
        fail: (error) => {
          done();
          reject(error);
        },
      };
      signal.addEventListener('abort', () => login.fail(new Error('given up')));
      this.logins.push(login);
    });
  }

  clean(): Promise<boolean> {
    return this.cleaning();
  }

  cancel(): Promise<void> {
    return Promise.resolve();
  }
}

/** A session that wants a backend, has one, or was told why not. */
export class Asker {
  readonly request: BackendRequest;
  backend: Backend | null = null;
  error: Error | null = null;
  isCancelled = false;
  ticket: PoolTicket | null = null;

  constructor(request: BackendRequest) {
    this.request = request;
  }

  get isWaiting(): boolean {
    return this.backend === null && this.error === null && !this.isCancelled;
  }

  /** SQLSTATE or code of what it was told. */
  get code(): string {
    return this.error instanceof NodeError
      ? this.error.sqlState
      : ((this.error as { code?: string } | null)?.code ?? '');
  }

  cancel(): void {
    this.isCancelled = true;
    this.ticket?.cancel();
  }
}

/** A pool in front of nodes that do nothing by themselves, and a clock that only the test turns. */
export class PoolBench {
  readonly clock: FakeClock;
  readonly counters = new Counters();
  readonly connector: FakeConnector;
  readonly credentials = new NoCredentials();
  readonly pool: Pool;
  readonly served: Asker[] = [];

  constructor(limits: Partial<PoolLimits> = {}, clock = new FakeClock()) {
    this.clock = clock;
    this.connector = new FakeConnector(clock);
    this.pool = new Pool(
      { ...LIMITS, ...limits },
      {
        clock: this.clock,
        logger: silentLogger,
        counters: this.counters,
        connector: this.connector,
        random: () => 0,
      },
    );
  }

  request(over: Partial<BackendRequest> = {}): BackendRequest {
    return {
      node: A,
      host: '127.0.0.1',
      port: 5431,
      user: 'app',
      database: 'app',
      parameters: new Map(),
      startupKey: '[]',
      isReplication: false,
      isShared: true,
      credentials: this.credentials,
      proof: null,
      ...over,
    };
  }

  ask(over: Partial<BackendRequest> = {}, fits: Fits | null = null): Asker {
    const asker = new Asker(this.request(over));
    let isInside = true;
    asker.ticket = this.pool.acquire(
      asker.request,
      (error, backend) => {
        assert.ok(!isInside, 'called back from inside acquire');
        assert.ok(asker.isWaiting, 'called back twice, or after it was cancelled');
        asker.error = error;
        asker.backend = backend;
        if (backend !== null) this.served.push(asker);
      },
      fits,
    );
    isInside = false;
    return asker;
  }

  /** Lets everything happen that does not wait for a node or the clock. */
  async settle(): Promise<void> {
    for (let i = 0; i < 3; i += 1) await setImmediate();
  }

  /** Asks, and lets the node let it in. */
  async open(over: Partial<BackendRequest> = {}): Promise<Asker> {
    const asker = this.ask(over);
    await this.settle();
    this.connector.logins.at(-1)?.ok();
    await this.settle();
    assert.ok(asker.backend !== null);
    return asker;
  }

  async allIn(): Promise<void> {
    await this.settle();
    for (let i = 0; i < 1000 && this.connector.logins.length > 0; i += 1) {
      this.connector.logins[0]?.ok();
      await this.settle();
    }
  }

  async giveBack({ backend, request }: Asker): Promise<void> {
    assert.ok(backend !== null);
    if (request.isShared) this.pool.putBack(backend);
    else this.pool.release(backend, 'session_end');
    await this.settle();
  }

  async advance(ms: number): Promise<void> {
    this.clock.advance(ms);
    await this.settle();
  }

  wireOf({ backend }: Asker): FakeWire {
    const wire = backend === null ? undefined : this.connector.wires.get(backend);
    assert.ok(wire !== undefined);
    return wire;
  }

  /** Connections that are open. */
  get live(): number {
    let count = 0;
    for (const wire of this.connector.wires.values()) if (!wire.closed) count += 1;
    return count;
  }

  get total(): number {
    let total = 0;
    for (const figure of this.pool.figures) total += figure.total;
    return total;
  }
}
