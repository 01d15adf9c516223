import type { EtcdHeader } from './etcd3-endpoint.js';

/** How far an etcd cluster was seen to have come. */
export interface EtcdMark {
  readonly clusterId: string | null;
  readonly raftTerm: bigint;
  readonly revision: bigint;
}

/** What an answer's header says about where it comes from. */
export type LineageVerdict =
  | { readonly kind: 'same' }
  /** From another cluster or from the past: not to be believed. */
  | { readonly kind: 'rejected'; readonly why: string }
  /** The old cluster has been gone for so long that this one takes its place; `why` says what is different. */
  | { readonly kind: 'rebuilt'; readonly why: string };

/**
 * Keeps time from running backwards: an etcd member that was restored from an old backup, or belongs to another cluster, answers
 * with an older revision or another cluster id. It is refused, until nobody else has answered for `patienceMs`: then the etcd
 * cluster was rebuilt, and refusing it for ever would help nobody.
 */
export class EtcdLineage {
  readonly #patienceMs: number;
  #mark: EtcdMark = { clusterId: null, raftTerm: 0n, revision: 0n };
  /** The cluster that answers instead, and since when nobody else does. */
  #stranger: { readonly clusterId: string; readonly sinceMs: number } | null = null;

  constructor(patienceMs: number) {
    this.#patienceMs = patienceMs;
  }

  /** To be taken before a request is sent, since its answer may be overtaken by newer ones. */
  get mark(): EtcdMark {
    return this.#mark;
  }

  /** Judges the answer to a request that was sent at `before`. */
  judge(header: EtcdHeader, before: EtcdMark, nowMs: number): LineageVerdict {
    const why = difference(header, before);
    if (why === null) {
      this.#stranger = null;
      this.advance(header);
      return { kind: 'same' };
    }
    if (this.#stranger?.clusterId !== header.clusterId) {
      this.#stranger = { clusterId: header.clusterId, sinceMs: nowMs };
    }
    if (nowMs - this.#stranger.sinceMs < this.#patienceMs) {
      return { kind: 'rejected', why };
    }
    this.#stranger = null;
    this.#mark = markOf(header);
    return { kind: 'rebuilt', why };
  }

  /** Why something that came over a watch cannot be from the known cluster; null when it can. */
  doubt(header: EtcdHeader): string | null {
    return difference({ ...header, revision: this.#mark.revision }, this.#mark);
  }

  /** Takes note of an answer that is believed. */
  advance(header: EtcdHeader): void {
    const { raftTerm, revision } = this.#mark;
    this.#mark = {
      clusterId: header.clusterId,
      raftTerm: header.raftTerm > raftTerm ? header.raftTerm : raftTerm,
      revision: header.revision > revision ? header.revision : revision,
    };
  }
}

function markOf(header: EtcdHeader): EtcdMark {
  return { clusterId: header.clusterId, raftTerm: header.raftTerm, revision: header.revision };
}

function difference(header: EtcdHeader, mark: EtcdMark): string | null {
  if (mark.clusterId === null) {
    return null;
  }
  if (header.clusterId !== mark.clusterId) {
    return `it belongs to etcd cluster ${header.clusterId} instead of ${mark.clusterId}`;
  }
  if (header.revision < mark.revision) {
    return `it is at revision ${header.revision}, but ${mark.revision} has been seen`;
  }
  return header.raftTerm < mark.raftTerm
    ? `it is in raft term ${header.raftTerm}, but ${mark.raftTerm} has been seen`
    : null;
}
