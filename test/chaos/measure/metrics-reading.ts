/** The counters of the proxy that the report is about, summed over their labels. */
const COUNTERS = {
  held: 'switchyard_holds_total',
  moved: 'switchyard_moves_total',
  replayed: 'switchyard_replays_total',
  lostTransactions: 'switchyard_transactions_lost_total',
  inDoubt: 'switchyard_in_doubt_total',
  unmovable: 'switchyard_unmovable_sessions_total',
  wrongRole: 'switchyard_wrong_role_errors_total',
} as const;

export type CounterName = keyof typeof COUNTERS;
export type CounterValues = Readonly<Record<CounterName, number>>;

/** Gauges that must come back to where they were. */
const GAUGES = {
  sessions: 'switchyard_sessions',
  backends: 'switchyard_backends',
  heldSessions: 'switchyard_held_sessions',
  heapBytes: 'nodejs_heap_size_used_bytes',
} as const;

export type GaugeName = keyof typeof GAUGES;

/** One scrape. */
export interface MetricsReading {
  readonly counters: CounterValues;
  readonly gauges: Readonly<Record<GaugeName, number>>;
}

/** Reads the text format of Prometheus. A counter that the program does not have is NaN. */
export function readMetrics(text: string): MetricsReading {
  const sums = new Map<string, number>();
  for (const line of text.split('\n')) {
    const match = /^([a-z_]+)(?:\{.*\})? (\S+)$/.exec(line);
    if (match === null) continue;
    const [, name = '', value = ''] = match;
    sums.set(name, (sums.get(name) ?? 0) + Number(value));
  }
  const take = <Name extends string>(names: Readonly<Record<Name, string>>, absent: number): Record<Name, number> => {
    const taken = {} as Record<Name, number>;
    for (const [name, metric] of Object.entries(names) as [Name, string][]) taken[name] = sums.get(metric) ?? absent;
    return taken;
  };
  // A gauge by node or session has no line while there is none; a counter that is absent is not known.
  return { counters: take(COUNTERS, NaN), gauges: take(GAUGES, 0) };
}

/** What was added between two readings; the program counts from 0 again after a restart. */
export function growth(before: CounterValues, after: CounterValues, hasRestarted: boolean): CounterValues {
  const grown = (name: CounterName): number => after[name] - (hasRestarted ? 0 : before[name]);
  return {
    held: grown('held'),
    moved: grown('moved'),
    replayed: grown('replayed'),
    lostTransactions: grown('lostTransactions'),
    inDoubt: grown('inDoubt'),
    unmovable: grown('unmovable'),
    wrongRole: grown('wrongRole'),
  };
}
