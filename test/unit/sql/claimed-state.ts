import type { Effect, StatementAnalysis } from '../../../src/sql/analysis.js';
import { PinReason } from '../../../src/sql/pin-reason.js';

/** RESET ALL leaves these alone (documentation, "RESET"). */
const NOT_RESET: ReadonlySet<string> = new Set(['role', 'session_authorization']);

/** What a session has left behind as its analyses claim, statement by statement, each in a transaction of its own. */
export class ClaimedState {
  /** The SQL that brings each setting back, oldest first. */
  readonly settings = new Map<string, string>();
  readonly prepared = new Map<string, { readonly sql: string; readonly does: StatementAnalysis }>();
  readonly channels = new Set<string>();
  /** By reason: the names of what is left behind; a star for what has none. */
  readonly pins = new Map<PinReason, Set<string>>();

  apply({ effects }: StatementAnalysis): void {
    for (const effect of effects) this.#applyOne(effect);
  }

  pinned(reason: PinReason): ReadonlySet<string> {
    return this.pins.get(reason) ?? new Set();
  }

  #applyOne(effect: Effect): void {
    switch (effect.kind) {
      case 'set':
        if (effect.isLocal) return;
        this.settings.delete(effect.name);
        this.settings.set(effect.name, effect.sql);
        return;
      case 'reset':
        if (!effect.isLocal) this.settings.delete(effect.name);
        return;
      case 'reset_all':
        for (const name of this.settings.keys()) if (!NOT_RESET.has(name)) this.settings.delete(name);
        return;
      case 'prepare':
        this.prepared.set(effect.name, { sql: effect.sql, does: effect.prepared });
        return;
      case 'execute': {
        const statement = this.prepared.get(effect.name);
        if (statement !== undefined) this.apply(statement.does);
        return;
      }
      case 'deallocate':
        if (effect.name === null) this.prepared.clear();
        else this.prepared.delete(effect.name);
        return;
      case 'listen':
        this.channels.add(effect.channel);
        return;
      case 'unlisten':
        if (effect.channel === null) this.channels.clear();
        else this.channels.delete(effect.channel);
        return;
      case 'close_cursor':
        this.#unpin(PinReason.CursorWithHold, effect.name);
        return;
      case 'discard':
        this.#discard(effect.what);
        return;
      case 'pin': {
        const names = this.pins.get(effect.reason) ?? new Set<string>();
        this.pins.set(effect.reason, names.add(effect.name ?? '*'));
        return;
      }
      case 'unpin':
        this.#unpin(effect.reason, effect.name);
        return;
      case 'set_transaction':
        // Gone with its transaction.
        return;
      default:
        throw new Error(`${effect.kind} is about transactions`);
    }
  }

  #unpin(reason: PinReason, name: string | null): void {
    if (name === null) this.pins.delete(reason);
    else this.pins.get(reason)?.delete(name);
  }

  #discard(what: 'all' | 'plans' | 'sequences' | 'temp'): void {
    if (what === 'temp') this.pins.delete(PinReason.TemporaryObject);
    if (what === 'sequences') this.pins.delete(PinReason.SequenceState);
    if (what !== 'all') return;
    this.pins.clear();
    this.settings.clear();
    this.prepared.clear();
    this.channels.clear();
  }
}
