import type { BackendCredentials } from '../../auth/credentials.js';
import type { NodeName } from '../../util/brand.js';
import type { Clock } from '../../util/clock.js';
import type { PrimaryProof } from '../primary-proof.js';
import { boundReached } from './bounds.js';
import type { Bucket, Kind, Opening } from './bucket.js';
import type { Buckets } from './buckets.js';
import type { Opener } from './opener.js';
import type { BackendKind, BackendRequest, PoolLimits } from './pool-request.js';

/** What the pool has to be told to open backends that nobody has asked for yet. */
export interface Foresight {
  /** Where the node is, and what it must prove; null: nothing is to be opened there now. */
  place(node: NodeName): { readonly host: string; readonly port: number; readonly proof: PrimaryProof | null } | null;
  /** With what a session that is connected logs in; null: none of this user and database is. */
  credentials(user: string, database: string): BackendCredentials | null;
  /** Connections that the node can still take; null: not known. */
  room(node: NodeName): number | null;
}

/** So many backends are to be there, all kinds of the bucket together or of this one alone. */
interface Need {
  readonly database: string;
  readonly user: string;
  readonly kind: BackendKind;
  readonly isForBucket: boolean;
  readonly target: number;
  readonly untilMs: number;
}

/** A need that could not be met in this time is forgotten. */
const NEED_MS = 30_000;
/** Most needs of one node. */
const NEEDS_MAX = 10_000;

export interface AheadParts {
  readonly clock: Clock;
  readonly limits: () => PoolLimits;
  readonly buckets: Buckets;
  readonly opener: Opener;
}

/**
 * Opens backends ahead of time: those that are to be kept open, and on a new primary as many as were in use on the old one. Whoever waits goes
 * first, idle backends of others are not closed for it, and it takes half of the log-ins at most that may be under way on a node.
 */
export class Ahead {
  foresight: Foresight | null = null;
  readonly #parts: AheadParts;
  readonly #needs = new Map<NodeName, Need[]>();
  readonly #underWay = new Map<NodeName, number>();
  /** What was in use on a primary that is lost; null: none is. */
  #lost: readonly Omit<Need, 'untilMs'>[] | null = null;

  constructor(parts: AheadParts) {
    this.#parts = parts;
  }

  /** Whether somebody is connected with whose credentials backends can be opened. */
  canOpen(bucket: Bucket): boolean {
    return (this.foresight?.credentials(bucket.user, bucket.database) ?? null) !== null;
  }

  /** So many are to be open in the bucket. */
  keep(bucket: Bucket, kind: Kind, target: number): void {
    this.#want(bucket.node, { ...ownerOf(bucket), kind, isForBucket: true, target });
    this.pump(bucket.node);
  }

  /** So many of one kind are to be open. */
  replace(kind: Kind, target: number): void {
    this.#want(kind.bucket.node, { ...ownerOf(kind.bucket), kind, isForBucket: false, target });
    this.pump(kind.bucket.node);
  }

  /** The primary is lost, or about to be: what is usually in use there will be wanted on the next one. */
  noteLoss(node: NodeName): void {
    if (this.#lost !== null) return;
    const lost: Omit<Need, 'untilMs'>[] = [];
    for (const bucket of this.#parts.buckets.values()) {
      if (bucket.node !== node) continue;
      for (const kind of bucket.kinds()) {
        const target = Math.max(kind.usual, kind.peak, kind.inUse);
        if (target > 0 && !kind.isReplication) lost.push({ ...ownerOf(bucket), kind, isForBucket: false, target });
      }
    }
    this.#lost = lost;
  }

  /** There is a primary again. */
  warmUp(node: NodeName): void {
    const { size, minSize } = this.#parts.limits();
    const lost = this.#lost ?? [];
    this.#lost = null;
    this.#needs.delete(node);
    for (const need of lost) this.#want(node, { ...need, target: Math.min(need.target, size) });
    if (minSize > 0)
      for (const need of lost) this.#want(node, { ...need, isForBucket: true, target: Math.min(minSize, size) });
    this.pump(node);
  }

  /** An opening that nobody had asked for has ended. */
  ended(opening: Opening, error: Error | null): void {
    const { node } = opening.bucket;
    this.#underWay.set(node, Math.max(0, (this.#underWay.get(node) ?? 0) - 1));
    // A node that says no is not asked on and on by those who need nothing yet.
    if (error !== null) this.#needs.delete(node);
  }

  /** Opens what is needed on the node, as far as it goes now. */
  pump(node: NodeName): void {
    const { limits, opener } = this.#parts;
    const most = Math.max(1, Math.floor(limits().loginConcurrency / 2));
    for (;;) {
      const [need] = this.#needs.get(node) ?? [];
      if (need === undefined || this.foresight === null) return;
      if ((this.#underWay.get(node) ?? 0) >= most || opener.spare(node) === 0) return;
      if ((this.foresight.room(node) ?? 1) <= 0) return;
      const bucket = this.#parts.buckets.of({ node, ...need });
      const request = this.#isMet(bucket, need) ? null : this.#requestFor(bucket, need);
      this.#nextNeed(node, request !== null);
      if (request === null) continue;
      this.#underWay.set(node, (this.#underWay.get(node) ?? 0) + 1);
      opener.open(bucket, request, null, false);
    }
  }

  pumpAll(): void {
    for (const node of [...this.#needs.keys()]) this.pump(node);
  }

  close(): void {
    this.#needs.clear();
    this.#lost = null;
  }

  #want(node: NodeName, need: Omit<Need, 'untilMs'>): void {
    const needs = this.#needs.get(node) ?? [];
    const isSame = (other: Need): boolean =>
      other.user === need.user &&
      other.database === need.database &&
      other.isForBucket === need.isForBucket &&
      other.kind.startupKey === need.kind.startupKey &&
      other.kind.isShared === need.kind.isShared;
    const others = needs.filter((other) => !isSame(other));
    if (others.length < NEEDS_MAX) others.push({ ...need, untilMs: this.#parts.clock.nowMs() + NEED_MS });
    this.#needs.set(node, others);
  }

  /** Turns to the next one; the present one comes again in its turn if it `stays`. */
  #nextNeed(node: NodeName, stays: boolean): void {
    const needs = this.#needs.get(node);
    const first = needs?.shift();
    if (needs === undefined || first === undefined) return;
    if (stays) needs.push(first);
    if (needs.length === 0) this.#needs.delete(node);
  }

  #isMet(bucket: Bucket, need: Need): boolean {
    if (this.#parts.clock.nowMs() >= need.untilMs) return true;
    if (need.isForBucket) return bucket.count >= need.target;
    const { startupKey, isShared } = need.kind;
    const open = bucket.kindOf(startupKey, isShared)?.open ?? 0;
    const onTheirWay = bucket.openings.filter(
      ({ request }) => request.startupKey === startupKey && request.isShared === isShared,
    );
    return open + onTheirWay.length >= need.target;
  }

  /** Null: it cannot be met. */
  #requestFor(bucket: Bucket, { user, database, kind }: Need): BackendRequest | null {
    const { limits, opener } = this.#parts;
    const bound = boundReached(bucket, limits(), limits().size);
    const place = this.foresight?.place(bucket.node) ?? null;
    const credentials = this.foresight?.credentials(user, database) ?? null;
    if (bound !== null || place === null || credentials === null) return null;
    const { parameters, startupKey, isReplication, isShared } = kind;
    const { node } = bucket;
    const request = { node, user, database, ...place, credentials, parameters, startupKey, isReplication, isShared };
    return opener.failures.of(bucket, request) === null ? request : null;
  }
}

function ownerOf({ database, user }: Bucket): { readonly database: string; readonly user: string } {
  return { database, user };
}
