/** What is counted under the label of everything that has none of its own. */
export const OTHER_LABEL = 'other';
/** Most values of one label; what comes after them is counted as {@link OTHER_LABEL}. */
const LABELS_MAX = 200;
/** What an error code, a SQLSTATE or a reason looks like. */
const LABEL_PATTERN = /^\w{1,64}$/;

/**
 * A number that only grows, split by one label with a closed set of values. Some labels are SQLSTATEs that a node said: garbage, and
 * more values than anybody can look at, are counted together, so that no peer can make the metrics grow.
 */
export class LabelledCounter<Label extends string> {
  readonly #values = new Map<Label | typeof OTHER_LABEL, number>();

  add(label: Label, by = 1): void {
    const value = this.#values.get(label);
    if (value !== undefined) this.#values.set(label, value + by);
    else if (this.#values.size < LABELS_MAX && LABEL_PATTERN.test(label)) this.#values.set(label, by);
    else this.#values.set(OTHER_LABEL, this.get(OTHER_LABEL) + by);
  }

  get(label: Label | typeof OTHER_LABEL): number {
    return this.#values.get(label) ?? 0;
  }

  entries(): IterableIterator<[Label | typeof OTHER_LABEL, number]> {
    return this.#values.entries();
  }
}

/** One count of a {@link RoutedCounter}. */
export interface RoutedCount {
  readonly route: 'primary' | 'standby' | 'split';
  readonly target: 'primary' | 'standby';
  readonly reason: string;
  readonly count: number;
}

type CountsByTarget = Readonly<Record<RoutedCount['target'], LabelledCounter<string>>>;

/** Units by the route they came in on, the role of the node they were sent to, and why it was that one. Each is counted without a new string. */
export class RoutedCounter {
  readonly #counts: Readonly<Record<RoutedCount['route'], CountsByTarget>> = {
    primary: { primary: new LabelledCounter<string>(), standby: new LabelledCounter<string>() },
    standby: { primary: new LabelledCounter<string>(), standby: new LabelledCounter<string>() },
    split: { primary: new LabelledCounter<string>(), standby: new LabelledCounter<string>() },
  };

  add(route: RoutedCount['route'], target: RoutedCount['target'], reason: string): void {
    this.#counts[route][target].add(reason);
  }

  get(route: RoutedCount['route'], target: RoutedCount['target'], reason: string): number {
    return this.#counts[route][target].get(reason);
  }

  *entries(): IterableIterator<RoutedCount> {
    for (const route of ['primary', 'standby', 'split'] as const) {
      for (const target of ['primary', 'standby'] as const) {
        for (const [reason, count] of this.#counts[route][target].entries()) yield { route, target, reason, count };
      }
    }
  }
}

/** Durations with fixed bounds; as cheap as two additions and a short search. */
export class DurationHistogram {
  /** Upper bounds of the buckets in seconds, rising; there is one more bucket for what is above the last. */
  readonly boundsS: readonly number[];
  readonly counts: Float64Array;
  sumS: number;

  constructor(boundsS: readonly number[]) {
    this.boundsS = boundsS;
    this.counts = new Float64Array(boundsS.length + 1);
    this.sumS = 0;
  }

  observeMs(durationMs: number): void {
    const s = durationMs / 1000;
    let i = 0;
    while (i < this.boundsS.length && s > (this.boundsS[i] ?? Infinity)) i += 1;
    this.counts[i] = (this.counts[i] ?? 0) + 1;
    this.sumS += s;
  }

  get count(): number {
    let n = 0;
    for (const c of this.counts) n += c;
    return n;
  }
}

const HOLD_BOUNDS_S: readonly number[] = [0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 20, 30, 60, 120];
/** A read waits for tenths of a second at most, usually for the next sample. */
const FENCE_WAIT_BOUNDS_S: readonly number[] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1];
const CONNECT_BOUNDS_S: readonly number[] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];
/** From a statement's time to `pool.wait_timeout`. */
const POOL_WAIT_BOUNDS_S: readonly number[] = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
];

/**
 * What happened since the start, as plain numbers that the hot path can add to. Read when metrics are scraped; labels are closed unions
 * of their modules.
 */
export class Counters {
  clientsAccepted = 0;
  clientsRefused = 0;
  /** By error code. */
  readonly loginFailures = new LabelledCounter<string>();
  /** By close reason. */
  readonly sessionsClosed = new LabelledCounter<string>();
  clientBytesIn = 0;
  clientBytesOut = 0;
  /** Simple queries and Executes that were sent to a node. */
  statements = 0;
  /** Units ended by a ReadyForQuery that was forwarded, by target (`primary`, `standby`). */
  readonly units = new LabelledCounter<string>();
  /** Units that were sent to a node, by route, target and reason. */
  readonly routed = new RoutedCounter();
  /** Reads that a standby refused and that ran again elsewhere, by the SQLSTATE of the refusal. */
  readonly refusedReads = new LabelledCounter<string>();
  /** Waits of reads for a standby that has what their session has seen, also those in vain. */
  readonly fenceWaits = new DurationHistogram(FENCE_WAIT_BOUNDS_S);
  /** Readings of the catalogue of a database, by outcome (`ok`, `failed`). */
  readonly catalogLoads = new LabelledCounter<'ok' | 'failed'>();
  /** Units held, by hold reason. */
  readonly holds = new LabelledCounter<string>();
  /** Units that gave up waiting, by hold reason. */
  readonly holdTimeouts = new LabelledCounter<string>();
  readonly holdDuration = new DurationHistogram(HOLD_BOUNDS_S);
  /** Sessions that got another backend, by move reason. */
  readonly moves = new LabelledCounter<string>();
  /** Sessions closed because they could not move, by pin reason. */
  readonly unmovable = new LabelledCounter<string>();
  /** Units cut in the middle, by what the client was told (SQLSTATE). */
  readonly unitsCut = new LabelledCounter<string>();
  /** Units that were run again on another backend, by why that is right (`rolled_back`, `repeatable`, `query`, `plan_changed`). */
  readonly replays = new LabelledCounter<string>();
  /** Open transactions that ended with their node; their clients got 40001 once and went on. */
  transactionsLost = 0;
  /** COMMITs and statements whose outcome is unknown; their clients got 08007 and went on. */
  inDoubt = 0;
  /** Errors 25006 that reached a client of the primary route: never in a healthy world. */
  wrongRoleErrors = 0;
  backendsOpened = 0;
  readonly backendConnectDuration = new DurationHistogram(CONNECT_BOUNDS_S);
  /** By error code. */
  readonly backendConnectFailures = new LabelledCounter<string>();
  /** By reason. */
  readonly backendsClosed = new LabelledCounter<string>();
  backendsReused = 0;
  /** Beyond `pool.size`, for somebody who had waited. */
  backendsOpenedFromReserve = 0;
  /** Waits for a backend of the pool, those in vain included; who got an idle one at once did not wait. */
  readonly poolWait = new DurationHistogram(POOL_WAIT_BOUNDS_S);
  /** Requests that the pool gave up, by what was in the way: a key of `pool`, or `failing_logins`. */
  readonly poolRefused = new LabelledCounter<string>();
  /** Cancel requests, by outcome (`forwarded`, `held`, `idle`, `unknown_key`, `failed`). */
  readonly cancels = new LabelledCounter<string>();
  /** Statements that ran longer than `limits.query_timeout`, by what became of them (`canceled`, `ended`, `cut`). */
  readonly queryTimeouts = new LabelledCounter<'canceled' | 'ended' | 'cut'>();
  /** Connections that were cut because their peer took no bytes, by who that was. */
  readonly stuckPeers = new LabelledCounter<'client' | 'node'>();
  /** Sessions taken off a candidate because they held its promotion up. */
  evictions = 0;
  leaderChanges = 0;
  drains = 0;
  /** Readings of the configuration while the program runs, by outcome (`applied`, `refused`). */
  readonly configReloads = new LabelledCounter<string>();
}
