import { SwitchyardError } from '../errors.js';
import type { Logger } from '../log.js';
import type { Counters } from '../metrics/counters.js';
import { CloseReason } from '../session/close-reason.js';
import type { SessionRegistry } from '../session/registry.js';
import { describePin } from '../sql/pin-reason.js';
import type { NodeName } from '../util/brand.js';
import type { Clock, ClockTimer } from '../util/clock.js';

/** Lets the sessions of a node reach a boundary and move, and closes those that have not left in time. */
export class Drain {
  readonly #clock: Clock;
  readonly #registry: SessionRegistry;
  readonly #logger: Logger;
  readonly #counters: Counters;
  readonly #timeoutMs: () => number;
  readonly #timers = new Map<string, ClockTimer>();

  constructor(clock: Clock, registry: SessionRegistry, logger: Logger, counters: Counters, timeoutMs: () => number) {
    this.#clock = clock;
    this.#registry = registry;
    this.#logger = logger;
    this.#counters = counters;
    this.#timeoutMs = timeoutMs;
  }

  /** Nodes that are being drained. */
  get nodes(): readonly string[] {
    return [...this.#timers.keys()];
  }

  /** Begins, or begins anew, to drain sessions that use `node` as a `target`. Idle ones leave at once. */
  begin(node: NodeName, target: 'primary' | 'standby', why: string): void {
    const running = this.#timers.get(node);
    if (running !== undefined) this.#clock.clearTimer(running);
    this.#counters.drains += 1;
    let count = 0;
    for (const session of this.#registry.all()) {
      if (!session.isOn(node, target)) continue;
      count += 1;
      session.leaveIfIdle(node);
    }
    this.#logger.info({ node, target, sessions: count, why }, 'node is drained');
    this.#timers.set(
      node,
      this.#clock.setTimer(this.#timeoutMs(), () => this.#end(node, target, why)),
    );
  }

  /** The node has the role again for which its sessions were to leave: who is there now may stay. */
  cancel(node: NodeName): void {
    const running = this.#timers.get(node);
    if (running !== undefined) this.#clock.clearTimer(running);
    this.#timers.delete(node);
  }

  close(): void {
    for (const timer of this.#timers.values()) this.#clock.clearTimer(timer);
    this.#timers.clear();
  }

  #end(node: NodeName, target: 'primary' | 'standby', why: string): void {
    this.#timers.delete(node);
    for (const session of [...this.#registry.all()]) {
      if (!session.isOn(node, target)) continue;
      const pin = session.pinReason;
      const detail = pin === null ? null : `The session could not be moved to another node: ${describePin(pin)}.`;
      session.end(
        CloseReason.Drained,
        new SwitchyardError('session_cannot_move', `terminating connection: ${why}`, { detail }),
      );
    }
  }
}
