import { formatAddress } from '../config/address.js';
import type { SessionIdentity } from '../session/identity.js';
import type { Wait } from '../session/wait.js';
import { describePin } from '../sql/pin-reason.js';
import type { PinReason } from '../sql/pin-reason.js';
import { activityOf } from './census.js';
import type { SessionDocument, SessionsDocument } from './sessions-document.js';

const MS_PER_S = 1000;
/** Sessions of one answer, if nothing is said, and at most. */
const LIMIT = 100;
const LIMIT_MAX = 1000;
const FILTERS = ['user', 'database', 'listener', 'node'] as const;
const KNOWN: readonly string[] = [...FILTERS, 'limit', 'after'];

/** A session as it is listed. */
export interface ListedSession {
  readonly id: number;
  readonly identity: Pick<
    SessionIdentity,
    'user' | 'database' | 'applicationName' | 'clientAddress' | 'clientPort' | 'listener'
  >;
  readonly intent: { readonly route: string };
  /** Monotonic. */
  readonly startedAtMs: number;
  readonly isAtBoundary: boolean;
  readonly target: 'primary' | 'standby' | null;
  /** Where it has a backend, the attached one first. */
  readonly nodes: readonly string[];
  readonly wait: Wait | null;
  /** One sentence; empty when nothing waits. */
  readonly waitReason: string;
  readonly pinReason: PinReason | null;
  readonly lastDecision: {
    readonly target: 'primary' | 'standby';
    readonly node: string;
    readonly reason: string;
    /** Monotonic. Left out: nobody noted it. */
    readonly atMs?: number;
  } | null;
}

/** Which sessions are asked for. */
export interface SessionsWish {
  readonly user: string | null;
  readonly database: string | null;
  readonly listener: string | null;
  /** Sessions that have a backend there. */
  readonly node: string | null;
  /** Only sessions with a higher id. */
  readonly after: number;
  readonly limit: number;
}

/** Reads `?user=&database=&listener=&node=&limit=&after=`; a text says what is wrong. What is not known is refused: it would not filter. */
export function readSessionsWish(query: URLSearchParams): SessionsWish | string {
  for (const name of query.keys()) {
    if (!KNOWN.includes(name)) return `"${name}" is not known; known: ${KNOWN.join(', ')}`;
    if (query.getAll(name).length > 1) return `${name} is given twice`;
  }
  const limit = readCount(query.get('limit'), 1, LIMIT_MAX, LIMIT);
  if (limit === null) return `limit must be a whole number from 1 to ${LIMIT_MAX}`;
  const after = readCount(query.get('after'), 0, Number.MAX_SAFE_INTEGER, 0);
  if (after === null) return 'after must be the id of a session';
  const [user = null, database = null, listener = null, node = null] = FILTERS.map((name) => query.get(name));
  return { user, database, listener, node, after, limit };
}

/** The sessions that are asked for, as they are at this moment. `sessions` come in the order of their ids. */
export function listSessions(
  sessions: Iterable<ListedSession>,
  wish: SessionsWish,
  total: number,
  nowMs: number,
): SessionsDocument {
  const listed: SessionDocument[] = [];
  let matching = 0;
  let hasMore = false;
  for (const session of sessions) {
    if (!isMeant(session, wish)) continue;
    matching += 1;
    if (session.id <= wish.after) continue;
    if (listed.length < wish.limit) listed.push(documentOf(session, nowMs));
    else hasMore = true;
  }
  return { total, matching, sessions: listed, next: hasMore ? (listed.at(-1)?.id ?? null) : null };
}

function isMeant({ identity, nodes }: ListedSession, { user, database, listener, node }: SessionsWish): boolean {
  return (
    (user === null || user === identity.user) &&
    (database === null || database === identity.database) &&
    (listener === null || listener === identity.listener) &&
    (node === null || nodes.includes(node))
  );
}

function documentOf(session: ListedSession, nowMs: number): SessionDocument {
  const { identity, wait, pinReason, lastDecision } = session;
  return {
    id: session.id,
    user: identity.user,
    database: identity.database,
    applicationName: identity.applicationName,
    client: formatAddress({ host: identity.clientAddress, port: identity.clientPort }),
    listener: identity.listener,
    route: session.intent.route,
    ageSeconds: secondsSince(session.startedAtMs, nowMs),
    state: activityOf(session),
    target: session.target,
    nodes: [...session.nodes],
    wait: wait === null ? null : { for: wait, reason: session.waitReason },
    pin: pinReason === null ? null : { reason: pinReason, text: describePin(pinReason) },
    lastDecision:
      lastDecision === null
        ? null
        : {
            target: lastDecision.target,
            node: lastDecision.node,
            reason: lastDecision.reason,
            ageSeconds: lastDecision.atMs === undefined ? null : secondsSince(lastDecision.atMs, nowMs),
          },
  };
}

function readCount(text: string | null, min: number, max: number, otherwise: number): number | null {
  if (text === null) return otherwise;
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  return value >= min && value <= max ? value : null;
}

function secondsSince(sinceMs: number, nowMs: number): number {
  return Math.round(Math.max(0, nowMs - sinceMs)) / MS_PER_S;
}
