import { nodeName } from '../util/brand.js';
import type { Clock } from '../util/clock.js';
import { type Claims, type ClaimsProvider, DcsState, type MemberClaim } from './claims.js';
import { DEFAULT_SETTINGS } from './patroni-keys.js';
import { readBoolean } from './patroni-values.js';

/** One node of `cluster.nodes`. */
export interface FixedNode {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** Relative share of sessions; any but 1 takes the place of a tag `weight`. */
  readonly weight: number;
  readonly tags: ReadonlyMap<string, string>;
}

/** The picture of a list in the configuration cannot get old; its time is moved on this often, so that nobody takes it for old. */
const REFRESH_MS = 1000;

/** Claims from a fixed list of nodes: always live, and nobody claims to be the leader, so the probes decide. */
export class FixedNodesClaims implements ClaimsProvider {
  readonly #clock: Clock;
  #claims: Claims;
  #onChange: (() => void) | null = null;
  #isStarted = false;
  #isClosed = false;

  constructor(nodes: readonly FixedNode[], clock: Clock) {
    this.#clock = clock;
    this.#claims = Object.freeze({
      provider: 'nodes',
      state: DcsState.Live,
      confirmedAtMs: clock.nowMs(),
      trouble: null,
      revision: 0n,
      leader: null,
      members: new Map(nodes.map((node) => [nodeName(node.name), memberOf(node)])),
      switchover: null,
      sync: null,
      history: Object.freeze([]),
      settings: DEFAULT_SETTINGS,
      systemIdentifier: null,
      leaderOptime: null,
      problems: Object.freeze([]),
    });
  }

  get claims(): Claims {
    const nowMs = this.#clock.nowMs();
    if (nowMs - (this.#claims.confirmedAtMs ?? nowMs) >= REFRESH_MS) {
      this.#claims = Object.freeze({ ...this.#claims, confirmedAtMs: nowMs });
    }
    return this.#claims;
  }

  /** `onChange` is called once, soon: whoever waits for a first picture needs no case of its own for this provider. */
  start(onChange: () => void): void {
    if (this.#isStarted) {
      return;
    }
    this.#isStarted = true;
    this.#onChange = onChange;
    queueMicrotask(() => {
      if (!this.#isClosed) {
        this.#onChange?.();
      }
    });
  }

  /** There is nothing to read again. */
  confirmSoon(): void {}

  close(): Promise<void> {
    this.#isClosed = true;
    this.#onChange = null;
    return Promise.resolve();
  }
}

function memberOf(node: FixedNode): MemberClaim {
  const tags = new Map(node.tags);
  if (node.weight !== 1) {
    tags.set('weight', String(node.weight));
  }
  return Object.freeze({
    name: nodeName(node.name),
    host: node.host,
    port: node.port,
    apiUrl: null,
    role: null,
    state: null,
    replicationState: null,
    timeline: null,
    xlogLocation: null,
    receiveLsn: null,
    replayLsn: null,
    noloadbalance: readBoolean(tags.get('noloadbalance')) === true,
    nofailover: readBoolean(tags.get('nofailover')) === true,
    tags,
    pendingRestart: false,
    version: null,
  });
}
