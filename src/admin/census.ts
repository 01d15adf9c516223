import { Wait } from '../session/wait.js';
import type { Session } from '../session/session.js';
import type { PinReason } from '../sql/pin-reason.js';

/** What a session is doing. */
export const SessionActivity = {
  /** Between two transactions. */
  Idle: 'idle',
  /** In a unit or in a transaction. */
  Active: 'active',
  /** A unit (or the greeting) waits for a node or a backend. */
  Waiting: 'waiting',
} as const;
export type SessionActivity = (typeof SessionActivity)[keyof typeof SessionActivity];

export function activityOf(session: Pick<Session, 'wait' | 'isAtBoundary'>): SessionActivity {
  if (session.wait !== null && session.wait !== Wait.Boundary) return SessionActivity.Waiting;
  return session.isAtBoundary ? SessionActivity.Idle : SessionActivity.Active;
}

/** Sessions that are alike. */
export interface SessionGroup {
  readonly listener: string;
  readonly route: string;
  /** As what its node was chosen; `none` while it has no backend. */
  readonly target: 'primary' | 'standby' | 'none';
  readonly activity: SessionActivity;
  count: number;
}

export interface Census {
  readonly groups: readonly SessionGroup[];
  readonly waits: ReadonlyMap<Wait, number>;
  readonly pins: ReadonlyMap<PinReason, number>;
}

/** Counts all sessions in one go. Takes some microseconds for a hundred of them, so it is done when somebody asks. */
export function takeCensus(sessions: Iterable<Session>): Census {
  const groups = new Map<string, SessionGroup>();
  const waits = new Map<Wait, number>();
  const pins = new Map<PinReason, number>();
  for (const session of sessions) {
    const { listener } = session.identity;
    const { route } = session.intent;
    const target = session.target ?? 'none';
    const activity = activityOf(session);
    const key = `${target} ${activity} ${route} ${listener}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { listener, route, target, activity, count: 1 });
    else group.count += 1;
    if (session.wait !== null) waits.set(session.wait, (waits.get(session.wait) ?? 0) + 1);
    const pin = session.pinReason;
    if (pin !== null) pins.set(pin, (pins.get(pin) ?? 0) + 1);
  }
  return { groups: [...groups.values()], waits, pins };
}

/** How many sessions of all groups fit. */
export function countSessions(census: Census, fits: (group: SessionGroup) => boolean): number {
  let count = 0;
  for (const group of census.groups) if (fits(group)) count += group.count;
  return count;
}
