import { RecordOutcome } from '../failover/promotion-record.js';
import { Phase } from '../failover/promotion.js';
import type { MetricsRegistry } from '../metrics/registry.js';
import type { Proxy } from './proxy.js';

/** Promotions: the one that may be under way, and those that were. */
export function addPromotionMetrics(metrics: MetricsRegistry, { counters, clock, conductor, watch }: Proxy): void {
  const { records, drains } = conductor;
  metrics.gauge('primary_known', 'Whether there is a node that is proven to be the primary.', () =>
    watch.store.view.primary === null ? 0 : 1,
  );
  metrics.gauges(
    'promotion_phase',
    'Where the cluster is on its way to the next primary: 1 for the present phase. Every unit for the primary goes on in stable only.',
    ['phase'],
    () => Object.values(Phase).map((phase) => ({ labels: { phase }, value: phase === conductor.phase ? 1 : 0 })),
  );
  metrics.gauge(
    'promotion_disturbed_seconds',
    'How long units for the primary have been stopped, all or some; 0 while they go on.',
    () => {
      const { disturbedSinceMs } = conductor.state;
      return disturbedSinceMs === null ? 0 : (clock.nowMs() - disturbedSinceMs) / 1000;
    },
  );
  metrics.counters(
    'promotions_total',
    'Promotions that are over, by how they ended; emptied and not_emptied are drains of standbys.',
    'outcome',
    records.outcomes,
    Object.values(RecordOutcome),
  );
  metrics.histograms(
    'promotion_phase_seconds',
    'How long the phases of promotions lasted. draining: nothing new starts on a primary that is to be stopped.',
    'phase',
    records.phaseDurations,
  );
  metrics.histogram(
    'promotion_pause_seconds',
    'The longest wait of a unit for the primary in each promotion: the pause that clients noticed.',
    records.pauses,
  );
  const last = () => records.records.find(({ outcome }) => outcome === RecordOutcome.Promoted);
  metrics.gauge(
    'promotion_last_timestamp_seconds',
    'When the last change of the primary began, in Unix time; absent before the first.',
    () => {
      const startedAtEpochMs = last()?.startedAtEpochMs;
      return startedAtEpochMs === undefined ? null : startedAtEpochMs / 1000;
    },
  );
  metrics.gauge(
    'promotion_last_pause_seconds',
    'The pause of the last change of the primary; absent before the first.',
    () => {
      const pauseMs = last()?.pauseMs;
      return pauseMs === undefined ? null : pauseMs / 1000;
    },
  );
  metrics.counter('leader_changes_total', 'Times that another node became the primary.', () => counters.leaderChanges);
  metrics.counter('drains_total', 'Times that the sessions of a node were made to leave it.', () => counters.drains);
  metrics.gauge('drains', 'Nodes that are kept empty because they are about to be stopped.', () => drains.all.length);
}
