import type { SwitchoverClaim } from '../dcs/claims.js';
import type { NodeName } from '../util/brand.js';

/** Where the cluster is on its way from one primary to the next. */
export const Phase = {
  /** There is a proven primary and nothing is announced. */
  Stable: 'stable',
  /** A switchover was asked for; the old primary still serves what has begun. */
  Announced: 'announced',
  /** There is no primary, and nobody is named. */
  LeaderLost: 'leader_lost',
  /** A node is named and has not proved itself yet. */
  Confirming: 'confirming',
} as const;
export type Phase = (typeof Phase)[keyof typeof Phase];

export interface PromotionState {
  readonly phase: Phase;
  /** Monotonic time since when the phase lasts. */
  readonly sinceMs: number;
  /** When the present disturbance began: the hold of the oldest unit at most. Null while stable. */
  readonly disturbedSinceMs: number | null;
  /** The proven primary, or the last one. */
  readonly primary: NodeName | null;
  /** Who is waited for, while confirming; the announced candidate before. */
  readonly candidate: NodeName | null;
  /** Revision of an announcement that was given up on. */
  readonly ignoredAnnouncement: bigint | null;
}

/** What the machine looks at; all of it at one instant. */
export interface PromotionInput {
  readonly nowMs: number;
  readonly epochMs: number;
  /** The view's proven primary. */
  readonly primary: NodeName | null;
  /** Whom the leader key names. */
  readonly leader: NodeName | null;
  readonly switchover: SwitchoverClaim | null;
  readonly announceTimeoutMs: number;
}

export const ReleaseOutcome = {
  /** Another node is the primary now. */
  Promoted: 'promoted',
  /** The switchover was called off, or did not begin in time. */
  CalledOff: 'called_off',
  /** The old primary is back. */
  Returned: 'returned',
  /** The first primary since the start. */
  First: 'first',
} as const;
export type ReleaseOutcome = (typeof ReleaseOutcome)[keyof typeof ReleaseOutcome];

export type PromotionAction =
  /** New units for the primary wait from now on. */
  | { readonly kind: 'hold'; readonly reason: string }
  /** Sample this node as fast as allowed; null: every node. */
  | { readonly kind: 'hurry'; readonly node: NodeName | null }
  | { readonly kind: 'rest' }
  | {
      readonly kind: 'release';
      readonly node: NodeName;
      readonly from: NodeName | null;
      readonly outcome: ReleaseOutcome;
    };

export interface PromotionStep {
  readonly state: PromotionState;
  readonly actions: readonly PromotionAction[];
}

export function initialPromotion(nowMs: number): PromotionState {
  return {
    phase: Phase.LeaderLost,
    sinceMs: nowMs,
    disturbedSinceMs: nowMs,
    primary: null,
    candidate: null,
    ignoredAnnouncement: null,
  };
}

/** The next state, and what is to be done. Pure. Calling it again with the same input changes nothing. */
export function stepPromotion(state: PromotionState, input: PromotionInput): PromotionStep {
  switch (state.phase) {
    case Phase.Stable:
      return whileServing(state, input, announcementFor(state, input));
    case Phase.Announced:
      return whileAnnounced(state, input);
    case Phase.LeaderLost:
    case Phase.Confirming:
    default:
      return whileLost(state, input);
  }
}

function whileServing(state: PromotionState, input: PromotionInput, announced: SwitchoverClaim | null): PromotionStep {
  if (input.primary === null) return lose(state, input);
  if (input.primary !== state.primary) return release(state, input, input.primary);
  if (announced === null) return { state, actions: [] };
  return announce(state, input, announced);
}

function announce(state: PromotionState, input: PromotionInput, announced: SwitchoverClaim): PromotionStep {
  const target = announced.candidate ?? 'another node';
  return {
    state: {
      ...state,
      phase: Phase.Announced,
      sinceMs: input.nowMs,
      disturbedSinceMs: state.disturbedSinceMs ?? input.nowMs,
      candidate: announced.candidate,
    },
    actions: [
      { kind: 'hold', reason: `a switchover from ${state.primary ?? 'the primary'} to ${target} was announced` },
      { kind: 'hurry', node: announced.candidate },
    ],
  };
}

function whileAnnounced(state: PromotionState, input: PromotionInput): PromotionStep {
  if (input.primary === null) return lose(state, input);
  if (input.primary !== state.primary) return release(state, input, input.primary);
  const announced = announcementFor(state, input);
  if (announced === null) return release(state, input, input.primary, ReleaseOutcome.CalledOff);
  if (input.nowMs - state.sinceMs < input.announceTimeoutMs) return { state, actions: [] };
  const given = release(state, input, input.primary, ReleaseOutcome.CalledOff);
  return { ...given, state: { ...given.state, ignoredAnnouncement: announced.revision } };
}

function whileLost(state: PromotionState, input: PromotionInput): PromotionStep {
  if (input.primary !== null) {
    // Back, but about to go: what waits would only be cut half-way.
    const announced = input.primary === state.primary ? announcementFor(state, input) : null;
    return announced === null ? release(state, input, input.primary) : announce(state, input, announced);
  }
  const phase = input.leader === null ? Phase.LeaderLost : Phase.Confirming;
  if (phase === state.phase && input.leader === state.candidate) return { state, actions: [] };
  return { state: { ...state, phase, sinceMs: input.nowMs, candidate: input.leader }, actions: waitFor(input.leader) };
}

function lose(state: PromotionState, input: PromotionInput): PromotionStep {
  const phase = input.leader === null ? Phase.LeaderLost : Phase.Confirming;
  return {
    state: {
      ...state,
      phase,
      sinceMs: input.nowMs,
      disturbedSinceMs: state.disturbedSinceMs ?? input.nowMs,
      candidate: input.leader,
    },
    actions: waitFor(input.leader),
  };
}

function waitFor(leader: NodeName | null): PromotionAction[] {
  const reason =
    leader === null ? 'there is no leader' : `${leader} holds the leader key and has not proved to be the primary yet`;
  return [
    { kind: 'hold', reason },
    { kind: 'hurry', node: leader },
  ];
}

function release(
  state: PromotionState,
  input: PromotionInput,
  node: NodeName,
  outcome: ReleaseOutcome = outcomeOf(state.primary, node),
): PromotionStep {
  return {
    state: {
      phase: Phase.Stable,
      sinceMs: input.nowMs,
      disturbedSinceMs: null,
      primary: node,
      candidate: null,
      ignoredAnnouncement: state.ignoredAnnouncement,
    },
    actions: [{ kind: 'rest' }, { kind: 'release', node, from: state.primary, outcome }],
  };
}

function outcomeOf(before: NodeName | null, now: NodeName): ReleaseOutcome {
  if (before === null) return ReleaseOutcome.First;
  return before === now ? ReleaseOutcome.Returned : ReleaseOutcome.Promoted;
}

/** The switchover that is due now and away from the present primary; null when there is none. */
function announcementFor(state: PromotionState, input: PromotionInput): SwitchoverClaim | null {
  const asked = input.switchover;
  if (asked === null || asked.revision === state.ignoredAnnouncement) return null;
  if (asked.scheduledAtEpochMs !== null && asked.scheduledAtEpochMs > input.epochMs) return null;
  // What is left over from a switchover that has just succeeded.
  if (asked.candidate === state.primary || (asked.leader !== null && asked.leader !== state.primary)) return null;
  if (input.leader !== null && input.leader !== state.primary) return null;
  return asked;
}
