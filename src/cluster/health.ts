import { FailureKind } from '../replication/probe-failure.js';
import type { ProbeFailure } from '../replication/probe-failure.js';
import type { Lag } from '../replication/ticks.js';
import { assertNever } from '../util/assert-never.js';
import { NodeHealth } from './view.js';

/** When a standby is fresh enough. The names are those of the section `routing` of the configuration. */
export interface HealthOptions {
  /** Further behind than this is stale. */
  readonly maxLagMs: number;
  readonly maxLagBytes: number;
  /** A lagging standby must be at most so far behind to come back; not above the limits. */
  readonly recoverLagMs: number;
  readonly recoverLagBytes: number;
  /** Samples in a row that must agree. */
  readonly lagSamples: number;
  /** Least time for which a standby that was lagging or unreachable must have been good again. */
  readonly minDwellMs: number;
  /** Whether a standby without a WAL stream is out, however fresh it is. */
  readonly requireStreaming: boolean;
  /** Least time for which a node that has just been started must have been good. */
  readonly warmUpMs: number;
  /** Without an answer for so long, nothing is known. */
  readonly sampleMaxAgeMs: number;
}

/** Failures in a row that prove something, where one is only a slow or unlucky probe. */
export const SOFT_FAILURES = 2;
/** Two samples count as two only this far apart: at one moment both may be wrong for the same reason. */
export const SAMPLE_SPACING_MS = 100;
/** A stream that ends and comes back within this (a new primary to follow) is no loss of the stream. */
export const STREAM_GRACE_MS = 10_000;
/** A node whose postmaster is younger than this at the first contact has just been started. */
export const YOUNG_NODE_MS = 60_000;
/** A node that lags again this soon after it came back must be good for twice as long the next time. */
export const FLAP_WINDOW_MS = 60_000;
/** The longest time for which a node must be good before it comes back. */
export const DWELL_MAX_MS = 60_000;

/** What one answered sample says about the freshness of a node. */
export interface Measure {
  /** A node out of recovery is behind nobody. */
  readonly isPrimary: boolean;
  readonly lag: Lag;
  /** Null: the monitor role may not see it. */
  readonly streaming: boolean | null;
  /** Whether there is a primary to stream from: one that gives ticks. */
  readonly canStream: boolean;
  readonly replayPaused: boolean;
  /** Monotonic time at which its postmaster started; null: unknown. */
  readonly startedAtMs: number | null;
  /** What the monitor role could not see; null when nothing is missing. */
  readonly gap: string | null;
  /** Set when the node is on another timeline than the primary; one sentence. */
  readonly timelineTrouble: string | null;
}

/** The health of one node and all that it hangs on. Replaced, never changed. */
export interface HealthState {
  readonly health: NodeHealth;
  /** Why the node is not healthy; null when it is. */
  readonly reason: string | null;
  /** When the present health began. */
  readonly sinceMs: number;
  /** How many samples in a row were good, and since when; the same for the bad ones. Between the two limits both are 0. */
  readonly goodInRow: number;
  readonly goodSinceMs: number;
  readonly badInRow: number;
  /** Time of the newest sample that counted. */
  readonly countedAtMs: number;
  readonly failuresInRow: number;
  /** Time of the newest answer; null before the first. */
  readonly answeredAtMs: number | null;
  /** Since when it could stream and does not; null while it does, or cannot. */
  readonly streamMissedSinceMs: number | null;
  /** How long the node must be good before it comes back; 0 for one that was never out. */
  readonly dwellMs: number;
  /** How often in a row it went out soon after it had come back. */
  readonly flaps: number;
  /** The node was started lately, or went away: it has to warm up. */
  readonly isYoung: boolean;
}

/** A node of which nothing is known. */
export function initialHealth(nowMs: number): HealthState {
  return {
    health: NodeHealth.Unknown,
    reason: 'no answer yet',
    sinceMs: nowMs,
    goodInRow: 0,
    goodSinceMs: nowMs,
    badInRow: 0,
    countedAtMs: Number.NEGATIVE_INFINITY,
    failuresInRow: 0,
    answeredAtMs: null,
    streamMissedSinceMs: null,
    dwellMs: 0,
    flaps: 0,
    isYoung: false,
  };
}

type Verdict =
  | { readonly kind: 'good' }
  /** Between the two limits: confirms what is. */
  | { readonly kind: 'between'; readonly reason: string }
  | { readonly kind: 'bad'; readonly reason: string }
  /** Freshness cannot be known. */
  | { readonly kind: 'unknown'; readonly reason: string };

/** The health after an answered sample. */
export function healthAfterSample(
  state: HealthState,
  measure: Measure,
  nowMs: number,
  options: HealthOptions,
): HealthState {
  const isStreamMissed = measure.streaming === false && measure.canStream;
  const answered: HealthState = {
    ...state,
    failuresInRow: 0,
    answeredAtMs: nowMs,
    streamMissedSinceMs: isStreamMissed ? (state.streamMissedSinceMs ?? nowMs) : null,
    isYoung: state.answeredAtMs === null ? isYoungAt(measure, nowMs) : state.isYoung,
  };
  if (measure.isPrimary) {
    return enter(answered, NodeHealth.Healthy, null, nowMs, options);
  }
  const reachable =
    state.health === NodeHealth.Unreachable
      ? { ...enter(answered, NodeHealth.Unknown, 'answers again, warming up', nowMs, options), isYoung: true }
      : answered;
  const verdict = judge(measure, reachable, nowMs, options);
  return settle(count(reachable, verdict, nowMs), verdict, nowMs, options);
}

/** The health after a probe that gave no sample. */
export function healthAfterFailure(
  state: HealthState,
  failure: ProbeFailure,
  nowMs: number,
  options: HealthOptions,
): HealthState {
  const failed: HealthState = { ...state, goodInRow: 0, failuresInRow: state.failuresInRow + 1 };
  const { certainty, health } = meaningOf(failure.kind);
  if (certainty === 'soft' && failed.failuresInRow < SOFT_FAILURES) {
    return failed;
  }
  return enter(failed, health, failure.message, nowMs, options);
}

/** The health as time goes by: an old answer says nothing any more. */
export function healthAfterTime(state: HealthState, nowMs: number, options: HealthOptions): HealthState {
  const isOld = state.answeredAtMs !== null && nowMs - state.answeredAtMs > options.sampleMaxAgeMs;
  if (!isOld || state.health === NodeHealth.Unknown || state.health === NodeHealth.Unreachable) {
    return state;
  }
  return enter({ ...state, goodInRow: 0, badInRow: 0 }, NodeHealth.Unknown, 'no answer lately', nowMs, options);
}

/** Whether a failure proves by itself that the node cannot be used (`hard`) or only together with others (`soft`), and what it proves. */
export function meaningOf(kind: FailureKind): { readonly certainty: 'hard' | 'soft'; readonly health: NodeHealth } {
  switch (kind) {
    case FailureKind.Refused:
    case FailureKind.StartingUp:
    case FailureKind.ShuttingDown:
    case FailureKind.NotAccepting:
      return { certainty: 'hard', health: NodeHealth.Unreachable };
    case FailureKind.Timeout:
    case FailureKind.Lost:
    case FailureKind.Other:
      return { certainty: 'soft', health: NodeHealth.Unreachable };
    case FailureKind.LoginFailed:
    case FailureKind.NoSlot:
    case FailureKind.Protocol:
      return { certainty: 'soft', health: NodeHealth.Unknown };
    default:
      return assertNever(kind);
  }
}

function isYoungAt(measure: Measure, nowMs: number): boolean {
  return measure.startedAtMs !== null && nowMs - measure.startedAtMs < YOUNG_NODE_MS;
}

function judge(measure: Measure, state: HealthState, nowMs: number, options: HealthOptions): Verdict {
  const { lag } = measure;
  const why = causeOf(measure);
  if (options.requireStreaming && measure.streaming === null) {
    return { kind: 'unknown', reason: measure.gap ?? 'whether it streams is not known' };
  }
  if (lag.ms === null) {
    return { kind: 'unknown', reason: 'lag unknown: no primary has given its WAL position lately' };
  }
  if (lag.ms > options.maxLagMs || (lag.bytes !== null && lag.bytes > options.maxLagBytes)) {
    const limit = lag.ms > options.maxLagMs ? `${options.maxLagMs} ms` : `${options.maxLagBytes} bytes`;
    return { kind: 'bad', reason: `${why} (more than ${limit} behind)` };
  }
  if (!lag.exact) {
    // Not once caught up since we look: a lower bound that is still small proves nothing either way.
    return { kind: 'between', reason: `${why} (not caught up yet)` };
  }
  if (options.requireStreaming && state.streamMissedSinceMs !== null) {
    const graceMs = state.health === NodeHealth.Healthy ? STREAM_GRACE_MS : 0;
    if (nowMs - state.streamMissedSinceMs >= graceMs) {
      return { kind: 'bad', reason: 'receives no WAL stream' };
    }
  }
  if (lag.ms > options.recoverLagMs || (lag.bytes !== null && lag.bytes > options.recoverLagBytes)) {
    return { kind: 'between', reason: why };
  }
  return { kind: 'good' };
}

function causeOf(measure: Measure): string {
  if (measure.timelineTrouble !== null) {
    return measure.gap === null ? measure.timelineTrouble : `${measure.timelineTrouble}; ${measure.gap}`;
  }
  return measure.replayPaused ? 'replay is paused' : 'replay is behind';
}

/** Counts runs of equal verdicts; a sample too close to the last one that counted does not lengthen a run, but may break one. */
function count(state: HealthState, verdict: Verdict, nowMs: number): HealthState {
  const counts = nowMs - state.countedAtMs >= SAMPLE_SPACING_MS ? 1 : 0;
  const countedAtMs = counts === 1 ? nowMs : state.countedAtMs;
  switch (verdict.kind) {
    case 'good':
      return {
        ...state,
        countedAtMs,
        badInRow: 0,
        goodInRow: state.goodInRow === 0 ? 1 : state.goodInRow + counts,
        goodSinceMs: state.goodInRow === 0 ? nowMs : state.goodSinceMs,
      };
    case 'between':
      return { ...state, countedAtMs, badInRow: 0, goodInRow: 0 };
    case 'bad':
    case 'unknown':
      return { ...state, countedAtMs, goodInRow: 0, badInRow: state.badInRow === 0 ? 1 : state.badInRow + counts };
    default:
      return assertNever(verdict);
  }
}

function settle(state: HealthState, verdict: Verdict, nowMs: number, options: HealthOptions): HealthState {
  switch (verdict.kind) {
    case 'good':
      if (state.health === NodeHealth.Healthy) {
        return state;
      }
      return mayComeBack(state, nowMs, options)
        ? enter(state, NodeHealth.Healthy, null, nowMs, options)
        : { ...state, reason: 'fresh, but not for long enough yet' };
    case 'between':
      return state.health === NodeHealth.Healthy ? state : { ...state, reason: verdict.reason };
    case 'bad':
    case 'unknown': {
      const isFirst = state.health === NodeHealth.Unknown && state.dwellMs === 0;
      if (state.badInRow < options.lagSamples && !isFirst) {
        return state;
      }
      const health = verdict.kind === 'bad' ? NodeHealth.Lagging : NodeHealth.Unknown;
      return enter(state, health, verdict.reason, nowMs, options);
    }
    default:
      return assertNever(verdict);
  }
}

/**
 * A node that was never out needs one good sample: what it has replayed is a hard fact. One that was out must have been good for as many
 * samples as it takes, and without a break for longer than `dwellMs`.
 */
function mayComeBack(state: HealthState, nowMs: number, options: HealthOptions): boolean {
  const goodForMs = nowMs - state.goodSinceMs;
  if (state.isYoung && goodForMs < options.warmUpMs) {
    return false;
  }
  return state.dwellMs === 0 || (state.goodInRow >= options.lagSamples && goodForMs > state.dwellMs);
}

/** The one place where health changes. */
function enter(
  state: HealthState,
  health: NodeHealth,
  reason: string | null,
  nowMs: number,
  options: HealthOptions,
): HealthState {
  if (state.health === health) {
    return { ...state, reason };
  }
  const entered: HealthState = { ...state, health, reason, sinceMs: nowMs };
  if (health === NodeHealth.Healthy) {
    return { ...entered, isYoung: false };
  }
  const isOut = health === NodeHealth.Lagging || health === NodeHealth.Unreachable;
  return isOut ? { ...entered, ...penaltyOf(state, health, nowMs, options) } : entered;
}

/**
 * How long a node that goes out must be good before it comes back. One that lags: longer than the limit at which it may come back, since a
 * standby that jumps forward and stands still again (an archive that comes in pieces) is good for exactly that long, and would come and
 * go for ever. One that goes out again soon after it came back: twice as long as the last time.
 */
function penaltyOf(
  state: HealthState,
  health: NodeHealth,
  nowMs: number,
  options: HealthOptions,
): { readonly dwellMs: number; readonly flaps: number } {
  const wasHealthy = state.health === NodeHealth.Healthy;
  const isFlap = wasHealthy && state.dwellMs > 0 && nowMs - state.sinceMs < FLAP_WINDOW_MS;
  const flaps = isFlap ? state.flaps + 1 : wasHealthy ? 0 : state.flaps;
  const leastMs = Math.max(1, options.minDwellMs, health === NodeHealth.Lagging ? options.recoverLagMs : 0);
  const dwellMs = Math.min(DWELL_MAX_MS, leastMs * 2 ** flaps);
  return { dwellMs: wasHealthy ? dwellMs : Math.max(dwellMs, state.dwellMs), flaps };
}
