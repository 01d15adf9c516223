import type { Logger } from '../log.js';
import { DurationHistogram, LabelledCounter } from '../metrics/counters.js';
import type { Counters } from '../metrics/counters.js';
import type { NodeName } from '../util/brand.js';
import type { Clock } from '../util/clock.js';
import { countsBetween, readCounts } from './promotion-counts.js';
import type { PromotionCounts } from './promotion-counts.js';
import { RecordOutcome, RecordPhase, recordOutcomeOf, recordPhaseOf } from './promotion-record.js';
import type { PhaseRecord, PromotionRecord } from './promotion-record.js';
import type { PromotionAction, PromotionState, PromotionStep } from './promotion.js';

/** Records that are kept; older ones are only in the log. */
export const RECORDS_MAX = 50;
/** Phases of one record; a cluster that goes to and fro longer than this is told by its last phase. */
export const PHASES_MAX = 100;
/** A record stays open at least so long after the release, so that what the released sessions do then is counted. */
export const SETTLE_MS = 1_000;
/** And at most so long, however many are still held. */
export const RELEASING_MAX_MS = 60_000;

const PHASE_BOUNDS_S: readonly number[] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 20, 30, 60, 120];

/** The part of the queue of held units that is looked at. */
export interface HeldUnits {
  readonly oldestSinceMs: number | null;
}

interface OpenPhase {
  readonly phase: RecordPhase;
  readonly sinceMs: number;
  readonly startedAtEpochMs: number;
}

/** The record under way. */
interface Draft {
  readonly id: number;
  readonly from: NodeName;
  readonly timelineFrom: number;
  readonly sinceMs: number;
  readonly startedAtEpochMs: number;
  readonly countsBefore: PromotionCounts;
  readonly phases: PhaseRecord[];
  phase: OpenPhase | null;
  outcome: RecordOutcome | null;
  to: NodeName | null;
  timelineTo: number | null;
  releasedAtMs: number | null;
  pauseMs: number;
}

/**
 * Keeps a record of every promotion: told of each step of the machine, and looked after now and then. Reads the counters and the queue
 * of the held, and changes neither.
 */
export class PromotionRecorder {
  readonly outcomes = new LabelledCounter<RecordOutcome>();
  /** How long phases lasted, by phase. */
  readonly phaseDurations: ReadonlyMap<RecordPhase, DurationHistogram> = new Map(
    Object.values(RecordPhase).map((phase) => [phase, new DurationHistogram(PHASE_BOUNDS_S)]),
  );
  /** The longest wait of a unit, of each promotion. */
  readonly pauses = new DurationHistogram(PHASE_BOUNDS_S);
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #counters: Counters;
  readonly #held: HeldUnits;
  readonly #records: PromotionRecord[] = [];
  #draft: Draft | null = null;
  #nextId = 1;
  /** Of the last primary, when it became that. */
  #timeline: number | null = null;

  constructor(clock: Clock, logger: Logger, counters: Counters, held: HeldUnits) {
    this.#clock = clock;
    this.#logger = logger;
    this.#counters = counters;
    this.#held = held;
  }

  /** The record that is under way, as of now; null when there is none. */
  get current(): PromotionRecord | null {
    return this.#draft === null ? null : this.#write(this.#draft);
  }

  /** Those that are over, the newest first. */
  get records(): readonly PromotionRecord[] {
    return this.#records;
  }

  /** The machine has made a step; to be told before its actions are carried out. `timeline`: the highest known. */
  follow(before: PromotionState, step: PromotionStep, timeline: number): void {
    const release = step.actions.find((action) => action.kind === 'release');
    const phase = recordPhaseOf(step.state);
    if (release === undefined) {
      if (phase !== null) this.#enter(before.primary, phase, timeline);
      return;
    }
    this.#released(before.primary, release, timeline);
    this.#timeline = timeline;
    if (phase !== null) this.#enter(step.state.primary, phase, timeline);
  }

  /** To be called often while a record is under way: notices how long units wait, and when it is over. */
  look(): void {
    const draft = this.#draft;
    if (draft === null) return;
    this.#notePause(draft);
    if (draft.releasedAtMs === null) return;
    const sinceMs = this.#clock.nowMs() - draft.releasedAtMs;
    const { oldestSinceMs } = this.#held;
    const isEmpty = oldestSinceMs === null || oldestSinceMs > draft.releasedAtMs;
    if ((isEmpty && sinceMs >= SETTLE_MS) || sinceMs >= RELEASING_MAX_MS) this.#close(draft);
  }

  /** The drain of a standby begins; what is returned is to be called when it ends. */
  drainOf(node: NodeName): (isEmpty: boolean) => void {
    const { sinceMs, startedAtEpochMs, ...draft } = this.#draftOf(node, this.#timeline ?? 0);
    return (isEmpty) => {
      const durationMs = this.#clock.nowMs() - sinceMs;
      this.phaseDurations.get(RecordPhase.Draining)?.observeMs(durationMs);
      this.#keep({
        ...this.#write({ ...draft, sinceMs, startedAtEpochMs }),
        outcome: isEmpty ? RecordOutcome.Emptied : RecordOutcome.NotEmptied,
        disturbedMs: durationMs,
        phases: [Object.freeze({ phase: RecordPhase.Draining, startedAtEpochMs, durationMs })],
      });
    };
  }

  #enter(primary: NodeName | null, phase: RecordPhase, timeline: number): void {
    let draft = this.#draft;
    if (draft !== null && draft.releasedAtMs !== null) {
      // The next one has begun.
      this.#close(draft);
      draft = null;
    }
    // Before the first primary nobody is promoted: the cluster is being looked for.
    draft ??= primary === null ? null : this.#begin(primary, timeline);
    if (draft === null || draft.phase?.phase === phase) return;
    this.#notePause(draft);
    this.#endPhase(draft);
    draft.phase = { phase, sinceMs: this.#clock.nowMs(), startedAtEpochMs: this.#clock.epochMs() };
  }

  #released(from: NodeName | null, release: PromotionAction & { kind: 'release' }, timeline: number): void {
    const outcome = recordOutcomeOf(release.outcome);
    if (outcome === null || from === null) return;
    if (this.#draft !== null && this.#draft.releasedAtMs !== null) this.#close(this.#draft);
    const draft = this.#draft ?? this.#begin(from, timeline);
    this.#notePause(draft);
    this.#endPhase(draft);
    draft.outcome = outcome;
    draft.to = release.node;
    draft.timelineTo = timeline;
    draft.releasedAtMs = this.#clock.nowMs();
    draft.phase = {
      phase: RecordPhase.Releasing,
      sinceMs: draft.releasedAtMs,
      startedAtEpochMs: this.#clock.epochMs(),
    };
  }

  #begin(from: NodeName, timeline: number): Draft {
    this.#draft = this.#draftOf(from, timeline);
    return this.#draft;
  }

  #draftOf(from: NodeName, timeline: number): Draft {
    const id = this.#nextId;
    this.#nextId += 1;
    return {
      id,
      from,
      timelineFrom: this.#timeline ?? timeline,
      sinceMs: this.#clock.nowMs(),
      startedAtEpochMs: this.#clock.epochMs(),
      countsBefore: readCounts(this.#counters),
      phases: [],
      phase: null,
      outcome: null,
      to: null,
      timelineTo: null,
      releasedAtMs: null,
      pauseMs: 0,
    };
  }

  #endPhase(draft: Draft): void {
    if (draft.phase === null) return;
    const { phase, sinceMs, startedAtEpochMs } = draft.phase;
    const durationMs = this.#clock.nowMs() - sinceMs;
    draft.phase = null;
    this.phaseDurations.get(phase)?.observeMs(durationMs);
    if (draft.phases.length >= PHASES_MAX) draft.phases.pop();
    draft.phases.push(Object.freeze({ phase, startedAtEpochMs, durationMs }));
  }

  #notePause(draft: Draft): void {
    const { oldestSinceMs } = this.#held;
    // Whoever came after the release waits for something else.
    if (oldestSinceMs === null || oldestSinceMs > (draft.releasedAtMs ?? Number.POSITIVE_INFINITY)) return;
    draft.pauseMs = Math.max(draft.pauseMs, this.#clock.nowMs() - oldestSinceMs);
  }

  #close(draft: Draft): void {
    this.#endPhase(draft);
    this.#draft = null;
    this.pauses.observeMs(draft.pauseMs);
    this.#keep(this.#write(draft));
  }

  #keep(record: PromotionRecord): void {
    this.#records.unshift(Object.freeze(record));
    if (this.#records.length > RECORDS_MAX) this.#records.length = RECORDS_MAX;
    if (record.outcome !== null) this.outcomes.add(record.outcome);
    const { counts, phases, ...rest } = record;
    const durations = phases.map(({ phase, durationMs }) => `${phase} ${Math.round(durationMs ?? 0)} ms`).join(', ');
    this.#logger.info({ ...rest, phases: durations, ...counts }, 'a promotion is over');
  }

  #write(draft: Draft): PromotionRecord {
    const { phase, releasedAtMs } = draft;
    const open: PhaseRecord[] =
      phase === null ? [] : [{ phase: phase.phase, startedAtEpochMs: phase.startedAtEpochMs, durationMs: null }];
    return {
      id: draft.id,
      outcome: draft.outcome,
      from: draft.from,
      to: draft.to,
      timelineFrom: draft.timelineFrom,
      timelineTo: draft.timelineTo,
      startedAtEpochMs: draft.startedAtEpochMs,
      disturbedMs: releasedAtMs === null ? null : releasedAtMs - draft.sinceMs,
      pauseMs: draft.pauseMs,
      phases: [...draft.phases, ...open],
      counts: countsBetween(draft.countsBefore, readCounts(this.#counters)),
    };
  }
}
