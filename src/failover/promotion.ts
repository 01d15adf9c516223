import type { SwitchoverClaim } from '../dcs/claims.js';
import { Admits } from '../session/context.js';
import type { NodeName } from '../util/brand.js';

/** Where the cluster is on its way from one primary to the next. */
export const Phase = {
  /** There is a proven primary and nothing is announced. */
  Stable: 'stable',
  /** A switchover was asked for, or the primary is drained; it still serves what has begun. */
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
  /** The switchover that is waited for, and since when; null where only a drain announces that the primary goes. */
  readonly awaited: AwaitedSwitchover | null;
  /** Nothing new starts on the primary while it is announced that it goes, not even what could be sent again. */
  readonly isFirm: boolean;
  /** Revision of an announcement that was given up on. */
  readonly ignoredAnnouncement: bigint | null;
}

export interface AwaitedSwitchover {
  /** Of the `failover` key; another one is another announcement, with a time limit of its own. */
  readonly revision: bigint;
  readonly sinceMs: number;
}

/** An operator's word, or that of a script which Patroni runs, that a node is about to be stopped. */
export interface DrainClaim {
  readonly node: NodeName;
  /** Nothing new is to start there; else only what could be sent again when it is stopped. */
  readonly isFirm: boolean;
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
  /** The drain of the primary, as long as it lasts; of another node it means nothing here. */
  readonly drain: DrainClaim | null;
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
  /** What may start on the primary is another thing from now on; see {@link admitsOf}. */
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
    awaited: null,
    isFirm: false,
    ignoredAnnouncement: null,
  };
}

/** Which units may start on the primary. */
export function admitsOf({ phase, isFirm }: PromotionState): Admits {
  switch (phase) {
    case Phase.Stable:
      return Admits.All;
    case Phase.Announced:
      return isFirm ? Admits.None : Admits.Repeatable;
    case Phase.LeaderLost:
    case Phase.Confirming:
    default:
      return Admits.None;
  }
}

/** The next state, and what is to be done. Pure. Calling it again with the same input changes nothing. */
export function stepPromotion(state: PromotionState, input: PromotionInput): PromotionStep {
  switch (state.phase) {
    case Phase.Stable:
    case Phase.Announced:
      return whileServing(state, input);
    case Phase.LeaderLost:
    case Phase.Confirming:
    default:
      return whileLost(state, input);
  }
}

function whileServing(state: PromotionState, input: PromotionInput): PromotionStep {
  if (input.primary === null) return lose(state, input);
  if (input.primary !== state.primary) return release(state, input, input.primary);
  const announced = announcementOf(state, input);
  if (announced !== null) return announce(state, input, announced);
  if (state.phase === Phase.Stable) return { state, actions: [] };
  return release(state, input, input.primary, ReleaseOutcome.CalledOff);
}

/** That the primary will go: a switchover that is due and has not taken too long, a drain, or both. */
interface Announcement {
  readonly awaited: AwaitedSwitchover | null;
  readonly candidate: NodeName | null;
  readonly isFirm: boolean;
  readonly reason: string;
  readonly ignored: bigint | null;
}

function announcementOf(state: PromotionState, input: PromotionInput): Announcement | null {
  const asked = dueSwitchover(state, input);
  const awaited = asked === null ? null : awaitedSwitchover(state, asked, input.nowMs);
  const isOver = hasTakenTooLong(awaited, input);
  const drain = input.drain?.node === state.primary ? input.drain : null;
  if (drain === null && (asked === null || isOver)) return null;
  const from = state.primary ?? 'the primary';
  const to = asked?.candidate ?? 'another node';
  return {
    awaited: isOver ? null : awaited,
    candidate: isOver ? null : (asked?.candidate ?? null),
    isFirm: drain?.isFirm ?? false,
    reason: drain === null ? `a switchover from ${from} to ${to} was announced` : `${from} is about to be stopped`,
    ignored: isOver ? (awaited?.revision ?? null) : state.ignoredAnnouncement,
  };
}

function awaitedSwitchover(state: PromotionState, asked: SwitchoverClaim, nowMs: number): AwaitedSwitchover {
  return state.awaited?.revision === asked.revision ? state.awaited : { revision: asked.revision, sinceMs: nowMs };
}

function hasTakenTooLong(awaited: AwaitedSwitchover | null, input: PromotionInput): boolean {
  return awaited !== null && input.nowMs - awaited.sinceMs >= input.announceTimeoutMs;
}

function announce(state: PromotionState, input: PromotionInput, announced: Announcement): PromotionStep {
  const { awaited, candidate, isFirm, ignored } = announced;
  const isKnown = state.phase === Phase.Announced;
  const next: PromotionState = {
    ...state,
    phase: Phase.Announced,
    sinceMs: isKnown ? state.sinceMs : input.nowMs,
    disturbedSinceMs: state.disturbedSinceMs ?? input.nowMs,
    candidate,
    awaited,
    isFirm,
    ignoredAnnouncement: ignored,
  };
  const isSame = isKnown && state.awaited?.revision === awaited?.revision && state.isFirm === isFirm;
  if (isSame) return { state: next, actions: [] };
  return {
    state: next,
    actions: [
      { kind: 'hold', reason: announced.reason },
      { kind: 'hurry', node: candidate },
    ],
  };
}

function whileLost(state: PromotionState, input: PromotionInput): PromotionStep {
  if (input.primary !== null) {
    // Back, but about to go: transactions that wait would only be cut half-way.
    const announced = input.primary === state.primary ? announcementOf(state, input) : null;
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
      awaited: null,
      isFirm: false,
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
  const awaited = dueSwitchover(state, input);
  const isGivenUp = outcome === ReleaseOutcome.CalledOff && awaited !== null;
  const released: PromotionState = {
    phase: Phase.Stable,
    sinceMs: input.nowMs,
    disturbedSinceMs: null,
    primary: node,
    candidate: null,
    awaited: null,
    isFirm: false,
    ignoredAnnouncement: isGivenUp ? awaited.revision : state.ignoredAnnouncement,
  };
  // A new primary may be about to go itself: no transaction is to begin between the two.
  const next = announcementOf(released, input);
  const then = next === null ? { state: released, actions: [] } : announce(released, input, next);
  return {
    state: then.state,
    actions: [{ kind: 'rest' }, { kind: 'release', node, from: state.primary, outcome }, ...then.actions],
  };
}

function outcomeOf(before: NodeName | null, now: NodeName): ReleaseOutcome {
  if (before === null) return ReleaseOutcome.First;
  return before === now ? ReleaseOutcome.Returned : ReleaseOutcome.Promoted;
}

/** The switchover that is due now and away from the present primary; null when there is none. */
function dueSwitchover(state: PromotionState, input: PromotionInput): SwitchoverClaim | null {
  const asked = input.switchover;
  if (asked === null || asked.revision === state.ignoredAnnouncement) return null;
  if (asked.scheduledAtEpochMs !== null && asked.scheduledAtEpochMs > input.epochMs) return null;
  // What is left over from a switchover that has just succeeded.
  if (asked.candidate === state.primary || (asked.leader !== null && asked.leader !== state.primary)) return null;
  if (input.leader !== null && input.leader !== state.primary) return null;
  return asked;
}
