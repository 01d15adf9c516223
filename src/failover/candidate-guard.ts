import type { ClusterView } from '../cluster/view.js';
import { messageOf } from '../errors.js';
import type { Logger } from '../log.js';
import type { Counters } from '../metrics/counters.js';
import type { Obstacle, ObstacleReader } from '../replication/promotion-obstacle.js';
import { eligibleStandbys } from '../routing/eligibility.js';
import type { Session } from '../session/session.js';
import type { NodeName } from '../util/brand.js';
import type { Clock, ClockTimer } from '../util/clock.js';

/** Between two looks at a candidate. */
export const GUARD_LOOK_MS = 50;
/** A read that replay waits for may go on for so long: most end by themselves. */
export const CONFLICT_PATIENCE_MS = 100;
/** Replay that stands still for so long before its end is held up, where the node does not say by what. */
export const STALL_PATIENCE_MS = 1_000;
/** Most sessions taken off a candidate at one look, so that the other standbys get them little by little. */
export const EVICTIONS_PER_LOOK = 100;

/** What the guard needs to know of a session, and does to it. */
export type GuardedSession = Pick<Session, 'node' | 'target' | 'intent' | 'isAtBoundary' | 'backend' | 'evict'>;

export interface CandidateGuardParts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly counters: Counters;
  sessions(): Iterable<GuardedSession>;
  /** Asks the node what its replay waits for; null: it gave no answer that makes sense. */
  ask(node: NodeName): Promise<Obstacle | null>;
  isEnabled(): boolean;
}

/** The node that is to be the primary next. */
interface Candidate {
  readonly node: NodeName;
  /** The leader key names it: there is no way back. */
  readonly isNamed: boolean;
}

/**
 * Keeps readers out of the way of a promotion. A node leaves recovery only when it has replayed everything, and replay waits for reads
 * that still see what it is about to take away, up to `max_standby_streaming_delay`. From the loss of the old primary on this asks the
 * candidate what its replay waits for. The sessions that it waits for are taken off the node, and what they do there is cancelled; all
 * others go on.
 */
export class CandidateGuard {
  readonly #parts: CandidateGuardParts;
  #view: ClusterView | null = null;
  #candidate: Candidate | null = null;
  #timer: ClockTimer | null = null;
  #isAsking = false;
  #isClosed = false;
  /** Readers in the way, by when they were first seen there. */
  #seenAtMs = new Map<string, number>();
  #position: bigint | null = null;
  #positionSinceMs = 0;
  /** Backends that we have left to the node. */
  readonly #evicted = new Set<number>();
  #foreign = 0;

  constructor(parts: CandidateGuardParts) {
    this.#parts = parts;
  }

  onView(view: ClusterView): void {
    this.#view = view;
    const candidate = this.#parts.isEnabled() ? candidateOf(view) : null;
    const isSame = candidate?.node === this.#candidate?.node;
    this.#candidate = candidate;
    if (!isSame) this.#forget();
    if (candidate !== null) this.#lookIn(0);
  }

  close(): void {
    this.#isClosed = true;
    this.#candidate = null;
    this.#forget();
  }

  #forget(): void {
    if (this.#timer !== null) this.#parts.clock.clearTimer(this.#timer);
    this.#timer = null;
    this.#seenAtMs.clear();
    this.#evicted.clear();
    this.#position = null;
    this.#positionSinceMs = this.#parts.clock.nowMs();
    this.#foreign = 0;
  }

  #lookIn(delayMs: number): void {
    if (this.#timer !== null || this.#isAsking || this.#isClosed) return;
    this.#timer = this.#parts.clock.setTimer(delayMs, () => {
      this.#timer = null;
      void this.#look();
    });
  }

  async #look(): Promise<void> {
    const asked = this.#candidate;
    if (asked === null) return;
    this.#isAsking = true;
    let obstacle: Obstacle | null = null;
    try {
      obstacle = await this.#parts.ask(asked.node);
    } catch (error) {
      this.#parts.logger.debug(
        { node: asked.node, error: messageOf(error) },
        'a candidate did not say what it waits for',
      );
    } finally {
      this.#isAsking = false;
    }
    const candidate = this.#candidate;
    if (candidate === null) return;
    if (obstacle !== null && candidate.node === asked.node) this.#weigh(candidate, obstacle);
    this.#lookIn(GUARD_LOOK_MS);
  }

  #weigh(candidate: Candidate, obstacle: Obstacle): void {
    const nowMs = this.#parts.clock.nowMs();
    const isStalled = this.#isStalled(obstacle, nowMs);
    switch (obstacle.wait) {
      case 'none':
        this.#seenAtMs.clear();
        return;
      case 'readers': {
        const readers = this.#patientReaders(obstacle.readers ?? [], nowMs);
        if (readers.length > 0) this.#clear(candidate, new Set(readers.map(({ processId }) => processId)));
        return;
      }
      case 'hidden':
      default:
        if (!isStalled) return;
        this.#clear(
          candidate,
          obstacle.readers === null ? null : new Set(obstacle.readers.map(({ processId }) => processId)),
        );
    }
  }

  /** Those that have been in the way for long enough. */
  #patientReaders(readers: readonly ObstacleReader[], nowMs: number): ObstacleReader[] {
    const seenAtMs = new Map<string, number>();
    const patient = readers.filter((reader) => {
      const key = `${reader.processId} ${reader.transaction}`;
      const sinceMs = this.#seenAtMs.get(key) ?? nowMs;
      seenAtMs.set(key, sinceMs);
      return nowMs - sinceMs >= CONFLICT_PATIENCE_MS;
    });
    this.#seenAtMs = seenAtMs;
    return patient;
  }

  /** Replay has not moved for long, and there is more to be replayed as far as anybody knows. */
  #isStalled({ replayLsn, receiveLsn }: Obstacle, nowMs: number): boolean {
    const isAtEnd = replayLsn !== null && receiveLsn !== null && replayLsn >= receiveLsn;
    if (isAtEnd || replayLsn !== this.#position) {
      this.#position = replayLsn;
      this.#positionSinceMs = nowMs;
      return false;
    }
    return nowMs - this.#positionSinceMs >= STALL_PATIENCE_MS;
  }

  /** `processIds`: the backends in the way; null: they cannot be told apart. */
  #clear(candidate: Candidate, processIds: ReadonlySet<number> | null): void {
    const { clock, counters, logger } = this.#parts;
    const { node } = candidate;
    const ours = [...this.#parts.sessions()].filter((session) => session.node === node && session.target === 'standby');
    const foreign = new Set(processIds);
    for (const { backend } of ours) if (backend !== null) foreign.delete(backend.processId);
    for (const processId of this.#evicted) foreign.delete(processId);
    const inTheWay = ours
      .filter(({ backend }) => backend !== null && (processIds === null || processIds.has(backend.processId)))
      .filter((session) => !session.isAtBoundary && (candidate.isNamed || this.#hasElsewhere(session, node)))
      .slice(0, EVICTIONS_PER_LOOK);
    for (const session of inTheWay) {
      if (session.backend !== null) this.#evicted.add(session.backend.processId);
      counters.evictions += 1;
      session.evict(`a read was in the way of the promotion of node ${node}`);
    }
    if (inTheWay.length > 0) {
      const stoodMs = Math.round(clock.nowMs() - this.#positionSinceMs);
      logger.info(
        { node, sessions: inTheWay.length, stoodMs },
        'sessions in the way of a promotion were taken off the candidate',
      );
    }
    if (foreign.size > 0 && foreign.size !== this.#foreign) {
      logger.warn({ node, backends: foreign.size }, 'reads that are not ours hold a promotion up');
    }
    this.#foreign = foreign.size;
  }

  /** Before the leader key names the candidate, a read is only ended where it can be run again at once. */
  #hasElsewhere(session: GuardedSession, node: NodeName): boolean {
    return this.#view !== null && eligibleStandbys(this.#view, session.intent).eligible.some((name) => name !== node);
  }
}

/** Whom the leader key names while it is still in recovery; before there is such a key, the announced candidate of a lost primary. */
function candidateOf(view: ClusterView): Candidate | null {
  if (view.primary !== null || view.standbyCluster) return null;
  const { leader, switchover } = view;
  if (leader !== null && isInRecovery(view, leader.name)) return { node: leader.name, isNamed: true };
  const announced = view.switchoverDue ? (switchover?.candidate ?? null) : null;
  return announced !== null && isInRecovery(view, announced) ? { node: announced, isNamed: false } : null;
}

function isInRecovery(view: ClusterView, node: NodeName): boolean {
  return view.nodes.get(node)?.role === 'standby';
}
