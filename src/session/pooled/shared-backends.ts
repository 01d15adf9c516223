import type { Backend } from '../../backend/backend.js';
import { Applied } from '../state/applied.js';
import { SharedIdentities } from '../state/identities.js';

/** What sessions that get each other's backends know of them: what each one has of a session's state, whoever's that was. */
export class SharedBackends {
  readonly identities = new SharedIdentities();
  readonly #applied = new WeakMap<Backend, Applied>();

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
