import type { Claims } from '../dcs/claims.js';
import type { NodeName } from '../util/brand.js';
import type { NodeFacts } from './node-facts.js';
import { NodeHealth, NodeRole } from './view.js';
import type { ClusterView, NodeView } from './view.js';

/** What a view is made of, besides the claims and the facts. */
export interface ViewInput {
  readonly epoch: number;
  readonly claims: Claims;
  /** In the order in which people shall see them. */
  readonly nodes: readonly NodeFacts[];
  readonly primary: NodeName | null;
  readonly noPrimaryReason: string | null;
  readonly systemIdentifier: string | null;
  readonly highestTimeline: number;
  /** Weights of the configuration; they win over the tag `weight`. */
  readonly weights: ReadonlyMap<NodeName, number>;
  readonly drained: ReadonlySet<NodeName>;
  /** An answer older than this proves nothing. */
  readonly sampleMaxAgeMs: number;
  readonly nowMs: number;
  readonly epochMs: number;
}

/** The largest weight; as in the configuration. */
const WEIGHT_MAX = 1000;

/** Puts claims and facts into one frozen picture. */
export function buildView(input: ViewInput): ClusterView {
  const { claims } = input;
  const nodes = new Map<NodeName, NodeView>();
  for (const facts of input.nodes) {
    nodes.set(facts.name, Object.freeze(nodeView(input, facts)));
  }
  return Object.freeze({
    epoch: input.epoch,
    provider: claims.provider,
    dcs: Object.freeze({ state: claims.state, confirmedAtMs: claims.confirmedAtMs, trouble: claims.trouble }),
    leader: claims.leader,
    paused: claims.settings.paused,
    switchover: claims.switchover,
    switchoverDue: isDue(claims, input.epochMs),
    standbyCluster: claims.settings.standbyCluster,
    primary: input.primary,
    noPrimaryReason: input.noPrimaryReason,
    nodes,
    systemIdentifier: input.systemIdentifier,
    highestTimeline: input.highestTimeline,
  });
}

/** A switchover counts from the moment it is to happen. */
function isDue(claims: Claims, epochMs: number): boolean {
  const scheduledAtEpochMs = claims.switchover?.scheduledAtEpochMs ?? null;
  return claims.switchover !== null && (scheduledAtEpochMs === null || scheduledAtEpochMs <= epochMs);
}

function nodeView(input: ViewInput, facts: NodeFacts): NodeView {
  const { claim, sample, lag } = facts;
  const role = facts.role(input.nowMs, input.sampleMaxAgeMs, input.systemIdentifier);
  const stranger = strangerReason(input, facts, role);
  const health = stranger === null ? facts.health.health : NodeHealth.Unknown;
  return {
    name: facts.name,
    host: facts.host,
    port: facts.port,
    role,
    health,
    healthySinceMs: health === NodeHealth.Healthy ? facts.health.sinceMs : null,
    reason: stranger ?? facts.health.reason ?? reasonBeside(input, facts, role),
    timeline: sample?.timeline ?? null,
    systemIdentifier: sample?.identity.systemIdentifier ?? null,
    serverVersion: sample?.identity.serverVersion ?? null,
    lsn: sample === null ? null : (sample.flushedLsn ?? sample.replayLsn),
    lagBytes: role === NodeRole.Unknown ? null : lag.bytes,
    lagMs: role === NodeRole.Unknown || !lag.exact ? null : lag.ms,
    streaming: role === NodeRole.Standby && sample?.streaming === true,
    sampledAtMs: sample?.answeredAtMs ?? null,
    synchronous: isSynchronous(input.claims, facts.name),
    noloadbalance: claim.noloadbalance,
    tags: claim.tags,
    weight: weightOf(input, facts),
    acceptsConnections: facts.connectTrouble === null,
    drained: input.drained.has(facts.name),
    freeConnections: role === NodeRole.Primary ? facts.freeConnections : null,
  };
}

/** Why a node that answers is no part of this cluster; null when it is. */
function strangerReason(input: ViewInput, facts: NodeFacts, role: NodeRole): string | null {
  const identity = facts.sample?.identity ?? null;
  const answers = facts.health.health === NodeHealth.Healthy || facts.health.health === NodeHealth.Lagging;
  if (role !== NodeRole.Unknown || identity === null || input.systemIdentifier === null || !answers) {
    return null;
  }
  if (identity.systemIdentifier === null) {
    return facts.sample?.gap ?? 'the system identifier is hidden';
  }
  return identity.systemIdentifier === input.systemIdentifier
    ? null
    : `has the system identifier ${identity.systemIdentifier}, the cluster has ${input.systemIdentifier}`;
}

/** What is worth saying about a node whose health is fine; null when nothing is. */
function reasonBeside(input: ViewInput, facts: NodeFacts, role: NodeRole): string | null {
  const proof = facts.proof(input.nowMs, input.sampleMaxAgeMs);
  if (proof.status === 'none') {
    return proof.reason;
  }
  if (role === NodeRole.Primary && facts.name !== input.primary) {
    return input.noPrimaryReason ?? `out of recovery, but the primary is ${input.primary}`;
  }
  if (facts.connectTrouble !== null) {
    return facts.connectTrouble;
  }
  if (input.drained.has(facts.name)) {
    return 'it is being drained';
  }
  if (facts.departedAtMs !== null) {
    return 'its member key is gone';
  }
  return facts.sample?.gap ?? null;
}

/** Patroni compares the names in the sync key without regard to case. */
function isSynchronous(claims: Claims, name: NodeName): boolean {
  const wanted = name.toLowerCase();
  return claims.sync?.standbys.some((standby) => standby.toLowerCase() === wanted) ?? false;
}

function weightOf(input: ViewInput, facts: NodeFacts): number {
  const configured = input.weights.get(facts.name);
  if (configured !== undefined) {
    return configured;
  }
  const tag = facts.claim.tags.get('weight')?.trim() ?? '';
  const weight = tag === '' ? Number.NaN : Number(tag);
  return Number.isFinite(weight) && weight >= 0 ? Math.min(WEIGHT_MAX, weight) : 1;
}
