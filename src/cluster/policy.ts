import { DcsState } from '../dcs/claims.js';
import { assertNever } from '../util/assert-never.js';
import type { NodeName } from '../util/brand.js';

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
}

/** Who gets the writes; `reason` is null exactly when somebody does. */
export type PrimaryChoice =
  | { readonly primary: NodeName; readonly reason: null }
  | { readonly primary: null; readonly reason: string };

/** A node that has proven all there is to prove. */
interface Proven {
  readonly name: NodeName;
  readonly timeline: number;
}

/**
 * Chooses the node that may get writes, or says why there is none. Doubt never routes a write:
 *
 * | leader key | proof of the node | choice |
 * |---|---|---|
 * | names N | out of recovery, right system, timeline not lower than the highest seen | N |
 * | names N | still in recovery, or nothing | none |
 * | names N | another node says it is a primary too | N, never the other |
 * | absent, read just now, not paused | any | none |
 * | absent, paused | the last primary proves itself, nobody else does better | the last primary |
 * | unreadable | the node it named last proves itself, nobody is on a higher timeline | that node |
 * | unreadable | it does not | none: nothing new is believed |
 * | no keys (`nodes`) | one node alone on the highest timeline | that node |
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
  switch (input.dcsState) {
    case DcsState.Live:
      return input.leader === null ? chooseWithoutLeader(input) : chooseNamed(input, input.leader);
    case DcsState.Stale:
      return input.leader === null ? chooseWithoutLeader(input) : chooseUnrivalled(input, input.leader);
    default:
      return assertNever(input.dcsState);
  }
}

function chooseWithoutLeader(input: PolicyInput): PrimaryChoice {
  if (!input.paused) {
    return none('the leader key is gone');
  }
  // In maintenance mode the key may vanish (Patroni is restarted) while PostgreSQL goes on.
  return input.lastPrimary === null ? chooseByProof(input) : chooseUnrivalled(input, input.lastPrimary);
}

/** The node that somebody we believe names: it needs only its own proof. */
function chooseNamed(input: PolicyInput, name: NodeName): PrimaryChoice {
  const verdict = prove(input, name, input.systemIdentifier);
  return typeof verdict === 'string' ? none(verdict) : { primary: name, reason: null };
}

/** The node that was named once: no other node may look like a later primary. */
function chooseUnrivalled(input: PolicyInput, name: NodeName): PrimaryChoice {
  const verdict = prove(input, name, input.systemIdentifier);
  if (typeof verdict === 'string') {
    return none(verdict);
  }
  for (const rival of input.proofs.keys()) {
    const proven = rival === name ? null : prove(input, rival, input.systemIdentifier);
    if (proven !== null && typeof proven !== 'string' && proven.timeline >= verdict.timeline) {
      return none(`${name} and ${rival} both say they are the primary, and no leader key decides`);
    }
  }
  return { primary: name, reason: null };
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
  return rival === null
    ? { primary: best.name, reason: null }
    : none(`${best.name} and ${rival.name} both say they are the primary, on the same timeline ${best.timeline}`);
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
  return { primary: null, reason };
}
