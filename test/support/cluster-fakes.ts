import { NodeHealth, NodeRole } from '../../src/cluster/view.js';
import type { ClusterView, NodeView } from '../../src/cluster/view.js';
import { DcsState } from '../../src/dcs/claims.js';
import type { Claims, ClusterSettingsClaim, MemberClaim } from '../../src/dcs/claims.js';
import type { FailureKind, ProbeFailure } from '../../src/replication/probe-failure.js';
import type { ProbeSample } from '../../src/replication/probe.js';
import type { RouteFacts, RouteIntent } from '../../src/routing/router.js';
import { nodeName } from '../../src/util/brand.js';
import type { NodeName } from '../../src/util/brand.js';

export const SYSTEM = '7711013138684779292';
export const OTHER_SYSTEM = '7000000000000000001';

export const A = nodeName('node1');
export const B = nodeName('node2');
export const C = nodeName('node3');

/** A member as Patroni 4 claims it; its port is 5430 plus the last digit of its name. */
export function memberOf(name: NodeName, over: Partial<MemberClaim> = {}): MemberClaim {
  return {
    name,
    host: '127.0.0.1',
    port: 5430 + Number(name.at(-1) ?? 0),
    apiUrl: null,
    role: 'replica',
    state: 'running',
    replicationState: 'streaming',
    timeline: 1,
    xlogLocation: null,
    receiveLsn: null,
    replayLsn: null,
    noloadbalance: false,
    nofailover: false,
    tags: new Map(),
    pendingRestart: false,
    version: '4.0.4',
    ...over,
  };
}

export const SETTINGS: ClusterSettingsClaim = {
  ttlS: 30,
  loopWaitS: 10,
  retryTimeoutS: 10,
  paused: false,
  synchronousMode: false,
  failsafeMode: false,
  standbyCluster: false,
};

/** Live claims of etcd3: node1 leads node1, node2, node3. */
export function claimsOf(
  over: Omit<Partial<Claims>, 'settings' | 'leader' | 'members'> & {
    readonly settings?: Partial<ClusterSettingsClaim>;
    readonly leader?: NodeName | null;
    readonly members?: readonly MemberClaim[];
  } = {},
): Claims {
  const { settings, leader = A, members = [memberOf(A), memberOf(B), memberOf(C)], ...rest } = over;
  return {
    provider: 'etcd3',
    state: DcsState.Live,
    confirmedAtMs: 0,
    trouble: null,
    revision: 1n,
    switchover: null,
    sync: null,
    history: [],
    systemIdentifier: SYSTEM,
    leaderOptime: null,
    problems: [],
    ...rest,
    leader: leader === null ? null : { name: leader, term: 1n },
    members: new Map(members.map((member) => [member.name, member])),
    settings: { ...SETTINGS, ...settings },
  };
}

interface SampleOver extends Partial<Omit<ProbeSample, 'identity'>> {
  readonly systemIdentifier?: string | null;
  readonly startedAtMs?: number | null;
}

/** A sample of a primary at `lsn`, sent and answered at `atMs`. */
export function primarySample(atMs: number, lsn: bigint, over: SampleOver = {}): ProbeSample {
  const { systemIdentifier = SYSTEM, startedAtMs = Number.NEGATIVE_INFINITY, ...rest } = over;
  return {
    ok: true,
    inRecovery: false,
    flushedLsn: lsn,
    isFlushCut: false,
    insertedLsn: lsn,
    replayLsn: null,
    receiveLsn: null,
    timeline: 1,
    streaming: false,
    replayPaused: false,
    freeConnections: null,
    sentAtMs: atMs,
    answeredAtMs: atMs,
    identity: { serverVersion: 150018, systemIdentifier, startedAtMs, seesReceiver: true, role: 'monitor' },
    gap: null,
    ...rest,
  };
}

/** A sample of a streaming standby that has replayed `lsn`. */
export function standbySample(atMs: number, lsn: bigint, over: SampleOver = {}): ProbeSample {
  return primarySample(atMs, 0n, {
    inRecovery: true,
    flushedLsn: null,
    insertedLsn: null,
    replayLsn: lsn,
    receiveLsn: lsn,
    streaming: true,
    ...over,
  });
}

export function failureOf(kind: FailureKind, atMs: number, message = `it is ${kind}`): ProbeFailure {
  return { ok: false, kind, message, atMs, phase: 'query' };
}

/** A healthy, fresh, streaming standby. */
export function nodeViewOf(name: NodeName, over: Partial<NodeView> = {}): NodeView {
  return {
    name,
    host: '127.0.0.1',
    port: 5432,
    role: NodeRole.Standby,
    health: NodeHealth.Healthy,
    healthySinceMs: 0,
    reason: null,
    timeline: 1,
    systemIdentifier: SYSTEM,
    serverVersion: 150018,
    lsn: 0n,
    lagBytes: 0,
    lagMs: 0,
    streaming: true,
    sampledAtMs: 0,
    synchronous: false,
    noloadbalance: false,
    tags: new Map(),
    weight: 1,
    acceptsConnections: true,
    drained: false,
    freeConnections: null,
    ...over,
  };
}

/** node1 is the primary and holds the leader key; node2 and node3 are healthy standbys. */
export function viewOf(
  over: Partial<Omit<ClusterView, 'nodes' | 'leader'>> & {
    readonly nodes?: readonly NodeView[];
    readonly leader?: NodeName | null;
  } = {},
): ClusterView {
  const { leader = A, ...rest } = over;
  const primary = over.primary === undefined ? A : over.primary;
  const nodes = over.nodes ?? [nodeViewOf(A, { role: NodeRole.Primary }), nodeViewOf(B), nodeViewOf(C)];
  return {
    epoch: 1,
    provider: 'etcd3',
    dcs: { state: DcsState.Live, confirmedAtMs: 0, trouble: null },
    paused: false,
    switchover: null,
    switchoverDue: false,
    standbyCluster: false,
    noPrimaryReason: primary === null ? 'the leader key is gone' : null,
    systemIdentifier: SYSTEM,
    highestTimeline: 1,
    ...rest,
    primary,
    leader: leader === null ? null : { name: leader, term: 1n },
    nodes: new Map(nodes.map((node) => [node.name, node])),
  };
}

/** Any fresh standby, and the primary when there is none; nothing beyond that. */
export function routeIntentOf(over: Partial<RouteIntent> = {}): RouteIntent {
  return {
    route: 'standby',
    fallback: 'primary',
    prefer: 'any',
    tags: new Map(),
    zone: null,
    slowStartMs: 0,
    stickiness: 'session',
    ...over,
  };
}

/** A session that is nowhere yet, while nothing goes on anywhere. */
export function routeFactsOf(over: Partial<RouteFacts> = {}): RouteFacts {
  return { current: null, load: () => 0, rebalance: 'stale', nowMs: 0, ...over };
}
