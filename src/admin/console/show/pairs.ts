import type { PoolFigures } from '../../../backend/pool/figures.js';
import { CONSOLE_DATABASE } from '../../../session/console-door.js';
import type { Session } from '../../../session/session.js';
import { activityOf, SessionActivity } from '../../census.js';
import type { Proxy } from '../../proxy.js';

/** What one user has in one database at this moment: sessions, and backends on all nodes. */
export interface Pair {
  readonly database: string;
  readonly user: string;
  sessions: number;
  waiting: number;
  pinned: number;
  /** Of the unit that has waited longest, for a node or for a backend. */
  maxWaitMs: number;
  /** Backends in whatever state, and of these the idle ones, those on their way, those of sessions, and those with a cancel request under way. */
  backends: number;
  idle: number;
  dialling: number;
  attached: number;
  cancelled: number;
}

/** All pairs that have a session or a backend; in the order of the sessions. */
export function pairsOf({ registry, pool, clock }: Proxy): readonly Pair[] {
  const pairs = new Map<string, Pair>();
  const nowMs = clock.nowMs();
  for (const session of registry.all()) noteSession(pairOf(pairs, session.identity), session, nowMs);
  for (const figures of pool.figures) noteFigures(pairOf(pairs, figures), figures);
  return [...pairs.values()];
}

/** The sums by whatever `nameOf` gives. */
export function sumsOf(pairs: readonly Pair[], nameOf: (pair: Pair) => string): ReadonlyMap<string, Pair> {
  const sums = new Map<string, Pair>();
  for (const pair of pairs) {
    const name = nameOf(pair);
    const sum = sums.get(name) ?? emptyPair(pair.database, pair.user);
    sums.set(name, sum);
    sum.sessions += pair.sessions;
    sum.waiting += pair.waiting;
    sum.pinned += pair.pinned;
    sum.maxWaitMs = Math.max(sum.maxWaitMs, pair.maxWaitMs);
    sum.backends += pair.backends;
    sum.idle += pair.idle;
    sum.dialling += pair.dialling;
    sum.attached += pair.attached;
    sum.cancelled += pair.cancelled;
  }
  return sums;
}

/** The console's own place in tables of databases and pools. */
export function consolePair(clients: number): Pair {
  return { ...emptyPair(CONSOLE_DATABASE, CONSOLE_DATABASE), sessions: clients };
}

function noteSession(pair: Pair, session: Session, nowMs: number): void {
  pair.sessions += 1;
  if (activityOf(session) === SessionActivity.Waiting) pair.waiting += 1;
  if (session.pinReason !== null) pair.pinned += 1;
  if (session.waitSinceMs !== null) pair.maxWaitMs = Math.max(pair.maxWaitMs, nowMs - session.waitSinceMs);
  for (const { backend } of session.berths) {
    pair.attached += 1;
    if (backend.cancelsInFlight > 0) pair.cancelled += 1;
  }
}

function noteFigures(pair: Pair, { total, idle, opening }: PoolFigures): void {
  pair.backends += total;
  pair.idle += idle;
  pair.dialling += opening;
}

function pairOf(pairs: Map<string, Pair>, { database, user }: Pick<Pair, 'database' | 'user'>): Pair {
  const key = `${database}\0${user}`;
  const pair = pairs.get(key) ?? emptyPair(database, user);
  pairs.set(key, pair);
  return pair;
}

function emptyPair(database: string, user: string): Pair {
  return {
    database,
    user,
    sessions: 0,
    waiting: 0,
    pinned: 0,
    maxWaitMs: 0,
    backends: 0,
    idle: 0,
    dialling: 0,
    attached: 0,
    cancelled: 0,
  };
}
