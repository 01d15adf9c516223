import type { ClusterView } from '../cluster/view.js';
import { HoldReason, route } from '../routing/router.js';
import type { RouteDecision, RouteFacts, RouteIntent } from '../routing/router.js';
import { canRunAgain } from '../sql/analysis.js';
import type { PinReason } from '../sql/pin-reason.js';
import type { NodeName } from '../util/brand.js';
import type { Berth, Target } from './berths.js';
import { Admits } from './context.js';
import type { SessionContext, SessionIntent } from './context.js';
import type { SessionIdentity } from './identity.js';
import type { Split } from './split/split.js';
import type { UnitGlance } from './state/unit-facts.js';

/** What a navigator needs of its session. */
export interface NavigatorOwner {
  readonly identity: Pick<SessionIdentity, 'database'>;
  readonly intent: SessionIntent;
  readonly state: { readonly pinReason: PinReason | null };
  /** The nodes on which it has a backend. */
  readonly nodes: readonly NodeName[];
}

export type NodeDecision = RouteDecision & { readonly kind: 'node' };

/** Asks the router where the units of one session go, and holds those back that the state of a promotion does not admit. */
export class Navigator {
  readonly #owner: NavigatorOwner;
  readonly #context: SessionContext;
  readonly #split: Split | null;
  readonly #intents: Readonly<Record<Target, RouteIntent>>;
  readonly #load: RouteFacts['load'];
  readonly #outstanding: RouteFacts['outstanding'];
  readonly #isCaughtUp: NonNullable<RouteFacts['isCaughtUp']>;
  /** What was decided last, by what for, in that picture of the cluster. */
  #known: Record<Target, NodeDecision | null> = { primary: null, standby: null };
  #knownIn: ClusterView | null = null;
  /** Standbys that the unit that waits is not for. */
  readonly #avoided = new Set<NodeName>();

  constructor(owner: NavigatorOwner, split: Split | null, context: SessionContext) {
    const { registry } = context;
    const { intent } = owner;
    this.#owner = owner;
    this.#context = context;
    this.#split = split;
    this.#intents = { primary: { ...intent, route: 'primary' }, standby: { ...intent, route: 'standby' } };
    // What shares its backends is attached to none most of the time, and would all be placed on the first standby.
    this.#load = (node) => registry.load(node) + registry.residents(node);
    this.#outstanding = (node) => registry.outstanding(node);
    this.#isCaughtUp = (node) => !this.#avoided.has(node) && split?.fence.isCaughtUp(node) !== false;
  }

  /** Some standbys are not for the unit that waits. */
  get isAvoiding(): boolean {
    return this.#avoided.size > 0;
  }

  /** The unit that waits, or the next one, is not for this standby. */
  avoid(node: NodeName): void {
    this.#avoided.add(node);
  }

  /** The unit that waited has its node, or is rejected. */
  settle(): void {
    if (this.#avoided.size > 0) this.#avoided.clear();
  }

  /** `current`: the node that the session is on, or has got a backend of; `alsoOn`: where it has one for the primary. `isRepeatable`: the unit could be sent again. */
  decide(need: Target, current: NodeName | null, alsoOn: NodeName | null, isRepeatable: boolean): RouteDecision {
    const decision = this.#decide(this.#intents[need], current, alsoOn, isRepeatable);
    const view = this.#context.view();
    if (this.#knownIn !== view) this.#known = { primary: null, standby: null };
    this.#knownIn = view;
    this.#known[need] = decision.kind === 'node' && decision.target === need ? decision : null;
    return decision;
  }

  /** What was decided last, if it was decided in this very picture of the cluster and still holds; null: the router must be asked. */
  known(need: Target): NodeDecision | null {
    const known = this.#knownIn === this.#context.view() && this.#context.gate.isOpen ? this.#known[need] : null;
    if (known === null || need === 'primary') return known;
    return this.#intents.standby.stickiness === 'session' && this.#isCaughtUp(known.node) ? known : null;
  }

  /** Whether a backend that was asked for is still the right one, now that it is there. */
  isStillRight(need: Target, decision: NodeDecision, alsoOn: NodeName | null, isRepeatable: boolean): boolean {
    if (this.known(need) === decision) return true;
    const { node, target } = decision;
    // It is not to be balanced again: the load has changed by its own coming.
    const intent: RouteIntent = { ...this.#intents[need], stickiness: 'session' };
    const now = this.#decide(intent, node, alsoOn, isRepeatable);
    return now.kind === 'node' && now.node === node && now.target === target;
  }

  #decide(
    intent: RouteIntent,
    current: NodeName | null,
    alsoOn: NodeName | null,
    isRepeatable: boolean,
  ): RouteDecision {
    const { gate, limits, clock } = this.#context;
    if (this.#isPaused) return { kind: 'hold', reason: HoldReason.Paused, message: this.#pausedMessage };
    const facts: RouteFacts = {
      current,
      load: this.#load,
      outstanding: this.#outstanding,
      rebalance: limits.rebalance,
      nowMs: clock.nowMs(),
    };
    const decision = route(
      this.#context.view(),
      intent,
      this.#split === null ? facts : { ...facts, alsoOn, isCaughtUp: this.#isCaughtUp },
    );
    if (decision.kind !== 'node' || decision.target !== 'primary') return decision;
    const isAdmitted = gate.admits === Admits.All || (gate.admits === Admits.Repeatable && isRepeatable);
    return isAdmitted ? decision : { kind: 'hold', reason: 'promotion', message: gate.reason };
  }

  /** Nobody but the session can end what keeps it on its backend, and a pause waits for that. */
  get #isPaused(): boolean {
    const { pauses } = this.#context;
    const { identity, state, nodes } = this.#owner;
    return pauses.isAny && pauses.isPaused(identity.database) && (state.pinReason === null || nodes.length === 0);
  }

  get #pausedMessage(): string {
    return `database "${this.#owner.identity.database}" is paused`;
  }

  /** Whether a unit can be sent again is of interest: its node may soon be stopped in the middle of it. */
  get mindsRepeat(): boolean {
    const { gate, limits } = this.#context;
    return gate.admits === Admits.Repeatable && limits.replayBytes > 0;
  }

  /** The unit can be sent again when its node is stopped in the middle of it. Only known where it is of interest. */
  canRepeat({ repeat, begins }: UnitGlance): boolean {
    return this.mindsRepeat && canRunAgain(repeat) && !begins;
  }

  /** The backend was the right one in this very picture of the cluster, and still has what the session has seen. */
  isSettled(berth: Berth): boolean {
    if (berth.settledIn !== this.#context.view() || !this.#context.gate.isOpen) return false;
    if (berth.target === 'primary') return true;
    return this.#intents.standby.stickiness === 'session' && this.#isCaughtUp(berth.backend.identity.node);
  }
}
