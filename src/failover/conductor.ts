import type { Pool } from '../backend/pool.js';
import type { ClusterView } from '../cluster/view.js';
import type { Logger } from '../log.js';
import type { Counters } from '../metrics/counters.js';
import { Admits } from '../session/context.js';
import type { PrimaryGate } from '../session/context.js';
import type { Greetings } from '../session/greetings.js';
import type { SessionRegistry } from '../session/registry.js';
import type { NodeName } from '../util/brand.js';
import type { Clock, ClockTimer } from '../util/clock.js';
import type { Drain } from './drain.js';
import type { HoldQueue } from './hold-queue.js';
import { DrainOrders } from './drain-orders.js';
import { PromotionRecorder } from './promotion-recorder.js';
import { admitsOf, initialPromotion, ReleaseOutcome, stepPromotion } from './promotion.js';
import type { Phase, PromotionAction, PromotionState } from './promotion.js';

/** How often the machine looks at the clock: for announcements that become due or are given up. */
const LOOK_INTERVAL_MS = 100;

/** Who samples nodes; a part of the prober. */
export interface Hurrier {
  hurry(node: NodeName, isHurried: boolean): void;
}

export interface ConductorParts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly counters: Counters;
  readonly registry: SessionRegistry;
  readonly pool: Pool;
  readonly greetings: Greetings;
  readonly primaryHold: HoldQueue;
  readonly standbyHold: HoldQueue;
  readonly drain: Drain;
  readonly hurrier: Hurrier;
  readonly announceTimeoutMs: () => number;
  /** Takes these standbys out of every choice, in place of those before. */
  readonly setDrained: (standbys: ReadonlySet<NodeName>) => void;
}

/** Carries out what the promotion machine says: holds, releases, and lets sessions leave nodes that changed their role. */
export class Conductor implements PrimaryGate {
  readonly drains: DrainOrders;
  readonly records: PromotionRecorder;
  readonly #parts: ConductorParts;
  #state: PromotionState;
  #view: ClusterView | null = null;
  #reason = 'the cluster is not known yet';
  #changedAtMs: number;
  #hurried: NodeName[] = [];
  /** When a node was last seen unfit. */
  readonly #troubledAtMs = new Map<NodeName, number>();
  #timer: ClockTimer | null = null;

  constructor(parts: ConductorParts) {
    this.#parts = parts;
    this.#state = initialPromotion(parts.clock.nowMs());
    this.#changedAtMs = parts.clock.nowMs();
    const { clock, logger, counters, registry, pool } = parts;
    this.records = new PromotionRecorder(clock, logger, counters, parts.primaryHold);
    this.drains = new DrainOrders({
      clock,
      logger,
      counters,
      registry,
      pool,
      view: () => this.#view,
      keepMs: parts.announceTimeoutMs,
      onChange: () => this.#onDrains(),
      onStandby: (node) => this.records.drainOf(node),
    });
  }

  get phase(): Phase {
    return this.#state.phase;
  }

  get state(): PromotionState {
    return this.#state;
  }

  get admits(): Admits {
    return admitsOf(this.#state);
  }

  get isOpen(): boolean {
    return this.admits === Admits.All;
  }

  get reason(): string {
    return this.isOpen ? '' : (this.#view?.noPrimaryReason ?? this.#reason);
  }

  hasChangedSince(sinceMs: number): boolean {
    return !this.isOpen || this.#changedAtMs >= sinceMs;
  }

  /** The node was not fit for its role at some time since then, or is not now. */
  wasInTroubleSince(node: NodeName, sinceMs: number): boolean {
    return isTroubled(this.#view, node) || (this.#troubledAtMs.get(node) ?? Number.NEGATIVE_INFINITY) >= sinceMs;
  }

  start(): void {
    this.#timer = this.#parts.clock.setTimer(LOOK_INTERVAL_MS, () => {
      this.#look();
      this.records.look();
      this.start();
    });
  }

  close(): void {
    if (this.#timer !== null) this.#parts.clock.clearTimer(this.#timer);
    this.#timer = null;
    this.drains.close();
  }

  /** A new picture of the cluster was published. */
  onView(view: ClusterView): void {
    const before = this.#view;
    this.#view = view;
    this.#noteTroubles(before, view);
    if (before !== null) this.#leaveChangedNodes(before, view);
    this.#look();
    const { registry, primaryHold, standbyHold } = this.#parts;
    registry.reconsider();
    if (this.isOpen) primaryHold.open();
    standbyHold.open();
  }

  #onDrains(): void {
    this.#parts.setDrained(this.drains.standbys);
    this.#look();
  }

  #look(): void {
    const view = this.#view;
    if (view === null) return;
    const { clock, announceTimeoutMs } = this.#parts;
    const before = this.#state;
    const step = stepPromotion(before, {
      nowMs: clock.nowMs(),
      epochMs: clock.epochMs(),
      primary: view.primary,
      leader: view.leader?.name ?? null,
      switchover: view.switchover,
      drain: this.drains.claimOf(view.primary),
      announceTimeoutMs: announceTimeoutMs(),
    });
    if (step.actions.length > 0) this.records.follow(before, step, view.highestTimeline);
    this.#state = step.state;
    for (const action of step.actions) this.#act(action, before);
  }

  #act(action: PromotionAction, before: PromotionState): void {
    const { logger, registry, primaryHold, clock } = this.#parts;
    switch (action.kind) {
      case 'hold':
        this.#reason = action.reason;
        this.#changedAtMs = clock.nowMs();
        if (before.primary !== null) this.#parts.pool.noteLoss(before.primary);
        primaryHold.shut();
        registry.reconsider();
        // While the node still answers: what it says may free them, so that they can move.
        for (const session of registry.all()) if (before.primary !== null) session.inspect(before.primary);
        // After a complete stop, those whose unit may start again are let go; the others come back.
        if (this.admits === Admits.Repeatable && admitsOf(before) === Admits.None) primaryHold.open();
        logger.info(
          {
            phase: this.#state.phase,
            admits: this.admits,
            primary: before.primary,
            candidate: this.#state.candidate,
            reason: action.reason,
          },
          'units for the primary are held',
        );
        return;
      case 'hurry':
        this.#hurry(action.node);
        return;
      case 'rest':
        for (const node of this.#hurried.splice(0)) this.#parts.hurrier.hurry(node, false);
        return;
      case 'release':
      default:
        this.#release(action, before);
    }
  }

  #release(action: PromotionAction & { kind: 'release' }, before: PromotionState): void {
    const { logger, registry, primaryHold, counters, greetings, clock, pool } = this.#parts;
    this.#changedAtMs = clock.nowMs();
    if (action.outcome === ReleaseOutcome.Promoted) counters.leaderChanges += 1;
    if (action.outcome !== ReleaseOutcome.CalledOff) greetings.clear();
    logger.info(
      {
        node: action.node,
        from: action.from,
        outcome: action.outcome,
        held: primaryHold.length,
        disturbedMs: before.disturbedSinceMs === null ? 0 : Math.round(clock.nowMs() - before.disturbedSinceMs),
      },
      'units for the primary go on',
    );
    // What a node refused in another time says nothing of this one.
    pool.forgetFailures(null);
    registry.reconsider();
    primaryHold.open();
    pool.warmUp(action.node);
  }

  #hurry(node: NodeName | null): void {
    const { hurrier } = this.#parts;
    for (const name of this.#hurried.splice(0)) hurrier.hurry(name, false);
    this.#hurried = node === null ? [...(this.#view?.nodes.keys() ?? [])] : [node];
    for (const name of this.#hurried) hurrier.hurry(name, true);
  }

  #noteTroubles(before: ClusterView | null, view: ClusterView): void {
    const nowMs = this.#parts.clock.nowMs();
    for (const name of [...this.#troubledAtMs.keys()]) if (!view.nodes.has(name)) this.#troubledAtMs.delete(name);
    for (const name of view.nodes.keys()) {
      if (isTroubled(view, name) || (before !== null && isTroubled(before, name))) this.#troubledAtMs.set(name, nowMs);
    }
  }

  /** Idle backends on a node that changed its role or address are of no use; sessions there drain. */
  #leaveChangedNodes(before: ClusterView, now: ClusterView): void {
    const { pool, drain } = this.#parts;
    for (const [name, old] of before.nodes) {
      const node = now.nodes.get(name);
      const isSamePlace = node?.role === old.role && node.host === old.host && node.port === old.port;
      if (isSamePlace && node.health !== 'unreachable') continue;
      if (isSamePlace && old.health === 'unreachable') continue;
      pool.closeIdle(name, 'role_change');
      pool.forgetFailures(name);
      if (node?.role === 'standby') drain.cancel(name);
      if (node?.role === 'primary' && old.role === 'standby')
        drain.begin(name, 'standby', `node ${name} is the primary now`);
    }
  }
}

function isTroubled(view: ClusterView | null, name: NodeName): boolean {
  const node = view?.nodes.get(name);
  return node === undefined || node.role === 'unknown' || node.health === 'unreachable' || node.health === 'unknown';
}
