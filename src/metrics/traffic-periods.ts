import type { Clock, ClockTimer } from '../util/clock.js';
import { addTraffic, noTraffic } from './traffic.js';
import type { Traffic, TrafficCounts, TrafficTable } from './traffic.js';

const MS_PER_S = 1000;

/** What there was in all, and since when the averages count. */
export interface TrafficFigures {
  readonly name: string;
  readonly totals: TrafficCounts;
  /** Counts per second; times per unit, per transaction and per assignment. */
  readonly averages: TrafficCounts;
}

interface Snapshot {
  readonly atMs: number;
  readonly counts: ReadonlyMap<Traffic, TrafficCounts>;
}

/**
 * Remembers the counts of the last two turns of a period, as PgBouncer does: averages are taken since the one before the last turn, so
 * that they are about one to two periods and never about a moment.
 */
export class TrafficPeriods {
  readonly #table: TrafficTable;
  readonly #clock: Clock;
  readonly #periodMs: number;
  #newer: Snapshot;
  #older: Snapshot;
  #timer: ClockTimer;

  constructor(table: TrafficTable, clock: Clock, periodMs: number) {
    this.#table = table;
    this.#clock = clock;
    this.#periodMs = periodMs;
    this.#newer = { atMs: clock.nowMs(), counts: new Map() };
    this.#older = this.#newer;
    this.#timer = clock.setTimer(periodMs, () => this.#turn());
  }

  close(): void {
    this.#clock.clearTimer(this.#timer);
  }

  /** The figures of each database, in the order in which they were first used. */
  databases(): readonly TrafficFigures[] {
    const byName = new Map<string, Traffic[]>();
    for (const traffic of this.#table.all()) {
      const list = byName.get(traffic.database);
      if (list === undefined) byName.set(traffic.database, [traffic]);
      else list.push(traffic);
    }
    return [...byName].map(([name, list]) => this.#figures(name, list));
  }

  /** Those of all together. */
  all(): TrafficFigures {
    return this.#figures('', this.#table.all());
  }

  #figures(name: string, list: Iterable<Traffic>): TrafficFigures {
    const [totals, before] = [noTraffic(), noTraffic()];
    for (const traffic of list) {
      addTraffic(totals, traffic.counts);
      const old = this.#older.counts.get(traffic);
      if (old !== undefined) addTraffic(before, old);
    }
    return { name, totals, averages: average(totals, before, this.#clock.nowMs() - this.#older.atMs) };
  }

  #turn(): void {
    const counts = new Map<Traffic, TrafficCounts>();
    for (const traffic of this.#table.all()) counts.set(traffic, { ...traffic.counts });
    this.#older = this.#newer;
    this.#newer = { atMs: this.#clock.nowMs(), counts };
    this.#timer = this.#clock.setTimer(this.#periodMs, () => this.#turn());
  }
}

function average(now: TrafficCounts, before: TrafficCounts, ms: number): TrafficCounts {
  const grown = (key: keyof TrafficCounts): number => now[key] - before[key];
  const perSecond = (key: keyof TrafficCounts): number => (ms <= 0 ? 0 : (grown(key) * MS_PER_S) / ms);
  const per = (key: keyof TrafficCounts, what: keyof TrafficCounts): number =>
    grown(what) <= 0 ? 0 : grown(key) / grown(what);
  return {
    assignments: perSecond('assignments'),
    transactions: perSecond('transactions'),
    queries: perSecond('queries'),
    bytesIn: perSecond('bytesIn'),
    bytesOut: perSecond('bytesOut'),
    transactionUs: per('transactionUs', 'transactions'),
    queryUs: per('queryUs', 'queries'),
    waitUs: per('waitUs', 'assignments'),
    parses: perSecond('parses'),
    ownParses: perSecond('ownParses'),
    binds: perSecond('binds'),
    logins: perSecond('logins'),
  };
}
