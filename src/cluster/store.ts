import { DcsState } from '../dcs/claims.js';
import type { Claims } from '../dcs/claims.js';
import { messageOf } from '../errors.js';
import type { Logger } from '../log.js';
import type { ConnectResult, ProbeResult, ProbeTarget } from '../replication/probe.js';
import type { Ticks } from '../replication/ticks.js';
import type { NodeName } from '../util/brand.js';
import type { Clock } from '../util/clock.js';
import { ClusterChangeKind, changesBetween, hasNewFigures, isSameButFigures } from './changes.js';
import type { HealthOptions } from './health.js';
import { NodeFacts } from './node-facts.js';
import { Past } from './past.js';
import { choosePrimary } from './policy.js';
import type { NodeProof, PrimaryChoice } from './policy.js';
import { buildView } from './view-builder.js';
import { NodeHealth } from './view.js';
import type { ClusterView } from './view.js';

/** Called with every new view, after it has become the store's; `previous` is the one before. */
export type ViewListener = (view: ClusterView, previous: ClusterView) => void;

/** Newest figures of one node, which a view shows only now and then. */
export interface NodeFigures {
  readonly lagBytes: number | null;
  readonly lagMs: number | null;
  /** Number of the newest tick the node is caught up to; null: none. */
  readonly caughtUpTick: number | null;
  readonly sampledAtMs: number | null;
  /** Time from the question to the answer of the newest sample. */
  readonly roundTripMs: number | null;
}

export interface StoreOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly ticks: Ticks;
  readonly health: HealthOptions;
  /** Weights of the configuration; they win over the tag `weight`. */
  readonly weights: ReadonlyMap<NodeName, number>;
}

/** A view is published at most this often when nothing but figures moved. */
export const FIGURES_INTERVAL_MS = 1000;
/** How long a node that nobody claims any more is kept while it answers: Patroni may just be restarted. In maintenance mode: for ever. */
export const DEPARTED_KEEP_MS = 60_000;

/**
 * Merges claims and facts into the next view, and publishes it. Does no I/O of its own: claims, samples and the passing of time are
 * given to it.
 */
export class ClusterStore {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #ticks: Ticks;
  readonly #listeners: Set<ViewListener>;
  readonly #nodes: Map<NodeName, NodeFacts>;
  readonly #past: Past;
  #health: HealthOptions;
  #weights: ReadonlyMap<NodeName, number>;
  #drained: ReadonlySet<NodeName>;
  #claims: Claims;
  #view: ClusterView;
  /** Of the first primary, where the DCS does not say it. */
  #fixedIdentifier: string | null;
  #claimedIdentifier: string | null;
  #lastPrimary: NodeName | null;
  #isContested: boolean;
  #publishedAtMs: number;
  #isPublishing: boolean;

  constructor(options: StoreOptions, claims: Claims) {
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#ticks = options.ticks;
    this.#listeners = new Set();
    this.#nodes = new Map();
    this.#past = new Past();
    this.#health = options.health;
    this.#weights = options.weights;
    this.#drained = new Set();
    this.#claims = claims;
    this.#fixedIdentifier = null;
    this.#claimedIdentifier = null;
    this.#lastPrimary = null;
    this.#isContested = false;
    this.#publishedAtMs = options.clock.nowMs();
    this.#isPublishing = false;
    this.#takeClaims();
    this.#view = this.#build(this.#choose(), 0);
  }

  /** The newest view; a frozen object that is replaced, never changed. */
  get view(): ClusterView {
    return this.#view;
  }

  /** A node was seen to be promoted since the leader key was last read: nobody gets writes until it is read again. */
  get isContested(): boolean {
    return this.#isContested;
  }

  /** Whose samples are ticks: the primary, or the leader of a standby cluster, against which its standbys are measured. */
  get tickSource(): NodeName | null {
    if (this.#view.standbyCluster) {
      return this.#view.leader?.name ?? null;
    }
    return this.#view.primary;
  }

  /** Calls `listener` with every new view until the returned function is called. */
  subscribe(listener: ViewListener): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** The nodes to be probed. */
  targets(): ReadonlyMap<NodeName, ProbeTarget> {
    return new Map([...this.#nodes.values()].map(({ name, host, port }) => [name, { host, port }]));
  }

  figures(): ReadonlyMap<NodeName, NodeFigures> {
    const figures = new Map<NodeName, NodeFigures>();
    for (const facts of this.#nodes.values()) {
      const { lag, sample } = facts;
      figures.set(facts.name, {
        lagBytes: lag.bytes,
        lagMs: lag.exact ? lag.ms : null,
        caughtUpTick: facts.caughtUpTick(this.#ticks),
        sampledAtMs: sample?.answeredAtMs ?? null,
        roundTripMs: sample === null ? null : sample.answeredAtMs - sample.sentAtMs,
      });
    }
    return figures;
  }

  /** Number of the newest tick that a standby is caught up to: what a fence is compared with. Null: none, or no such node. */
  caughtUpTick(name: NodeName): number | null {
    return this.#nodes.get(name)?.caughtUpTick(this.#ticks) ?? null;
  }

  applyClaims(claims: Claims): void {
    this.#claims = claims;
    this.#takeClaims();
    this.#refresh();
  }

  /** `tick`: the number under which the sample was sent to the source of ticks; null for every other sample. */
  applySample(name: NodeName, result: ProbeResult, tick: number | null): void {
    const facts = this.#nodes.get(name);
    if (facts === undefined) {
      return;
    }
    this.#recordTick(name, result, tick);
    facts.applyResult(result, this.#ticks, this.#clock.nowMs(), this.#health);
    if (result.ok && facts.sample !== null) {
      this.#past.note(name, facts.sample);
    }
    this.#refresh();
  }

  applyConnect(name: NodeName, result: ConnectResult): void {
    this.#nodes.get(name)?.applyConnect(result);
    this.#refresh();
  }

  /** Lets time pass: samples grow old, a scheduled switchover falls due, departed nodes go. To be called once in every round. */
  sweep(): void {
    const nowMs = this.#clock.nowMs();
    for (const facts of this.#nodes.values()) {
      facts.applyTime(nowMs, this.#health);
    }
    this.#forgetDeparted(nowMs);
    this.#past.prune(this.#nodes);
    this.#refresh();
  }

  /** Takes over changed settings; they count from the next sample on. */
  reconfigure(health: HealthOptions, weights: ReadonlyMap<NodeName, number>): void {
    this.#health = health;
    this.#weights = weights;
    this.#refresh();
  }

  /** The nodes that an operator wants no sessions on, in place of those before. */
  setDrained(nodes: ReadonlySet<NodeName>): void {
    this.#drained = nodes;
    this.#refresh();
  }

  /**
   * The operator's word that what was seen before counts for nothing: after a restore, or after a cluster went back to an older timeline
   * and lost what was written on the newer one. From then on the primary is chosen as if the program had just been started.
   */
  forgetPast(): void {
    this.#past.forget();
    this.#lastPrimary = null;
    this.#fixedIdentifier = this.#claimedIdentifier;
    this.#logger.warn({ epoch: this.#view.epoch }, 'the timelines seen so far were forgotten on request');
    this.#refresh();
  }

  #takeClaims(): void {
    const { members, provider, systemIdentifier, leader, confirmedAtMs } = this.#claims;
    const nowMs = this.#clock.nowMs();
    if (leader !== null) {
      this.#past.decided(confirmedAtMs);
    }
    if (systemIdentifier !== null && systemIdentifier !== this.#claimedIdentifier) {
      const known = this.#claimedIdentifier ?? this.#fixedIdentifier;
      if (known !== null && known !== systemIdentifier) {
        // The cluster was made anew under the same name: what the old one was counts for nothing.
        this.#past.forget();
        this.#lastPrimary = null;
      }
      this.#claimedIdentifier = systemIdentifier;
      this.#fixedIdentifier = systemIdentifier;
    }
    for (const claim of members.values()) {
      const facts = this.#nodes.get(claim.name);
      if (facts === undefined || facts.host !== claim.host || facts.port !== claim.port) {
        this.#nodes.set(claim.name, new NodeFacts(claim, nowMs));
      } else {
        facts.claim = claim;
        facts.departedAtMs = null;
      }
    }
    for (const facts of this.#nodes.values()) {
      if (!members.has(facts.name)) {
        if (provider === 'nodes') {
          this.#nodes.delete(facts.name);
          this.#past.strike(facts.name);
        } else {
          facts.departedAtMs ??= nowMs;
        }
      }
    }
    this.#forgetDeparted(nowMs);
  }

  /** A node without a member key stays while it may only be Patroni that is away: while it answers, for a while or in maintenance mode. */
  #forgetDeparted(nowMs: number): void {
    const { settings, state } = this.#claims;
    if (state !== DcsState.Live) {
      return;
    }
    for (const facts of this.#nodes.values()) {
      if (facts.departedAtMs === null) {
        continue;
      }
      const isOver = !settings.paused && nowMs - facts.departedAtMs > DEPARTED_KEEP_MS;
      const isGone = facts.health.health === NodeHealth.Unreachable && facts.name !== this.#lastPrimary;
      if (isOver || isGone) {
        this.#nodes.delete(facts.name);
      }
    }
  }

  #recordTick(name: NodeName, result: ProbeResult, tick: number | null): void {
    if (tick === null || !result.ok || name !== this.tickSource || result.timeline === null) {
      return;
    }
    const identifier = this.#identifier();
    if (identifier !== null && result.identity.systemIdentifier !== identifier) {
      return;
    }
    // A standby leader's "primary" is elsewhere: what it has received is the newest position that this cluster knows of.
    const lsn = this.#view.standbyCluster ? (result.receiveLsn ?? result.replayLsn) : result.flushedLsn;
    if (lsn !== null) {
      this.#ticks.record(tick, { node: name, timeline: result.timeline }, result.sentAtMs, lsn);
    }
  }

  #identifier(): string | null {
    return this.#claimedIdentifier ?? this.#fixedIdentifier;
  }

  #choose(): PrimaryChoice {
    const nowMs = this.#clock.nowMs();
    const claims = this.#claims;
    const proofs = new Map<NodeName, NodeProof>();
    for (const facts of this.#nodes.values()) {
      proofs.set(facts.name, facts.proof(nowMs, this.#health.sampleMaxAgeMs));
    }
    const identifier = this.#identifier();
    this.#lookBack(proofs);
    const choice = choosePrimary({
      provider: claims.provider,
      dcsState: claims.state,
      leader: claims.leader?.name ?? null,
      paused: claims.settings.paused,
      standbyCluster: claims.settings.standbyCluster,
      systemIdentifier: identifier,
      highestTimeline: this.#past.highestTimeline(claims.history),
      lastPrimary: this.#lastPrimary,
      proofs,
      news: this.#past.news(identifier),
    });
    this.#isContested = choice.primary === null && choice.isContested;
    if (choice.primary !== null) {
      const sample = this.#nodes.get(choice.primary)?.sample;
      this.#lastPrimary = choice.primary;
      this.#past.proved(sample?.timeline ?? 0);
      this.#fixedIdentifier ??= sample?.identity.systemIdentifier ?? null;
    }
    return choice;
  }

  /** Whether the cluster has gone back to an older timeline as a whole. */
  #lookBack(proofs: ReadonlyMap<NodeName, NodeProof>): void {
    const { leader, state, settings, history } = this.#claims;
    const proof = leader === null ? undefined : proofs.get(leader.name);
    if (leader === null || proof === undefined || state !== DcsState.Live || settings.standbyCluster) {
      return;
    }
    const lostTimeline = this.#past.goBackTo(proof, this.#identifier(), history);
    if (lostTimeline !== null) {
      this.#logger.error(
        { node: leader.name, lostTimeline },
        'the cluster went back to an older timeline: what was written on the newer one is lost',
      );
    }
  }

  #build(choice: PrimaryChoice, epoch: number): ClusterView {
    const identifier = this.#identifier();
    const news = this.#past.news(identifier).map(({ timeline }) => timeline);
    return buildView({
      epoch,
      claims: this.#claims,
      nodes: [...this.#nodes.values()].sort((a, b) => (a.name < b.name ? -1 : 1)),
      primary: choice.primary,
      noPrimaryReason: choice.reason,
      systemIdentifier: identifier,
      highestTimeline: Math.max(this.#past.highestTimeline(this.#claims.history), ...news),
      weights: this.#weights,
      drained: this.#drained,
      sampleMaxAgeMs: this.#health.sampleMaxAgeMs,
      nowMs: this.#clock.nowMs(),
      epochMs: this.#clock.epochMs(),
    });
  }

  /** Publishes the next view when it says something new. A listener may call the store: what it changes is published after this. */
  #refresh(): void {
    if (this.#isPublishing) {
      return;
    }
    this.#isPublishing = true;
    try {
      for (let next = this.#next(); next !== null; next = this.#next()) {
        const previous = this.#view;
        this.#view = next;
        this.#publishedAtMs = this.#clock.nowMs();
        this.#log(previous, next);
        for (const listener of this.#listeners) {
          this.#tell(listener, next, previous);
        }
      }
    } finally {
      this.#isPublishing = false;
    }
  }

  #next(): ClusterView | null {
    const next = this.#build(this.#choose(), this.#view.epoch + 1);
    if (!isSameButFigures(this.#view, next)) {
      return next;
    }
    const isTime = this.#clock.nowMs() - this.#publishedAtMs >= FIGURES_INTERVAL_MS;
    return isTime && hasNewFigures(this.#view, next) ? next : null;
  }

  #tell(listener: ViewListener, view: ClusterView, previous: ClusterView): void {
    try {
      listener(view, previous);
    } catch (error) {
      this.#logger.error({ epoch: view.epoch, reason: messageOf(error) }, 'a listener failed on a new view');
    }
  }

  #log(before: ClusterView, after: ClusterView): void {
    for (const { kind, node, from, to, reason } of changesBetween(before, after)) {
      const fields = { epoch: after.epoch, change: kind, node, from, to, reason };
      const isLoss =
        (kind === ClusterChangeKind.Primary && to === null) ||
        (kind === ClusterChangeKind.NodeHealth && to === NodeHealth.Unreachable) ||
        (kind === ClusterChangeKind.Dcs && to === DcsState.Stale);
      this.#logger[isLoss ? 'warn' : 'info'](fields, 'the picture of the cluster changed');
    }
  }
}
