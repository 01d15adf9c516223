import { join } from 'node:path';
import type { Settings } from '../../src/cli/demo/postgres/data-directory.js';
import { runProgram } from '../../src/cli/demo/postgres/run-program.js';
import type { Identity } from '../../src/cli/demo/postgres/run-program.js';
import type { EtcdServer } from './etcd-server.js';
import { requirePrograms } from './install.js';
import type { Partitions } from './partitions.js';
import { patroniConfig } from './patroni-config.js';
import type { PatroniTiming } from './patroni-config.js';
import { PatroniNode } from './patroni-node.js';
import { freePorts } from './ports.js';
import { testBinaries } from './postgres-server.js';

/** The shortest that Patroni allows for ttl. */
const QUICK: PatroniTiming = { ttlS: 20, loopWaitS: 5 };

export interface PatroniClusterOptions {
  /** 3 by default. */
  readonly nodes?: number;
  /** Members of etcd; 1 by default, 3 to lose one and keep the quorum. */
  readonly etcdMembers?: number;
  readonly timing?: PatroniTiming;
  readonly synchronous?: boolean;
  readonly settings?: Settings;
  /** Tags by the name of the node. */
  readonly tags?: Readonly<Record<string, Readonly<Record<string, string | number | boolean>>>>;
  readonly beforeStop?: string;
  /** PostgreSQL offers TLS with a certificate of its own making. */
  readonly tls?: boolean;
}

/** What the nodes of one cluster share. */
interface Ground {
  readonly scope: string;
  readonly folder: string;
  readonly identity: Identity;
  readonly etcd: readonly EtcdServer[];
  readonly partitions: Partitions;
}

/** Makes the nodes of a cluster, all down. */
export async function makeNodes(options: PatroniClusterOptions, ground: Ground): Promise<PatroniNode[]> {
  const binaries = await testBinaries();
  const count = options.nodes ?? 3;
  const ports = await freePorts(2 * count);
  const tls = options.tls === true ? await makeCertificate(ground) : null;
  const nodes: PatroniNode[] = [];
  for (let index = 0; index < count; index += 1) {
    const name = `node${index + 1}`;
    const folder = join(ground.folder, name);
    const [port = 0, restPort = 0] = ports.slice(2 * index);
    const config = patroniConfig({
      scope: ground.scope,
      name,
      etcd: ground.etcd.map((member) => `${member.host}:${member.port}`),
      port,
      restPort,
      binDirectory: binaries.directory,
      dataDirectory: PatroniNode.dataDirectory(folder),
      runDirectory: folder,
      timing: options.timing ?? QUICK,
      synchronous: options.synchronous ?? false,
      settings: options.settings ?? {},
      tags: options.tags?.[name] ?? {},
      beforeStop: options.beforeStop ?? null,
      tls,
    });
    const joinGroup = await ground.partitions.join(name);
    nodes.push(new PatroniNode({ name, folder, identity: ground.identity, port, restPort, config, joinGroup }));
  }
  return nodes;
}

async function makeCertificate({
  folder,
  identity,
}: Ground): Promise<{ readonly certFile: string; readonly keyFile: string }> {
  const [openssl = ''] = await requirePrograms('openssl');
  const certFile = join(folder, 'server.crt');
  const keyFile = join(folder, 'server.key');
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', keyFile];
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  await runProgram(openssl, ['req', '-x509', '-sha256', '-days', '3650', ...key, ...subject, '-out', certFile], {
    identity,
  });
  return { certFile, keyFile };
}
