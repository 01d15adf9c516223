import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { requirePrograms } from '../support/install.js';
import type { PatroniCluster } from '../support/patroni-cluster.js';
import { freePorts } from '../support/ports.js';
import { TestProcess, waitFor } from '../support/processes.js';
import { RawClient } from '../support/raw-client.js';
import { roles } from '../support/roles.js';

const READY_TIMEOUT_MS = 30_000;

/** HAProxy in front of the same cluster as Patroni's documentation sets it up: REST checks every 3 s, sessions of a node that is down are cut. */
export class HaproxyUnderTest {
  readonly primaryPort: number;
  readonly standbyPort: number;
  readonly #folder: string;
  readonly #process: TestProcess;

  private constructor(folder: string, ports: readonly number[], process: TestProcess) {
    [this.primaryPort = 0, this.standbyPort = 0] = ports;
    this.#folder = folder;
    this.#process = process;
  }

  static async open(cluster: PatroniCluster): Promise<HaproxyUnderTest> {
    const [program = ''] = await requirePrograms('haproxy');
    const folder = await mkdtemp(join(tmpdir(), 'switchyard-haproxy-'));
    const ports = await freePorts(2);
    const file = join(folder, 'haproxy.cfg');
    await writeFile(file, configuration(cluster, ports));
    const process = await TestProcess.start('haproxy', [program, '-db', '-f', file], { deathSignal: 'KILL' });
    const haproxy = new HaproxyUnderTest(folder, ports, process);
    await waitFor(
      async () => (await RawClient.login({ port: haproxy.primaryPort, ...roles.app })).destroy() === undefined,
      {
        timeoutMs: READY_TIMEOUT_MS,
        what: 'HAProxy to serve',
      },
    );
    return haproxy;
  }

  get log(): string {
    return this.#process.log;
  }

  async close(): Promise<void> {
    await this.#process.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** "HAProxy" in Patroni's documentation; the timeouts are its own too. */
function configuration(cluster: PatroniCluster, [primary = 0, standby = 0]: readonly number[]): string {
  const lines = [
    'global\n  maxconn 2000',
    'defaults\n  mode tcp\n  retries 2\n  timeout client 30m\n  timeout connect 4s\n  timeout server 30m\n  timeout check 5s',
  ];
  for (const [path, port] of [['/primary', primary] as const, ['/replica', standby] as const]) {
    lines.push(`listen ${path.slice(1)}\n  bind 127.0.0.1:${port}`);
    lines.push(`  option httpchk OPTIONS ${path}\n  http-check expect status 200`);
    lines.push('  default-server inter 3s fall 3 rise 2 on-marked-down shutdown-sessions');
    for (const node of cluster.nodes) {
      lines.push(`  server ${node.name} 127.0.0.1:${node.port} maxconn 500 check port ${node.restPort}`);
    }
  }
  return `${lines.join('\n')}\n`;
}
