import { SwitchyardError } from '../errors.js';
import type { ErrorFields } from '../protocol/error-fields.js';
import type { Relay } from '../relay/relay.js';
import { describePin } from '../sql/pin-reason.js';
import type { NodeName } from '../util/brand.js';
import type { Berth, Berths } from './berths.js';
import { CloseReason } from './close-reason.js';
import type { SessionContext, SessionIntent } from './context.js';
import type { SessionIdentity } from './identity.js';
import { mustLeave } from './must-leave.js';
import { requestCancel } from './request-cancel.js';
import type { SessionState } from './state/session-state.js';

/** How long a node that stops may take to say so on each of its connections, before they are cut. */
const FAREWELL_MS = 500;

/** What a departure needs of its session. */
export interface DepartureOwner {
  readonly id: number;
  readonly identity: Pick<SessionIdentity, 'database'>;
  readonly relay: Relay;
  readonly state: SessionState;
  readonly intent: SessionIntent;
  inspectHere(): void;
  takeUp(berth: Berth, choice: null): boolean;
  endAtBoundary(reason: CloseReason, error: Error): void;
}

/** Takes a session off its nodes: in the middle of whatever it does where a node's death or its role demands it, else when it is idle. */
export class Departure {
  readonly #owner: DepartureOwner;
  readonly #berths: Berths;
  readonly #context: SessionContext;
  /** Since when the node of the attached backend is to be left. */
  #leavingSinceMs: number | null = null;

  constructor(owner: DepartureOwner, berths: Berths, context: SessionContext) {
    this.#owner = owner;
    this.#berths = berths;
    this.#context = context;
  }

  /** Another backend is attached. */
  arrived(): void {
    this.#leavingSinceMs = null;
  }

  /** Looks whether the nodes are still fit for what they are used as; cuts at once, or when a node has had the time to say farewell. */
  look(): void {
    this.#lookAtParked();
    const { attached } = this.#berths;
    if (attached === null) return;
    const leave = mustLeave(this.#context.view(), attached.backend.identity.node, attached.target);
    if (leave === null || !leave.mayHearFarewell) this.#leavingSinceMs = null;
    if (leave === null) return;
    const { clock } = this.#context;
    this.#leavingSinceMs ??= clock.nowMs();
    const leftMs = this.#leavingSinceMs + FAREWELL_MS - clock.nowMs();
    if (leave.mayHearFarewell && leftMs > 0) clock.setTimer(leftMs, () => this.look());
    else this.#owner.relay.cut(new SwitchyardError('session_cannot_move', leave.why));
  }

  /** Gives idle backends on `node` back; what cannot be told to be free is asked for there. */
  leaveIfIdle(node: NodeName): void {
    const { attached, parked } = this.#berths;
    // Both are there when a standby has become the primary.
    for (const berth of [parked, attached]) {
      if (berth?.backend.identity.node === node) this.#leaveBerth(berth, node, 'drain');
    }
  }

  /** Gives idle backends back that an operator wants closed; what cannot be told to be free is asked for. */
  leaveOld(): void {
    const { pauses, pool } = this.#context;
    const isPaused = pauses.isPaused(this.#owner.identity.database);
    const reason = isPaused ? 'paused' : 'reconnect';
    const { attached, parked } = this.#berths;
    for (const berth of [parked, attached]) {
      if (berth === null || !(isPaused || pool.isRetired(berth.backend))) continue;
      this.#leaveBerth(berth, berth.backend.identity.node, reason);
    }
  }

  /** Asks the node what the session has there, if that may free it and it is at a boundary. */
  inspect(node: NodeName): void {
    const { attached, parked } = this.#berths;
    const isAttached = attached?.backend.identity.node === node;
    if (!isAttached && (parked?.backend.identity.node !== node || parked.target !== 'primary')) return;
    // A parked backend can only be asked when it is taken up; nobody else needs the relay at a boundary.
    if (isAttached || (parked !== null && this.#owner.relay.isAtBoundary && this.#owner.takeUp(parked, null))) {
      this.#owner.inspectHere();
    }
  }

  /** Leaves a unit or a transaction that is in the way of its node, and ends what the node does for it. At a boundary: nothing. */
  evict(why: string): void {
    const { relay } = this.#owner;
    const { backend } = relay;
    if (backend === null || relay.isAtBoundary) return;
    // In this order: what the node answers to the cancel request is not for the client. And it is the request that the node hears, since
    // it does not look at the socket while it works.
    relay.cut(new SwitchyardError('session_cannot_move', why));
    void requestCancel(backend, this.#owner.id, this.#context);
  }

  /** A parked backend has ended by itself. Without what the session has left on a primary it cannot go on. */
  parkedLost({ target, backend }: Berth, farewell: ErrorFields | null): void {
    const { node } = backend.identity;
    this.#context.suspect(node);
    if (target === 'primary') this.#endIfPinned(farewell?.message ?? `the connection to node ${node} was lost`);
  }

  #leaveBerth(berth: Berth, node: NodeName, reason: string): void {
    const { relay, state, intent } = this.#owner;
    if (berth === this.#berths.attached && !relay.isAtBoundary) return;
    // In a split session it is the primary that holds what cannot be brought elsewhere.
    const isBound = state.pinReason !== null && !(berth.target === 'standby' && intent.route === 'split');
    if (isBound) this.inspect(node);
    else this.#berths.giveBack(berth, reason);
  }

  #lookAtParked(): void {
    const { parked } = this.#berths;
    if (parked === null) return;
    const leave = mustLeave(this.#context.view(), parked.backend.identity.node, parked.target);
    if (leave === null) return;
    this.#berths.giveBack(parked, 'move');
    if (parked.target === 'primary') this.#endIfPinned(leave.why);
  }

  #endIfPinned(why: string): void {
    const pin = this.#owner.state.pinReason;
    if (pin === null) return;
    this.#context.counters.unmovable.add(pin);
    this.#owner.endAtBoundary(
      CloseReason.CannotMove,
      new SwitchyardError(
        'session_cannot_move',
        `terminating connection because its node is no longer available: ${why}`,
        {
          detail: `The session could not be moved to another node: ${describePin(pin)}.`,
        },
      ),
    );
  }
}
