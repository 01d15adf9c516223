import { SwitchyardError } from '../errors.js';
import { type ScramKeys, type ScramParameters, deriveScramKeys } from './scram.js';
import { Turnstile } from './turnstile.js';

/**
 * How many derivations run at once. Each takes a thread of libuv's pool (4 of them, unless UV_THREADPOOL_SIZE says otherwise), which
 * name look-ups need too: a herd of log-ins must not keep the probes from finding their nodes.
 */
const CONCURRENT_MAX = 2;
/** How many more may wait for their turn. */
const WAITING_MAX = 10_000;

export interface KeyDeriverLimits {
  readonly concurrentMax?: number;
  readonly waitingMax?: number;
}

/** Derives SCRAM keys from passwords, a few at a time and in order. One for each process. */
export class KeyDeriver {
  readonly #turnstile: Turnstile;

  constructor(limits: KeyDeriverLimits = {}) {
    this.#turnstile = new Turnstile(limits.concurrentMax ?? CONCURRENT_MAX, limits.waitingMax ?? WAITING_MAX);
  }

  /** Like `deriveScramKeys`, and fails with `too_many_clients` when too many wait already. */
  async derive(password: Buffer, parameters: ScramParameters): Promise<ScramKeys> {
    if (this.#turnstile.isFull) {
      throw new SwitchyardError('too_many_clients', 'too many log-ins at once');
    }
    return this.#turnstile.run(() => deriveScramKeys(password, parameters));
  }
}
