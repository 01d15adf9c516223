import { LRUCache } from 'lru-cache';
import type { Backend } from '../../backend/backend.js';
import type { Catalogs } from '../../cluster/catalogs.js';
import type { Clock } from '../../util/clock.js';
import { Applied } from '../state/applied.js';
import type { StateCommon } from '../state/common.js';
import { LearnedTrust } from '../state/function-trust.js';
import { SharedIdentities } from '../state/identities.js';

/** Most pairs of user and database of which is known what their sessions have in common. */
const OWNERS_MAX = 500;

/** What is known of a backend that sessions take turns on. */
interface SharedBackend {
  readonly applied: Applied;
  /** The session that has used it last; 0: none. */
  user: number;
  /** That one has taken numbers of sequences there, and nobody else has used it since: it may ask for them. */
  hasNumbers: boolean;
}

/** What sessions that get each other's backends know of them: what each one has of a session's state, whoever's that was. */
export class SharedBackends {
  readonly #catalogs: Pick<Catalogs, 'of'>;
  readonly #clock: Clock;
  readonly #statementsMax: () => number;
  readonly #commons = new LRUCache<string, StateCommon>({ max: OWNERS_MAX });
  readonly #backends = new WeakMap<Backend, SharedBackend>();

  /** `statementsMax`: most prepared statements of one backend. */
  constructor(catalogs: Pick<Catalogs, 'of'>, clock: Clock, statementsMax: () => number) {
    this.#statementsMax = statementsMax;
    this.#catalogs = catalogs;
    this.#clock = clock;
  }

  /** Of all sessions of one user in one database. */
  commonOf(user: string, database: string): StateCommon {
    const key = `${user}\0${database}`;
    let common = this.#commons.get(key);
    if (common === undefined) {
      const trust = new LearnedTrust(() => this.#catalogs.of(database), this.#clock);
      common = { identities: new SharedIdentities(), trust };
      this.#commons.set(key, common);
    }
    return common;
  }

  /** What the backend has; nothing, if it is new. */
  appliedOf(backend: Backend): Applied {
    return this.#of(backend).applied;
  }

  /** The session takes over what other sessions have left there of sequences; false: it was the last one to use the backend. */
  takeOver(backend: Backend, session: number): boolean {
    const known = this.#of(backend);
    if (known.user === session) return false;
    known.user = session;
    known.hasNumbers = false;
    return true;
  }

  /** The session gives the backend back. */
  usedBy(backend: Backend, session: number): void {
    const known = this.#of(backend);
    if (known.user === session) return;
    known.user = session;
    known.hasNumbers = false;
  }

  /** The session takes numbers of sequences there. */
  takesNumbers(backend: Backend, session: number): void {
    this.usedBy(backend, session);
    this.#of(backend).hasNumbers = true;
  }

  /** Another session may ask there for the numbers that it was given, and would rather find nobody else's. */
  isMissed(backend: Backend, session: number): boolean {
    const known = this.#backends.get(backend);
    return known?.hasNumbers === true && known.user !== session;
  }

  /** The backend is cleaned, and has nothing any more. */
  forget(backend: Backend): void {
    this.#backends.delete(backend);
  }

  #of(backend: Backend): SharedBackend {
    let known = this.#backends.get(backend);
    if (known === undefined) {
      known = { applied: new Applied(this.#statementsMax), user: 0, hasNumbers: false };
      this.#backends.set(backend, known);
    }
    return known;
  }
}
