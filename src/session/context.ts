import type { Pool } from '../backend/pool.js';
import type { ClusterView } from '../cluster/view.js';
import type { Logger } from '../log.js';
import type { Counters } from '../metrics/counters.js';
import type { TrafficTable } from '../metrics/traffic.js';
import type { RouteIntent } from '../routing/router.js';
import type { SqlAnalyzer } from '../sql/analysis.js';
import type { NodeName } from '../util/brand.js';
import type { Clock } from '../util/clock.js';
import type { TurnClock } from '../util/turn-clock.js';
import type { ConsoleDoor } from './console-door.js';
import type { Greetings } from './greetings.js';
import type { Hold } from './hold.js';
import type { SessionRegistry } from './registry.js';
import type { SharedBackends } from './pooled/shared-backends.js';
import type { SplitContext } from './split/split-context.js';
import type { TimeLimits } from './timeouts/time-limits.js';

/** Limits that sessions keep to; from the configuration, and replaced as a whole when it is reloaded. */
export interface SessionLimits {
  readonly inspectBytes: number;
  readonly messageBytes: number;
  readonly preparedStatements: number;
  readonly holdTimeoutMs: number;
  readonly connectTimeoutMs: number;
  readonly rebalance: 'off' | 'stale';
  /** Most bytes of units that are kept to be sent again; 0: none are. */
  readonly replayBytes: number;
  /** A split session gives its backend on a standby back when it has not read there for so long. */
  readonly standbyIdleMs: number;
  readonly times: TimeLimits;
}

/** Which units may start on the primary. */
export const Admits = {
  All: 'all',
  /** A switchover is announced: only what can be sent again when the node is stopped in the middle of it; no transaction begins. */
  Repeatable: 'repeatable',
  None: 'none',
} as const;
export type Admits = (typeof Admits)[keyof typeof Admits];

/** Narrows from the announcement of a promotion, and is shut from the loss of the primary until the release. */
export interface PrimaryGate {
  readonly admits: Admits;
  /** It admits everything. */
  readonly isOpen: boolean;
  /** One sentence for people; empty while open. */
  readonly reason: string;
  /** The cluster is changing, or changed at or after the given monotonic time. */
  hasChangedSince(sinceMs: number): boolean;
}

/** What an operator has said about databases. */
export interface PauseGate {
  /** Some database is paused: its units wait. */
  readonly isAny: boolean;
  /** Some database is paused, or connected anew: its sessions are to leave their backends. */
  readonly takesBack: boolean;
  isPaused(database: string): boolean;
  /** Where its units wait; without a time limit. */
  holdOf(database: string): Hold;
  /** New clients of it are refused. */
  isDisabled(database: string): boolean;
}

/** Everything a session is given. It knows no DCS, no prober and no configuration file. */
export interface SessionContext {
  readonly clock: Clock;
  /** The same, read once in a turn of the event loop. */
  readonly turnClock: TurnClock;
  readonly logger: Logger;
  readonly counters: Counters;
  readonly traffic: TrafficTable;
  readonly pool: Pool;
  readonly registry: SessionRegistry;
  /** Set once, before there are clients; null: there is no console. */
  console: ConsoleDoor | null;
  readonly greetings: Greetings;
  /** Set once, before there are sessions. */
  analyzer: SqlAnalyzer;
  readonly gate: PrimaryGate;
  readonly primaryHold: Hold;
  readonly standbyHold: Hold;
  readonly pauses: PauseGate;
  limits: SessionLimits;
  readonly split: SplitContext;
  /** Of sessions whose pool mode is `transaction`. */
  readonly shared: SharedBackends;
  /** The newest picture of the cluster. */
  view(): ClusterView;
  /** A backend of the node failed: look at it now. */
  suspect(node: NodeName): void;
  /** The node was not fit for its role at some time since then. */
  wasInTroubleSince(node: NodeName, sinceMs: number): boolean;
}

/** What a listener asks of the router, and what its sessions may count on. */
export type SessionIntent = Omit<RouteIntent, 'route'> & {
  /** `split`: each unit goes where it may. */
  readonly route: RouteIntent['route'] | 'split';
  /** What reads on standbys never miss, in a split session; its client can say otherwise. */
  readonly consistency: 'session' | 'eventual' | 'database';
  /** Standbys whose tag `zone` says the same come first; null: none does. */
  readonly zone: string | null;
  /** How long the share of a standby rises that has just become healthy. */
  readonly slowStartMs: number;
  /** `session`: it reads from one standby as long as that may take reads. `none`: each read of a split session goes to the least busy one. */
  readonly stickiness: 'session' | 'none';
  /** `transaction`: a session has a backend for a unit or a transaction only, and shares it with others. */
  readonly poolMode: 'session' | 'transaction';
};
