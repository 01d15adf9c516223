import type { HoldQueue } from '../failover/hold-queue.js';
import type { MetricsRegistry, Series } from '../metrics/registry.js';
import { HoldReason, RouteReason } from '../routing/router.js';
import { PinReason } from '../sql/pin-reason.js';
import type { Proxy } from './proxy.js';

const TARGETS = ['primary', 'standby'] as const;
/** Those of the router, and a node that left the cluster between the choice and the attach. */
const HOLD_REASONS = [...Object.values(HoldReason), 'node_unknown', 'no_room', 'refused'] as const;
/** What the client of a cut unit is most often told: lost, outcome unknown, not cancelled in time, ended by its node, not available. */
const CUT_SQLSTATES = ['08006', '08007', '57014', '57P01', '57P03'] as const;
/** Those of the counter; see counters.ts. */
const REPLAY_REASONS = ['rolled_back', 'repeatable', 'query', 'plan_changed'] as const;
const CANCEL_OUTCOMES = ['forwarded', 'held', 'idle', 'unknown_key', 'failed'] as const;
const QUERY_TIMEOUT_OUTCOMES = ['canceled', 'ended', 'cut'] as const;
const PEERS = ['client', 'node'] as const;
/** Why the pool, or whoever gave the backend back, let it go. */
const BACKEND_CLOSE_REASONS = [
  'session_end',
  'lost',
  'move',
  'drain',
  'paused',
  'reconnect',
  'not_wanted',
  'role_change',
  'idle_timeout',
  'max_idle',
  'max_lifetime',
  'standby_idle',
  'refused',
  'replay_failed',
  'ended_by_node',
  'reset_failed',
  'not_clean',
  'not_reusable',
  'stale',
  'room',
  'closed',
  'shutdown',
] as const;
/** Errors of ours; a refusal by the node counts under its SQLSTATE. */
const CONNECT_FAILURES = [
  'backend_connect_failed',
  'backend_login_failed',
  'backend_lost',
  'backend_protocol_violation',
  'not_the_primary',
  'internal',
  '53300',
  '57P03',
] as const;

/** What goes through: units, holds, moves, backends, cancel requests. */
export function addTrafficMetrics(metrics: MetricsRegistry, proxy: Proxy): void {
  addUnitMetrics(metrics, proxy);
  addHoldMetrics(metrics, proxy);
  addBackendMetrics(metrics, proxy);
  metrics.counters(
    'cancels_total',
    'Cancel requests by what became of them. held: the unit was still waiting here; idle: there was nothing to cancel.',
    'outcome',
    proxy.counters.cancels,
    CANCEL_OUTCOMES,
  );
  metrics.counters(
    'query_timeouts_total',
    'Statements that ran longer than limits.query_timeout, by what became of them. canceled: the node obeyed; ended: it was done before that; cut: it did not obey in time.',
    'outcome',
    proxy.counters.queryTimeouts,
    QUERY_TIMEOUT_OUTCOMES,
  );
  metrics.counters(
    'stuck_peers_total',
    'Connections that were cut because their peer took no bytes for limits.tcp_user_timeout, by who that was.',
    'peer',
    proxy.counters.stuckPeers,
    PEERS,
  );
}

function addUnitMetrics(metrics: MetricsRegistry, { counters }: Proxy): void {
  metrics.counter(
    'client_received_bytes_total',
    'Bytes received from clients after their log-in.',
    () => counters.clientBytesIn,
  );
  metrics.counter(
    'client_sent_bytes_total',
    'Bytes sent to clients after their log-in.',
    () => counters.clientBytesOut,
  );
  metrics.counter(
    'statements_total',
    'Simple queries and Executes that were sent to a node.',
    () => counters.statements,
  );
  metrics.counters(
    'units_total',
    'Units that have ended (a simple query, or everything up to a Sync), by the role of the node that answered.',
    'target',
    counters.units,
    TARGETS,
  );
  metrics.counters(
    'moves_total',
    'Sessions that went on with a backend on another node, by the reason of the router.',
    'reason',
    counters.moves,
    Object.values(RouteReason),
  );
  metrics.counter(
    'evictions_total',
    'Sessions that were taken off a candidate in the middle of a unit because they held its promotion up.',
    () => counters.evictions,
  );
  metrics.counters(
    'unmovable_sessions_total',
    'Sessions that were closed because they could not leave their node, by what held them there.',
    'pin',
    counters.unmovable,
    Object.values(PinReason),
  );
  metrics.counters(
    'units_cut_total',
    'Units that lost their backend before the answer was complete, by the SQLSTATE that the client was told.',
    'sqlstate',
    counters.unitsCut,
    CUT_SQLSTATES,
  );
  metrics.counters(
    'replays_total',
    'Units that were run again on another backend, by why that is right.',
    'why',
    counters.replays,
    REPLAY_REASONS,
  );
  metrics.counter(
    'transactions_lost_total',
    'Open transactions that ended with their node; their clients were told 40001 once and went on.',
    () => counters.transactionsLost,
  );
  metrics.counter(
    'in_doubt_total',
    'COMMITs and statements whose outcome nobody knows; their clients were told 08007 and went on.',
    () => counters.inDoubt,
  );
  metrics.counter(
    'wrong_role_errors_total',
    'Errors 25006 of a node in recovery that reached a client although the node was taken for the primary. Stays at 0, or writes went to a standby.',
    () => counters.wrongRoleErrors,
  );
}

function addHoldMetrics(metrics: MetricsRegistry, { counters, clock, primaryHold, standbyHold, pauses }: Proxy): void {
  const perRoute = (read: (hold: HoldQueue) => number): Series[] => [
    { labels: { route: 'primary' }, value: read(primaryHold) },
    { labels: { route: 'standby' }, value: read(standbyHold) },
  ];
  metrics.counters(
    'holds_total',
    'Units that had to wait because no node could take them, by the reason.',
    'reason',
    counters.holds,
    HOLD_REASONS,
  );
  metrics.counters(
    'hold_timeouts_total',
    'Held units that were given up with 57P03 (53300 where no connection became free) after promotion.hold_timeout, by the reason.',
    'reason',
    counters.holdTimeouts,
    HOLD_REASONS,
  );
  metrics.histogram(
    'hold_duration_seconds',
    'How long held units waited until a node took them: the pause that clients notice.',
    counters.holdDuration,
  );
  metrics.gauges(
    'held_sessions',
    'Sessions whose unit is held now, by what it waits for: the primary, or a standby.',
    ['route'],
    () => perRoute((hold) => hold.length),
  );
  metrics.gauge(
    'paused_sessions',
    'Sessions whose unit waits for the RESUME of an operator; they are not among those that are held.',
    () => pauses.waiting,
  );
  metrics.gauge('paused', 'Whether an operator has paused all databases: 1, else 0.', () =>
    pauses.isAllPaused ? 1 : 0,
  );
  metrics.gauge('paused_databases', 'Databases that an operator has paused by name.', () => pauses.paused.length);
  metrics.gauges('hold_oldest_seconds', 'Age of the unit that is held longest; 0 when none is.', ['route'], () =>
    perRoute(({ oldestSinceMs }) => (oldestSinceMs === null ? 0 : (clock.nowMs() - oldestSinceMs) / 1000)),
  );
}

function addBackendMetrics(metrics: MetricsRegistry, { counters, pool, watch }: Proxy): void {
  // Labels are the nodes of the view and no others: a backend on a node that has left the cluster is about to be closed.
  const perNode = (which: 'total' | 'idle'): Series[] => {
    const { counts } = pool;
    return [...watch.store.view.nodes.keys()].map((node) => ({
      labels: { node },
      value: counts.get(node)?.[which] ?? 0,
    }));
  };
  metrics.gauges('backends', 'Connections to the node: in use, idle, being opened and being reset.', ['node'], () =>
    perNode('total'),
  );
  metrics.gauges('backends_idle', 'Connections to the node that wait for their next session.', ['node'], () =>
    perNode('idle'),
  );
  metrics.counter(
    'backends_opened_total',
    'Connections that were made to nodes, log-in included.',
    () => counters.backendsOpened,
  );
  metrics.counter(
    'backends_reused_total',
    'Sessions that were given an idle connection.',
    () => counters.backendsReused,
  );
  metrics.counters(
    'backends_closed_total',
    'Connections to nodes that were closed, by the reason.',
    'reason',
    counters.backendsClosed,
    BACKEND_CLOSE_REASONS,
  );
  metrics.histogram(
    'backend_connect_duration_seconds',
    'How long it took to make a connection: TCP, log-in, and the proof of the role where one is needed.',
    counters.backendConnectDuration,
  );
  metrics.counters(
    'backend_connect_failures_total',
    'Connections to nodes that could not be made, by our error or the SQLSTATE that the node said.',
    'code',
    counters.backendConnectFailures,
    CONNECT_FAILURES,
  );
}
