import type { Backend } from '../../backend/backend.js';
import { Frontend } from '../../protocol/codes.js';
import { NOT_READ } from '../../protocol/frame-scanner.js';
import type { Relay } from '../../relay/relay.js';
import type { TextFacts } from '../../sql/analysis.js';
import type { Berth, Berths } from '../berths.js';
import type { SessionContext, SessionIntent } from '../context.js';
import type { UnitChoice } from '../split/chooser.js';
import type { SessionState } from '../state/session-state.js';
import { withOtherName } from './other-name.js';
import { PooledChooser } from './pooled-chooser.js';

const HEADER_BYTES = 5;

/** What pooling needs of its session. */
export interface PoolingOwner {
  readonly id: number;
  readonly intent: SessionIntent;
  readonly state: SessionState;
  readonly relay: Relay;
  /** Asks the node what the session has there, where that may free it. */
  inspectHere(): void;
}

/** Gives the backends of a session back as soon as nothing of it is there that cannot be brought elsewhere. */
export class Pooling {
  readonly #owner: PoolingOwner;
  readonly #berths: Berths;
  readonly #context: SessionContext;
  readonly #chooser: PooledChooser | null;
  /** What the prepared statements of the unit that was admitted last are called where it runs; null: as they are. */
  #aliases: ReadonlyMap<string, string> | null = null;
  /** What is known of the unit that is about to ask once more. */
  #awaited: UnitChoice | null = null;

  constructor(owner: PoolingOwner, berths: Berths, context: SessionContext) {
    const { route } = owner.intent;
    this.#owner = owner;
    this.#berths = berths;
    this.#context = context;
    this.#chooser = route === 'split' ? null : new PooledChooser(owner.state, route, () => context.limits.replayBytes);
  }

  /** For a session that goes one way only; see PooledChooser. */
  choose(type: number, buffer: Buffer, start: number, end: number, facts: TextFacts): UnitChoice | null {
    const awaited = this.#awaited;
    this.#awaited = null;
    if (awaited !== null) return awaited;
    return this.#chooser?.choose(type, buffer, start, end, facts) ?? null;
  }

  /**
   * Answers a unit that is nothing but the Parse of what others have prepared: no backend is needed for it, and none may be free as long as
   * the client waits for its answer. The body is as for RelayOwner.onUnitStart. False: a node must be asked.
   */
  hasPrepared(type: number, buffer: Buffer, start: number, end: number, facts: () => TextFacts): boolean {
    if (type !== Frontend.Parse || this.#berths.attached !== null || end === NOT_READ) return false;
    const isAlone = buffer.length >= end + HEADER_BYTES && buffer[end] === Frontend.Sync;
    return isAlone && this.#owner.state.prepareUnheard(buffer, start, end, facts);
  }

  /** The unit that waits has a backend now. `choice`: what was read of it when it began to wait; null: it is to be read again. */
  goOn(choice: UnitChoice | null): void {
    const { relay } = this.#owner;
    this.#awaited = choice;
    relay.resume();
    this.#awaited = null;
    this.rest();
  }

  /** The unit goes to the attached backend, where some of its statements may have other names. */
  admitted({ used, takesNumbers }: UnitChoice): void {
    const { id, state, relay } = this.#owner;
    if (takesNumbers && relay.backend !== null) this.#context.shared.takesNumbers(relay.backend, id);
    this.#aliases = used.length === 0 ? null : state.aliasesOf(used);
    relay.substitutes = this.#aliases !== null;
  }

  /** See RelayOwner. */
  substituteFor(type: number, buffer: Buffer, start: number, end: number): Buffer | null {
    return this.#aliases === null ? null : withOtherName(type, buffer, start, end, this.#aliases);
  }

  /** A name that somebody has made up exists on its backend for good: a session that has never mentioned it must not meet it. */
  fits(backend: Backend): boolean {
    const names = this.#context.shared.appliedOf(backend).madeUp;
    if (names.size === 0) return true;
    const { madeUp } = this.#owner.state;
    for (const name of names) if (!madeUp.has(name)) return false;
    return true;
  }

  /** See BerthsOwner. */
  isFreeOf({ applied, backend }: Berth): boolean {
    const { state } = this.#owner;
    if (!applied.isKnown || !backend.isAtBoundary || backend.cancelsInFlight > 0) return false;
    if (applied.listens && state.isListening) return false;
    return state.pinReason === null || (state.pinnedTo !== null && state.pinnedTo !== applied);
  }

  /** Nothing is owed to the client, and nothing of it waits. */
  rest(): void {
    const { relay } = this.#owner;
    if (!relay.isAtBoundary || relay.isWaiting) return;
    const { parked, attached } = this.#berths;
    if (parked !== null && this.isFreeOf(parked)) this.#berths.giveBack(parked, 'unit_end');
    if (attached === null) return;
    if (this.isFreeOf(attached)) this.#berths.giveBack(attached, 'unit_end');
    else this.#owner.inspectHere();
  }
}
