import type { TestContext } from 'node:test';
import type { PatroniCluster } from './patroni-cluster.js';
import { waitFor } from './processes.js';
import { roles } from './roles.js';
import { SwitchyardProcess } from './switchyard-process.js';

type Section = Readonly<Record<string, unknown>>;

/** What a test changes of the usual configuration, section by section. */
export interface YardChanges {
  readonly etcd3?: Section;
  readonly routing?: Section;
  readonly promotion?: Section;
  readonly limits?: Section;
  readonly pool?: Section;
  /** In place of one primary and one standby listener. */
  readonly listeners?: readonly Section[];
}

/** The configuration for a Patroni cluster of the tests: a primary and a standby listener, log-in by the verifiers of the cluster. */
export function yardConfig(cluster: PatroniCluster, changes: YardChanges = {}): object {
  return {
    cluster: {
      scope: cluster.scope,
      etcd3: { hosts: cluster.etcdHosts, ...changes.etcd3 },
      monitor: { user: roles.monitor.user, password: roles.monitor.password },
    },
    listeners: changes.listeners ?? [
      { name: 'primary', address: '127.0.0.1:0', route: 'primary' },
      { name: 'standby', address: '127.0.0.1:0', route: 'standby' },
    ],
    routing: { ...changes.routing },
    promotion: { ...changes.promotion },
    pool: { ...changes.pool },
    auth: { query: 'SELECT * FROM switchyard.user_lookup($1)' },
    admin: { address: '127.0.0.1:0' },
    log: { level: 'debug' },
    limits: { ...changes.limits },
  };
}

/** Starts the built program in front of a cluster and waits until it is ready. */
export async function startYard(
  t: TestContext,
  cluster: PatroniCluster,
  changes: YardChanges = {},
): Promise<SwitchyardProcess> {
  const yard = await SwitchyardProcess.start(t, yardConfig(cluster, changes));
  await waitFor(async () => (await fetch(`http://127.0.0.1:${yard.adminPort}/readyz`)).ok, {
    timeoutMs: 15_000,
    what: 'the proxy to be ready',
  });
  return yard;
}

/** The value of one metric, with its labels as they stand in the exposition; null when it is not there. */
export async function metric(yard: SwitchyardProcess, name: string): Promise<number | null> {
  const text = await (await fetch(`http://127.0.0.1:${yard.adminPort}/metrics`)).text();
  const line = text.split('\n').find((each) => each.startsWith(`${name} `));
  return line === undefined ? null : Number(line.slice(name.length + 1));
}

/** Node of the view that the log names in the last change of the primary. */
export function nodeChanges(yard: SwitchyardProcess, node: string, change: string): readonly string[] {
  return yard
    .records('the picture of the cluster changed')
    .filter((record) => record['node'] === node && record['change'] === change)
    .map((record) => String(record['to']));
}
