import { DcsState } from '../dcs/claims.js';
import type { Claims, Lsn } from '../dcs/claims.js';
import { messageOf } from '../errors.js';
import type { Logger } from '../log.js';
import type { NodeIdentity } from '../replication/probe-sql.js';
import type { ConnectResult, ProbeResult, ProbeSample, ProbeTarget } from '../replication/probe.js';
import type { Ticks } from '../replication/ticks.js';
import type { NodeName } from '../util/brand.js';
import type { Clock } from '../util/clock.js';
import { hasNewFigures, isSameButFigures, logChanges } from './changes.js';
import type { HealthOptions } from './health.js';
import { Past } from './past.js';
import { choosePrimary } from './policy.js';
import type { NodeProof, PrimaryChoice } from './policy.js';
import { Progress } from './progress.js';
import { Roster } from './roster.js';
import { buildView } from './view-builder.js';
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

/**
 * Merges claims and facts into the next view, and publishes it. Does no I/O of its own: claims, samples and the passing of time are
 * given to it.
 */
export class ClusterStore {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #ticks: Ticks;
  readonly #listeners: Set<ViewListener>;
  readonly #progress: Progress;
  readonly #roster: Roster;
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
    this.#progress = new Progress((error) => {
      this.#logger.error({ epoch: this.#view.epoch, reason: messageOf(error) }, 'a listener failed on a new sample');
    });
    this.#roster = new Roster();
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
    return this.#roster.targets();
  }

  figures(): ReadonlyMap<NodeName, NodeFigures> {
    const figures = new Map<NodeName, NodeFigures>();
    for (const facts of this.#roster.all) {
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

  /**
   * Number of the newest tick that a standby is caught up to, by its newest sample: what a fence is compared with. Lower than before when
   * the standby was started again and has not come as far yet. Null: none, not known since the node failed to answer, or no such node.
   */
  caughtUpTick(name: NodeName): number | null {
    return this.#roster.byName.get(name)?.caughtUpTick(this.#ticks) ?? null;
  }

  /** What a standby had replayed, by its newest sample; null where the ticks cannot be compared with it. */
  replayed(name: NodeName): Lsn | null {
    return this.#roster.byName.get(name)?.replayed(this.#ticks) ?? null;
  }

  /** Whom the newest sample is from: the same object as long as it comes over one connection. Null before the first. */
  identityOf(name: NodeName): NodeIdentity | null {
    return this.#roster.byName.get(name)?.sample?.identity ?? null;
  }

  /** Calls `listener` after each sample that a node gave, until the returned function is called: a standby may have caught up. */
  onProgress(listener: () => void): () => void {
    return this.#progress.subscribe(listener);
  }

  applyClaims(claims: Claims): void {
    this.#claims = claims;
    this.#takeClaims();
    this.#refresh();
  }

  /** `tick`: the number under which the sample was sent to the source of ticks; null for every other sample. */
  applySample(name: NodeName, result: ProbeResult, tick: number | null): void {
    const facts = this.#roster.byName.get(name);
    if (facts === undefined) {
      return;
    }
    if (result.ok && tick !== null && name === this.tickSource) {
      this.#recordTick(name, result, tick);
    }
    facts.applyResult(result, this.#ticks, this.#clock.nowMs(), this.#health);
    if (result.ok && facts.sample !== null) {
      this.#past.note(name, facts.sample);
    }
    this.#refresh();
    if (result.ok) {
      this.#progress.tell();
    }
  }

  applyConnect(name: NodeName, result: ConnectResult): void {
    this.#roster.byName.get(name)?.applyConnect(result);
    this.#refresh();
  }

  /** Lets time pass: samples grow old, a scheduled switchover falls due, departed nodes go. To be called once in every round. */
  sweep(): void {
    const nowMs = this.#clock.nowMs();
    for (const facts of this.#roster.all) {
      facts.applyTime(nowMs, this.#health);
    }
    this.#roster.forgetDeparted(this.#claims, this.#lastPrimary, nowMs);
    this.#past.prune(this.#roster.byName);
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
    const { systemIdentifier, leader, confirmedAtMs } = this.#claims;
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
    for (const name of this.#roster.take(this.#claims, nowMs)) {
      this.#past.strike(name);
    }
    this.#roster.forgetDeparted(this.#claims, this.#lastPrimary, nowMs);
  }

  #recordTick(name: NodeName, sample: ProbeSample, number: number): void {
    const { timeline, sentAtMs, identity, replayLsn, receiveLsn } = sample;
    const identifier = this.#identifier();
    if (timeline === null || (identifier !== null && identity.systemIdentifier !== identifier)) {
      return;
    }
    const source = { node: name, timeline };
    if (!this.#view.standbyCluster) {
      const { flushedLsn: lsn, insertedLsn: fenceLsn, isFlushCut: mayBeCut } = sample;
      if (lsn !== null) {
        this.#ticks.record({ number, source, sentAtMs, lsn, mayBeCut, fenceLsn });
      }
      return;
    }
    // A standby leader's "primary" is elsewhere: what it has received is the newest position that this cluster knows of. Right after a
    // start it has replayed more than it has received since, and its standbys may have all of that.
    const lsn = receiveLsn ?? replayLsn;
    if (lsn !== null) {
      const fenceLsn = replayLsn !== null && replayLsn > lsn ? replayLsn : lsn;
      this.#ticks.record({ number, source, sentAtMs, lsn, mayBeCut: false, fenceLsn });
    }
  }

  #identifier(): string | null {
    return this.#claimedIdentifier ?? this.#fixedIdentifier;
  }

  #choose(): PrimaryChoice {
    const nowMs = this.#clock.nowMs();
    const claims = this.#claims;
    const proofs = new Map<NodeName, NodeProof>();
    for (const facts of this.#roster.all) {
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
      const sample = this.#roster.byName.get(choice.primary)?.sample;
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
      nodes: this.#roster.sorted(),
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
        logChanges(this.#logger, previous, next);
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
}
