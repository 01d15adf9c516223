import { isDeepStrictEqual } from 'node:util';
import { ClusterStore } from '../../src/cluster/store.js';
import type { HealthOptions } from '../../src/cluster/health.js';
import type { ClusterView } from '../../src/cluster/view.js';
import type { Claims } from '../../src/dcs/claims.js';
import { silentLogger } from '../../src/log.js';
import type { Logger } from '../../src/log.js';
import type { FailureKind } from '../../src/replication/probe-failure.js';
import type { ProbeSample } from '../../src/replication/probe.js';
import { Ticks, TICK_BELIEF_MS } from '../../src/replication/ticks.js';
import type { NodeName } from '../../src/util/brand.js';
import { FakeClock } from './fake-clock.js';
import { claimsOf, failureOf, primarySample, standbySample } from './cluster-fakes.js';

export const FRESHNESS: HealthOptions = {
  maxLagMs: 10_000,
  maxLagBytes: 16_000_000,
  recoverLagMs: 5000,
  recoverLagBytes: 8_000_000,
  lagSamples: 3,
  minDwellMs: 2000,
  requireStreaming: true,
  warmUpMs: 1000,
  sampleMaxAgeMs: 5000,
};

/** What a pretended node answers in a round; a failure kind instead of a sample when it fails. */
export interface Actor {
  role: 'primary' | 'standby';
  lsn: bigint;
  over: Parameters<typeof standbySample>[2];
  fails: FailureKind | null;
  /** Gives no result at all: the probe is still under way. */
  isSilent: boolean;
}

/** A store fed in rounds of 250 ms by pretended nodes, with everything it published. */
export class FakeCluster {
  readonly clock: FakeClock;
  readonly ticks: Ticks;
  readonly store: ClusterStore;
  readonly views: ClusterView[] = [];
  readonly actors: Map<NodeName, Actor> = new Map();
  claims: Claims;
  readonly #last: Map<Actor, ProbeSample> = new Map();

  constructor(
    claims: Claims = claimsOf(),
    over: Partial<HealthOptions> = {},
    weights: ReadonlyMap<NodeName, number> = new Map(),
    logger: Logger = silentLogger,
  ) {
    this.clock = new FakeClock(100_000);
    this.ticks = new Ticks({ capacity: 1024, beliefMs: TICK_BELIEF_MS });
    this.claims = claims;
    const health = { ...FRESHNESS, ...over };
    this.store = new ClusterStore({ clock: this.clock, logger, ticks: this.ticks, health, weights }, claims);
    this.store.subscribe((view) => this.views.push(view));
    for (const name of claims.members.keys()) {
      this.actor(name);
    }
  }

  actor(name: NodeName): Actor {
    let actor = this.actors.get(name);
    if (actor === undefined) {
      actor = { role: 'standby', lsn: 0x1000n, over: {}, fails: null, isSilent: false };
      this.actors.set(name, actor);
    }
    return actor;
  }

  claim(claims: Claims): void {
    this.claims = claims;
    this.store.applyClaims(claims);
  }

  /** One probe of one node. */
  probe(name: NodeName): void {
    const actor = this.actor(name);
    if (actor.isSilent) {
      return;
    }
    const nowMs = this.clock.nowMs();
    const tick = name === this.store.tickSource ? this.ticks.send() : null;
    if (actor.fails !== null) {
      this.store.applySample(name, failureOf(actor.fails, nowMs), tick);
      return;
    }
    this.store.applySample(name, this.sample(actor, nowMs), tick);
  }

  /** Samples of one node come over one connection, so their identity is one object, until it differs. */
  sample(actor: Actor, nowMs: number): ProbeSample {
    const sample =
      actor.role === 'primary'
        ? primarySample(nowMs, actor.lsn, actor.over)
        : standbySample(nowMs, actor.lsn, actor.over);
    const { identity } = this.#last.get(actor) ?? sample;
    const kept = isDeepStrictEqual(identity, sample.identity) ? { ...sample, identity } : sample;
    this.#last.set(actor, kept);
    return kept;
  }

  /** One round: the source of ticks first. */
  round(): void {
    this.clock.advance(250);
    this.store.sweep();
    const source = this.store.tickSource;
    if (source !== null) {
      this.probe(source);
    }
    for (const name of this.actors.keys()) {
      if (name !== source) {
        this.probe(name);
      }
    }
  }

  /** Rounds for `ms`; `each` sets the stage before every one. */
  run(ms: number, each: (elapsedMs: number) => void = () => {}): void {
    for (let elapsedMs = 0; elapsedMs < ms; elapsedMs += 250) {
      each(elapsedMs);
      this.round();
    }
  }

  /** The healths a node went through in the published views, each named once. */
  path(name: NodeName): string[] {
    const path: string[] = [];
    for (const view of this.views) {
      const health = view.nodes.get(name)?.health ?? 'gone';
      if (path.at(-1) !== health) {
        path.push(health);
      }
    }
    return path;
  }

  get view(): ClusterView {
    return this.store.view;
  }
}
