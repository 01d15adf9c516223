import type { EtcdServer } from './etcd-server.js';
import type { PatroniCluster } from './patroni-cluster.js';

/** A key of a cluster as etcd holds it. */
interface HeldKey {
  readonly value: string;
  /** The lease that it ends with; `0`: none. */
  readonly lease: string;
}

/** The keys of a Patroni cluster, to be read and written behind its back while its Patronis are frozen. */
export class ClusterKeys {
  readonly #cluster: PatroniCluster;
  readonly #etcd: EtcdServer;

  constructor(cluster: PatroniCluster) {
    const [etcd] = cluster.etcd;
    if (etcd === undefined) throw new Error('the cluster has no etcd');
    this.#cluster = cluster;
    this.#etcd = etcd;
  }

  get prefix(): string {
    return `/service/${this.#cluster.scope}/`;
  }

  /** A key without the prefix, such as `leader`; null when there is none. */
  async get(suffix: string): Promise<HeldKey | null> {
    const { kvs = [] } = await this.#etcd.call('kv/range', { key: base64(this.prefix + suffix) });
    const [kv] = kvs as readonly { readonly value?: string; readonly lease?: string }[];
    if (kv === undefined) return null;
    return { value: Buffer.from(kv.value ?? '', 'base64').toString('utf8'), lease: kv.lease ?? '0' };
  }

  /** Writes a key; with the lease of a key that was read, so that it goes on to end with its owner. */
  async put(suffix: string, value: string, like: HeldKey | null = null): Promise<void> {
    const lease = like === null || like.lease === '0' ? undefined : like.lease;
    await this.#etcd.put(this.prefix + suffix, value, lease);
  }

  async delete(suffix: string): Promise<void> {
    await this.#etcd.delete(this.prefix + suffix);
  }
}

function base64(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64');
}
