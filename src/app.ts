import { Console } from './admin/console/console.js';
import type { ConsoleControls } from './admin/console/controls.js';
import { YardControls } from './admin/console/yard-controls.js';
import type { ExplainParts } from './admin/explain.js';
import type { ServedListener } from './admin/proxy.js';
import { KeyDeriver } from './auth/key-deriver.js';
import { LoginSecrets } from './auth/login-secrets.js';
import { openUserSources } from './auth/user-sources.js';
import { UserDirectory } from './auth/users.js';
import type { UserSources } from './auth/users.js';
import type { MonitorConnection } from './backend/monitor-connection.js';
import { openMonitor } from './backend/open-monitor.js';
import { Pool } from './backend/pool.js';
import { NodeConnector } from './backend/pool/node-connector.js';
import { Catalogs } from './cluster/catalogs.js';
import type { CatalogsOptions } from './cluster/catalogs.js';
import { ClusterWatch } from './cluster/cluster-watch.js';
import { ClusterFreshness } from './cluster/freshness.js';
import { MonitorQuery } from './cluster/monitor-query.js';
import { diffConfig } from './config/diff.js';
import type { ConfigDiff } from './config/diff.js';
import { withLiveKeys } from './config/live-listener.js';
import type { Config, ListenerConfig } from './config/schema.js';
import { openProvider } from './dcs/open-provider.js';
import { SwitchyardError } from './errors.js';
import { CandidateGuard } from './failover/candidate-guard.js';
import { Conductor } from './failover/conductor.js';
import { ConnectionRoom } from './failover/connection-room.js';
import { Drain } from './failover/drain.js';
import { ClusterForesight } from './failover/foresight.js';
import { HoldQueue } from './failover/hold-queue.js';
import { GateWithPauses } from './failover/pause-gate.js';
import { Pauses } from './failover/pauses.js';
import type { AdjustableLogger, Logger } from './log.js';
import { Counters } from './metrics/counters.js';
import { TrafficTable } from './metrics/traffic.js';
import type { Engine, Listener } from './net/engine.js';
import { decodeObstacle, OBSTACLE_SQL } from './replication/promotion-obstacle.js';
import { clientCollectTable } from './relay/client-collect.js';
import { CloseReason } from './session/close-reason.js';
import type { SessionContext } from './session/context.js';
import type { Door, Doorkeeper } from './session/doorkeeper.js';
import { doorRules, intentOf, sessionLimits } from './session/from-config.js';
import { Greetings } from './session/greetings.js';
import { SharedBackends } from './session/pooled/shared-backends.js';
import { SessionRegistry } from './session/registry.js';
import { RefusedTemplates } from './session/split/refused-templates.js';
import { DatabaseFences } from './session/split/session-fence.js';
import { Startup } from './session/startup.js';
import { TimeoutSweep } from './session/timeouts/timeout-sweep.js';
import type { SqlAnalyzer } from './sql/analysis.js';
import { TreeAnalyzer } from './sql/sql-analyzer.js';
import { SqlParser } from './sql/sql-parser.js';
import { VerdictCache } from './sql/verdict-cache.js';
import type { Clock } from './util/clock.js';
import { TurnClock } from './util/turn-clock.js';

/** Clients beyond `max_clients` that may be on their way in: they are told that there is no room, and their cancel requests are heard. */
const STARTUPS_BEYOND_MAX = 200;
const STOP_LOOK_MS = 20;

export interface AppParts {
  readonly clock: Clock;
  readonly logger: Logger | AdjustableLogger;
  /** What moves the bytes of clients, and of the pool's backends. */
  readonly engine: Engine;
}

const notLoaded: SqlAnalyzer = {
  analyze: () => {
    throw new SwitchyardError('internal', 'the SQL parser is not loaded');
  },
};

/** The whole proxy, composed; nothing runs before `start`. Several can live in one process. */
export class App {
  config: Config;
  readonly clock: Clock;
  readonly logger: Logger | AdjustableLogger;
  readonly counters = new Counters();
  readonly traffic = new TrafficTable();
  #console: Console | null = null;
  readonly registry: SessionRegistry;
  readonly watch: ClusterWatch;
  readonly pool: Pool;
  readonly conductor: Conductor;
  readonly primaryHold: HoldQueue;
  readonly standbyHold: HoldQueue;
  readonly pauses: Pauses;
  /** What the commands of the console do; replaced where there is a program around the proxy. */
  controls: ConsoleControls = new YardControls(this);
  readonly drain: Drain;
  readonly guard: CandidateGuard;
  /** What is known of the databases that split sessions read. */
  readonly catalogs: Catalogs;
  /** What tells where a statement goes; not before `start`. */
  explain: ExplainParts | undefined;
  /** What moves the bytes of clients, and of the pool's backends. */
  readonly engine: Engine;
  readonly #keeper: Doorkeeper;
  readonly #sweep: TimeoutSweep;
  readonly #greetings = new Greetings();
  readonly #monitorQuery: MonitorQuery;
  readonly #doors = new Map<string, Door>();
  readonly #listeners: { readonly config: ListenerConfig; readonly door: Door; readonly listener: Listener }[] = [];
  #stopping: Promise<void> | null = null;
  #stopByMs = Number.POSITIVE_INFINITY;
  #isClosed = false;

  constructor(config: Config, parts: AppParts) {
    const { clock, logger, engine } = parts;
    this.config = config;
    this.clock = clock;
    this.logger = logger;
    this.registry = new SessionRegistry((session, reason) =>
      logger.debug(
        { session: session.id, user: session.identity.user, database: session.identity.database, reason },
        'session ends',
      ),
    );
    this.engine = engine;
    const connector = new NodeConnector(() => this.config, engine, clock);
    this.pool = new Pool(config.pool, { clock, logger, counters: this.counters, connector });
    this.watch = new ClusterWatch(
      config.cluster,
      config.routing,
      openProvider(config.cluster, clock, logger),
      ({ host, port }, timeoutMs) => this.#openMonitor(host, port, config.cluster.monitor.database, timeoutMs),
      clock,
      logger,
    );
    const view = () => this.watch.store.view;
    this.#monitorQuery = new MonitorQuery(
      (host, port, database) => this.#openMonitor(host, port, database, config.cluster.monitor.timeoutMs),
      view,
      clock,
    );
    const room = new ConnectionRoom(clock, this.pool);
    this.watch.onFreeConnections = (node, free) => room.counted(node, free);
    this.primaryHold = new HoldQueue(config.promotion, clock, { room: () => room.left(view().primary) });
    this.pool.onRoom = (node) => {
      if (node === view().primary) this.primaryHold.hurry();
    };
    this.standbyHold = new HoldQueue(config.promotion, clock);
    const { releaseWave } = config.promotion;
    const roomLeft = () => room.left(view().primary);
    this.pauses = new Pauses({ clock, logger, registry: this.registry, pool: this.pool, releaseWave, room: roomLeft });
    this.drain = new Drain(clock, this.registry, logger, this.counters, () => this.config.promotion.drainTimeoutMs);
    this.conductor = new Conductor({
      clock,
      logger,
      counters: this.counters,
      registry: this.registry,
      pool: this.pool,
      greetings: this.#greetings,
      primaryHold: this.primaryHold,
      standbyHold: this.standbyHold,
      drain: this.drain,
      hurrier: this.watch.prober,
      announceTimeoutMs: () => this.config.promotion.announceTimeoutMs,
      setDrained: (standbys) => this.watch.store.setDrained(standbys),
    });
    const { pauses, registry } = this;
    this.pool.foresight = new ClusterForesight({ view, gate: this.conductor, pauses, registry, room });
    this.guard = new CandidateGuard({
      clock,
      logger,
      counters: this.counters,
      sessions: () => this.registry.all(),
      ask: async (node) => {
        const rows = await this.watch.prober.ask(node, OBSTACLE_SQL);
        return rows === null ? null : decodeObstacle(rows);
      },
      isEnabled: () => this.config.promotion.clearCandidate,
    });
    this.catalogs = new Catalogs(catalogOptions(config), {
      clock,
      logger,
      monitor: this.#monitorQuery,
      analyzer: () => this.#keeper.context.analyzer,
      onLoad: (outcome) => this.counters.catalogLoads.add(outcome),
    });
    const context: SessionContext = {
      clock,
      turnClock: new TurnClock(clock),
      logger,
      counters: this.counters,
      traffic: this.traffic,
      pool: this.pool,
      registry: this.registry,
      console: null,
      greetings: this.#greetings,
      analyzer: notLoaded,
      gate: new GateWithPauses(this.conductor, this.pauses),
      primaryHold: this.primaryHold,
      standbyHold: this.standbyHold,
      pauses: this.pauses,
      limits: sessionLimits(config),
      split: {
        clock,
        freshness: new ClusterFreshness(this.watch.store, this.watch.ticks, this.watch.prober),
        catalogs: this.catalogs,
        refused: new RefusedTemplates(clock, logger),
        fences: new DatabaseFences(),
        bytesMax: () => this.config.limits.inspectBytes,
        fenceWaitMs: () => this.config.routing.fenceWaitMs,
        onFenceWait: (durationMs) => this.counters.fenceWaits.observeMs(durationMs),
      },
      shared: new SharedBackends(this.catalogs, clock, () => this.config.pool.maxPreparedStatements),
      view,
      suspect: (node) => void this.watch.prober.probeNow(node),
      wasInTroubleSince: (node, sinceMs) => this.conductor.wasInTroubleSince(node, sinceMs),
    };
    this.#sweep = new TimeoutSweep(context);
    this.#keeper = {
      clock,
      logger,
      counters: this.counters,
      directory: new UserDirectory(this.#userSources(config), clock),
      secrets: new LoginSecrets(new KeyDeriver()),
      context,
      rules: doorRules(config),
      isClosing: false,
      startups: 0,
    };
  }

  /** Clients that have not logged in yet. */
  get startups(): number {
    return this.#keeper.startups;
  }

  get isStopping(): boolean {
    return this.#stopping !== null || this.#isClosed;
  }

  get listeners(): readonly ServedListener[] {
    return this.#listeners.map(({ config, door, listener }) => ({
      name: config.name,
      route: config.route,
      host: config.address.host,
      port: listener.port,
      intent: door.intent,
    }));
  }

  /** Opens the listeners and begins to watch the cluster. Fails when an address cannot be had; then nothing stays open. */
  async start(): Promise<void> {
    const { limits } = this.config;
    const parser = await SqlParser.load({
      onFault: (error) => this.logger.warn({ error: error.message }, 'the SQL parser broke'),
    });
    const analyzer = new TreeAnalyzer(parser, new VerdictCache());
    this.#keeper.context.analyzer = analyzer;
    this.#console = new Console(this, this.traffic, () => this.controls);
    this.#keeper.context.console = this.#console;
    this.explain = {
      parser,
      analyzer,
      catalogOf: (database) => this.catalogs.lookAt(database),
      troubleOf: (database) => this.catalogs.troubleOf(database),
    };
    const unsubscribe = this.watch.store.subscribe((view) => {
      this.conductor.onView(view);
      this.guard.onView(view);
    });
    try {
      for (const config of this.config.listeners) {
        const door: Door = { listener: config.name, intent: intentOf(config, this.config.routing, this.config.pool) };
        this.#doors.set(config.name, door);
        const listener = await this.engine.listen(
          {
            host: config.address.host,
            port: config.address.port,
            backlog: config.backlog,
            keepAliveMs: () => this.config.limits.tcpKeepaliveMs,
            bufferBytes: limits.clientBufferBytes,
          },
          (wire) => {
            this.counters.clientsAccepted += 1;
            const open = this.#keeper.startups + this.registry.size;
            if (open >= this.#keeper.rules.maxClients + STARTUPS_BEYOND_MAX) {
              this.counters.clientsRefused += 1;
              wire.destroy();
            } else Startup.begin(wire, door, this.#keeper, clientCollectTable(this.config.limits.inspectBytes));
          },
        );
        this.#listeners.push({ config, door, listener });
        this.logger.info(
          { listener: config.name, route: config.route, address: config.address.host, port: listener.port },
          'listening',
        );
      }
    } catch (error) {
      unsubscribe();
      for (const { listener } of this.#listeners.splice(0)) listener.close();
      throw error;
    }
    this.watch.start();
    this.conductor.start();
    this.#sweep.start();
  }

  /** Takes over what can change without a restart; gives what was, and what was not. */
  reload(config: Config): ConfigDiff {
    const diff = diffConfig(this.config, config);
    // What can fail comes first: a configuration is taken whole or not at all.
    const [sources, rules] = [this.#userSources(config), doorRules(config)];
    this.config = {
      ...config,
      cluster: this.config.cluster,
      listeners: this.config.listeners.map((old) => withLiveKeys(old, config.listeners)),
      admin: { ...this.config.admin, users: config.admin.users, statsUsers: config.admin.statsUsers },
      engine: this.config.engine,
      limits: { ...config.limits, clientBufferBytes: this.config.limits.clientBufferBytes },
    };
    this.pool.limits = config.pool;
    this.primaryHold.limits = config.promotion;
    this.standbyHold.limits = config.promotion;
    this.pauses.releaseWave = config.promotion.releaseWave;
    this.#keeper.context.limits = sessionLimits(config);
    this.#keeper.rules = rules;
    this.#keeper.directory.replace(sources);
    this.pool.forgetFailures(null);
    this.watch.reconfigure(config.routing);
    this.catalogs.reconfigure(catalogOptions(config));
    this.#keeper.context.split.refused.clear();
    for (const listener of this.config.listeners) {
      const door = this.#doors.get(listener.name);
      if (door !== undefined) door.intent = intentOf(listener, config.routing, config.pool);
    }
    if ('level' in this.logger) this.logger.level = config.log.level;
    this.#greetings.clear();
    this.counters.configReloads.add('applied');
    return diff;
  }

  /**
   * Stops: `/readyz` turns, no client is accepted, and when none is left everything is closed, which is when this resolves. Sessions end at
   * their boundaries, and the rest behind `shutdown.timeout`; with `servers` without a time limit, and with `clients` only by themselves.
   * Asked again, what ends earlier counts.
   */
  stop(waitFor: 'servers' | 'clients' | null = null): Promise<void> {
    const { registry, clock } = this;
    const { timeoutMs } = this.config.shutdown;
    this.#keeper.isClosing = true;
    this.logger.info({ sessions: registry.size, ...(waitFor === null ? { timeoutMs } : { waitFor }) }, 'shutting down');
    if (waitFor === null) this.#stopByMs = Math.min(this.#stopByMs, clock.nowMs() + timeoutMs);
    for (const { listener } of this.#listeners) listener.close();
    const error = new SwitchyardError('shutting_down', 'terminating connection: the proxy is shutting down');
    if (waitFor !== 'clients') {
      for (const session of [...registry.all()]) session.endAtBoundary(CloseReason.Shutdown, error);
    }
    this.#stopping ??= this.#untilGone();
    return this.#stopping;
  }

  async #untilGone(): Promise<void> {
    const isOver = (): boolean => this.registry.size === 0 || this.clock.nowMs() >= this.#stopByMs || this.#isClosed;
    while (!isOver()) await new Promise<void>((resolve) => void this.clock.setTimer(STOP_LOOK_MS, resolve));
    await this.close();
  }

  /** Ends everything at once. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#keeper.isClosing = true;
    for (const { listener } of this.#listeners) listener.close();
    const error = new SwitchyardError('shutting_down', 'terminating connection: the proxy was shut down');
    for (const session of [...this.registry.all()]) session.end(CloseReason.Shutdown, error);
    this.#sweep.close();
    this.#console?.close();
    this.conductor.close();
    this.guard.close();
    this.drain.close();
    this.primaryHold.close();
    this.standbyHold.close();
    this.pauses.close();
    this.catalogs.close();
    this.#monitorQuery.close();
    await this.pool.close();
    await this.watch.close();
    this.logger.info({}, 'stopped');
  }

  #openMonitor(host: string, port: number, database: string, timeoutMs: number): Promise<MonitorConnection> {
    return openMonitor(this.config, { host, port, database }, timeoutMs, this.clock);
  }

  #userSources({ auth }: Config): UserSources {
    return openUserSources(auth, (...question) => this.#monitorQuery.ask(...question), this.logger);
  }
}

function catalogOptions({ routing }: Config): CatalogsOptions {
  const { catalogRefreshMs, readFunctions, writeFunctions } = routing;
  return { refreshMs: catalogRefreshMs, rules: { readFunctions, writeFunctions } };
}
