import { SwitchyardError } from '../errors.js';
import type { Relay } from '../relay/relay.js';
import type { SessionContext } from './context.js';
import { mustLeave } from './must-leave.js';
import { requestCancel } from './request-cancel.js';

/** How long a node that stops may take to say so on each of its connections, before they are cut. */
const FAREWELL_MS = 500;

/** Takes a session off its node in the middle of whatever it does, where the node's death or its role demands it. */
export class Departure {
  readonly #sessionId: number;
  readonly #relay: Relay;
  readonly #target: () => 'primary' | 'standby';
  readonly #context: SessionContext;
  /** Since when the node of the attached backend is to be left. */
  #leavingSinceMs: number | null = null;

  /** `target`: as what the node of the attached backend was chosen. */
  constructor(sessionId: number, relay: Relay, target: () => 'primary' | 'standby', context: SessionContext) {
    this.#sessionId = sessionId;
    this.#relay = relay;
    this.#target = target;
    this.#context = context;
  }

  /** Another backend is attached. */
  arrived(): void {
    this.#leavingSinceMs = null;
  }

  /** Looks whether the node is still fit for what it is used as; cuts at once, or when it has had the time to say farewell. */
  look(): void {
    const { backend } = this.#relay;
    if (backend === null) return;
    const leave = mustLeave(this.#context.view(), backend.identity.node, this.#target());
    if (leave === null || !leave.mayHearFarewell) this.#leavingSinceMs = null;
    if (leave === null) return;
    const { clock } = this.#context;
    this.#leavingSinceMs ??= clock.nowMs();
    const leftMs = this.#leavingSinceMs + FAREWELL_MS - clock.nowMs();
    if (leave.mayHearFarewell && leftMs > 0) clock.setTimer(leftMs, () => this.look());
    else this.#relay.cut(new SwitchyardError('session_cannot_move', leave.why));
  }

  /** Leaves a unit or a transaction that is in the way of its node, and ends what the node does for it. At a boundary: nothing. */
  evict(why: string): void {
    const { backend } = this.#relay;
    if (backend === null || this.#relay.isAtBoundary) return;
    // In this order: what the node answers to the cancel request is not for the client. And it is the request that the node hears, since
    // it does not look at the socket while it works.
    this.#relay.cut(new SwitchyardError('session_cannot_move', why));
    void requestCancel(backend, this.#sessionId, this.#context);
  }
}
