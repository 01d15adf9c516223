import { isDeepStrictEqual } from 'node:util';
import type { NodeName } from '../util/brand.js';
import type { Claims, HistoryEntry, LeaderClaim, Lsn, MemberClaim, SwitchoverClaim, SyncClaim } from './claims.js';
import { type DecodedKey, DEFAULT_SETTINGS, type RawKey, decodeKey } from './patroni-keys.js';

/** The parts of {@link Claims} that come out of a cluster's keys. */
export type ClaimsParts = Pick<
  Claims,
  | 'leader'
  | 'members'
  | 'switchover'
  | 'sync'
  | 'history'
  | 'settings'
  | 'systemIdentifier'
  | 'leaderOptime'
  | 'problems'
>;

/** A change of one key. */
export type KeyEvent =
  | { readonly kind: 'put'; readonly revision: bigint; readonly key: RawKey }
  | { readonly kind: 'delete'; readonly revision: bigint; readonly suffix: string };

/** More problems than this are not listed one by one. */
export const PROBLEMS_MAX = 50;

interface Slot {
  readonly raw: RawKey;
  readonly decoded: DecodedKey | null;
}

/**
 * The keys of one cluster, each decoded once when it changes. A complete reading and the sum of all events give the same parts.
 */
export class PatroniStore {
  readonly #slots = new Map<string, Slot>();
  /** Added to every revision of the DCS, so that terms go on growing after the DCS was rebuilt and counts from one again. */
  #revisionBase = 0n;
  #parts: ClaimsParts | null = null;

  /** What all keys together say; the same object until something that can be seen in it changes. */
  get parts(): ClaimsParts {
    this.#parts ??= assemble([...this.#slots.values()]);
    return this.#parts;
  }

  /** Forgets every key and counts all later revisions from `revisionBase`. */
  rebase(revisionBase: bigint): void {
    this.#slots.clear();
    this.#revisionBase = revisionBase;
    this.#parts = null;
  }

  /** Takes a complete reading: keys that are not in it are gone. True when any key was written or deleted since the last one. */
  replace(keys: readonly RawKey[]): boolean {
    let touched = false;
    const present = new Set<string>();
    for (const key of keys) {
      present.add(key.suffix);
      touched = this.#put(key) || touched;
    }
    for (const suffix of this.#slots.keys()) {
      if (!present.has(suffix)) {
        touched = this.#delete(suffix) || touched;
      }
    }
    return touched;
  }

  /** Takes events in their order. */
  apply(events: readonly KeyEvent[]): void {
    for (const event of events) {
      if (event.kind === 'put') {
        this.#put(event.key);
      } else {
        this.#delete(event.suffix);
      }
    }
  }

  #put(raw: RawKey): boolean {
    const before = this.#slots.get(raw.suffix);
    if (before !== undefined && before.raw.modRevision === raw.modRevision && before.raw.value === raw.value) {
      return false;
    }
    const decoded = decodeKey({
      ...raw,
      createRevision: raw.createRevision + this.#revisionBase,
      modRevision: raw.modRevision + this.#revisionBase,
    });
    const seen = before?.decoded ?? null;
    if (isDeepStrictEqual(seen, decoded)) {
      this.#slots.set(raw.suffix, { raw, decoded: seen });
    } else {
      this.#slots.set(raw.suffix, { raw, decoded });
      this.#parts = null;
    }
    return true;
  }

  #delete(suffix: string): boolean {
    const before = this.#slots.get(suffix);
    if (before === undefined) {
      return false;
    }
    this.#slots.delete(suffix);
    if (before.decoded !== null) {
      this.#parts = null;
    }
    return true;
  }
}

function assemble(slots: readonly Slot[]): ClaimsParts {
  let leader: LeaderClaim | null = null;
  let switchover: SwitchoverClaim | null = null;
  let sync: SyncClaim | null = null;
  let history: readonly HistoryEntry[] = Object.freeze([]);
  let settings = DEFAULT_SETTINGS;
  let systemIdentifier: string | null = null;
  let optime: Lsn | null = null;
  let oldOptime: Lsn | null = null;
  const claims: MemberClaim[] = [];
  const problems: string[] = [];
  for (const { decoded } of slots) {
    if (decoded === null) {
      continue;
    }
    problems.push(...decoded.problems);
    const { part } = decoded;
    switch (part.kind) {
      case 'leader':
        leader = part.leader;
        break;
      case 'member':
        if (part.member !== null) {
          claims.push(part.member);
        }
        break;
      case 'settings':
        settings = part.settings;
        break;
      case 'switchover':
        switchover = part.switchover;
        break;
      case 'sync':
        sync = part.sync;
        break;
      case 'history':
        history = part.history;
        break;
      case 'initialize':
        systemIdentifier = part.systemIdentifier;
        break;
      case 'status':
        optime = part.optime;
        break;
      case 'old-optime':
        oldOptime = part.optime;
        break;
    }
  }
  const members = new Map(claims.sort((a, b) => (a.name < b.name ? -1 : 1)).map((claim) => [claim.name, claim]));
  return Object.freeze({
    leader,
    members,
    switchover,
    sync: sync === null ? null : withMemberNames(sync, members),
    history,
    settings,
    systemIdentifier,
    // The old key goes on being written while an old member lives, and may be behind.
    leaderOptime: optime ?? oldOptime,
    problems: Object.freeze(bounded(problems.sort())),
  });
}

/** Patroni compares the names of the sync key without regard to case, as PostgreSQL does: gives them the members' spelling. */
function withMemberNames(sync: SyncClaim, members: ReadonlyMap<NodeName, MemberClaim>): SyncClaim {
  const spelled = new Map([...members.keys()].map((name) => [name.toLowerCase(), name]));
  const spell = (name: NodeName) => (members.has(name) ? name : (spelled.get(name.toLowerCase()) ?? name));
  return Object.freeze({
    leader: sync.leader === null ? null : spell(sync.leader),
    standbys: Object.freeze(sync.standbys.map(spell)),
    quorum: sync.quorum,
  });
}

function bounded(problems: readonly string[]): readonly string[] {
  return problems.length <= PROBLEMS_MAX
    ? problems
    : [...problems.slice(0, PROBLEMS_MAX), `and ${problems.length - PROBLEMS_MAX} more`];
}
