import { LRUCache } from 'lru-cache';
import type { Backend } from '../../backend/backend.js';
import { Applied } from '../state/applied.js';
import { SharedIdentities } from '../state/identities.js';

/** Most pairs of user and database of which is known what their sessions have in common. */
const OWNERS_MAX = 500;

/** What sessions that get each other's backends know of them: what each one has of a session's state, whoever's that was. */
export class SharedBackends {
  readonly #identities = new LRUCache<string, SharedIdentities>({ max: OWNERS_MAX });
  readonly #applied = new WeakMap<Backend, Applied>();

  /** Those of all sessions of one user in one database. */
  identitiesOf(user: string, database: string): SharedIdentities {
    const key = `${user}\0${database}`;
    let identities = this.#identities.get(key);
    if (identities === undefined) {
      identities = new SharedIdentities();
      this.#identities.set(key, identities);
    }
    return identities;
  }

  /** What the backend has; nothing, if it is new. */
  appliedOf(backend: Backend): Applied {
    let applied = this.#applied.get(backend);
    if (applied === undefined) {
      applied = new Applied();
      this.#applied.set(backend, applied);
    }
    return applied;
  }

  /** The backend is cleaned, and has nothing any more. */
  forget(backend: Backend): void {
    this.#applied.delete(backend);
  }
}
