import type { Backend } from '../backend/backend.js';
import { SinkMode } from '../backend/backend.js';
import type { ClusterView } from '../cluster/view.js';
import type { ErrorFields } from '../protocol/error-fields.js';
import type { Relay } from '../relay/relay.js';
import type { NodeName } from '../util/brand.js';
import type { SessionContext, SessionIntent } from './context.js';
import { ParkedSink } from './parked-sink.js';
import { Applied } from './state/applied.js';

export type Target = 'primary' | 'standby';

/** A backend of a session, and what of the session's state it has. */
export interface Berth {
  readonly backend: Backend;
  /** As what its node was chosen. */
  readonly target: Target;
  readonly applied: Applied;
  /** The picture of the cluster in which it was found to be the right one; null: in none. */
  settledIn: ClusterView | null;
}

/** What berths need of their session. */
export interface BerthsOwner {
  readonly id: number;
  readonly relay: Relay;
  readonly intent: SessionIntent;
  /** It shares its backends with other sessions. */
  readonly isPooled: boolean;
  /** Nothing that is there would be missed, or seen, by whoever gets the backend next and brings it into another state. */
  isFreeOf(berth: Berth): boolean;
  /** DISCARD ALL takes everything away that the session leaves on its backends. */
  readonly isCleanable: boolean;
  /** The session has this backend no more. */
  onLeft(berth: Berth): void;
  /** A parked backend has ended; it is given back already. `farewell`: what its node said last. */
  onParkedLost(berth: Berth, farewell: ErrorFields | null): void;
}

/**
 * The backends of one session: the one that is attached to its relay, and in a split session one more, for the other target, that is
 * parked meanwhile. Counts the session on the nodes where it has one, or is on its way to.
 */
export class Berths {
  readonly #owner: BerthsOwner;
  readonly #context: SessionContext;
  #attached: Berth | null = null;
  #parked: Berth | null = null;
  #expectedAt: NodeName | null = null;
  /** Where the last backend was that was chosen as such; in a session that is not split there is one for all. */
  readonly #lastNodes: Record<Target, NodeName | null> = { primary: null, standby: null };
  /** The standby that a session without a backend of its own goes back to. */
  #home: NodeName | null = null;
  /** The attached backend is at work. */
  #isAtWork = false;

  constructor(owner: BerthsOwner, context: SessionContext) {
    this.#owner = owner;
    this.#context = context;
  }

  get attached(): Berth | null {
    return this.#attached;
  }

  get parked(): Berth | null {
    return this.#parked;
  }

  /** The backend that was chosen as such, attached or not. */
  of(target: Target): Berth | null {
    if (this.#attached?.target === target) return this.#attached;
    return this.#parked?.target === target ? this.#parked : null;
  }

  /** Where the last backend was that was chosen as such; null: there was none. */
  lastNode(target: Target): NodeName | null {
    return this.#lastNodes[this.#owner.intent.route === 'split' ? target : 'primary'];
  }

  /** A backend there is on its way; null: none is any more. */
  expect(node: NodeName | null): void {
    const { registry } = this.#context;
    if (this.#expectedAt !== null) registry.detached(this.#expectedAt);
    if (node !== null) registry.attached(node);
    this.#expectedAt = node;
  }

  /** The backend that was expected is here, to be attached to the relay now; nothing else is. `reason`: why its node was chosen. */
  arrived(backend: Backend, target: Target, reason: string): Berth {
    this.expect(null);
    this.#noteMove(backend.identity.node, target, reason);
    this.#context.registry.attached(backend.identity.node);
    if (this.#owner.isPooled) {
      if (target === 'standby') this.#settle(backend.identity.node);
      else if (this.#owner.intent.route !== 'split') this.#settle(null);
    }
    const applied = this.#owner.isPooled ? this.#context.shared.appliedOf(backend) : new Applied();
    this.#attached = { backend, target, applied, settledIn: null };
    return this.#attached;
  }

  /** The attached backend has got something to do. */
  used(): void {
    if (this.#isAtWork || this.#attached === null) return;
    this.#isAtWork = true;
    this.#context.registry.workBegins(this.#attached.backend.identity.node);
  }

  /** It has done it. */
  rested(): void {
    if (!this.#isAtWork || this.#attached === null) return;
    this.#isAtWork = false;
    this.#context.registry.workEnds(this.#attached.backend.identity.node);
  }

  /** The backend that was expected is here, and is not wanted any more. `isFit`: another session of its kind can have it. */
  unwanted(backend: Backend, isFit: boolean): void {
    this.expect(null);
    if (this.#owner.isPooled && isFit) this.#context.pool.putBack(backend);
    else this.#context.pool.release(backend, 'not_wanted', isFit);
  }

  /** Takes the attached backend off the relay, at a boundary, and keeps it. The parked one, if there is any, is given back. */
  park(): void {
    const berth = this.#attached;
    if (berth === null) return;
    if (this.#parked !== null) this.giveBack(this.#parked, 'move');
    this.rested();
    this.#owner.relay.detach();
    this.#attached = null;
    this.#parked = berth;
    berth.backend.attach(
      new ParkedSink(berth.backend, (farewell) => this.#onParkedGone(berth, farewell)),
      SinkMode.Relay,
    );
  }

  /** Parks the attached backend, if there is one, and gives the one that was parked, to be attached to the relay now. */
  swap(): Berth | null {
    const berth = this.#parked;
    this.#parked = null;
    this.park();
    this.#attached = berth;
    return berth;
  }

  /** Gives a backend of the session back to the pool. */
  giveBack(berth: Berth, reason: string): void {
    if (berth === this.#attached) {
      this.rested();
      this.#attached = null;
      this.#owner.relay.detach();
    } else if (berth === this.#parked) this.#parked = null;
    else return;
    this.#left(berth);
    const { pool, shared } = this.#context;
    if (this.#owner.isPooled && this.#owner.isFreeOf(berth)) {
      shared.usedBy(berth.backend, this.#owner.id);
      pool.putBack(berth.backend);
    } else {
      shared.forget(berth.backend);
      pool.release(berth.backend, reason, this.#owner.isCleanable && berth.applied.isKnown);
    }
  }

  /** The attached backend is gone, and off the relay. */
  lost(): Target {
    const berth = this.#attached;
    this.rested();
    this.#attached = null;
    if (berth === null) return 'primary';
    this.#left(berth);
    this.#context.pool.release(berth.backend, 'lost');
    return berth.target;
  }

  /** The session ends. */
  close(): void {
    this.expect(null);
    this.#settle(null);
    if (this.#attached !== null) this.giveBack(this.#attached, 'session_end');
    if (this.#parked !== null) this.giveBack(this.#parked, 'session_end');
  }

  #settle(node: NodeName | null): void {
    if (node === this.#home) return;
    const { registry } = this.#context;
    if (this.#home !== null) registry.unsettled(this.#home);
    if (node !== null) registry.settled(node);
    this.#home = node;
  }

  #noteMove(node: NodeName, target: Target, reason: string): void {
    const { counters, logger } = this.#context;
    const kind = this.#owner.intent.route === 'split' ? target : 'primary';
    const from = this.#lastNodes[kind];
    this.#lastNodes[kind] = node;
    if (from === null || from === node) return;
    counters.moves.add(reason);
    logger.debug({ session: this.#owner.id, from, to: node, reason }, 'session moved');
  }

  #left(berth: Berth): void {
    this.#context.registry.detached(berth.backend.identity.node);
    this.#owner.onLeft(berth);
  }

  #onParkedGone(berth: Berth, farewell: ErrorFields | null): void {
    if (berth !== this.#parked) return;
    this.#parked = null;
    this.#left(berth);
    this.#context.pool.release(berth.backend, 'lost', false);
    this.#owner.onParkedLost(berth, farewell);
  }
}
