import type { NodeName } from '../util/brand.js';

/** A position in the WAL in bytes (PostgreSQL's `pg_lsn` as one number). */
export type Lsn = bigint;

/** What Patroni wrote about one member, or what the configuration says about one node. Claims, not facts. */
export interface MemberClaim {
  readonly name: NodeName;
  readonly host: string;
  readonly port: number;
  /** Patroni's REST address (`api_url`), when there is one. */
  readonly apiUrl: string | null;
  /** Patroni's word for the role, as written (`master`, `primary`, `replica`, `standby_leader`, ...); null for fixed nodes. */
  readonly role: string | null;
  /** Patroni's state as written (`running`, `stopping`, ...); null for fixed nodes. */
  readonly state: string | null;
  /** `streaming`, `in archive recovery`, or null when not said (Patroni < 3.0.4, or nothing is received). */
  readonly replicationState: string | null;
  readonly timeline: number | null;
  /** `xlog_location`: of a standby the larger of received and replayed, so never a measure of freshness. */
  readonly xlogLocation: Lsn | null;
  readonly receiveLsn: Lsn | null;
  readonly replayLsn: Lsn | null;
  readonly noloadbalance: boolean;
  readonly nofailover: boolean;
  /** All effective tags as text (`true`, `2`, `eu-west-1a`), the known ones included. */
  readonly tags: ReadonlyMap<string, string>;
  readonly pendingRestart: boolean;
  /** Patroni's version, when it says one. */
  readonly version: string | null;
}

/** The leader key: who holds the lock, and its fencing term. */
export interface LeaderClaim {
  readonly name: NodeName;
  /** Create-revision of the key: grows with every new holder of the lock. */
  readonly term: bigint;
}

/** The `failover` key: a switchover that was asked for. */
export interface SwitchoverClaim {
  readonly leader: NodeName | null;
  readonly candidate: NodeName | null;
  /** Wall-clock epoch milliseconds when it is to happen; null: now. */
  readonly scheduledAtEpochMs: number | null;
  readonly revision: bigint;
}

/** One line of the `history` key. */
export interface HistoryEntry {
  readonly timeline: number;
  readonly lsn: Lsn;
  readonly reason: string;
  readonly atEpochMs: number | null;
  readonly newLeader: NodeName | null;
}

/** The `sync` key. */
export interface SyncClaim {
  readonly leader: NodeName | null;
  readonly standbys: readonly NodeName[];
  readonly quorum: number;
}

/** The parts of Patroni's dynamic configuration that matter here; Patroni's defaults where a key is absent. */
export interface ClusterSettingsClaim {
  readonly ttlS: number;
  readonly loopWaitS: number;
  readonly retryTimeoutS: number;
  readonly paused: boolean;
  readonly synchronousMode: boolean | 'quorum';
  readonly failsafeMode: boolean;
  readonly standbyCluster: boolean;
}

/** How sure the provider is of what it says. */
export const DcsState = {
  /** Nothing has been read yet. */
  Unknown: 'unknown',
  /** Reads answer and the watch lives. */
  Live: 'live',
  /** No read has succeeded within the stale limit: the claims are old. */
  Stale: 'stale',
} as const;
export type DcsState = (typeof DcsState)[keyof typeof DcsState];

/** A frozen picture of what the provider says at one revision. */
export interface Claims {
  /** `etcd3`: there is a leader key. `nodes`: a fixed list, nobody claims a leader and the probes decide. */
  readonly provider: 'etcd3' | 'nodes';
  readonly state: DcsState;
  /**
   * Monotonic time at which the last successful read was *asked for*: the picture is at least as new as this. Null before the first. An
   * event is newer than what it replaces but proves no time: it may have waited on its way, or in a process that stood still.
   */
  readonly confirmedAtMs: number | null;
  /** Why the state is not live, in one sentence; null when it is. */
  readonly trouble: string | null;
  /** Newest revision that this picture holds; like `confirmedAtMs` it can move without an `onChange`. 0 for fixed nodes. */
  readonly revision: bigint;
  readonly leader: LeaderClaim | null;
  readonly members: ReadonlyMap<NodeName, MemberClaim>;
  readonly switchover: SwitchoverClaim | null;
  readonly sync: SyncClaim | null;
  readonly history: readonly HistoryEntry[];
  readonly settings: ClusterSettingsClaim;
  /** `initialize`: the system identifier, or null when absent or not yet known. */
  readonly systemIdentifier: string | null;
  /** WAL position that the leader wrote to `status` (or `optime/leader`): up to one loop_wait old, for people, no measure of freshness. */
  readonly leaderOptime: Lsn | null;
  /** Things that could not be understood, one sentence each: `members/node4: not JSON`. */
  readonly problems: readonly string[];
}

/** Where claims come from. One per cluster. */
export interface ClaimsProvider {
  /** The newest picture; a frozen object that is replaced, never changed. */
  readonly claims: Claims;
  /**
   * Begins to watch. Returns at once: trouble shows in `claims.state` and `claims.trouble`, never as an exception, and is retried
   * for ever. `onChange` is called (never inside `start`) after `claims` was replaced by something that differs.
   */
  start(onChange: () => void): void;
  /** Asks for a read soon, besides the regular ones: something was seen that speaks against the picture. May be called often. */
  confirmSoon(): void;
  /** Ends the watch and closes every connection. No `onChange` after it. */
  close(): Promise<void>;
}
