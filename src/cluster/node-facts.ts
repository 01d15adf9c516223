import type { Lsn, MemberClaim } from '../dcs/claims.js';
import type { ProbeFailure } from '../replication/probe-failure.js';
import type { ConnectResult, ProbeResult, ProbeSample } from '../replication/probe.js';
import type { Lag, Ticks } from '../replication/ticks.js';
import type { NodeName } from '../util/brand.js';
import {
  SOFT_FAILURES,
  healthAfterFailure,
  healthAfterSample,
  healthAfterTime,
  initialHealth,
  meaningOf,
} from './health.js';
import type { HealthOptions, HealthState } from './health.js';
import type { NodeProof } from './policy.js';
import { NodeRole } from './view.js';

/**
 * How long the last proof of a node outlives its probes while the node has no slot for the monitor role: it lives, and says no more than
 * that. Every backend proves itself again before it gets a write, whatever this says.
 */
export const PROOF_AGE_MAX_MS = 30_000;

/** The start of one postmaster, computed anew over every connection, varies by less than this. */
const SAME_START_MS = 1000;

const NO_LAG: Lag = { bytes: null, ms: null, exact: false, tick: null };

/** Everything that is known about one node by probing it. One per node and address; lives as long as the node is probed. */
export class NodeFacts {
  readonly name: NodeName;
  readonly host: string;
  readonly port: number;
  /** The newest claim about the node. */
  claim: MemberClaim;
  /** Monotonic time since which nobody claims the node any more; null while somebody does. */
  departedAtMs: number | null;
  #sample: ProbeSample | null;
  /** The newest failure; null when the newest probe gave a sample. */
  #failure: ProbeFailure | null;
  #failuresInRow: number;
  #health: HealthState;
  #lag: Lag;
  /** The answer of `caughtUpTick` to the newest sample, as long as no tick is recorded. It is asked for every unit of a session. */
  #caughtUp: { readonly lastRecorded: number; readonly tick: number | null } | null;
  #caughtUpAtMs: number | null;
  #connectFailuresInRow: number;
  #connectTrouble: string | null;
  #freeConnections: number | null;

  constructor(claim: MemberClaim, nowMs: number) {
    this.name = claim.name;
    this.host = claim.host;
    this.port = claim.port;
    this.claim = claim;
    this.departedAtMs = null;
    this.#sample = null;
    this.#failure = null;
    this.#failuresInRow = 0;
    this.#health = initialHealth(nowMs);
    this.#lag = NO_LAG;
    this.#caughtUp = null;
    this.#caughtUpAtMs = null;
    this.#connectFailuresInRow = 0;
    this.#connectTrouble = null;
    this.#freeConnections = null;
  }

  /** The newest sample, however old; null before the first. */
  get sample(): ProbeSample | null {
    return this.#sample;
  }

  get health(): HealthState {
    return this.#health;
  }

  /** The lag at the newest sample. */
  get lag(): Lag {
    return this.#lag;
  }

  /** Why new connections hang or are refused while old ones live; null: they do not. */
  get connectTrouble(): string | null {
    return this.#connectTrouble;
  }

  /** Of the newest sample that counted them; null: never, or in recovery since. */
  get freeConnections(): number | null {
    return this.#freeConnections;
  }

  applyResult(result: ProbeResult, ticks: Ticks, nowMs: number, options: HealthOptions): void {
    if (result.ok) {
      this.#applySample(result, ticks, nowMs, options);
      return;
    }
    this.#failure = result;
    this.#failuresInRow += 1;
    this.#caughtUp = null;
    this.#health = healthAfterFailure(this.#health, result, nowMs, options);
  }

  applyConnect(result: ConnectResult): void {
    if (result.ok) {
      this.#connectFailuresInRow = 0;
      this.#connectTrouble = null;
      return;
    }
    switch (result.kind) {
      case 'refused':
      case 'starting_up':
      case 'shutting_down':
      case 'not_accepting':
        this.#connectTrouble = `new connections are refused: ${result.message}`;
        return;
      case 'timeout':
      case 'lost':
      case 'other':
        this.#connectFailuresInRow += 1;
        if (this.#connectFailuresInRow >= SOFT_FAILURES) {
          this.#connectTrouble = `new connections hang: ${result.message}`;
        }
        return;
      default:
        // Something answered: that the monitor role was not let in says nothing about other roles.
        this.#connectFailuresInRow = 0;
        this.#connectTrouble = null;
    }
  }

  applyTime(nowMs: number, options: HealthOptions): void {
    this.#health = healthAfterTime(this.#health, nowMs, options);
  }

  /**
   * What the node has proven, as far as its newest probes leave it standing. An answer older than `sampleMaxAgeMs` proves nothing: when
   * this process stood still, the first thing it knows must not be what was true before.
   */
  proof(nowMs: number, sampleMaxAgeMs: number): NodeProof {
    const failure = this.#failure;
    const isAlive = failure?.kind === 'no_slot' && this.#sample !== null;
    if (failure !== null) {
      const isSure = meaningOf(failure.kind).certainty === 'hard' || failure.kind === 'lost';
      if (isSure || (this.#failuresInRow >= SOFT_FAILURES && !isAlive)) {
        return { status: 'none', reason: failure.message };
      }
    }
    if (this.#sample === null) {
      return { status: 'pending' };
    }
    if (nowMs - this.#sample.answeredAtMs > (isAlive ? PROOF_AGE_MAX_MS : sampleMaxAgeMs)) {
      return { status: 'none', reason: failure?.message ?? 'no answer lately' };
    }
    return {
      status: this.#sample.inRecovery ? 'standby' : 'primary',
      timeline: this.#sample.timeline,
      systemIdentifier: this.#sample.identity.systemIdentifier,
    };
  }

  /** What the node proved itself to be; `unknown` also when it does not belong to this cluster. */
  role(nowMs: number, sampleMaxAgeMs: number, systemIdentifier: string | null): NodeRole {
    const proof = this.proof(nowMs, sampleMaxAgeMs);
    if (proof.status === 'pending' || proof.status === 'none') {
      return NodeRole.Unknown;
    }
    if (systemIdentifier !== null && proof.systemIdentifier !== systemIdentifier) {
      return NodeRole.Unknown;
    }
    return proof.status === 'primary' ? NodeRole.Primary : NodeRole.Standby;
  }

  /** Number of the newest tick of which the node has replayed everything for sure; null: of none that is kept. */
  caughtUpTick(ticks: Ticks): number | null {
    const known = this.#caughtUp;
    if (known !== null && known.lastRecorded === ticks.lastRecorded) {
      return known.tick;
    }
    const replayLsn = this.replayed(ticks);
    const tick = replayLsn === null ? null : ticks.caughtUpTick(replayLsn);
    this.#caughtUp = { lastRecorded: ticks.lastRecorded, tick };
    return tick;
  }

  /**
   * What the node has replayed for sure, as a position that the ticks can be compared with; null: not known. A node that could not be
   * asked may have been started again, and show less than before until it has caught up.
   */
  replayed(ticks: Ticks): Lsn | null {
    const sample = this.#sample;
    if (sample === null || this.#failure !== null || ticks.source === null) {
      return null;
    }
    return sample.timeline === ticks.source.timeline ? sample.replayLsn : null;
  }

  #applySample(answer: ProbeSample, ticks: Ticks, nowMs: number, options: HealthOptions): void {
    const previous = this.#sample;
    const sample = withKnownTimeline(answer, previous);
    if (previous?.identity !== sample.identity) {
      // Another connection than last time: a new one can be had.
      this.#connectFailuresInRow = 0;
      this.#connectTrouble = null;
    }
    const wasDemoted = previous !== null && !previous.inRecovery && sample.inRecovery;
    this.#sample = sample;
    this.#caughtUp = null;
    if (sample.inRecovery) {
      this.#freeConnections = null;
    } else {
      this.#freeConnections = sample.freeConnections ?? this.#freeConnections;
    }
    this.#failure = null;
    this.#failuresInRow = 0;
    this.#lag = this.#lagOf(sample, ticks, nowMs);
    // Not behind the newest tick is not behind at all, also while there is no primary to give a newer one.
    const caughtUpAtMs = this.#lag.ms === 0 ? nowMs : (this.#lag.tick?.sentAtMs ?? null);
    this.#caughtUpAtMs = laterOf(this.#caughtUpAtMs, caughtUpAtMs);
    const { newest, source } = ticks;
    this.#health = healthAfterSample(
      wasDemoted ? initialHealth(nowMs) : this.#health,
      {
        isPrimary: !sample.inRecovery,
        lag: this.#lag,
        streaming: sample.streaming,
        canStream: newest !== null && nowMs - newest.sentAtMs <= options.sampleMaxAgeMs,
        replayPaused: sample.replayPaused,
        startedAtMs: sample.identity.startedAtMs,
        gap: sample.gap,
        timelineTrouble:
          source === null || sample.timeline === source.timeline
            ? null
            : `on timeline ${sample.timeline ?? 'unknown'}, ${source.node} is on ${source.timeline}`,
      },
      nowMs,
      options,
    );
  }

  #lagOf(sample: ProbeSample, ticks: Ticks, nowMs: number): Lag {
    if (!sample.inRecovery) {
      return { bytes: 0, ms: 0, exact: true, tick: ticks.newest };
    }
    return ticks.lag({
      replayLsn: sample.replayLsn,
      timeline: sample.timeline,
      nowMs,
      caughtUpAtMs: this.#caughtUpAtMs,
    });
  }
}

/**
 * A standby that loses its WAL receiver shows the timeline of its control file, which may still be the one before last. But replay never
 * goes back to an older timeline while the server runs, so what it was seen on stays true.
 */
function withKnownTimeline(sample: ProbeSample, previous: ProbeSample | null): ProbeSample {
  if (previous === null || !previous.inRecovery || !sample.inRecovery || !isSameServer(previous, sample)) {
    return sample;
  }
  const timeline = laterOf(previous.timeline, sample.timeline);
  return timeline === sample.timeline ? sample : { ...sample, timeline };
}

function isSameServer({ identity: a }: ProbeSample, { identity: b }: ProbeSample): boolean {
  if (a === b) {
    return true;
  }
  const isSameStart =
    a.startedAtMs !== null && b.startedAtMs !== null && Math.abs(a.startedAtMs - b.startedAtMs) < SAME_START_MS;
  return isSameStart && a.systemIdentifier !== null && a.systemIdentifier === b.systemIdentifier;
}

function laterOf(a: number | null, b: number | null): number | null {
  return a === null || b === null ? (a ?? b) : Math.max(a, b);
}
