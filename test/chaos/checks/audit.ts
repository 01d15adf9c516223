import { Fate } from '../load/attempt.js';
import { findWrites } from '../load/ground.js';
import type { FoundWrite } from '../load/ground.js';
import type { Acknowledgement, Ledger, RoundRecord, WorkerLedger } from '../load/ledger.js';

/** How many examples of a kind are shown. */
const EXAMPLES_MAX = 5;

/** What the table and the clients disagree about. All empty: the clients were told the truth. */
export interface AuditReport {
  /** Acknowledged, and not there. */
  readonly lost: number;
  /** There more than once. */
  readonly doubled: number;
  /** Reported as not done, and there. */
  readonly lies: number;
  /** On a lower timeline than a write that was acknowledged before it was sent. */
  readonly backwards: number;
  readonly examples: readonly string[];
}

interface Findings {
  readonly lost: Set<string>;
  readonly doubled: Set<string>;
  readonly lies: Set<string>;
  readonly backwards: Set<string>;
}

/** Compares what the workers of one load were told with what is in the table. */
export class Audit {
  readonly #ledger: Ledger;
  /** By worker: the first number that may have changed since the last look. */
  readonly #openFrom: Map<WorkerLedger, number>;
  #newestTimeline: number;

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
    this.#openFrom = new Map();
    this.#newestTimeline = 0;
  }

  /**
   * Looks at what was written since the last call, while the workers go on. To be called right after the record was taken: what is
   * answered later belongs to the next round.
   */
  async round(leader: { readonly host: string; readonly port: number }, record: RoundRecord): Promise<AuditReport> {
    const before = this.#ledger.workers.map((worker) => {
      const from = this.#openFrom.get(worker) ?? 0;
      return { worker, from, fates: fatesOf(worker, from) };
    });
    const found = emptyFindings();
    const timed: TimedWrite[] = [];
    for (const { worker, from, fates } of before) {
      const writes = await findWrites(leader, worker.index, from);
      compare(worker.name, fates, from, writes, found);
      this.#openFrom.set(worker, firstOpen(fates, from));
      timed.push(...withTimelines(worker.name, record.acknowledgements.get(worker) ?? [], writes));
    }
    this.#newestTimeline = checkOrder(timed, this.#newestTimeline, found.backwards);
    return reportOf(found);
  }

  /** Looks at everything once more: a write may be lost long after it was acknowledged. To be called when the workers have ended. */
  async everything(leader: { readonly host: string; readonly port: number }): Promise<AuditReport> {
    const found = emptyFindings();
    for (const worker of this.#ledger.workers) {
      const writes = await findWrites(leader, worker.index, 0);
      compare(worker.name, fatesOf(worker, 0), 0, writes, found);
    }
    return reportOf(found);
  }
}

/** An acknowledged write with the timeline that it is on. */
export interface TimedWrite extends Acknowledgement {
  readonly worker: string;
  readonly timeline: number;
}

function emptyFindings(): Findings {
  return { lost: new Set(), doubled: new Set(), lies: new Set(), backwards: new Set() };
}

/** A copy, taken before the table is read: what is acknowledged meanwhile may be too new for it. */
function fatesOf(worker: WorkerLedger, from: number): readonly Fate[] {
  return Array.from({ length: worker.issued - from }, (_, i) => worker.fateOf(from + i));
}

function firstOpen(fates: readonly Fate[], from: number): number {
  const open = fates.indexOf(Fate.Open);
  return from + (open < 0 ? fates.length : open);
}

/** Pure: adds to `found` what does not agree; `fates` begin with the number `from`. */
export function compare(
  worker: string,
  fates: readonly Fate[],
  from: number,
  writes: readonly FoundWrite[],
  found: { readonly lost: Set<string>; readonly doubled: Set<string>; readonly lies: Set<string> },
): void {
  const there = new Set<number>();
  for (const { n, copies, leastTimeline, mostTimeline } of writes) {
    there.add(n);
    if (copies > 1) found.doubled.add(`${worker} ${n}: ${copies} times, timelines ${leastTimeline} to ${mostTimeline}`);
    if (fates[n - from] === Fate.Refused)
      found.lies.add(`${worker} ${n}: reported as not done, on timeline ${leastTimeline}`);
  }
  for (const [i, fate] of fates.entries()) {
    if (fate === Fate.Acknowledged && !there.has(from + i)) found.lost.add(`${worker} ${from + i}`);
  }
}

function withTimelines(
  worker: string,
  acknowledgements: readonly Acknowledgement[],
  writes: readonly FoundWrite[],
): TimedWrite[] {
  const timelines = new Map(writes.map((write) => [write.n, write.leastTimeline]));
  return acknowledgements.flatMap((each) => {
    const timeline = timelines.get(each.n);
    return timeline === undefined ? [] : [{ ...each, worker, timeline }];
  });
}

/**
 * Pure: a write that was sent after another had been acknowledged must not be on a lower timeline. Returns the highest timeline of all,
 * for the next round, before which `newestBefore` was acknowledged.
 */
export function checkOrder(writes: readonly TimedWrite[], newestBefore: number, backwards: Set<string>): number {
  const byStart = writes.toSorted((a, b) => a.startedAtMs - b.startedAtMs);
  const byEnd = writes.toSorted((a, b) => a.endedAtMs - b.endedAtMs);
  let newest = newestBefore;
  let next = 0;
  for (const write of byStart) {
    for (let ended = byEnd[next]; ended !== undefined && ended.endedAtMs < write.startedAtMs; ended = byEnd[next]) {
      newest = Math.max(newest, ended.timeline);
      next += 1;
    }
    if (write.timeline < newest)
      backwards.add(`${write.worker} ${write.n}: timeline ${write.timeline} after ${newest}`);
  }
  return byEnd.reduce((highest, { timeline }) => Math.max(highest, timeline), newest);
}

function reportOf(found: Findings): AuditReport {
  const examples = Object.entries(found).flatMap(([kind, ids]: [string, ReadonlySet<string>]) =>
    [...ids].slice(0, EXAMPLES_MAX).map((id) => `${kind}: ${id}`),
  );
  return {
    lost: found.lost.size,
    doubled: found.doubled.size,
    lies: found.lies.size,
    backwards: found.backwards.size,
    examples,
  };
}
