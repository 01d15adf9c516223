import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { makeOwnedFolder } from '../../src/cli/demo/postgres/data-directory.js';
import { unprivilegedIdentity } from '../../src/cli/demo/postgres/run-program.js';
import { EtcdServer } from './etcd-server.js';
import { requirePrograms } from './install.js';
import { Partitions } from './partitions.js';
import type { DropRule } from './partitions.js';
import type { PatroniNode } from './patroni-node.js';
import { makeNodes } from './patroni-nodes.js';
import type { PatroniClusterOptions } from './patroni-nodes.js';
import { sql } from './postgres-server.js';
import type { SqlOptions } from './postgres-server.js';
import { testGuard, waitFor } from './processes.js';
import { roleStatements } from './roles.js';

const HEALTHY_TIMEOUT_MS = 120_000;
/** Patroni itself waits up to 2 * max(10, loop_wait) seconds for the result of a switchover. */
const SWITCHOVER_TIMEOUT_MS = 90_000;
const REST_TIMEOUT_MS = 2_000;
const POLL_MS = 100;
const LOG_TAIL_CHARS = 2000;

/** A member as Patroni's `/cluster` shows it. */
export interface ClusterMember {
  readonly name: string;
  readonly role: string;
  readonly state: string;
  readonly timeline?: number;
  readonly lag?: number | string;
}

interface RestAnswer {
  readonly status: number;
  readonly text: string;
}

/**
 * A real Patroni cluster on a real etcd, on ports of its own: `node1` and up, with the roles of `roles.ts`.
 * Needs root on Debian with the packages of `.ci/setup`.
 */
export class PatroniCluster {
  readonly scope: string;
  readonly nodes: readonly PatroniNode[];
  readonly etcd: readonly EtcdServer[];
  readonly #folder: string;
  readonly #partitions: Partitions;
  readonly #unguard: () => void;

  private constructor(
    scope: string,
    nodes: readonly PatroniNode[],
    etcd: readonly EtcdServer[],
    folder: string,
    partitions: Partitions,
    unguard: () => void,
  ) {
    this.scope = scope;
    this.nodes = nodes;
    this.etcd = etcd;
    this.#folder = folder;
    this.#partitions = partitions;
    this.#unguard = unguard;
  }

  /** Starts a cluster and waits until it is healthy; `node1` is its first leader. The caller ends it with `down`. */
  static async up(options: PatroniClusterOptions = {}): Promise<PatroniCluster> {
    const identity = unprivilegedIdentity();
    if (identity === null || process.platform !== 'linux') {
      throw new Error('a Patroni cluster for tests needs root on Debian: PostgreSQL runs as another user there');
    }
    await requirePrograms('patroni', 'etcd', 'setpriv');
    const folder = await mkdtemp(join(tmpdir(), 'switchyard-patroni-'));
    await makeOwnedFolder(folder, identity);
    const scope = basename(folder);
    const etcd = await EtcdServer.createCluster(options.etcdMembers ?? 1);
    const partitions = new Partitions();
    const nodes = await makeNodes(options, { scope, folder, identity, etcd, partitions });
    // After the cleanups of the nodes, which kill what still writes there.
    const unguard = testGuard.add(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
    const cluster = new PatroniCluster(scope, nodes, etcd, folder, partitions, unguard);
    try {
      await cluster.#boot();
      return cluster;
    } catch (error) {
      const logs = nodes.map((node) => `--- ${node.name}\n${node.log.slice(-LOG_TAIL_CHARS)}`).join('\n');
      await cluster.down();
      throw new Error(`the cluster did not come up: ${String(error)}\n${logs}`, { cause: error });
    }
  }

  /** Ends every process and removes every file. */
  async down(): Promise<void> {
    await this.#partitions.heal();
    await Promise.all(this.nodes.map((node) => node.close()));
    await Promise.all(this.etcd.map((member) => member.close()));
    await this.#partitions.close();
    this.#unguard();
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }

  /** `127.0.0.1:port` of every etcd member, as the configuration of the proxy wants them. */
  get etcdHosts(): readonly string[] {
    return this.etcd.map((member) => `${member.host}:${member.port}`);
  }

  /** A node by its number or name: 1 or `node1`. */
  node(which: number | string): PatroniNode {
    const name = typeof which === 'number' ? `node${which}` : which;
    const found = this.nodes.find((node) => node.name === name);
    if (found === undefined) throw new Error(`there is no ${name}`);
    return found;
  }

  /** The node that holds the leader lock and runs as a primary by its own account; null when there is none. */
  async leader(): Promise<PatroniNode | null> {
    const answers = await Promise.all(this.nodes.map((node) => this.#statusOf(node, '/leader')));
    return this.nodes.find((_, index) => answers[index] === 200) ?? null;
  }

  /** Waits for a leader, another one than `not` when that is given. */
  async waitForLeader(options: { readonly not?: PatroniNode; readonly timeoutMs?: number } = {}): Promise<PatroniNode> {
    const timeoutMs = options.timeoutMs ?? HEALTHY_TIMEOUT_MS;
    return waitFor(
      async () => {
        const leader = await this.leader();
        return leader !== options.not && leader;
      },
      { timeoutMs, what: 'a leader', pollMs: POLL_MS },
    );
  }

  /** The nodes that are not the leader and answer as running standbys. */
  async standbys(): Promise<readonly PatroniNode[]> {
    const answers = await Promise.all(this.nodes.map((node) => this.#statusOf(node, '/replica')));
    return this.nodes.filter((_, index) => answers[index] === 200);
  }

  /** Waits until there is a leader out of recovery from which every other node streams. */
  async waitUntilHealthy(timeoutMs = HEALTHY_TIMEOUT_MS): Promise<PatroniNode> {
    return waitFor(
      async () => {
        const leader = await this.leader();
        if (leader === null || (await this.standbys()).length !== this.nodes.length - 1) return null;
        const [row] = await sql(
          leader,
          `select not pg_is_in_recovery() and (select count(*) from pg_stat_replication where state = 'streaming') = $1 as healthy`,
          { values: [this.nodes.length - 1] },
        );
        return row?.['healthy'] === true && leader;
      },
      { timeoutMs, what: 'a healthy cluster', pollMs: POLL_MS },
    );
  }

  /** Runs SQL on the leader; see `sql`. */
  async sql(text: string, options: SqlOptions = {}): Promise<Record<string, unknown>[]> {
    const leader = await this.leader();
    if (leader === null) throw new Error('no leader');
    return sql(leader, text, options);
  }

  /** What Patroni's `/cluster` says, asked of any node that answers. */
  async members(): Promise<readonly ClusterMember[]> {
    const { text } = await this.#anyRest('GET', '/cluster');
    return (JSON.parse(text) as { readonly members: readonly ClusterMember[] }).members;
  }

  /** A planned switchover; returns when Patroni says that it is done. Any standby is the candidate when none is named. */
  async switchover(candidate?: PatroniNode): Promise<void> {
    const leader = await this.waitForLeader();
    const target = candidate ?? (await this.standbys())[0];
    if (target === undefined) throw new Error('there is no standby to switch over to');
    const answer = await this.rest(leader, 'POST', '/switchover', { leader: leader.name, candidate: target.name });
    if (answer.status !== 200) throw new Error(`switchover to ${target.name}: ${answer.status} ${answer.text}`);
  }

  /** Asks for a switchover at a time in the future; Patroni keeps it in the `failover` key. */
  async scheduleSwitchover(candidate: PatroniNode, at: Date): Promise<void> {
    const leader = await this.waitForLeader();
    const body = { leader: leader.name, candidate: candidate.name, scheduled_at: at.toISOString() };
    const answer = await this.rest(leader, 'POST', '/switchover', body);
    if (answer.status !== 202) throw new Error(`scheduled switchover: ${answer.status} ${answer.text}`);
  }

  /** Takes a scheduled switchover back. */
  async cancelSwitchover(): Promise<void> {
    const answer = await this.#anyRest('DELETE', '/switchover');
    if (answer.status !== 200) throw new Error(`taking the switchover back: ${answer.status} ${answer.text}`);
  }

  /** Changes Patroni's dynamic configuration, for example `{ failsafe_mode: true }`; null removes a key. */
  async patchConfig(change: object): Promise<void> {
    const answer = await this.#anyRest('PATCH', '/config', change);
    if (answer.status !== 200) throw new Error(`change of the configuration: ${answer.status} ${answer.text}`);
  }

  /** Maintenance mode: Patroni promotes and demotes nobody. Returns when every node has taken notice. */
  async pause(): Promise<void> {
    await this.#setPaused(true);
  }

  async resume(): Promise<void> {
    await this.#setPaused(false);
  }

  /** Turns `synchronous_mode` on or off; when on, returns once there is a synchronous standby. */
  async setSynchronous(on: boolean): Promise<void> {
    await this.patchConfig({ synchronous_mode: on });
    await waitFor(async () => (await this.members()).some((member) => member.role === 'sync_standby') === on, {
      timeoutMs: HEALTHY_TIMEOUT_MS,
      what: `synchronous mode ${on ? 'on' : 'off'}`,
      pollMs: POLL_MS,
    });
  }

  /** Starts nodes again that have crashed or were stopped; all that are down by default. Does not wait for their health. */
  async revive(...nodes: readonly PatroniNode[]): Promise<void> {
    const down = nodes.length > 0 ? nodes : this.nodes.filter((node) => !node.isRunning);
    await Promise.all(down.map((node) => node.start()));
  }

  /** Cuts a node off from everybody, clients included; what it has open goes silent. Throws when the machine cannot do that. */
  async isolate(node: PatroniNode): Promise<void> {
    const own = [node.port, node.restPort];
    await this.#partitions.drop([
      this.#cutFromOthers(node),
      { from: null, toPorts: own, except: node.name, answersToo: true },
    ]);
  }

  /** Cuts a node off from etcd and the other nodes; clients still reach it. */
  async isolateFromPeers(node: PatroniNode): Promise<void> {
    const others = this.nodes.filter((other) => other !== node);
    const towards = others.map((other): DropRule => ({ from: other.name, toPorts: [node.port, node.restPort] }));
    await this.#partitions.drop([this.#cutFromOthers(node), ...towards]);
  }

  /** Cuts nodes off from etcd only. */
  async isolateFromEtcd(...nodes: readonly PatroniNode[]): Promise<void> {
    await this.#partitions.drop(nodes.map((node) => ({ from: node.name, toPorts: this.#etcdPorts() })));
  }

  /** Ends every partition. */
  async heal(): Promise<void> {
    await this.#partitions.heal();
  }

  /** One request to a node's REST API. */
  async rest(
    node: PatroniNode,
    method: 'GET' | 'POST' | 'PATCH' | 'DELETE',
    path: string,
    body?: object,
  ): Promise<RestAnswer> {
    const timeoutMs = method === 'POST' ? SWITCHOVER_TIMEOUT_MS : REST_TIMEOUT_MS;
    const response = await fetch(`http://${node.host}:${node.restPort}${path}`, {
      method,
      signal: AbortSignal.timeout(timeoutMs),
      headers: { connection: 'close' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, text: await response.text() };
  }

  async #boot(): Promise<void> {
    await Promise.all(this.etcd.map((member) => member.launch()));
    await Promise.all(this.etcd.map((member) => member.healthy()));
    const [first, ...others] = this.nodes;
    await first?.start();
    await this.waitForLeader();
    await Promise.all(others.map((node) => node.start()));
    const leader = await waitFor(async () => this.leader(), {
      timeoutMs: HEALTHY_TIMEOUT_MS,
      what: 'the first leader',
    });
    for (const statement of roleStatements) await sql(leader, statement);
    await this.waitUntilHealthy();
  }

  async #setPaused(paused: boolean): Promise<void> {
    await this.patchConfig({ pause: paused ? true : null });
    await waitFor(
      async () => {
        const running = this.nodes.filter((node) => node.isRunning);
        const answers = await Promise.all(running.map((node) => this.rest(node, 'GET', '/patroni')));
        return answers.every(
          ({ text }) => ((JSON.parse(text) as { readonly pause?: boolean }).pause ?? false) === paused,
        );
      },
      { timeoutMs: HEALTHY_TIMEOUT_MS, what: `maintenance mode ${paused ? 'on' : 'off'}`, pollMs: POLL_MS },
    );
  }

  #etcdPorts(): readonly number[] {
    return this.etcd.map((member) => member.port);
  }

  #cutFromOthers(node: PatroniNode): DropRule {
    const others = this.nodes.filter((other) => other !== node).flatMap((other) => [other.port, other.restPort]);
    return { from: node.name, toPorts: [...this.#etcdPorts(), ...others] };
  }

  async #statusOf(node: PatroniNode, path: string): Promise<number | null> {
    return this.rest(node, 'GET', path).then(
      (answer) => answer.status,
      () => null,
    );
  }

  async #anyRest(method: 'GET' | 'PATCH' | 'DELETE', path: string, body?: object): Promise<RestAnswer> {
    let failure: unknown = new Error('there are no nodes');
    for (const node of this.nodes) {
      try {
        return await this.rest(node, method, path, body);
      } catch (error) {
        failure = error;
      }
    }
    throw new Error(`no node answers ${method} ${path}`, { cause: failure });
  }
}
