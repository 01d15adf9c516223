import type { ClusterView } from '../cluster/view.js';
import type { Logger } from '../log.js';
import type { Counters } from '../metrics/counters.js';
import type { SessionRegistry } from '../session/registry.js';
import type { NodeName } from '../util/brand.js';
import type { Clock, ClockTimer } from '../util/clock.js';
import { DrainEnd, DrainOrder, DrainVerdict } from './drain-order.js';
import type { DrainWish } from './drain-order.js';
import type { DrainClaim } from './promotion.js';

/** How often the nodes that are being emptied are looked at. */
const LOOK_INTERVAL_MS = 20;

/** The part of the pool that is needed. */
export interface IdleBackends {
  closeIdle(node: NodeName, reason: string): void;
}

export interface DrainOrdersParts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly counters: Counters;
  readonly registry: SessionRegistry;
  readonly pool: IdleBackends;
  /** The newest picture of the cluster. */
  readonly view: () => ClusterView | null;
  /** How long a node is kept empty for its stop, from the moment when nobody waits for it to become empty any more. */
  readonly keepMs: () => number;
  /** What is to be drained has changed: the gate and the view have to say so. */
  readonly onChange: () => void;
  /** The drain of a standby begins; what it gives is called at its end. */
  readonly onStandby: (node: NodeName) => (isEmpty: boolean) => void;
}

/**
 * Nodes that are to be emptied because somebody is about to stop them: a `before_stop` script of Patroni, or an operator. Sessions leave
 * at their boundaries, and nothing new starts there. Ends by itself, so that a stop that never comes costs a pause and nothing more.
 */
export class DrainOrders {
  readonly #parts: DrainOrdersParts;
  readonly #orders = new Map<NodeName, DrainOrder>();
  readonly #recordEnds = new Map<NodeName, (isEmpty: boolean) => void>();
  #timer: ClockTimer | null = null;
  #nextId = 1;

  constructor(parts: DrainOrdersParts) {
    this.#parts = parts;
  }

  /** Those that last. */
  get all(): readonly DrainOrder[] {
    return [...this.#orders.values()];
  }

  get(node: NodeName): DrainOrder | null {
    return this.#orders.get(node) ?? null;
  }

  /** What the promotion machine is told about this node. */
  claimOf(node: NodeName | null): DrainClaim | null {
    const order = node === null ? undefined : this.#orders.get(node);
    return order?.target === 'primary' ? { node: order.node, isFirm: order.isFirm } : null;
  }

  /** Standbys that are to get no session. */
  get standbys(): ReadonlySet<NodeName> {
    return new Set(this.all.filter(({ target }) => target === 'standby').map(({ node }) => node));
  }

  /** Begins to empty a node of the view; one that is drained already is given the new limits. */
  begin(wish: DrainWish): DrainOrder {
    const { clock, logger, counters, registry, keepMs } = this.#parts;
    const { node, timeoutMs } = wish;
    const seen = this.#parts.view()?.nodes.get(node);
    const isPrimary = this.#parts.view()?.primary === node || seen?.role === 'primary';
    const target = isPrimary ? 'primary' : 'standby';
    const running = this.#orders.get(node);
    const nowMs = clock.nowMs();
    const waitUntilMs = nowMs + timeoutMs;
    if (running !== undefined && running.target === target) {
      running.renew(wish.isFirm, waitUntilMs, waitUntilMs + keepMs(), registry);
      logger.info({ node, drain: running.id, timeoutMs }, 'the drain of a node goes on');
      this.#changed();
      return running;
    }
    if (running !== undefined) this.#end(running, DrainEnd.Gone);
    const order = new DrainOrder(
      { id: this.#nextId, node, target, isFirm: wish.isFirm, sinceMs: nowMs, startedAtEpochMs: clock.epochMs() },
      waitUntilMs,
      waitUntilMs + keepMs(),
      registry,
    );
    this.#nextId += 1;
    counters.drains += 1;
    this.#orders.set(node, order);
    if (target === 'standby') this.#recordEnds.set(node, this.#parts.onStandby(node));
    logger.info(
      { node, drain: order.id, target, firm: wish.isFirm, sessions: registry.load(node), timeoutMs },
      'a node is drained for its stop',
    );
    this.#changed();
    this.look();
    this.#arm();
    return order;
  }

  /** Ends the drain of one node, or of all; gives those that were drained. */
  cancel(node: NodeName | null): readonly NodeName[] {
    const ended = this.all.filter((order) => node === null || order.node === node);
    for (const order of ended) this.#end(order, DrainEnd.Cancelled);
    if (ended.length > 0) this.#changed();
    return ended.map((order) => order.node);
  }

  /** Nobody waits for the end of it any more: from now on the node is only kept empty for its stop. */
  abandonWait(order: DrainOrder): void {
    order.keepUntilMs = Math.min(order.keepUntilMs, this.#parts.clock.nowMs() + this.#parts.keepMs());
  }

  /** Lets those go who can, and sees who is left. */
  look(): void {
    let hasEnded = false;
    for (const order of this.all) {
      this.#lookAt(order);
      const end = this.#endOf(order);
      if (end === null) continue;
      this.#end(order, end);
      hasEnded = true;
    }
    if (hasEnded) this.#changed();
  }

  close(): void {
    if (this.#timer !== null) this.#parts.clock.clearTimer(this.#timer);
    this.#timer = null;
    for (const order of this.all) order.end = DrainEnd.Cancelled;
    this.#orders.clear();
    this.#recordEnds.clear();
  }

  #lookAt(order: DrainOrder): void {
    const { clock, registry, pool } = this.#parts;
    if (order.isEmptying) {
      if (registry.load(order.node) > 0) {
        for (const session of [...registry.all()]) session.leaveIfIdle(order.node);
      }
      pool.closeIdle(order.node, 'drain');
    }
    if (order.verdict !== null) return;
    order.verdict = order.judge(registry, clock.nowMs());
    if (order.verdict === null) return;
    this.abandonWait(order);
    const { sessions, reasons } = order.left(registry);
    this.#parts.logger.info(
      {
        node: order.node,
        drain: order.id,
        verdict: order.verdict,
        sessions,
        reasons,
        tookMs: Math.round(clock.nowMs() - order.sinceMs),
      },
      order.verdict === DrainVerdict.Empty ? 'a drained node is empty' : 'a drained node still has sessions',
    );
  }

  #endOf(order: DrainOrder): DrainEnd | null {
    const view = this.#parts.view();
    const seen = view?.nodes.get(order.node);
    const isGone =
      seen === undefined ||
      seen.role !== order.target ||
      seen.health === 'unreachable' ||
      (order.target === 'primary' && view?.primary !== null && view?.primary !== order.node);
    if (isGone) return DrainEnd.Gone;
    return this.#parts.clock.nowMs() >= order.keepUntilMs ? DrainEnd.Expired : null;
  }

  #end(order: DrainOrder, end: DrainEnd): void {
    const { logger, registry, clock } = this.#parts;
    order.end = end;
    this.#orders.delete(order.node);
    const sessions = registry.load(order.node);
    this.#recordEnds.get(order.node)?.(sessions === 0);
    this.#recordEnds.delete(order.node);
    logger.info(
      { node: order.node, drain: order.id, end, sessions, tookMs: Math.round(clock.nowMs() - order.sinceMs) },
      'the drain of a node is over',
    );
  }

  #changed(): void {
    this.#parts.onChange();
  }

  #arm(): void {
    if (this.#timer !== null || this.#orders.size === 0) return;
    this.#timer = this.#parts.clock.setTimer(LOOK_INTERVAL_MS, () => {
      this.#timer = null;
      this.look();
      this.#arm();
    });
  }
}
