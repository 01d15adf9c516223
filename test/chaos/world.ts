import { PatroniCluster } from '../support/patroni-cluster.js';
import type { PatroniNode } from '../support/patroni-node.js';
import { waitFor } from '../support/processes.js';
import { Audit } from './checks/audit.js';
import { HaproxyUnderTest } from './haproxy.js';
import { layGround } from './load/ground.js';
import { Helpers } from './load/helpers.js';
import { Ledger } from './load/ledger.js';
import { WorkerFactory } from './load/mixes.js';
import type { Endpoints, Worker } from './load/worker.js';
import { FloorWriters } from './measure/floor-writers.js';
import type { Plan } from './plan.js';
import { ProxyUnderTest } from './proxy-under-test.js';

/** A node that is not back by then is ended and started again, as an operator would: PostgreSQL may hang in its shutdown. */
const PATIENCE_MS = 60_000;
const HEALTHY_TIMEOUT_MS = 180_000;
const WARM_UP_TIMEOUT_MS = 60_000;
const WARM_UP_SUCCESSES = 3;
const POLL_MS = 100;
/** Quick, and still what Patroni allows: ttl has to be 20 at least. */
const TIMING = { ttlS: 20, loopWaitS: 5 };

/** The clients of one proxy and what is known of them. */
export interface Load {
  readonly name: string;
  readonly ledger: Ledger;
  readonly workers: readonly Worker[];
  readonly audit: Audit;
  /** Connections of clients while all is well. */
  readonly connections: number;
  /** Most statements under way at one time. */
  readonly inFlightMax: number;
}

/** The cluster, the proxy in front of it, the clients, and the writers that measure the floor. */
export class World {
  readonly cluster: PatroniCluster;
  readonly proxy: ProxyUnderTest;
  readonly haproxy: HaproxyUnderTest | null;
  readonly ours: Load;
  /** The load through HAProxy; null: there is none. */
  readonly theirs: Load | null;
  readonly floor: FloorWriters;
  readonly isSynchronous: boolean;
  readonly #helpers: Helpers;

  private constructor(
    plan: Plan,
    cluster: PatroniCluster,
    proxy: ProxyUnderTest,
    haproxy: HaproxyUnderTest | null,
    helpers: Helpers,
  ) {
    this.cluster = cluster;
    this.proxy = proxy;
    this.haproxy = haproxy;
    this.isSynchronous = plan.isSynchronous;
    this.#helpers = helpers;
    let index = 0;
    const makeLoad = (name: string, endpoints: Endpoints, prefix: string, route: Plan['route']): Load => {
      const ledger = new Ledger();
      const factory = new WorkerFactory(ledger, endpoints, helpers, prefix, () => (index += 1));
      const workers = factory.make(plan.mix, route);
      const connections = workers.reduce((sum, worker) => sum + worker.connections, 0);
      const inFlightMax = workers.reduce((sum, worker) => sum + worker.inFlightMax, 0);
      return { name, ledger, workers, connections, inFlightMax, audit: new Audit(ledger) };
    };
    this.ours = makeLoad('switchyard', proxy, '', plan.route);
    this.theirs = haproxy === null ? null : makeLoad('haproxy', haproxy, 'ha-', 'primary');
    this.floor = new FloorWriters(cluster.nodes);
  }

  /** Starts everything and waits until every client has got somewhere. The caller ends it with `down`. */
  static async up(plan: Plan): Promise<World> {
    const helpers = await Helpers.prepare();
    const cluster = await PatroniCluster.up({
      etcdMembers: plan.etcdMembers,
      timing: TIMING,
      synchronous: plan.isSynchronous,
    });
    let proxy: ProxyUnderTest | null = null;
    let haproxy: HaproxyUnderTest | null = null;
    try {
      await layGround(await cluster.waitForLeader());
      proxy = await ProxyUnderTest.open(cluster, plan);
      haproxy = plan.withHaproxy ? await HaproxyUnderTest.open(cluster) : null;
      const world = new World(plan, cluster, proxy, haproxy, helpers);
      await world.#warmUp();
      return world;
    } catch (error) {
      await haproxy?.close();
      await proxy?.close();
      await cluster.down();
      await helpers.close();
      throw error;
    }
  }

  get loads(): readonly Load[] {
    return this.theirs === null ? [this.ours] : [this.ours, this.theirs];
  }

  /** Waits until the cluster is as it was at the beginning; returns its leader. `say` hears of nodes that had to be helped. */
  async healthy(say: (text: string) => void = () => {}): Promise<PatroniNode> {
    const leader = await this.cluster.waitUntilHealthy(PATIENCE_MS).catch(async () => {
      await this.#helpUp(say);
      return this.cluster.waitUntilHealthy(HEALTHY_TIMEOUT_MS);
    });
    if (this.isSynchronous) {
      await waitFor(async () => (await this.cluster.members()).some((member) => member.role === 'sync_standby'), {
        timeoutMs: HEALTHY_TIMEOUT_MS,
        what: 'a synchronous standby',
        pollMs: POLL_MS,
      });
    }
    return leader;
  }

  async stopClients(): Promise<void> {
    await Promise.all([...this.loads.flatMap((load) => load.workers), this.floor].map((each) => each.stop()));
  }

  async down(): Promise<void> {
    await this.stopClients();
    await this.haproxy?.close();
    await this.proxy.close();
    await this.cluster.down();
    await this.#helpers.close();
  }

  /** Names and texts of every log there is. */
  logs(): ReadonlyMap<string, string> {
    const logs = new Map([['proxy.log', this.proxy.log]]);
    for (const node of this.cluster.nodes) logs.set(`${node.name}.log`, node.log);
    if (this.haproxy !== null) logs.set('haproxy.log', this.haproxy.log);
    return logs;
  }

  async #helpUp(say: (text: string) => void): Promise<void> {
    const well = new Set([await this.cluster.leader(), ...(await this.cluster.standbys())]);
    for (const node of this.cluster.nodes.filter((each) => !well.has(each))) {
      say(`${node.name} did not come back by itself and was killed and started again`);
      await node.crash();
      await node.start();
    }
  }

  async #warmUp(): Promise<void> {
    this.floor.start();
    for (const load of this.loads) for (const worker of load.workers) worker.start();
    const late = (load: Load): readonly string[] =>
      load.ledger.workers.filter((worker) => worker.successes < WARM_UP_SUCCESSES).map((worker) => worker.name);
    try {
      await waitFor(() => this.loads.every((load) => late(load).length === 0), {
        timeoutMs: WARM_UP_TIMEOUT_MS,
        what: 'every client to get somewhere',
        pollMs: POLL_MS,
      });
    } catch (error) {
      const names = this.loads.flatMap(late).join(', ');
      const seen = this.ours.ledger.errors.slice(0, 5).map((each) => `${each.worker}: ${each.message}`);
      await this.stopClients();
      throw new Error(
        `these clients did not get anywhere: ${names}\n${seen.join('\n')}\n${this.proxy.log.slice(-3000)}`,
        {
          cause: error,
        },
      );
    }
    for (const load of this.loads) load.ledger.takeRound();
    await this.floor.takeRound(await this.cluster.waitForLeader());
  }
}
