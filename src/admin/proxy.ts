import type { Pool } from '../backend/pool.js';
import type { ClusterWatch } from '../cluster/cluster-watch.js';
import type { Config } from '../config/schema.js';
import type { Conductor } from '../failover/conductor.js';
import type { HoldQueue } from '../failover/hold-queue.js';
import type { Pauses } from '../failover/pauses.js';
import type { Logger } from '../log.js';
import type { Counters } from '../metrics/counters.js';
import type { Engine } from '../net/engine.js';
import type { SessionIntent } from '../session/context.js';
import type { SessionRegistry } from '../session/registry.js';
import type { Clock } from '../util/clock.js';
import type { ExplainParts } from './explain.js';

/** A listener that is open. */
export interface ServedListener {
  readonly name: string;
  readonly route: string;
  readonly host: string;
  readonly port: number;
  /** What it asks of the router now. */
  readonly intent: SessionIntent;
}

/** The running proxy, as those see it who look at it from outside. They only read, but for what operators ask for; see `actions.ts`. */
export interface Proxy {
  readonly config: Config;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly counters: Counters;
  readonly registry: SessionRegistry;
  readonly engine: Pick<Engine, 'name'>;
  readonly watch: ClusterWatch;
  readonly pool: Pool;
  readonly conductor: Conductor;
  readonly primaryHold: HoldQueue;
  readonly standbyHold: HoldQueue;
  /** Databases that an operator has paused, closed to new clients, or is having connected anew. */
  readonly pauses: Pauses;
  readonly listeners: readonly ServedListener[];
  /** Clients that have not logged in yet. */
  readonly startups: number;
  readonly isStopping: boolean;
  /** Absent as long as the SQL parser is not loaded. */
  readonly explain?: ExplainParts | undefined;
}
