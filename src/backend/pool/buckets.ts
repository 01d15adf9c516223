import type { NodeName } from '../../util/brand.js';
import { Bucket, Kind, Tally, Use } from './bucket.js';
import type { Opening, PooledBackend } from './bucket.js';
import type { BackendKind } from './pool-request.js';

/** Whose backends are kept together. */
interface BucketOwner {
  readonly node: NodeName;
  readonly user: string;
  readonly database: string;
}

interface DatabaseBuckets {
  readonly tally: Tally;
  readonly byUser: Map<string, Bucket>;
}

interface NodeBuckets {
  readonly tally: Tally;
  dialling: number;
  readonly byDatabase: Map<string, DatabaseBuckets>;
  /** Of each user, and in how many databases he has a bucket. */
  readonly byUser: Map<string, { readonly tally: Tally; buckets: number }>;
}

/** All backends of a pool, counted under each of its bounds. Nothing else changes these counts. */
export class Buckets {
  readonly #nodes = new Map<NodeName, NodeBuckets>();
  readonly #all = new Set<Bucket>();
  readonly #total = new Tally();

  values(): IterableIterator<Bucket> {
    return this.#all.values();
  }

  /** Null: nothing is known of this owner. */
  find(owner: BucketOwner): Bucket | null {
    return this.#nodes.get(owner.node)?.byDatabase.get(owner.database)?.byUser.get(owner.user) ?? null;
  }

  of(owner: BucketOwner): Bucket {
    const { node, database, user } = owner;
    const known = this.find(owner);
    if (known !== null) return known;
    const onNode = this.#nodes.get(node) ?? this.#addNode(node);
    let inDatabase = onNode.byDatabase.get(database);
    if (inDatabase === undefined) {
      inDatabase = { tally: new Tally(), byUser: new Map() };
      onNode.byDatabase.set(database, inDatabase);
    }
    const ofUser = onNode.byUser.get(user) ?? { tally: new Tally(), buckets: 0 };
    ofUser.buckets += 1;
    onNode.byUser.set(user, ofUser);
    const bucket = new Bucket(node, database, user, {
      own: new Tally(),
      node: onNode.tally,
      database: inDatabase.tally,
      user: ofUser.tally,
      total: this.#total,
    });
    inDatabase.byUser.set(user, bucket);
    this.#all.add(bucket);
    return bucket;
  }

  /** Forgets a bucket that has no backend and nobody who waits. */
  forget(bucket: Bucket): void {
    if (!this.#all.delete(bucket)) return;
    const onNode = this.#nodes.get(bucket.node);
    if (onNode === undefined) return;
    const inDatabase = onNode.byDatabase.get(bucket.database);
    inDatabase?.byUser.delete(bucket.user);
    if (inDatabase?.byUser.size === 0) onNode.byDatabase.delete(bucket.database);
    const ofUser = onNode.byUser.get(bucket.user);
    if (ofUser !== undefined) ofUser.buckets -= 1;
    if (ofUser?.buckets === 0) onNode.byUser.delete(bucket.user);
    if (onNode.byDatabase.size === 0) this.#nodes.delete(bucket.node);
  }

  /** The kind of these backends in the bucket, which it has from now on. */
  kindOf(bucket: Bucket, of: BackendKind): Kind {
    const known = bucket.kindOf(of.startupKey, of.isShared);
    if (known !== null) return known;
    const kind = new Kind(bucket, of);
    (of.isShared ? bucket.sharedKinds : bucket.ownKinds).set(of.startupKey, kind);
    return kind;
  }

  /** Backends on a node in whatever state, and how many of them are still on their way. */
  onNode(node: NodeName): { readonly total: number; readonly dialling: number } {
    const onNode = this.#nodes.get(node);
    return { total: onNode?.tally.count ?? 0, dialling: onNode?.dialling ?? 0 };
  }

  begin(opening: Opening): void {
    opening.bucket.openings.push(opening);
    this.#count(opening.bucket, 1, 0);
    this.#dial(opening.bucket, 1);
  }

  /** The backend is here, or will not come. */
  end(opening: Opening): void {
    const { bucket } = opening;
    const at = bucket.openings.indexOf(opening);
    if (at < 0) return;
    bucket.openings.splice(at, 1);
    this.#count(bucket, -1, 0);
    this.#dial(bucket, -1);
  }

  /** It has logged in, and somebody has it. */
  add(pooled: PooledBackend): void {
    pooled.kind.open += 1;
    this.#count(pooled.kind.bucket, 1, 0);
  }

  /** Nobody has it any more. */
  rest(pooled: PooledBackend): void {
    pooled.use = Use.Idle;
    pooled.kind.idle.push(pooled);
    this.#count(pooled.kind.bucket, 0, 1);
  }

  /** Somebody gets it. */
  take(pooled: PooledBackend, use: typeof Use.Promised | typeof Use.InUse): void {
    const { kind } = pooled;
    kind.idle.remove(pooled);
    pooled.use = use;
    this.#count(kind.bucket, 0, -1);
    if (kind.inUse > kind.peak) kind.peak = kind.inUse;
  }

  /** It does not count any more. False: it has not for some time. */
  remove(pooled: PooledBackend): boolean {
    if (pooled.use === Use.Gone) return false;
    const { kind } = pooled;
    if (pooled.use === Use.Idle) {
      kind.idle.remove(pooled);
      this.#count(kind.bucket, 0, -1);
    }
    pooled.use = Use.Gone;
    kind.open -= 1;
    this.#count(kind.bucket, -1, 0);
    return true;
  }

  #addNode(node: NodeName): NodeBuckets {
    const added: NodeBuckets = { tally: new Tally(), dialling: 0, byDatabase: new Map(), byUser: new Map() };
    this.#nodes.set(node, added);
    return added;
  }

  #dial(bucket: Bucket, by: number): void {
    const onNode = this.#nodes.get(bucket.node);
    if (onNode !== undefined) onNode.dialling += by;
  }

  #count(bucket: Bucket, count: number, idle: number): void {
    const { own, node, database, user, total } = bucket.tallies;
    own.add(count, idle);
    node.add(count, idle);
    database.add(count, idle);
    user.add(count, idle);
    total.add(count, idle);
  }
}
