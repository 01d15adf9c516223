import type { Proxy, ServedListener } from '../../../src/admin/proxy.js';
import { Pool } from '../../../src/backend/pool.js';
import type { Connector } from '../../../src/backend/pool/pool-request.js';
import type { NodeFigures } from '../../../src/cluster/store.js';
import type { ClusterView } from '../../../src/cluster/view.js';
import { parseConfig } from '../../../src/config/load.js';
import type { Claims } from '../../../src/dcs/claims.js';
import type { Conductor } from '../../../src/failover/conductor.js';
import { DrainOrders } from '../../../src/failover/drain-orders.js';
import { Pauses } from '../../../src/failover/pauses.js';
import { HoldQueue } from '../../../src/failover/hold-queue.js';
import { PromotionRecorder } from '../../../src/failover/promotion-recorder.js';
import { Phase, admitsOf, initialPromotion } from '../../../src/failover/promotion.js';
import type { PromotionState } from '../../../src/failover/promotion.js';
import { silentLogger } from '../../../src/log.js';
import { Counters } from '../../../src/metrics/counters.js';
import { Ticks } from '../../../src/replication/ticks.js';
import type { ListedSession } from '../../../src/admin/sessions.js';
import type { SessionIntent } from '../../../src/session/context.js';
import { intentOf } from '../../../src/session/from-config.js';
import { SessionRegistry } from '../../../src/session/registry.js';
import type { Berth } from '../../../src/session/berths.js';
import type { PreparedStatement } from '../../../src/session/state/prepared.js';
import type { Wait } from '../../../src/session/wait.js';
import type { Session } from '../../../src/session/session.js';
import type { PinReason } from '../../../src/sql/pin-reason.js';
import type { NodeName } from '../../../src/util/brand.js';
import { claimsOf, viewOf } from '../../support/cluster-fakes.js';
import { FakeClock } from '../../support/fake-clock.js';

export const SPLIT_LISTENER = `
cluster: { scope: yard, etcd3: { hosts: ["127.0.0.1:2379"] } }
listeners:
  - { name: all, address: "127.0.0.1:6432", route: split }
`;

export const BOTH_LISTENERS = `
cluster:
  scope: yard
  etcd3: { hosts: ["127.0.0.1:2379"] }
listeners:
  - { name: rw, address: "127.0.0.1:5000", route: primary }
  - { name: ro, address: "127.0.0.1:5001", route: standby }
`;

/** What a test says about the proxy that is looked at. */
export interface ProxyWishes {
  readonly config?: string;
  readonly view?: ClusterView;
  readonly claims?: Claims;
  readonly figures?: ReadonlyMap<NodeName, NodeFigures>;
  /** What a listener asks of the router, where it is not what the configuration says. */
  readonly intents?: Readonly<Record<string, Partial<SessionIntent>>>;
  /** Listeners of the configuration that are not open. */
  readonly closed?: readonly string[];
  readonly promotion?: Partial<PromotionState>;
  readonly isStopping?: boolean;
  readonly startups?: number;
}

/** A proxy whose parts are real where they only keep figures, and say what the test wants where they would watch a cluster. */
export interface FakeProxy extends Proxy {
  readonly clock: FakeClock;
  readonly ticks: Ticks;
  /** May be replaced during the test. */
  view: ClusterView;
  claims: Claims;
  isStopping: boolean;
}

/** No node ever answers. */
const noConnector: Connector = {
  open: () => new Promise(() => {}),
  clean: () => Promise.resolve(true),
  cancel: () => Promise.resolve(),
};

export function proxyOf(wishes: ProxyWishes = {}): FakeProxy {
  const { config } = parseConfig(wishes.config ?? BOTH_LISTENERS, { fileName: 'test.yaml', env: {}, folder: '/' });
  const clock = new FakeClock();
  const counters = new Counters();
  const ticks = new Ticks({ capacity: 16, beliefMs: 60_000 });
  const registry = new SessionRegistry(() => {});
  const primaryHold = new HoldQueue(config.promotion, clock);
  const records = new PromotionRecorder(clock, silentLogger, counters, primaryHold);
  const state: PromotionState = {
    ...initialPromotion(clock.nowMs()),
    phase: Phase.Stable,
    disturbedSinceMs: null,
    ...wishes.promotion,
  };
  const pool = new Pool(config.pool, { clock, logger: silentLogger, counters, connector: noConnector });
  const drains = new DrainOrders({
    clock,
    logger: silentLogger,
    counters,
    registry,
    pool,
    view: () => proxy.view,
    keepMs: () => config.promotion.announceTimeoutMs,
    onChange: () => {},
    onStandby: (node) => records.drainOf(node),
  });
  const proxy: FakeProxy = {
    config,
    clock,
    ticks,
    view: wishes.view ?? viewOf(),
    claims: wishes.claims ?? claimsOf({ confirmedAtMs: clock.nowMs() }),
    logger: silentLogger,
    engine: { name: 'stream' },
    counters,
    registry,
    pool,
    primaryHold,
    standbyHold: new HoldQueue(config.promotion, clock),
    pauses: new Pauses({ clock, logger: silentLogger, registry, pool, releaseWave: 10, room: () => null }),
    startups: wishes.startups ?? 0,
    isStopping: wishes.isStopping ?? false,
    // Only what is read from outside; the rest would watch a cluster.
    conductor: {
      state,
      phase: state.phase,
      admits: admitsOf(state),
      isOpen: state.phase === Phase.Stable,
      records,
      drains,
      reason: state.phase === Phase.Stable ? '' : 'something is going on',
    } as unknown as Conductor,
    watch: {
      ticks,
      store: {
        get view() {
          return proxy.view;
        },
        figures: () => wishes.figures ?? new Map<NodeName, NodeFigures>(),
      },
      provider: {
        get claims() {
          return proxy.claims;
        },
      },
    } as unknown as Proxy['watch'],
    listeners: config.listeners
      .filter(({ name }) => wishes.closed?.includes(name) !== true)
      .map(
        (listener): ServedListener => ({
          name: listener.name,
          route: listener.route,
          host: listener.address.host,
          port: listener.address.port,
          intent: { ...intentOf(listener, config.routing, config.pool), ...wishes.intents?.[listener.name] },
        }),
      ),
  };
  return proxy;
}

/** A session as those see it who look at it from outside. */
export function addSession(
  proxy: Proxy,
  over: {
    readonly listener?: string;
    readonly route?: 'primary' | 'standby' | 'split';
    readonly target?: 'primary' | 'standby' | null;
    readonly isAtBoundary?: boolean;
    readonly wait?: Wait | null;
    readonly waitReason?: string;
    readonly pinReason?: PinReason | null;
    readonly user?: string;
    readonly database?: string;
    readonly nodes?: readonly string[];
    readonly lastDecision?: ListedSession['lastDecision'];
    readonly waitSinceMs?: number | null;
    readonly lastBeginMs?: number;
    readonly pendingBytes?: number;
    readonly berths?: readonly Pick<Berth, 'backend' | 'target'>[];
    readonly prepared?: readonly Partial<PreparedStatement>[];
  } = {},
): void {
  const id = proxy.registry.nextId();
  const session = {
    id,
    identity: {
      user: over.user ?? 'app',
      database: over.database ?? 'app',
      applicationName: 'test',
      clientAddress: '127.0.0.1',
      clientPort: 50_000 + id,
      listener: over.listener ?? 'rw',
      isReplication: false,
      parameters: new Map<string, string>(),
      cancelKey: { processId: id, key: Buffer.alloc(4) },
    },
    intent: { route: over.route ?? 'primary' },
    startedAtMs: 0,
    nodes: over.nodes ?? [],
    node: over.nodes?.[0] ?? null,
    berths: over.berths ?? [],
    backend: over.berths?.[0]?.backend ?? null,
    waitSinceMs: over.waitSinceMs ?? null,
    traffic: { lastBeginMs: over.lastBeginMs ?? 0 },
    wire: { pendingBytes: over.pendingBytes ?? 0 },
    state: {
      prepared: {
        size: over.prepared?.length ?? 0,
        kept: () => (over.prepared ?? []).map((statement) => ({ statement })),
        textOf: (name: string) => Buffer.from(`text of ${name}`),
      },
    },
    target: over.target === undefined ? 'primary' : over.target,
    isAtBoundary: over.isAtBoundary ?? true,
    wait: over.wait ?? null,
    waitReason: over.waitReason ?? '',
    lastDecision: over.lastDecision ?? null,
    pinReason: over.pinReason ?? null,
  };
  proxy.registry.add(session as unknown as Session);
}
