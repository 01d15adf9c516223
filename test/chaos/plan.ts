import type { Fault } from './faults/fault.js';
import type { Mix } from './load/mixes.js';
import type { Dice } from '../support/dice.js';

/** What must hold beyond the honesty of every error. */
export interface Strictness {
  /** Most errors in one round: a number, or one for each statement that may be in flight. */
  readonly errorsPerRoundMax?: number | 'in_flight';
  /** Connections that may be lost in all. */
  readonly droppedMax?: number;
  /** The median gap may be above the median floor by this much. */
  readonly gapAboveFloorMs?: number;
}

/** What a run does. */
export interface Plan {
  readonly seed: number;
  readonly faults: readonly Fault[];
  readonly rounds: number;
  /** No round begins after so long; Infinity: all are run. */
  readonly durationMs: number;
  /** The faults come in the order given, not at random. */
  readonly isOrdered: boolean;
  readonly mix: Mix;
  /** Of the listener that all clients use who are not on the standbys by their own wish. */
  readonly route: 'primary' | 'split';
  readonly poolMode: 'session' | 'transaction';
  readonly isSynchronous: boolean;
  readonly etcdMembers: number;
  readonly holdTimeoutMs: number;
  readonly strictness: Strictness;
  /** The same load once more through HAProxy. */
  readonly withHaproxy: boolean;
  readonly logLevel: string;
  readonly keepLogs: boolean;
}

/** The faults of a run in their order: every kind comes once before any comes again. */
export function* draw(plan: Plan, dice: Dice): Generator<Fault> {
  const possible = plan.faults.filter((each) => each.etcdMembersMin <= plan.etcdMembers);
  if (possible.length === 0) throw new Error('no fault is possible with so few members of etcd');
  for (;;) yield* plan.isOrdered ? possible : dice.shuffled(possible);
}
