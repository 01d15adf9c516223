import { assertNever } from '../util/assert-never.js';
import { Md5Credentials, PasswordCredentials } from './credentials.js';
import { isMd5Hash } from './md5.js';
import { SCRAM_SHA_256, ScramVerifier } from './scram.js';

/** What is known to check a user's log-in with. Secrets are in private fields, as in `BackendCredentials`. */
export type UserSecret = PlainSecret | Md5Secret | ScramSecret | NoSecret;

/** A password in clear. */
export class PlainSecret {
  readonly kind = 'plain';
  readonly #credentials: PasswordCredentials;

  constructor(password: string) {
    this.#credentials = new PasswordCredentials(password);
  }

  get password(): Buffer {
    return this.#credentials.password;
  }

  /** Shared by all sessions of the user, so that the keys are derived once for all their backends. */
  get credentials(): PasswordCredentials {
    return this.#credentials;
  }
}

/** `md5` and 32 hexadecimal digits. */
class Md5Secret {
  readonly kind = 'md5';
  readonly #credentials: Md5Credentials;

  constructor(hash: string) {
    this.#credentials = new Md5Credentials(hash);
  }

  get hash(): string {
    return this.#credentials.hash;
  }

  get credentials(): Md5Credentials {
    return this.#credentials;
  }
}

/** A SCRAM verifier as PostgreSQL stores it. */
class ScramSecret {
  readonly kind = 'scram';
  readonly #verifier: ScramVerifier;

  constructor(verifier: ScramVerifier) {
    this.#verifier = verifier;
  }

  get verifier(): ScramVerifier {
    return this.#verifier;
  }
}

export type NoSecretReason = 'no-such-user' | 'no-password' | 'expired' | 'not-readable';

/** Nobody can log in with a password as this user. */
export class NoSecret {
  readonly kind = 'none';
  readonly reason: NoSecretReason;

  constructor(reason: NoSecretReason) {
    this.reason = reason;
  }

  /** For our own log; the client must not learn it. The words are PostgreSQL's. */
  explain(user: string): string {
    switch (this.reason) {
      case 'no-such-user':
        return `Role "${user}" does not exist.`;
      case 'no-password':
        return `User "${user}" has no password assigned.`;
      case 'expired':
        return `User "${user}" has an expired password.`;
      case 'not-readable':
        return `The stored password of user "${user}" begins like a SCRAM verifier but is not one.`;
      default:
        return assertNever(this.reason);
    }
  }
}

/** Reads a secret as PostgreSQL's `rolpassword`, PgBouncer's userlist.txt and our configuration hold it. */
export function parseSecret(text: string): UserSecret {
  if (text === '') {
    return new NoSecret('no-password');
  }
  if (isMd5Hash(text)) {
    return new Md5Secret(text);
  }
  const verifier = ScramVerifier.parse(text);
  if (verifier !== null) {
    return new ScramSecret(verifier);
  }
  // Taking it for a password would only hide that it was mangled on its way here.
  return text.startsWith(`${SCRAM_SHA_256}$`) ? new NoSecret('not-readable') : new PlainSecret(text);
}
