import type { NodeName } from '../util/brand.js';
import type { Backend } from './backend.js';

/** Whose backends are kept together. */
export interface BucketOwner {
  readonly node: NodeName;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
}

/** Backends of one node, user and database. */
export interface Bucket {
  readonly key: string;
  readonly node: NodeName;
  readonly user: string;
  readonly database: string;
  /** Idle, attached, being reset and being dialled, together. */
  count: number;
  /** Those of them that are being dialled. */
  dialling: number;
  /** The most recently used last. */
  idle: { readonly backend: Backend; readonly startupKey: string; readonly sinceMs: number }[];
}

/** All backends of a pool, counted by bucket and by node. */
export class Buckets {
  readonly #buckets = new Map<string, Bucket>();
  readonly #perNode = new Map<NodeName, { total: number; dialling: number }>();

  values(): IterableIterator<Bucket> {
    return this.#buckets.values();
  }

  /** The bucket of an owner; null when it has no backend. */
  find(owner: BucketOwner): Bucket | null {
    return this.#buckets.get(keyOf(owner)) ?? null;
  }

  of(owner: BucketOwner): Bucket {
    const key = keyOf(owner);
    let bucket = this.#buckets.get(key);
    if (bucket === undefined) {
      const { node, user, database } = owner;
      bucket = { key, node, user, database, count: 0, dialling: 0, idle: [] };
      this.#buckets.set(key, bucket);
    }
    return bucket;
  }

  /** Backends on a node in whatever state, and how many of them are still on their way. */
  onNode(node: NodeName): { readonly total: number; readonly dialling: number } {
    return this.#perNode.get(node) ?? { total: 0, dialling: 0 };
  }

  count(bucket: Bucket, by: 1 | -1): void {
    bucket.count += by;
    this.#change(bucket.node, by, 0);
    if (bucket.count === 0) this.#buckets.delete(bucket.key);
    else this.#buckets.set(bucket.key, bucket);
  }

  countDialling(bucket: Bucket, by: 1 | -1): void {
    bucket.dialling += by;
    this.#change(bucket.node, 0, by);
  }

  #change(node: NodeName, total: number, dialling: number): void {
    const counts = this.#perNode.get(node) ?? { total: 0, dialling: 0 };
    counts.total += total;
    counts.dialling += dialling;
    if (counts.total === 0 && counts.dialling === 0) this.#perNode.delete(node);
    else this.#perNode.set(node, counts);
  }
}

function keyOf(owner: BucketOwner): string {
  return `${owner.node}\0${owner.host}\0${owner.port}\0${owner.user}\0${owner.database}`;
}
