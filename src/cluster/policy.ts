import { DcsState } from '../dcs/claims.js';
import { assertNever } from '../util/assert-never.js';
import type { NodeName } from '../util/brand.js';
import type { Witness } from './witnesses.js';

/** What a node has proven about itself by SQL, as far as its newest probes are believed. */
export type NodeProof =
  /** It has neither answered nor surely failed yet. */
  | { readonly status: 'pending' }
  /** `primary`: out of recovery. Null fields: the node did not say. */
  | {
      readonly status: 'primary' | 'standby';
      readonly timeline: number | null;
      readonly systemIdentifier: string | null;
    }
  /** It cannot be reached, or not believed; one sentence. */
  | { readonly status: 'none'; readonly reason: string };

/** All that the choice of the primary hangs on. */
export interface PolicyInput {
  readonly provider: 'etcd3' | 'nodes';
  readonly dcsState: DcsState;
  /** Whom the leader key names; null: absent. */
  readonly leader: NodeName | null;
  readonly paused: boolean;
  readonly standbyCluster: boolean;
  /** What every node of the cluster must have; null: not known yet. */
  readonly systemIdentifier: string | null;
  /** The highest timeline a primary was ever seen on; 0: none. */
  readonly highestTimeline: number;
  /** The node that was last chosen, also when it was lost since; null: none yet. */
  readonly lastPrimary: NodeName | null;
  readonly proofs: ReadonlyMap<NodeName, NodeProof>;
  /**
   * What nodes have shown since a leader key was last read: it speaks against the node that this key names when it tells of a promotion,
   * since that one began with another key. What had been shown before was known to whoever wrote the key, and is no news.
   */
  readonly news: readonly Witness[];
}

/** Who gets the writes; `reason` is null exactly when somebody does. */
export type PrimaryChoice =
  | { readonly primary: NodeName; readonly reason: null }
  | {
      readonly primary: null;
      readonly reason: string;
      /** The node that is named proves itself, and another node's word against it is newer than the key. */
      readonly isContested: boolean;
    };

/** A node that has proven all there is to prove. */
interface Proven {
  readonly name: NodeName;
  readonly timeline: number;
}

/**
 * Chooses the node that may get writes, or says why there is none. Doubt never routes a write:
 *
 * | leader key | what the nodes prove | choice |
 * |---|---|---|
 * | names N | N is out of recovery, right system, timeline not lower than the highest seen, no news against it | N |
 * | names N | N is still in recovery, or proves nothing | none |
 * | names N | another node says it is a primary too, and did so before the key was read | N, never the other |
 * | names N | since the key was read a node was seen on a later timeline, or another primary on the same one | none |
 * | absent, not paused | any | none |
 * | absent, paused | the last primary proves itself, no news against it since the key last named somebody | the last primary |
 * | absent, paused, nobody was the primary yet | as without keys | that node |
 * | never read | any | none |
 * | no keys (`nodes`) | one primary alone on the highest timeline, and nobody follows a later one | that node |
 *
 * Whether the key can be read *now* is not a row of its own. A key that could not be read again holds what it held (the loss of the DCS
 * alone changes nothing that is still true), and a key that was read ten seconds ago may be as old as that: what counts is whether
 * anything was seen since that tells of a promotion. `failsafe_mode` is no row either: it decides whether Patroni lets the primary be
 * one without a DCS, and that shows in the primary's own proof.
 *
 * Patroni's REST API is not asked. Where the key can be read its answer adds nothing (`/primary` goes by the same lock, from a memory up
 * to `ttl` old); where it cannot, a frozen or restarting Patroni would take a healthy primary away.
 */
export function choosePrimary(input: PolicyInput): PrimaryChoice {
  if (input.provider === 'nodes') {
    return chooseByProof(input);
  }
  if (input.dcsState === DcsState.Unknown) {
    return none('nothing has been read from the DCS yet');
  }
  if (input.standbyCluster) {
    const leader = input.leader === null ? 'its leader' : `its leader ${input.leader}`;
    return none(`this is a standby cluster: ${leader} follows another cluster and takes no writes`);
  }
  return input.leader === null ? chooseWithoutLeader(input) : chooseNamed(input, input.leader);
}

function chooseWithoutLeader(input: PolicyInput): PrimaryChoice {
  if (!input.paused) {
    return none('the leader key is gone');
  }
  // In maintenance mode the key may vanish (Patroni is restarted) while PostgreSQL goes on.
  return input.lastPrimary === null ? chooseByProof(input) : chooseNamed(input, input.lastPrimary);
}

/** The node that a key names, or named last: it needs its own proof, and that nobody was promoted since. */
function chooseNamed(input: PolicyInput, name: NodeName): PrimaryChoice {
  const verdict = prove(input, name, input.systemIdentifier);
  if (typeof verdict === 'string') {
    return none(verdict);
  }
  const word = wordAgainst(input, verdict, input.systemIdentifier);
  if (word === null) {
    return { primary: name, reason: null };
  }
  const what = word.isPrimary ? 'is a primary' : 'follows a primary';
  return contested(
    `${name} says it is the primary, but ${word.node} ${what} on timeline ${word.timeline}, ` +
      'and no leader key was read since that was seen',
  );
}

/** The newest timeline in the news that speaks against this primary; null when none does. */
function wordAgainst(input: PolicyInput, { name, timeline }: Proven, systemIdentifier: string | null): Witness | null {
  let found: Witness | null = null;
  for (const word of input.news) {
    const isOurs = systemIdentifier === null || word.systemIdentifier === systemIdentifier;
    const isLater = word.timeline > timeline || (word.timeline === timeline && word.isPrimary);
    if (word.node !== name && isOurs && isLater && (found === null || word.timeline > found.timeline)) {
      found = word;
    }
  }
  return found;
}

/** Without any claim: the one node on the highest timeline. */
function chooseByProof(input: PolicyInput): PrimaryChoice {
  if (input.lastPrimary === null) {
    for (const [name, proof] of input.proofs) {
      // A primary that answers first may be a forgotten one: the others are heard before anybody is chosen.
      if (proof.status === 'pending') {
        return none(`${name} has not answered yet`);
      }
    }
  }
  const identifiers = identifiersOf(input);
  if (input.systemIdentifier === null && identifiers.size > 1) {
    const list = [...identifiers].map(([identifier, name]) => `${name} has ${identifier}`).join(', ');
    return none(`the nodes belong to different clusters: system identifiers differ (${list})`);
  }
  const expected = input.systemIdentifier ?? identifiers.keys().next().value ?? null;
  let best: Proven | null = null;
  let rival: Proven | null = null;
  let trouble: string | null = null;
  for (const [name, proof] of input.proofs) {
    const verdict = prove(input, name, expected);
    if (typeof verdict === 'string') {
      trouble = proof.status === 'primary' ? verdict : trouble;
    } else if (best === null || verdict.timeline > best.timeline) {
      best = verdict;
      rival = null;
    } else if (verdict.timeline === best.timeline) {
      rival = verdict;
    }
  }
  if (best === null) {
    return none(trouble ?? 'no node is out of recovery');
  }
  if (rival !== null) {
    return none(`${best.name} and ${rival.name} both say they are the primary, on the same timeline ${best.timeline}`);
  }
  const word = wordAgainst(input, best, expected);
  // One on the same timeline that is not there any more (two primaries, of which one was stopped) is no reason against the other.
  return word === null || word.timeline === best.timeline
    ? { primary: best.name, reason: null }
    : contested(
        `${best.name} says it is the primary, on timeline ${best.timeline}, but ${word.node} was seen on ${word.timeline}`,
      );
}

/** The system identifiers that were said, each with the first node that said it. */
function identifiersOf(input: PolicyInput): Map<string, NodeName> {
  const identifiers = new Map<string, NodeName>();
  for (const [name, proof] of input.proofs) {
    const isAnswer = proof.status === 'primary' || proof.status === 'standby';
    if (isAnswer && proof.systemIdentifier !== null && !identifiers.has(proof.systemIdentifier)) {
      identifiers.set(proof.systemIdentifier, name);
    }
  }
  return identifiers;
}

/** The proof that a node is the primary, or what is missing, in one sentence. */
function prove(input: PolicyInput, name: NodeName, systemIdentifier: string | null): Proven | string {
  const proof = input.proofs.get(name);
  if (proof === undefined) {
    return `the leader key names ${name}, which is not a known member`;
  }
  switch (proof.status) {
    case 'pending':
      return `${name} has not answered yet`;
    case 'none':
      return `${name} does not prove that it is the primary: ${proof.reason}`;
    case 'standby':
      return input.leader === name
        ? `${name} holds the leader key and is still in recovery`
        : `${name} was the primary and is in recovery now`;
    case 'primary':
      break;
    default:
      return assertNever(proof);
  }
  if (proof.systemIdentifier === null) {
    return `${name} does not show its system identifier`;
  }
  if (systemIdentifier !== null && proof.systemIdentifier !== systemIdentifier) {
    return `${name} has the system identifier ${proof.systemIdentifier}, the cluster has ${systemIdentifier}`;
  }
  if (proof.timeline === null) {
    return `${name} does not show its timeline`;
  }
  if (proof.timeline < input.highestTimeline) {
    return `${name} is on timeline ${proof.timeline}, the cluster was on ${input.highestTimeline} already`;
  }
  return { name, timeline: proof.timeline };
}

function none(reason: string): PrimaryChoice {
  return { primary: null, reason, isContested: false };
}

function contested(reason: string): PrimaryChoice {
  return { primary: null, reason, isContested: true };
}
