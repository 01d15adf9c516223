import type { RoutingConfig, ClusterConfig } from '../config/schema.js';
import type { Claims, ClaimsProvider } from '../dcs/claims.js';
import type { Logger } from '../log.js';
import type { ProbeConnect } from '../replication/probe.js';
import { Prober } from '../replication/prober.js';
import { TICK_BELIEF_MS, tickCapacity, Ticks } from '../replication/ticks.js';
import { nodeName } from '../util/brand.js';
import type { NodeName } from '../util/brand.js';
import type { Clock } from '../util/clock.js';
import type { HealthOptions } from './health.js';
import { ClusterStore } from './store.js';

/** A sample older than this many probe time limits says nothing any more. */
const SAMPLE_AGE_FACTOR = 3;

/** Claims and facts of one cluster, brought together: runs the provider and the prober and feeds the store. */
export class ClusterWatch {
  readonly store: ClusterStore;
  readonly prober: Prober;
  readonly provider: ClaimsProvider;
  readonly ticks: Ticks;
  /** Hears each new count of a primary's connections, before the view that shows it. */
  onFreeConnections: ((node: NodeName, free: number) => void) | null = null;
  readonly #cluster: ClusterConfig;
  #taken: Claims;

  constructor(
    cluster: ClusterConfig,
    routing: RoutingConfig,
    provider: ClaimsProvider,
    connect: ProbeConnect,
    clock: Clock,
    logger: Logger,
  ) {
    const { monitor } = cluster;
    this.#cluster = cluster;
    this.provider = provider;
    this.#taken = provider.claims;
    this.ticks = new Ticks({
      capacity: tickCapacity(routing.maxLagMs, monitor.intervalMs),
      beliefMs: TICK_BELIEF_MS,
      spacingMs: monitor.intervalMs,
    });
    this.store = new ClusterStore(
      { clock, logger, ticks: this.ticks, health: healthOptions(cluster, routing), weights: weightsOf(cluster) },
      provider.claims,
    );
    this.prober = new Prober({
      clock,
      logger,
      connect,
      ticks: this.ticks,
      intervalMs: monitor.intervalMs,
      promotionIntervalMs: monitor.promotionIntervalMs,
      timeoutMs: monitor.timeoutMs,
      connectIntervalMs: monitor.connectIntervalMs,
      handler: {
        onSample: (node, result, tick) => {
          if (result.ok && result.freeConnections !== null) this.onFreeConnections?.(node, result.freeConnections);
          this.store.applySample(node, result, tick);
        },
        onConnect: (node, result) => this.store.applyConnect(node, result),
        onRound: () => this.#round(),
      },
    });
    this.store.subscribe(() => {
      this.prober.setSource(this.store.tickSource);
      this.prober.setNodes(this.store.targets());
    });
  }

  start(): void {
    this.provider.start(() => this.#takeClaims());
    this.#takeClaims();
    this.prober.start();
  }

  /** Takes over changed settings that need no restart. */
  reconfigure(routing: RoutingConfig): void {
    this.store.reconfigure(healthOptions(this.#cluster, routing), weightsOf(this.#cluster));
  }

  async close(): Promise<void> {
    this.prober.close();
    await this.provider.close();
  }

  #takeClaims(): void {
    this.#taken = this.provider.claims;
    this.store.applyClaims(this.#taken);
    this.prober.setNodes(this.store.targets());
  }

  #round(): void {
    // A confirmation alone is no change that is told of, but it settles what was seen before it.
    if (this.provider.claims !== this.#taken) {
      this.#takeClaims();
    }
    this.store.sweep();
    if (this.store.isContested) {
      this.provider.confirmSoon();
    }
  }
}

function healthOptions(cluster: ClusterConfig, routing: RoutingConfig): HealthOptions {
  const { monitor } = cluster;
  return {
    maxLagMs: routing.maxLagMs,
    maxLagBytes: routing.maxLagBytes,
    recoverLagMs: routing.recoverLagMs,
    recoverLagBytes: routing.recoverLagBytes,
    lagSamples: routing.lagSamples,
    minDwellMs: routing.minDwellMs,
    requireStreaming: routing.requireStreaming,
    warmUpMs: routing.warmUpMs,
    sampleMaxAgeMs: monitor.intervalMs + SAMPLE_AGE_FACTOR * monitor.timeoutMs,
  };
}

function weightsOf(cluster: ClusterConfig): ReadonlyMap<NodeName, number> {
  const { source } = cluster;
  return new Map(source.kind === 'nodes' ? source.nodes.map((node) => [nodeName(node.name), node.weight]) : []);
}
