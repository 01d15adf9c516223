import type { TextFacts } from '../../sql/analysis.js';
import type { Target } from '../berths.js';
import type { UnitChoice } from '../split/chooser.js';
import { Extent, UnitAhead } from '../split/unit-ahead.js';
import type { SessionState } from '../state/session-state.js';

/** Why a unit goes where it goes: there is one way only. */
const REASON = 'route';

/** Reads each unit of a session that shares its backends, and goes one way only: which prepared statements must be where it runs. */
export class PooledChooser {
  readonly #ahead: UnitAhead;
  readonly #target: Target;

  /** `bytesMax`: longest unit that is read. */
  constructor(state: SessionState, target: Target, bytesMax: () => number) {
    this.#ahead = new UnitAhead(state, bytesMax, false);
    this.#target = target;
  }

  /** Null: more of the unit must be there first. The body is as for RelayOwner.onUnitStart. */
  choose(type: number, buffer: Buffer, start: number, end: number, facts: TextFacts): UnitChoice | null {
    const ahead = this.#ahead;
    ahead.read(type, buffer, start, end, facts);
    if (ahead.extent === Extent.Partial) return null;
    return {
      target: this.#target,
      reason: REASON,
      names: ahead.namesAtHand,
      used: ahead.used,
      mistake: null,
      shows: null,
      leaves: false,
      asksSequences: ahead.asksSequences,
      takesNumbers: ahead.takesNumbers,
      isRead: false,
    };
  }
}
