import type { EventLoopDelay } from '../metrics/event-loop-delay.js';
import { addProcessMetrics } from '../metrics/process-metrics.js';
import { MetricsRegistry } from '../metrics/registry.js';
import { addClusterMetrics } from './cluster-metrics.js';
import { addPoolMetrics } from './pool-metrics.js';
import type { Proxy } from './proxy.js';
import { readinessOf } from './readiness.js';
import { addRoutingMetrics } from './routing-metrics.js';
import { addSessionMetrics } from './session-metrics.js';
import { addTrafficMetrics } from './traffic-metrics.js';

const RELOAD_OUTCOMES = ['applied', 'refused'] as const;

/** All metrics of a proxy; each is read from it at the moment of the scrape. */
export function buildMetrics(proxy: Proxy, loop: EventLoopDelay, version: string): MetricsRegistry {
  const metrics = new MetricsRegistry();
  addSessionMetrics(metrics, proxy);
  addTrafficMetrics(metrics, proxy);
  addPoolMetrics(metrics, proxy);
  addRoutingMetrics(metrics, proxy);
  addClusterMetrics(metrics, proxy);
  addProgramMetrics(metrics, proxy, loop, version);
  addProcessMetrics(metrics.registry);
  return metrics;
}

function addProgramMetrics(metrics: MetricsRegistry, proxy: Proxy, loop: EventLoopDelay, version: string): void {
  metrics.gauge('ready', 'Whether /readyz says that clients should be sent here.', () =>
    readinessOf(proxy, null).isReady ? 1 : 0,
  );
  metrics.counters(
    'config_reloads_total',
    'Readings of the configuration while the program runs, by what became of them.',
    'outcome',
    proxy.counters.configReloads,
    RELOAD_OUTCOMES,
  );
  metrics.gauges(
    'event_loop_delay_seconds',
    'How late the event loop ran in the last 30 to 60 seconds: everything the proxy does waits for so long.',
    ['stat'],
    () => {
      const delays = loop.delays;
      if (delays === null) return [];
      return [
        { labels: { stat: 'p50' }, value: delays.p50S },
        { labels: { stat: 'p99' }, value: delays.p99S },
        { labels: { stat: 'max' }, value: delays.maxS },
      ];
    },
  );
  metrics.gauges(
    'build_info',
    'Always 1; the labels say what runs here.',
    ['version', 'node_version', 'engine'],
    () => [{ labels: { version, node_version: process.version, engine: proxy.engine.name }, value: 1 }],
  );
}
