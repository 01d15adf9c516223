import type { BackendCredentials } from '../../auth/credentials.js';
import type { NodeName } from '../../util/brand.js';
import type { Backend } from '../backend.js';
import type { PrimaryProof } from '../primary-proof.js';

/** Bounds of the pool. Times in milliseconds; 0 for a count of backends means no bound, but for `size` and the reserve. */
export interface PoolLimits {
  /** Backends per node, database and user, in whatever state. */
  readonly size: number;
  /** So many are kept open per node, database and user. */
  readonly minSize: number;
  /** So many more than `size` for those who have waited for `reserveTimeoutMs`. */
  readonly reserveSize: number;
  readonly reserveTimeoutMs: number;
  readonly maxBackendsPerNode: number;
  /** On each node. */
  readonly maxBackendsPerDatabase: number;
  /** On each node. */
  readonly maxBackendsPerUser: number;
  readonly maxBackends: number;
  readonly waitTimeoutMs: number;
  readonly idleTimeoutMs: number;
  /** Idle backends kept per node, user, database and startup parameters; those that are shared have no such bound. */
  readonly maxIdle: number;
  readonly maxLifetimeMs: number;
  /** Log-ins under way at one time, on each node. */
  readonly loginConcurrency: number;
  readonly reuse: boolean;
}

/** What makes backends stand in for one another, within a node, user and database. */
export interface BackendKind {
  /** Startup parameters but for user and database. */
  readonly parameters: ReadonlyMap<string, string>;
  /** The same parameters as one string. */
  readonly startupKey: string;
  readonly isReplication: boolean;
  /** Sessions take turns on it, and nobody cleans it in between (`putBack`): it is never mixed up with those that are one session's. */
  readonly isShared: boolean;
}

/** What a session asks the pool for. */
export interface BackendRequest extends BackendKind {
  readonly node: NodeName;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
  readonly credentials: BackendCredentials;
  /** Null: any role will do. */
  readonly proof: PrimaryProof | null;
}

/** A request that is under way. */
export interface PoolTicket {
  /** It waits because the pool has no room, and nothing is being done about it yet. */
  readonly isQueued: boolean;
  /** The session wants no backend any more; its callback is not called. */
  cancel(): void;
}

export type BackendCallback = (error: Error | null, backend: Backend | null) => void;

/** Whether a session can do with this idle backend. Asked often: it must be cheap. */
export type Fits = (backend: Backend) => boolean;

/** What can be done to a node on behalf of the pool. */
export interface Connector {
  /** Dials, logs in, and has the role proved if the request asks for it. Fails with a `NodeError` or a `SwitchyardError`. */
  open(request: BackendRequest, signal: AbortSignal): Promise<Backend>;
  /** Makes a backend at a boundary as good as new; false: it cannot be. Fails when it does not answer. */
  clean(backend: Backend): Promise<boolean>;
  /** Has what the backend is doing cancelled; see `forwardCancel`. */
  cancel(backend: Backend): Promise<void>;
}
