import { performance } from 'node:perf_hooks';
import type { PostgresServer } from '../../src/cli/demo/postgres/server.js';
import { nodeName } from '../../src/util/brand.js';
import type { Ending, PostgresCluster } from '../support/postgres-cluster.js';
import { waitFor } from '../support/processes.js';
import type { RawLoginOptions } from '../support/raw-client.js';
import { INCREASE, Witness, tallyOf } from '../support/witness.js';
import type { Sighting, Tally } from '../support/witness.js';
import { TIMEOUT_MS } from './core-lab.js';
import type { CoreChanges, CoreProxy } from './core-lab.js';
import { startSplit } from './split-lab.js';

let witnesses = 0;

/** Witnesses on a proxy, and somebody who increases the counter that they all look at. */
export class Court {
  readonly proxy: CoreProxy;
  readonly cluster: PostgresCluster;
  readonly #over = new AbortController();
  #increasing: Promise<void> = Promise.resolve();

  private constructor(proxy: CoreProxy, cluster: PostgresCluster) {
    this.proxy = proxy;
    this.cluster = cluster;
  }

  /** Starts a proxy with the listeners of `startSplit`, and the counter. */
  static async open(t: Ending, cluster: PostgresCluster, changes: CoreChanges = {}): Promise<Court> {
    let court: Court | null = null;
    // In this order: what is registered first is run first.
    t.after(() => mend(cluster));
    t.after(async () => court?.rest());
    court = new Court(await startSplit(t, cluster, changes), cluster);
    await court.#increase();
    return court;
  }

  async #increase(): Promise<void> {
    const writer = await this.proxy.login('primary');
    const { signal } = this.#over;
    const run = async (): Promise<void> => {
      while (!signal.aborted) await writer.rows(INCREASE);
    };
    this.#increasing = run();
  }

  /** The counter stands still from now on. */
  async rest(): Promise<void> {
    this.#over.abort();
    await this.#increasing;
  }

  async witness(listener = 'split', more: Partial<RawLoginOptions> = {}): Promise<Witness> {
    const client = await this.proxy.login(listener, more);
    witnesses += 1;
    return Witness.begin(client, witnesses);
  }

  async witnesses(count: number, listener = 'split'): Promise<readonly Witness[]> {
    return Promise.all(Array.from({ length: count }, () => this.witness(listener)));
  }

  /** Runs the same for every witness at the same time, and gives what all of them saw. */
  async hear(witnesses: readonly Witness[], run: (witness: Witness) => Promise<void>): Promise<Tally> {
    await Promise.all(witnesses.map(run));
    return tallyOf(witnesses);
  }

  /** Reads until a read has shown what is asked for. */
  async until(witness: Witness, accept: (sighting: Sighting) => boolean, what: string): Promise<Sighting> {
    const deadlineMs = performance.now() + TIMEOUT_MS;
    for (;;) {
      const sighting = await witness.read();
      if (accept(sighting)) return sighting;
      if (performance.now() > deadlineMs) {
        throw new Error(`waited ${TIMEOUT_MS} ms for ${what}; the last read showed ${JSON.stringify(sighting)}`);
      }
    }
  }

  /** Reads until a standby has answered. */
  async untilOnStandby(witness: Witness): Promise<Sighting> {
    return this.until(witness, ({ node }) => node !== this.cluster.primary.name, 'a read on a standby');
  }

  /** Waits until the proxy knows a node to be of this health. */
  async untilHealth(node: PostgresServer, health: string): Promise<void> {
    await waitFor(() => this.proxy.health(node.name) === health, {
      timeoutMs: TIMEOUT_MS,
      what: `${node.name} to be ${health}`,
    });
  }

  /** Empties a standby, and takes that back in the function that is given. */
  drain(node: PostgresServer): () => void {
    const { drains } = this.proxy.app.conductor;
    const name = nodeName(node.name);
    drains.begin({ node: name, isFirm: true, timeoutMs: TIMEOUT_MS });
    return () => void drains.cancel(name);
  }
}

/** Delays what a standby replays of commits; 0: no more. */
export async function delayReplay(node: PostgresServer, delayMs: number): Promise<void> {
  node.configure({ settings: { recovery_min_apply_delay: `${delayMs}ms` } });
  await node.reload();
}

/** Every standby runs and replays as fast as it can. */
async function mend(cluster: PostgresCluster): Promise<void> {
  for (const node of cluster.standbys) {
    if (!node.isRunning) await node.start();
    node.resumeReplay();
    await delayReplay(node, 0);
  }
  await cluster.waitUntilStreaming();
  await cluster.waitUntilReplayed();
}
