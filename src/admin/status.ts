import type { NodeFigures } from '../cluster/store.js';
import { NodeHealth, NodeRole } from '../cluster/view.js';
import type { NodeView } from '../cluster/view.js';
import { SessionActivity, countSessions, takeCensus } from './census.js';
import type { Census } from './census.js';
import type { Proxy } from './proxy.js';
import { readinessOf } from './readiness.js';
import { drainOf } from './drain-document.js';
import { promotionOf } from './promotion-document.js';
import type { StatusDocument, StatusNode } from './status-document.js';

const MS_PER_S = 1000;
/** Promotions that the status tells of. */
const PROMOTIONS_MAX = 5;

/** Everything about the proxy and its cluster at this moment, for programs and for `switchyard status`. */
export function statusOf(proxy: Proxy, version: string, startedAtMs: number): StatusDocument {
  const { clock, config, watch } = proxy;
  const nowMs = clock.nowMs();
  const census = takeCensus(proxy.registry.all());
  const readiness = readinessOf(proxy, null);
  return {
    version,
    nodeVersion: process.version,
    engine: proxy.engine.name,
    pid: process.pid,
    uptimeSeconds: secondsSince(nowMs, startedAtMs),
    scope: config.cluster.scope,
    provider: watch.store.view.provider,
    ready: readiness.isReady,
    reason: readiness.reason,
    promotion: phaseOf(proxy, nowMs),
    dcs: dcsOf(proxy),
    cluster: clusterOf(proxy),
    nodes: nodesOf(proxy, nowMs),
    listeners: listenersOf(proxy, census),
    sessions: sessionsOf(proxy, census),
    drains: proxy.conductor.drains.all.map((order) => drainOf(order, proxy.registry, nowMs)),
    promotions: proxy.conductor.records.records.slice(0, PROMOTIONS_MAX).map(promotionOf),
    pauses: pausesOf(proxy),
    held: heldOf(proxy, nowMs),
  };
}

export function listenersOf(proxy: Proxy, census: Census): StatusDocument['listeners'] {
  return proxy.listeners.map((listener) => {
    const { checks } = readinessOf(proxy, listener);
    const own = checks.find(({ name }) => name === `listener ${listener.name}`);
    return {
      name: listener.name,
      route: listener.route,
      host: listener.host,
      port: listener.port,
      ready: own?.ok ?? false,
      reason: own?.reason ?? null,
      sessions: countSessions(census, (group) => group.listener === listener.name),
    };
  });
}

export function dcsOf({ clock, watch }: Proxy): StatusDocument['dcs'] {
  // The provider's own, since being confirmed is no change that a view is published for.
  const { state, confirmedAtMs, trouble } = watch.provider.claims;
  return { state, ageSeconds: ageOf(clock.nowMs(), confirmedAtMs), trouble };
}

function phaseOf({ conductor }: Proxy, nowMs: number): StatusDocument['promotion'] {
  const { phase, sinceMs, disturbedSinceMs, candidate } = conductor.state;
  return {
    phase,
    admits: conductor.admits,
    reason: conductor.isOpen ? null : conductor.reason,
    sinceSeconds: secondsSince(nowMs, sinceMs),
    candidate,
    disturbedSeconds: ageOf(nowMs, disturbedSinceMs),
  };
}

function clusterOf({ watch }: Proxy): StatusDocument['cluster'] {
  const { view } = watch.store;
  const { switchover } = view;
  const scheduledAtEpochMs = switchover?.scheduledAtEpochMs ?? null;
  return {
    epoch: view.epoch,
    primary: view.primary,
    noPrimaryReason: view.noPrimaryReason,
    leader: view.leader?.name ?? null,
    paused: view.paused,
    synchronousMode: wordOf(watch.provider.claims.settings.synchronousMode),
    standbyCluster: view.standbyCluster,
    switchover:
      switchover === null
        ? null
        : {
            leader: switchover.leader,
            candidate: switchover.candidate,
            scheduledAt: scheduledAtEpochMs === null ? null : new Date(scheduledAtEpochMs).toISOString(),
          },
    systemIdentifier: view.systemIdentifier,
    timeline: view.highestTimeline,
  };
}

export function nodesOf({ watch, registry, pool }: Proxy, nowMs: number): StatusNode[] {
  const figures = watch.store.figures();
  const { counts } = pool;
  const { members } = watch.provider.claims;
  return [...watch.store.view.nodes.values()].map((node) => ({
    name: node.name,
    host: node.host,
    port: node.port,
    role: node.role,
    health: node.health,
    reason: node.reason,
    timeline: node.timeline,
    ...lagOf(node, figures.get(node.name)),
    streaming: node.streaming,
    synchronous: node.synchronous,
    acceptsConnections: node.acceptsConnections && node.health !== NodeHealth.Unreachable,
    drained: node.drained,
    noloadbalance: node.noloadbalance,
    nofailover: members.get(node.name)?.nofailover ?? false,
    apiUrl: members.get(node.name)?.apiUrl ?? null,
    weight: node.weight,
    tags: Object.fromEntries(node.tags),
    serverVersion: node.serverVersion,
    sampleAgeSeconds: ageOf(nowMs, figures.get(node.name)?.sampledAtMs ?? null),
    sessions: registry.load(node.name),
    backends: { total: counts.get(node.name)?.total ?? 0, idle: counts.get(node.name)?.idle ?? 0 },
  }));
}

/** The lag of a node that does not prove what it is any more is the lag it had once: it is not told. */
function lagOf(node: NodeView, figures: NodeFigures | undefined): Pick<StatusNode, 'lagBytes' | 'lagSeconds'> {
  if (node.role === NodeRole.Unknown) return { lagBytes: null, lagSeconds: null };
  const lagMs = figures?.lagMs ?? null;
  return { lagBytes: figures?.lagBytes ?? null, lagSeconds: lagMs === null ? null : lagMs / MS_PER_S };
}

function sessionsOf(proxy: Proxy, census: Census): StatusDocument['sessions'] {
  const count = (wanted: SessionActivity): number => countSessions(census, ({ activity }) => activity === wanted);
  return {
    total: proxy.registry.size,
    idle: count(SessionActivity.Idle),
    active: count(SessionActivity.Active),
    waiting: count(SessionActivity.Waiting),
    startups: proxy.startups,
    max: proxy.config.limits.maxClients,
  };
}

function pausesOf({ pauses }: Proxy): StatusDocument['pauses'] {
  const { isAllPaused, paused, disabled, waiting } = pauses;
  return { all: isAllPaused, databases: [...paused], disabled: [...disabled], waiting };
}

function heldOf({ primaryHold, standbyHold }: Proxy, nowMs: number): StatusDocument['held'] {
  const oldest = [primaryHold.oldestSinceMs, standbyHold.oldestSinceMs].filter((sinceMs) => sinceMs !== null);
  return {
    total: primaryHold.length + standbyHold.length,
    primary: primaryHold.length,
    standby: standbyHold.length,
    oldestSeconds: oldest.length === 0 ? null : secondsSince(nowMs, Math.min(...oldest)),
  };
}

function wordOf(synchronousMode: boolean | 'quorum'): string {
  if (synchronousMode === 'quorum') return synchronousMode;
  return synchronousMode ? 'on' : 'off';
}

function ageOf(nowMs: number, atMs: number | null): number | null {
  return atMs === null ? null : secondsSince(nowMs, atMs);
}

/** Whole milliseconds are enough. */
function secondsSince(nowMs: number, sinceMs: number): number {
  return Math.round(Math.max(0, nowMs - sinceMs)) / MS_PER_S;
}
