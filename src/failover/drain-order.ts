import type { SessionRegistry } from '../session/registry.js';
import type { Session } from '../session/session.js';
import type { PinReason } from '../sql/pin-reason.js';
import type { NodeName } from '../util/brand.js';

/** What somebody asks for. */
export interface DrainWish {
  readonly node: NodeName;
  /**
   * Nothing new starts on the primary until it is stopped. False: what could be sent again when it is stopped still starts, so that the
   * pause begins with the stop; only transactions and the like wait. A standby is always emptied.
   */
  readonly isFirm: boolean;
  /** Longest wait for those that are there. */
  readonly timeoutMs: number;
}

/** What became of those that were there. */
export const DrainVerdict = {
  /** Nothing is left that a stop would end. */
  Empty: 'empty',
  /** All that are left are at a boundary and cannot move: to wait longer would change nothing. */
  Unmovable: 'unmovable',
  TimedOut: 'timed_out',
} as const;
export type DrainVerdict = (typeof DrainVerdict)[keyof typeof DrainVerdict];

/** Why it does not last any more. */
export const DrainEnd = {
  Cancelled: 'cancelled',
  /** The node was stopped, or has another role: what was to come has come. */
  Gone: 'gone',
  /** It was not stopped in time. */
  Expired: 'expired',
} as const;
export type DrainEnd = (typeof DrainEnd)[keyof typeof DrainEnd];

/** Why a session is still there. */
export type LeftReason = PinReason | 'unit' | 'idle' | 'arriving';

export interface LeftSessions {
  readonly sessions: number;
  readonly reasons: Readonly<Partial<Record<LeftReason, number>>>;
}

interface DrainStart {
  readonly id: number;
  readonly node: NodeName;
  readonly target: 'primary' | 'standby';
  readonly isFirm: boolean;
  readonly sinceMs: number;
  readonly startedAtEpochMs: number;
}

/** One node that is being emptied for its stop. */
export class DrainOrder {
  readonly id: number;
  readonly node: NodeName;
  /** What the node was when it began. */
  readonly target: 'primary' | 'standby';
  readonly sinceMs: number;
  readonly startedAtEpochMs: number;
  verdict: DrainVerdict | null = null;
  end: DrainEnd | null = null;
  /** When it ends by itself. */
  keepUntilMs: number;
  #isFirm: boolean;
  #waitUntilMs: number;
  /** Sessions that were in the middle of something when it began, where others may go on; see `DrainWish.isFirm`. */
  readonly #underWay = new Set<Session>();

  constructor(start: DrainStart, waitUntilMs: number, keepUntilMs: number, registry: SessionRegistry) {
    this.id = start.id;
    this.node = start.node;
    this.target = start.target;
    this.sinceMs = start.sinceMs;
    this.startedAtEpochMs = start.startedAtEpochMs;
    this.keepUntilMs = keepUntilMs;
    this.#isFirm = start.isFirm;
    this.#waitUntilMs = waitUntilMs;
    this.#noteUnderWay(registry);
  }

  get isFirm(): boolean {
    return this.#isFirm;
  }

  /** Sessions are made to leave. */
  get isEmptying(): boolean {
    return this.#isFirm || this.target === 'standby';
  }

  /** It was asked for again. What is firm stays firm. */
  renew(isFirm: boolean, waitUntilMs: number, keepUntilMs: number, registry: SessionRegistry): void {
    this.#isFirm ||= isFirm;
    this.#waitUntilMs = waitUntilMs;
    this.keepUntilMs = keepUntilMs;
    this.verdict = null;
    this.#noteUnderWay(registry);
  }

  /** Whether the wait for those that are there is over, and how. */
  judge(registry: SessionRegistry, nowMs: number): DrainVerdict | null {
    if (this.#isEmpty(registry)) return DrainVerdict.Empty;
    if (this.#isFirm && this.target === 'primary' && this.#areAllStuck(registry)) return DrainVerdict.Unmovable;
    return nowMs >= this.#waitUntilMs ? DrainVerdict.TimedOut : null;
  }

  /** Those that a stop of the node would end, by the reason why they are still there. */
  left(registry: SessionRegistry): LeftSessions {
    const reasons: Partial<Record<LeftReason, number>> = {};
    let sessions = 0;
    for (const session of this.isEmptying ? this.#attached(registry) : this.#stillUnderWay()) {
      const reason: LeftReason = session.pinReason ?? (session.isBusyOn(this.node) ? 'unit' : 'idle');
      reasons[reason] = (reasons[reason] ?? 0) + 1;
      sessions += 1;
    }
    const arriving = this.isEmptying ? registry.load(this.node) - sessions : 0;
    if (arriving > 0) reasons.arriving = arriving;
    return { sessions: sessions + Math.max(0, arriving), reasons };
  }

  #isEmpty(registry: SessionRegistry): boolean {
    if (this.isEmptying) return registry.load(this.node) === 0;
    for (const session of this.#underWay) {
      // Whoever was between two transactions once can only have begun what may be sent again.
      if (!session.isBusyOn(this.node)) this.#underWay.delete(session);
    }
    return this.#underWay.size === 0;
  }

  #areAllStuck(registry: SessionRegistry): boolean {
    let attached = 0;
    for (const session of this.#attached(registry)) {
      if (session.isBusyOn(this.node) || session.pinReason === null) return false;
      attached += 1;
    }
    return attached > 0 && attached === registry.load(this.node);
  }

  *#attached(registry: SessionRegistry): Generator<Session> {
    for (const session of registry.all()) if (session.nodes.includes(this.node)) yield session;
  }

  #stillUnderWay(): Iterable<Session> {
    return this.#underWay;
  }

  #noteUnderWay(registry: SessionRegistry): void {
    this.#underWay.clear();
    for (const session of this.#attached(registry)) if (session.isBusyOn(this.node)) this.#underWay.add(session);
  }
}
