import type { MetricsRegistry, Series } from '../metrics/registry.js';
import { RouteReason } from '../routing/router.js';
import { SplitReason } from '../session/split/split-reason.js';
import { ReadObstacle } from '../sql/read-obstacle.js';
import type { Proxy } from './proxy.js';

/** What a hot standby says most often to what is not for it, and to what stands in the way of replay. */
const REFUSALS = ['25006', '0A000', '40001', '55000'] as const;
const CATALOG_OUTCOMES = ['ok', 'failed'] as const;

type Reasons = Readonly<Record<'primary' | 'standby', readonly string[]>>;

/** What is counted on each route in an ordinary life. Beyond that, reasons appear when they happen. */
const USUAL: Readonly<Record<'primary' | 'standby' | 'split', Reasons>> = {
  primary: { primary: [RouteReason.Primary, RouteReason.Stays], standby: [] },
  standby: {
    primary: [RouteReason.FallbackPrimary, RouteReason.Stays],
    standby: [RouteReason.Balanced, RouteReason.Stays, RouteReason.MovesAway, RouteReason.ComesHome],
  },
  split: {
    primary: [
      ...Object.values(ReadObstacle),
      ...Object.values(SplitReason).filter((reason) => reason !== SplitReason.Read),
      RouteReason.Fence,
      RouteReason.FallbackPrimary,
    ],
    standby: [SplitReason.Read, SplitReason.Neutral, SplitReason.Transaction, SplitReason.Narrowed],
  },
};

/** Where units go and why, and what keeps reads from the standbys. */
export function addRoutingMetrics(metrics: MetricsRegistry, proxy: Proxy): void {
  const { counters } = proxy;
  metrics.countersBy(
    'routed_total',
    'Units that a node was chosen for, by the route of their session, the role of the node and the reason. Split sessions are asked about every unit, others when something has changed.',
    ['route', 'target', 'reason'],
    () => routedSeries(proxy),
  );
  metrics.counters(
    'refused_reads_total',
    'Reads that a standby refused and that ran again elsewhere before their client saw anything, by the SQLSTATE of the refusal.',
    'sqlstate',
    counters.refusedReads,
    REFUSALS,
  );
  metrics.histogram(
    'fence_wait_seconds',
    'How long reads waited for a standby that has what their session has seen, also in vain (routing.fence_wait).',
    counters.fenceWaits,
  );
  metrics.counters(
    'catalog_loads_total',
    'Readings of the functions, operators and views of a database, by what became of them.',
    'outcome',
    counters.catalogLoads,
    CATALOG_OUTCOMES,
  );
}

function* routedSeries({ counters, listeners }: Proxy): Generator<Series> {
  for (const route of new Set(listeners.map(({ intent }) => intent.route))) {
    for (const target of ['primary', 'standby'] as const) {
      for (const reason of USUAL[route][target]) yield { labels: { route, target, reason }, value: 0 };
    }
  }
  for (const { route, target, reason, count } of counters.routed.entries()) {
    yield { labels: { route, target, reason }, value: count };
  }
}
