import type { NodeFigures } from '../cluster/store.js';
import { NodeHealth, NodeRole } from '../cluster/view.js';
import type { NodeView } from '../cluster/view.js';
import { DcsState } from '../dcs/claims.js';
import type { MetricsRegistry, Series } from '../metrics/registry.js';
import { addPromotionMetrics } from './promotion-metrics.js';
import type { Proxy } from './proxy.js';

/** The cluster as the proxy sees it. Labels are the nodes of the view: one that leaves takes its series with it. */
export function addClusterMetrics(metrics: MetricsRegistry, proxy: Proxy): void {
  addPromotionMetrics(metrics, proxy);
  addDcsMetrics(metrics, proxy);
  addNodeMetrics(metrics, proxy);
}

function addDcsMetrics(metrics: MetricsRegistry, { clock, watch }: Proxy): void {
  metrics.gauges(
    'dcs_state',
    'Whether the claims of the DCS are live: 1 for the present state. A fixed list of nodes is always live.',
    ['state'],
    () => oneHot({}, 'state', Object.values(DcsState), watch.provider.claims.state),
  );
  metrics.gauge(
    'dcs_confirmed_age_seconds',
    'Time since the DCS last confirmed its claims; absent before the first time.',
    () => ageS(clock.nowMs(), watch.provider.claims.confirmedAtMs),
  );
  metrics.gauge('cluster_paused', 'Whether the cluster is in maintenance mode (patronictl pause).', () =>
    watch.store.view.paused ? 1 : 0,
  );
  metrics.gauge(
    'cluster_timeline',
    'The highest timeline that a primary was seen on; 0: none yet.',
    () => watch.store.view.highestTimeline,
  );
  metrics.gauge(
    'view_epoch',
    'Number of the present picture of the cluster: grows with everything that changes in it.',
    () => watch.store.view.epoch,
  );
  metrics.counter(
    'ticks_total',
    "Samples of the primary's WAL position that were sent, which freshness is measured against. Stands still without a primary.",
    // The fence is the number of the next one.
    () => watch.ticks.fence - 1,
  );
}

function addNodeMetrics(metrics: MetricsRegistry, { clock, registry, watch }: Proxy): void {
  const perNode = (read: (node: NodeView, figures: NodeFigures | undefined) => number | null): Series[] => {
    const figures = watch.store.figures();
    const series: Series[] = [];
    for (const node of watch.store.view.nodes.values()) {
      const value = read(node, figures.get(node.name));
      if (value !== null) series.push({ labels: { node: node.name }, value });
    }
    return series;
  };
  const nodes = (): NodeView[] => [...watch.store.view.nodes.values()];
  metrics.gauges('node_role', 'What the node has proven to be: 1 for its role.', ['node', 'role'], () =>
    nodes().flatMap(({ name, role }) => oneHot({ node: name }, 'role', Object.values(NodeRole), role)),
  );
  metrics.gauges(
    'node_health',
    'Health of the node: 1 for the present one. Only healthy standbys get new reads.',
    ['node', 'health'],
    () => nodes().flatMap(({ name, health }) => oneHot({ node: name }, 'health', Object.values(NodeHealth), health)),
  );
  metrics.gauges(
    'node_lag_bytes',
    'WAL that the node has not replayed yet; absent when it is not known.',
    ['node'],
    () => perNode((node, figures) => (isKnown(node) ? (figures?.lagBytes ?? null) : null)),
  );
  metrics.gauges(
    'node_lag_seconds',
    'How far the node is behind the primary in time; absent when it is not known.',
    ['node'],
    () => perNode((node, figures) => (isKnown(node) ? inSeconds(figures?.lagMs) : null)),
  );
  metrics.gauges(
    'node_sample_age_seconds',
    'Time since the node last answered a probe; absent before the first answer.',
    ['node'],
    () => perNode((_, figures) => ageS(clock.nowMs(), figures?.sampledAtMs ?? null)),
  );
  metrics.gauges(
    'node_probe_duration_seconds',
    'How long the node took to answer the newest probe that it answered.',
    ['node'],
    () => perNode((_, figures) => inSeconds(figures?.roundTripMs)),
  );
  metrics.gauges('node_timeline', 'Timeline that the node is on; absent when it is not known.', ['node'], () =>
    perNode(({ timeline }) => timeline),
  );
  metrics.gauges('node_streaming', 'Whether the standby receives a stream of WAL.', ['node'], () =>
    perNode(({ role, streaming }) => (role === NodeRole.Standby ? Number(streaming) : null)),
  );
  metrics.gauges('node_accepts_connections', 'Whether new connections to the node can be had.', ['node'], () =>
    perNode(({ acceptsConnections, health }) => Number(acceptsConnections && health !== NodeHealth.Unreachable)),
  );
  metrics.gauges(
    'node_free_connections',
    'Connections that ordinary roles can still have on a primary, counted every two seconds; absent for a standby.',
    ['node'],
    () => perNode(({ freeConnections }) => freeConnections),
  );
  metrics.gauges('node_sessions', 'Sessions that have a backend on the node or are on their way to it.', ['node'], () =>
    perNode(({ name }) => registry.load(name)),
  );
}

function oneHot(
  labels: Readonly<Record<string, string>>,
  label: string,
  values: readonly string[],
  present: string,
): Series[] {
  return values.map((value) => ({ labels: { ...labels, [label]: value }, value: value === present ? 1 : 0 }));
}

/** The lag of a node that does not prove what it is any more is the lag it had once. */
function isKnown(node: NodeView): boolean {
  return node.role !== NodeRole.Unknown;
}

function inSeconds(ms: number | null | undefined): number | null {
  return typeof ms === 'number' ? ms / 1000 : null;
}

function ageS(nowMs: number, atMs: number | null): number | null {
  return atMs === null ? null : Math.max(0, nowMs - atMs) / 1000;
}
