import type { MetricsRegistry, Series } from '../metrics/registry.js';
import { CloseReason } from '../session/close-reason.js';
import { Wait } from '../session/wait.js';
import { PinReason } from '../sql/pin-reason.js';
import { SessionActivity, takeCensus } from './census.js';
import type { Census } from './census.js';
import type { Proxy } from './proxy.js';

/** What a client can be told at its log-in; names of errors.ts. */
const LOGIN_FAILURES = [
  'login_failed',
  'login_rejected',
  'protocol_violation',
  'unsupported_protocol',
  'startup_timeout',
  'bad_route_option',
  'too_many_clients',
  'user_lookup_failed',
  'not_accepting',
  'internal',
] as const;

/** Clients and sessions: how many there are, how they come and why they go. */
export function addSessionMetrics(metrics: MetricsRegistry, proxy: Proxy): void {
  const { counters } = proxy;
  const census = censusOfScrape(proxy);
  metrics.gauges(
    'sessions',
    'Sessions by listener, its route, the role of the node they are on now (none: without a backend) and what they do.',
    ['listener', 'route', 'target', 'state'],
    () => sessionSeries(proxy, census()),
  );
  metrics.gauges(
    'sessions_waiting',
    'Sessions whose next unit waits, by what for. hold: a node that can take it; backend: the pool; boundary: the units before it; freshness: a standby that has what the session has seen.',
    ['wait'],
    () => tally('wait', Object.values(Wait), census().waits),
  );
  metrics.gauges('sessions_pinned', 'Sessions that cannot change their backend now, by the reason.', ['reason'], () =>
    tally('reason', Object.values(PinReason), census().pins),
  );
  metrics.gauge('startups', 'Clients that have connected and not logged in yet.', () => proxy.startups);
  metrics.gauge(
    'clients_max',
    'Most clients that are let in at one time (limits.max_clients).',
    () => proxy.config.limits.maxClients,
  );
  metrics.counter(
    'clients_accepted_total',
    'Connections of clients that were accepted.',
    () => counters.clientsAccepted,
  );
  metrics.counter(
    'clients_refused_total',
    'Clients that were turned away because there were too many.',
    () => counters.clientsRefused,
  );
  metrics.counters(
    'login_failures_total',
    'Clients that were not let in, by the error.',
    'code',
    counters.loginFailures,
    LOGIN_FAILURES,
  );
  metrics.counters(
    'sessions_closed_total',
    'Sessions that have ended, by the reason.',
    'reason',
    counters.sessionsClosed,
    Object.values(CloseReason),
  );
}

/** The metrics of one scrape are read in one go: they share one census, which is forgotten as soon as that is over. */
function censusOfScrape(proxy: Proxy): () => Census {
  let census: Census | null = null;
  return () => {
    if (census !== null) return census;
    queueMicrotask(() => {
      census = null;
    });
    census = takeCensus(proxy.registry.all());
    return census;
  };
}

function sessionSeries(proxy: Proxy, census: Census): Series[] {
  const series: Series[] = census.groups.map(({ listener, route, target, activity, count }) => ({
    labels: { listener, route, target, state: activity },
    value: count,
  }));
  // Where sessions usually are is shown with 0 too.
  for (const { name, route } of proxy.listeners) {
    for (const target of route === 'split' ? (['primary', 'standby'] as const) : [route]) {
      for (const activity of Object.values(SessionActivity)) {
        const isThere = census.groups.some(
          (group) =>
            group.listener === name && group.route === route && group.target === target && group.activity === activity,
        );
        if (!isThere) series.push({ labels: { listener: name, route, target, state: activity }, value: 0 });
      }
    }
  }
  return series;
}

function tally<T extends string>(label: string, values: readonly T[], counts: ReadonlyMap<T, number>): Series[] {
  return values.map((value) => ({ labels: { [label]: value }, value: counts.get(value) ?? 0 }));
}
