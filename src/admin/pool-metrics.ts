import type { PoolFigures } from '../backend/pool/figures.js';
import { OTHER_LABEL } from '../metrics/counters.js';
import type { MetricsRegistry, Series } from '../metrics/registry.js';
import type { Proxy } from './proxy.js';

const MS_PER_S = 1000;
/** Most databases with series of their own; clients can make up names. Those with the fewest backends and waiters are counted together. */
const DATABASES_MAX = 50;
/** The keys of `pool` that can be in the way, and a node that lets nobody in. */
const BOUNDS = [
  'size',
  'max_backends_per_database',
  'max_backends_per_user',
  'max_backends_per_node',
  'max_backends',
  'login_concurrency',
  'failing_logins',
] as const;

/** Who waits for backends, for how long, and what for. */
export function addPoolMetrics(metrics: MetricsRegistry, { counters, pool, watch }: Proxy): void {
  // Nodes of the view and no others, as with the backends.
  const figures = (): readonly PoolFigures[] => pool.figures.filter(({ node }) => watch.store.view.nodes.has(node));
  metrics.gauges(
    'pool_backends',
    'Connections to the node for a database, of all its users: in use, idle, being opened and being reset. Of more than 50 databases those with the fewest are other.',
    ['node', 'database'],
    () => byDatabase(figures(), ({ total }) => total),
  );
  metrics.gauges(
    'pool_waiting',
    'Sessions that wait for a connection to the node for a database because of a bound of the pool, or for their turn to log in.',
    ['node', 'database'],
    () => byDatabase(figures(), ({ waiting }) => waiting),
  );
  metrics.gauges(
    'pool_oldest_wait_seconds',
    'For how long the session has waited that has waited longest for a connection to the node; 0 when none does.',
    ['node'],
    () => {
      const oldest = new Map<string, number>();
      for (const node of watch.store.view.nodes.keys()) oldest.set(node, 0);
      for (const { node, oldestWaitMs } of figures()) oldest.set(node, Math.max(oldest.get(node) ?? 0, oldestWaitMs));
      return [...oldest].map(([node, ms]) => ({ labels: { node }, value: ms / MS_PER_S }));
    },
  );
  metrics.histogram(
    'pool_wait_seconds',
    'How long sessions waited for a connection of the pool, log-in included, also in vain. Who was given an idle one at once is not counted.',
    counters.poolWait,
  );
  metrics.counters(
    'pool_refused_total',
    'Requests for a connection that the pool gave up, by what was in the way: a key of pool, or failing_logins (the node had just refused the same log-in).',
    'bound',
    counters.poolRefused,
    BOUNDS,
  );
  metrics.counter(
    'backends_opened_from_reserve_total',
    'Connections that were made beyond pool.size because a session had waited for pool.reserve_timeout.',
    () => counters.backendsOpenedFromReserve,
  );
}

function byDatabase(figures: readonly PoolFigures[], read: (figure: PoolFigures) => number): Iterable<Series> {
  const weights = new Map<string, number>();
  for (const { database, total, waiting } of figures) {
    weights.set(database, (weights.get(database) ?? 0) + total + waiting);
  }
  const heaviest = [...weights].sort(([, a], [, b]) => b - a).slice(0, DATABASES_MAX);
  const named = new Set(heaviest.map(([database]) => database));
  const series = new Map<string, { readonly labels: Series['labels']; value: number }>();
  for (const figure of figures) {
    const labels = { node: figure.node, database: named.has(figure.database) ? figure.database : OTHER_LABEL };
    const key = JSON.stringify(labels);
    const one = series.get(key) ?? { labels, value: 0 };
    one.value += read(figure);
    series.set(key, one);
  }
  return series.values();
}
