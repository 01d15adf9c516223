import { type DeriveScramKeys, type ScramKeys, type ScramParameters, equalSecrets } from './scram.js';

/**
 * With what a session logs in to nodes. The secrets are in private fields: whatever logs or prints such an object shows its `kind`
 * and nothing else.
 */
export type BackendCredentials = PasswordCredentials | Md5Credentials | ScramKeyCredentials | NoCredentials;

/** The password itself: good for every method. */
export class PasswordCredentials {
  readonly kind = 'password';
  readonly #password: Buffer;
  #derived: { readonly parameters: ScramParameters; readonly keys: Promise<ScramKeys> } | null;

  /** @param password a text is taken as UTF-8; a buffer is owned from now on */
  constructor(password: Buffer | string) {
    this.#password = typeof password === 'string' ? Buffer.from(password, 'utf8') : password;
    this.#derived = null;
  }

  get password(): Buffer {
    return this.#password;
  }

  /** The keys for these parameters. The last ones are kept: every node of a cluster asks with the same. */
  scramKeys(parameters: ScramParameters, derive: DeriveScramKeys): Promise<ScramKeys> {
    const last = this.#derived;
    if (last !== null && sameParameters(last.parameters, parameters)) {
      return last.keys;
    }
    const derived = { parameters, keys: derive(this.#password, parameters) };
    this.#derived = derived;
    derived.keys.catch(() => {
      // The caller gets the error; the next one must be able to try again.
      if (this.#derived === derived) {
        this.#derived = null;
      }
    });
    return derived.keys;
  }
}

/** What PostgreSQL stores with `password_encryption = md5`: good where a node asks for md5. */
export class Md5Credentials {
  readonly kind = 'md5';
  readonly #hash: string;

  /** @param hash `md5` and 32 hexadecimal digits */
  constructor(hash: string) {
    this.#hash = hash;
  }

  get hash(): string {
    return this.#hash;
  }
}

/** The keys that a client proved to have in its SCRAM log-in: good for SCRAM with every node that holds the same verifier. */
export class ScramKeyCredentials {
  readonly kind = 'scram-keys';
  readonly #keys: ScramKeys;
  readonly #parameters: ScramParameters;

  /** @param parameters those of the verifier that the keys belong to */
  constructor(keys: ScramKeys, parameters: ScramParameters) {
    this.#keys = keys;
    this.#parameters = parameters;
  }

  get keys(): ScramKeys {
    return this.#keys;
  }

  get parameters(): ScramParameters {
    return this.#parameters;
  }
}

/** Nothing: good where the node trusts us. */
export class NoCredentials {
  readonly kind = 'none';
}

/** True when both log in as the same: compared in constant time, but for their kind and their lengths. */
export function credentialsEqual(a: BackendCredentials, b: BackendCredentials): boolean {
  if (a.kind === 'password' && b.kind === 'password') {
    return equalSecrets(a.password, b.password);
  }
  if (a.kind === 'md5' && b.kind === 'md5') {
    return equalSecrets(Buffer.from(a.hash), Buffer.from(b.hash));
  }
  if (a.kind === 'scram-keys' && b.kind === 'scram-keys') {
    return sameParameters(a.parameters, b.parameters) && equalSecrets(a.keys.clientKey, b.keys.clientKey);
  }
  return a.kind === 'none' && b.kind === 'none';
}

export function sameParameters(a: ScramParameters, b: ScramParameters): boolean {
  return a.iterations === b.iterations && a.salt.equals(b.salt);
}
