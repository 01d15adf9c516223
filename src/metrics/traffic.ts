import type { Clock } from '../util/clock.js';

/** Most pairs of database and user that are counted apart; what comes after them is counted together. */
const PAIRS_MAX = 10_000;
/** What those beyond it are called. */
const OTHERS = '(other)';
const US_PER_MS = 1000;

/** What has been counted of a user in a database, or of several such pairs together. Plain numbers; times in microseconds. */
export interface TrafficCounts {
  /** Backends attached to a session. */
  assignments: number;
  /** Transactions that have ended, single statements among them. */
  transactions: number;
  /** Units that have ended: a simple query, or everything up to a Sync. */
  queries: number;
  /** Bytes from clients, and to them, after the log-in. */
  bytesIn: number;
  bytesOut: number;
  transactionUs: number;
  queryUs: number;
  /** How long units waited for a node or for a backend. */
  waitUs: number;
  /** Parse messages of clients, and those sent to nodes without having been asked for. */
  parses: number;
  ownParses: number;
  binds: number;
  logins: number;
}

const ZERO: TrafficCounts = {
  assignments: 0,
  transactions: 0,
  queries: 0,
  bytesIn: 0,
  bytesOut: 0,
  transactionUs: 0,
  queryUs: 0,
  waitUs: 0,
  parses: 0,
  ownParses: 0,
  binds: 0,
  logins: 0,
};

const KEYS = Object.keys(ZERO) as readonly (keyof TrafficCounts)[];

export function noTraffic(): TrafficCounts {
  return { ...ZERO };
}

export function addTraffic(to: TrafficCounts, what: TrafficCounts): void {
  for (const key of KEYS) to[key] += what[key];
}

/** What one user does in one database. */
export interface Traffic {
  readonly database: string;
  readonly user: string;
  /** Sessions add to it as they go. */
  readonly counts: TrafficCounts;
  /** Sessions that there are. */
  sessions: number;
}

/** The counts of every pair of database and user that has been there. */
export class TrafficTable {
  readonly #pairs = new Map<string, Traffic>();

  /** A session begins. */
  enter(database: string, user: string): Traffic {
    const traffic = this.#of(database, user);
    traffic.counts.logins += 1;
    traffic.sessions += 1;
    return traffic;
  }

  /** A session ends. A pair that nothing came of is forgotten: the database may not even exist. */
  leave(traffic: Traffic): void {
    traffic.sessions -= 1;
    if (traffic.sessions > 0 || traffic.counts.queries > 0) return;
    const key = keyOf(traffic.database, traffic.user);
    if (this.#pairs.get(key) === traffic) this.#pairs.delete(key);
  }

  all(): Iterable<Traffic> {
    return this.#pairs.values();
  }

  #of(database: string, user: string): Traffic {
    const key = keyOf(database, user);
    const known = this.#pairs.get(key);
    if (known !== undefined) return known;
    if (this.#pairs.size >= PAIRS_MAX && database !== OTHERS) return this.#of(OTHERS, OTHERS);
    const traffic: Traffic = { database, user, counts: noTraffic(), sessions: 0 };
    this.#pairs.set(key, traffic);
    return traffic;
  }
}

/** Measures one session, for its database and user. Asks the clock where a unit begins or ends: it should be one that is cheap to ask. */
export class SessionTraffic {
  readonly counts: TrafficCounts;
  readonly traffic: Traffic;
  readonly #clock: Pick<Clock, 'nowMs'>;
  /** Since when something has been under way; 0: nothing is. */
  #busySinceMs = 0;
  #transactionSinceMs = 0;
  /** Since when the next unit has waited; 0: it does not. */
  #waitSinceMs = 0;
  #lastBeginMs = 0;

  constructor(traffic: Traffic, clock: Pick<Clock, 'nowMs'>) {
    this.traffic = traffic;
    this.counts = traffic.counts;
    this.#clock = clock;
  }

  /** When the last unit began that found the session quiet, monotonic; 0: none has. */
  get lastBeginMs(): number {
    return this.#lastBeginMs;
  }

  /** Since when the next unit has waited; null: it does not. */
  get waitSinceMs(): number | null {
    return this.#waitSinceMs === 0 ? null : this.#waitSinceMs;
  }

  /** The first message of a unit is about to be sent to the node. */
  begins(): void {
    if (this.#busySinceMs !== 0) return;
    const nowMs = this.#clock.nowMs();
    this.#busySinceMs = nowMs;
    this.#lastBeginMs = nowMs;
    if (this.#transactionSinceMs === 0) this.#transactionSinceMs = nowMs;
  }

  /** A unit has ended. `isQuiet`: it was the last that was under way. */
  ends(isTransactionOver: boolean, isQuiet: boolean): void {
    const { counts } = this;
    const nowMs = this.#clock.nowMs();
    counts.queries += 1;
    if (this.#busySinceMs !== 0) counts.queryUs += (nowMs - this.#busySinceMs) * US_PER_MS;
    this.#busySinceMs = isQuiet ? 0 : nowMs;
    if (!isTransactionOver) return;
    counts.transactions += 1;
    if (this.#transactionSinceMs !== 0) counts.transactionUs += (nowMs - this.#transactionSinceMs) * US_PER_MS;
    this.#transactionSinceMs = isQuiet ? 0 : nowMs;
  }

  /** What was under way does not count: it is gone, or begins again. */
  drops(isTransactionOver: boolean): void {
    this.#busySinceMs = 0;
    if (isTransactionOver) this.#transactionSinceMs = 0;
  }

  /** The next unit waits for a node or a backend. */
  waits(): void {
    if (this.#waitSinceMs === 0) this.#waitSinceMs = this.#clock.nowMs();
  }

  /** It waits no more, whatever it has waited for. */
  waitEnds(): void {
    if (this.#waitSinceMs === 0) return;
    this.counts.waitUs += (this.#clock.nowMs() - this.#waitSinceMs) * US_PER_MS;
    this.#waitSinceMs = 0;
  }
}

function keyOf(database: string, user: string): string {
  return `${database}\0${user}`;
}
