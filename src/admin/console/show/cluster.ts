import { describePin } from '../../../sql/pin-reason.js';
import { takeCensus } from '../../census.js';
import { listenersOf, nodesOf } from '../../status.js';
import { promotionOf } from '../../promotion-document.js';
import { columns, flag } from '../facts.js';
import type { Table } from '../facts.js';

const MS_PER_S = 1000;

export const nodes: Table = {
  columns: columns(
    ['text', 'name host'],
    ['int4', 'port'],
    ['text', 'role health reason'],
    ['int4', 'timeline'],
    ['int8', 'lag_bytes lag_ms'],
    ['int4', 'streaming synchronous accepts_connections drained weight server_version sessions backends idle_backends'],
  ),
  *rows({ proxy }) {
    for (const node of nodesOf(proxy, proxy.clock.nowMs())) {
      yield [
        ...[node.name, node.host, node.port, node.role, node.health, node.reason, node.timeline],
        ...[node.lagBytes, msOf(node.lagSeconds)],
        ...[node.streaming, node.synchronous, node.acceptsConnections, node.drained].map(flag),
        ...[node.weight, node.serverVersion, node.sessions, node.backends.total, node.backends.idle],
      ];
    }
  },
};

/** How far each standby is behind, beside what the limits are. */
export const lag: Table = {
  columns: columns(
    ['text', 'node role health'],
    ['int8', 'lag_bytes lag_ms sample_age_ms max_lag_bytes max_lag_ms'],
    ['text', 'reason'],
  ),
  *rows({ proxy }) {
    const { maxLagBytes, maxLagMs } = proxy.config.routing;
    for (const node of nodesOf(proxy, proxy.clock.nowMs())) {
      yield [
        ...[node.name, node.role, node.health, node.lagBytes, msOf(node.lagSeconds), msOf(node.sampleAgeSeconds)],
        ...[maxLagBytes, maxLagMs, node.reason],
      ];
    }
  },
};

export const listeners: Table = {
  columns: columns(
    ['text', 'name route host'],
    ['int4', 'port sessions ready'],
    ['text', 'reason fallback prefer consistency'],
  ),
  *rows({ proxy }) {
    const intents = new Map(proxy.listeners.map(({ name, intent }) => [name, intent]));
    for (const { name, route, host, port, sessions, ready, reason } of listenersOf(
      proxy,
      takeCensus(proxy.registry.all()),
    )) {
      const intent = route === 'primary' ? undefined : intents.get(name);
      const consistency = route === 'split' ? (intent?.consistency ?? null) : null;
      yield [
        name,
        route,
        host,
        port,
        sessions,
        flag(ready),
        reason,
        intent?.fallback ?? null,
        intent?.prefer ?? null,
        consistency,
      ];
    }
  },
};

/** Units by the route they came in on, where they went, and why. */
export const routes: Table = {
  columns: columns(['text', 'route target reason'], ['int8', 'units']),
  *rows({ proxy }) {
    for (const { route, target, reason, count } of proxy.counters.routed.entries())
      yield [route, target, reason, count];
  },
};

/** Clients that cannot change their backend now. */
export const pins: Table = {
  columns: columns(['int4', 'id'], ['text', 'user database application_name listener node pin description']),
  *rows({ proxy }) {
    for (const { id, identity, node, pinReason } of proxy.registry.all()) {
      if (pinReason === null) continue;
      yield [
        ...[id, identity.user, identity.database, identity.applicationName, identity.listener],
        ...[node, pinReason, describePin(pinReason)],
      ];
    }
  },
};

/** Promotions and drains, the newest first. */
export const events: Table = {
  columns: columns(
    ['int4', 'id'],
    ['text', 'started_at outcome from_node to_node'],
    ['int4', 'timeline_from timeline_to'],
    ['int8', 'disturbed_ms pause_ms'],
    ['text', 'phases'],
    ['int8', 'held hold_timeouts moved replayed transactions_lost in_doubt units_cut closed'],
  ),
  *rows({ proxy }) {
    const { current, records } = proxy.conductor.records;
    for (const record of current === null ? records : [current, ...records]) {
      const { counts, phases, ...event } = promotionOf(record);
      const told = phases.map(
        ({ phase, durationSeconds }) => `${phase} ${durationSeconds === null ? 'now' : `${durationSeconds}s`}`,
      );
      yield [
        ...[event.id, event.startedAt, event.outcome ?? 'under way', event.from, event.to],
        ...[event.timelineFrom, event.timelineTo, msOf(event.disturbedSeconds), msOf(event.pauseSeconds)],
        ...[told.join(', '), counts.held, counts.holdTimeouts, counts.moved, sum(counts.replayed)],
        ...[counts.transactionsLost, counts.inDoubt, sum(counts.unitsCut), sum(counts.closed)],
      ];
    }
  },
};

function msOf(seconds: number | null): number | null {
  return seconds === null ? null : Math.round(seconds * MS_PER_S);
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}
